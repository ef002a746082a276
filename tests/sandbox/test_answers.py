"""Answer documents, read as the carriers read them; the SDKs' own builders write some of them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plivo import plivoxml
from twilio.twiml.voice_response import Connect, VoiceResponse

from uvcall.core.carrier import Provider
from uvcall.sandbox.answers import Dial, DocumentRefused, HangUp, Pause, Redirect, Stream
from uvcall.sandbox.documents import read, stream_url_problem

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO
URL = "wss://voice.ultravox.ai/calls/1/telephony"


def only(provider, inner):
    (step,) = read(provider, f"<Response>{inner}</Response>").steps
    return step


def code(provider, text):
    with pytest.raises(DocumentRefused) as caught:
        read(provider, text)
    assert "\n" not in caught.value.reason
    return caught.value.code


def test_twilios_own_builder_is_understood():
    response, connect = VoiceResponse(), Connect()
    stream = connect.stream(url=URL, name="ultravox", status_callback="https://example.com/s")
    stream.parameter(name="k", value="v & w")
    response.append(connect)
    response.say("bye")
    stream, say = read(TWILIO, str(response)).steps
    assert (stream.spec.url, stream.spec.encoding, stream.spec.sample_rate) == (URL, "PCMU", 8000)
    assert stream.spec.parameters == {"k": "v & w"}
    assert stream.holds
    assert stream.spec.bidirectional
    assert (stream.name, stream.status_url, stream.status_method) == ("ultravox", "https://example.com/s", "POST")
    assert say == Pause(0.2, "Say")


def test_plivos_own_builder_is_understood():
    document = plivoxml.ResponseElement()
    document.add(
        plivoxml.StreamElement(
            URL + "?a=1&b=2", bidirectional=True, keepCallAlive=True, contentType="audio/x-l16;rate=16000"
        )
    )
    stream = read(PLIVO, document.to_string(False)).steps[0]
    assert stream.spec.url == URL + "?a=1&b=2"
    assert (stream.spec.encoding, stream.spec.sample_rate, stream.holds) == ("L16", 16000, True)


def test_twilio_strips_the_query_string():
    assert only(TWILIO, f"<Connect><Stream url='{URL}?a=1'/></Connect>").spec.url == URL


def test_start_forks_one_way_and_does_not_hold():
    step = only(TWILIO, f"<Start><Stream url='{URL}' track='both_tracks'/></Start>")
    assert (step.holds, step.spec.bidirectional, step.spec.tracks) == (False, False, ("inbound", "outbound"))


@pytest.mark.parametrize(
    ("attributes", "bidirectional", "encoding", "rate", "back"),
    [
        ("", False, "PCMU", 8000, ("PCMU", 8000)),
        ("bidirectionalMode='rtp'", True, "PCMU", 8000, ("PCMU", 8000)),
        (
            "bidirectionalMode='rtp' codec='L16' bidirectionalCodec='L16' bidirectionalSamplingRate='16000'",
            True,
            "L16",
            16000,
            ("L16", 16000),
        ),
        ("bidirectionalMode='rtp' codec='L16' bidirectionalCodec='L16'", True, "L16", 16000, ("L16", 8000)),
        ("bidirectionalMode='rtp' codec='PCMA'", True, "PCMA", 8000, ("PCMU", 8000)),
    ],
)
def test_texml_streams(attributes, bidirectional, encoding, rate, back):
    spec = only(TELNYX, f"<Connect><Stream url='{URL}' {attributes}/></Connect>").spec
    assert (spec.bidirectional, spec.encoding, spec.sample_rate) == (bidirectional, encoding, rate)
    assert (spec.agent_encoding, spec.agent_sample_rate) == back


def test_plivos_defaults_do_not_hold_and_are_one_way():
    step = only(PLIVO, f"<Stream>{URL}</Stream>")
    assert (step.holds, step.spec.bidirectional, step.spec.encoding, step.spec.sample_rate) == (
        False,
        False,
        "L16",
        8000,
    )
    both = only(PLIVO, f"<Stream audioTrack='both' extraHeaders='a=1,b=2'>{URL}</Stream>").spec
    assert (both.tracks, both.parameters) == (("inbound", "outbound"), {"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("provider", "inner", "step"),
    [
        (TWILIO, "<Pause length='3'/>", Pause(3.0, "Pause")),
        (PLIVO, "<Wait length='3'/>", Pause(3.0, "Wait")),
        (PLIVO, "<Speak>Sorry, bye now!</Speak>", Pause(1.0, "Speak")),
        (TWILIO, "<Play>https://example.com/a.mp3</Play>", Pause(1.0, "Play")),
        (TWILIO, "<Dial>+13125550100</Dial>", Dial("+13125550100")),
        (
            PLIVO,
            "<Dial callerId='+1' timeout='9'><Number>+13125550100</Number></Dial>",
            Dial("+13125550100", "+1", 9.0),
        ),
        (TWILIO, "<Redirect method='GET'>https://example.com</Redirect>", Redirect("https://example.com", "GET")),
        (TELNYX, "<Hangup/>", HangUp()),
        (TWILIO, "<Reject reason='busy'/>", HangUp("busy")),
        (TELNYX, "<Reject/>", HangUp("rejected")),
        (PLIVO, "<Hangup reason='busy'/>", HangUp("busy")),
    ],
)
def test_verbs(provider, inner, step):
    assert only(provider, inner) == step


@pytest.mark.parametrize(
    ("provider", "text", "expected"),
    [
        (TWILIO, "", "12100"),
        (TWILIO, "not xml", "12100"),
        (TWILIO, "<Response>", "12100"),
        (TWILIO, "<Other/>", "12100"),
        (TWILIO, '<!DOCTYPE r [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>', "12100"),
        (TWILIO, "<Response>" + "<Pause/>" * 20_000 + "</Response>", "12100"),
        (TWILIO, "<Response><Stream url='wss://x'/></Response>", "12200"),
        (TWILIO, "<Response><Connect/></Response>", "12200"),
        (TWILIO, f"<Response><Connect><Stream url='{URL}' track='outbound_track'/></Connect></Response>", "31941"),
        (TWILIO, f"<Response><Connect><Stream url='{URL}' track='all'/></Connect></Response>", "31941"),
        (TWILIO, "<Response><Connect><Stream url='https://x/y'/></Connect></Response>", "11100"),
        (TWILIO, "<Response><Connect><Stream/></Connect></Response>", "11100"),
        (TWILIO, f"<Response><Connect><Stream url='{URL}'><Say>x</Say></Stream></Connect></Response>", "12200"),
        (TWILIO, "<Response><Pause length='-1'/></Response>", "12200"),
        (TWILIO, "<Response><Say/></Response>", "12200"),
        (TWILIO, "<Response><Dial/></Response>", "12200"),
        (TWILIO, "<Response><Redirect/></Response>", "12200"),
        (TWILIO, "<Response><Play/></Response>", "12200"),
        (TWILIO, "<Response><Reject reason='later'/></Response>", "12200"),
        (TELNYX, f"<Response><Connect><Stream url='{URL}' bidirectionalMode='wav'/></Connect></Response>", "texml"),
        (TELNYX, f"<Response><Connect><Stream url='{URL}' codec='OPUS'/></Connect></Response>", "texml"),
        (PLIVO, f"<Response><Stream bidirectional='true' audioTrack='both'>{URL}</Stream></Response>", "8011"),
        (PLIVO, f"<Response><Stream bidirectional='yes'>{URL}</Stream></Response>", "8011"),
        (PLIVO, f"<Response><Stream contentType='audio/wav'>{URL}</Stream></Response>", "8011"),
        (PLIVO, f"<Response><Stream streamTimeout='0'>{URL}</Stream></Response>", "8011"),
        (PLIVO, "<Response><Stream><Url>x</Url></Stream></Response>", "8011"),
        (PLIVO, f"<Response><Connect><Stream url='{URL}'/></Connect></Response>", "8011"),
    ],
)
def test_refused_documents(provider, text, expected):
    assert code(provider, text) == expected


def test_verbs_that_the_sandbox_lacks_are_passed_over_with_a_warning():
    answer = read(TWILIO, "<Response><Gather><Say>Press 1</Say></Gather><Hangup/></Response>")
    assert answer.steps == (HangUp(),)
    assert answer.warnings == ("<Gather> is passed over",)


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        (URL, True),
        ("ws://127.0.0.1:8000/x", True),
        ("ws://localhost/x", True),
        ("ws://[::1]:9/x", True),
        ("ws://voice.ultravox.ai/x", False),
        ("http://127.0.0.1/x", False),
        ("wss://", False),
        ("wss://[x", False),
        ("wss://host:port/x", False),
    ],
)
def test_stream_urls(url, fine):
    assert (stream_url_problem(url) == "") is fine


@given(st.text(max_size=60), st.sampled_from(list(Provider)))
@settings(max_examples=60)
def test_any_text_is_read_or_refused(text, provider):
    for document in (text, f"<Response>{text}</Response>", f"<Response><Stream>{text}</Stream></Response>"):
        with contextlib.suppress(DocumentRefused):
            steps = read(provider, document).steps
            assert all(isinstance(step, Stream | Pause | Dial | Redirect | HangUp) for step in steps)
