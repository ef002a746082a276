"""What the carrier said and what Ultravox said → one outcome → one exit code. Three tables, no other place decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from uvcall.core.model import CallRecord, Cause, Failure, LegState, LegStatus, Outcome, UltravoxCall
from uvcall.errors import Placed, UvcallError

SCHEMA: Final = "uvcall.call/1"


class Ending(NamedTuple):
    """A row of the contract's table of exit codes."""

    exit_code: int
    placed: Placed | None  #: None: the record states it
    means: str


ENDINGS: Final[dict[Outcome, Ending]] = {
    Outcome.COMPLETED: Ending(0, "yes", "answered, the agent joined, ended normally"),
    Outcome.ACCEPTED: Ending(0, "yes", "with --detach: the carrier has accepted the call"),
    Outcome.INTERNAL_ERROR: Ending(1, None, "a bug; a report file is named"),
    Outcome.USAGE: Ending(2, "no", "bad argument or input file; nobody was contacted"),
    Outcome.POLICY_REFUSED: Ending(3, "no", "uvcall's own rules forbid the call"),
    Outcome.AUTH_ERROR: Ending(4, "no", "a credential is wrong or missing, or lies open on disk"),
    Outcome.PROVIDER_REFUSED: Ending(5, "no", "a vendor refused, or broke its own contract"),
    Outcome.CONFIG_ERROR: Ending(6, "no", "a setting is missing or invalid"),
    Outcome.LOCAL_ERROR: Ending(7, "no", "journal, lock, disk, port or device"),
    Outcome.BUSY: Ending(10, "yes", "the line was busy"),
    Outcome.NO_ANSWER: Ending(11, "yes", "nobody answered"),
    Outcome.FAILED: Ending(12, "yes", "the network or the carrier could not connect it"),
    Outcome.VOICEMAIL: Ending(13, "yes", "a machine answered"),
    Outcome.REJECTED: Ending(14, "yes", "the callee declined"),
    Outcome.SILENT: Ending(15, "yes", "answered, but the agent never joined"),
    Outcome.AGENT_FAILED: Ending(16, "yes", "the agent's side broke in mid-call"),
    Outcome.MAX_DURATION: Ending(17, "yes", "cut at the longest duration allowed"),
    Outcome.UNKNOWN: Ending(20, "unknown", "a call may have been placed: do not dial again before it is settled"),
    Outcome.UNOBSERVED: Ending(21, "yes", "placed, but its end was not seen"),
    Outcome.TEMPORARY: Ending(75, "no", "nothing was placed; safe to run again"),
    # 128 + the signal's number; 130 is SIGINT's, 143 SIGTERM's.
    Outcome.INTERRUPTED: Ending(130, None, "a signal ended the command"),
}

#: How an unanswered leg ends. `NORMAL` and `UNKNOWN` here: it is over, nobody picked up, and no cause is given.
UNANSWERED: Final[dict[Cause, Outcome]] = {
    Cause.BUSY: Outcome.BUSY,
    Cause.NO_ANSWER: Outcome.NO_ANSWER,
    Cause.REJECTED: Outcome.REJECTED,
    Cause.CANCELED: Outcome.NO_ANSWER,
    Cause.FAILED: Outcome.FAILED,
    Cause.MACHINE: Outcome.VOICEMAIL,
    Cause.TIME_LIMIT: Outcome.FAILED,
    Cause.NORMAL: Outcome.FAILED,
    Cause.UNKNOWN: Outcome.FAILED,
}

#: How an answered leg with an agent on it ends, by Ultravox's endReason.
#: https://docs.ultravox.ai/api-reference/calls/calls-get
JOINED: Final[dict[str | None, Outcome]] = {
    None: Outcome.COMPLETED,
    "hangup": Outcome.COMPLETED,
    "agent_hangup": Outcome.COMPLETED,
    "timeout": Outcome.MAX_DURATION,
    "connection_error": Outcome.AGENT_FAILED,
    "system_error": Outcome.AGENT_FAILED,
    "unjoined": Outcome.SILENT,
}


def decide(leg: LegStatus | None, call: UltravoxCall | None) -> tuple[Outcome, str]:
    """Return the outcome and the record's `end_reason` of a call that was placed.

    Args:
        leg: The carrier's last word; None when it could not be asked at all.
        call: Ultravox's last word; None likewise.
    """
    joined = call is not None and call.joined_at is not None
    agent_said = call.end_reason if call else None
    answered = joined or (leg is not None and leg.answered)
    carrier_said = leg.raw if leg else ""
    if leg is not None and (leg.machine or leg.cause is Cause.MACHINE):
        return Outcome.VOICEMAIL, carrier_said or "machine"
    if leg is not None and leg.state is not LegState.ENDED and not agent_said:
        return Outcome.UNOBSERVED, carrier_said
    if not answered and leg is None:
        # Ultravox dialed and the carrier could not be asked: "unjoined" hides busy, no answer and failed alike.
        return (Outcome.FAILED if agent_said else Outcome.UNOBSERVED), agent_said or ""
    if not answered and leg is not None:
        return UNANSWERED[leg.cause or Cause.UNKNOWN], carrier_said
    if not joined:
        return Outcome.SILENT, agent_said or carrier_said
    if leg is not None and leg.cause is Cause.TIME_LIMIT:
        return Outcome.MAX_DURATION, carrier_said
    return JOINED.get(agent_said, Outcome.COMPLETED), agent_said or carrier_said


_BY_CODE: Final = {outcome.value: outcome for outcome in Outcome}


def outcome_of(error: UvcallError) -> Outcome:
    """Return the outcome under which an error is recorded."""
    return _BY_CODE.get(error.code, Outcome.PROVIDER_REFUSED)


def failure(error: UvcallError) -> Failure:
    """Return the record's `error` for an error."""
    return Failure(
        code=error.code,
        message=error.message,
        hint=error.hint,
        retryable=error.retryable,
        vendor_code=error.vendor_code,
        status=error.status,
    )


def as_json(record: CallRecord) -> dict[str, Any]:
    """Return the record as the contract's object: UTC times, seconds, no secrets."""
    error = record.error
    return {
        "schema": SCHEMA,
        "outcome": record.outcome.value,
        "exit_code": record.exit_code,
        "placed": record.placed,
        "retry_safe": record.retry_safe,
        "provider": record.provider,
        "to": record.to,
        "from": record.from_,
        "attempt_id": record.attempt_id,
        "ultravox_call_id": record.ultravox_call_id,
        "carrier_call_id": record.carrier_call_id,
        "carrier_ids": dict(record.carrier_ids),
        "created_at": _stamp(record.created_at),
        "answered_at": _stamp(record.answered_at),
        "ended_at": _stamp(record.ended_at),
        "duration_s": record.duration_s,
        "end_reason": record.end_reason,
        "transcript": [{"role": line.role, "text": line.text, "at_s": line.at_s} for line in record.transcript],
        "recording": record.recording,
        "cost": record.cost,
        "error": None
        if error is None
        else {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
            "vendor_code": error.vendor_code,
            "status": error.status,
        },
        "next": record.next,
    }


def _stamp(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
