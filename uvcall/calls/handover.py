"""Hand a call to a browser on this machine: the page gives out the join URL, and Ultravox is asked how the call goes.

To the use case `calls.talk` it is a phone like any other: it holds the conversation to its end, and hangs up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from uvcall.calls.follow import Timing
from uvcall.calls.ports import Agents, Clock, Moment, Observer, Progress
from uvcall.calls.spoken import Spoken
from uvcall.core.callstate import Sighting, sight_agent
from uvcall.core.model import UltravoxCall
from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Parting, Talked
from uvcall.errors import Temporary, UvcallError

#: Seconds after the join timeout until which Ultravox has said that nobody came.
_LATE_S: Final = 10.0
#: Seconds that are given to hanging up, and seconds between two looks meanwhile.
_HANG_UP_S: Final = 4.0
_LOOK_S: Final = 0.3


class Door(Protocol):
    """Where a call is handed over: `server.talk_page.TalkPage`, or a test's own."""

    def offer(self, join_url: JoinUrl) -> None:
        """Begin to serve, with the join URL for the first who asks."""

    def taken(self) -> bool:
        """Return whether somebody has got it."""

    def shut(self) -> None:
        """Give it to nobody from now on."""


@dataclass(slots=True, eq=False, repr=False)
class Handover:
    """A phone that is a browser.

    Args:
        door: Where the browser comes for the call.
        agents: The Ultravox API, asked how the call goes.
        clock: The time.
        watch: Is told how the call goes.
        ready: Is called when the door is open.
        join_s: How long Ultravox lets a call wait to be joined.
        timing: How patient to be.
    """

    door: Door
    agents: Agents
    clock: Clock
    watch: Observer
    ready: Callable[[], None]
    join_s: float
    timing: Timing
    _call_id: str = ""
    _call: UltravoxCall | None = None
    _spoken: Spoken = field(default_factory=Spoken)
    _told: set[Moment] = field(default_factory=set)
    _left: threading.Event = field(default_factory=threading.Event)
    _asked: bool = False  #: Ultravox, to end the call
    _accepted: bool = False  #: by Ultravox: the call is being ended
    _error: UvcallError | None = None  #: why Ultravox did not say how the call goes when it was last asked

    def progress(self, progress: Progress) -> None:
        """Pass on what the use case tells; a call that is created is the one to follow."""
        if progress.moment is Moment.CREATED:
            self._call_id = progress.text
        self.watch(progress)

    def run(self, url: JoinUrl) -> Talked:
        """Offer the call and follow it to its end; never raises for what a call can meet."""
        self.door.offer(url)
        self.ready()
        began, failed = self.clock.monotonic(), False
        while not self._left.wait(self._pause_s(failed=failed)):
            failed = not self._look()
            if self._over():
                return self._ended()
            waited = self.clock.monotonic() - began
            if not self._joined_at() and waited > self.join_s:
                self.door.shut()
                if waited > self.join_s + _LATE_S and not self._blind():
                    return self._nobody()
        return self._hung_up()

    def hang_up(self) -> None:
        """End it. May be called from any thread."""
        self.door.shut()
        first = not self._left.is_set()
        self._left.set()
        if first and self._joined_at():
            # The thread that follows the call may be in the middle of a slow request.
            self._asked = True
            threading.Thread(target=self._end, daemon=True, name="uvcall-hang-up").start()

    def left(self) -> Talked:
        """Return what is known of the call now: its end, that nobody has joined it, or neither."""
        known = self._over() or self._accepted or not (self._blind() or self._joined_at())
        if known:
            return self._talked(Parting.USER)
        return self._talked(Parting.UNSEEN)._replace(ended_at=None, error=self._error)

    def _hung_up(self) -> Talked:
        """See the call to its end after a hang-up; one that a browser has just taken is joined first."""
        until = self.clock.monotonic() + _HANG_UP_S
        while self.door.taken() and not self._over() and self.clock.monotonic() < until:
            self._look()
            if (self._joined_at() or self._blind()) and not self._asked:
                self._end()
            threading.Event().wait(_LOOK_S)
        return self.left()

    def _end(self) -> None:
        self._asked = True
        try:
            self._asked = self._accepted = self.agents.hang_up(self._call_id)
        except UvcallError:
            self._asked = False

    def _pause_s(self, *, failed: bool) -> float:
        if failed:
            return self.timing.poll_failed_s
        return self.timing.poll_talking_s if self._joined_at() else self.timing.poll_ringing_s

    def _look(self) -> bool:
        """Ask once how the call goes; False where no answer came."""
        try:
            self._call = call = self.agents.get_call(self._call_id)
        except UvcallError as error:
            self._error = error
            return False
        self._error = None
        if call.joined_at is None:
            if self.door.taken() and not self._over():
                self._tell(Moment.ANSWERED)
            return True
        self._tell(Moment.TALKING)
        try:
            lines = self.agents.transcript(self._call_id)
        except UvcallError:
            return False
        for line in self._spoken.take(lines):
            self.watch(Progress(Moment.LINE, line.text, line))
        return True

    def _blind(self) -> bool:
        """Return whether somebody has the call, and Ultravox does not say what has become of it."""
        return self.door.taken() and (self._call is None or self._error is not None)

    def _tell(self, moment: Moment) -> None:
        if moment not in self._told:
            self._told.add(moment)
            self.watch(Progress(moment))

    def _joined_at(self) -> datetime | None:
        return self._call.joined_at if self._call is not None else None

    def _over(self) -> bool:
        return self._call is not None and sight_agent(self._call) is Sighting.AGENT_ENDED

    def _ended(self) -> Talked:
        if self._left.is_set():
            return self._talked(Parting.USER)
        return self._talked(Parting.AGENT) if self._joined_at() else self._nobody()

    def _nobody(self) -> Talked:
        """Tell of a call that nobody has joined."""
        if self.door.taken():
            words = "a browser took the call and did not join it"
            hint = "the page says why; run it again, and allow the microphone"
        else:
            words = f"nobody took the call from the page within {self.join_s:g} s"
            hint = "run it again, open the link and press the button; a longer joinTimeout in --call gives more time"
        return self._talked(Parting.BROKEN)._replace(error=Temporary(words, hint=hint))

    def _talked(self, parting: Parting) -> Talked:
        call = self._call
        joined_at, ended_at = (call.joined_at, call.ended_at) if call else (None, None)
        if joined_at is not None and ended_at is None:
            ended_at = self.clock.now()
        words = (call.end_reason if call else None) or ""
        return Talked(parting, self._spoken.lines, self._call_id, joined_at, ended_at, words)
