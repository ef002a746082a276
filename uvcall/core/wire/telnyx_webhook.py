"""Telnyx's webhooks: their Ed25519 signature, both ways, and what they say.

There are two kinds, signed alike: JSON events of Call Control (`webhook_api_version` 2) and forms of TeXML.
https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Literal

from uvcall.core.carrier import Provider
from uvcall.core.model import LegState
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import fields as f
from uvcall.core.wire.events import CallWebhook, WebhookKind
from uvcall.core.wire.messages import base64
from uvcall.core.wire.signing import is_form, key_bytes, sole, strict_base64, unsigned, with_headers

SIGNATURE: Final = "telnyx-signature-ed25519"
TIMESTAMP: Final = "telnyx-timestamp"
#: Seconds between Telnyx's clock and ours, either way; the official SDK's own limit.
TOLERANCE_S: Final = 300

Event = tuple[WebhookKind, LegState | None]
# https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks
EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {
        "call.initiated": (WebhookKind.STATUS, LegState.RINGING),
        "call.answered": (WebhookKind.STATUS, LegState.ANSWERED),
        "call.bridged": (WebhookKind.STATUS, LegState.ANSWERED),
        "call.hangup": (WebhookKind.STATUS, LegState.ENDED),
        "call.machine.detection.ended": (WebhookKind.MACHINE, None),
        "call.machine.greeting.ended": (WebhookKind.MACHINE, None),
        "call.machine.premium.detection.ended": (WebhookKind.MACHINE, None),
        "call.machine.premium.greeting.ended": (WebhookKind.MACHINE, None),
        "streaming.started": (WebhookKind.STREAM, None),
        "streaming.stopped": (WebhookKind.STREAM, None),
        "streaming.failed": (WebhookKind.STREAM, None),
    }
)
#: Verdicts of every kind of detection; one that is not here decides nothing.
#: https://developers.telnyx.com/docs/voice/programmable-voice/answering-machine-detection
MACHINES: Final[Mapping[str, bool | None]] = MappingProxyType(
    {
        "human": False,
        "human_residence": False,
        "human_business": False,
        "machine": True,
        "machine_start": True,
        "machine_end_beep": True,
        "machine_end_silence": True,
        "machine_end_other": True,
        "beep_detected": True,
        "fax": True,
        "fax_detected": True,
    }
)
#: CallStatus of TeXML. https://developers.telnyx.com/api-reference/callbacks/texml-call-completed
STATUSES: Final[Mapping[str, LegState]] = MappingProxyType(
    {
        "queued": LegState.QUEUED,
        "initiated": LegState.QUEUED,
        "ringing": LegState.RINGING,
        "answered": LegState.ANSWERED,
        "in-progress": LegState.ANSWERED,
        "completed": LegState.ENDED,
        "busy": LegState.ENDED,
        "failed": LegState.ENDED,
        "no-answer": LegState.ENDED,
        "canceled": LegState.ENDED,
    }
)
_DIRECTIONS: Final[Mapping[str, Literal["inbound", "outbound", ""]]] = MappingProxyType(
    {"incoming": "inbound", "outgoing": "outbound", "inbound": "inbound", "outbound": "outbound", "": ""}
)
#: The member of the payload that holds an event's most telling word.
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"call.hangup": "hangup_cause", "streaming.failed": "failure_reason"}
)

# `v3:` and base64url today; older calls and some stream events show a UUID.
_CALL: Final = re.compile(r"v[0-9]{1,2}:[A-Za-z0-9_=-]{6,200}|" + f.UUID.pattern)
_STATUS: Final = f.one_of(STATUSES)
_DIRECTION: Final = f.one_of(word for word in _DIRECTIONS if word)
_STREAM_EVENT: Final = re.compile("stream-started|stream-stopped|stream-error")
_EVENT: Final = re.compile(r"event")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def public_key(seed: str) -> str:
    """Return the base64 of the public key that belongs to a private seed.

    Raises:
        ConfigError: The seed is not the base64 of 32 bytes.
    """
    from nacl.signing import SigningKey

    return base64(bytes(SigningKey(key_bytes(seed, "the signing seed")).verify_key))


def sign(request: HttpRequest, key: str, *, now: float, nonce: str) -> HttpRequest:  # noqa: ARG001 - one shape
    """Return the request with Telnyx's two signature headers; `key` is the private seed, base64.

    Ed25519 over `timestamp|body`; the URL has no part in it.
    https://developers.telnyx.com/docs/development/api-fundamentals/webhooks
    """
    from nacl.signing import SigningKey

    stamp = str(int(now))
    signature = SigningKey(key_bytes(key, "the signing seed")).sign(_signed(stamp, request.body)).signature
    return replace(
        request,
        headers=with_headers(request.headers, {SIGNATURE: base64(signature), TIMESTAMP: stamp}),
    )


def verify(request: HttpRequest, key: str, *, now: float) -> None:
    """Check Telnyx's signature; `key` is the public key, base64.

    Raises:
        SignatureInvalid: It is missing, doubled, malformed, wrong, or more than 300 s from `now`.
        ConfigError: The public key is not one.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    verifier = VerifyKey(key_bytes(key, "telnyx.public_key"))
    stamp = sole(request.headers, TIMESTAMP)
    signature = strict_base64(sole(request.headers, SIGNATURE))
    if signature is None or len(signature) != 64:
        raise unsigned("the signature is not the base64 of 64 bytes")
    if not _SECONDS.fullmatch(stamp):
        raise unsigned("the signature's time is not a number of seconds")
    if abs(now - int(stamp)) > TOLERANCE_S:
        raise unsigned(f"the signature's time is more than {TOLERANCE_S} s from this machine's clock")
    try:
        verifier.verify(_signed(stamp, request.body), signature)
    except BadSignatureError as error:
        raise unsigned("the signature does not match") from error


def parse_webhook(request: HttpRequest) -> CallWebhook:
    """Read a Call Control event or a TeXML form.

    Raises:
        WebhookInvalid: A used field is missing, doubled, or does not match its whole pattern.
    """
    if request.method.upper() == "GET" or is_form(request):
        return _texml(f.form(request))
    return _call_control(f.json_object(request.body))


def _call_control(envelope: Mapping[str, Any]) -> CallWebhook:
    data = envelope.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("payload"), dict):
        raise f.invalid(
            "the webhook is not an event of API version 2",
            hint='set webhook_api_version to "2" on the Call Control application',
        )
    head, payload = f.members(data), f.members(data["payload"])
    f.need(head, "record_type", _EVENT)
    event = f.need(head, "event_type", f.WORD)
    kind, state = EVENTS.get(event, (WebhookKind.OTHER, None))
    known = kind is not WebhookKind.OTHER
    hook = CallWebhook(
        provider=Provider.TELNYX,
        kind=kind,
        carrier_call_id=(f.need if known else f.may)(payload, "call_control_id", _CALL),
        state=state,
        status=event,
        event_id=f.need(head, "id", f.UUID),
        ids={
            name: value
            for name in ("call_leg_id", "call_session_id", "connection_id")
            if (value := f.may(payload, name, f.TOKEN))
        },
        raw=envelope,
    )
    if kind is WebhookKind.MACHINE:
        word = f.need(payload, "result", f.WORD)
        return replace(hook, status=word, machine=MACHINES.get(word))
    if event in _WORDS:
        hook = replace(hook, status=f.may(payload, _WORDS[event], f.WORD) or event)
    if kind is not WebhookKind.STATUS:
        return hook
    direction = _DIRECTIONS[f.may(payload, "direction", _DIRECTION)]
    if event == "call.initiated":
        direction = _DIRECTIONS[f.need(payload, "direction", _DIRECTION)]
    incoming = event == "call.initiated" and direction == "inbound"
    return replace(
        hook,
        kind=WebhookKind.INCOMING if incoming else kind,
        from_=f.caller(payload, "from"),
        to=(f.called if incoming else f.caller)(payload, "to"),
        direction=direction,
    )


def _texml(fields: f.Fields) -> CallWebhook:
    hook = CallWebhook(
        provider=Provider.TELNYX,
        kind=WebhookKind.OTHER,
        carrier_call_id=f.need(fields, "CallSid", _CALL),
        ids={
            name: value
            for name, field in (("account_sid", "AccountSid"), ("connection_id", "ConnectionId"))
            if (value := f.may(fields, field, f.TOKEN))
        },
        raw=f.flat(fields),
    )
    if "StreamEvent" in fields:
        stream = f.need(fields, "StreamSid", f.TOKEN)
        word = f.need(fields, "StreamEvent", _STREAM_EVENT)
        return replace(hook, kind=WebhookKind.STREAM, status=word, ids={**hook.ids, "stream_sid": stream})
    if "CallStatus" not in fields:
        word = f.need(fields, "AnsweredBy", f.WORD)
        return replace(hook, kind=WebhookKind.MACHINE, status=word, machine=MACHINES.get(word))
    # A request for instructions has no CallbackSource; Telnyx has answered the call before it asks.
    # https://developers.telnyx.com/docs/voice/programmable-voice/texml-instruction-fetching
    word = f.need(fields, "CallStatus", _STATUS)
    direction = _DIRECTIONS[f.may(fields, "Direction", _DIRECTION)]
    ended = STATUSES[word] is LegState.ENDED
    incoming = not f.may(fields, "CallbackSource", f.WORD) and direction != "outbound" and not ended
    return replace(
        hook,
        kind=WebhookKind.INCOMING if incoming else WebhookKind.STATUS,
        from_=f.caller(fields, "From"),
        to=(f.called if incoming else f.caller)(fields, "To"),
        direction="inbound" if incoming else direction,
        state=STATUSES[word],
        status=word,
        machine=MACHINES.get(f.may(fields, "AnsweredBy", f.WORD)),
    )


def _signed(stamp: str, body: bytes) -> bytes:
    return stamp.encode("ascii") + b"|" + body
