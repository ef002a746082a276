"""A call that a browser takes: followed by asking, hung up from here, and what it is called when nobody comes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from uvcall.calls.follow import Timing
from uvcall.calls.handover import Handover
from uvcall.calls.ports import Moment, Progress
from uvcall.core.model import Line, UltravoxCall
from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Parting, Talked
from uvcall.errors import Temporary

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL = JoinUrl("wss://voice.ultravox.ai/calls/x")
WAITS = UltravoxCall("c1")
TALKS = UltravoxCall("c1", joined_at=NOW)
OVER = UltravoxCall("c1", joined_at=NOW, ended_at=NOW + timedelta(seconds=3), end_reason="agent_hangup")
UNJOINED = UltravoxCall("c1", ended_at=NOW, end_reason="unjoined")
DOWN = Temporary("Ultravox is down", hint="wait")
LINES = (Line("agent", "Hello.", 0.5), Line("user", "Hi.", 1.5))
TIMING = Timing(poll_ringing_s=0.01, poll_talking_s=0.01, poll_failed_s=0.01)


class Clock:
    """Each look at it is a second later."""

    def __init__(self):
        self.at = 0.0

    def now(self):
        return NOW

    def monotonic(self):
        self.at += 1.0
        return self.at


class Door:
    def __init__(self, taken=False):
        self.is_taken, self.offered, self.is_shut = taken, None, False

    def offer(self, join_url):
        self.offered = join_url

    def taken(self):
        return self.is_taken

    def shut(self):
        self.is_shut = True


class Agents:
    """An Ultravox that says of the call what it is given, in turn, and then the last of it again and again."""

    def __init__(self, *says, hangs_up=True):
        self.says, self.hangs_up, self.hung_up = list(says), hangs_up, threading.Event()

    def get_call(self, call_id):
        assert call_id == "c1"
        if self.hung_up.is_set():
            return OVER._replace(end_reason="hangup")
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said

    def transcript(self, call_id):
        return LINES

    def hang_up(self, call_id):
        if not self.hangs_up:
            raise DOWN
        self.hung_up.set()
        return True


def handover(agents, *, taken=False, join_s=1000.0, ready=lambda: None):
    told = []
    phone = Handover(Door(taken), agents, Clock(), told.append, ready, join_s, TIMING)
    phone.progress(Progress(Moment.CREATED, "c1"))
    return phone, told


def test_it_is_followed_to_its_end():
    phone, told = handover(Agents(WAITS, Temporary("busy", hint="wait"), TALKS, OVER), taken=True)
    talked = phone.run(URL)
    assert phone.door.offered is URL
    assert (talked.parting, talked.lines, talked.call_id) == (Parting.AGENT, LINES, "c1")
    assert (talked.joined_at, talked.ended_at, talked.words) == (NOW, OVER.ended_at, "agent_hangup")
    moments = [progress.moment for progress in told]
    assert moments == [Moment.CREATED, Moment.ANSWERED, Moment.TALKING, Moment.LINE, Moment.LINE]


@pytest.mark.parametrize(
    ("taken", "words"), [(False, "nobody took the call from the page within 1000 s"), (True, "did not join it")]
)
def test_nobody_joins(taken, words):
    phone, _ = handover(Agents(WAITS, UNJOINED), taken=taken)
    talked = phone.run(URL)
    assert talked.joined_at is None
    assert isinstance(talked.error, Temporary)
    assert words in talked.error.message


@pytest.mark.parametrize("says", [WAITS, Temporary("busy", hint="wait")])
def test_nobody_joins_and_ultravox_does_not_say_so(says):
    phone, _ = handover(Agents(says), join_s=3.0)
    assert isinstance(phone.run(URL).error, Temporary)
    assert phone.door.is_shut


def test_a_hang_up_before_anybody_came():
    agents = Agents(WAITS)
    phone, _ = handover(agents)
    phone.hang_up()
    talked = phone.run(URL)
    assert (talked.parting, talked.joined_at, phone.door.is_shut) == (Parting.USER, None, True)
    assert not agents.hung_up.is_set()


def test_a_hang_up_while_they_talk():
    agents = Agents(TALKS)
    phone, told = handover(agents, taken=True)
    talk = threading.Thread(target=lambda: said.append(phone.run(URL)))
    said = []
    talk.start()
    while not any(progress.moment is Moment.LINE for progress in list(told)):
        talk.join(0.01)
    phone.hang_up()
    talk.join(30)
    assert agents.hung_up.is_set()
    assert (said[0].parting, said[0].joined_at, said[0].lines) == (Parting.USER, NOW, LINES)


@pytest.mark.parametrize(("says", "joined_at"), [((TALKS, DOWN), NOW), ((DOWN,), None)])
def test_an_end_that_could_not_be_seen(says, joined_at):
    """Ultravox has stopped answering, or never answered, and somebody has the call."""
    phone, _ = handover(Agents(*says, hangs_up=False), taken=True, join_s=3.0)
    said = []
    talk = threading.Thread(target=lambda: said.append(phone.run(URL)))
    talk.start()
    while phone.clock.at < 50 or phone._error is None:  # long after it could have been joined
        talk.join(0.01)
    assert talk.is_alive()
    assert phone.left() == Talked(Parting.UNSEEN, LINES if joined_at else (), "c1", joined_at, None, "", DOWN)
    phone.hang_up()
    talk.join(30)
    assert said == [phone.left()]


def test_ultravox_is_back_before_the_end():
    talked = handover(Agents(TALKS, DOWN, DOWN, OVER), taken=True)[0].run(URL)
    assert (talked.parting, talked.words, talked.error) == (Parting.AGENT, "agent_hangup", None)


def test_ultravox_does_not_say_how_it_goes_and_hangs_up_all_the_same():
    agents = Agents(DOWN)
    phone, _ = handover(agents, taken=True)
    phone.hang_up()
    talked = phone.run(URL)
    assert agents.hung_up.is_set()
    assert (talked.parting, talked.ended_at) == (Parting.USER, OVER.ended_at)


def test_a_browser_that_joins_while_it_is_hung_up_is_hung_up_too():
    agents = Agents(WAITS, TALKS)
    phone, _ = handover(agents, taken=True)
    phone.hang_up()
    assert phone.run(URL).parting is Parting.USER
    assert agents.hung_up.is_set()
