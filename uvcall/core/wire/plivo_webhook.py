"""Plivo's callbacks: their V3 signature, both ways, and what they say."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from uvcall.core.carrier import Provider
from uvcall.core.model import LegState
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import fields as f
from uvcall.core.wire.events import CallWebhook, WebhookKind
from uvcall.core.wire.messages import base64
from uvcall.core.wire.signing import count, query_pairs, secret_bytes, signed_form, sole, unsigned, with_headers

SIGNATURE: Final = "X-Plivo-Signature-V3"
#: The same by the main account's token, beside the one by the subaccount's.
MAIN_SIGNATURE: Final = "X-Plivo-Signature-Ma-V3"
NONCE: Final = "X-Plivo-Signature-V3-Nonce"

#: CallStatus. https://docs.plivo.com/docs/voice/api/call
STATUSES: Final[Mapping[str, LegState]] = MappingProxyType(
    {
        "queued": LegState.QUEUED,
        "initiated": LegState.QUEUED,
        "ringing": LegState.RINGING,
        "early-media": LegState.RINGING,
        "answer": LegState.ANSWERED,
        "in-progress": LegState.ANSWERED,
        "completed": LegState.ENDED,
        "busy": LegState.ENDED,
        "failed": LegState.ENDED,
        "timeout": LegState.ENDED,
        "no-answer": LegState.ENDED,
        "cancel": LegState.ENDED,
        "canceled": LegState.ENDED,
        "rejected": LegState.ENDED,
    }
)
#: The events that say where the call is, whatever CallStatus says beside them.
_EVENTS: Final[Mapping[str, LegState]] = MappingProxyType({"Ring": LegState.RINGING, "Hangup": LegState.ENDED})
#: Two pages of Plivo's give two sets of names.
#: https://plivo.com/docs/voice/audio-streaming/best-practices
_STREAM_EVENTS: Final = frozenset(
    {"StartStream", "StopStream", "DroppedStream", "DegradedStream"}
    | {"started", "stopped", "failed", "stream-started", "stream-stopped", "stream-failed"}
)
_DIRECTIONS: Final[Mapping[str, Literal["inbound", "outbound"]]] = MappingProxyType(
    {"inbound": "inbound", "outbound": "outbound"}
)
_STATUS: Final = f.one_of(STATUSES)
_DIRECTION: Final = f.one_of(_DIRECTIONS)
_BOOLEAN: Final = re.compile("true|false|True|False")


def sign(request: HttpRequest, key: str, *, now: float, nonce: str) -> HttpRequest:  # noqa: ARG001 - one shape
    """Return the request with Plivo's V3 signature and nonce; `now` has no part in it.

    https://docs.plivo.com/docs/voice/concepts/signature-validation
    """
    signature = base64(_mac(request, key, nonce))
    return replace(request, headers=with_headers(request.headers, {SIGNATURE: signature, NONCE: nonce}))


def verify(request: HttpRequest, key: str, *, now: float) -> None:  # noqa: ARG001 - one shape
    """Check Plivo's V3 signature, by the account's own token or the main account's.

    A header may list several signatures, while a token is being changed. Plivo signs no time: a replay is told by its
    call id.

    Raises:
        SignatureInvalid: It is missing, doubled or wrong.
        ConfigError: The auth token is empty.
    """
    expected = base64(_mac(request, key, sole(request.headers, NONCE))).encode("ascii")
    given = [sole(request.headers, name) for name in (SIGNATURE, MAIN_SIGNATURE) if count(request.headers, name)]
    if not given:
        raise unsigned(f"the header {SIGNATURE} is missing")
    right = False
    for signature in ",".join(given).split(","):
        right |= hmac.compare_digest(expected, signature.strip(" ").encode("utf-8", errors="replace"))
    if not right:
        raise unsigned("the signature does not match")


def parse_webhook(request: HttpRequest) -> CallWebhook:
    """Read an answer, ring, hangup, machine-detection or stream callback.

    Plivo writes numbers without the plus sign; here they are E.164. https://docs.plivo.com/docs/voice/concepts/callbacks

    Raises:
        WebhookInvalid: A used field is missing, doubled, or does not match its whole pattern.
    """
    fields = f.form(request)
    f.refuse_hidden(fields, ("RequestUUID",), longer=("ALegRequestUUID",))
    event = f.need(fields, "Event", f.WORD)
    asked = f.may(fields, "RequestUUID", f.UUID)
    hook = CallWebhook(
        provider=Provider.PLIVO,
        kind=WebhookKind.OTHER,
        carrier_call_id=f.need(fields, "CallUUID", f.UUID),
        status=event,
        ids={"request_uuid": asked} if asked else {},
        raw=f.flat(fields),
    )
    if event in _STREAM_EVENTS:
        stream = f.may(fields, "StreamID", f.UUID)
        return replace(hook, kind=WebhookKind.STREAM, ids={**hook.ids, **({"stream_id": stream} if stream else {})})
    if event == "MachineDetection":
        machine = f.need(fields, "Machine", _BOOLEAN).lower() == "true"
        return replace(hook, kind=WebhookKind.MACHINE, machine=machine)
    word = f.need(fields, "CallStatus", _STATUS)
    direction = _DIRECTIONS[f.need(fields, "Direction", _DIRECTION)]
    rings = event == "StartApp" and direction == "inbound" and word == "ringing"
    known = event in {"StartApp", *_EVENTS}
    kind = WebhookKind.STATUS if known else WebhookKind.OTHER
    return replace(
        hook,
        kind=WebhookKind.INCOMING if rings else kind,
        from_=f.caller(fields, "From", plus=False),
        to=(f.called if rings else f.caller)(fields, "To", plus=False),
        direction=direction,
        state=_EVENTS.get(event, STATUSES[word]),
        status=word,
        machine={"true": True, "false": False}.get(f.may(fields, "Machine", _BOOLEAN).lower()),
    )


def _mac(request: HttpRequest, key: str, nonce: str) -> bytes:
    return hmac.digest(
        secret_bytes(key, "plivo.auth_token"), f"{_base(request)}.{nonce}".encode(errors="surrogatepass"), "sha256"
    )


def _base(request: HttpRequest) -> str:
    """Return the text that is signed, less the nonce: URL, sorted query, then the sorted form without separators.

    As the official SDK does since 4.59.1: a dot stands between query and form where both are, and a question mark
    before the form where there is no query.
    """
    form = signed_form(request)
    try:
        parts = urlsplit(request.url)
    except ValueError as error:
        raise unsigned("the URL cannot be read") from error
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    query = "&".join(f"{name}={value}" for name, value in sorted(query_pairs(request.url)))
    if query or form:
        base += f"?{query}"
    if query and form:
        base += "."
    return base + "".join(f"{name}{value}" for name, value in sorted(form))
