"""Hold a conversation from this machine: create the call unless there is one, let the phone talk, tell how it ended.

No number is rung here, so nothing can ring twice and the ledger of attempts, which exists for that, has no line of it;
what was created and never joined ends by itself, at its join timeout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from uvcall.calls.desk import Desk, Job, Late
from uvcall.calls.follow import Timing
from uvcall.calls.ports import Agents, Clock, Moment, Observer, Progress, silent
from uvcall.core import outcome as outcomes
from uvcall.core.model import CallRecord, Outcome, UltravoxCall
from uvcall.core.payload import CreateCall
from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Parting, Talked
from uvcall.errors import ContractBroken, Interrupted, Placed, Temporary, UvcallError

#: The record's `provider`: nobody but Ultravox carries the call.
PROVIDER: Final = "ultravox"
#: Seconds past the longest duration after which a conversation that has not ended is ended.
_OVERTIME_S: Final = 60.0
#: How often, and in seconds how long apart, Ultravox is asked how a call ended that has just ended.
_ASK_TIMES: Final = 3
_ASK_EVERY_S: Final = 0.5
_ASK_S: Final = 5.0


class Phone(Protocol):
    """Whatever has a microphone and a speaker: `softphone.phone.Softphone`, or a test's own."""

    def run(self, url: JoinUrl) -> Talked:
        """Hold the conversation to its end; never raises for what a conversation can meet."""

    def hang_up(self) -> None:
        """End it. May be called from any thread."""

    def left(self) -> Talked:
        """Return what is known of it now, when it is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class TalkOrder:
    """One conversation to be held: a call to be created, or the join URL of one that exists."""

    attempt_id: str
    create: CreateCall | None = None
    join_url: JoinUrl | None = None
    max_duration_s: float = 600.0

    def allowing(self, seconds: float) -> TalkOrder:
        """Return the same order for a call that may wait so long before it begins."""
        return replace(self, max_duration_s=self.max_duration_s + seconds)


@dataclass(slots=True)
class _Talk:
    order: TalkOrder
    phone: Phone
    agents: Agents | None
    desk: Desk
    clock: Clock
    watch: Observer
    timing: Timing
    created_at: datetime
    call_id: str | None = None
    job: Job[Talked] | None = None
    cut: bool = False  #: past the longest duration

    def url(self) -> JoinUrl:
        """Return the join URL, of a call that is created now if there is none.

        Raises:
            UvcallError: Ultravox refuses, or does not answer: nothing was placed.
        """
        order, agents = self.order, self.agents
        if order.join_url is not None:
            return order.join_url
        create = order.create
        if create is None or agents is None:
            raise TypeError("an order has a call to create, or a join URL")
        try:
            created = self.desk.run(lambda: agents.create_call(create, rings=False, sent=None), self.timing.create_s)
        except Late:
            words = f"Ultravox has not answered within {self.timing.create_s:g} s"
            raise Temporary(words, hint="nobody was called; run the same command again", peer="ultravox") from None
        self.call_id = created.call_id
        self.watch(Progress(Moment.CREATED, created.call_id))
        if created.join_url is None:
            raise ContractBroken("Ultravox created the call without a join URL", peer="ultravox")
        return created.join_url

    def hold(self, url: JoinUrl) -> Talked:
        """Let the phone talk to the end, or to the limit that Ultravox should have kept."""
        self.job = self.desk.start(lambda: self.phone.run(url))
        try:
            return self.desk.wait(self.job, self.order.max_duration_s + _OVERTIME_S)
        except Late:
            self.cut = True
            self.watch(Progress(Moment.NOTE, "past the longest duration: hanging up"))
            return self.end(self.job)

    def end(self, job: Job[Talked]) -> Talked:
        """Hang up and return what was said, from a phone that does not come back, too."""
        self.watch(Progress(Moment.HANGING_UP))
        self.phone.hang_up()
        try:
            return self.desk.wait(job, self.timing.hang_up_s)
        except Late:
            return self.phone.left()

    def told(self, talked: Talked) -> UltravoxCall | None:
        """Ask Ultravox how the call has ended; None where it cannot be asked, or does not know yet."""
        call_id, agents = self.call_id or talked.call_id, self.agents
        if call_id is None or agents is None or talked.joined_at is None:
            return None
        for _ in range(_ASK_TIMES):
            try:
                call = self.desk.run(lambda: agents.get_call(call_id), _ASK_S)
            except (UvcallError, Late):
                return None
            if call.ended_at is not None or call.end_reason:
                return call
            self.desk.sleep(_ASK_EVERY_S)
        return None

    def ended(self, talked: Talked) -> CallRecord:
        """Return the record of a conversation that is over, or past being seen."""
        if talked.parting is Parting.UNSEEN:
            outcome = Outcome.UNOBSERVED if talked.joined_at else Outcome.UNKNOWN
            return self.record(outcome, talked, error=talked.error)
        if talked.error is not None:
            return self.record(outcomes.outcome_of(talked.error), talked, error=talked.error)
        if talked.joined_at is None:
            return self.record(Outcome.TEMPORARY, talked, reason="hung up before it began")
        if talked.parting is Parting.SILENT:
            return self.record(Outcome.SILENT, talked, reason=talked.words)
        if talked.parting is Parting.USER:
            return self.record(Outcome.MAX_DURATION if self.cut else Outcome.COMPLETED, talked, reason="hangup")
        call = self.told(talked)
        broken = talked.parting is Parting.BROKEN
        # Nobody here has hung up: what Ultravox takes for it is the end of what was lost.
        if call is not None and call.end_reason and not (broken and call.end_reason == "hangup"):
            outcome, reason = outcomes.decide(None, call._replace(joined_at=call.joined_at or talked.joined_at))
            return self.record(outcome, talked, reason=reason)
        return self.record(Outcome.AGENT_FAILED if broken else Outcome.COMPLETED, talked, reason=talked.words)

    def record(
        self,
        outcome: Outcome,
        talked: Talked | None = None,
        *,
        reason: str | None = None,
        error: UvcallError | None = None,
        exit_code: int | None = None,
    ) -> CallRecord:
        """Return the record for an outcome; `exit_code` only where the outcome alone does not tell it."""
        joined_at = talked.joined_at if talked else None
        ended_at = talked.ended_at if talked else None
        unseen = talked is not None and talked.parting is Parting.UNSEEN
        placed: Placed = "yes" if joined_at is not None else "unknown" if unseen else "no"
        call_id = self.call_id or (talked.call_id if talked else None)
        return CallRecord(
            outcome=outcome,
            exit_code=outcomes.ENDINGS[outcome].exit_code if exit_code is None else exit_code,
            placed=placed,
            retry_safe=placed == "no",
            provider=PROVIDER,
            to="",
            from_="",
            attempt_id=self.order.attempt_id,
            ultravox_call_id=call_id,
            created_at=self.created_at,
            answered_at=joined_at,
            ended_at=ended_at,
            duration_s=round((ended_at - joined_at).total_seconds(), 3) if joined_at and ended_at else None,
            end_reason=reason or None,
            transcript=talked.lines if talked else (),
            error=outcomes.failure(error) if error else None,
            next=f"uvcall calls watch {call_id}" if unseen and call_id else None,
        )


def talk(
    order: TalkOrder,
    *,
    phone: Phone,
    agents: Agents | None,
    desk: Desk,
    clock: Clock,
    watch: Observer = silent,
    timing: Timing | None = None,
) -> CallRecord:
    """Hold a conversation from nothing to its end.

    Args:
        order: What is wanted.
        phone: Talks.
        agents: The Ultravox API; None with a join URL and no key: then how the call ended is told by its socket alone.
        desk: Where this thread waits and is interrupted.
        clock: The time.
        watch: Is told of everything that the phone itself does not tell.
        timing: How patient to be.

    Returns:
        The record, whatever happens: errors are in it, never raised.
    """
    held = _Talk(order, phone, agents, desk, clock, watch, timing or Timing(), clock.now())
    talked: Talked | None = None
    try:
        talked = held.hold(held.url())
        record = held.ended(talked)
    except Interrupted as signal:
        record = _interrupted(held, talked, signal)
    except UvcallError as error:
        record = held.record(outcomes.outcome_of(error), talked, error=error)
    if record.answered_at is not None:
        watch(Progress(Moment.OVER))
    return record


def _interrupted(held: _Talk, talked: Talked | None, signal: Interrupted) -> CallRecord:
    """Hang up within five seconds; a second signal leaves at once."""
    code, reason = 128 + signal.signum, "hung up"
    if talked is None and held.job is not None:
        try:
            talked = held.end(held.job)
        except Interrupted:
            talked, reason = held.phone.left(), "left"
    if talked is not None and talked.parting is Parting.UNSEEN:
        reason = "left"
    elif talked is None or talked.joined_at is None:
        reason = "before it began"
    return held.record(Outcome.INTERRUPTED, talked, reason=reason, exit_code=code)
