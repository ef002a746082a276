"""Telnyx's wire against Telnyx's own library for signatures and Twilio's builder for the XML they share."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, VoiceResponse

from uvcall.core.carrier import StreamOptions
from uvcall.core.model import LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import FORM, HttpRequest, SignatureInvalid, WebhookInvalid, header
from uvcall.core.wire import telnyx, telnyx_webhook
from uvcall.core.wire.events import WebhookKind
from uvcall.errors import ConfigError, UsageError

JOIN = JoinUrl("wss://voice.ultravox.ai/calls/0b7c/telephony?a=1&b=2")
SEED = b64encode(bytes(range(32))).decode()
PUBLIC = telnyx.public_key(SEED)
NOW = 1_700_000_000.0
CALL = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg"
EVENT = "0ccc7b54-4df3-4bca-a65a-3da1ecc777f0"
LEG = "428c31b6-7af4-4bcb-b7f5-5013ef9657c1"


# --- documents


def test_answer_is_ultravoxs_recipe() -> None:
    response = VoiceResponse()
    connect = Connect()
    connect.stream(
        url=JOIN.reveal(),
        bidirectionalMode="rtp",
        codec="L16",
        bidirectionalCodec="L16",
        bidirectionalSamplingRate="16000",
    )
    response.append(connect)
    response.hangup()
    ours = telnyx.answer_xml(JOIN, StreamOptions())
    assert ET.canonicalize(ours) == ET.canonicalize(str(response))
    assert ours == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect>'
        '<Stream url="wss://voice.ultravox.ai/calls/0b7c/telephony?a=1&amp;b=2" bidirectionalMode="rtp" codec="L16" '
        'bidirectionalCodec="L16" bidirectionalSamplingRate="16000"/></Connect><Hangup/></Response>'
    )


@pytest.mark.parametrize(("codec", "rate"), [("L16", "16000"), ("PCMU", "8000"), ("PCMA", "8000")])
@pytest.mark.parametrize("track", [None, "inbound_track", "both_tracks"])
def test_codecs_are_equal_and_the_rate_is_theirs(codec: str, rate: str, track: str | None) -> None:
    stream = ET.fromstring(telnyx.answer_xml(JOIN, StreamOptions(codec=codec, track=track)).encode())[0][0]
    assert stream.get("codec") == stream.get("bidirectionalCodec") == codec
    assert stream.get("bidirectionalSamplingRate") == rate
    assert stream.get("track") == track


def test_users_attributes() -> None:
    wanted = {"track": "both_tracks", "name": "n", "statusCallback": "https://x/y", "enableReconnect": "false"}
    stream = ET.fromstring(telnyx.answer_xml(JOIN, StreamOptions(), attributes=wanted).encode())[0][0]
    assert wanted.items() <= stream.attrib.items()


@pytest.mark.parametrize(
    ("options", "attributes", "named"),
    [
        (StreamOptions(codec="OPUS"), None, "codec=OPUS"),
        (StreamOptions(track="sideways"), None, "track=sideways"),
        (StreamOptions(target_legs="self"), None, "target_legs=self"),
        (StreamOptions(), {"url": "wss://evil.example"}, "attribute url"),
        (StreamOptions(), {"bidirectionalMode": "mp3"}, "attribute bidirectionalMode"),
        (StreamOptions(), {"codec": "PCMU"}, "attribute codec"),
        (StreamOptions(), {"trak": "x"}, "trak"),
    ],
)
def test_answer_refuses_by_name(options: StreamOptions, attributes: dict[str, str] | None, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        telnyx.answer_xml(JOIN, options, attributes=attributes)
    assert named in caught.value.message
    assert caught.value.hint


def test_the_default_target_leg_needs_no_attribute() -> None:
    assert telnyx.answer_xml(JOIN, StreamOptions(target_legs="opposite")) == telnyx.answer_xml(JOIN, StreamOptions())


def test_fallback_and_reject() -> None:
    assert telnyx.fallback_xml(say="Sorry.", forward_to="+12025550123").endswith(
        '<Response><Dial timeout="20" timeLimit="600"><Number>+12025550123</Number></Dial><Hangup/></Response>'
    )
    assert telnyx.fallback_xml(say="Sorry.").endswith(
        '<Response><Say language="en-US">Sorry.</Say><Hangup/></Response>'
    )
    assert telnyx.reject_xml(busy=True).endswith('<Response><Reject reason="busy"/></Response>')
    assert telnyx.reject_xml(busy=False).endswith('<Response><Reject reason="rejected"/></Response>')


@pytest.mark.parametrize(
    "bad",
    [
        {"say": "x", "forward_to": "2025550123"},
        {"say": "x", "language": 'en"'},
        {"say": "x\x00"},
        {"say": "x" * 1001},
    ],
)
def test_fallback_refuses(bad: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        telnyx.fallback_xml(**bad)


# --- signatures


def signed(body: bytes, now: float = NOW) -> HttpRequest:
    return telnyx.sign(HttpRequest("POST", "https://x/telnyx", (), body), SEED, now=now, nonce="")


def test_the_vectors_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert telnyx.public_key(b64encode(seed).decode()) == b64encode(public).decode()


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_telnyxs_verifier_accepts_what_we_sign(body: str) -> None:
    from telnyx.lib.webhook_verification import verify_webhook_signature

    request = signed(body.encode(), time.time())
    telnyx.verify(request, PUBLIC, now=time.time())
    verify_webhook_signature(body.encode(), dict(request.headers), PUBLIC)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_can_be_signed(body: bytes) -> None:
    telnyx.verify(signed(body), PUBLIC, now=NOW)


@pytest.mark.parametrize("drift", [-301, 301, 10**9])
def test_stale_and_future_webhooks(drift: float) -> None:
    telnyx.verify(signed(b"x"), PUBLIC, now=NOW + (300 if drift > 0 else -300))
    with pytest.raises(SignatureInvalid):
        telnyx.verify(signed(b"x"), PUBLIC, now=NOW + drift)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_altered_byte_fails(data: st.DataObject) -> None:
    request = signed(b'{"data":{"event_type":"call.initiated"}}')
    parts = {
        "body": request.body,
        "signature": (header(request.headers, telnyx_webhook.SIGNATURE) or "").encode(),
        "timestamp": (header(request.headers, telnyx_webhook.TIMESTAMP) or "").encode(),
    }
    where = data.draw(st.sampled_from(sorted(parts)))
    old = parts[where]
    index = data.draw(st.integers(0, len(old) - 1))
    parts[where] = (
        old[:index] + bytes([data.draw(st.integers(33, 126).filter(lambda b: b != old[index]))]) + old[index + 1 :]
    )
    headers = (
        (telnyx_webhook.SIGNATURE, parts["signature"].decode()),
        (telnyx_webhook.TIMESTAMP, parts["timestamp"].decode()),
    )
    with pytest.raises(SignatureInvalid):
        telnyx.verify(replace(request, headers=headers, body=parts["body"]), PUBLIC, now=NOW)


@pytest.mark.parametrize(
    "spoil", [lambda s: s + "=", lambda s: s + "AAAA", lambda s: " " + s, lambda s: s[:-2], lambda s: "é" + s]
)
def test_lax_base64_is_not_taken(spoil: Any) -> None:
    request = signed(b"x")
    good = header(request.headers, telnyx_webhook.SIGNATURE) or ""
    headers = ((telnyx_webhook.SIGNATURE, spoil(good)), (telnyx_webhook.TIMESTAMP, str(int(NOW))))
    with pytest.raises(SignatureInvalid):
        telnyx.verify(replace(request, headers=headers), PUBLIC, now=NOW)


@pytest.mark.parametrize(
    "stamp", ["", "1700000000.0", "+1700000000", "\uff11\uff17\uff10\uff10000000", "1e9", " 1700000000"]
)
def test_times_that_are_none(stamp: str) -> None:
    request = signed(b"x")
    headers = (
        (telnyx_webhook.SIGNATURE, header(request.headers, telnyx_webhook.SIGNATURE) or ""),
        (telnyx_webhook.TIMESTAMP, stamp),
    )
    with pytest.raises(SignatureInvalid):
        telnyx.verify(replace(request, headers=headers), PUBLIC, now=NOW)


def test_missing_and_doubled_headers() -> None:
    request = signed(b"x")
    for index in range(len(request.headers)):
        one = request.headers[index]
        for headers in (tuple(h for h in request.headers if h != one), (*request.headers, one)):
            with pytest.raises(SignatureInvalid):
                telnyx.verify(replace(request, headers=headers), PUBLIC, now=NOW)


@pytest.mark.parametrize("key", ["", "AAAA", PUBLIC + "=", "é", PUBLIC[:-1]])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        telnyx.verify(signed(b"x"), key, now=NOW)
    assert caught.value.hint
    with pytest.raises(ConfigError):
        telnyx.public_key(key)


# --- webhooks


def event(kind: str, **payload: Any) -> HttpRequest:
    inner = {
        "call_control_id": CALL,
        "connection_id": "7267000000000000",
        "call_leg_id": LEG,
        "call_session_id": LEG,
        "from": "+12025550133",
        "to": "+12025550131",
        **payload,
    }
    envelope = {
        "data": {
            "record_type": "event",
            "event_type": kind,
            "id": EVENT,
            "occurred_at": "2018-02-02T22:25:27.521992Z",
            "payload": {name: value for name, value in inner.items() if value is not ...},
        },
        "meta": {"attempt": 1, "delivered_to": "http://example.com/webhooks"},
    }
    return HttpRequest("POST", "https://x", (("Content-Type", "application/json"),), json.dumps(envelope).encode())


def test_incoming_call() -> None:
    hook = telnyx.parse_webhook(event("call.initiated", direction="incoming", state="parked"))
    assert (hook.kind, hook.direction, hook.state) == (WebhookKind.INCOMING, "inbound", LegState.RINGING)
    assert (hook.carrier_call_id, hook.from_, hook.to) == (CALL, "+12025550133", "+12025550131")
    assert hook.event_id == EVENT
    assert hook.ids == {"call_leg_id": LEG, "call_session_id": LEG, "connection_id": "7267000000000000"}
    assert hook.raw["data"]["payload"]["state"] == "parked"


@pytest.mark.parametrize(
    ("kind", "payload", "state", "status"),
    [
        ("call.initiated", {"direction": "outgoing"}, LegState.RINGING, "call.initiated"),
        ("call.answered", {}, LegState.ANSWERED, "call.answered"),
        ("call.bridged", {}, LegState.ANSWERED, "call.bridged"),
        ("call.hangup", {"hangup_cause": "user_busy"}, LegState.ENDED, "user_busy"),
        ("call.hangup", {}, LegState.ENDED, "call.hangup"),
    ],
)
def test_status_events(kind: str, payload: dict[str, str], state: LegState, status: str) -> None:
    hook = telnyx.parse_webhook(event(kind, **payload))
    assert (hook.kind, hook.state, hook.status) == (WebhookKind.STATUS, state, status)


@pytest.mark.parametrize(
    ("kind", "result", "machine"),
    [
        ("call.machine.detection.ended", "human", False),
        ("call.machine.detection.ended", "machine", True),
        ("call.machine.detection.ended", "not_sure", None),
        ("call.machine.premium.detection.ended", "human_business", False),
        ("call.machine.premium.detection.ended", "fax_detected", True),
        ("call.machine.greeting.ended", "beep_detected", True),
    ],
)
def test_machine_events(kind: str, result: str, machine: bool | None) -> None:
    hook = telnyx.parse_webhook(event(kind, result=result))
    assert (hook.kind, hook.machine, hook.status) == (WebhookKind.MACHINE, machine, result)


def test_stream_events() -> None:
    hook = telnyx.parse_webhook(event("streaming.failed", call_control_id=LEG, failure_reason="connection_failed"))
    assert (hook.kind, hook.status, hook.carrier_call_id) == (WebhookKind.STREAM, "connection_failed", LEG)


def test_other_events() -> None:
    hook = telnyx.parse_webhook(event("call.cost", call_control_id=...))
    assert (hook.kind, hook.status, hook.carrier_call_id) == (WebhookKind.OTHER, "call.cost", "")


@pytest.mark.parametrize("withheld", ["anonymous", "Restricted", "", "sip:+1202@10.0.0.1", "ada@sip.telnyx.com"])
def test_withheld_callers(withheld: str) -> None:
    assert telnyx.parse_webhook(event("call.initiated", direction="incoming", **{"from": withheld})).from_ == ""


@pytest.mark.parametrize(
    "payload",
    [
        {"call_control_id": ...},
        {"call_control_id": "v3:../../calls"},
        {"call_control_id": CALL + "\n"},
        {"call_control_id": ["x"]},
        {"from": 12025550133},
        {"from": ...},
        {"to": "2025550131"},
        {"to": "sip:x@y"},
        {"to": None},
        {"direction": "inwards"},
        {"direction": ...},
    ],
)
def test_malformed_payloads(payload: dict[str, Any]) -> None:
    with pytest.raises(WebhookInvalid):
        telnyx.parse_webhook(event("call.initiated", **{"direction": "incoming", **payload}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"data":{"payload":{}}}',
        b"[" * 100_000,
        b'{"data":' * 50_000,
        b'{"data":{"payload":{},"record_type":"event","event_type":"x y","id":"%s"}}' % EVENT.encode(),
        b'{"data":{"payload":{},"record_type":"event","event_type":"x","id":"1"}}',
        b'{"data":{"payload":{},"record_type":"number","event_type":"x","id":"%s"}}' % EVENT.encode(),
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":' + b"1" * 5000 + b"}",
        b" " * (1 << 20) + b"{}",
    ],
)
def test_bodies_that_are_no_events(body: bytes) -> None:
    with pytest.raises(WebhookInvalid) as caught:
        telnyx.parse_webhook(HttpRequest("POST", "https://x", (("Content-Type", "application/json"),), body))
    assert len(caught.value.message) < 200


def test_members_named_twice_are_refused() -> None:
    body = event("call.answered").body.replace(b'"from":', b'"call_control_id": "v3:other-call", "from":')
    with pytest.raises(WebhookInvalid):
        telnyx.parse_webhook(HttpRequest("POST", "https://x", (), body))


def texml(**fields: str) -> HttpRequest:
    body = urlencode(
        {"AccountSid": "f5586561-8ff0-4291-a51b-c7dfe4139ff9", "CallSid": CALL, "CallSidLegacy": CALL, **fields}
    )
    return HttpRequest("POST", "https://x", (("Content-Type", FORM),), body.encode())


NUMBERS = {"From": "+12025550133", "To": "+12025550131"}


def test_texml_asks_for_instructions() -> None:
    hook = telnyx.parse_webhook(texml(**NUMBERS, CallStatus="ringing", ConnectionId="1234567890", CallerId="Ada"))
    assert (hook.kind, hook.direction, hook.carrier_call_id) == (WebhookKind.INCOMING, "inbound", CALL)
    assert hook.ids["connection_id"] == "1234567890"


@pytest.mark.parametrize("status", list(telnyx_webhook.STATUSES))
def test_texml_status(status: str) -> None:
    hook = telnyx.parse_webhook(texml(**NUMBERS, CallStatus=status, CallbackSource="call-progress-events"))
    assert (hook.kind, hook.state, hook.status) == (WebhookKind.STATUS, telnyx_webhook.STATUSES[status], status)


def test_texml_stream_and_machine() -> None:
    stream = telnyx.parse_webhook(texml(StreamEvent="stream-started", StreamSid="stream-abc123"))
    assert (stream.kind, stream.ids["stream_sid"]) == (WebhookKind.STREAM, "stream-abc123")
    machine = telnyx.parse_webhook(texml(AnsweredBy="machine_start", MachineDetectionDuration="2500"))
    assert (machine.kind, machine.machine) == (WebhookKind.MACHINE, True)


def test_texml_malformed() -> None:
    for fields in ({}, {**NUMBERS, "CallStatus": "odd"}, {"From": "+12025550133", "CallStatus": "ringing"}):
        with pytest.raises(WebhookInvalid):
            telnyx.parse_webhook(texml(**fields))
