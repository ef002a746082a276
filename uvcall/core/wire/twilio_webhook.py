"""Twilio's webhooks: their HMAC, both ways, and what they say. https://www.twilio.com/docs/usage/webhooks."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
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
from uvcall.core.wire.signing import (
    bare,
    count,
    is_form,
    query,
    query_pairs,
    secret_bytes,
    signed_form,
    sole,
    unsigned,
    with_headers,
)

SIGNATURE: Final = "X-Twilio-Signature"
SETTINGS: Final = "X-Twilio-Webhooks-Signature-Settings"

# https://www.twilio.com/docs/voice/api/call-resource#call-status-values
STATUSES: Final[Mapping[str, LegState]] = MappingProxyType(
    {
        "queued": LegState.QUEUED,
        "initiated": LegState.QUEUED,
        "ringing": LegState.RINGING,
        "in-progress": LegState.ANSWERED,
        "completed": LegState.ENDED,
        "busy": LegState.ENDED,
        "failed": LegState.ENDED,
        "no-answer": LegState.ENDED,
        "canceled": LegState.ENDED,
    }
)
_DIRECTIONS: Final[Mapping[str, Literal["inbound", "outbound"]]] = MappingProxyType(
    {"inbound": "inbound", "outbound-api": "outbound", "outbound-dial": "outbound"}
)
# https://www.twilio.com/docs/voice/answering-machine-detection
MACHINES: Final[Mapping[str, bool | None]] = MappingProxyType(
    {
        "human": False,
        "machine_start": True,
        "machine_end_beep": True,
        "machine_end_silence": True,
        "machine_end_other": True,
        "fax": True,
        "unknown": None,
    }
)
_STREAM_EVENTS: Final = re.compile("stream-started|stream-stopped|stream-error")
_CALL_SID: Final = re.compile("CA[0-9a-f]{32}")
_ACCOUNT_SID: Final = re.compile("AC[0-9a-f]{32}")
_STREAM_SID: Final = re.compile("MZ[0-9a-f]{32}")
_STATUS: Final = f.one_of(STATUSES)
_DIRECTION: Final = f.one_of(_DIRECTIONS)
_MACHINE: Final = f.one_of(MACHINES)
_PROGRESS: Final = re.compile("call-progress-events")
_ALGORITHMS: Final[Mapping[str, str]] = MappingProxyType({"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"})
_PORTS: Final[Mapping[str, int]] = MappingProxyType({"https": 443, "wss": 443, "http": 80, "ws": 80})


def sign(request: HttpRequest, key: str, *, now: float, nonce: str) -> HttpRequest:  # noqa: ARG001 - one shape
    """Return the request with Twilio's signature; `now` and `nonce` have no part in it.

    HMAC-SHA1 by the auth token, or HMAC-SHA256 when the request already has the settings header that says so. A body
    that is not a form is covered through `bodySHA256` in the URL, which is added where it is missing.
    https://www.twilio.com/docs/usage/webhooks/webhooks-security
    """
    if request.body and not is_form(request) and not _body_hashes(request.url):
        joint = "&" if query(request.url) else "?"
        digest = hashlib.sha256(request.body).hexdigest()
        request = replace(request, url=f"{bare(request.url)}{joint}bodySHA256={digest}")
    mac = _mac(key, bare(request.url), _form(request), _algorithm(request))
    return replace(request, headers=with_headers(request.headers, {SIGNATURE: base64(mac)}))


def verify(request: HttpRequest, key: str, *, now: float) -> None:  # noqa: ARG001 - one shape
    """Check Twilio's signature. Twilio signs no time: a replay is told by its call id.

    Raises:
        SignatureInvalid: It is missing, doubled, wrong, or by an algorithm that Twilio does not document.
        ConfigError: The auth token is empty.
    """
    given = sole(request.headers, SIGNATURE).encode("utf-8", errors="replace")
    algorithm = _algorithm(request)
    form = _form(request)
    hashes = _body_hashes(request.url)
    if not form and (request.body or hashes):
        digest = hashlib.sha256(request.body).hexdigest()
        if len(hashes) != 1 or not hmac.compare_digest(hashes[0].encode("utf-8"), digest.encode("ascii")):
            raise unsigned("the body is not the one that the signed URL speaks of")
    if not any(
        hmac.compare_digest(base64(_mac(key, url, form, algorithm)).encode("ascii"), given)
        for url in _spellings(request.url)
    ):
        raise unsigned("the signature does not match")


def parse_webhook(request: HttpRequest) -> CallWebhook:
    """Read a voice webhook, a status callback, a stream callback, or an answering-machine callback.

    https://www.twilio.com/docs/voice/twiml#twilios-request-to-your-application,
    https://www.twilio.com/docs/voice/api/call-resource#statuscallback,
    https://www.twilio.com/docs/voice/twiml/stream#statuscallback

    Raises:
        WebhookInvalid: A used field is missing, doubled, or does not match its whole pattern.
    """
    fields = f.form(request)
    f.refuse_hidden(fields, ("AnsweredBy", "CallStatus", "CallbackSource", "StreamEvent"))
    call_id = f.need(fields, "CallSid", _CALL_SID)
    ids = {"account_sid": f.need(fields, "AccountSid", _ACCOUNT_SID)}
    raw = f.flat(fields)
    if "StreamEvent" in fields:
        ids["stream_sid"] = f.need(fields, "StreamSid", _STREAM_SID)
        word = f.need(fields, "StreamEvent", _STREAM_EVENTS)
        return CallWebhook(Provider.TWILIO, WebhookKind.STREAM, call_id, status=word, ids=ids, raw=raw)
    if "CallStatus" not in fields:
        word = f.need(fields, "AnsweredBy", _MACHINE)
        return CallWebhook(
            Provider.TWILIO, WebhookKind.MACHINE, call_id, status=word, machine=MACHINES[word], ids=ids, raw=raw
        )
    word = f.need(fields, "CallStatus", _STATUS)
    direction = _DIRECTIONS[f.need(fields, "Direction", _DIRECTION)]
    progress = bool(f.may(fields, "CallbackSource", _PROGRESS))
    rings = direction == "inbound" and word == "ringing" and not progress
    return CallWebhook(
        Provider.TWILIO,
        WebhookKind.INCOMING if rings else WebhookKind.STATUS,
        call_id,
        ids=ids,
        raw=raw,
        from_=f.caller(fields, "From"),
        to=f.called(fields, "To"),
        direction=direction,
        state=STATUSES[word],
        status=word,
        machine=MACHINES.get(f.may(fields, "AnsweredBy", _MACHINE)),
    )


def _form(request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """Return the parameters that are signed one by one; any other body is signed through its hash in the URL."""
    return signed_form(request) if is_form(request) else ()


def _algorithm(request: HttpRequest) -> str:
    """Return the hash that the settings header names. Twilio's own validator reads it the same way."""
    if not count(request.headers, SETTINGS):
        return "sha1"
    for part in sole(request.headers, SETTINGS).split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            algorithm = _ALGORITHMS.get(value.strip().upper())
            if algorithm is None:
                raise unsigned("the signature is by an algorithm that uvcall does not know")
            return algorithm
    return "sha1"


def _mac(key: str, url: str, form: tuple[tuple[str, str], ...], algorithm: str) -> bytes:
    signed = url + "".join([name + value for name, value in sorted(set(form))])
    return hmac.digest(secret_bytes(key, "twilio.auth_token"), signed.encode(errors="surrogatepass"), algorithm)


def _body_hashes(url: str) -> list[str]:
    return [value for name, value in query_pairs(url) if name == "bodySHA256"]


def _spellings(url: str) -> Iterator[str]:
    """Yield the URL as it is, and with its port taken away or the scheme's own put in: Twilio signs either."""
    plain = bare(url)
    yield plain
    try:
        parts = urlsplit(plain)
        port = parts.port
    except ValueError as error:
        raise unsigned("the URL cannot be read") from error
    host = parts.netloc
    other = host.removesuffix(f":{port}") if port else f"{host}:{_PORTS.get(parts.scheme, 80)}"
    yield plain.replace(f"//{host}", f"//{other}", 1)
