"""End a call from outside, both its sides, whatever it is doing; and see that it has ended.

A phone leg is ended at the carrier, an agent that is on the line at Ultravox. An agent that nobody has joined cannot be
ended by anybody: it leaves by itself when its join time is over, and costs nothing.
https://docs.ultravox.ai/api-reference/calls/calls-send-data-message-post
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from uvcall.calls.desk import Late
from uvcall.calls.lookup import OpenLine, ended, joined, placed_of
from uvcall.calls.reconcile import Reconciler
from uvcall.calls.subject import Subject, Tools, call_of, named
from uvcall.core.model import LegState, Outcome, PlacedCall
from uvcall.errors import FateUnknown, Temporary, UvcallError
from uvcall.journal import Entry

#: How often both sides are told to end: an agent may join between two looks.
_ROUNDS: Final = 3
_AGAIN: Final = "run it again: it does no harm"


class Side(StrEnum):
    """What has become of one side of a call."""

    HUNG_UP = "hung_up"  #: it was up, and is over now
    OVER = "over"  #: it was over already
    WAITING = "waiting"  #: an agent that nobody has joined
    UP = "up"  #: still there
    UNKNOWN = "unknown"  #: there is none, or none that could be asked


class HungUp(NamedTuple):
    """What has become of a call that was told to end. `entry` is as the journal has it now."""

    carrier: Side
    agent: Side
    entry: Entry | None = None
    call_id: str | None = None
    leg: PlacedCall | None = None
    left: str = ""  #: what is left of it, in words
    error: UvcallError | None = None  #: why it may not be over


def hang_up(tools: Tools, subject: Subject) -> HungUp:
    """End both sides of a call and see them end. Doing it again does no harm.

    Raises:
        ProviderRefused: There is no such call.
        Temporary: It has not begun, and another process is about to place it; or nobody can be asked.
        FateUnknown: A phone may ring that no vendor shows.
    """
    entry = subject.entry
    if entry is None:
        return _end(tools, subject, _ends_of(tools, subject))
    if not entry.open and (entry.placed == "no" or entry.outcome not in {Outcome.UNOBSERVED, Outcome.UNKNOWN}):
        side = Side.UNKNOWN if entry.placed == "no" else Side.OVER
        return HungUp(side, side, entry, entry.ultravox_call_id, _leg(entry))
    alive = entry.owner_alive(tools.alive)
    if entry.open and entry.placed == "no":
        if alive:
            raise _being_placed(subject, entry)
        return _settled(tools, HungUp(Side.UNKNOWN, Side.WAITING, entry, entry.ultravox_call_id))
    ends = _ends_of(tools, subject)
    if ends.leg is None and not ends.agent_there:
        _nobody_shows_it(tools, subject, entry, alive=alive)
    done = _end(tools, subject, ends)
    return done if alive or not entry.open or done.error is not None else _settled(tools, done)


@dataclass(slots=True, eq=False)
class _Ends:
    """Both ends of one call, as far as they are known."""

    tools: Tools
    call_id: str | None
    leg: PlacedCall | None
    line: OpenLine | None = None
    agent_there: bool = False  #: Ultravox shows a call that somebody has joined
    carrier: Side = Side.UNKNOWN
    agent: Side = Side.UNKNOWN
    told: tuple[bool, bool] = (False, False)  #: whether the carrier, and the agent, have taken a hang-up
    carrier_error: UvcallError | None = None
    agent_error: UvcallError | None = None

    def hang_up(self) -> None:
        """Tell both ends at the same time."""
        tools, leg, line, call_id = self.tools, self.leg, self.line, self.call_id
        phone = None if leg is None or line is None else tools.desk.start(lambda: line.hang_up(leg))
        agent = None if call_id is None else tools.desk.start(lambda: tools.agents().hang_up(call_id))
        taken = list(self.told)
        self.agent_error = None
        if line is not None:
            self.carrier_error = None
        for index, job in enumerate((phone, agent)):
            if job is None:
                continue
            try:
                taken[index] = tools.desk.wait(job, tools.timing.hang_up_s) or taken[index]
            except Late:
                self._note(index, Temporary("no answer to the hang-up in time", hint=_AGAIN))
            except UvcallError as error:
                self._note(index, error)
        self.told = (taken[0], taken[1])

    def look(self) -> None:
        """Ask both ends where they are."""
        tools, leg, line, call_id = self.tools, self.leg, self.line, self.call_id
        # One end that is hung up takes the other with it.
        ended_now = Side.HUNG_UP if any(self.told) else Side.OVER
        if leg is not None and line is not None:
            try:
                state = tools.lookup.ask(lambda: line.status(leg), leg.provider).state
            except UvcallError as error:
                self.carrier = ended_now if error.status == 404 else Side.UP
                self._note(0, error)
            else:
                # "Queued" is also what a carrier says of a call that it does not list any more.
                forgotten = state is LegState.QUEUED and not self.told[0] and self.carrier_error is None
                self.carrier = ended_now if state is LegState.ENDED or forgotten else Side.UP
        if call_id is not None:
            try:
                call = tools.ask(lambda agents: agents.get_call(call_id))
            except UvcallError as error:
                self.agent = ended_now if error.status == 404 else Side.UNKNOWN
                self._note(1, error)
            else:
                self.agent = ended_now if ended(call) else Side.UP if joined(call) else Side.WAITING

    def up(self) -> bool:
        """Say whether an end is still there that can be ended."""
        return Side.UP in {self.carrier, self.agent}

    def _note(self, index: int, error: UvcallError) -> None:
        if index == 0:
            self.carrier_error = error
        else:
            self.agent_error = error


def _ends_of(tools: Tools, subject: Subject) -> _Ends:
    """Return the ends of a call, looking for those that the journal does not know."""
    entry = subject.entry
    ends = _Ends(tools, subject.call_id, subject.leg)
    if entry is None and subject.leg is None:
        call_id = ends.call_id = call_of(tools, subject)
        tools.ask(lambda agents: agents.get_call(call_id))  # a 404 is the answer
        return ends
    try:
        if entry is None:
            ends.line = tools.vendors.line(subject.leg.provider) if subject.leg else None
        else:
            ends.leg = _leg(entry)
            if ends.leg is None:
                seen = tools.lookup.look(entry)
                ends.leg, ends.agent_there = seen.placed, joined(seen.call)
                ends.call_id = ends.call_id or (seen.call.call_id if seen.call else None)
            ends.line = tools.lookup.line(entry)
        if ends.line is not None and ends.leg is not None:
            tools.lookup.ask(ends.line.open, ends.leg.provider)
    except UvcallError as error:
        # A carrier that cannot be asked keeps nobody from ending the agent's side.
        ends.line, ends.carrier_error = None, error
        ends.agent_there = ends.call_id is not None
    return ends


def _nobody_shows_it(tools: Tools, subject: Subject, entry: Entry, *, alive: bool) -> None:
    """Say so where no vendor shows anything that can be hung up.

    Raises:
        Temporary: Another process is placing it, or Ultravox dials; FateUnknown: nobody does, and it may ring.
    """
    if entry.open and entry.via == "ultravox" and entry.placed == "yes":
        raise Temporary(
            f"{named(subject)} is dialed by Ultravox, which takes no hang-up before somebody joins",
            hint=f"run it again when it talks; it is over by {entry.death_at:%Y-%m-%d %H:%M:%SZ} in any case",
        )
    if alive:
        raise _being_placed(subject, entry)
    settled = _reconciler(tools).settle(entry) if entry.open else None
    if settled is not None and settled.entry.open:
        raise FateUnknown(
            f"no vendor shows {named(subject)}, which proves nothing: nothing was hung up",
            hint=settled.next or f"uvcall reconcile {entry.attempt_id}",
        )


def _being_placed(subject: Subject, entry: Entry) -> Temporary:
    pid = entry.owner.pid if entry.owner else "?"
    return Temporary(
        f"{named(subject)} is being placed by process {pid}, and no vendor shows it yet: nothing was hung up",
        hint=f"end that process, or run this again: kill -INT {pid}",
    )


def _end(tools: Tools, subject: Subject, ends: _Ends) -> HungUp:
    timing = tools.timing
    for _ in range(_ROUNDS):
        ends.hang_up()
        for _ in range(max(1, round(timing.leg_grace_s / timing.poll_ringing_s))):
            ends.look()
            if not ends.up():
                break
            tools.desk.sleep(timing.poll_ringing_s)
        if not ends.up():
            break
    entry = subject.entry
    left, error = _left(ends, entry), _failure(ends, subject)
    return HungUp(ends.carrier, ends.agent, entry, ends.call_id, ends.leg, left, error)


def _failure(ends: _Ends, subject: Subject) -> UvcallError | None:
    """Return why the call may still be up; None where the person's line is over, or the agent where that is all."""
    if ends.up():
        first = ends.carrier_error if ends.carrier is Side.UP else ends.agent_error
        return first or Temporary(f"{named(subject)} was told to end, and is still there", hint=_AGAIN)
    if ends.carrier is Side.UNKNOWN:
        return ends.carrier_error or (ends.agent_error if ends.agent is Side.UNKNOWN else None)
    return None


def _left(ends: _Ends, entry: Entry | None) -> str:
    """Say what is left of the call."""
    if ends.carrier in {Side.UP, Side.UNKNOWN} and entry is not None:
        return f"a phone leg of it, if there is one, is over by {entry.death_at:%Y-%m-%d %H:%M:%SZ}"
    if ends.agent is Side.WAITING:
        return "nobody had joined the agent: it leaves when its join time is over, and costs nothing"
    if ends.agent is Side.UNKNOWN and ends.agent_error is not None:
        return f"Ultravox could not be asked ({ends.agent_error.message}); its agent leaves when the line is gone"
    if ends.leg is None:
        return "a phone leg of it is not known here: its carrier ends it when the agent has left, or at its limit"
    return ""


def _settled(tools: Tools, done: HungUp) -> HungUp:
    """Write down how the attempt has ended, since no process does."""
    if done.entry is None:
        return done
    settled = _reconciler(tools).settle(done.entry)
    return done._replace(entry=settled.entry, error=settled.error)


def _reconciler(tools: Tools) -> Reconciler:
    return Reconciler(tools.journal, tools.vendors, tools.desk, tools.now, tools.alive, tools.timing)


def _leg(entry: Entry) -> PlacedCall | None:
    return placed_of(entry, entry.carrier_call_id) if entry.carrier_call_id is not None else None
