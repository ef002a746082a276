"""Follow a placed call to its end by asking both peers, and end what is left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from uvcall.calls.attempt import Attempt
from uvcall.calls.desk import Desk, Late
from uvcall.calls.ports import Agents, CarrierLine, Clock, Moment, Observer, Progress
from uvcall.calls.spoken import Spoken
from uvcall.core.callstate import CallState, Sighting, sight_agent, sight_leg, step
from uvcall.core.model import Cause, LegState
from uvcall.errors import UvcallError


class Timing(NamedTuple):
    """How patient the use cases are, in seconds."""

    poll_ringing_s: float = 1.0
    poll_talking_s: float = 2.0
    poll_failed_s: float = 5.0  #: after a poll that failed
    join_grace_s: float = 6.0  #: answered, and the agent still not there: nobody should listen to silence for longer
    #: After the agent has left, audio that the carrier has buffered may still play; Telnyx then waits for ever, because
    #: nothing tells a Call Control leg to end. https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
    agent_grace_s: float = 1.5
    leg_grace_s: float = 6.0  #: after the leg's end, until Ultravox has noticed and the carrier knows the cause
    overtime_s: float = 60.0  #: past every limit that the peers were given
    create_s: float = 25.0
    request_s: float = 20.0
    hang_up_s: float = 5.0
    max_wait_s: float = 20.0  #: the longest Retry-After that is waited out
    settle_poll_s: float = 2.0

    def faster(self, speed: float) -> Timing:
        """Return the same patience in a world that runs faster: waits shrink, bounds on requests do not."""
        bounds = {"create_s", "request_s", "hang_up_s", "max_wait_s", "settle_poll_s"}
        return Timing(**{k: v if k in bounds else max(0.05, v / speed) for k, v in self._asdict().items()})


_MOMENTS: Final = {
    CallState.RINGING: Moment.RINGING,
    CallState.ANSWERED: Moment.ANSWERED,
    CallState.TALKING: Moment.TALKING,
}

_OVER: Final = frozenset({CallState.LEG_OVER, CallState.AGENT_OVER, CallState.OVER})


@dataclass(slots=True, eq=False, repr=False)
class _Follower:
    attempt: Attempt
    agents: Agents
    line: CarrierLine | None
    desk: Desk
    clock: Clock
    watch: Observer
    timing: Timing
    state: CallState = CallState.PLACED
    since: float = 0.0
    hang_ups: int = 0
    failures: int = 0
    spoken: Spoken = field(default_factory=Spoken)

    def poll(self) -> None:
        """Ask both peers once."""
        self.failures = 0
        self._ask_carrier()
        if self.state is not CallState.PLACED or self.line is None or self.attempt.placed is None:
            self._ask_ultravox()

    def _ask_carrier(self) -> None:
        line, placed = self.line, self.attempt.placed
        if line is None or placed is None:
            return
        if (
            self.attempt.leg
            and self.attempt.leg.state is LegState.ENDED
            and self.attempt.leg.cause is not Cause.UNKNOWN
        ):
            return
        try:
            status = self.desk.run(lambda: line.status(placed), self.timing.request_s)
        except (UvcallError, Late):
            self.failures += 1
            return
        self.attempt.see_leg(status)
        self._move(sight_leg(status))

    def _ask_ultravox(self) -> None:
        created = self.attempt.created
        if created is None or self.state is CallState.OVER:
            return
        try:
            call = self.desk.run(lambda: self.agents.get_call(created.call_id), self.timing.request_s)
        except (UvcallError, Late):
            self.failures += 1
            return
        self.attempt.call = call
        sighting = sight_agent(call)
        if sighting is not None:
            if call.joined_at is not None and self.state not in _OVER and self.state is not CallState.TALKING:
                # A short conversation may begin and end between two polls; whoever watches is told of both.
                self.watch(Progress(Moment.TALKING))
            self._move(sighting)
        if call.joined_at is not None:
            self.read_transcript()

    def _move(self, sighting: Sighting) -> None:
        new = step(self.state, sighting)
        if new is self.state:
            return
        self.state, self.since = new, self.clock.monotonic()
        moment = _MOMENTS.get(new)
        if moment is not None and not (moment is Moment.TALKING and self.attempt.call is not None):
            self.watch(Progress(moment))

    def read_transcript(self) -> None:
        """Fetch what has been said and show what is new."""
        created = self.attempt.created
        if created is None:
            return
        try:
            lines = self.desk.run(lambda: self.agents.transcript(created.call_id), self.timing.request_s)
        except (UvcallError, Late):
            self.failures += 1
            return
        self.attempt.lines = lines
        for line in self.spoken.take(lines):
            self.watch(Progress(Moment.LINE, line.text, line))

    def for_s(self) -> float:
        """Return how long the state has lasted, in seconds."""
        return self.clock.monotonic() - self.since

    def settled(self) -> bool:
        """Return whether nothing more can be learned; end what the other side has left behind."""
        leg = self.attempt.leg
        if self.state is CallState.OVER:
            return not (leg and leg.cause is Cause.UNKNOWN) or self.for_s() > self.timing.leg_grace_s
        if self.state is CallState.LEG_OVER:
            cause_known = leg is not None and leg.cause is not Cause.UNKNOWN
            reached = (leg is not None and leg.answered) or (self.attempt.call and self.attempt.call.joined_at)
            if not reached and cause_known:
                return True
            if self.for_s() > self.timing.leg_grace_s:
                self.hang_up_agent()
                return True
            return False
        if self.state is CallState.AGENT_OVER:
            if self.attempt.placed is None or self.line is None:
                return True
            if self.for_s() > self.timing.agent_grace_s * (1 + self.hang_ups):
                return self._end_leg()
            return False
        if leg is not None and leg.machine and self.attempt.order.voicemail == "hangup":
            self._end_leg()
        elif self.state is CallState.ANSWERED and self.for_s() > self.timing.join_grace_s * (1 + self.hang_ups):
            self.watch(Progress(Moment.NOTE, "answered, but the agent has not joined: hanging up"))
            self._end_leg()
        return False

    def _end_leg(self) -> bool:
        """Hang up the leg; after three vain attempts give up (its time limit ends it) and return True."""
        line, placed = self.line, self.attempt.placed
        if line is None or placed is None:
            return True
        if self.hang_ups >= 3:  # a fourth would only repeat what failed
            return True
        self.hang_ups += 1
        try:
            self.desk.run(lambda: line.hang_up(placed), self.timing.hang_up_s)
            self.attempt.hung_up_by_us = True
        except (UvcallError, Late):
            self.failures += 1
        return False

    def hang_up_agent(self) -> None:
        """End the agent's side of a call whose leg is gone."""
        created, call = self.attempt.created, self.attempt.call
        if created is None or call is None or call.joined_at is None or call.ended_at is not None:
            return
        try:
            self.desk.run(lambda: self.agents.hang_up(created.call_id), self.timing.hang_up_s)
        except (UvcallError, Late):
            self.failures += 1

    def pause_s(self) -> float:
        """Return how long to wait before the next poll."""
        if self.failures:
            return self.timing.poll_failed_s
        if self.state is CallState.TALKING:
            return self.timing.poll_talking_s
        return self.timing.poll_ringing_s


def follow(
    attempt: Attempt,
    *,
    agents: Agents,
    line: CarrierLine | None,
    desk: Desk,
    clock: Clock,
    watch: Observer,
    timing: Timing,
    enough: Callable[[], bool] = lambda: False,
) -> bool:
    """Watch the call until it is over, `enough()` says so, or every time limit has passed.

    Returns:
        True when the end was seen; False when the waiting was given up.

    Raises:
        Interrupted: A signal came; nothing has been hung up for it yet.
    """
    order = attempt.order
    started = clock.monotonic()
    limit = order.leg.ring_timeout_s + order.max_duration_s + timing.overtime_s
    if order.timeout_s is not None:
        limit = min(limit, order.timeout_s)
    follower = _Follower(attempt, agents, line, desk, clock, watch, timing, since=started)
    while not enough():
        left = limit - (clock.monotonic() - started)
        if left <= 0:
            return False
        desk.sleep(min(follower.pause_s(), left))
        follower.poll()
        if follower.settled():
            if attempt.call is not None and attempt.call.joined_at is not None:
                follower.read_transcript()
            return True
    return True


def hang_up(attempt: Attempt, *, agents: Agents, line: CarrierLine | None, desk: Desk, timing: Timing) -> bool:
    """End both sides, each once, both at the same time. Returns whether the phone leg is known to be ended.

    Raises:
        Interrupted: A second signal came.
    """
    created, placed = attempt.created, attempt.placed
    jobs = []
    if line is not None and placed is not None:
        jobs.append(desk.start(lambda: line.hang_up(placed)))
    if created is not None and attempt.fate != "no":
        jobs.append(desk.start(lambda: agents.hang_up(created.call_id)))
    ended = line is not None and placed is not None
    for index, job in enumerate(jobs):
        try:
            desk.wait(job, timing.hang_up_s)
        except (UvcallError, Late):
            if index == 0:
                ended = False
    attempt.hung_up_by_us = ended
    return ended
