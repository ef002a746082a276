"""The signature of Ultravox's webhooks. https://docs.ultravox.ai/webhooks/securing-webhooks."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from uvcall.core.webhook import HttpRequest
from uvcall.core.wire.signing import secret_bytes, sole, unsigned

SIGNATURE: Final = "X-Ultravox-Webhook-Signature"
TIMESTAMP: Final = "X-Ultravox-Webhook-Timestamp"


def sign(body: bytes, secret: str, timestamp: str) -> str:
    """Return one webhook signature: lowercase hex of HMAC-SHA256 over the body and then the timestamp's text.

    Raises:
        ConfigError: The secret is empty.
    """
    return hmac.digest(secret_bytes(secret, "the webhook secret"), body + timestamp.encode("utf-8"), "sha256").hex()


def verify(request: HttpRequest, secrets: Sequence[str], *, now: float, tolerance_s: float = 60.0) -> None:
    """Check an Ultravox webhook's signature; any of its signatures by any of the secrets will do.

    Args:
        request: The webhook, body as received.
        secrets: The webhook's secrets; several while one is being replaced.
        now: Seconds since the epoch.
        tolerance_s: Seconds that the timestamp may lie from `now`, either way. Ultravox suggests a minute.

    Raises:
        SignatureInvalid: It is missing, doubled, wrong, or not of now.
        ConfigError: There is no secret, or an empty one.
    """
    stamp = sole(request.headers, TIMESTAMP)
    given = [one.strip(" ").encode("utf-8", errors="replace") for one in sole(request.headers, SIGNATURE).split(",")]
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise unsigned("the signature's time is not ISO 8601") from error
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if not abs(now - when.timestamp()) <= tolerance_s:
        raise unsigned(f"the signature's time is more than {tolerance_s:g} s from this machine's clock")
    right = False
    for secret in secrets or ("",):
        expected = sign(request.body, secret, stamp).encode("ascii")
        for signature in given:
            right |= hmac.compare_digest(expected, signature)
    if not right:
        raise unsigned("the signature does not match")
