"""The use case: what each ending becomes in the record, and who is asked."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.ports import Moment
from uvcall.calls.talk import TalkOrder, talk
from uvcall.core.model import CreatedCall, Line, Outcome, UltravoxCall
from uvcall.core.payload import CreateCall
from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Parting, Talked
from uvcall.errors import AuthError, LocalError, ProviderRefused, Temporary

JOINED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ENDED = JOINED + timedelta(seconds=4.5)
LINES = (Line("agent", "Hello.", 0.5),)
URL = JoinUrl("wss://voice.ultravox.ai/calls/x")
PATIENCE_S = 30.0


class Clock:
    def now(self):
        return JOINED

    def monotonic(self):
        return 0.0


class Agents:
    """An Ultravox that created call `c1`, which ended as it is told."""

    def __init__(self, end_reason="agent_hangup", created=None, join_url=URL):
        self.end_reason, self.created, self.join_url, self.asked = end_reason, created, join_url, 0

    def create_call(self, create, *, rings, sent):
        assert rings is False
        if self.created is not None:
            raise self.created
        return CreatedCall("c1", self.join_url)

    def get_call(self, call_id):
        self.asked += 1
        if isinstance(self.end_reason, Exception):
            raise self.end_reason
        ended = ENDED if self.end_reason else None
        return UltravoxCall(call_id, joined_at=JOINED, ended_at=ended, end_reason=self.end_reason)


class Phone:
    """A phone whose conversation ends as it is told, or lasts until it is hung up."""

    def __init__(self, talked=None, *, deaf=False, lasts=False):
        self.talked, self.deaf, self.lasts = talked or held(Parting.USER), deaf, lasts or talked is None
        self.hung_up = threading.Event()
        self.running = threading.Event()

    def run(self, url):
        assert url is URL
        self.running.set()
        assert not self.lasts or self.hung_up.wait(PATIENCE_S)
        return self.talked

    def hang_up(self):
        if not self.deaf:
            self.hung_up.set()

    def left(self):
        return held(Parting.USER, words="left")


def held(parting, **given):
    return Talked(parting, LINES, **{"call_id": "c1", "joined_at": JOINED, "ended_at": ENDED, **given})


def hold(phone, agents=None, *, order=None, desk=None, timing=None):
    order = order or TalkOrder("a1", create=CreateCall("/api/calls", {}))
    seen = []
    record = talk(
        order, phone=phone, agents=agents, desk=desk or Desk(), clock=Clock(), watch=seen.append, timing=timing
    )
    return record, [progress.moment for progress in seen]


@pytest.mark.parametrize(
    ("talked", "said", "expected"),
    [
        (held(Parting.AGENT), "agent_hangup", (Outcome.COMPLETED, 0, "agent_hangup")),
        (held(Parting.AGENT), "timeout", (Outcome.MAX_DURATION, 17, "timeout")),
        (held(Parting.AGENT, words="code 1000"), Temporary("down", hint="x"), (Outcome.COMPLETED, 0, "code 1000")),
        (held(Parting.BROKEN, words="lost"), Temporary("down", hint="x"), (Outcome.AGENT_FAILED, 16, "lost")),
        (held(Parting.BROKEN), "system_error", (Outcome.AGENT_FAILED, 16, "system_error")),
        (held(Parting.BROKEN, words="lost"), "hangup", (Outcome.AGENT_FAILED, 16, "lost")),
        (held(Parting.BROKEN, words="lost"), "agent_hangup", (Outcome.COMPLETED, 0, "agent_hangup")),
        (held(Parting.USER), "agent_hangup", (Outcome.COMPLETED, 0, "hangup")),
        (held(Parting.SILENT, words="nothing"), None, (Outcome.SILENT, 15, "nothing")),
    ],
)
def test_how_a_conversation_ends(talked, said, expected):
    record, moments = hold(Phone(talked), Agents(said))
    assert (record.outcome, record.exit_code, record.end_reason) == expected
    assert (record.placed, record.retry_safe, record.duration_s) == ("yes", False, 4.5)
    assert (record.provider, record.to, record.attempt_id, record.ultravox_call_id) == ("ultravox", "", "a1", "c1")
    assert record.transcript == LINES
    assert moments == [Moment.CREATED, Moment.OVER]


@pytest.mark.parametrize(
    ("joined_at", "expected"),
    [(JOINED, (Outcome.UNOBSERVED, 21, "yes")), (None, (Outcome.UNKNOWN, 20, "unknown"))],
)
def test_an_end_that_nobody_saw_is_not_made_up(joined_at, expected):
    down = Temporary("Ultravox is down", hint="wait")
    agents = Agents()
    record, _ = hold(Phone(held(Parting.UNSEEN, joined_at=joined_at, ended_at=None, error=down)), agents)
    assert (record.outcome, record.exit_code, record.placed) == expected
    assert (record.ended_at, record.duration_s, record.end_reason, record.retry_safe) == (None, None, None, False)
    assert (record.error.message, record.next) == ("Ultravox is down", "uvcall calls watch c1")
    assert agents.asked == 0


def test_without_a_key_the_socket_alone_tells():
    order = TalkOrder("a1", join_url=URL)
    record, moments = hold(Phone(held(Parting.AGENT, words="closed")), order=order)
    assert (record.outcome, record.end_reason, record.ultravox_call_id) == (Outcome.COMPLETED, "closed", "c1")
    assert moments == [Moment.OVER]


def test_an_error_in_the_middle_keeps_what_was_said():
    error = LocalError("the microphone is gone", hint="plug it in")
    record, _ = hold(Phone(held(Parting.USER, error=error)), Agents())
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.LOCAL_ERROR, 7, "yes")
    assert (record.transcript, record.error.hint) == (LINES, "plug it in")


def test_a_refused_join_places_nothing():
    error = ProviderRefused("used already", hint="take a fresh one", status=409)
    talked = Talked(Parting.USER, error=error)
    record, moments = hold(Phone(talked), Agents())
    assert (record.outcome, record.exit_code, record.placed, record.retry_safe) == (
        Outcome.PROVIDER_REFUSED,
        5,
        "no",
        True,
    )
    assert record.ultravox_call_id == "c1"
    assert moments == [Moment.CREATED]


@pytest.mark.parametrize(("error", "code"), [(AuthError("wrong key", hint="x"), 4), (Temporary("busy", hint="x"), 75)])
def test_a_call_that_is_not_created(error, code):
    record, _ = hold(Phone(), Agents(created=error))
    assert (record.exit_code, record.placed, record.error.message) == (code, "no", error.message)


def test_a_call_without_a_join_url():
    record, _ = hold(Phone(), Agents(join_url=None))
    assert (record.exit_code, record.placed) == (5, "no")


def test_a_signal_hangs_up_and_is_the_exit_code():
    desk, phone = Desk(), Phone()
    threading.Thread(target=lambda: (phone.running.wait(PATIENCE_S), desk.interrupt(15))).start()
    record, moments = hold(phone, Agents(), desk=desk)
    assert (record.outcome, record.exit_code, record.end_reason) == (Outcome.INTERRUPTED, 143, "hung up")
    assert record.transcript == LINES
    assert Moment.HANGING_UP in moments


def test_a_phone_that_does_not_come_back_is_left():
    desk, phone = Desk(), Phone(deaf=True)
    desk.interrupt(2)
    record, _ = hold(phone, Agents(), order=TalkOrder("a1", join_url=URL), desk=desk, timing=Timing(hang_up_s=0.05))
    assert (record.exit_code, record.transcript) == (130, LINES)
    phone.hung_up.set()


def test_a_second_signal_leaves_at_once():
    desk, phone = Desk(), Phone(deaf=True)
    desk.interrupt(2)
    desk.interrupt(2)
    record, _ = hold(phone, Agents(), order=TalkOrder("a1", join_url=URL), desk=desk)
    assert (record.exit_code, record.end_reason) == (130, "left")
    phone.hung_up.set()


@pytest.mark.parametrize(("joined_at", "placed"), [(JOINED, "yes"), (None, "unknown")])
def test_a_signal_and_whether_it_hung_up_is_not_known(joined_at, placed):
    phone = Phone(held(Parting.UNSEEN, joined_at=joined_at, ended_at=None), lasts=True)
    desk = Desk()
    threading.Thread(target=lambda: (phone.running.wait(PATIENCE_S), desk.interrupt(2))).start()
    record, _ = hold(phone, Agents(), desk=desk)
    assert (record.outcome, record.exit_code, record.end_reason) == (Outcome.INTERRUPTED, 130, "left")
    assert (record.placed, record.retry_safe, record.next) == (placed, False, "uvcall calls watch c1")


def test_a_signal_before_it_began():
    desk = Desk()
    desk.interrupt(2)
    record, _ = hold(Phone(), Agents(), desk=desk)
    assert (record.exit_code, record.placed, record.end_reason) == (130, "no", "before it began")


def test_past_every_limit_it_is_hung_up():
    order = TalkOrder("a1", join_url=URL, max_duration_s=-60.0)
    record, moments = hold(Phone(), Agents(), order=order)
    assert (record.outcome, record.exit_code) == (Outcome.MAX_DURATION, 17)
    assert Moment.HANGING_UP in moments
