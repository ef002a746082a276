"""What Telnyx's call events say about a leg: the only place where it tells why a call ended, without a webhook.

https://developers.telnyx.com/api/call-control/list-call-events
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from uvcall.carriers._errors import instant, mapping
from uvcall.core.model import Cause, LegState, LegStatus, PlacedCall

#: `call.hangup`'s hangup_cause. https://developers.telnyx.com/api/call-control/call-hangup
CAUSES: Final[Mapping[str, Cause]] = {
    "normal_clearing": Cause.NORMAL,
    "user_busy": Cause.BUSY,
    "call_rejected": Cause.REJECTED,
    "no_answer": Cause.NO_ANSWER,
    "timeout": Cause.NO_ANSWER,
    "originator_cancel": Cause.CANCELED,
    "time_limit": Cause.TIME_LIMIT,
    "not_found": Cause.FAILED,
    "unspecified": Cause.FAILED,
}
#: A SIP 403 is Telnyx or a carrier refusing the route (its D-codes), not a person declining.
BARRED_ROUTE: Final = "403"

#: Results of every kind of detection. https://developers.telnyx.com/docs/voice/programmable-voice/answering-machine-detection
MACHINES: Final[Mapping[str, bool | None]] = {
    "machine": True,
    "fax_detected": True,
    "human": False,
    "human_residence": False,
    "human_business": False,
    "not_sure": None,
    "silence": None,
}
DETECTED: Final = frozenset({"call.machine.detection.ended", "call.machine.premium.detection.ended"})


def over(seen: LegStatus, ended_at: datetime | None) -> LegStatus:
    """Return the status of a leg that is over while its events do not say why, or not yet."""
    return LegStatus(
        LegState.ENDED,
        Cause.UNKNOWN,
        raw="",
        answered=seen.answered,
        machine=seen.machine,
        answered_at=seen.answered_at,
        ended_at=ended_at,
        ids=seen.ids,
    )


def _is_told(event: Any) -> bool:
    return getattr(event, "type", "webhook") == "webhook" and isinstance(getattr(event, "name", None), str)


def from_events(events: Sequence[Any], placed: PlacedCall) -> LegStatus:
    """Read where the leg is from its events, in whatever order they come."""
    by_name = {event.name: event for event in events if _is_told(event)}
    machine: bool | None = None
    for name in sorted(DETECTED & by_name.keys()):
        result = field_of(by_name[name], "result")
        machine = MACHINES.get(str(result), machine)
    answer, end = by_name.get("call.answered"), by_name.get("call.hangup")
    answered_at = instant(getattr(answer, "event_timestamp", None))
    if end is None:
        rings = "call.initiated" in by_name
        state = LegState.ANSWERED if answer else LegState.RINGING if rings else LegState.QUEUED
        return LegStatus(
            state,
            raw=state.value,
            answered=answer is not None,
            machine=machine,
            answered_at=answered_at,
            ids=placed.ids,
        )
    ended_at = instant(getattr(end, "event_timestamp", None))
    spoken = str(field_of(end, "hangup_cause") or "")
    cause = CAUSES.get(spoken, Cause.FAILED if spoken else Cause.UNKNOWN)
    if cause is Cause.REJECTED and str(field_of(end, "sip_hangup_cause") or "") == BARRED_ROUTE:
        cause = Cause.FAILED
    return LegStatus(
        LegState.ENDED,
        cause,
        raw=spoken,
        answered=answer is not None,
        machine=machine,
        answered_at=answered_at,
        ended_at=ended_at,
        duration_s=(ended_at - answered_at).total_seconds() if ended_at and answered_at else None,
        ids=placed.ids,
    )


def field_of(event: Any, name: str) -> Any:
    """Find a field of the webhook inside the event's `metadata`, which holds it in one wrapping or another."""
    layers = [mapping(getattr(event, "metadata", None))]
    for layer in layers:  # grows while it is read
        if layer.get(name) not in (None, ""):
            return layer[name]
        if len(layers) < 50:
            layers += [mapping(inner) for inner in layer.values() if isinstance(inner, dict)]
    return None
