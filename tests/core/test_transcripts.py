"""Transcripts: whatever was said, every reader of a format finds every cue, and a terminal obeys none."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.model import Line
from uvcall.core.printable import UNSAFE
from uvcall.core.transcripts import Format, Message, line_of, message_of, render

HELLO = Message("agent", "Hello.", 0.4, 1.25, stage="s-1")
SAID = [
    HELLO,
    Message("user", "Hi,\nwho is <b>there</b> & why --> now?", 2.0, 3.5),
    Message("tool_call", '{"day": 1}', 3.6, tool="book"),
    Message("agent", "   "),
    Message("agent", "שלום 👩‍🚀 \u202eevil\x1b[31m", None),
]

TEXTS = st.text(
    st.one_of(
        st.characters(), st.sampled_from('\n\r\x1b\x00\u2028\u202e\ud800->&<:{}\\"\u0085\u001c '), st.sampled_from("ab")
    ),
    max_size=40,
)
TIMES = st.none() | st.floats(-10, 1e12, allow_nan=False) | st.floats(0, 100)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["user", "agent", "tool_call", "tool_result"]),
        TEXTS,
        TIMES,
        TIMES,
        TEXTS,
        TEXTS,
        TEXTS,
    ),
    max_size=8,
)


def test_text():
    assert render(SAID, Format.TEXT) == (
        "agent: Hello.\n"
        "user: Hi, who is <b>there</b> & why --> now?\n"
        'tool_call book: {"day": 1}\n'
        "agent: שלום 👩‍🚀 \\u202eevil\\x1b[31m\n"
    )


def test_json_lines():
    first, *rest = render(SAID, Format.JSONL).splitlines()
    assert json.loads(first) == {"role": "agent", "text": "Hello.", "at_s": 0.4, "end_s": 1.25, "stage": "s-1"}
    assert [json.loads(line)["text"] for line in rest] == [message.text for message in SAID[1:]]
    assert "שלום 👩‍🚀 \\u202eevil\\u001b[31m" in rest[-1]


def test_subrip():
    assert render(SAID, Format.SRT) == (
        "1\n00:00:00,400 --> 00:00:01,250\nagent: Hello.\n\n"
        "2\n00:00:02,000 --> 00:00:03,500\nuser: Hi, who is <b>there</b> & why -- > now?\n\n"
        '3\n00:00:03,600 --> 00:00:04,600\ntool_call book: {"day": 1}\n\n'
        "4\n00:00:04,600 --> 00:00:05,867\nagent: שלום 👩‍🚀 \\u202eevil\\x1b[31m\n\n"
    )


def test_webvtt():
    assert render(SAID[:2], Format.VTT) == (
        "WEBVTT\n\n00:00:00.400 --> 00:00:01.250\n<v agent>Hello.\n"
        "\n00:00:02.000 --> 00:00:03.500\n<v user>Hi, who is &lt;b&gt;there&lt;/b&gt; &amp; why --&gt; now?\n"
    )


@pytest.mark.parametrize("form", Format)
def test_nothing_was_said(form):
    assert render([], form) == ("WEBVTT\n" if form is Format.VTT else "")


def test_lines_of_the_record():
    assert line_of(HELLO) == Line("agent", "Hello.", 0.4)
    assert line_of(SAID[2]) is None
    assert line_of(SAID[3]) is None
    assert message_of(Line("user", "Hi", 1.0)) == Message("user", "Hi", 1.0)


def test_times_beyond_a_day_and_before_the_beginning():
    shown = render([Message("user", "a", -3.0, -1.0), Message("agent", "b", 360_000.0, 1e12)], Format.SRT)
    assert "00:00:00,000 --> 00:00:00,001" in shown
    assert "100:00:00,000 --> 999:59:59,999" in shown


def blocks(document):
    """Cut a document at its blank lines, as every reader of SRT and VTT does."""
    return [block for block in re.split(r"\n\n+", document.strip("\n")) if block]


def milliseconds(text):
    hours, minutes, seconds, ms = re.fullmatch(r"(\d{2,}):([0-5]\d):([0-5]\d)[,.](\d{3})", text).groups()
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(ms)


def check_times(arrows):
    starts = []
    for arrow in arrows:
        start, end = (milliseconds(text) for text in arrow.split(" --> "))
        assert start < end
        starts.append(start)
    assert starts == sorted(starts)


@settings(max_examples=80)
@given(MESSAGES)
def test_a_reader_finds_every_cue(messages):
    spoken = [message for message in messages if message.text.strip()]
    cues = [block.split("\n") for block in blocks(render(messages, Format.SRT))]
    assert [cue[0] for cue in cues] == [str(number + 1) for number in range(len(spoken))]
    assert all(len(cue) == 3 and cue[2].startswith(message.role) for cue, message in zip(cues, spoken, strict=True))
    assert all("-->" not in cue[2] for cue in cues)
    check_times(cue[1] for cue in cues)

    head, *cues = blocks(render(messages, Format.VTT))
    assert head == "WEBVTT"
    assert len(cues) == len(spoken)
    for cue in cues:
        arrow, words = cue.split("\n")
        assert "-->" not in words
        assert re.fullmatch(r"<v [^<>&]+>([^<>&]|&(amp|lt|gt);)*", words)
        assert " --> " in arrow
    check_times(cue.split("\n")[0] for cue in cues)


@settings(max_examples=80)
@given(MESSAGES)
def test_no_terminal_obeys_it_and_nothing_is_lost(messages):
    for form in Format:
        document = render(messages, form)
        assert not re.search(UNSAFE, document)
        assert not document or document.endswith("\n")
        document.encode()
    told = [json.loads(line) for line in render(messages, Format.JSONL).splitlines()]
    assert [(one["role"], one["text"], one["at_s"]) for one in told] == [message[:3] for message in messages]
    assert render(messages, Format.TEXT).count("\n") == sum(bool(message.text.strip()) for message in messages)
