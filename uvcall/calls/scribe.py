"""Writes an attempt into the journal as it happens: intent before bytes leave, result before anything is printed.

Until the carrier is asked, a journal that cannot be written stops the call. From then on the call is real and the
journal is not: what cannot be written is said, and the call is followed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Unpack

from uvcall.calls.attempt import Attempt, DialOrder
from uvcall.calls.ports import Clock, Moment, Observer, Progress
from uvcall.core.model import CallRecord, Outcome, PlacedCall
from uvcall.core.outcome import failure
from uvcall.errors import LocalError, UsageError, UvcallError
from uvcall.journal import (
    Entry,
    Facts,
    Intent,
    Journal,
    KeyTaken,
    NumberTaken,
    Step,
    digest_of,
    process_alive,
    this_process,
)

#: Seconds past every limit that the peers were given, until everything remote is surely over.
_MARGIN_S = 120

#: Outcomes with which the command ends and the call goes on.
_LEFT = frozenset({Outcome.ACCEPTED, Outcome.UNOBSERVED})


@dataclass(slots=True, eq=False, repr=False)
class Scribe:
    """Keeps the journal of one attempt."""

    journal: Journal
    clock: Clock
    watch: Observer
    begun: bool = False

    def begin(self, orders: Sequence[DialOrder], recover: Callable[[Entry], None] | None = None) -> None:
        """Commit the intent, before anybody is contacted.

        Args:
            orders: One for each carrier that may be tried.
            recover: Settles an attempt that its process has left open, once, where one stands in the way.

        Raises:
            KeyTaken: The idempotency key is spent by the same call.
            PolicyRefused: Another attempt at the number is open.
            UsageError: The key stands for another call.
            LocalError: The journal cannot be written.
        """
        try:
            self._begin(orders)
        except (KeyTaken, NumberTaken) as taken:
            entry = taken.entry
            if recover is None or not entry.open or entry.owner_alive(process_alive):
                raise
            recover(entry)
            self._begin(orders)
        self.begun = True

    def _begin(self, orders: Sequence[DialOrder]) -> None:
        now, first = self.clock.now(), orders[0]
        self.journal.begin(
            Intent(
                attempt_id=first.leg.attempt_id,
                provider=first.provider.value,
                to=first.leg.to,
                from_=first.leg.from_,
                created_at=now,
                death_at=now + timedelta(seconds=_life_s(first)),
                digest=digest_of({"calls": [_arguments(order) for order in orders]}),
                key=first.key,
                via=first.via,
                owner=this_process(),
                command="dial via " + ",".join(order.provider.value for order in orders),
            )
        )

    def leg_intent(self, attempt: Attempt) -> None:
        """Commit that a phone may ring from now on.

        Raises:
            LocalError: The journal cannot be written, or another process has settled the attempt: do not ask.
        """
        order, now = attempt.order, self.clock.now()
        self.journal.step(
            order.leg.attempt_id,
            Step.LEG_INTENT,
            now,
            ultravox_call_id=attempt.created.call_id if attempt.created else None,
            provider=order.provider.value,
            from_=order.leg.from_,
            ring_timeout_s=order.leg.ring_timeout_s,
            time_limit_s=order.leg.time_limit_s,
            death_at=now + timedelta(seconds=_life_s(order)),
        )

    def leg_gone(self, attempt: Attempt, error: UvcallError) -> None:
        """Commit that nothing was placed after all.

        Raises:
            LocalError: The journal cannot be written: do not ask again.
        """
        step = Step.LEG_NOT_SENT if error.retryable else Step.LEG_REFUSED
        attempt_id = attempt.order.leg.attempt_id
        self.journal.step(attempt_id, step, self.clock.now(), reason=error.message, error=failure(error))

    def placed(self, attempt: Attempt) -> None:
        """Commit the carrier's id."""
        self._late(
            attempt,
            Step.PLACED,
            ultravox_call_id=attempt.created.call_id if attempt.created else None,
            carrier_call_id=attempt.placed.carrier_call_id if attempt.placed else None,
            carrier_ids=attempt.carrier_ids,
        )

    def unknown(self, attempt: Attempt, reason: str) -> None:
        """Commit that nobody knows whether a phone rings."""
        self._late(attempt, Step.UNKNOWN, reason=reason)

    def another_has(self, placed: PlacedCall, attempt_id: str) -> bool:
        """Say whether the journal knows the leg as another attempt's: of a call to the number a few seconds ago."""
        for text in {placed.carrier_call_id, *placed.ids.values()}:
            try:
                owner = self.journal.by_any_id(text)
            except UsageError:  # several have it: whose it is, it is not this one's alone
                return True
            except LocalError:  # the leg that was found is worth more than a journal that cannot be read
                return False
            if owner is not None and owner.attempt_id != attempt_id:
                return True
        return False

    def close(self, attempt: Attempt, record: CallRecord) -> None:
        """Commit how it ended, before it is printed."""
        if not self.begun:
            return
        if record.placed == "unknown":
            self._late(
                attempt,
                Step.UNKNOWN,
                reason=record.error.message if record.error else record.end_reason or "interrupted",
                outcome=record.outcome.value,
                exit_code=record.exit_code,
                error=record.error,
            )
            return
        result: Facts = {
            "outcome": record.outcome.value,
            "exit_code": record.exit_code,
            "answered_at": record.answered_at,
            "ended_at": record.ended_at,
            "duration_s": record.duration_s,
            "end_reason": record.end_reason,
            "cost": record.cost,
            "error": record.error,
            "ultravox_call_id": record.ultravox_call_id,
            # The order's own id stays the leg's name, also where the carrier's console shows another: that is in `ids`.
            "carrier_call_id": attempt.placed.carrier_call_id if attempt.placed else None,
            "carrier_ids": record.carrier_ids,
        }
        if record.placed == "yes" and (record.outcome in _LEFT or record.end_reason == "left"):
            self._late(attempt, Step.LEFT, **result)
        else:
            result["placed"] = record.placed
            self._late(attempt, Step.ENDED, **result)

    def _late(self, attempt: Attempt, step: Step, **facts: Unpack[Facts]) -> None:
        try:
            self.journal.step(attempt.order.leg.attempt_id, step, self.clock.now(), **facts)
        except LocalError as error:
            self.watch(Progress(Moment.NOTE, f"the journal misses this: {error.message}"))


def _life_s(order: DialOrder) -> float:
    """Return how long everything remote may live from now on: it waits, rings and talks to its limits."""
    return order.leg.ring_timeout_s + 60 + max(order.leg.time_limit_s, order.max_duration_s) + _MARGIN_S


def _arguments(order: DialOrder) -> Mapping[str, Any]:
    """Return what makes this call this call: the same key with another one of these is another call."""
    body = {name: value for name, value in order.create.body.items() if name != "metadata"}
    metadata = dict(order.create.body.get("metadata") or {})
    metadata.pop("uvcall_attempt", None)
    return {
        "provider": order.provider.value,
        "via": order.via,
        "to": order.leg.to,
        "from": order.leg.from_,
        "path": order.create.path,
        "query": dict(order.create.query),
        "body": body,
        "metadata": metadata,
        "voicemail": order.voicemail,
        "ring_timeout_s": order.leg.ring_timeout_s,
        "time_limit_s": order.leg.time_limit_s,
        "options": dict(order.leg.options),
    }
