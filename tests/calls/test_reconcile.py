"""Every row of the decision table, with peers that say what the test wants; none of them can be asked to dial."""

import ast
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from support.scripted import play

import uvcall.calls
from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.history import record_of
from uvcall.calls.lookup import Lookup, OpenLine, Reports, Vendors
from uvcall.calls.moves import LISTED_WITHIN, MOVES, Age, Move, Sight, age_of
from uvcall.calls.reconcile import Reconciler, exit_code
from uvcall.calls.refresh import refresh
from uvcall.carriers import BEGINS_WITHIN_S
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, Failure, LegState, LegStatus, Outcome, PlacedCall, UltravoxCall
from uvcall.errors import AuthError, ConfigError, LocalError, ProviderRefused, Temporary
from uvcall.journal import GRACE, Intent, Owner, State, Step, digest_of, open_journal, process_alive, this_process

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEATH = BEGUN + timedelta(minutes=15)
NOWS = {
    Age.FRESH: BEGUN + timedelta(seconds=30),
    Age.YOUNG: BEGUN + LISTED_WITHIN,
    Age.DEAD: DEATH,
    Age.STALE: DEATH + GRACE,
}
DEAD_OWNER = Owner(1, "gone")
TO, FROM = "+12025550100", "+12025550199"
QUICK = Timing(poll_ringing_s=0.001, leg_grace_s=0.003, request_s=1, hang_up_s=0.5)

QUEUED = LegStatus(LegState.QUEUED)
RINGING = LegStatus(LegState.RINGING, raw="ringing")
TALKING = LegStatus(LegState.ANSWERED, raw="in-progress", answered=True)
BUSY = LegStatus(LegState.ENDED, Cause.BUSY, "busy")
DONE = LegStatus(LegState.ENDED, Cause.NORMAL, "completed", answered=True, answered_at=BEGUN,
                 ended_at=BEGUN + timedelta(seconds=9), cost="0.02 USD")  # fmt: skip
CANCELED = LegStatus(LegState.ENDED, Cause.CANCELED, "canceled")
LEG = PlacedCall(Provider.TWILIO, "CA1", {"session": "s-1"})
OTHER = PlacedCall(Provider.TWILIO, "CA2")

WAITS = UltravoxCall("uv-1")
JOINED = UltravoxCall("uv-1", joined_at=BEGUN)
LEFT = UltravoxCall("uv-1", joined_at=BEGUN, ended_at=BEGUN + timedelta(seconds=9), end_reason="hangup")
UNJOINED = UltravoxCall("uv-1", ended_at=BEGUN, end_reason="unjoined")

UNREADABLE = Temporary("the list cannot be read", status=503)
GONE = Temporary("no such call", status=404)


@dataclass
class Peers:
    """A carrier's line and an Ultravox; the first entry of a script that has only one is said for ever."""

    statuses: deque = field(default_factory=lambda: deque([GONE]))
    finds: deque = field(default_factory=lambda: deque([[]]))
    calls: deque = field(default_factory=lambda: deque([UNJOINED]))
    by_metadata: deque = field(default_factory=lambda: deque([[]]))
    hang_ups: deque = field(default_factory=lambda: deque([True]))
    log: list = field(default_factory=list)

    def open(self):
        self.log.append("open")

    def status(self, placed):
        self.log.append(f"status {placed.carrier_call_id} {sorted(placed.ids.values())}")
        return play(self.statuses)

    def find(self, order, *, since, until):
        self.log.append("find")
        self.order, self.since, self.until = order, since, until
        return play(self.finds)

    def get_call(self, call_id):
        self.log.append(f"get {call_id}")
        return play(self.calls)

    def calls_by_metadata(self, key, value):
        self.log.append(f"metadata {key}={value}")
        return play(self.by_metadata)

    def hang_up(self, what):
        who = "agent" if isinstance(what, str) else "leg"
        self.log.append(f"hang_up {who}")
        return play(self.hang_ups) if who == "leg" else True


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path) as opened:
        yield opened


@pytest.fixture
def begin(journal):
    """Bring an attempt into a state, as a process does that dies then; return it."""

    def _begin(state, *, owner=DEAD_OWNER, via="sdk", carrier_id="CA1", to=TO, begun=BEGUN, error=None):
        attempt_id = str(uuid4())
        journal.begin(
            Intent(attempt_id, "twilio", to, FROM, begun, begun + (DEATH - BEGUN), digest_of({}), via=via, owner=owner)
        )
        steps = {
            State.INTENT: (),
            State.ULTRAVOX_CREATED: (Step.ULTRAVOX_CREATED,),
            State.LEG_INTENT: (Step.ULTRAVOX_CREATED, Step.LEG_INTENT),
            State.NOT_PLACED: (Step.ULTRAVOX_CREATED, Step.LEG_INTENT, Step.LEG_REFUSED),
            State.PLACED: (Step.ULTRAVOX_CREATED, Step.LEG_INTENT, Step.PLACED),
            State.UNKNOWN: (Step.ULTRAVOX_CREATED, Step.LEG_INTENT, Step.UNKNOWN),
        }[state]
        facts = {
            Step.ULTRAVOX_CREATED: {"ultravox_call_id": "uv-1"},
            Step.LEG_INTENT: {"ring_timeout_s": 35, "time_limit_s": 630},
            Step.LEG_REFUSED: {"reason": "no", "error": error},
            Step.PLACED: {"carrier_call_id": carrier_id},
            Step.UNKNOWN: {"reason": "the reply was lost"},
        }
        for step in steps:
            if step is Step.ULTRAVOX_CREATED and via == "ultravox":
                continue
            journal.step(attempt_id, step, begun, **facts.get(step, {}))
        entry = journal.get(attempt_id)
        assert entry.state is state
        return entry

    return _begin


@pytest.fixture
def settle(journal, peers):
    """Reconcile one attempt at an age."""

    def _settle(entry, age=Age.YOUNG, *, now=None, no_line=None, no_agents=None, timing=QUICK, **changes):
        def line(_provider):
            if no_line is not None:
                raise no_line
            return peers

        def agents():
            if no_agents is not None:
                raise no_agents
            return peers

        reconciler = Reconciler(
            journal, Vendors(line, agents), Desk(), lambda: now or NOWS[age], timing=timing, **changes
        )
        return reconciler.settle(entry)

    return _settle


def asked(peers):
    return {words.split()[0] for words in peers.log}


# ---- by construction


def test_nobody_here_can_dial():
    forbidden = {"place", "create_call", "dial"}
    for port in (OpenLine, Reports):
        assert not forbidden & set(vars(port))
    room = Path(uvcall.calls.__file__).parent
    cli = room.parent / "cli"
    for path in [room / f"{name}.py" for name in ("reconcile", "lookup", "moves", "refresh", "history")] + [
        cli / "reconcile.py", cli / "calls.py", cli / "vendors.py"
    ]:  # fmt: skip
        text = path.read_text()
        assert ".place(" not in text
        names = {
            name
            for node in ast.walk(ast.parse(text))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom)
                else [node.attr] if isinstance(node, ast.Attribute)
                else [node.id] if isinstance(node, ast.Name) else []
            )
        }  # fmt: skip
        assert not names & forbidden, path


def test_the_table_has_every_pair():
    assert set(MOVES) == {(sight, age) for sight in Sight for age in Age}
    assert {MOVES[Sight.NOWHERE, age] for age in Age} == {Move.WAIT, Move.KEEP}


def test_an_attempt_is_as_old_as_its_leg(begin):
    entry = begin(State.LEG_INTENT)
    assert {age: age_of(entry, now) for age, now in NOWS.items()} == {age: age for age in Age}
    moments = {DEATH - timedelta(microseconds=1): Age.YOUNG, DEATH + GRACE - timedelta(microseconds=1): Age.DEAD}
    assert {now: age_of(entry, now) for now in moments} == moments


# ---- the table, row by row


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("state", [State.LEG_INTENT, State.UNKNOWN])
def test_found_by_looking_and_alive(begin, settle, peers, journal, state, age):
    entry = begin(state)
    peers.finds, peers.statuses = deque([[LEG]]), deque([RINGING])
    if age is Age.DEAD:
        peers.statuses = deque([RINGING, CANCELED])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    expected = {
        Age.FRESH: (Move.LEAVE, State.PLACED),
        Age.YOUNG: (Move.LEAVE, State.PLACED),
        Age.DEAD: (Move.HANG_UP, State.ENDED),
        # Only its numbers say that it is ours, and ours has been over for long: nobody is cut off for that.
        Age.STALE: (Move.KEEP, State.UNKNOWN),
    }[age]
    assert (settled.move, now.state) == expected
    assert ("hang_up leg" in peers.log) == (age is Age.DEAD)
    assert (exit_code([settled]) == 20) == (age is Age.STALE)
    if age is not Age.STALE:
        assert (now.placed, now.carrier_call_id, now.carrier_ids) == ("yes", "CA1", {"session": "s-1"})
    else:
        assert "CA1" in settled.words
    assert (peers.since, peers.until) == (BEGUN.timestamp(), BEGUN.timestamp() + BEGINS_WITHIN_S)
    assert (peers.order.to, peers.order.from_, peers.order.attempt_id) == (TO, FROM, entry.attempt_id)
    assert peers.order.ours


@pytest.mark.parametrize("age", Age)
def test_placed_and_alive(begin, settle, peers, journal, age):
    entry = begin(State.PLACED)
    peers.statuses = deque([TALKING, DONE]) if age in {Age.DEAD, Age.STALE} else deque([TALKING])
    peers.calls = deque([LEFT])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    if age in {Age.FRESH, Age.YOUNG}:
        assert (settled.move, now, asked(peers)) == (Move.LEAVE, entry, {"open", "status"})
        assert settled.next == f"uvcall reconcile {entry.attempt_id}"
    else:
        assert (settled.move, now.state, now.outcome) == (Move.HANG_UP, State.ENDED, Outcome.COMPLETED)
        assert now.reason == "hung up by reconcile: past its death date"
        assert peers.log.count("hang_up leg") == 1
        assert peers.log.count("hang_up agent") == 1
    assert exit_code([settled]) == 0


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("state", [State.LEG_INTENT, State.UNKNOWN, State.PLACED])
@pytest.mark.parametrize(
    ("leg", "call", "outcome", "seconds"),
    [
        (BUSY, UNREADABLE, Outcome.BUSY, 0.0),
        (DONE, LEFT, Outcome.COMPLETED, 9.0),
        (DONE, UNJOINED, Outcome.SILENT, 9.0),
    ],
    ids=["busy", "completed", "silent"],
)
def test_over(begin, settle, peers, journal, state, age, leg, call, outcome, seconds):
    entry = begin(state)
    peers.finds, peers.statuses, peers.calls = deque([[LEG]]), deque([leg]), deque([call])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.outcome, now.placed) == (Move.END, State.ENDED, outcome, "yes")
    assert (now.carrier_call_id, now.duration_s, now.cost) == ("CA1", seconds, leg.cost)
    assert exit_code([settled]) == 0
    assert "hang_up leg" not in peers.log
    assert ("get uv-1" in peers.log) == (leg is DONE)  # nobody answered: Ultravox has nothing to add


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("state", [State.LEG_INTENT, State.UNKNOWN])
@pytest.mark.parametrize("call", [WAITS, UNJOINED, GONE], ids=["waits", "unjoined", "gone"])
def test_nowhere(begin, settle, peers, journal, state, age, call):
    entry = begin(state)
    peers.calls = deque([call])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    assert exit_code([settled]) == 20
    assert (now.placed, now.open) == ("unknown", True)
    if age is Age.FRESH:
        assert (settled.move, now) == (Move.WAIT, entry)
        assert "in 90 s" in settled.words
        assert settled.next == f"uvcall reconcile {entry.attempt_id}"
    else:
        assert (settled.move, now.state, now.outcome, now.exit_code) == (Move.KEEP, State.UNKNOWN, Outcome.UNKNOWN, 20)
        assert settled.next == f"uvcall reconcile --assume-not-placed {entry.attempt_id}"
    assert not asked(peers) & {"hang_up"}


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("leg", [GONE, QUEUED], ids=["404", "queued-nowhere"])
def test_lost(begin, settle, peers, journal, age, leg):
    entry = begin(State.PLACED)
    peers.statuses = deque([leg])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    if age is Age.STALE:
        assert (settled.move, now.state, now.outcome) == (Move.RELEASE, State.ENDED, Outcome.UNOBSERVED)
        assert (now.exit_code, now.placed) == (21, "yes")
        assert journal.open_entries(TO) == []
    else:
        assert (settled.move, now) == (Move.LEAVE, entry)
    assert exit_code([settled]) == 0


@pytest.mark.parametrize("age", Age)
def test_several_of_which_one_is_up(begin, settle, peers, journal, age):
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses = deque([[LEG, OTHER]]), deque([BUSY, RINGING])
    settled = settle(entry, age, hang_up=True)
    assert (settled.move, journal.get(entry.attempt_id).state) == (Move.KEEP, State.UNKNOWN)
    assert "CA1, CA2" in settled.words
    assert "hang_up leg" not in peers.log
    assert exit_code([settled]) == 20


@pytest.mark.parametrize("age", Age)
def test_several_that_are_over(begin, settle, peers, journal, age):
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses = deque([[LEG, OTHER]]), deque([BUSY, GONE])
    settled = settle(entry, age)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.outcome, now.placed) == (Move.END, Outcome.UNOBSERVED, "yes")
    assert (now.carrier_call_id, now.end_reason) == (None, "one of 2 calls: CA1, CA2")


# ---- nothing was sent


@pytest.mark.parametrize(
    ("state", "error", "outcome", "code"),
    [
        (State.INTENT, None, "temporary", 75),
        (State.ULTRAVOX_CREATED, None, "temporary", 75),
        (State.NOT_PLACED, None, "temporary", 75),
        (State.NOT_PLACED, Failure("temporary", "busy", retryable=True), "temporary", 75),
        (State.NOT_PLACED, Failure("provider_refused", "bad number"), "provider_refused", 5),
        (State.NOT_PLACED, Failure("auth_error", "bad key"), "auth_error", 4),
    ],
)
def test_nothing_was_sent(begin, settle, peers, journal, state, error, outcome, code):
    entry = begin(state, error=error)
    settled = settle(entry, Age.FRESH)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.placed) == (Move.CLOSE, State.ENDED, "no")
    assert (now.outcome, now.exit_code, now.error) == (outcome, code, error)
    assert record_of(now).retry_safe
    assert exit_code([settled]) == 0
    assert peers.log == ([] if state is State.INTENT else ["hang_up agent"])


def test_nothing_was_sent_and_nobody_can_be_asked(begin, settle, journal):
    entry = begin(State.ULTRAVOX_CREATED)
    settled = settle(entry, no_agents=AuthError("no key", hint="set it"))
    assert (settled.move, settled.error, journal.get(entry.attempt_id).state) == (Move.CLOSE, None, State.ENDED)


# ---- whose attempt it is


def test_an_attempt_whose_process_lives_is_left_to_it(begin, settle, peers, journal):
    entry = begin(State.LEG_INTENT, owner=this_process())
    settled = settle(entry, Age.STALE, hang_up=True)
    assert (settled.move, settled.entry, peers.log) == (Move.OWNED, entry, [])
    assert str(this_process().pid) in settled.words
    assert journal.get(entry.attempt_id) == entry
    assert exit_code([settled]) == 0


def test_an_attempt_that_has_ended_is_left(begin, settle, peers, journal):
    entry = begin(State.INTENT)
    settle(entry)
    again = settle(journal.get(entry.attempt_id))
    assert (again.move, peers.log) == (Move.SETTLED, [])


def test_another_process_was_faster(begin, settle, peers, journal):
    entry = begin(State.LEG_INTENT)

    def meanwhile():
        journal.step(entry.attempt_id, Step.ENDED, BEGUN, outcome="busy", exit_code=10, placed="yes")
        return [LEG]

    peers.finds, peers.statuses = deque([meanwhile]), deque([DONE])
    peers.calls = deque([LEFT])
    settled = settle(entry)
    assert (settled.move, settled.entry.outcome) == (Move.SETTLED, Outcome.BUSY)
    assert exit_code([settled]) == 0


def test_what_cannot_be_written_is_said(begin, settle, peers, journal):
    entry = begin(State.LEG_INTENT)

    def meanwhile():
        journal.step(entry.attempt_id, Step.PLACED, BEGUN, carrier_call_id="CA9")
        return [LEG]

    peers.finds, peers.statuses = deque([meanwhile]), deque([RINGING])
    settled = settle(entry)
    assert (settled.move, settled.entry.carrier_call_id) == (Move.UNREAD, "CA9")
    assert exit_code([settled]) == 7


def test_a_journal_that_fails_ends_the_command(begin, settle, peers, journal, monkeypatch):
    entry = begin(State.LEG_INTENT)
    peers.finds, peers.statuses = deque([[LEG]]), deque([BUSY])

    def full(*_, **__):
        raise LocalError("the disk is full", hint="free some space")

    monkeypatch.setattr(type(journal), "step", full)
    with pytest.raises(LocalError, match="disk"):
        settle(entry)


# ---- nobody to ask


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("state", [State.LEG_INTENT, State.UNKNOWN, State.PLACED])
@pytest.mark.parametrize("broken", ["carrier", "ultravox", "agents refuse"])
def test_a_vendor_that_cannot_be_read_changes_nothing(begin, settle, peers, journal, state, age, broken):
    entry = begin(state)
    if broken == "carrier":
        peers.finds, peers.statuses = deque([UNREADABLE]), deque([UNREADABLE])
    else:
        peers.finds, peers.statuses = deque([[LEG]]), deque([DONE])
        peers.calls = deque([UNREADABLE if broken == "ultravox" else ProviderRefused("no", status=403)])
    settled = settle(entry, age)
    assert (settled.move, settled.entry, journal.get(entry.attempt_id)) == (Move.UNREAD, entry, entry)
    assert exit_code([settled]) == (5 if broken == "agents refuse" else 75)


@pytest.mark.parametrize(
    ("error", "code"), [(AuthError("no token", hint="set it"), 4), (ConfigError("no id", hint="set it"), 6)]
)
def test_a_carrier_that_is_not_configured(begin, settle, journal, error, code):
    entry = begin(State.LEG_INTENT)
    settled = settle(entry, no_line=error)
    assert (settled.move, journal.get(entry.attempt_id), exit_code([settled])) == (Move.UNREAD, entry, code)


def test_a_vendor_that_does_not_answer_in_time(begin, settle, peers):
    entry = begin(State.PLACED)
    never = Event()
    peers.statuses = deque([lambda: never.wait(5) and QUEUED])
    settled = settle(entry, timing=Timing(request_s=0.05))
    never.set()
    assert (settled.move, exit_code([settled])) == (Move.UNREAD, 75)
    assert "0.05 s" in settled.words


def test_the_exit_code_of_all(begin, settle, peers):
    unread = settle(begin(State.PLACED, to="+12025550101"), no_line=Temporary("no"))
    missing = settle(begin(State.PLACED, to="+12025550102"), no_line=AuthError("no", hint="set it"))
    unknown = settle(begin(State.UNKNOWN, to="+12025550103"))
    waiting = settle(begin(State.UNKNOWN, to="+12025550104"), Age.FRESH)
    closed = settle(begin(State.INTENT, to="+12025550105"))
    assert exit_code([]) == exit_code([closed]) == 0
    assert exit_code([closed, unread]) == 75
    assert exit_code([unread, missing, closed]) == 4
    assert exit_code([unread, unknown]) == exit_code([missing, waiting]) == 20


# ---- finding the right leg


def test_another_attempts_leg_is_not_taken(begin, settle, peers, journal):
    earlier = begin(State.PLACED)
    journal.step(earlier.attempt_id, Step.ENDED, BEGUN, outcome="busy", exit_code=10, placed="yes")
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses = deque([[LEG]]), deque([BUSY])
    settled = settle(entry)
    assert (settled.move, journal.get(entry.attempt_id).state) == (Move.KEEP, State.UNKNOWN)
    peers.finds = deque([[LEG, OTHER]])
    assert settle(settled.entry).entry.carrier_call_id == "CA2"


def test_an_id_that_several_attempts_have_tells_nothing(begin, settle, peers, journal):
    for number in ("+12025550101", "+12025550102"):
        entry = begin(State.PLACED, to=number, carrier_id=f"CA-{number}")
        journal.step(entry.attempt_id, Step.PLACED, BEGUN, carrier_ids={"session": "s-1"})
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses = deque([[LEG]]), deque([BUSY])
    assert settle(entry).move is Move.KEEP


def test_the_carrier_lists_the_leg_under_another_id(begin, settle, peers, journal):
    """Plivo gives a request's id, and its lists know the call's."""
    entry = begin(State.PLACED)
    peers.statuses = deque([QUEUED, TALKING])
    peers.finds = deque([[PlacedCall(Provider.TWILIO, "CA7", {"call_uuid": "CA7", "request": "CA1"}), OTHER]])
    settled = settle(entry)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.carrier_call_id) == (Move.LEAVE, "CA1")
    assert now.carrier_ids == {"call_uuid": "CA7", "request": "CA1"}
    assert peers.log[-1] == "status CA1 ['CA1', 'CA7']"


def test_a_queued_leg_is_alive_while_it_is_listed(begin, settle, peers, journal):
    entry = begin(State.PLACED)
    peers.finds, peers.statuses = deque([[PlacedCall(Provider.TWILIO, "CA1")]]), deque([QUEUED])
    assert settle(entry, Age.YOUNG).move is Move.LEAVE
    peers.statuses = deque([QUEUED, QUEUED, CANCELED])
    settled = settle(entry, Age.STALE)
    assert (settled.move, settled.entry.outcome) == (Move.HANG_UP, Outcome.NO_ANSWER)


def test_queued_and_several_others_listed(begin, settle, peers):
    entry = begin(State.PLACED)
    peers.finds = deque([[PlacedCall(Provider.TWILIO, "CA8"), PlacedCall(Provider.TWILIO, "CA9")]])
    peers.statuses = deque([QUEUED])
    assert settle(entry).move is Move.LEAVE
    peers.statuses = deque([QUEUED, TALKING, BUSY])
    left = settle(entry, Age.DEAD)
    assert (left.move, left.entry.carrier_call_id) == (Move.LEAVE, "CA1")
    peers.statuses = deque([QUEUED, BUSY])
    over = settle(left.entry)
    assert (over.move, over.entry.outcome, over.entry.carrier_call_id) == (Move.END, Outcome.UNOBSERVED, "CA1")
    assert over.entry.end_reason == "one of 2 calls: CA8, CA9"
    assert "hang_up leg" not in peers.log


def test_queued_and_a_call_of_another_request_listed(begin, settle, peers, journal):
    entry = begin(State.LEG_INTENT)
    journal.step(entry.attempt_id, Step.PLACED, BEGUN, carrier_call_id="r-1", carrier_ids={"request_uuid": "r-1"})
    theirs = PlacedCall(Provider.TWILIO, "CA8", {"request_uuid": "r-2", "call_uuid": "CA8"})
    nameless = PlacedCall(Provider.TWILIO, "CA9", {"call_uuid": "CA9"})
    peers.finds, peers.statuses = deque([[theirs, nameless]]), deque([QUEUED, BUSY])
    settled = settle(journal.get(entry.attempt_id))
    assert (settled.move, settled.entry.outcome, settled.entry.carrier_ids["call_uuid"]) == (
        Move.END,
        Outcome.BUSY,
        "CA9",
    )


def test_a_leg_that_was_listed_and_is_gone(begin, settle, peers, journal):
    entry = begin(State.UNKNOWN)
    peers.finds = deque([[LEG]])
    settled = settle(entry)
    assert (settled.move, journal.get(entry.attempt_id).state) == (Move.LEAVE, State.PLACED)


# ---- what Ultravox adds


def test_an_agent_on_the_line_proves_the_leg(begin, settle, peers, journal):
    entry = begin(State.UNKNOWN)
    peers.calls = deque([JOINED])
    settled = settle(entry)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.placed, now.carrier_call_id) == (Move.LEAVE, State.PLACED, "yes", None)
    peers.calls = deque([JOINED, LEFT])
    settled = settle(now, Age.DEAD)
    assert (settled.move, settled.entry.outcome) == (Move.HANG_UP, Outcome.COMPLETED)
    assert asked(peers) >= {"hang_up"}


def test_an_agent_that_was_on_the_line_tells_the_end(begin, settle, peers):
    entry = begin(State.LEG_INTENT)
    peers.calls = deque([LEFT])
    settled = settle(entry)
    assert (settled.move, settled.entry.outcome, settled.entry.duration_s) == (Move.END, Outcome.COMPLETED, 9.0)


def test_the_ultravox_call_is_found_by_the_attempts_id(begin, settle, peers, journal):
    entry = begin(State.LEG_INTENT, via="ultravox")
    peers.by_metadata = deque([[UltravoxCall("uv-9"), LEFT]])
    settled = settle(entry)
    assert (settled.entry.ultravox_call_id, settled.entry.outcome) == ("uv-1", Outcome.COMPLETED)
    assert f"metadata uvcall_attempt={entry.attempt_id}" in peers.log
    assert not peers.order.ours


@pytest.mark.parametrize("no_line", [None, ConfigError("no id", hint="set it"), AuthError("no key", hint="set it")])
@pytest.mark.parametrize(
    ("call", "age", "move", "state"),
    [
        ([], Age.FRESH, Move.WAIT, State.LEG_INTENT),
        ([], Age.STALE, Move.KEEP, State.UNKNOWN),
        ([WAITS], Age.FRESH, Move.LEAVE, State.PLACED),
        ([WAITS], Age.YOUNG, Move.LEAVE, State.PLACED),
        ([WAITS], Age.DEAD, Move.LEAVE, State.PLACED),
        ([WAITS], Age.STALE, Move.RELEASE, State.ENDED),
        ([UNJOINED], Age.YOUNG, Move.END, State.ENDED),
        ([LEFT], Age.YOUNG, Move.END, State.ENDED),
    ],
)
def test_ultravox_dialed(begin, settle, peers, journal, no_line, call, age, move, state):
    entry = begin(State.LEG_INTENT, via="ultravox")
    peers.by_metadata = deque([call])
    settled = settle(entry, age, no_line=no_line)
    assert (settled.move, journal.get(entry.attempt_id).state) == (move, state)


def test_ultravox_dialed_and_calls_between_the_numbers_are_up(begin, settle, peers, journal):
    """Of a placed leg that only its numbers tell, long after its end, nothing is concluded from other calls."""
    entry = begin(State.PLACED, via="ultravox", carrier_id=None)
    peers.finds, peers.statuses = deque([[LEG]]), deque([TALKING])
    settled = settle(entry, Age.STALE)
    assert (settled.move, settled.entry.outcome) == (Move.RELEASE, Outcome.UNOBSERVED)
    assert "hang_up leg" not in peers.log


def test_a_cause_that_is_told_late_is_waited_for(begin, settle, peers):
    entry = begin(State.PLACED)
    peers.statuses = deque([LegStatus(LegState.ENDED, Cause.UNKNOWN), BUSY])
    assert settle(entry).entry.outcome is Outcome.BUSY


def test_a_cause_that_is_never_told(begin, settle, peers):
    entry = begin(State.PLACED)
    peers.statuses = deque([LegStatus(LegState.ENDED, Cause.UNKNOWN)])
    assert settle(entry).entry.outcome is Outcome.UNOBSERVED
    assert peers.log.count("status CA1 []") == 4


def test_a_cause_that_is_never_told_of_a_call_with_an_agent(begin, settle, peers):
    entry = begin(State.PLACED)
    peers.statuses, peers.calls = deque([LegStatus(LegState.ENDED, Cause.UNKNOWN)]), deque([LEFT])
    assert settle(entry).entry.outcome is Outcome.COMPLETED


def test_all_are_settled_one_by_one(begin, peers, journal):
    entries = [begin(State.INTENT, to=f"+1202555010{digit}") for digit in range(3)]
    told = []
    reconciler = Reconciler(journal, Vendors(lambda _: peers, lambda: peers), Desk(), lambda: NOWS[Age.YOUNG])
    assert reconciler.settle_all(entries, told.append) == told
    assert [settled.entry.to for settled in told] == [entry.to for entry in entries]
    assert journal.open_entries() == []


def test_an_agent_whose_leg_is_gone_is_ended(begin, settle, peers):
    entry = begin(State.PLACED)
    peers.statuses, peers.calls = deque([DONE]), deque([JOINED])
    assert settle(entry).entry.outcome is Outcome.COMPLETED
    assert peers.log[-1] == "hang_up agent"


# ---- hanging up


@pytest.mark.parametrize("age", [Age.FRESH, Age.YOUNG])
def test_hang_up_before_the_death_date(begin, settle, peers, journal, age):
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses = deque([[LEG]]), deque([RINGING, RINGING, CANCELED])
    settled = settle(entry, age, hang_up=True)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.outcome, now.end_reason) == (
        Move.HANG_UP, State.ENDED, Outcome.NO_ANSWER, "canceled"
    )  # fmt: skip
    assert now.reason == "hung up by reconcile"
    assert [taken.step for taken in journal.history(entry.attempt_id)][-2:] == ["placed", "ended"]


def test_a_hang_up_that_fails_keeps_what_was_found(begin, settle, peers, journal):
    entry = begin(State.UNKNOWN)
    peers.finds, peers.statuses, peers.hang_ups = deque([[LEG]]), deque([RINGING]), deque([UNREADABLE])
    settled = settle(entry, Age.DEAD)
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.carrier_call_id) == (Move.UNREAD, State.PLACED, "CA1")
    assert exit_code([settled]) == 75


def test_a_hang_up_whose_end_is_not_seen(begin, settle, peers, journal):
    entry = begin(State.PLACED)
    peers.statuses = deque([RINGING])
    settled = settle(entry, Age.DEAD)
    assert (settled.move, journal.get(entry.attempt_id).state) == (Move.HANG_UP, State.PLACED)
    assert settled.next == f"uvcall reconcile {entry.attempt_id}"
    assert peers.log.count("hang_up leg") == 1


# ---- the operator's word


@pytest.mark.parametrize("age", [Age.YOUNG, Age.DEAD, Age.STALE])
@pytest.mark.parametrize("state", [State.LEG_INTENT, State.UNKNOWN])
def test_assume_not_placed(begin, settle, peers, journal, state, age):
    entry = begin(state)
    settled = settle(entry, age, assumed_by="ada")
    now = journal.get(entry.attempt_id)
    assert (settled.move, now.state, now.placed, now.assumed_by) == (Move.ASSUME, State.ENDED, "no", "ada")
    assert now.outcome is Outcome.UNKNOWN
    assert (exit_code([settled]), journal.open_entries(TO)) == (0, [])
    assert record_of(now).retry_safe


@pytest.mark.parametrize(
    ("state", "finds", "statuses", "age", "move", "code"),
    [
        (State.UNKNOWN, [LEG], [RINGING], Age.YOUNG, Move.LEAVE, 3),
        (State.UNKNOWN, [LEG], [BUSY], Age.YOUNG, Move.END, 3),
        (State.UNKNOWN, [LEG], [RINGING, BUSY], Age.DEAD, Move.HANG_UP, 3),
        (State.UNKNOWN, [LEG, OTHER], [RINGING], Age.STALE, Move.KEEP, 20),
        (State.UNKNOWN, [], [GONE], Age.FRESH, Move.WAIT, 20),
        (State.PLACED, [], [GONE], Age.YOUNG, Move.LEAVE, 3),
        (State.PLACED, [], [GONE], Age.STALE, Move.RELEASE, 3),
    ],
)
def test_assume_is_refused_while_a_vendor_shows_it(
    begin, settle, peers, journal, state, finds, statuses, age, move, code
):
    entry = begin(state)
    peers.finds, peers.statuses = deque([finds]), deque(statuses)
    settled = settle(entry, age, assumed_by="ada")
    assert (settled.move, settled.error.code, exit_code([settled])) == (move, "policy_refused", code)
    assert settled.error.hint
    assert journal.get(entry.attempt_id).placed != "no"


def test_assume_is_refused_while_the_owner_lives_or_nobody_can_be_asked(begin, settle, peers, journal):
    entry = begin(State.UNKNOWN, owner=this_process())
    settled = settle(entry, Age.STALE, assumed_by="ada", alive=process_alive)
    assert (settled.move, exit_code([settled]), peers.log) == (Move.OWNED, 3, [])
    peers.finds = deque([UNREADABLE])
    settled = settle(entry, Age.STALE, assumed_by="ada", alive=lambda *_: False)
    assert (settled.move, exit_code([settled])) == (Move.UNREAD, 75)
    assert journal.get(entry.attempt_id) == entry


def test_nothing_has_to_be_assumed(begin, settle, journal):
    entry = begin(State.ULTRAVOX_CREATED)
    settled = settle(entry, assumed_by="ada")
    assert (settled.move, settled.error) == (Move.CLOSE, None)
    again = settle(journal.get(entry.attempt_id), assumed_by="ada")
    assert (again.move, exit_code([again])) == (Move.SETTLED, 3)


# ---- refresh


@pytest.fixture
def refreshed(journal, peers):
    def _refreshed(entry):
        vendors = Vendors(lambda _: peers, lambda: peers)
        return refresh(entry, Lookup(journal, vendors, Desk(), QUICK), lambda: NOWS[Age.STALE])

    return _refreshed


def over(journal, entry, outcome="busy", code=10):
    journal.step(entry.attempt_id, Step.ENDED, BEGUN, outcome=outcome, exit_code=code, placed="yes")
    return journal.get(entry.attempt_id)


def test_refresh_learns_what_came_late(begin, peers, journal, refreshed):
    entry = over(journal, begin(State.PLACED), "completed", 0)
    peers.statuses, peers.calls = deque([DONE]), deque([UNJOINED])
    now = refreshed(entry)
    assert (now.cost, now.duration_s, now.outcome) == ("0.02 USD", 9.0, Outcome.COMPLETED)
    assert refreshed(now) == now
    assert [taken.step for taken in journal.history(entry.attempt_id)].count("refreshed") == 1


def test_refresh_learns_an_end_that_nobody_saw(begin, peers, journal, refreshed):
    entry = over(journal, begin(State.PLACED), "unobserved", 21)
    peers.statuses = deque([BUSY])
    now = refreshed(entry)
    assert (now.outcome, now.exit_code, now.end_reason) == (Outcome.BUSY, 10, "busy")


@pytest.mark.parametrize("leg", [GONE, RINGING])
def test_refresh_changes_nothing_for_what_is_not_over(begin, peers, journal, refreshed, leg):
    entry = over(journal, begin(State.PLACED), "unobserved", 21)
    peers.statuses = deque([leg])
    assert refreshed(entry) == entry


def test_refresh_says_when_nobody_can_be_asked(begin, peers, journal, refreshed):
    entry = over(journal, begin(State.PLACED))
    peers.statuses = deque([UNREADABLE])
    with pytest.raises(Temporary):
        refreshed(entry)


# ---- the record of what is open


@pytest.mark.parametrize(
    ("state", "outcome", "placed"),
    [
        (State.INTENT, Outcome.UNKNOWN, "no"),
        (State.LEG_INTENT, Outcome.UNKNOWN, "unknown"),
        (State.PLACED, Outcome.UNOBSERVED, "yes"),
    ],
)
def test_what_is_open_is_not_safe_to_repeat(begin, state, outcome, placed):
    entry = begin(state)
    record = record_of(entry)
    assert (record.outcome, record.placed, record.retry_safe) == (outcome, placed, False)
    assert record.next == f"uvcall reconcile {entry.attempt_id}"
