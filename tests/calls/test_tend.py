"""Speaking into a call, and what it leaves behind: once, in time, or not at all and saying why."""

import io
from collections import deque
from datetime import timedelta

import pytest
from support.tended import (
    ASKED,
    BAD_WEATHER,
    CALL,
    FROM,
    JOINED,
    LEFT,
    NOT_FOUND,
    NOW,
    PLACED,
    UNJOINED,
    WAITS,
    Peers,
    attempt,
    tools,
    up,
)

from uvcall.calls import tend
from uvcall.calls.subject import call_of, find
from uvcall.core.inbound_policy import Step as Inbound
from uvcall.download import Fetched
from uvcall.errors import AuthError, FateUnknown, LocalError, ProviderRefused, Temporary, UsageError
from uvcall.journal import Step
from uvcall.journal.inbound import Known, Seen


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def kit(peers, journal):
    return tools(peers, journal)


# Which call is meant


def test_an_attempt_by_any_of_its_ids(kit, journal):
    text = up(journal)
    for named in (text, text[:8], text.upper(), CALL, "CA1"):
        subject = find(kit, named)
        assert (subject.entry.attempt_id, call_of(kit, subject)) == (text, CALL)


def test_a_call_that_only_ultravox_knows(kit, peers):
    assert call_of(kit, find(kit, CALL.upper())) == CALL
    assert peers.log == []


def test_a_call_that_was_answered_here(peers, journal):
    ledger = {"CA7": Seen(Known("twilio:CA7", Inbound.JOINED, 0.0, CALL), FROM),
              "CA8": Seen(Known("twilio:CA8", Inbound.REFUSED, 0.0), FROM)}  # fmt: skip
    kit = tools(peers, journal, answered=ledger.get)
    assert call_of(kit, find(kit, "CA7")) == CALL
    with pytest.raises(UsageError, match="no Ultravox call"):
        call_of(kit, find(kit, "CA8"))


def test_an_attempt_whose_ultravox_call_nobody_wrote_down(kit, peers, journal):
    text = attempt(journal, ASKED, (Step.UNKNOWN, {"reason": "lost"}))
    with pytest.raises(Temporary, match="no Ultravox call yet"):
        call_of(kit, find(kit, text))
    peers.by_metadata = deque([[WAITS._replace(call_id="other"), JOINED]])
    assert call_of(kit, find(kit, text)) == CALL


def test_an_attempt_that_has_none(kit, peers, journal):
    text = attempt(journal, (Step.ENDED, {"outcome": "temporary", "exit_code": 75, "placed": "no"}))
    with pytest.raises(UsageError, match="no Ultravox call") as caught:
        call_of(kit, find(kit, text))
    assert "calls show" in caught.value.hint
    assert peers.log == []


# Speaking


def say(kit, text=CALL, speaker="agent", urgency="immediate", **more):
    return tend.say(kit, find(kit, text), "One moment.", speaker=speaker, urgency=urgency, **more)


def test_words_are_said_once(kit, peers):
    assert say(kit, uninterruptible=True) == CALL
    say(kit, speaker="user", urgency="later")
    assert peers.log == ["agent: One moment. (immediate, True)", "user: One moment. (later)"]


def test_a_lost_answer_is_told_and_nothing_is_said_again(kit, peers):
    peers.says = deque([FateUnknown("it may have dialed", status=502)])
    with pytest.raises(ProviderRefused, match="may have been said") as caught:
        say(kit)
    assert caught.value.status == 502
    assert "transcript" in caught.value.hint
    assert len(peers.log) == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (WAITS, Temporary, "not been joined yet"),
        (LEFT, ProviderRefused, "is over since 2026-03-01 12:00:09Z"),
        (UNJOINED, ProviderRefused, "is over"),
        (JOINED, ProviderRefused, "not active"),
    ],
    ids=["before", "after", "never", "whoever-knows"],
)
def test_a_call_that_is_not_active(kit, peers, call, error, words):
    peers.says, peers.calls = deque([ProviderRefused("not active", status=422)]), deque([call])
    with pytest.raises(error, match=words) as caught:
        say(kit)
    assert type(caught.value) is error


@pytest.mark.parametrize("error", [NOT_FOUND, BAD_WEATHER, AuthError("wrong key", hint="mend it")])
def test_other_refusals_are_themselves(kit, peers, error):
    peers.says = deque([error])
    with pytest.raises(type(error)) as caught:
        say(kit)
    assert caught.value is error


def test_words_are_looked_at_before_anybody_is_asked():
    assert tend.checked_words("Hello,\nyou.\r\n") == "Hello,\nyou."
    assert tend.checked_words("é" * 7500) == "é" * 7500
    for text in ("", " \n", "a\0b", "\udc80", "é" * 7501):
        with pytest.raises(UsageError, match="TEXT"):
            tend.checked_words(text)


def test_urgencies():
    assert tend.checked_urgency("agent", None) == "immediate"
    assert tend.checked_urgency("user", None) == "soon"
    assert tend.checked_urgency("user", "later") == "later"
    with pytest.raises(UsageError, match="--urgency later"):
        tend.checked_urgency("agent", "later")


# What is left


def fetch(kit, text=CALL):
    subject = find(kit, text)
    sink, seen = io.BytesIO(), []
    call = tend.require_recording(kit, subject)
    return tend.recording(kit, subject, call, sink, lambda *now: seen.append(now)), sink.getvalue(), seen


def test_a_recording(kit, peers):
    peers.downloads = deque([Fetched(4)])
    assert fetch(kit) == (Fetched(4), b"RIFF", [(4, 4)])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (WAITS, Temporary, "not over yet"),
        (JOINED, Temporary, "not over yet"),
        (UNJOINED, ProviderRefused, "nobody joined"),
        (LEFT._replace(recorded=False), ProviderRefused, "not recorded"),
        (JOINED._replace(recorded=False), ProviderRefused, "not recorded"),
        (NOT_FOUND, ProviderRefused, "no such call"),
    ],
)
def test_there_is_no_recording(kit, peers, call, error, words):
    peers.calls = deque([call])
    with pytest.raises(error, match=words) as caught:
        fetch(kit)
    assert type(caught.value) is error
    assert f"download {CALL}" not in peers.log


@pytest.mark.parametrize(
    ("status", "age", "error"),
    [
        (404, timedelta(seconds=30), Temporary),
        (404, timedelta(minutes=11), ProviderRefused),
        (425, timedelta(minutes=11), Temporary),
        (403, timedelta(seconds=30), ProviderRefused),
    ],
)
def test_a_recording_that_is_not_there_may_be_in_the_making(peers, journal, status, age, error):
    kit = tools(peers, journal, now=lambda: NOW + timedelta(seconds=9) + age)
    peers.downloads = deque([ProviderRefused("none", status=status)])
    with pytest.raises(error) as caught:
        fetch(kit)
    assert (type(caught.value), caught.value.status) == (error, status)


def test_a_full_disk_is_itself(kit, peers):
    peers.downloads = deque([LocalError("the disk is full", hint="free some")])
    with pytest.raises(LocalError):
        fetch(kit)


def test_messages_and_events(kit, peers, journal):
    text = up(journal)
    assert [message.text for message in tend.messages(kit, find(kit, text))] == ["Hello.", "Hi."]
    assert tend.events(kit, find(kit, text), severity="warning", kind="media") == []
    assert peers.log == [f"messages {CALL}", "events warning media"]
    assert PLACED[1]["ultravox_call_id"] == CALL
