"""Plivo's wire against Plivo's own library: its V3 validator, its XML builder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plivo import plivoxml
from plivo.utils import validate_v3_signature

from uvcall.core.carrier import StreamOptions
from uvcall.core.model import LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import FORM, HttpRequest, SignatureInvalid, WebhookInvalid, header
from uvcall.core.wire import plivo, plivo_webhook
from uvcall.core.wire.events import WebhookKind
from uvcall.errors import ConfigError, UsageError

JOIN = JoinUrl("wss://voice.ultravox.ai/calls/0b7c/telephony?a=1&b=2")
TOKEN = "plivo-token"
NONCE = "05429567804466091622"
CALL = "6bd1a6c1-1a1f-4f0c-8e8f-0123456789ab"
REQUEST = "7bd1a6c1-1a1f-4f0c-8e8f-0123456789ab"
RINGING = {
    "CallUUID": CALL,
    "From": "12025550143",
    "To": "12025550199",
    "Direction": "inbound",
    "CallStatus": "ringing",
    "Event": "StartApp",
    "CallerName": "Ada",
}


def post(fields: Any, url: str = "https://example.com/abcd?foo=bar") -> HttpRequest:
    return HttpRequest("POST", url, (("Content-Type", FORM),), urlencode(fields).encode())


def signed(request: HttpRequest, token: str = TOKEN) -> HttpRequest:
    return plivo.sign(request, token, now=0, nonce=NONCE)


def signature(request: HttpRequest) -> str:
    return header(request.headers, plivo_webhook.SIGNATURE) or ""


# --- documents


def test_answer_is_what_plivos_builder_writes() -> None:
    theirs = plivoxml.ResponseElement()
    theirs.add(
        plivoxml.StreamElement(
            JOIN.reveal(), bidirectional=True, keepCallAlive=True, contentType="audio/x-l16;rate=16000"
        )
    )
    theirs.add(plivoxml.HangupElement())
    ours = plivo.answer_xml(JOIN, StreamOptions())
    assert ET.canonicalize(ours) == ET.canonicalize(theirs.to_string(pretty=False))
    assert ours == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Stream keepCallAlive="true" '
        'contentType="audio/x-l16;rate=16000" bidirectional="true">'
        "wss://voice.ultravox.ai/calls/0b7c/telephony?a=1&amp;b=2</Stream><Hangup/></Response>"
    )


def test_answer_in_mu_law_with_attributes() -> None:
    wanted = {
        "statusCallbackUrl": "https://x/y",
        "streamTimeout": "600",
        "extraHeaders": "a=1,b=2",
        "noiseCancellationLevel": "85",
    }
    xml = plivo.answer_xml(JOIN, StreamOptions(codec="PCMU", track="inbound"), attributes=wanted)
    stream = ET.fromstring(xml.encode())[0]
    assert stream.get("contentType") == "audio/x-mulaw;rate=8000"
    assert stream.get("audioTrack") == "inbound"
    assert wanted.items() <= stream.attrib.items()
    assert stream.text == JOIN.reveal()


@pytest.mark.parametrize(
    ("options", "attributes", "named"),
    [
        (StreamOptions(track="both_tracks"), None, "track=both_tracks"),
        (StreamOptions(track="both"), None, "track=both"),
        (StreamOptions(codec="PCMA"), None, "codec=PCMA"),
        (StreamOptions(target_legs="self"), None, "target_legs=self"),
        (StreamOptions(), {"audioTrack": "both"}, "audioTrack=both"),
        (StreamOptions(), {"audioTrack": "outbound"}, "audioTrack=outbound"),
        (StreamOptions(), {"streamTimeout": "0"}, "streamTimeout=0"),
        (StreamOptions(), {"noiseCancellationLevel": "59"}, "noiseCancellationLevel=59"),
        (StreamOptions(), {"extraHeaders": "a=" + "b" * 511}, "extraHeaders=a=b"),
        (StreamOptions(), {"keepCallAlive": "false"}, "attribute keepCallAlive"),
        (StreamOptions(), {"bidirectional": "false"}, "attribute bidirectional"),
        (StreamOptions(), {"contentType": "audio/x-mulaw;rate=8000"}, "attribute contentType"),
        (StreamOptions(), {"url": "wss://evil"}, "attribute url"),
        (StreamOptions(), {"streamTimeOut": "1"}, "streamTimeOut"),
    ],
)
def test_answer_refuses_by_name(options: StreamOptions, attributes: dict[str, str] | None, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        plivo.answer_xml(JOIN, options, attributes=attributes)
    assert named in caught.value.message
    assert caught.value.hint


def test_fallback_is_what_plivos_builder_writes() -> None:
    forward = plivoxml.ResponseElement()
    dial = plivoxml.DialElement(timeout=20, time_limit=600)
    dial.add(plivoxml.NumberElement("+12025550123"))
    forward.add(dial)
    forward.add(plivoxml.HangupElement())
    ours = plivo.fallback_xml(say="", forward_to="+12025550123")
    assert ET.canonicalize(ours) == ET.canonicalize(forward.to_string(pretty=False))
    say = plivoxml.ResponseElement()
    say.add(plivoxml.SpeakElement("Sorry & <bye>.", language="de-DE"))
    say.add(plivoxml.HangupElement())
    ours = plivo.fallback_xml(say="Sorry & <bye>.", language="de-DE")
    assert ET.canonicalize(ours) == ET.canonicalize(say.to_string(pretty=False))
    assert plivo.fallback_xml(say=" ").endswith("<Response><Hangup/></Response>")


@pytest.mark.parametrize(("busy", "reason"), [(True, "busy"), (False, "rejected")])
def test_reject_is_what_plivos_builder_writes(busy: bool, reason: str) -> None:
    theirs = plivoxml.ResponseElement()
    theirs.add(plivoxml.HangupElement(reason=reason))
    ours = plivo.reject_xml(busy=busy)
    assert ET.canonicalize(ours) == ET.canonicalize(theirs.to_string(pretty=False))


# --- signatures

WORDS = st.text(st.characters(codec="utf-8"), max_size=6)
# Plivo's validator itself fails on a query that is not ASCII once decoded.
PLAIN = st.text(st.characters(codec="ascii"), max_size=6)
QUERY = st.dictionaries(PLAIN.filter(bool), st.lists(PLAIN, min_size=1, max_size=2), max_size=4)
FIELDS = st.dictionaries(WORDS.filter(bool), st.lists(WORDS, min_size=1, max_size=2), max_size=4)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["GET", "POST"]), QUERY, FIELDS, st.sampled_from(["", "/", "/a/b"]))
def test_plivos_validator_accepts_what_we_sign(method: str, query: Any, form: Any, path: str) -> None:
    encoded = urlencode(query, doseq=True)
    url = f"https://example.com{path}" + (f"?{encoded}" if encoded else "")
    body = urlencode(form, doseq=True).encode() if method == "POST" else b""
    request = signed(HttpRequest(method, url, (("Content-Type", FORM),), body))
    plivo.verify(request, TOKEN, now=0)
    params = parse_qs(body.decode(), keep_blank_values=True)
    assert validate_v3_signature(method, url, NONCE, TOKEN, signature(request), params)


def test_the_base_that_was_measured() -> None:
    request = post({"To": "+2", "From": "+1", "Digits": "1234", "CallUUID": "x"})
    assert plivo_webhook._base(request) == "https://example.com/abcd?foo=bar.CallUUIDxDigits1234From+1To+2"
    bare = HttpRequest("POST", "https://example.com/abcd#rc=2", (("Content-Type", FORM),))
    assert plivo_webhook._base(bare) == "https://example.com/abcd"


def test_several_signatures_and_the_main_accounts() -> None:
    request = signed(post(RINGING))
    good = signature(request)
    kept = tuple(h for h in request.headers if h[0] != plivo_webhook.SIGNATURE)
    for extra in (
        ((plivo_webhook.SIGNATURE, f"AAAA, {good}"),),
        ((plivo_webhook.SIGNATURE, f"{good},AAAA"),),
        ((plivo_webhook.MAIN_SIGNATURE, good),),
        ((plivo_webhook.SIGNATURE, "AAAA"), (plivo_webhook.MAIN_SIGNATURE, good)),
    ):
        plivo.verify(replace(request, headers=(*kept, *extra)), TOKEN, now=0)
    for extra in (
        (),
        ((plivo_webhook.SIGNATURE, ""),),
        ((plivo_webhook.SIGNATURE, "é"),),
        ((plivo_webhook.SIGNATURE, good), (plivo_webhook.SIGNATURE, good)),
        ((plivo_webhook.SIGNATURE, f"\t{good}"),),
    ):
        with pytest.raises(SignatureInvalid):
            plivo.verify(replace(request, headers=(*kept, *extra)), TOKEN, now=0)


@pytest.mark.parametrize("change", ["missing", "doubled", "other"])
def test_nonces(change: str) -> None:
    request = signed(post(RINGING))
    nonce = (plivo_webhook.NONCE, NONCE)
    kept = tuple(h for h in request.headers if h != nonce)
    headers = {"missing": kept, "doubled": (*kept, nonce, nonce), "other": (*kept, (plivo_webhook.NONCE, "1"))}[change]
    with pytest.raises(SignatureInvalid):
        plivo.verify(replace(request, headers=headers), TOKEN, now=0)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_altered_byte_fails(data: st.DataObject) -> None:
    request = signed(post(RINGING))
    parts = {
        "body": request.body,
        "url": request.url.encode(),
        "signature": signature(request).encode(),
        "key": TOKEN.encode(),
    }
    where = data.draw(st.sampled_from(sorted(parts)))
    old = parts[where]
    index = data.draw(st.integers(0, len(old) - 1))
    parts[where] = (
        old[:index] + bytes([data.draw(st.integers(33, 126).filter(lambda b: b != old[index]))]) + old[index + 1 :]
    )
    headers = (
        ("Content-Type", FORM),
        (plivo_webhook.SIGNATURE, parts["signature"].decode()),
        (plivo_webhook.NONCE, NONCE),
    )
    changed = replace(request, headers=headers, body=parts["body"], url=parts["url"].decode())
    if where == "url" and plivo_webhook._base(changed) == plivo_webhook._base(request):
        return  # HTTPS is https, and a fragment is never sent
    with pytest.raises(SignatureInvalid):
        plivo.verify(changed, parts["key"].decode(), now=0)


def test_bodies_that_the_signature_does_not_cover() -> None:
    request = signed(HttpRequest("POST", "https://example.com/", (("Content-Type", "application/json"),)))
    with pytest.raises(SignatureInvalid):
        plivo.verify(replace(request, body=b"{}"), TOKEN, now=0)
    get = signed(HttpRequest("GET", "https://example.com/?a=1", (("Content-Type", FORM),)))
    with pytest.raises(SignatureInvalid):
        plivo.verify(replace(get, body=b"b=2"), TOKEN, now=0)
    with pytest.raises(ConfigError):
        plivo.verify(get, "", now=0)


# --- webhooks


def test_incoming_call() -> None:
    hook = plivo.parse_webhook(post(RINGING))
    assert (hook.kind, hook.carrier_call_id, hook.direction) == (WebhookKind.INCOMING, CALL, "inbound")
    assert (hook.from_, hook.to, hook.state) == ("+12025550143", "+12025550199", LegState.RINGING)
    assert plivo.parse_webhook(HttpRequest("GET", "https://x/?" + urlencode(RINGING))) == hook
    plus = plivo.parse_webhook(post({**RINGING, "From": "+12025550143"}))
    assert plus.from_ == hook.from_


@pytest.mark.parametrize(
    ("event", "status", "direction", "state"),
    [
        ("StartApp", "in-progress", "outbound", LegState.ANSWERED),
        ("Ring", "ringing", "outbound", LegState.RINGING),
        ("Hangup", "busy", "outbound", LegState.ENDED),
        ("Hangup", "timeout", "outbound", LegState.ENDED),
        ("Hangup", "completed", "inbound", LegState.ENDED),
    ],
)
def test_status_callbacks(event: str, status: str, direction: str, state: LegState) -> None:
    fields = {**RINGING, "Event": event, "CallStatus": status, "Direction": direction, "RequestUUID": REQUEST}
    hook = plivo.parse_webhook(post(fields))
    assert (hook.kind, hook.status, hook.direction, hook.state) == (WebhookKind.STATUS, status, direction, state)
    assert hook.ids == {"request_uuid": REQUEST}


def test_machine_and_stream_callbacks() -> None:
    for word, verdict in (("true", True), ("false", False)):
        hook = plivo.parse_webhook(post({"CallUUID": CALL, "Event": "MachineDetection", "Machine": word}))
        assert (hook.kind, hook.machine) == (WebhookKind.MACHINE, verdict)
    for event in ("StartStream", "StopStream", "DroppedStream", "DegradedStream"):
        hook = plivo.parse_webhook(post({"CallUUID": CALL, "Event": event, "StreamID": REQUEST}))
        assert (hook.kind, hook.status, hook.ids) == (WebhookKind.STREAM, event, {"stream_id": REQUEST})
    assert plivo.parse_webhook(post({**RINGING, "Event": "Redirect"})).kind is WebhookKind.OTHER


@pytest.mark.parametrize("withheld", ["", "anonymous", "Anonymous", "Restricted", "sip:ada1@phone.plivo.com"])
def test_withheld_callers(withheld: str) -> None:
    assert plivo.parse_webhook(post({**RINGING, "From": withheld})).from_ == ""


@pytest.mark.parametrize("name", ["CallUUID", "Event", "From", "To", "Direction", "CallStatus"])
def test_missing_and_doubled_fields(name: str) -> None:
    without = {key: value for key, value in RINGING.items() if key != name}
    with pytest.raises(WebhookInvalid):
        plivo.parse_webhook(post(without))
    with pytest.raises(WebhookInvalid):
        plivo.parse_webhook(post([*RINGING.items(), (name, RINGING[name])]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CallUUID", CALL.upper()),
        ("CallUUID", CALL + "\n"),
        ("CallUUID", CALL + "CallerNameAda"),
        ("From", "0123456789"),
        ("To", "anonymous"),
        ("CallStatus", "ringing "),
        ("Direction", "in"),
        ("Event", "Start App"),
        ("RequestUUID", "x"),
        ("CallerName", "x" + "RequestUUID" + REQUEST),
        ("Machine", "maybe"),
    ],
)
def test_malformed_fields(name: str, value: str) -> None:
    with pytest.raises(WebhookInvalid):
        plivo.parse_webhook(post({**RINGING, name: value}))


def cuts() -> list[list[tuple[str, str]]]:
    """Every body with the same signed text in which one field ends elsewhere or swallows its neighbour."""
    fields = sorted({**RINGING, "RequestUUID": REQUEST}.items())
    found = []
    for index, (name, value) in enumerate(fields):
        joined = name + value
        before, after = fields[:index], fields[index + 1 :]
        found += [[*before, (joined[:at], joined[at:]), *after] for at in range(1, len(joined)) if at != len(name)]
        if after:
            found.append([*before, (name, value + "".join(after[0])), *after[1:]])
    return found


def test_a_signed_body_cut_into_other_fields_does_not_pass() -> None:
    original = post({**RINGING, "RequestUUID": REQUEST})
    good = signature(signed(original))
    taken_by_plivo = 0
    for pairs in cuts():
        forged = replace(
            original,
            body=urlencode(pairs).encode(),
            headers=(*original.headers, (plivo_webhook.SIGNATURE, good), (plivo_webhook.NONCE, NONCE)),
        )
        taken_by_plivo += validate_v3_signature(
            "POST", original.url, NONCE, TOKEN, good, {name: [value] for name, value in pairs}
        )
        try:
            plivo.verify(forged, TOKEN, now=0)
            hook = plivo.parse_webhook(forged)
        except (SignatureInvalid, WebhookInvalid):
            continue
        assert hook == plivo.parse_webhook(original), pairs  # an unused field was cut
    assert taken_by_plivo > 50


def test_the_first_legs_request_is_another_field() -> None:
    for more in ({"ALegRequestUUID": REQUEST}, {"ALegRequestUUID": "", "RequestUUID": REQUEST}):
        hook = plivo.parse_webhook(post({**RINGING, "ALegUUID": CALL, **more}))
        assert hook.ids == ({"request_uuid": REQUEST} if "RequestUUID" in more else {})
    with pytest.raises(WebhookInvalid):
        plivo.parse_webhook(post({**RINGING, "ALegRequestUUID": "xRequestUUID" + REQUEST}))
