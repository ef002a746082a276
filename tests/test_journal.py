"""The journal as its users see it: what may follow what, who is refused, what can be read, and what is never kept."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from uvcall.core.model import Failure, Outcome
from uvcall.core.secret import JoinUrl, Secret
from uvcall.errors import LocalError, PolicyRefused, UsageError
from uvcall.journal import (
    GRACE,
    TRANSITIONS,
    Entry,
    IllegalStep,
    Intent,
    Journal,
    KeyTaken,
    NumberTaken,
    Owner,
    State,
    Step,
    digest_of,
    open_journal,
    process_alive,
    this_process,
)
from uvcall.journal.entry import prose, stamp
from uvcall.journal.owner import start_of
from uvcall.journal.states import FATE, MAY_TELL, MUST_TELL

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEATH = NOW + timedelta(minutes=12)
JOIN = "wss://voice.ultravox.ai/calls/7f0e?token=s3cr3t"
API_KEY = "aB3dE5fG.0123456789abcdef0123456789ABCDEF"
TELNYX_KEY = "KEY0123456789ABCDEF01_x"


def intent(to: str = "+12025550100", **changes: Any) -> Intent:
    values: dict[str, Any] = {
        "attempt_id": str(uuid4()),
        "provider": "twilio",
        "to": to,
        "from_": "+12025550199",
        "created_at": NOW,
        "death_at": DEATH,
        "digest": digest_of({"to": to}),
    }
    return Intent(**values | changes)


#: The least that each step must tell.
TELLS: dict[Step, dict[str, Any]] = {
    Step.ULTRAVOX_CREATED: {"ultravox_call_id": "uv-1"},
    Step.UNKNOWN: {"reason": "no answer within 25 s"},
    Step.LEFT: {"outcome": "accepted", "exit_code": 0},
    Step.ENDED: {"outcome": "completed", "exit_code": 0, "placed": "yes"},
    Step.ASSUMED_NOT_PLACED: {"by": "ada"},
}
#: A way to each state.
WAYS: dict[State, list[Step]] = {
    State.INTENT: [],
    State.ULTRAVOX_CREATED: [Step.ULTRAVOX_CREATED],
    State.LEG_INTENT: [Step.ULTRAVOX_CREATED, Step.LEG_INTENT],
    State.NOT_PLACED: [Step.LEG_INTENT, Step.LEG_REFUSED],
    State.PLACED: [Step.LEG_INTENT, Step.PLACED],
    State.UNKNOWN: [Step.LEG_INTENT, Step.UNKNOWN],
    State.ENDED: [Step.LEG_INTENT, Step.PLACED, Step.ENDED],
}


def take(journal: Journal, attempt_id: str, *steps: Step) -> None:
    for step in steps:
        facts = dict(TELLS.get(step, {}))
        if step is Step.ENDED:
            entry = journal.get(attempt_id)
            assert entry is not None
            facts["placed"] = "no" if entry.placed == "no" else "yes"
        journal.step(attempt_id, step, NOW, **facts)


def begun(journal: Journal, *steps: Step, **changes: Any) -> str:
    one = intent(**changes)
    journal.begin(one)
    take(journal, one.attempt_id, *steps)
    return one.attempt_id


def got(journal: Journal, attempt_id: str) -> Entry:
    entry = journal.get(attempt_id)
    assert entry is not None
    return entry


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    tmp_path.chmod(0o700)
    with open_journal(tmp_path) as one:
        yield one


# -- the table ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_every_pair_of_state_and_step_does_what_the_table_says(journal: Journal, state: State) -> None:
    for number, step in enumerate(Step):
        attempt = begun(journal, *WAYS[state], to=f"+1202555{number:04d}")
        before = got(journal, attempt)
        assert before.state is state
        after = TRANSITIONS.get((state, step))
        if after is None:
            with pytest.raises(IllegalStep, match=f"{attempt} is {state}"):
                take(journal, attempt, step)
            assert got(journal, attempt) == before
        else:
            take(journal, attempt, step)
            assert got(journal, attempt).state is after


def test_nothing_that_may_have_rung_is_asked_for_again() -> None:
    after_request = {State.LEG_INTENT, State.PLACED, State.UNKNOWN, State.ENDED}
    assert {state for state, step in TRANSITIONS if step is Step.LEG_INTENT} == set(State) - after_request
    # From "unknown" no way leads to another request, however long.
    reached, new = set(), {State.UNKNOWN}
    while new:
        reached |= new
        # A cancellation is the carrier's own word about a leg that was found, not a guess.
        new = {
            TRANSITIONS[pair] for pair in TRANSITIONS if pair[0] in reached and pair[1] is not Step.LEG_CANCELED
        } - reached
    assert reached == {State.UNKNOWN, State.PLACED, State.ENDED}


@pytest.mark.parametrize("state", set(State) - {State.ENDED})
def test_an_end_may_not_contradict_what_is_known_of_the_leg(journal: Journal, state: State) -> None:
    attempt = begun(journal, *WAYS[state])
    right = "no" if FATE[state] == "no" else "yes"
    for wrong in {"yes", "no", "unknown"} - {right}:
        with pytest.raises(IllegalStep, match=f"cannot end with placed={wrong}"):
            journal.step(attempt, Step.ENDED, NOW, outcome="failed", exit_code=12, placed=wrong)
    journal.step(attempt, Step.ENDED, NOW, outcome="failed", exit_code=12, placed=right)
    assert got(journal, attempt).placed == right


def test_a_step_tells_what_it_must_and_nothing_strange(journal: Journal) -> None:
    attempt = begun(journal, *WAYS[State.PLACED])
    with pytest.raises(ValueError, match="ended must tell exit_code, outcome, placed"):
        journal.step(attempt, Step.ENDED, NOW, cost=None)
    with pytest.raises(ValueError, match="placed does not tell outcome"):
        journal.step(attempt, Step.PLACED, NOW, outcome="busy")
    with pytest.raises(ValueError, match="not a valid Step"):
        journal.step(attempt, "rung", NOW)
    with pytest.raises(IllegalStep, match="no attempt"):
        journal.step(str(uuid4()), Step.PLACED, NOW)
    assert len(journal.history(attempt)) == 3
    assert set(MUST_TELL) <= set(MAY_TELL) == set(Step)


def test_a_whole_call_through_two_carriers_is_kept_with_its_trail(journal: Journal) -> None:
    me = Owner(4242, "boot/77")
    one = intent(key="cron-7", via="sdk", owner=me, command="uvcall dial +12025550100 --provider twilio,plivo")
    journal.begin(one)
    attempt = one.attempt_id
    at = [NOW + timedelta(seconds=second) for second in range(10)]
    journal.step(attempt, "ultravox_created", at[1], ultravox_call_id="uv-9")
    journal.step(attempt, "leg_intent", at[2], provider="twilio", ring_timeout_s=35, time_limit_s=630)
    refused = Failure("provider_refused", "twilio: no", "buy one", vendor_code="21210", status=400)
    journal.step(attempt, "leg_refused", at[3], error=refused)
    assert got(journal, attempt).error == refused
    later = DEATH + timedelta(minutes=1)
    journal.step(attempt, "leg_intent", at[4], provider="plivo", from_="+12025550198", death_at=later)
    journal.step(attempt, "placed", at[5], carrier_call_id="req-1", carrier_ids={"request_uuid": "req-1"})
    journal.step(attempt, "placed", at[6], carrier_ids={"call_uuid": "call-1"})
    with pytest.raises(IllegalStep, match="has the leg req-1: req-2"):
        journal.step(attempt, "placed", at[6], carrier_call_id="req-2")
    journal.step(attempt, "left", at[7], outcome="unobserved", exit_code=21)
    assert got(journal, attempt).outcome is Outcome.UNOBSERVED
    journal.step(
        attempt, "ended", at[9], outcome="completed", exit_code=0, placed="yes", answered_at=at[6],
        ended_at=at[8], duration_s=2.0, end_reason="hangup", carrier_call_id="req-1",
    )  # fmt: skip
    journal.step(attempt, "refreshed", at[9], cost="0.0085 USD")
    entry = got(journal, attempt)
    assert entry == Entry(
        attempt_id=attempt, provider="plivo", to=one.to, from_="+12025550198", created_at=NOW, death_at=later,
        digest=one.digest, key="cron-7", via="sdk", owner=me, command=one.command, state=State.ENDED, placed="yes",
        leg_at=at[4], ring_timeout_s=35, time_limit_s=630, ultravox_call_id="uv-9", carrier_call_id="req-1",
        carrier_ids={"request_uuid": "req-1", "call_uuid": "call-1"}, outcome=Outcome.COMPLETED, exit_code=0,
        answered_at=at[6], ended_at=at[8], duration_s=2.0, end_reason="hangup", cost="0.0085 USD", updated_at=at[9],
    )  # fmt: skip
    trail = journal.history(attempt)
    assert [(taken.step, taken.state.value) for taken in trail] == [
        ("intent", "intent"),
        ("ultravox_created", "ultravox_created"),
        ("leg_intent", "leg_intent"),
        ("leg_refused", "not_placed"),
        ("leg_intent", "leg_intent"),
        ("placed", "placed"),
        ("placed", "placed"),
        ("left", "placed"),
        ("ended", "ended"),
        ("refreshed", "ended"),
    ]
    assert trail[3].facts["error"]["vendor_code"] == "21210"
    assert trail[8].facts["ended_at"] == "2026-11-22T12:00:08.000000Z"
    for known in (attempt, attempt.upper(), attempt[:8], "uv-9", "req-1", "call-1"):
        assert journal.by_any_id(known) == entry


def test_the_trail_cannot_be_rewritten(journal: Journal, tmp_path: Path) -> None:
    begun(journal, Step.LEG_INTENT)
    other = sqlite3.connect(tmp_path / "journal.db")
    for words in ("DELETE FROM steps", "UPDATE steps SET at = ''"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(words)
    other.close()


# -- who is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", set(State) - {State.ENDED})
def test_a_number_with_an_open_attempt_is_refused_by_name(journal: Journal, state: State) -> None:
    first = begun(journal, *WAYS[state])
    with pytest.raises(NumberTaken) as refused:
        journal.begin(intent())
    assert first in refused.value.message
    assert "duplicate" in refused.value.message
    assert "uvcall reconcile" in refused.value.hint
    assert (refused.value.code, refused.value.exit_code, refused.value.placed) == ("policy_refused", 3, "no")
    assert refused.value.entry.attempt_id == first
    begun(journal, to="+12025550101")  # another number is free


def test_an_ended_attempt_frees_its_number(journal: Journal) -> None:
    begun(journal, *WAYS[State.ENDED])
    begun(journal)


def test_a_key_is_spent_by_a_call_and_given_back_where_none_was_placed(journal: Journal) -> None:
    first = begun(journal, Step.ENDED, key="k")  # refused before the carrier was asked: "safe to run again"
    second = begun(journal, *WAYS[State.UNKNOWN], key="k")
    for _ in range(2):
        with pytest.raises(KeyTaken) as taken:
            journal.begin(intent(key="k"))
        assert taken.value.entry == got(journal, second)
        assert (taken.value.exit_code, second in taken.value.message) == (3, True)
    journal.assume_not_placed(second, NOW, "ada")
    third = begun(journal, *WAYS[State.ENDED], key="k")
    with pytest.raises(KeyTaken):
        journal.begin(intent(key="k", to="+12025550100"))
    with pytest.raises(UsageError, match=f"another call, by attempt {third}"):
        journal.begin(intent(key="k", to="+12025550101"))
    assert journal.by_key("k") == got(journal, third)
    assert journal.by_key("other") is None
    assert journal.by_key("\udcff") is None
    assert first != second
    assert isinstance(taken.value, PolicyRefused)


def test_the_operators_word_is_recorded_as_such(journal: Journal) -> None:
    attempt = begun(journal, *WAYS[State.UNKNOWN])
    journal.assume_not_placed(attempt, NOW, "ada, who asked the callee")
    entry = got(journal, attempt)
    assert (entry.state, entry.placed, entry.outcome, entry.exit_code) == ("ended", "no", "unknown", 20)
    assert entry.assumed_by == "ada, who asked the callee"
    assert journal.history(attempt)[-1].facts == {"by": "ada, who asked the callee"}
    with pytest.raises(IllegalStep):
        journal.assume_not_placed(attempt, NOW, "bob")
    placed = begun(journal, *WAYS[State.PLACED])
    with pytest.raises(IllegalStep):
        journal.assume_not_placed(placed, NOW, "ada")


@pytest.mark.parametrize("state", set(State) - {State.ENDED})
def test_an_attempt_that_nobody_ended_frees_its_number_unless_its_fate_is_open(journal: Journal, state: State) -> None:
    first = begun(journal, *WAYS[state], owner=Owner(4242, "boot/77"))
    late = DEATH + GRACE
    soon = late - timedelta(microseconds=1)
    assert (journal.stale(soon), [entry.attempt_id for entry in journal.stale(late)]) == ([], [first])

    def begin(at: datetime, *, alive: bool) -> None:
        new = intent(created_at=at, death_at=at + timedelta(minutes=12))
        journal.begin(new, alive=lambda pid, start: (pid, start) == (4242, "boot/77") and alive)

    for at, alive in ((soon, False), (late, True)):
        with pytest.raises(NumberTaken):
            begin(at, alive=alive)
    if state in {State.LEG_INTENT, State.UNKNOWN}:
        with pytest.raises(NumberTaken):
            begin(late + timedelta(days=400), alive=False)
        return
    begin(late, alive=False)
    entry = got(journal, first)
    ended = ("unobserved", 21, "yes") if state is State.PLACED else ("temporary", 75, "no")
    assert (entry.state, entry.outcome, entry.exit_code, entry.placed) == (State.ENDED, *ended)
    # Its process wakes after all, a laptop's lid having been closed: the way to the carrier is closed too.
    with pytest.raises(IllegalStep, match="is ended"):
        journal.step(first, Step.LEG_INTENT, late)


# -- the door -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to", ["12025550100", "+0123456789", "+1 202 555 0100", "+1202555010٠", "", "+1", "+12025550100\n", "911"]
)
def test_only_strict_numbers_enter(journal: Journal, to: str) -> None:
    for values in ({"to": to}, {"from_": to}):
        with pytest.raises(UsageError, match=r"E\.164"):
            journal.begin(intent(**values))
    assert journal.recent() == []


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 201, "\udc80", JOIN, API_KEY])
def test_a_strange_key_is_a_usage_error(journal: Journal, key: str) -> None:
    with pytest.raises(UsageError, match="idempotency key"):
        journal.begin(intent(key=key))


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempt_id": "seven"},
        {"provider": "vonage"},
        {"via": "pigeon"},
        {"digest": "abc"},
        {"created_at": NOW.replace(tzinfo=None)},
        {"death_at": NOW.replace(tzinfo=None)},
    ],
)
def test_a_caller_with_a_bug_is_told(journal: Journal, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        journal.begin(intent(**wrong))
    assert journal.recent() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"carrier_call_id": JOIN},
        {"carrier_call_id": JOIN.replace("wss://", "WSS%3A%2F%2F")},
        {"carrier_call_id": API_KEY},
        {"carrier_call_id": TELNYX_KEY},
        {"carrier_call_id": JoinUrl(JOIN)},
        {"carrier_call_id": Secret("x" * 20)},
        {"carrier_call_id": ""},
        {"carrier_call_id": "CA 1"},
        {"carrier_call_id": "\ud800"},
        {"carrier_call_id": 7},
        {"ultravox_call_id": "x" * 201},
        {"carrier_ids": {"stream": "ws://127.0.0.1:9/x"}},
        {"carrier_ids": {JOIN: "x"}},
        {"death_at": NOW.replace(tzinfo=None)},
    ],
)
def test_an_identifier_that_is_none_is_refused_and_not_repeated(journal: Journal, wrong: dict[str, Any]) -> None:
    attempt = begun(journal, Step.LEG_INTENT)
    with pytest.raises(ValueError) as refused:
        journal.step(attempt, Step.PLACED, NOW, **wrong)
    assert "s3cr3t" not in str(refused.value)
    assert got(journal, attempt).state is State.LEG_INTENT


@pytest.mark.parametrize(
    "random_letters",
    [
        "v3:KEYqKwsVkftMGQ8CeUwL1NT9sx5tBgKcnWmSrh1DxbP0AwRQlFic6g",
        "v3:kEy0WcOax9C7vx8paMrJtx3SfpzIPExubkqTaVtP3P30xYpFpGXLdw",
        "v3:5_KLnJGS4iDA5yD0M_4nIRCEhov9ypo-KEyY3NOTEwoOOGrZLU8RsQ",
        "v3:KEYbasic-wss_bearer_" + "A" * 40,
    ],
)
def test_a_call_id_whose_random_letters_spell_key_is_kept(journal: Journal, random_letters: str) -> None:
    attempt = begun(journal, Step.LEG_INTENT)
    journal.step(attempt, Step.PLACED, NOW, carrier_call_id=random_letters)
    assert got(journal, attempt).carrier_call_id == random_letters


@pytest.mark.parametrize("wrong", [{"placed": "maybe"}, {"outcome": "rang"}, {"exit_code": "x"}])
def test_a_result_is_of_the_contract(journal: Journal, wrong: dict[str, Any]) -> None:
    attempt = begun(journal, *WAYS[State.PLACED])
    with pytest.raises(ValueError):
        journal.step(attempt, Step.ENDED, NOW, **TELLS[Step.ENDED] | wrong)


def test_words_of_a_peer_lose_what_nobody_may_find(journal: Journal, tmp_path: Path) -> None:
    attempt = begun(journal, Step.LEG_INTENT, command=f"uvcall dial --call {JOIN}")
    words = f"bad url\r\n{JOIN} Bearer abcdefgh1234 \0 {API_KEY} {TELNYX_KEY} " + "\ud800" + "y" * 400
    error = Failure("unknown", words, hint=words, vendor_code=words)
    journal.step(attempt, Step.UNKNOWN, NOW, reason=words, error=error)
    entry = got(journal, attempt)
    assert entry.reason is not None
    assert entry.reason.startswith("bad url [secret] [secret] [secret] [secret] \\ud800yyy")
    assert len(entry.reason) == 300
    assert entry.error == Failure("unknown", prose(words), prose(words), vendor_code=prose(words))
    journal.close()
    kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    for secret in ("s3cr3t", "wss:", API_KEY, TELNYX_KEY, "abcdefgh1234"):
        assert secret.encode() not in kept


@given(st.text())
def test_prose_is_one_short_line_that_can_be_stored(text: str) -> None:
    said = prose(text)
    assert len(said) <= 300
    assert not set("\n\r\0") & set(said)
    assert prose(said) == said
    assert said.encode("utf-8").decode() == said


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))])))
def test_stamps_sort_as_instants_do_and_come_back(moment: datetime) -> None:
    if not 1 < moment.year < 9999:
        return
    text = stamp(moment)
    assert text is not None
    assert datetime.fromisoformat(text) == moment
    later = stamp(moment + timedelta(microseconds=1))
    assert later is not None
    assert text < later


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text()), max_size=5), st.randoms())
def test_a_digest_does_not_depend_on_order(arguments: dict[str, Any], shuffle: Any) -> None:
    names = list(arguments)
    shuffle.shuffle(names)
    assert digest_of({name: arguments[name] for name in names}) == digest_of(arguments)
    assert digest_of({**arguments, "to": "+1"}) != digest_of({**arguments, "to": "+2"})


# -- reading ------------------------------------------------------------------------------------------------------------


def test_recent_attempts_by_every_filter(journal: Journal) -> None:
    made = []
    for hour in range(6):
        at = NOW + timedelta(hours=hour)
        one = intent(
            f"+1202555010{hour}",
            provider="telnyx" if hour % 2 else "plivo",
            created_at=at,
            death_at=at + GRACE,
        )
        journal.begin(one)
        made.append(one.attempt_id)
    journal.step(made[2], Step.ENDED, NOW, outcome="temporary", exit_code=75, placed="no")

    def ids(*args: Any, **filters: Any) -> list[int]:
        return [made.index(entry.attempt_id) for entry in journal.recent(*args, **filters)]

    assert ids() == [5, 4, 3, 2, 1, 0]
    assert ids(2) == [5, 4]
    assert ids(provider="telnyx") == [5, 3, 1]
    assert ids(to="+12025550104") == [4]
    assert ids(outcome="temporary") == [2]
    assert ids(since=NOW + timedelta(hours=2), until=NOW + timedelta(hours=4)) == [3, 2]
    assert ids(provider="plivo", since=NOW + timedelta(hours=3)) == [4]
    assert [made.index(entry.attempt_id) for entry in journal.open_entries()] == [0, 1, 3, 4, 5]
    assert [entry.attempt_id for entry in journal.open_entries(to="+12025550103")] == [made[3]]
    with pytest.raises(ValueError, match="time zone"):
        journal.recent(since=NOW.replace(tzinfo=None))


def test_an_id_that_means_nothing_or_too_much(journal: Journal) -> None:
    ids = [f"aaaaaaaa-0000-4000-8000-00000000000{n}" for n in range(2)]
    for number, each in enumerate(ids):
        begun(journal, Step.ULTRAVOX_CREATED, attempt_id=each, to=f"+1202555010{number}")
    for many in ("aaaaaaaa", "uv-1"):
        with pytest.raises(UsageError, match="several attempts"):
            journal.by_any_id(many)
    for none in ("", "aaaa", "bbbbbbbb", "%", "________", "é", "\udcff", "aaaaaaaa%"):
        assert journal.by_any_id(none) is None
    assert journal.get(str(UUID(int=0))) is None
    assert got(journal, ids[1]) == journal.by_any_id(ids[1])


def test_threads_may_share_one_journal(journal: Journal) -> None:
    refused = []

    def work(number: int) -> None:
        for last in range(8):
            try:
                begun(journal, *WAYS[State.PLACED], to=f"+120255501{last:02d}")
            except NumberTaken:
                refused.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(journal.open_entries()), len(refused)) == (8, 16)


def test_a_closed_journal_says_so(journal: Journal) -> None:
    journal.close()
    with pytest.raises(LocalError, match="cannot be used"):
        journal.begin(intent())


# -- the owner ----------------------------------------------------------------------------------------------------------


def test_a_process_is_known_by_its_start_and_dead_before_it_is_buried() -> None:
    assert this_process().pid == os.getpid()
    assert process_alive(os.getpid(), this_process().start)
    assert not process_alive(os.getpid(), "another-boot/1")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = start_of(child.pid)
    assert process_alive(child.pid, start)
    assert process_alive(child.pid, None)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process_alive(child.pid, start)  # a zombie still, its parent has not asked
    child.communicate()
    assert not process_alive(child.pid, None)


def test_without_proc_a_process_has_no_start(tmp_path: Path) -> None:
    assert this_process(tmp_path) == Owner(os.getpid(), None)


def test_an_attempt_without_owner_has_none_alive(journal: Journal) -> None:
    attempt = begun(journal)
    assert not got(journal, attempt).owner_alive(lambda _pid, _start: True)


# -- against a plain model ----------------------------------------------------------------------------------------------

#: The life of an attempt once more, in other words: state, then step>state.
LIVES = """
intent            ultravox_created>ultravox_created leg_intent>leg_intent ended>ended
ultravox_created  ultravox_created>ultravox_created leg_intent>leg_intent ended>ended
leg_intent        ultravox_created>leg_intent leg_refused>not_placed leg_not_sent>not_placed placed>placed
leg_intent        unknown>unknown ended>ended assumed_not_placed>ended
not_placed        ultravox_created>ultravox_created leg_intent>leg_intent ended>ended
placed            placed>placed leg_canceled>not_placed left>placed ended>ended
unknown           ultravox_created>unknown unknown>unknown placed>placed ended>ended assumed_not_placed>ended
ended             refreshed>ended
"""
LIFE = {
    (line.split()[0], move.split(">")[0]): move.split(">")[1]
    for line in LIVES.strip().splitlines()
    for move in line.split()[1:]
}


def test_the_table_is_the_one_that_was_meant() -> None:
    assert {(str(a), str(b)): str(c) for (a, b), c in TRANSITIONS.items()} == LIFE


class Life(RuleBasedStateMachine):
    """Whatever sequence of steps: the model and the journal agree, and one number has one open attempt at most."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.journal = open_journal(Path(self.folder.name))
        self.model: dict[str, dict[str, Any]] = {}
        self.now = NOW

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()

    def _open(self) -> list[str]:
        return [each for each, one in self.model.items() if one["state"] != "ended"]

    @rule(
        target=attempts,
        last=st.integers(0, 2),
        key=st.sampled_from([None, None, "a", "b"]),
        prompt=st.sampled_from(["x", "x", "y"]),
        alive=st.booleans(),
    )
    def begin(self, last: int, key: str | None, prompt: str, alive: bool) -> str:
        to, digest = f"+1202555010{last}", digest_of({"prompt": prompt})
        one = intent(to, key=key, digest=digest, created_at=self.now, death_at=self.now + GRACE, owner=Owner(1))
        with_key = [each for each, a in self.model.items() if key is not None and a["key"] == key]
        holder = [each for each in self._open() if self.model[each]["to"] == to]
        expected: type[Exception] | None = None
        if with_key and self.model[with_key[-1]]["digest"] != digest:
            expected = UsageError
        elif with_key and (with_key[-1] in self._open() or self.model[with_key[-1]]["placed"] != "no"):
            expected = KeyTaken
        elif holder:
            held = self.model[holder[0]]
            over = self.now >= held["death"] + GRACE and not alive
            if over and held["state"] not in {"leg_intent", "unknown"}:
                held.update(state="ended", steps=held["steps"] + 1)
            else:
                expected = NumberTaken
        if expected is not None:
            with pytest.raises(expected):
                self.journal.begin(one, alive=lambda _pid, _start: alive)
            return ""
        self.journal.begin(one, alive=lambda _pid, _start: alive)
        self.model[one.attempt_id] = {
            "to": to, "key": key, "digest": digest, "state": "intent", "placed": "no",
            "death": self.now + GRACE, "steps": 1,
        }  # fmt: skip
        return one.attempt_id

    @rule(attempt=attempts, step=st.sampled_from(Step))
    def step(self, attempt: str, step: Step) -> None:
        if not attempt:
            return
        one = self.model[attempt]
        facts = dict(TELLS.get(step, {}))
        fate = {"leg_intent": "yes", "unknown": "yes", "placed": "yes"}.get(one["state"], "no")
        if step is Step.ENDED:
            facts["placed"] = fate
        after = LIFE.get((one["state"], step.value))
        if after is None:
            with pytest.raises(IllegalStep):
                self.journal.step(attempt, step, self.now, **facts)
            return
        self.journal.step(attempt, step, self.now, **facts)
        if after != "ended":
            one["placed"] = {"leg_intent": "unknown", "unknown": "unknown", "placed": "yes"}.get(after, "no")
        elif step is not Step.REFRESHED:
            one["placed"] = "no" if step is Step.ASSUMED_NOT_PLACED else fate
        one.update(state=after, steps=one["steps"] + 1)

    @rule(minutes=st.sampled_from([1, 25, -30]))
    def clock_moves(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.model)
    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = open_journal(Path(self.folder.name))

    @invariant()
    def agree(self) -> None:
        kept = {entry.attempt_id: entry for entry in self.journal.recent(1000)}
        assert {each: (e.to, e.key, e.state.value, e.placed) for each, e in kept.items()} == {
            each: (one["to"], one["key"], one["state"], one["placed"]) for each, one in self.model.items()
        }
        assert [entry.attempt_id for entry in self.journal.open_entries()] == self._open()
        numbers = [self.model[each]["to"] for each in self._open()]
        assert len(numbers) == len(set(numbers))
        keys = [entry.key for entry in kept.values() if entry.key and entry.spent]
        assert len(keys) == len(set(keys))
        for each, one in self.model.items():
            assert len(self.journal.history(each)) == one["steps"]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
