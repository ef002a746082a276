"""What the journal remembers of an attempt, as the record that `dial` would show."""

from __future__ import annotations

from typing import Any

from uvcall.core.model import CallRecord, Outcome
from uvcall.core.outcome import ENDINGS, as_json
from uvcall.journal import Entry, Taken


def record_of(entry: Entry) -> CallRecord:
    """Return the attempt's record. The journal keeps no transcript; while it is open, its end is not known."""
    outcome = entry.outcome or (Outcome.UNOBSERVED if entry.placed == "yes" else Outcome.UNKNOWN)
    code = ENDINGS[outcome].exit_code if entry.exit_code is None else entry.exit_code
    return CallRecord(
        outcome=outcome,
        exit_code=code,
        placed=entry.placed,
        retry_safe=entry.placed == "no" and not entry.open,
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


def trail_of(entry: Entry, record: CallRecord | None = None) -> dict[str, Any]:
    """Return the attempt's line of the audit trail: its record, or the one given, and where the journal has it."""
    return {**as_json(record or record_of(entry)), "state": entry.state.value, "assumed_by": entry.assumed_by}


def step_of(taken: Taken) -> dict[str, Any]:
    """Return a step of an attempt's history as a JSON object."""
    at = taken.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, "step": taken.step, "state": taken.state.value, "facts": dict(taken.facts)}
