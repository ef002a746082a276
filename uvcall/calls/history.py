"""What the journal remembers of an attempt, as the record that `dial` would show."""

from __future__ import annotations

from uvcall.core.model import CallRecord, Outcome
from uvcall.core.outcome import ENDINGS
from uvcall.journal import Entry


def record_of(entry: Entry) -> CallRecord:
    """Return the attempt's record. The journal keeps no transcript; an attempt that is still open is `unknown`."""
    outcome = entry.outcome or Outcome.UNKNOWN
    code = ENDINGS[outcome].exit_code if entry.exit_code is None else entry.exit_code
    return CallRecord(
        outcome=outcome,
        exit_code=code,
        placed=entry.placed,
        retry_safe=entry.placed == "no",
        provider=entry.provider,
        to=entry.to,
        from_=entry.from_,
        attempt_id=entry.attempt_id,
        ultravox_call_id=entry.ultravox_call_id,
        carrier_call_id=entry.carrier_call_id,
        carrier_ids=entry.carrier_ids,
        created_at=entry.created_at,
        answered_at=entry.answered_at,
        ended_at=entry.ended_at,
        duration_s=entry.duration_s,
        end_reason=entry.end_reason,
        cost=entry.cost,
        error=entry.error,
        next=f"uvcall reconcile {entry.attempt_id}" if entry.open else None,
    )
