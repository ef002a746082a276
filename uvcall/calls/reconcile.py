"""Settle attempts that no process follows any more, by asking carrier and Ultravox. Reads and hangs up, never dials.

What is decided is `moves.MOVES`; here it is carried out and written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.lookup import Lookup, Patience, Seen, Vendors, ended, joined
from uvcall.calls.moves import LISTED_WITHIN, MOVES, Age, Move, Sight, age_of, ids_of, result_of, sight_of
from uvcall.core.model import Outcome
from uvcall.core.outcome import ENDINGS
from uvcall.errors import LocalError, PolicyRefused, UvcallError
from uvcall.journal import Entry, Facts, IllegalStep, Journal, Probe, State, Step, process_alive

#: How an attempt ends for which nobody was rung, by the state in which its process died.
_UNSENT: Final = {
    State.INTENT: "stopped before the carrier was asked",
    State.ULTRAVOX_CREATED: "stopped before the carrier was asked",
    State.NOT_PLACED: "stopped after the carrier had placed nothing",
}

#: Why nobody may assume that an attempt was not placed, by what the vendors show.
_WHY_NOT: Final = {
    Sight.LIVE: "the vendors show its leg",
    Sight.OVER: "the vendors show its leg",
    Sight.LOST: "the carrier has said that it placed it",
    Sight.NOWHERE: "a carrier may list a call late: wait, then say it again",
    Sight.DOUBTFUL: "wait until that call is over, then reconcile again",
}

_EARLY: Final = frozenset({Age.FRESH, Age.YOUNG})


@dataclass(frozen=True, slots=True)
class Settled:
    """What has been done about one attempt. `entry` is as the journal has it now."""

    entry: Entry
    move: Move
    words: str
    error: UvcallError | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Settles attempts one by one.

    Attributes:
        journal: Where they are kept.
        vendors: Who is asked.
        desk: Where this thread waits.
        now: The wall clock, UTC.
        alive: Says whether a process lives.
        timing: How patient to be.
        hang_up: Hang up legs that are up, also before their death date.
        assumed_by: Who says that attempts which nobody lists were not placed; empty: nobody does.
        patience: How long to wait for vendors that ask for a pause, over all attempts.
    """

    journal: Journal
    vendors: Vendors
    desk: Desk
    now: Callable[[], datetime]
    alive: Probe = process_alive
    timing: Timing = field(default_factory=Timing)
    hang_up: bool = False
    assumed_by: str = ""
    patience: Patience = field(default_factory=Patience)

    def settle_all(self, entries: Iterable[Entry], watch: Callable[[Settled], None] = lambda _: None) -> list[Settled]:
        """Settle every attempt and tell of each.

        Raises:
            LocalError: The journal cannot be written.
        """
        done = []
        for entry in entries:
            settled = self.settle(entry)
            watch(settled)
            done.append(settled)
        return done

    def settle(self, entry: Entry) -> Settled:
        """Settle one attempt.

        Raises:
            LocalError: The journal cannot be written.
        """
        if not entry.open:
            return self._refused(Settled(entry, Move.SETTLED, "has ended already"), "there is nothing to assume")
        if entry.owner_alive(self.alive):
            pid = entry.owner.pid if entry.owner else "?"
            owned = Settled(entry, Move.OWNED, f"process {pid} follows it: left alone")
            return self._refused(owned, "end that process first: it hangs up and settles the attempt")
        try:
            return self._close(entry) if entry.placed == "no" else self._look(entry)
        except IllegalStep as error:
            again = self._again(entry)
            if again.open:
                return Settled(again, Move.UNREAD, f"not settled: {error.message}", error)
            return Settled(again, Move.SETTLED, "was settled by another process meanwhile")

    def _look(self, entry: Entry) -> Settled:
        lookup = self._lookup()
        age = age_of(entry, self.now())
        try:
            # Right after an end, the peers are still about to tell more; later they have told everything.
            seen = lookup.look_long(entry) if age in _EARLY else lookup.look(entry)
            sight = sight_of(entry, seen, age)
            move = Move.HANG_UP if sight is Sight.LIVE and self.hang_up else MOVES[sight, age]
            if move is Move.HANG_UP:
                settled = self._hang_up(entry, seen, lookup, early=age in _EARLY)
            elif move is Move.KEEP and sight is Sight.NOWHERE and self.assumed_by:
                return self._assume(entry)
            else:
                settled = self._carry_out(move, entry, seen, sight)
        except LocalError:
            raise
        except UvcallError as error:
            return Settled(self._again(entry), Move.UNREAD, f"not settled: {error.message}", error)
        return self._refused(settled, _WHY_NOT[sight])

    def _assume(self, entry: Entry) -> Settled:
        self.journal.assume_not_placed(entry.attempt_id, self.now(), self.assumed_by)
        words = f"ended: not placed, as {self.assumed_by} says; {entry.to} may be called again"
        return Settled(self._again(entry), Move.ASSUME, words)

    def _carry_out(self, move: Move, entry: Entry, seen: Seen, sight: Sight) -> Settled:
        again = f"uvcall reconcile {entry.attempt_id}"
        if move is Move.LEAVE:
            return Settled(self._adopt(entry, seen, sight), move, _left(seen, sight, _clock(entry)), next=again)
        if move is Move.END:
            return self._end(entry, seen, "found by reconcile")
        if move is Move.RELEASE:
            facts: Facts = {
                "outcome": Outcome.UNOBSERVED.value,
                "exit_code": ENDINGS[Outcome.UNOBSERVED].exit_code,
                "end_reason": "past its death date, and not at the carrier",
                "placed": "yes",
            }
            self._step(entry, Step.ENDED, facts)
            return Settled(self._again(entry), move, f"ended: {Outcome.UNOBSERVED}; {entry.to} may be called again")
        if move is Move.WAIT:
            ready = (entry.leg_at or entry.created_at) + LISTED_WITHIN
            wait_s = max(1, round((ready - self.now()).total_seconds()))
            words = f"neither {entry.provider} nor Ultravox shows it, but it may appear late: look again in {wait_s} s"
            return Settled(entry, move, words, next=again)
        return self._keep(entry, seen, sight)

    def _keep(self, entry: Entry, seen: Seen, sight: Sight) -> Settled:
        if sight is Sight.DOUBTFUL:
            ids = ", ".join(seen.several or ((seen.placed.carrier_call_id,) if seen.placed else ()))
            reason = f"a call between the numbers is up, and nothing tells whether it is this one: {ids}"
            after = f"uvcall reconcile {entry.attempt_id}"
        else:
            reason = f"neither {entry.provider} nor Ultravox shows it, which proves nothing"
            after = f"uvcall reconcile --assume-not-placed {entry.attempt_id}"
        code = ENDINGS[Outcome.UNKNOWN].exit_code
        self._step(entry, Step.UNKNOWN, {"reason": reason, "outcome": Outcome.UNKNOWN.value, "exit_code": code})
        return Settled(self._again(entry), Move.KEEP, f"unknown: {reason}; {entry.to} stays blocked", next=after)

    def _close(self, entry: Entry) -> Settled:
        """End an attempt for which nobody was rung, and the agent that waits for nobody."""
        outcome = Outcome.TEMPORARY
        if entry.error is not None and entry.error.code in {Outcome.PROVIDER_REFUSED.value, Outcome.AUTH_ERROR.value}:
            outcome = Outcome(entry.error.code)
        # First the journal: from here on no process can ask a carrier for this attempt.
        facts: Facts = {
            "placed": "no",
            "outcome": outcome.value,
            "exit_code": ENDINGS[outcome].exit_code,
            "end_reason": _UNSENT[entry.state],
        }
        if entry.error is not None:
            facts["error"] = entry.error
        self._step(entry, Step.ENDED, facts)
        self._end_agent(entry.ultravox_call_id)
        words = f"ended: {_UNSENT[entry.state]}; {entry.to} may be called again"
        if self.assumed_by:
            words += " (nothing had to be assumed)"
        return Settled(self._again(entry), Move.CLOSE, words)

    def _adopt(self, entry: Entry, seen: Seen, sight: Sight) -> Entry:
        """Note that the leg exists, and the ids that are new."""
        if sight is Sight.LOST and entry.placed == "yes":
            return entry
        facts = ids_of(entry, seen)
        known = (entry.ultravox_call_id, entry.carrier_call_id, {**entry.carrier_ids, **facts["carrier_ids"]})
        now = (facts["ultravox_call_id"], facts["carrier_call_id"], dict(entry.carrier_ids))
        if entry.state is State.PLACED and known == now:
            return entry
        self._step(entry, Step.PLACED, {"reason": "found by reconcile", **facts})
        return self._again(entry)

    def _end(self, entry: Entry, seen: Seen, reason: str, move: Move = Move.END) -> Settled:
        facts = result_of(seen)
        self._step(entry, Step.ENDED, {"placed": "yes", "reason": reason, **facts, **ids_of(entry, seen)})
        if seen.call is not None and joined(seen.call) and not ended(seen.call):
            self._end_agent(seen.call.call_id)
        why = facts["end_reason"]
        said = f" ({why})" if why and why != facts["outcome"] else ""
        return Settled(self._again(entry), move, f"ended: {facts['outcome']}{said}")

    def _hang_up(self, entry: Entry, seen: Seen, lookup: Lookup, *, early: bool) -> Settled:
        """Hang up what is up, and see it end."""
        entry = self._adopt(entry, seen, Sight.LIVE)
        placed, line = seen.placed, lookup.line(entry)
        agent = entry.ultravox_call_id
        if placed is not None and line is not None:
            lookup.ask(lambda: line.hang_up(placed), entry.provider, self.timing.hang_up_s)
            self._end_agent(agent)
        elif agent is not None:
            agents = self.vendors.agents()
            lookup.ask(lambda: agents.hang_up(agent), "ultravox", self.timing.hang_up_s)
        after = lookup.look_long(entry, until_over=True)
        reason = "hung up by reconcile" if early else "hung up by reconcile: past its death date"
        if sight_of(entry, after, age_of(entry, self.now())) is Sight.OVER:
            settled = self._end(entry, after, reason, Move.HANG_UP)
            return Settled(settled.entry, settled.move, f"hung up; {settled.words}")
        words = "hung up; its end is not in the carrier's list yet"
        return Settled(entry, Move.HANG_UP, words, next=f"uvcall reconcile {entry.attempt_id}")

    def _end_agent(self, call_id: str | None) -> None:
        """End the agent's side, where that works: it has a death date of its own."""
        if call_id is None:
            return
        with suppress(UvcallError):
            agents = self.vendors.agents()
            self._lookup().ask(lambda: agents.hang_up(call_id), "ultravox", self.timing.hang_up_s)

    def _lookup(self) -> Lookup:
        return Lookup(self.journal, self.vendors, self.desk, self.timing, self.patience)

    def _refused(self, settled: Settled, why: str) -> Settled:
        """Return what was done; to an operator who wanted to assume that nothing was placed, a refusal too."""
        if not self.assumed_by:
            return settled
        message = f"attempt {settled.entry.attempt_id} cannot be taken for not placed: {settled.words}"
        return replace(settled, error=PolicyRefused(message, hint=why))

    def _step(self, entry: Entry, step: Step, facts: Facts) -> None:
        self.journal.step(entry.attempt_id, step, self.now(), **facts)

    def _again(self, entry: Entry) -> Entry:
        return self.journal.get(entry.attempt_id) or entry


def _clock(entry: Entry) -> str:
    return f"{entry.death_at:%Y-%m-%d %H:%M:%SZ}"


def _left(seen: Seen, sight: Sight, hung_up_at: str) -> str:
    """Say why a placed leg is left."""
    if sight is Sight.LOST:
        return f"placed, and not in the carrier's list: settled 10 min after {hung_up_at} at the latest"
    state = seen.leg.state.value if seen.leg else "on the line"
    return f"placed, {state} now: left alone, over by {hung_up_at}"


def exit_code(done: Sequence[Settled]) -> int:
    """Return the exit code for all: 20 when one stays unknown, else the first error's, 75 after every other."""
    if any(settled.move in {Move.KEEP, Move.WAIT} for settled in done):
        return ENDINGS[Outcome.UNKNOWN].exit_code
    codes = sorted(settled.error.exit_code for settled in done if settled.error is not None)
    return codes[0] if codes else 0
