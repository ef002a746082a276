"""The session's values: its table, its transcript, its playback buffer, what it makes of messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.wire import ultravox as uv
from uvcall.softphone import session as s
from uvcall.softphone.playback import PlaybackBuffer
from uvcall.softphone.state import TRANSITIONS, Happening, IllegalMove, Phase, step
from uvcall.softphone.transcript import LONGEST_UTTERANCE, MOST_UTTERANCES, TranscriptBook

#: How far a phase is: nothing leads back.
RANK = {phase: rank for rank, phase in enumerate(Phase)}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("happening", Happening)
def test_every_pair_of_the_table(phase, happening):
    if (phase, happening) in TRANSITIONS:
        after = step(phase, happening)
        assert RANK[after] >= RANK[phase]
    else:
        with pytest.raises(IllegalMove):
            step(phase, happening)
    assert step(phase, Happening.CLOSED) is Phase.OVER
    if phase not in {Phase.IDLE, Phase.CONNECTING, Phase.OVER}:
        assert step(phase, Happening.HANG_UP) is Phase.LEAVING


def talking(**given):
    session = s.Session(**given)
    session.dial()
    session.opened(100.0)
    return session


def said(session):
    """Return what the session sends, as messages."""
    sent = [uv.decode(effect.text) for effect in session.out if isinstance(effect, s.Send)]
    session.out.clear()
    return sent


# -- the transcript

WORDS = st.text("ab ", min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=6), st.booleans())
def test_deltas_become_the_text(words, last_is_whole):
    book = TranscriptBook()
    for word in words:
        book.take(uv.Transcript("agent", "voice", 3, delta=word), 1.5)
    if last_is_whole:
        book.take(uv.Transcript("agent", "voice", 3, final=True, text="".join(words)), 9.0)
    text = "".join(words)
    assert [(line.text, line.at_s) for line in book.lines()] == ([(text, 1.5)] if text.strip() else [])


def test_lines_come_in_the_order_of_their_ordinals_and_late_deltas_change_nothing():
    book = TranscriptBook()
    book.take(uv.Transcript("agent", "voice", 7, final=True, text="second"), 5.0)
    book.take(uv.Transcript("user", "voice", 2, final=True, text="first"), 6.0)
    book.take(uv.Transcript("agent", "voice", 7, delta=" again"), 7.0)
    book.take(uv.Transcript("agent", "voice", 8, delta=" "), 7.0)
    assert [(line.role, line.text) for line in book.lines()] == [("user", "first"), ("agent", "second")]
    book.take(uv.Transcript("agent", "voice", 7, final=True, text="sec"), 8.0)  # interrupted: less was heard
    assert book.lines()[1].text == "sec"


def test_a_peer_cannot_fill_the_memory_with_words():
    book = TranscriptBook()
    for _ in range(3):
        book.take(uv.Transcript("agent", "voice", 0, delta="x" * 60_000), 0.0)
    assert len(book.lines()[0].text) == LONGEST_UTTERANCE
    for ordinal in range(1, MOST_UTTERANCES + 5):
        book.take(uv.Transcript("agent", "voice", ordinal, text="x", final=True), 0.0)
    assert len(book.lines()) == MOST_UTTERANCES


# -- the playback buffer


@settings(max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=30).map(lambda b: b[: len(b) // 2 * 2]), st.integers(0, 40))))
def test_what_goes_in_comes_out_once_and_in_order(steps):
    buffer, kept, heard, played = PlaybackBuffer(100, 1e9), b"", b"", b""
    for one in steps:
        if isinstance(one, bytes):
            assert buffer.add(one)
            kept += one
        else:
            piece = buffer.take(one * 2)
            assert len(piece) == one * 2
            real = min(len(piece), len(kept) - len(heard))
            played += piece[:real]
            assert piece[real:] == bytes(len(piece) - real)
            heard = kept[: len(heard) + real]
        assert buffer.waiting_s == pytest.approx((len(kept) - len(heard)) / 200)
    assert played == heard == kept[: len(heard)]


def test_clearing_and_the_limit():
    buffer = PlaybackBuffer(1000, 1.0)
    assert buffer.add(bytes(2000))
    assert not buffer.add(bytes(2))
    assert buffer.take(1000) == bytes(1000)
    assert buffer.clear() == 0.5
    assert buffer.add(b"ab")
    assert buffer.take(4) == b"ab\0\0"


# -- messages


def test_every_message_of_the_servers_is_taken():
    session = talking(tools={"find"})
    for message in (
        uv.CallStarted("c1"),
        uv.State("thinking"),
        uv.Transcript("agent", "voice", 0, delta="Hi"),
        uv.ToolInvocation("find", "1", {"a": 1}),
        uv.PlaybackClearBuffer(),
        uv.Pong(100.5),
        uv.Debug("x"),
        uv.Other("thread_spawned"),
        uv.DataConnectionToolInvocation("find", "2"),
    ):
        session.heard_data(uv.encode(message), 101.0)
    kinds = [type(effect) for effect in session.out]
    assert kinds == [s.Started, s.AgentState, s.Spoken, s.RunTool, s.DropPlayback, s.RoundTrip, s.Note, s.Note, s.Note]
    assert (session.call_id, session.agent, session.phase) == ("c1", "thinking", Phase.TALKING)
    assert session.out[5] == s.RoundTrip(0.5)
    assert session.out[2].utterance.at_s == 1.0
    assert all(effect.detail for effect in session.out[6:])


def test_what_the_person_does_is_said():
    session = talking()
    session.say("hi")
    session.set_output("text")
    session.ping(1.23456)
    session.hang_up("Bye.")
    session.hang_up()
    assert said(session) == [
        uv.UserText("hi", "immediate"),
        uv.SetOutputMedium("text"),
        uv.Ping(1.235),
        uv.HangUp("Bye."),
    ]


def test_nothing_is_said_to_nobody():
    session = s.Session()
    session.hang_up()
    assert (session.phase, session.out) == (Phase.OVER, [])
    session.closed()


def test_a_tool_answers_once_and_a_result_that_cannot_be_sent_is_a_failure():
    session = talking(tools={"find"})
    for _ in range(2):
        session.heard_data(uv.encode(uv.ToolInvocation("find", "1")), 1.0)
    assert [type(effect) for effect in session.out] == [s.RunTool]
    session.out.clear()
    session.tool_done(uv.ToolResult("1", "x" * (1 << 20)))
    (result,) = said(session)
    assert (result.invocation_id, result.error_type) == ("1", "implementation-error")


def test_too_many_tools_at_once():
    session = talking(tools={"find"})
    for number in range(s.MOST_TOOLS + 1):
        session.heard_data(uv.encode(uv.ToolInvocation("find", str(number))), 1.0)
    assert sum(isinstance(effect, s.RunTool) for effect in session.out) == s.MOST_TOOLS
    (refused,) = said(session)
    assert refused.invocation_id == str(s.MOST_TOOLS)


@settings(max_examples=100)
@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps)))
def test_any_text_is_survived(text):
    session = talking()
    session.heard_data(text, 1.0)
    assert all(isinstance(effect, s.Note) for effect in session.out)


@given(st.binary(max_size=9))
def test_any_sound_is_survived(samples):
    session = talking()
    session.heard_audio(samples)
    played = b"".join(effect.samples for effect in session.out if isinstance(effect, s.Play))
    assert played == samples[: len(samples) // 2 * 2]
