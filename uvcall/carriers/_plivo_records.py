"""What Plivo's call records say about a leg that has ended.

https://www.plivo.com/docs/voice/api/call/the-call-object and
https://www.plivo.com/docs/voice/troubleshooting/hangup-causes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uvcall.carriers._errors import instant
from uvcall.core.model import Cause, LegState, LegStatus

#: call_status of a live call. https://www.plivo.com/docs/voice/api/call/retrieve-a-live-call
LIVE: Final[Mapping[str, LegState]] = {
    "queued": LegState.QUEUED,
    "initiated": LegState.QUEUED,
    "ringing": LegState.RINGING,
    "early-media": LegState.RINGING,
    "in-progress": LegState.ANSWERED,
}

#: hangup_cause_code → cause. What is not here is decided by the name, then by the thousand.
CODES: Final[Mapping[int, Cause]] = {
    0: Cause.UNKNOWN,
    1000: Cause.CANCELED,
    3000: Cause.NO_ANSWER,
    3010: Cause.BUSY,
    3020: Cause.REJECTED,
    4000: Cause.NORMAL,
    4010: Cause.NORMAL,
    4020: Cause.NORMAL,
    4030: Cause.NORMAL,
    6000: Cause.TIME_LIMIT,
    6010: Cause.NO_ANSWER,
}

#: A word in hangup_cause_name → cause, first match; both spellings that Plivo uses, its own and the switch's.
NAMES: Final[tuple[tuple[str, Cause], ...]] = (
    ("machine", Cause.MACHINE),
    ("busy", Cause.BUSY),
    ("no answer", Cause.NO_ANSWER),
    ("ring timeout", Cause.NO_ANSWER),
    ("reject", Cause.REJECTED),
    ("scheduled hangup", Cause.TIME_LIMIT),
    ("allotted timeout", Cause.TIME_LIMIT),
    ("cancel", Cause.CANCELED),
    ("normal", Cause.NORMAL),
    ("end of xml", Cause.NORMAL),
)


def from_record(record: Mapping[str, Any], ids: Mapping[str, str]) -> LegStatus:
    """Read an ended call's record. Durations are seconds; the amount is in the account's currency."""
    name = str(record.get("hangup_cause_name") or "")
    ended_at = instant(record.get("end_time"))
    cause = _cause(record.get("hangup_cause_code"), name)
    if not name and ended_at is None:
        # The record exists before it says how the call ended.
        cause = Cause.UNKNOWN
    answered_at = instant(record.get("answer_time"))
    seconds = record.get("bill_duration")
    duration = float(seconds) if isinstance(seconds, int | float) else None
    return LegStatus(
        LegState.ENDED,
        cause,
        raw=name,
        answered=answered_at is not None or bool(duration) or record.get("call_state") == "ANSWER",
        machine=True if cause is Cause.MACHINE else None,
        answered_at=answered_at,
        ended_at=ended_at,
        duration_s=duration,
        ids=ids,
        carrier_call_id=ids.get("call_uuid", ""),
        cost=str(record["total_amount"]) if record.get("total_amount") else None,
    )


def _cause(code: object, name: str) -> Cause:
    words = name.lower().replace("_", " ")
    if "machine" in words:
        return Cause.MACHINE
    try:
        number = int(str(code))
    except ValueError:
        number = -1
    if number in CODES:
        return CODES[number]
    for word, cause in NAMES:
        if word in words:
            return cause
    return Cause.FAILED if number > 0 or words else Cause.UNKNOWN
