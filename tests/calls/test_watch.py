"""Watching a call: what is told, when it is over, whose word counts, and that nobody is hung up by looking."""

from collections import deque
from datetime import timedelta

import pytest
from support.tended import (
    ASKED,
    BAD_WEATHER,
    BUSY,
    CALL,
    DONE,
    FROM,
    GONE,
    HELLO,
    HI,
    JOINED,
    LEFT,
    LEG,
    NOT_FOUND,
    NOW,
    OVER,
    PLACED,
    QUEUED,
    RINGING,
    TO,
    UNJOINED,
    UP,
    WAITS,
    Peers,
    attempt,
    tools,
    up,
)

from uvcall.calls.ports import Moment
from uvcall.calls.spoken import Spoken
from uvcall.calls.subject import find
from uvcall.calls.watch import watch
from uvcall.core.inbound_policy import Step as Inbound
from uvcall.core.model import Line, Outcome
from uvcall.errors import AuthError, ContractBroken, ProviderRefused, Temporary
from uvcall.journal import GRACE, State, Step, this_process
from uvcall.journal.inbound import Known, Seen


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def see(peers, journal):
    """Watch; returns the record and what was told."""

    def _see(text, timeout_s=None, **more):
        told = []
        kit = tools(peers, journal, **more)
        record = watch(kit, find(kit, text), told.append, timeout_s=timeout_s)
        assert not [line for line in peers.log if line.startswith(("hang up", "end "))]
        return record, [one.line.text if one.line else one.text or one.moment.value for one in told]

    return _see


def test_from_ringing_to_its_end(see, peers, journal):
    peers.statuses = deque([QUEUED, RINGING, UP, UP, DONE])
    peers.finds = deque([[LEG]])
    peers.calls = deque([WAITS, JOINED, JOINED, LEFT])
    peers.transcripts = deque([[], [HELLO], [HELLO, HI]])
    text = up(journal)
    record, told = see(text)
    assert told == ["ringing", "answered", "talking", "Hello.", "Hi.", "over"]
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.COMPLETED, 0, "yes")
    assert record.transcript == (HELLO, HI)
    # Nobody followed it: its end is in the journal now.
    assert journal.get(text).state is State.ENDED


@pytest.mark.parametrize(("leg", "outcome"), [(BUSY, Outcome.BUSY), (DONE, Outcome.SILENT)])
def test_an_end_without_a_conversation(see, peers, journal, leg, outcome):
    peers.statuses, peers.calls = deque([leg]), deque([UNJOINED])
    record, _ = see(up(journal))
    assert record.outcome is outcome
    assert record.transcript == ()


def test_whoever_follows_it_has_the_last_word(see, peers, journal):
    text = up(journal, mine=True)

    def over():
        if journal.get(text).open:
            journal.step(text, Step.ENDED, NOW, outcome="voicemail", exit_code=13, placed="yes")
        return DONE

    peers.statuses = deque([UP, over])
    record, _ = see(text)
    assert (record.outcome, record.exit_code) == (Outcome.VOICEMAIL, 13)


def test_a_follower_that_says_nothing_is_not_waited_for_long(see, peers, journal, monkeypatch):
    monkeypatch.setattr("uvcall.calls.watch._OWNER_S", 0.01)
    text = up(journal, mine=True)
    record, _ = see(text)
    assert record.outcome is Outcome.COMPLETED
    assert (record.ended_at, record.duration_s) == (DONE.ended_at, 9.0)
    assert journal.get(text).open


def test_one_that_is_over_is_shown_at_once(see, peers, journal):
    record, told = see(attempt(journal, ASKED, PLACED, OVER))
    assert told == ["Hello.", "Hi.", "over"]
    assert (record.outcome, record.transcript) == (Outcome.COMPLETED, (HELLO, HI))
    assert peers.log == ["transcript"]


def test_its_transcript_may_be_gone(see, peers, journal):
    peers.transcripts = deque([NOT_FOUND])
    record, told = see(attempt(journal, ASKED, PLACED, OVER))
    assert (record.outcome, record.transcript) == (Outcome.COMPLETED, ())
    assert "cannot be read" in told[0]


def test_nothing_was_placed(see, peers, journal):
    record, _ = see(attempt(journal, owner=GONE))
    assert (record.placed, record.exit_code) == ("no", 75)
    ended = attempt(journal, (Step.ENDED, {"outcome": "temporary", "exit_code": 75, "placed": "no"}))
    assert see(ended)[0].exit_code == 75


def test_one_that_is_being_placed_is_waited_for(see, peers, journal):
    text = attempt(journal, owner=this_process())
    looks = iter(range(100))

    def now():
        if next(looks) == 6:
            journal.step(text, *ASKED[:1], NOW, **ASKED[1])
            journal.step(text, *PLACED[:1], NOW, **PLACED[1])
            journal.step(text, *OVER[:1], NOW, **OVER[1])
        return NOW

    assert see(text, now=now)[0].outcome is Outcome.COMPLETED


def test_bad_weather_passes(see, peers, journal):
    peers.statuses = deque([UP, BAD_WEATHER, ContractBroken("HTML"), DONE])
    peers.calls = deque([JOINED, LEFT])
    record, told = see(up(journal))
    assert record.outcome is Outcome.COMPLETED
    assert [line for line in told if "again" in line] == [
        "it answered with HTTP 502: looking again",
        "it can be seen again",
    ]


def test_bad_weather_that_stays(see, peers, journal):
    peers.statuses, peers.calls = deque([UP, BAD_WEATHER]), deque([JOINED])
    record, _ = see(up(journal))
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.UNOBSERVED, 21, "yes")
    assert record.error.status == 502
    assert record.next.startswith("uvcall reconcile")


@pytest.mark.parametrize("error", [BAD_WEATHER, ContractBroken("HTML"), AuthError("wrong key", hint="mend it")])
def test_what_cannot_be_seen_at_all(see, peers, journal, error):
    peers.statuses = deque([error])
    with pytest.raises(type(error)):
        see(up(journal))


def test_enough_is_enough(see, peers, journal):
    peers.statuses, peers.calls = deque([UP]), deque([JOINED])
    record, _ = see(up(journal), timeout_s=0.02)
    assert (record.outcome, record.exit_code, record.transcript) == (Outcome.UNOBSERVED, 21, (HELLO, HI))
    record, _ = see(CALL.replace("5a", "5b"), timeout_s=0.02)
    assert (record.outcome, record.exit_code) == (Outcome.UNOBSERVED, 21)


def test_a_call_that_dial_has_left_is_not_over_because_dial_is(see, peers, journal):
    peers.statuses, peers.calls = deque([UP]), deque([JOINED])
    left = (Step.LEFT, {"outcome": "accepted", "exit_code": 0})
    record, _ = see(attempt(journal, ASKED, PLACED, left), timeout_s=0.02)
    assert (record.outcome, record.exit_code) == (Outcome.UNOBSERVED, 21)


def test_a_signal_ends_the_watching(peers, journal):
    peers.statuses, peers.calls = deque([UP]), deque([JOINED])
    kit = tools(peers, journal)

    def tell(progress):
        if progress.moment is Moment.LINE:
            kit.desk.interrupt(15)

    record = watch(kit, find(kit, up(journal)), tell)
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.INTERRUPTED, 143, "yes")
    assert record.transcript == (HELLO, HI)
    assert "hang up CA1" not in peers.log


def test_one_that_nobody_shows_is_given_up(see, peers, journal):
    text = attempt(journal, ASKED, (Step.UNKNOWN, {"reason": "lost"}), owner=GONE)
    record, _ = see(text, now=lambda: NOW + timedelta(minutes=3))
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.UNKNOWN, 20, "unknown")
    assert journal.get(text).open


def test_nothing_is_watched_for_ever(see, peers, journal):
    peers.statuses, peers.calls, peers.finds = deque([QUEUED]), deque([WAITS]), deque([[]])
    record, _ = see(up(journal), now=lambda: NOW + timedelta(minutes=15) + GRACE)
    assert record.exit_code == 21


# Calls that the journal does not have


def test_a_call_of_another_machine(see, peers, journal):
    peers.calls, peers.transcripts = deque([WAITS, JOINED, LEFT]), deque([[HELLO], [HELLO, HI]])
    record, told = see(CALL)
    assert told == ["talking", "Hello.", "Hi.", "over"]
    assert (record.outcome, record.placed, record.ultravox_call_id) == (Outcome.COMPLETED, "yes", CALL)
    assert (record.attempt_id, record.to, record.duration_s) == (None, "", 9.0)


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        (UNJOINED, Outcome.FAILED),
        (LEFT._replace(end_reason="connection_error"), Outcome.AGENT_FAILED),
        (LEFT._replace(end_reason="timeout"), Outcome.MAX_DURATION),
    ],
)
def test_how_it_ended_is_ultravoxs_word(see, peers, call, outcome):
    peers.calls = deque([call])
    assert see(CALL)[0].outcome is outcome


def test_a_call_of_another_account(see, peers):
    peers.calls = deque([NOT_FOUND])
    with pytest.raises(ProviderRefused, match="no such call"):
        see(CALL)


def test_a_call_that_was_answered_here_is_read_from_its_webhooks(see, peers):
    steps = deque([Inbound.CLAIMED, Inbound.CREATED, Inbound.CREATED, Inbound.JOINED, Inbound.JOINED, Inbound.ENDED])
    peers.calls, peers.transcripts = deque([JOINED, LEFT]), deque([[HELLO], [HELLO, HI]])

    def ledger(text):
        step = steps.popleft() if len(steps) > 1 else steps[0]
        return Seen(Known("telnyx:v3:x", step, 0.0, "" if step is Inbound.CLAIMED else CALL), FROM)

    record, told = see("v3:x", answered=ledger)
    assert told == ["talking", "Hello.", "Hi.", "over"]
    assert (record.provider, record.from_, record.outcome) == ("telnyx", FROM, Outcome.COMPLETED)
    # Once, because nothing had been heard for long, and once at the end.
    assert peers.log.count(f"get {CALL}") == 2


def test_a_caller_who_was_refused(see, peers):
    seen = Seen(Known("telnyx:v3:x", Inbound.REFUSED, 0.0, "", "too many calls"), FROM)
    record, _ = see("v3:x", answered=lambda _: seen)
    assert (record.outcome, record.end_reason) == (Outcome.FAILED, "too many calls")
    assert peers.log == []


# Reading what grows


def test_new_lines_and_changed_ones_are_told():
    spoken = Spoken()
    assert spoken.take([HELLO]) == (HELLO,)
    assert spoken.take([HELLO]) == ()
    assert spoken.take([HELLO._replace(at_s=0.5)]) == ()
    longer = Line("agent", "Hello there.", 0.4)
    assert spoken.take([longer, HI]) == (longer, HI)
    assert spoken.take([longer]) == ()
    assert spoken.lines == (longer,)


def test_to_and_from_are_the_journals(see, peers, journal):
    record, _ = see(up(journal))
    assert (record.to, record.from_, record.provider) == (TO, FROM, "twilio")
    assert isinstance(BAD_WEATHER, Temporary)
