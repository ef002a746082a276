"""What is known of one attempt to call someone, from the first request to the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from uvcall.core import outcome as outcomes
from uvcall.core.carrier import Provider
from uvcall.core.model import (
    CallRecord,
    CreatedCall,
    LegOrder,
    LegState,
    LegStatus,
    Line,
    Outcome,
    PlacedCall,
    UltravoxCall,
)
from uvcall.core.payload import CreateCall
from uvcall.errors import FateUnknown, Placed, UvcallError

Voicemail = Literal["hangup", "leave", "ignore"]


class DialOrder(NamedTuple):
    """One call to be placed. Durations are seconds."""

    provider: Provider
    create: CreateCall
    leg: LegOrder
    via: Literal["sdk", "ultravox"] = "sdk"
    voicemail: Voicemail = "hangup"
    max_duration_s: float = 600.0
    detach: bool = False
    timeout_s: float | None = None  #: stop waiting after, leave the call alone
    settle_s: float = 120.0  #: after a lost reply, how long to look for the call
    key: str | None = None  #: idempotency key


@dataclass(slots=True, eq=False, repr=False)
class Attempt:
    """The facts so far. `fate` says whether a phone may ring because of this attempt."""

    order: DialOrder
    created_at: datetime
    fate: Placed = "no"
    created: CreatedCall | None = None
    placed: PlacedCall | None = None
    leg: LegStatus | None = None
    call: UltravoxCall | None = None
    lines: Sequence[Line] = ()
    hung_up_by_us: bool = False
    carrier_ids: dict[str, str] = field(default_factory=dict)

    def adopt(self, placed: PlacedCall) -> None:
        """Note that the carrier has the leg."""
        self.placed = placed
        self.fate = "yes"
        self.carrier_ids.update(placed.ids)

    def see_leg(self, status: LegStatus) -> None:
        """Note what the carrier says; what was seen once (answered, a machine) stays seen."""
        self.carrier_ids.update(status.ids)
        before = self.leg
        if before is not None and before.state is LegState.ENDED and status.state is not LegState.ENDED:
            return
        self.leg = status

    def ended(self, now: datetime) -> CallRecord:
        """Return the record of a call that was placed and followed."""
        outcome, reason = outcomes.decide(self.leg, self.call)
        return self.record(outcome, reason=reason, now=now)

    def refused(self, error: UvcallError, now: datetime) -> CallRecord:
        """Return the record of an attempt that an error ended."""
        outcome = Outcome.UNKNOWN if isinstance(error, FateUnknown) else outcomes.outcome_of(error)
        return self.record(outcome, reason=None, now=now, error=error)

    def record(
        self,
        outcome: Outcome,
        *,
        reason: str | None,
        now: datetime,
        error: UvcallError | None = None,
        exit_code: int | None = None,
    ) -> CallRecord:
        """Return the record for an outcome; `exit_code` only where the outcome alone does not tell it."""
        ending = outcomes.ENDINGS[outcome]
        placed: Placed = self.fate if ending.placed is None or self.fate == "yes" else ending.placed
        leg, call = self.leg, self.call
        answered_at = (leg.answered_at if leg else None) or (call.joined_at if call else None)
        over = leg is not None and leg.state is LegState.ENDED
        ended_at = (leg.ended_at if leg else None) or (call.ended_at if call else None) or (now if over else None)
        duration = leg.duration_s if leg else None
        if duration is None and answered_at and ended_at:
            duration = max(0.0, round((ended_at - answered_at).total_seconds(), 3))
        return CallRecord(
            outcome=outcome,
            exit_code=ending.exit_code if exit_code is None else exit_code,
            placed=placed,
            retry_safe=placed == "no",
            provider=self.order.provider.value,
            to=self.order.leg.to,
            from_=self.order.leg.from_,
            attempt_id=self.order.leg.attempt_id,
            ultravox_call_id=self.created.call_id if self.created else None,
            carrier_call_id=self._carrier_call_id(),
            carrier_ids=dict(self.carrier_ids),
            created_at=self.created_at,
            answered_at=answered_at,
            ended_at=ended_at,
            duration_s=0.0 if duration is None and over else duration,
            end_reason=reason or None,
            transcript=tuple(self.lines),
            cost=leg.cost if leg else None,
            error=outcomes.failure(error) if error else None,
            next=self._next(outcome, placed, reason),
        )

    def _carrier_call_id(self) -> str | None:
        """Return the id that the carrier's console shows; the order's own id until that one is known."""
        if self.leg is not None and self.leg.carrier_call_id:
            return self.leg.carrier_call_id
        return self.placed.carrier_call_id if self.placed else None

    def _next(self, outcome: Outcome, placed: Placed, reason: str | None) -> str | None:
        """Return the command that settles what this one leaves open, if anything."""
        left = outcome in {Outcome.ACCEPTED, Outcome.UNOBSERVED} or reason == "left"
        return f"uvcall reconcile {self.order.leg.attempt_id}" if left or placed == "unknown" else None
