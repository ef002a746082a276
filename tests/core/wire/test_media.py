"""The media protocols: what one side writes the other reads, and the carriers' own examples byte for byte."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.carrier import Provider
from uvcall.core.wire import wire
from uvcall.core.wire.events import (
    Audio,
    Clear,
    Cleared,
    Connected,
    Digit,
    Mark,
    Media,
    SendDigits,
    Side,
    Started,
    Stopped,
    StreamError,
    Unknown,
    WireError,
)
from uvcall.core.wire.messages import KEYS

CARRIER, AGENT = Side.CARRIER, Side.AGENT
PAYLOAD = b64encode(b"\xff\x7f\x00\x01").decode()

# --- what a carrier's documents show, one line each; ids and payload filled in where the page has an ellipsis.
# https://www.twilio.com/docs/voice/media-streams/websocket-messages
TWILIO_CARRIER = {
    '{"event":"connected","protocol":"Call","version":"1.0.0"}': Connected("1.0.0"),
    '{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1",'
    '"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},'
    '"customParameters":{"k":"v"}},"streamSid":"MZ1"}': Started(
        "MZ1", "CA1", "PCMU", 8000, "AC1", parameters={"k": "v"}
    ),
    '{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"5",'
    f'"payload":"{PAYLOAD}"}},"streamSid":"MZ1"}}': Audio(b"\xff\x7f\x00\x01", "MZ1", "inbound", 4, 2, 5),
    '{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}': Digit(
        "1", "MZ1", 5
    ),
    '{"event":"mark","sequenceNumber":"4","streamSid":"MZ1","mark":{"name":"my label"}}': Mark("my label", "MZ1", 4),
    '{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC1","callSid":"CA1"},"streamSid":"MZ1"}': Stopped(
        "CA1", "AC1", "MZ1", 5
    ),
}
TWILIO_AGENT = {
    f'{{"event":"media","streamSid":"MZ1","media":{{"payload":"{PAYLOAD}"}}}}': Audio(b"\xff\x7f\x00\x01", "MZ1"),
    '{"event":"mark","streamSid":"MZ1","mark":{"name":"my label"}}': Mark("my label", "MZ1"),
    '{"event":"clear","streamSid":"MZ1"}': Clear("MZ1"),
}
# https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
TELNYX_CARRIER = {
    '{"event":"connected","version":"1.0.0"}': Connected("1.0.0"),
    '{"event":"start","sequence_number":"1","start":{"user_id":"3E6F","call_control_id":"v3:abc",'
    '"call_session_id":"ff55","from":"+13122010094","to":"+13122123456","client_state":"aGF2","media_format":'
    '{"encoding":"PCMU","sample_rate":8000,"channels":1}},"stream_id":"32DE"}': Started(
        "32DE",
        "v3:abc",
        "PCMU",
        8000,
        "3E6F",
        session_id="ff55",
        from_="+13122010094",
        to="+13122123456",
        client_state="aGF2",
    ),
    '{"event":"media","sequence_number":"4","media":{"track":"inbound","chunk":"2","timestamp":"5",'
    f'"payload":"{PAYLOAD}"}},"stream_id":"32DE"}}': Audio(b"\xff\x7f\x00\x01", "32DE", "inbound", 4, 2, 5),
    '{"event":"dtmf","stream_id":"32DE","occurred_at":"2025-06-05T08:54:19.698408Z","sequence_number":"5",'
    '"dtmf":{"digit":"1"}}': Digit("1", "32DE", 5, "2025-06-05T08:54:19.698408Z"),
    '{"event":"mark","stream_id":"32DE","sequence_number":"5","mark":{"name":"some_mark_name"}}': Mark(
        "some_mark_name", "32DE", 5
    ),
    '{"event":"stop","sequence_number":"5","stop":{"user_id":"3E6F","call_control_id":"v3:abc"},'
    '"stream_id":"32DE"}': Stopped("v3:abc", "3E6F", "32DE", 5),
    '{"event":"error","payload":{"code":100003,"title":"malformed_frame","detail":"d"},"stream_id":"32DE"}': StreamError(
        100003, "malformed_frame", "d", "32DE"
    ),
}
TELNYX_AGENT = {
    f'{{"event":"media","media":{{"payload":"{PAYLOAD}"}}}}': Audio(b"\xff\x7f\x00\x01"),
    '{"event":"mark","mark":{"name":"some_mark_name"}}': Mark("some_mark_name"),
    '{"event":"clear"}': Clear(),
}
# https://plivo.com/docs/voice/audio-streaming/concepts/protocol
PLIVO_CARRIER = {
    '{"event":"start","sequenceNumber":1,"start":{"callId":"CALL","streamId":"STREAM","accountId":"MA1","tracks":'
    '["inbound"],"mediaFormat":{"encoding":"audio/x-l16","sampleRate":16000}},"extra_headers":"k=v;k2=v2"}': Started(
        "STREAM", "CALL", "L16", 16000, "MA1", parameters={"k": "v", "k2": "v2"}
    ),
    '{"event":"media","sequenceNumber":2,"streamId":"STREAM","media":{"track":"inbound","timestamp":"1700000000000",'
    f'"chunk":1,"payload":"{PAYLOAD}"}}}}': Audio(b"\xff\x7f\x00\x01", "STREAM", "inbound", 2, 1, 1700000000000),
    '{"event":"dtmf","sequenceNumber":9,"streamId":"STREAM","dtmf":{"track":"inbound","digit":"5",'
    '"timestamp":"1700000001000"}}': Digit("5", "STREAM", 9, "1700000001000"),
    '{"event":"playedStream","sequenceNumber":10,"streamId":"STREAM","name":"checkpoint-1"}': Mark(
        "checkpoint-1", "STREAM", 10
    ),
    '{"event":"clearedAudio","sequenceNumber":11,"streamId":"STREAM"}': Cleared("STREAM", 11),
}
PLIVO_AGENT = {
    f'{{"event":"playAudio","media":{{"contentType":"audio/x-l16","sampleRate":16000,"payload":"{PAYLOAD}"}}}}': Audio(
        b"\xff\x7f\x00\x01", encoding="L16", sample_rate=16000
    ),
    '{"event":"checkpoint","streamId":"STREAM","name":"checkpoint-1"}': Mark("checkpoint-1", "STREAM"),
    '{"event":"clearAudio","streamId":"STREAM"}': Clear("STREAM"),
    '{"event":"sendDTMF","dtmf":"123#"}': SendDigits("123#"),
}
GOLDEN = [
    pytest.param(provider, side, text, event, id=f"{provider}-{side}-{type(event).__name__}")
    for provider, side, table in (
        (Provider.TWILIO, CARRIER, TWILIO_CARRIER),
        (Provider.TWILIO, AGENT, TWILIO_AGENT),
        (Provider.TELNYX, CARRIER, TELNYX_CARRIER),
        (Provider.TELNYX, AGENT, TELNYX_AGENT),
        (Provider.PLIVO, CARRIER, PLIVO_CARRIER),
        (Provider.PLIVO, AGENT, PLIVO_AGENT),
    )
    for text, event in table.items()
]


@pytest.mark.parametrize(("provider", "side", "text", "event"), GOLDEN)
def test_golden_messages(provider: Provider, side: Side, text: str, event: Media) -> None:
    assert wire(provider).decode(side, text) == event
    assert wire(provider).encode(side, event) == text
    spaced = json.dumps({**json.loads(text), "new_field": [1]}, indent=1)
    assert wire(provider).decode(side, spaced) == event


# --- round trips

WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBERS = st.integers(0, 10**15)
BYTES = st.binary(max_size=640)
TRACK = st.sampled_from(["inbound", "outbound"])
TRACKS = st.sampled_from([("inbound",), ("outbound",), ("inbound", "outbound")])
PAIRS = st.dictionaries(WORDS, WORDS, max_size=3)
DIGIT = st.sampled_from(sorted(KEYS))
SAFE = st.text("abcXYZ019", min_size=1, max_size=6)


def unknown(*taken: str) -> st.SearchStrategy[Media]:
    return st.builds(Unknown, WORDS.filter(lambda word: word and word not in taken), st.just({"a": 1}))


AUDIO = st.tuples(BYTES, WORDS, TRACK, NUMBERS, NUMBERS, NUMBERS).map(lambda fields: Audio(*fields))
MARK = st.builds(Mark, WORDS, WORDS, NUMBERS)
STOPPED = st.builds(Stopped, WORDS, WORDS, WORDS, NUMBERS)
SAID: dict[tuple[Provider, Side], st.SearchStrategy[Media]] = {
    (Provider.TWILIO, CARRIER): st.one_of(
        st.builds(Connected, WORDS),
        st.builds(Started, WORDS, WORDS, st.just("PCMU"), st.just(8000), WORDS, TRACKS, PAIRS, NUMBERS),
        AUDIO,
        st.builds(Digit, DIGIT, WORDS, NUMBERS),
        MARK,
        STOPPED,
        unknown("connected", "start", "media", "dtmf", "mark", "stop"),
    ),
    (Provider.TWILIO, AGENT): st.one_of(
        st.tuples(BYTES, WORDS).map(lambda fields: Audio(*fields)),
        st.builds(Mark, WORDS, WORDS),
        st.builds(Clear, WORDS),
        unknown("media", "mark", "clear"),
    ),
    (Provider.TELNYX, CARRIER): st.one_of(
        st.builds(Connected, WORDS),
        st.builds(
            Started,
            WORDS,
            WORDS,
            st.sampled_from(["PCMU", "PCMA", "L16"]),
            NUMBERS,
            WORDS,
            parameters=PAIRS,
            sequence=NUMBERS,
            session_id=WORDS,
            from_=WORDS,
            to=WORDS,
            client_state=WORDS,
        ),
        AUDIO,
        st.builds(Digit, DIGIT, WORDS, NUMBERS, WORDS),
        MARK,
        STOPPED,
        st.builds(StreamError, NUMBERS, WORDS, WORDS, WORDS),
        unknown("connected", "start", "media", "dtmf", "mark", "stop", "error"),
    ),
    (Provider.TELNYX, AGENT): st.one_of(
        BYTES.map(Audio), st.builds(Mark, WORDS), st.just(Clear()), unknown("media", "mark", "clear")
    ),
    (Provider.PLIVO, CARRIER): st.one_of(
        st.builds(
            lambda form, *rest: Started(rest[0], rest[1], *form, *rest[2:]),
            st.sampled_from([("L16", 8000), ("L16", 16000), ("PCMU", 8000)]),
            WORDS,
            WORDS,
            WORDS,
            TRACKS,
            st.dictionaries(SAFE, SAFE, max_size=3),
            NUMBERS,
        ),
        AUDIO,
        st.builds(Digit, DIGIT, WORDS, NUMBERS, WORDS),
        MARK,
        st.builds(Cleared, WORDS, NUMBERS),
        unknown("start", "media", "dtmf", "playedStream", "clearedAudio", "stop"),
    ),
    (Provider.PLIVO, AGENT): st.one_of(
        st.builds(
            lambda samples, rate: Audio(samples * 2, encoding="L16", sample_rate=rate),
            st.binary(max_size=640),
            st.sampled_from([8000, 16000]),
        ),
        st.builds(lambda payload: Audio(payload, encoding="PCMU", sample_rate=8000), BYTES),
        st.builds(Mark, WORDS, WORDS),
        st.builds(Clear, WORDS),
        st.builds(SendDigits, st.text("0123456789*#", min_size=1, max_size=20)),
        unknown("playAudio", "checkpoint", "clearAudio", "sendDTMF"),
    ),
}


@pytest.mark.parametrize(("provider", "side"), list(SAID), ids=str)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(provider: Provider, side: Side, data: st.DataObject) -> None:
    event = data.draw(SAID[provider, side])
    text = wire(provider).encode(side, event)
    assert text.isascii()
    assert isinstance(json.loads(text), dict)
    assert wire(provider).decode(side, text) == event


@pytest.mark.parametrize(("provider", "side"), list(SAID), ids=str)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_changed_is_read_or_refused(provider: Provider, side: Side, data: st.DataObject) -> None:
    message: Any = json.loads(wire(provider).encode(side, data.draw(SAID[provider, side])))
    junk = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=4),
        st.just([]),
        st.just({}),
        st.just(["x"]),
    )
    target = message
    while True:
        key = data.draw(st.sampled_from(sorted(target)))
        if not (isinstance(target[key], dict) and target[key] and data.draw(st.booleans())):
            break
        target = target[key]
    target[key] = data.draw(junk)
    text = json.dumps(message)
    try:
        event = wire(provider).decode(side, text)
    except WireError:
        with pytest.raises(WireError, match=r"\A[ -~]{1,200}\Z"):
            wire(provider).decode(side, text)
    else:
        assert wire(provider).decode(side, text) == event


# --- what is refused


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"media"',
        "{}",
        '{"event":1}',
        '{"event":""}',
        '{"event":null}',
        '{"event":"' + "x" * 65 + '"}',
        '{"event":"media"}',
        '{"event":"media","media":[]}',
        '{"event":"media","x":NaN}',
        '{"event":"media"',
        "[" * 60_000,
        '{"event":' * 6_000,
        '{"event":"x","n":' + "1" * 5000 + "}",
        '{"event":"\\ud800"}',
    ],
    ids=range(17),
)
def test_messages_that_are_none(provider: Provider, side: Side, text: str) -> None:
    if provider is Provider.PLIVO and side is AGENT and '"media"' in text and "NaN" not in text and text.endswith("}"):
        assert wire(provider).decode(side, text) == Unknown("media")  # the agent's word there is playAudio
        return
    with pytest.raises(WireError) as caught:
        wire(provider).decode(side, text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize(
    "spoil", ["=", "QUJD=", "QQ", "QR==", "QQ==QQ==", " QQ==", "QQ==\n", "Q-_=", "é", 5, None, ["QQ=="]]
)
def test_payloads_that_are_no_base64(provider: Provider, spoil: object) -> None:
    text = wire(provider).encode(CARRIER, Audio(b"abc", "s"))
    message = json.loads(text)
    message["media"]["payload"] = spoil
    with pytest.raises(WireError, match="payload"):
        wire(provider).decode(CARRIER, json.dumps(message))


@pytest.mark.parametrize("provider", [Provider.TWILIO, Provider.TELNYX])
@pytest.mark.parametrize("number", [5, "-5", "5.0", "\u0665", " 5", "", "1" * 19, None, True])
def test_numbers_are_strings_of_digits_there(provider: Provider, number: object) -> None:
    message = json.loads(wire(provider).encode(CARRIER, Audio(b"abc", "s")))
    message["media"]["chunk"] = number
    with pytest.raises(WireError, match="chunk"):
        wire(provider).decode(CARRIER, json.dumps(message))


@pytest.mark.parametrize("number", ["5", -5, 5.0, 10**18, None, True, [5]])
def test_numbers_are_integers_at_plivo(number: object) -> None:
    message = json.loads(wire(Provider.PLIVO).encode(CARRIER, Audio(b"abc", "s")))
    message["media"]["chunk"] = number
    with pytest.raises(WireError, match="chunk"):
        wire(Provider.PLIVO).decode(CARRIER, json.dumps(message))


@pytest.mark.parametrize(
    ("provider", "limit"), [(Provider.PLIVO, 1 << 16), (Provider.TWILIO, 1 << 20), (Provider.TELNYX, 1 << 20)]
)
def test_longest_messages(provider: Provider, limit: int) -> None:
    room = limit - len(wire(provider).encode(CARRIER, Audio(b"", "s")))
    audio = Audio(b"a" * (room // 4 * 3), "s")
    assert wire(provider).decode(CARRIER, wire(provider).encode(CARRIER, audio)) == audio
    with pytest.raises(WireError, match="longer than"):
        wire(provider).encode(CARRIER, audio._replace(payload=audio.payload + b"a" * 4))
    with pytest.raises(WireError, match="longer than"):
        wire(provider).decode(CARRIER, '{"event":"x","a":"' + "a" * limit + '"}')
    with pytest.raises(WireError, match="longer than"):
        wire(provider).decode(CARRIER, '{"event":"x","a":"' + "é" * (limit // 2) + '"}')


CANNOT = [
    (Provider.PLIVO, CARRIER, Connected()),
    (Provider.PLIVO, CARRIER, Stopped()),
    (Provider.PLIVO, CARRIER, StreamError(1, "x")),
    (Provider.PLIVO, AGENT, Audio(b"ab")),
    (Provider.PLIVO, AGENT, Audio(b"ab", encoding="PCMA", sample_rate=8000)),
    (Provider.PLIVO, AGENT, Audio(b"abc", encoding="L16", sample_rate=8000)),
    (Provider.PLIVO, AGENT, SendDigits("12x")),
    (Provider.PLIVO, AGENT, SendDigits("")),
    (Provider.PLIVO, CARRIER, Started("s", "c", "PCMU", 16000)),
    (Provider.PLIVO, CARRIER, Started("s", "c", "PCMU", 8000, parameters={"a": "b;c"})),
    (Provider.TWILIO, CARRIER, Started("s", "c", "L16", 16000)),
    (Provider.TWILIO, CARRIER, Cleared("s")),
    (Provider.TWILIO, AGENT, SendDigits("1")),
    (Provider.TWILIO, AGENT, Connected()),
    (Provider.TWILIO, AGENT, Unknown("media")),
    (Provider.TWILIO, AGENT, Unknown("")),
    (Provider.TWILIO, CARRIER, Unknown("x", {"a": object()})),
    (Provider.TWILIO, CARRIER, Audio(b"", sequence=-1)),
    (Provider.TWILIO, CARRIER, Digit("12")),
    (Provider.TELNYX, CARRIER, Started("s", "c", "OPUS", 48000)),
    (Provider.TELNYX, AGENT, SendDigits("1")),
    (Provider.TELNYX, CARRIER, Mark("m", sequence=10**18)),
]


@pytest.mark.parametrize(("provider", "side", "event"), CANNOT, ids=lambda value: type(value).__name__)
def test_what_a_side_cannot_say(provider: Provider, side: Side, event: Media) -> None:
    with pytest.raises(WireError):
        wire(provider).encode(side, event)


def test_formats_that_a_carrier_does_not_have() -> None:
    twilio = next(iter(text for text, event in TWILIO_CARRIER.items() if isinstance(event, Started)))
    for old, new in (("mulaw", "l16"), ("8000", "16000"), ('["inbound"]', '["sideways"]'), ('"MZ1"}', '"MZ2"}')):
        with pytest.raises(WireError):
            wire(Provider.TWILIO).decode(CARRIER, twilio.replace(old, new))
    plivo = next(iter(PLIVO_CARRIER))
    for old, new in (("16000", "24000"), ("16000", '"16000"'), ("audio/x-l16", "audio/x-alaw"), ('["inbound"]', "[]")):
        with pytest.raises(WireError):
            wire(Provider.PLIVO).decode(CARRIER, plivo.replace(old, new))
    telnyx = list(TELNYX_CARRIER)[1]
    with pytest.raises(WireError):
        wire(Provider.TELNYX).decode(CARRIER, telnyx.replace("PCMU", "G722"))


def test_plivos_other_spellings() -> None:
    plivo = wire(Provider.PLIVO)
    play = next(iter(PLIVO_AGENT))
    assert plivo.decode(AGENT, play.replace("16000", '"16000"')) == plivo.decode(AGENT, play)
    start = next(iter(PLIVO_CARRIER))
    assert plivo.decode(CARRIER, start.replace("k=v;k2", "k=v, k2")) == plivo.decode(CARRIER, start)
    assert plivo.decode(CARRIER, '{"event":"stop","streamId":"s"}') == Stopped(stream_id="s")
    assert plivo.decode(CARRIER, '{"event":"stop"}') == Stopped()


def test_unknown_messages_keep_what_they_say() -> None:
    for provider in Provider:
        event = wire(provider).decode(CARRIER, '{"event":"novelty","n":{"a":[1,2]}}')
        assert isinstance(event, Unknown)
        assert event.raw == {"event": "novelty", "n": {"a": [1, 2]}}
        assert json.loads(wire(provider).encode(CARRIER, event)) == event.raw


def test_texts_and_tables_have_an_end() -> None:
    twilio = wire(Provider.TWILIO)
    assert twilio.decode(AGENT, twilio.encode(AGENT, Mark("m" * 1024, "s"))) == Mark("m" * 1024, "s")
    with pytest.raises(WireError, match="name is longer than 1,024"):
        twilio.decode(AGENT, twilio.encode(AGENT, Mark("m" * 1025, "s")))
    many = Started("s", "c", "PCMU", 8000, parameters={str(n): "v" for n in range(65)})
    with pytest.raises(WireError, match="customParameters has more than 64"):
        twilio.decode(CARRIER, twilio.encode(CARRIER, many))


def test_l16_has_whole_samples_at_plivo() -> None:
    play = '{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":8000,"payload":"QUJD"}}'
    with pytest.raises(WireError, match="even number"):
        wire(Provider.PLIVO).decode(AGENT, play)
