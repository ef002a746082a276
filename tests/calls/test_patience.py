"""How long the vendors are waited for that ask for a pause."""

from collections import deque
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from types import SimpleNamespace
from uuid import uuid4

import pytest
from support.scripted import play

from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.lookup import Lookup, Patience, Vendors
from uvcall.calls.moves import Move
from uvcall.calls.reconcile import Reconciler, exit_code
from uvcall.core.model import Cause, LegState, LegStatus, Outcome
from uvcall.errors import Temporary
from uvcall.journal import Intent, Owner, Step, digest_of

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOST = 20.0


def asks(retry_after, status=429):
    return Temporary("too often", status=status, retry_after=retry_after)


def pauses(error, patience=None, peer="twilio"):
    patience = patience or Patience()
    found = []
    while (pause := patience.pause(error, peer, MOST)) is not None:
        found.append(pause)
        assert len(found) < 100
    return found


@pytest.mark.parametrize(
    ("retry_after", "found"),
    [
        (5.0, [5.0] * 4),
        (20.0, [20.0]),
        (20.1, []),
        (1e9, []),
        (inf, []),
        (0.0, [0.5] * 40),  # no leave to ask without end
        (None, [0.5, 0.5, 1, 2, 4, 8]),
    ],
)
def test_as_long_as_it_asks_and_no_longer_than_the_limit(retry_after, found):
    assert pauses(asks(retry_after)) == found


def test_503_with_a_time_is_waited_for_and_other_errors_are_not():
    assert pauses(asks(10.0, status=503)) == [10.0, 10.0]
    assert pauses(asks(None, status=503)) == []
    assert pauses(Temporary("no answer")) == []


def test_each_vendor_has_a_limit_of_its_own():
    patience = Patience()
    assert pauses(asks(15.0), patience) == [15.0]
    assert pauses(asks(10.0), patience) == []
    assert pauses(asks(10.0), patience, "ultravox") == [10.0, 10.0]


def test_no_pause_reaches_over_the_deadline():
    assert Patience().left() == inf
    patience = Patience(monotonic() + 30)
    assert 29 < patience.left() <= 30
    assert pauses(asks(1.0), Patience(monotonic() + 0.9)) == []


@pytest.fixture
def lookup():
    def _lookup(**more):
        return Lookup(None, None, Desk(), Timing(request_s=5), **more)

    return _lookup


def test_it_is_asked_again_after_the_pause(lookup):
    answers = deque([asks(0.5), "answer"])
    begun = monotonic()
    assert lookup().ask(lambda: play(answers), "twilio") == "answer"
    assert monotonic() - begun >= 0.5


def test_nobody_is_asked_after_the_deadline(lookup):
    asked = []
    with pytest.raises(Temporary, match="no time was left"):
        lookup(patience=Patience(monotonic() - 1)).ask(lambda: asked.append(1), "twilio")
    assert asked == []


def test_nobody_is_waited_for_beyond_the_deadline(lookup):
    desk = Desk()
    begun = monotonic()
    with pytest.raises(Temporary, match="has not answered within"):
        lookup(patience=Patience(monotonic() + 0.1)).ask(lambda: desk.sleep(4), "twilio")
    assert monotonic() - begun < 4


# ---- all of `reconcile`


@pytest.fixture
def settled(journal):
    """Reconcile so many attempts of dead processes whose carrier says this, then says it for ever."""

    def _settled(*answers, attempts=1, timing=None):
        script = deque(answers)
        line = SimpleNamespace(open=lambda: None, status=lambda _placed: play(script))
        ids = []
        for number in range(attempts):
            ids.append(str(uuid4()))
            digest = digest_of({"number": number})
            journal.begin(
                Intent(ids[-1], "twilio", f"+1202555010{number}", "+12025550199", BEGUN, BEGUN + timedelta(minutes=9),
                       digest, owner=Owner(1, "gone"))
            )  # fmt: skip
            journal.step(ids[-1], Step.LEG_INTENT, BEGUN)
            journal.step(ids[-1], Step.PLACED, BEGUN, carrier_call_id=f"CA{number}")
        before = [journal.history(each) for each in ids]
        reconciler = Reconciler(
            journal, Vendors(lambda _: line, lambda: None), Desk(), lambda: BEGUN, timing=timing or Timing()
        )
        done = reconciler.settle_all(journal.open_entries())
        return done, [journal.history(each) for each in ids] == before

    return _settled


def test_reconcile_waits_as_long_as_the_carrier_asks(settled):
    (done,), _ = settled(asks(0.5), LegStatus(LegState.ENDED, Cause.BUSY, "busy"))
    assert (done.move, done.entry.outcome) == (Move.END, Outcome.BUSY)


def test_reconcile_gives_up_and_changes_nothing(settled):
    done, unchanged = settled(asks(3600.0), attempts=2)
    assert [each.move for each in done] == [Move.UNREAD, Move.UNREAD]
    assert (exit_code(done), unchanged) == (75, True)


def test_all_attempts_of_a_run_share_the_patience(settled):
    begun = monotonic()
    done, unchanged = settled(asks(0.5), attempts=5, timing=Timing(max_wait_s=1.2))
    assert {each.move for each in done} == {Move.UNREAD}
    assert unchanged
    assert 1.0 <= monotonic() - begun < 30  # two pauses in all, not two for each
