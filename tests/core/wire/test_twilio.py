"""Twilio's wire against Twilio's own library: its validator, its TwiML builder."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, Reject, VoiceResponse

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.model import LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import FORM, HttpRequest, SignatureInvalid, WebhookInvalid, header
from uvcall.core.wire import twilio, twilio_webhook
from uvcall.core.wire.events import WebhookKind
from uvcall.errors import ConfigError, ContractBroken, UsageError

JOIN = JoinUrl("wss://voice.ultravox.ai/calls/0b7c/telephony")
TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
CALL = "CA" + "0" * 31 + "1"
ACCOUNT = "AC" + "f" * 32
RINGING = {
    "CallSid": CALL,
    "AccountSid": ACCOUNT,
    "ApiVersion": "2010-04-01",
    "From": "+12025550143",
    "To": "+12025550199",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "CallerName": "ADA LOVELACE",
}

PROGRESS = {**RINGING, "AnsweredBy": "human", "CallbackSource": "call-progress-events", "CallToken": "x"}


def post(fields: dict[str, str] | list[tuple[str, str]], url: str = URL, **headers: str) -> HttpRequest:
    given_headers = (("Content-Type", FORM), *((k.replace("_", "-"), v) for k, v in headers.items()))
    return HttpRequest("POST", url, given_headers, urlencode(fields).encode())


def signed(request: HttpRequest, token: str = TOKEN) -> HttpRequest:
    return twilio.sign(request, token, now=0, nonce="")


def signature(request: HttpRequest) -> str:
    return header(request.headers, "X-Twilio-Signature") or ""


# --- documents


def same_xml(ours: str, theirs: object) -> None:
    assert ET.canonicalize(ours) == ET.canonicalize(str(theirs))


def test_answer_is_what_twilios_builder_writes() -> None:
    response = VoiceResponse()
    connect = Connect()
    connect.stream(url=JOIN.reveal())
    response.append(connect)
    response.hangup()
    ours = twilio.answer_xml(JOIN, StreamOptions())
    same_xml(ours, response)
    assert ours == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect>'
        '<Stream url="wss://voice.ultravox.ai/calls/0b7c/telephony"/></Connect><Hangup/></Response>'
    )


def test_answer_with_attributes_is_what_twilios_builder_writes() -> None:
    response = VoiceResponse()
    connect = Connect()
    connect.stream(
        url=JOIN.reveal(),
        track="inbound_track",
        name='a & "b"',
        status_callback="https://example.com/s?a=1&b=2",
        status_callback_method="POST",
    )
    response.append(connect)
    response.hangup()
    ours = twilio.answer_xml(
        JOIN,
        StreamOptions(track="inbound_track", codec="PCMU"),
        attributes={
            "name": 'a & "b"',
            "statusCallback": "https://example.com/s?a=1&b=2",
            "statusCallbackMethod": "POST",
        },
    )
    same_xml(ours, response)


def test_fallback_forwards_as_twilios_builder_writes() -> None:
    response = VoiceResponse()
    dial = Dial(timeout=20, time_limit=600)
    dial.number("+12025550123")
    response.append(dial)
    response.hangup()
    same_xml(twilio.fallback_xml(say="unused", forward_to="+12025550123"), response)


def test_fallback_speaks_as_twilios_builder_writes() -> None:
    response = VoiceResponse()
    response.say("Sorry, <nobody> & nothing.", language="de-DE")
    response.hangup()
    same_xml(twilio.fallback_xml(say=" Sorry, <nobody> & nothing. ", language="de-DE"), response)


def test_fallback_without_words_hangs_up() -> None:
    assert twilio.fallback_xml(say="").endswith("<Response><Hangup/></Response>")


@pytest.mark.parametrize(("busy", "reason"), [(True, "busy"), (False, "rejected")])
def test_reject_is_what_twilios_builder_writes(busy: bool, reason: str) -> None:
    response = VoiceResponse()
    response.append(Reject(reason=reason))
    same_xml(twilio.reject_xml(busy=busy), response)


@pytest.mark.parametrize(
    ("options", "attributes", "named"),
    [
        (StreamOptions(track="both_tracks"), None, "track=both_tracks"),
        (StreamOptions(track="outbound_track"), None, "track=outbound_track"),
        (StreamOptions(codec="L16"), None, "codec=L16"),
        (StreamOptions(target_legs="opposite"), None, "target_legs=opposite"),
        (StreamOptions(), {"track": "both_tracks"}, "track=both_tracks"),
        (StreamOptions(), {"statusCallback": "ftp://x"}, "statusCallback=ftp://x"),
        (StreamOptions(), {"statusCallbackMethod": "PUT"}, "statusCallbackMethod=PUT"),
        (StreamOptions(), {"url": "wss://evil.example"}, "attribute url"),
        (StreamOptions(), {"audioFormat": "x"}, "attribute audioFormat"),
        (StreamOptions(), {"statusCalback": "https://x"}, "statusCalback"),
        (StreamOptions(), {"name": "a\nb"}, "name=a?b"),
    ],
)
def test_answer_refuses_by_name(options: StreamOptions, attributes: dict[str, str] | None, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        twilio.answer_xml(JOIN, options, attributes=attributes)
    assert named in caught.value.message
    assert caught.value.hint
    assert JOIN.reveal() not in caught.value.message + caught.value.hint


def test_answer_asks_did_you_mean() -> None:
    with pytest.raises(UsageError) as caught:
        twilio.answer_xml(JOIN, StreamOptions(), attributes={"statusCalback": "https://x"})
    assert caught.value.hint == "did you mean statusCallback?"


def test_answer_refuses_a_join_url_with_a_query() -> None:
    with pytest.raises(ContractBroken) as caught:
        twilio.answer_xml(JoinUrl(JOIN.reveal() + "?token=s3cret"), StreamOptions())
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_answer_stays_within_twilios_four_thousand_characters() -> None:
    long_url = JoinUrl("wss://voice.ultravox.ai/" + "a" * 1990)
    callback = "https://example.com/" + "b" * 1900
    with pytest.raises(UsageError, match=r"has 4,\d{3} characters"):
        twilio.answer_xml(long_url, StreamOptions(), attributes={"statusCallback": callback})


# --- signatures


def test_vector_of_twilios_documentation() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    request = signed(post(fields))
    assert signature(request) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    twilio.verify(request, TOKEN, now=0)


FIELDS = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    FIELDS, st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]), st.text(st.characters(codec="ascii"), min_size=1, max_size=9)
)
def test_twilios_validator_accepts_what_we_sign(fields: dict[str, str], algorithm: str, token: str) -> None:
    request = signed(post(fields, X_Twilio_Webhooks_Signature_Settings=f"key=k,algorithm={algorithm}"), token)
    twilio.verify(request, token, now=0)
    params = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    assert RequestValidator(token).validate(URL, params, signature(request), algorithm)


@settings(max_examples=60, deadline=None)
@given(FIELDS, st.sampled_from(["", ":443", ":8443"]), st.sampled_from(["", ":443"]))
def test_we_accept_what_twilio_signs_with_and_without_port(fields: dict[str, str], signed_port: str, seen: str) -> None:
    validator = RequestValidator(TOKEN)
    request = post(fields, f"https://mycompany.com{seen}/a?b=c")
    params = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    theirs = validator.compute_signature(f"https://mycompany.com{signed_port}/a?b=c", params)
    request = replace(request, headers=(*request.headers, ("X-Twilio-Signature", theirs)))
    if signed_port == ":8443":
        with pytest.raises(SignatureInvalid):
            twilio.verify(request, TOKEN, now=0)
        assert not validator.validate(request.url, params, theirs)
    else:
        twilio.verify(request, TOKEN, now=0)
        assert validator.validate(request.url, params, theirs)


def test_get_requests_and_repeated_fields() -> None:
    get = signed(HttpRequest("GET", URL))
    twilio.verify(get, TOKEN, now=0)
    assert RequestValidator(TOKEN).validate(URL, {}, signature(get))
    twice = signed(post([("a", "2"), ("a", "1"), ("a", "1")]))
    twilio.verify(twice, TOKEN, now=0)


def test_json_bodies_are_covered_by_their_hash() -> None:
    body = b'{"a": 1}'
    request = signed(HttpRequest("POST", "https://mycompany.com/x", (("Content-Type", "application/json"),), body))
    assert request.url.endswith("?bodySHA256=" + hashlib.sha256(body).hexdigest())
    twilio.verify(request, TOKEN, now=0)
    assert RequestValidator(TOKEN).validate(request.url, body.decode(), signature(request))
    for changed in (b'{"a": 2}', b""):
        with pytest.raises(SignatureInvalid):
            twilio.verify(replace(request, body=changed), TOKEN, now=0)
    unhashed = signed(HttpRequest("POST", "https://mycompany.com/x"))
    with pytest.raises(SignatureInvalid):
        twilio.verify(replace(unhashed, body=body), TOKEN, now=0)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_altered_byte_fails(data: st.DataObject) -> None:
    request = signed(post(RINGING))
    where = data.draw(st.sampled_from(["body", "url", "signature", "key"]))
    source = {
        "body": request.body,
        "url": URL.encode(),
        "signature": signature(request).encode(),
        "key": TOKEN.encode(),
    }
    old = source[where]
    index = data.draw(st.integers(0, len(old) - 1))
    new = old[:index] + bytes([data.draw(st.integers(33, 126).filter(lambda b: b != old[index]))]) + old[index + 1 :]
    changed = {
        "body": lambda: replace(request, body=new),
        "url": lambda: replace(request, url=new.decode()),
        "signature": lambda: replace(request, headers=(("Content-Type", FORM), ("X-Twilio-Signature", new.decode()))),
        "key": lambda: request,
    }[where]()
    if where == "body" and parse_qsl(new.decode(), keep_blank_values=True) == parse_qsl(old.decode()):
        return  # '%2B' and '%2b' are the same parameter
    if where == "url" and new.startswith(b"https://mycompany.com/myapp.php?foo=1&bar=2#"):
        return
    with pytest.raises(SignatureInvalid):
        twilio.verify(changed, new.decode() if where == "key" else TOKEN, now=0)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Content-Type", FORM),),
        (("Content-Type", FORM), ("X-Twilio-Signature", "")),
        (("Content-Type", FORM), ("X-Twilio-Signature", "é")),
    ],
)
def test_missing_or_foreign_signatures(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(SignatureInvalid):
        twilio.verify(HttpRequest("POST", URL, headers, urlencode(RINGING).encode()), TOKEN, now=0)


def test_doubled_headers_and_unknown_algorithms() -> None:
    request = signed(post(RINGING))
    twice = replace(request, headers=(*request.headers, ("x-twilio-signature", signature(request))))
    with pytest.raises(SignatureInvalid):
        twilio.verify(twice, TOKEN, now=0)
    settings_header = "X-Twilio-Webhooks-Signature-Settings"
    for value in ("key=k,algorithm=NONE", ""):
        with pytest.raises(SignatureInvalid):
            twilio.verify(replace(request, headers=(*request.headers, (settings_header, value))), TOKEN, now=0)
    twilio.verify(replace(request, headers=(*request.headers, (settings_header, "key=k"))), TOKEN, now=0)


def test_an_empty_key_signs_nothing() -> None:
    with pytest.raises(ConfigError):
        twilio.verify(signed(post(RINGING)), "", now=0)


# --- webhooks


def test_incoming_call() -> None:
    hook = twilio.parse_webhook(post(RINGING))
    assert (hook.provider, hook.kind, hook.carrier_call_id) == (Provider.TWILIO, WebhookKind.INCOMING, CALL)
    assert (hook.from_, hook.to, hook.direction) == ("+12025550143", "+12025550199", "inbound")
    assert (hook.state, hook.status, hook.machine) == (LegState.RINGING, "ringing", None)
    assert hook.ids == {"account_sid": ACCOUNT}
    assert hook.raw["CallerName"] == "ADA LOVELACE"
    assert twilio.parse_webhook(HttpRequest("GET", "https://x/y?" + urlencode(RINGING))) == hook


@pytest.mark.parametrize(
    "withheld",
    ["", "anonymous", "Anonymous", "Restricted", "+266696687", "+8656696", "sip:ada@example.com", "client:ada"],
)
def test_withheld_callers(withheld: str) -> None:
    assert twilio.parse_webhook(post({**RINGING, "From": withheld})).from_ == ""


@pytest.mark.parametrize("status", list(twilio_webhook.STATUSES))
def test_status_callbacks(status: str) -> None:
    fields = {
        **RINGING,
        "CallStatus": status,
        "Direction": "outbound-api",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "3",
        "AnsweredBy": "machine_start",
    }
    hook = twilio.parse_webhook(post(fields))
    assert (hook.kind, hook.direction, hook.status) == (WebhookKind.STATUS, "outbound", status)
    assert hook.state is twilio_webhook.STATUSES[status]
    assert hook.machine is True


def test_a_ringing_callback_is_not_an_incoming_call() -> None:
    fields = {**RINGING, "CallbackSource": "call-progress-events"}
    assert twilio.parse_webhook(post(fields)).kind is WebhookKind.STATUS


@pytest.mark.parametrize("word", ["stream-started", "stream-stopped", "stream-error"])
def test_stream_callbacks(word: str) -> None:
    stream = "MZ" + "a" * 32
    fields = {"CallSid": CALL, "AccountSid": ACCOUNT, "StreamSid": stream, "StreamEvent": word, "Timestamp": "t"}
    hook = twilio.parse_webhook(post(fields))
    assert (hook.kind, hook.status) == (WebhookKind.STREAM, word)
    assert hook.ids["stream_sid"] == stream


@pytest.mark.parametrize(("word", "machine"), [("human", False), ("machine_start", True), ("unknown", None)])
def test_machine_callbacks(word: str, machine: bool | None) -> None:
    fields = {"CallSid": CALL, "AccountSid": ACCOUNT, "AnsweredBy": word, "MachineDetectionDuration": "2900"}
    hook = twilio.parse_webhook(post(fields))
    assert (hook.kind, hook.machine, hook.status) == (WebhookKind.MACHINE, machine, word)


@pytest.mark.parametrize("name", ["CallSid", "AccountSid", "From", "To", "CallStatus", "Direction"])
def test_missing_and_doubled_fields(name: str) -> None:
    without = {key: value for key, value in RINGING.items() if key != name}
    with pytest.raises(WebhookInvalid):
        twilio.parse_webhook(post(without))
    with pytest.raises(WebhookInvalid):
        twilio.parse_webhook(post([*RINGING.items(), (name, RINGING[name])]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CallSid", CALL + "\n"),
        ("CallSid", "CA" + "A" * 32),
        ("CallSid", "CA../../x"),
        ("AccountSid", "AC"),
        ("From", "+1202555014x"),
        ("From", "12025550143"),
        ("From", "+١٢٠٢٥٥٥٠١٤٣"),
        ("To", ""),
        ("To", "anonymous"),
        ("To", "+12025550199;ext=1"),
        ("CallStatus", "Ringing"),
        ("Direction", "sideways"),
    ],
)
def test_malformed_fields(name: str, value: str) -> None:
    with pytest.raises(WebhookInvalid) as caught:
        twilio.parse_webhook(post({**RINGING, name: value}))
    assert name in caught.value.message


def cuts() -> list[list[tuple[str, str]]]:
    """Every body with the same signed text in which one field ends elsewhere or swallows its neighbour."""
    fields = sorted(PROGRESS.items())
    found = []
    for index, (name, value) in enumerate(fields):
        joined = name + value
        before, after = fields[:index], fields[index + 1 :]
        found += [[*before, (joined[:at], joined[at:]), *after] for at in range(1, len(joined)) if at != len(name)]
        if after:
            found.append([*before, (name, value + "".join(after[0])), *after[1:]])
    return found


def test_a_signed_body_cut_into_other_fields_does_not_pass() -> None:
    original = post(PROGRESS)
    good = signature(signed(original))
    validator = RequestValidator(TOKEN)
    taken_by_twilio = 0
    for pairs in cuts():
        headers = (*original.headers, ("X-Twilio-Signature", good))
        forged = replace(original, body=urlencode(pairs).encode(), headers=headers)
        taken_by_twilio += validator.validate(URL, dict(pairs), good)
        try:
            twilio.verify(forged, TOKEN, now=0)
            hook = twilio.parse_webhook(forged)
        except (SignatureInvalid, WebhookInvalid):
            continue
        assert hook == twilio.parse_webhook(original), pairs  # an unused field was cut
    assert taken_by_twilio > 50


def test_bodies_that_are_no_forms() -> None:
    for kind, body in [("application/json", b"{}"), (FORM, b"\xff"), (FORM, b"a"), (FORM, b"a=%ff"), (FORM, b"a=1;b")]:
        with pytest.raises(WebhookInvalid):
            twilio.parse_webhook(HttpRequest("POST", URL, (("Content-Type", kind),), body))
