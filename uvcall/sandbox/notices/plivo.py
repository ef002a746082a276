"""Plivo's callbacks: ring, hangup, machine, stream.

https://www.plivo.com/docs/voice/concepts/callbacks · https://www.plivo.com/docs/voice/troubleshooting/hangup-causes
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.model import Cause
from uvcall.sandbox.credentials import PLIVO_AUTH_ID
from uvcall.sandbox.world import Leg

if TYPE_CHECKING:
    from uvcall.sandbox.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Ending:
    """How Plivo words an ending."""

    code: int
    name: str
    cause: str  #: the callback's `HangupCause`
    status: str  #: the callback's `CallStatus`


_NORMAL: Final = Ending(4000, "Normal Hangup", "NORMAL_CLEARING", "completed")
_ENDINGS: Final = {
    Cause.NORMAL: _NORMAL,
    Cause.BUSY: Ending(3010, "Busy Line", "USER_BUSY", "busy"),
    Cause.REJECTED: Ending(3020, "Rejected", "CALL_REJECTED", "busy"),
    Cause.NO_ANSWER: Ending(6010, "Ring Timeout Reached", "NO_ANSWER", "timeout"),
    Cause.FAILED: Ending(2010, "Destination Out Of Service", "NETWORK_OUT_OF_ORDER", "failed"),
    Cause.CANCELED: Ending(1000, "Canceled", "ORIGINATOR_CANCEL", "cancel"),
    Cause.MACHINE: Ending(9100, "Machine Detected", "NORMAL_CLEARING", "completed"),
    Cause.TIME_LIMIT: Ending(6000, "Scheduled Hangup", "ALLOTTED_TIMEOUT", "completed"),
    Cause.UNKNOWN: Ending(0, "Unknown", "UNKNOWN", "failed"),
}
#: What was wrong with the user's documents, by the code that `exchange` keeps.
_FAULTS: Final = {
    "7011": Ending(7011, "Error Reaching Answer URL", "NORMAL_CLEARING", "completed"),
    "8011": Ending(8011, "Invalid Answer XML", "NORMAL_CLEARING", "completed"),
    "redirects": Ending(8014, "Invalid Redirect XML", "NORMAL_CLEARING", "completed"),
}
_END_OF_DOCUMENT: Final = Ending(4010, "End Of XML Instructions", "NORMAL_CLEARING", "completed")


def ending(network: Exchange, leg: Leg) -> tuple[Ending, str]:
    """Return how the leg ended and who Plivo says ended it (`hangup_source`)."""
    cause = leg.cause or Cause.UNKNOWN
    run = network.runs.get(leg.id)
    fault = run.fault if run else ""
    if cause is Cause.FAILED and fault in _FAULTS:
        return _FAULTS[fault], "Error"
    source = {"callee": "Callee", "caller": "Caller", "api": "API Request"}.get(leg.end_source, "Plivo")
    if cause is Cause.NORMAL and leg.end_source == "carrier":
        return (_NORMAL, "Answer XML") if fault == "hangup" else (_END_OF_DOCUMENT, "Plivo")
    if cause in {Cause.BUSY, Cause.REJECTED, Cause.FAILED}:
        source = "Carrier"
    return _ENDINGS[cause], source


def seconds(leg: Leg) -> int:
    """Return the seconds of conversation, rounded up."""
    if leg.answered_at is None or leg.ended_at is None:
        return 0
    return math.ceil((leg.ended_at - leg.answered_at).total_seconds())


def stamp(moment: datetime | None) -> str | None:
    """Return the moment as Plivo's records write it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")


def live_status(leg: Leg) -> str:
    """Return the status of a call that lives."""
    return "in-progress" if leg.answered_at else "ringing"


def tell(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> None:
    """Send the callbacks that the call asked for. Shape: `exchange.Notices`."""
    options = leg.options
    if what == "ringing":
        fields = document_fields(network, leg) | {"Event": "Ring", "CallStatus": "ringing"}
        _send(network, leg, "ring", options, fields)
    elif what == "machine" and leg.machine:
        fields = document_fields(network, leg) | {"Event": "MachineDetection", "Machine": "true"}
        _send(network, leg, "machine_detection", options, fields)
    elif what in {"stream_started", "stream_stopped", "stream_failed"}:
        step = details["stream"]
        event = {"stream_started": "StartStream", "stream_stopped": "StopStream"}.get(what, "DroppedStream")
        fields = document_fields(network, leg) | {
            "Event": event,
            "StreamID": details["stream_id"],
            "ServiceURL": step.spec.url,
        }
        network.messenger.tell(leg, event, step.status_url, method=step.status_method, fields=fields)
    elif what == "ended":
        _send(network, leg, "hangup", options, _hangup_fields(network, leg))


def _send(network: Exchange, leg: Leg, name: str, options: Mapping[str, Any], fields: Mapping[str, str]) -> None:
    url = str(options.get(f"{name}_url") or "")
    network.messenger.tell(leg, name, url, method=str(options.get(f"{name}_method") or "POST"), fields=fields)


def _hangup_fields(network: Exchange, leg: Leg) -> dict[str, str]:
    how, source = ending(network, leg)
    talked = seconds(leg)
    billed = math.ceil(talked / 60) * 60
    return document_fields(network, leg) | {
        "Event": "Hangup",
        "CallStatus": "completed" if leg.answered_at else how.status,
        "HangupCause": how.cause,
        "HangupCauseCode": str(how.code),
        "HangupCauseName": how.name,
        "HangupSource": source,
        "Duration": str(talked),
        "BillDuration": str(billed),
        "TotalCost": f"{billed / 60 * 0.0085:.5f}",
        "StartTime": _plain(leg.created_at),
        "AnswerTime": _plain(leg.answered_at),
        "EndTime": _plain(leg.ended_at),
        "STIRVerification": "Not Applicable",
    }


def _plain(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def document_fields(network: Exchange, leg: Leg) -> dict[str, str]:
    """Return what Plivo's requests carry; numbers go without the plus sign. Shape: `exchange.Notices`."""
    detection = network.runs[leg.id].order.detection
    fields = {
        "CallUUID": leg.id,
        "RequestUUID": leg.ids.get("request_uuid", ""),
        "ALegUUID": leg.id,
        "ALegRequestUUID": leg.ids.get("request_uuid", ""),
        "From": leg.from_.removeprefix("+"),
        "To": leg.to.removeprefix("+"),
        "Direction": leg.direction,
        "CallStatus": live_status(leg),
        "Event": "StartApp",
        "ParentAuthID": PLIVO_AUTH_ID,
        "BillRate": "0.00850",
        "SessionStart": leg.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    if detection is not None and detection.waits and leg.machine is not None:
        fields["Machine"] = "true" if leg.machine else "false"
    return fields
