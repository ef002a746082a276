"""What Plivo's call records say: how a leg has ended, and whose leg it may be.

https://www.plivo.com/docs/voice/api/call/the-call-object and
https://www.plivo.com/docs/voice/troubleshooting/hangup-causes
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from uvcall.carriers._errors import instant, plain_id
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, LegOrder, LegState, LegStatus, PlacedCall

UUID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")

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


def of_request(found: Sequence[PlacedCall], request_uuid: str, *, newest: bool) -> PlacedCall | None:
    """Return the call that a request has made: the one that names it, else the only one that names none.

    A live call names its request, the record of an ended one does not. An earlier call to the same number, busy a few
    seconds ago, may be in the list too; the list has the newest first, and whoever has just placed a call may take the
    `newest`.
    """
    named = [call for call in found if call.ids.get("request_uuid") == request_uuid]
    nameless = [call for call in found if "request_uuid" not in call.ids]
    if named or newest or len(nameless) == 1:
        return next(iter(named + nameless), None)
    return None


def placed_as(listed: str, call: Any) -> PlacedCall:
    """Name a call by its own UUID; in the queue it may be listed under its request's, and its own not be told."""
    own, request = (plain_id(getattr(call, name, None), UUID) for name in ("call_uuid", "request_uuid"))
    uuid = own or ("" if listed == request else listed)
    ids = ({"call_uuid": uuid} if uuid else {}) | ({"request_uuid": request} if request else {})
    return PlacedCall(Provider.PLIVO, uuid or listed, ids)


def between(call: Any, from_: str, to: str, order: LegOrder) -> bool:
    """Say whether a call is between the order's numbers. Plivo gives them without the +."""
    fields = vars(call)
    wanted = (order.from_.lstrip("+"), order.to.lstrip("+"))
    return (str(fields.get(from_)).lstrip("+"), str(fields.get(to)).lstrip("+")) == wanted
