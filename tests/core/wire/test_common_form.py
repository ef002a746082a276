"""The quick way through the commonest message gives the same answer as the long way, whatever the message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.wire import messages, plivo_media, telnyx_media, twilio_media
from uvcall.core.wire.events import Audio, Side, WireError

MODULES = [plivo_media, telnyx_media, twilio_media]
STREAMS = ["MZ" + "a" * 32, "", "with \\u0041 escape", 'a"b', "ünicode", "x" * 1025]


def outcome(read, *arguments):
    try:
        return read(*arguments)
    except WireError as error:
        return str(error)


def both(module, side, text):
    common = messages.read_common(module._COMMON[side], text, module.LARGEST_MESSAGE)
    slow = outcome(messages.read, module._READERS, side, text, module.LARGEST_MESSAGE)
    return common, slow


def written(module, side, payload, stream, numbers):
    sequence, chunk, stamp = numbers
    event = Audio(payload, stream, "outbound" if sequence % 2 else "inbound", sequence, chunk, stamp, "L16", 16000)
    return module.encode(side, event)


audio = st.builds(
    written,
    st.sampled_from(MODULES),
    st.sampled_from(list(Side)),
    st.binary(max_size=40).map(lambda data: data[: len(data) & ~1]),
    st.sampled_from(STREAMS),
    st.tuples(*[st.integers(0, 10**18 - 1)] * 3),
)


@given(st.sampled_from(MODULES), st.sampled_from(list(Side)), audio, st.data())
@settings(max_examples=400, deadline=None)
def test_a_message_and_what_is_one_sign_off(module, side, text, data):
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        size = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.text('"\\={}, :0A9\u00e9\n', max_size=2)) + text[at + size :]
    common, slow = both(module, side, text)
    assert common is None or common == slow
    assert outcome(module.decode, side, text) == slow


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("size", [0, 64, 128, 640])
def test_what_is_sent_by_ourselves_has_the_common_form(module, side, size):
    text = written(module, side, bytes(range(64)) * (size // 64), "MZ1", (7, 8, 9))
    common, slow = both(module, side, text)
    assert common is not None
    assert common == slow


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("payload", ["QQ=", "QR==", "Q===", "QQ==QQ==", "\\u0051Q==", "Q Q==", "é", "QUJD", "", "////"])
def test_base64_is_as_strict(module, payload):
    text = written(module, Side.AGENT, b"AB", "MZ1", (7, 8, 9)).replace("QUI=", payload)
    common, slow = both(module, Side.AGENT, text)
    assert common is None or common == slow
    assert outcome(module.decode, Side.AGENT, text) == slow
