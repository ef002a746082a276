"""One life of a call, driven through every wire by the Protocol alone."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.model import LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import FORM, HttpRequest, SignatureInvalid, WebhookInvalid
from uvcall.core.wire import telnyx, wire
from uvcall.core.wire.events import Audio, Clear, Digit, Mark, Media, Side, Started, WebhookKind

NOW = 1_700_000_000.0
JOIN = JoinUrl("wss://voice.ultravox.ai/calls/0b7c/telephony")
SEED = b64encode(b"s" * 32).decode()
UUID = "6bd1a6c1-1a1f-4f0c-8e8f-0123456789ab"
SID = "0123456789abcdef" * 2
TELNYX_CALL = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg"
CALLER, CALLED = "+12025550143", "+12025550199"


def form(**fields: str) -> HttpRequest:
    return HttpRequest("POST", "https://u.example/x?y=1", (("Content-Type", FORM),), urlencode(fields).encode())


def twilio_form(status: str, **more: str) -> HttpRequest:
    ids = {"CallSid": f"CA{SID}", "AccountSid": f"AC{SID}"}
    return form(**ids, From=CALLER, To=CALLED, Direction="inbound", CallStatus=status, **more)


def plivo_form(event: str, status: str) -> HttpRequest:
    return form(CallUUID=UUID, From=CALLER[1:], To=CALLED[1:], Direction="inbound", CallStatus=status, Event=event)


def telnyx_event(kind: str, **payload: str) -> HttpRequest:
    said = {"call_control_id": TELNYX_CALL, "from": CALLER, "to": CALLED, **payload}
    data = {"record_type": "event", "event_type": kind, "id": UUID, "payload": said}
    return HttpRequest("POST", "https://u.example/x", (), json.dumps({"data": data}).encode())


@dataclass(frozen=True)
class Life:
    call_id: str
    sign_key: str
    verify_key: str
    rings: HttpRequest
    ends: HttpRequest
    encoding: str
    rate: int


LIVES = {
    Provider.TWILIO: Life(
        f"CA{SID}",
        "token",
        "token",
        twilio_form("ringing"),
        twilio_form("completed", CallbackSource="call-progress-events"),
        "PCMU",
        8000,
    ),
    Provider.TELNYX: Life(
        TELNYX_CALL,
        SEED,
        telnyx.public_key(SEED),
        telnyx_event("call.initiated", direction="incoming"),
        telnyx_event("call.hangup", hangup_cause="normal_clearing"),
        "L16",
        16000,
    ),
    Provider.PLIVO: Life(
        UUID, "token", "token", plivo_form("StartApp", "ringing"), plivo_form("Hangup", "completed"), "L16", 16000
    ),
}


@pytest.mark.parametrize("provider", list(Provider))
def test_one_life(provider: Provider) -> None:
    w, life = wire(provider), LIVES[provider]

    # Someone rings: signed by the carrier, verified by us, and by nobody else's key.
    rings = w.sign(life.rings, life.sign_key, now=NOW, nonce="n1")
    w.verify(rings, life.verify_key, now=NOW)
    with pytest.raises(SignatureInvalid):
        w.verify(replace(rings, body=rings.body + b" "), life.verify_key, now=NOW)
    with pytest.raises(SignatureInvalid):
        w.verify(life.rings, life.verify_key, now=NOW)
    hook = w.parse_webhook(rings)
    assert (hook.provider, hook.kind, hook.state) == (provider, WebhookKind.INCOMING, LegState.RINGING)
    assert (hook.carrier_call_id, hook.from_, hook.to, hook.direction) == (life.call_id, CALLER, CALLED, "inbound")

    # The answer leads to the agent and ends the call after it.
    answer = ET.fromstring(w.answer_xml(JOIN, StreamOptions()).encode())
    stream = answer.find(".//Stream")
    assert stream is not None
    assert JOIN.reveal() in (stream.get("url"), stream.text)
    assert answer[-1].tag == "Hangup"
    for other in (w.fallback_xml(say="Sorry."), w.fallback_xml(say="", forward_to=CALLER), w.reject_xml(busy=True)):
        assert "Stream" not in other
        assert ET.fromstring(other.encode()).tag == "Response"

    # Both sides talk.
    started = Started("stream", life.call_id, life.encoding, life.rate, account_id="account")
    frame = b"\x01\x02" * 160
    carrier: list[Media] = [
        started,
        Audio(frame, "stream", "inbound", 2, 1, 20),
        Digit("5", "stream", 3, "" if provider is Provider.TWILIO else "1700000000000"),
        Mark("played", "stream", 4),
    ]
    plain = Audio(frame) if provider is Provider.TELNYX else Audio(frame, "stream")
    said = Audio(frame, encoding="L16", sample_rate=16000) if provider is Provider.PLIVO else plain
    names_stream = "" if provider is Provider.TELNYX else "stream"
    agent: list[Media] = [said, Mark("played", names_stream), Clear(names_stream)]
    for side, events in ((Side.CARRIER, carrier), (Side.AGENT, agent)):
        assert [w.decode(side, w.encode(side, event)) for event in events] == events

    # It is over.
    ends = w.sign(life.ends, life.sign_key, now=NOW, nonce="n2")
    w.verify(ends, life.verify_key, now=NOW)
    hook = w.parse_webhook(ends)
    assert (hook.kind, hook.state, hook.carrier_call_id) == (WebhookKind.STATUS, LegState.ENDED, life.call_id)


@pytest.mark.parametrize("provider", list(Provider))
def test_signing_replaces_what_was_there(provider: Provider) -> None:
    w, life = wire(provider), LIVES[provider]
    once = w.sign(life.rings, life.sign_key, now=NOW - 9, nonce="old")
    again = w.sign(once, life.sign_key, now=NOW, nonce="new")
    assert again.headers == w.sign(life.rings, life.sign_key, now=NOW, nonce="new").headers
    w.verify(again, life.verify_key, now=NOW)


@pytest.mark.parametrize("provider", list(Provider))
def test_no_message_holds_the_join_url_or_a_payload(provider: Provider) -> None:
    w = wire(provider)
    secret = JoinUrl("wss://voice.ultravox.ai/calls/s3cret\x00/telephony")
    with pytest.raises(Exception, match="U\\+0000") as caught:
        w.answer_xml(secret, StreamOptions())
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize(
    "url", ["https://[x/", "https://x:y/", "https://x:99999/", "", "x", "https://x/?a=%ff", "https://x/?\ud800=1"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_urls_that_are_none(provider: Provider, url: str, method: str) -> None:
    w, life = wire(provider), LIVES[provider]
    signed = w.sign(life.rings, life.sign_key, now=NOW, nonce="n")
    request = replace(signed, url=url, method=method)
    if provider is not Provider.TELNYX:  # whose signature does not cover the URL
        with pytest.raises(SignatureInvalid):
            w.verify(request, life.verify_key, now=NOW)
    if method == "GET":
        with pytest.raises(WebhookInvalid):
            w.parse_webhook(request)
