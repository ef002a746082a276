"""Watch a call to its end without touching it: the journal first, then both peers, asked no oftener than they like."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from uvcall.calls.history import record_of
from uvcall.calls.lookup import Seen, joined
from uvcall.calls.moves import LISTED_WITHIN, Sight, age_of, result_of, sight_of
from uvcall.calls.ports import Moment, Observer, Progress
from uvcall.calls.reconcile import Reconciler
from uvcall.calls.spoken import Spoken
from uvcall.calls.subject import Subject, Tools, call_of
from uvcall.core.callstate import CallState, sight_agent, sight_leg, step
from uvcall.core.inbound_policy import Step as Inbound
from uvcall.core.model import CallRecord, LegState, Outcome, UltravoxCall
from uvcall.core.outcome import ENDINGS, decide, failure
from uvcall.errors import ContractBroken, Interrupted, Temporary, UvcallError
from uvcall.journal import Entry

#: Vain looks in a row after which a watcher gives up; with the pauses between them, a little over five minutes.
_VAIN: Final = 12
_LONGEST_PAUSE_S: Final = 30.0
#: How long the process that follows a call may take to write its end down.
_OWNER_S: Final = 15.0
#: A webhook that is late is not waited for: then Ultravox is asked, so often.
_WEBHOOK_S: Final = 10.0

_MOMENTS: Final = {
    CallState.RINGING: Moment.RINGING,
    CallState.ANSWERED: Moment.ANSWERED,
    CallState.TALKING: Moment.TALKING,
}


@dataclass(slots=True, eq=False)
class _Watch:
    tools: Tools
    subject: Subject
    tell: Observer
    state: CallState = CallState.PLACED
    entry: Entry | None = None
    seen: Seen = field(default_factory=Seen)
    spoken: Spoken = field(default_factory=Spoken)
    vain: int = 0
    error: UvcallError | None = None
    asked_at: float = float("-inf")  #: when Ultravox was last asked for the call
    looked: bool = False
    over_at: float | None = None  #: when it was first seen to be over

    @property
    def call_id(self) -> str | None:
        """Return Ultravox's id, learned meanwhile perhaps."""
        known = self.subject.call_id or (self.entry.ultravox_call_id if self.entry else None)
        return known or (self.seen.call.call_id if self.seen.call else None)

    def poll(self) -> bool:
        """Look once. Returns whether the call is over.

        Raises:
            UvcallError: It will not get better by looking again.
        """
        try:
            over = self._look()
        except (Temporary, ContractBroken) as error:
            if not self.looked:
                raise
            self.vain += 1
            if self.vain == 1:
                self.tell(Progress(Moment.NOTE, f"{error.message}: looking again"))
            self.error = error
            return False
        if self.vain:
            self.tell(Progress(Moment.NOTE, "it can be seen again"))
        self.vain, self.error, self.looked = 0, None, True
        return over

    def past(self) -> bool:
        """Say whether nothing can be learned by looking on: nobody follows it, and no vendor shows it in time."""
        entry, now = self.entry, self.tools.now()
        if entry is None or not entry.open:
            return False
        shown = self.seen.leg is not None or joined(self.seen.call)
        late = now >= (entry.leg_at or entry.created_at) + LISTED_WITHIN
        lost = entry.placed == "unknown" and not shown and late and not entry.owner_alive(self.tools.alive)
        return lost or entry.stale(now)

    def pause_s(self) -> float:
        """Return how long to wait before the next look."""
        timing = self.tools.timing
        if self.error is not None:
            asked = self.error.retry_after or 0.0
            return min(_LONGEST_PAUSE_S, max(asked, timing.poll_failed_s * (1 << min(self.vain - 1, 4))))
        if self.entry is not None and self.entry.placed != "no" and self.entry.carrier_call_id is None:
            return timing.poll_failed_s  # it is looked for in lists, which takes several requests
        return timing.poll_talking_s if self.state is CallState.TALKING else timing.poll_ringing_s

    def _look(self) -> bool:
        if self.subject.answered is not None:
            return self._look_at_answered()
        if self.entry is None:
            self._ask_call()
            return self.state is CallState.AGENT_OVER
        self.entry = self.tools.journal.get(self.entry.attempt_id) or self.entry
        entry = self.entry
        if not entry.open:
            self._catch_up()
            return True
        if entry.placed == "no":
            return not entry.owner_alive(self.tools.alive)
        seen = self.tools.lookup.look(entry)
        self.seen = Seen(seen.placed, seen.leg, seen.call or self.seen.call, seen.several, seen.several_over)
        if seen.leg is not None:
            self._move(step(self.state, sight_leg(seen.leg)))
        if seen.call is not None:
            self._see(seen.call)
        elif self.call_id is not None and (seen.leg is None or seen.leg.state in {LegState.ANSWERED, LegState.ENDED}):
            self._ask_call()
        if sight_of(entry, self.seen, age_of(entry, self.tools.now())) is not Sight.OVER:
            return False
        # Causes come a little later than ends, and an agent notices that the line is gone.
        self.over_at = self.over_at or time.monotonic()
        return self.seen.told() or time.monotonic() - self.over_at > self.tools.timing.leg_grace_s

    def _look_at_answered(self) -> bool:
        """Look at a call that `serve-inbound` answered: its webhooks are in the ledger, and cost nobody a request."""
        answered = self.tools.answered(self.subject.named) or self.subject.answered
        if answered is None:
            return True
        self.subject = self.subject._replace(
            answered=answered, call_id=answered.known.ultravox_id or self.subject.call_id
        )
        now = answered.known.step
        if now is Inbound.JOINED and self.state is not CallState.TALKING:
            self._move(CallState.TALKING)
        late = time.monotonic() - self.asked_at > _WEBHOOK_S
        if self.call_id is not None and (late or now is Inbound.ENDED):
            self._ask_call()
        elif self.call_id is not None and self.state is CallState.TALKING:
            self._read()
        return now in {Inbound.ENDED, Inbound.REFUSED, Inbound.FALLBACK} or self.state is CallState.AGENT_OVER

    def _ask_call(self) -> None:
        call_id = self.call_id
        if call_id is None:
            return
        self.asked_at = time.monotonic()
        call = self.tools.ask(lambda agents: agents.get_call(call_id))
        self.seen = Seen(self.seen.placed, self.seen.leg, call, self.seen.several, self.seen.several_over)
        self._see(call)

    def _see(self, call: UltravoxCall) -> None:
        sighting = sight_agent(call)
        if sighting is None:
            return
        if joined(call) and self.state in {CallState.PLACED, CallState.RINGING, CallState.ANSWERED}:
            self._move(CallState.TALKING)  # a short conversation may begin and end between two looks
        if joined(call):
            self._read()
        self._move(step(self.state, sighting))

    def _read(self) -> None:
        call_id = self.call_id
        if call_id is None:
            return
        for line in self.spoken.take(self.tools.ask(lambda agents: agents.transcript(call_id))):
            self.tell(Progress(Moment.LINE, line.text, line))

    def _catch_up(self) -> None:
        """Read the transcript of a call that is over, as far as there is one."""
        entry = self.entry
        if self.call_id is None or entry is None or entry.placed == "no":
            return
        try:
            self._read()
        except UvcallError as error:
            self.tell(Progress(Moment.NOTE, f"its transcript cannot be read: {error.message}"))

    def _move(self, state: CallState) -> None:
        if state is self.state:
            return
        self.state = state
        moment = _MOMENTS.get(state)
        if moment is not None:
            self.tell(Progress(moment))


def watch(tools: Tools, subject: Subject, tell: Observer, *, timeout_s: float | None = None) -> CallRecord:
    """Watch a call until it is over, and return its record with all that was said.

    A signal ends the watching, not the call: the record then says `interrupted`.

    Args:
        tools: Who is asked.
        subject: The call.
        tell: Is told of everything new.
        timeout_s: Stop watching after so many seconds; the call goes on.

    Raises:
        UvcallError: There is no such call, or its vendors cannot be asked at all.
    """
    watching = _Watch(tools, subject, tell, entry=subject.entry)
    if subject.entry is None and subject.answered is None:
        call_of(tools, subject)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        while not watching.poll():
            pause = watching.pause_s()
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
            if pause <= 0 or watching.vain >= _VAIN or watching.past():
                return _left(watching)
            tools.desk.sleep(pause)
        tell(Progress(Moment.OVER))
        return _over(tools, watching)
    except Interrupted as signal:
        record = _left(watching)
        return record._replace(outcome=Outcome.INTERRUPTED, exit_code=128 + signal.signum)


def _over(tools: Tools, watching: _Watch) -> CallRecord:
    """Return the record of a call that is over: as whoever follows it writes it down, or as this writes it down."""
    entry = watching.entry
    if entry is None:
        return _of_call(watching)
    patience = time.monotonic() + _OWNER_S
    while entry.open and entry.owner_alive(tools.alive) and time.monotonic() < patience:
        tools.desk.sleep(min(0.5, tools.timing.poll_ringing_s))
        entry = tools.journal.get(entry.attempt_id) or entry
    if entry.open and not entry.owner_alive(tools.alive):
        reconciler = Reconciler(tools.journal, tools.vendors, tools.desk, tools.now, tools.alive, tools.timing)
        entry = reconciler.settle(entry).entry
    record = _as_far_as_known(entry)
    if entry.open and (watching.seen.leg is not None or watching.seen.call is not None):
        told = result_of(watching.seen)
        outcome = Outcome(told["outcome"])
        record = record._replace(
            outcome=outcome,
            exit_code=told["exit_code"],
            answered_at=told["answered_at"],
            ended_at=told["ended_at"],
            duration_s=told["duration_s"],
            end_reason=told["end_reason"],
            cost=told["cost"],
        )
    return record._replace(transcript=watching.spoken.lines)


def _left(watching: _Watch) -> CallRecord:
    """Return the record of a call whose end has not been seen."""
    if watching.entry is None:
        record = _of_call(watching)
        record = record._replace(outcome=Outcome.UNOBSERVED, exit_code=ENDINGS[Outcome.UNOBSERVED].exit_code)
    else:
        record = _as_far_as_known(watching.entry)
    error = None if watching.error is None else failure(watching.error)
    return record._replace(transcript=watching.spoken.lines, error=error or record.error)


def _as_far_as_known(entry: Entry) -> CallRecord:
    """Return an attempt's record. What an earlier command said of a call that goes on, `accepted`, is not its end."""
    record = record_of(entry)
    if not entry.open:
        return record
    outcome = Outcome.UNOBSERVED if entry.placed == "yes" else Outcome.UNKNOWN
    return record._replace(outcome=outcome, exit_code=ENDINGS[outcome].exit_code)


def _of_call(watching: _Watch) -> CallRecord:
    """Return the record of a call that no journal has: what Ultravox says of it."""
    call, answered, leg = watching.seen.call, watching.subject.answered, watching.subject.leg
    outcome, why = decide(None, call)
    if call is None and answered is not None:
        outcome, why = Outcome.FAILED, answered.known.word
    there = joined(call) or answered is not None
    begun, over = (call.joined_at, call.ended_at) if call else (None, None)
    return CallRecord(
        outcome=outcome,
        exit_code=ENDINGS[outcome].exit_code,
        placed="yes" if there else "unknown",
        provider=leg.provider.value if leg else "",
        to="",
        from_=answered.caller if answered else "",
        ultravox_call_id=watching.call_id,
        carrier_call_id=leg.carrier_call_id if leg else None,
        created_at=call.created_at if call else None,
        answered_at=begun,
        ended_at=over,
        duration_s=max(0.0, round((over - begun).total_seconds(), 3)) if begun and over else None,
        end_reason=why or None,
        transcript=watching.spoken.lines,
    )
