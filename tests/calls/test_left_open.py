"""A `dial` whose number, or key, is held by an attempt that its process has left open: looked at first, then dialed."""

import subprocess
import sys
from uuid import uuid4

import pytest
from support.scripted import LEG, NOON, ORDER, QUICK, Clock, Peers

from uvcall.calls.dial import dial
from uvcall.calls.ports import CarrierLine, silent
from uvcall.calls.route import Route
from uvcall.calls.scribe import Scribe
from uvcall.carriers import Account
from uvcall.core.model import Outcome
from uvcall.errors import Interrupted, LocalError
from uvcall.journal import Owner, Step, this_process

GONE = Owner(1, "gone")
DONE = {"outcome": "busy", "exit_code": 10, "placed": "yes"}


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def left_open(journal, monkeypatch):
    """Leave an attempt open as a process does that dies; return its id."""

    def _left_open(*steps, key=None, owner=GONE):
        order = ORDER._replace(leg=LEG._replace(attempt_id=str(uuid4())), key=key)
        monkeypatch.setattr("uvcall.calls.scribe.this_process", lambda: owner)
        Scribe(journal, Clock(), silent).begin([order])
        monkeypatch.undo()
        for step in steps:
            journal.step(order.leg.attempt_id, step, NOON, **({"reason": "lost"} if step is Step.UNKNOWN else {}))
        return order.leg.attempt_id

    return _left_open


@pytest.fixture
def again(peers, desk, journal):
    """Dial the same number; returns the record and the attempts that were looked at first."""

    def _again(recover=lambda _: None, key=None):
        seen = []

        def recovering(entry):
            seen.append(entry.attempt_id)
            recover(entry)

        record = dial(
            [Route(ORDER._replace(key=key), CarrierLine(peers, Account()))],
            agents=peers, desk=desk, clock=Clock(), journal=journal, timing=QUICK, recover=recovering,
        )  # fmt: skip
        return record, seen

    return _again


def test_what_is_settled_is_in_nobodys_way(journal, left_open, again, peers):
    before = left_open(Step.LEG_INTENT, Step.PLACED)
    record, seen = again(lambda entry: journal.step(entry.attempt_id, Step.ENDED, NOON, **DONE))
    assert (record.outcome, record.attempt_id, seen) == (Outcome.COMPLETED, LEG.attempt_id, [before])
    assert peers.log.count("place") == 1


@pytest.mark.parametrize("key", [None, "nightly"])
def test_what_stays_open_stays_in_the_way(left_open, again, peers, key):
    before = left_open(Step.LEG_INTENT, Step.UNKNOWN, key=key)
    record, seen = again(key=key)
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.POLICY_REFUSED, 3, "no")
    assert seen == [before]
    assert before in record.error.message
    assert "uvcall reconcile" in record.error.hint
    assert peers.log == []


def test_what_a_living_process_follows_is_not_looked_at(left_open, again, peers):
    left_open(Step.LEG_INTENT, owner=this_process())
    record, seen = again()
    assert (record.exit_code, seen, peers.log) == (3, [], [])


def test_a_key_that_is_spent_tells_of_its_call(journal, left_open, again, peers):
    before = left_open(Step.LEG_INTENT, Step.PLACED, key="nightly")
    record, _ = again(lambda entry: journal.step(entry.attempt_id, Step.ENDED, NOON, **DONE), key="nightly")
    assert (record.attempt_id, record.outcome, record.exit_code) == (before, Outcome.BUSY, 10)
    assert peers.log == []


def test_a_key_under_which_nobody_was_rung_is_free(journal, left_open, again, peers):
    left_open(key="nightly")
    none = {**DONE, "outcome": "temporary", "exit_code": 75, "placed": "no"}
    record, _ = again(lambda entry: journal.step(entry.attempt_id, Step.ENDED, NOON, **none), key="nightly")
    assert (record.attempt_id, record.outcome) == (LEG.attempt_id, Outcome.COMPLETED)
    assert peers.log.count("place") == 1


def test_a_key_that_has_ended_is_not_looked_at(journal, left_open, again):
    before = left_open(Step.LEG_INTENT, Step.PLACED, Step.PLACED, key="nightly")
    journal.step(before, Step.ENDED, NOON, **DONE)
    record, seen = again(key="nightly")
    assert (record.attempt_id, seen) == (before, [])


@pytest.mark.parametrize(
    ("trouble", "outcome", "code"),
    [(LocalError("the disk is full"), Outcome.LOCAL_ERROR, 7), (Interrupted(15), Outcome.INTERRUPTED, 143)],
)
def test_looking_that_fails_calls_nobody(left_open, again, peers, trouble, outcome, code):
    def recover(_entry):
        raise trouble

    left_open(Step.LEG_INTENT)
    record, _ = again(recover)
    assert (record.outcome, record.exit_code, record.placed, peers.log) == (outcome, code, "no", [])


def test_without_one_the_code_for_it_is_not_loaded():
    probe = (
        "import sys; from uvcall.cli.app import run; "
        "code = run(['dial', '+12025550101', '--provider', 'twilio', '--sandbox', '--speed', '50', '-q', '--json']); "
        "print(code, 'uvcall.calls.reconcile' in sys.modules, 'uvcall.calls.lookup' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=50, check=True)
    assert done.stderr.split() == ["10", "False", "False"]
