"""Plivo's wire formats: Plivo XML, callbacks and their V3 signature, and audio streaming in both directions."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from uvcall.core.model import JoinUrl, LegState, Provider, StreamOptions
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import fields as f
from uvcall.core.wire import speech
from uvcall.core.wire.attributes import HTTP_URL, METHOD, TRUTH, StreamAttributes, Values, printable
from uvcall.core.wire.events import CallWebhook, WebhookKind
from uvcall.core.wire.messages import base64
from uvcall.core.wire.plivo_media import decode, encode
from uvcall.core.wire.signing import (
    count,
    query_pairs,
    secret_bytes,
    signed_form,
    sole,
    unsigned,
    with_headers,
)
from uvcall.core.wire.xml import document, element
from uvcall.errors import UsageError

__all__ = [
    "answer_xml",
    "decode",
    "encode",
    "fallback_xml",
    "parse_webhook",
    "reject_xml",
    "sign",
    "verify",
]

SIGNATURE: Final = "X-Plivo-Signature-V3"
#: The same by the main account's token, beside the one by the subaccount's.
MAIN_SIGNATURE: Final = "X-Plivo-Signature-Ma-V3"
NONCE: Final = "X-Plivo-Signature-V3-Nonce"

#: Codec → `contentType`. https://docs.plivo.com/docs/voice/xml/audiostream
CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"L16": "audio/x-l16;rate=16000", "PCMU": "audio/x-mulaw;rate=8000"}
)

# https://docs.plivo.com/docs/voice/xml/audiostream
_STREAM: Final = StreamAttributes(
    "Plivo",
    free=MappingProxyType(
        {
            # A two-way stream must not ask for outbound or both.
            "audioTrack": Values(re.compile("inbound"), "two-way streams have the inbound track only"),
            "streamTimeout": Values(re.compile("[1-9][0-9]{0,5}"), "it takes whole seconds"),
            "statusCallbackUrl": HTTP_URL,
            "statusCallbackMethod": METHOD,
            "extraHeaders": Values(
                re.compile(r"(?=.{3,512}\Z)[A-Za-z0-9_-]+=[A-Za-z0-9]+(?:[,;][A-Za-z0-9_-]+=[A-Za-z0-9]+)*"),
                "it takes k=v,k2=v2 of letters and digits, 512 bytes in all",
            ),
            "noiseCancellation": TRUTH,
            "noiseCancellationLevel": Values(re.compile("[6-9][0-9]|100"), "it takes a whole number from 60 to 100"),
        }
    ),
    fixed=MappingProxyType(
        {
            "url": "it is the join URL, which Plivo reads from the element's text",
            "bidirectional": "without it the agent is never heard",
            "keepCallAlive": "without it the call ends at once",
            "contentType": "set plivo.codec to L16 or PCMU",
        }
    ),
)

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


def answer_xml(join_url: JoinUrl, stream: StreamOptions, *, attributes: dict[str, str] | None = None) -> str:
    """Return the XML that connects the call to the agent.

    The URL is the element's text. `keepCallAlive` holds back what follows until the stream is over, so the closing
    `<Hangup/>` says outright what the end of the document would do, as with the other carriers.
    https://docs.ultravox.ai/telephony/telephony-platforms and https://docs.plivo.com/docs/voice/xml/audiostream

    Raises:
        UsageError: Something that Plivo's two-way streams do not have.
    """
    codec = stream.codec or "L16"
    if codec not in CONTENT_TYPES:
        raise _cannot("codec", codec, f"Ultravox and Plivo share {' and '.join(CONTENT_TYPES)}")
    if stream.target_legs is not None:
        raise _cannot("target_legs", stream.target_legs, "only Telnyx has target legs")
    recipe = {"keepCallAlive": "true", "contentType": CONTENT_TYPES[codec], "bidirectional": "true"}
    if stream.track is not None:
        recipe["audioTrack"] = _track(stream.track)
    merged = _STREAM.merge(recipe, attributes)
    return document(element("Stream", merged, text=join_url.reveal()) + "<Hangup/>")


def fallback_xml(*, say: str, forward_to: str | None = None, language: str = "en-US") -> str:
    """Return the XML for when no agent can be had: forward to a human, else say sorry and hang up.

    Nothing is said after `<Dial>`: what follows it runs also when the human has talked and hung up.
    https://docs.plivo.com/docs/voice/xml/dial and https://docs.plivo.com/docs/voice/xml/speak

    Raises:
        UsageError: The number or the language is not one, or the text cannot stand in XML.
    """
    if forward_to is not None:
        number = element("Number", text=speech.forwarded(forward_to))
        return document(element("Dial", speech.DIAL, children=number) + "<Hangup/>")
    words = speech.sentence(say)
    said = element("Speak", {"language": speech.spoken(language)}, text=words) if words else ""
    return document(f"{said}<Hangup/>")


def reject_xml(*, busy: bool) -> str:
    """Return the XML that turns a caller away unanswered.

    As the first element, `<Hangup>` with a reason refuses the call. https://docs.plivo.com/docs/voice/xml/hangup
    """
    return document(element("Hangup", {"reason": "busy" if busy else "rejected"}))


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
    f.refuse_hidden(fields, ("RequestUUID",))
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


def _track(value: str) -> str:
    """Return Plivo's word for the track; Telnyx's and Twilio's word for the same one is understood."""
    if value in {"inbound", "inbound_track"}:
        return "inbound"
    raise _cannot("track", value, "two-way streams have the inbound track only")


def _cannot(option: str, value: str, hint: str) -> UsageError:
    return UsageError(f"Plivo's two-way <Stream> cannot take {option}={printable(value)}", hint=hint)


def _mac(request: HttpRequest, key: str, nonce: str) -> bytes:
    return hmac.digest(secret_bytes(key, "plivo.auth_token"), f"{_base(request)}.{nonce}".encode(), "sha256")


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
    query = "&".join(f"{name}={value}" for name, value in sorted(query_pairs(parts.query)))
    if query or form:
        base += f"?{query}"
    if query and form:
        base += "."
    return base + "".join(f"{name}{value}" for name, value in sorted(form))
