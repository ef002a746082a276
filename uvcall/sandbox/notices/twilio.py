"""Twilio's status callbacks: progress, answering machine, streams.

https://www.twilio.com/docs/voice/api/call-resource#statuscallback ·
https://www.twilio.com/docs/voice/answering-machine-detection · https://www.twilio.com/docs/voice/twiml/stream#statuscallback
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.model import Cause
from uvcall.sandbox.credentials import TWILIO_ACCOUNT_SID
from uvcall.sandbox.rest import rfc2822
from uvcall.sandbox.world import Leg

if TYPE_CHECKING:
    from uvcall.sandbox.exchange import Exchange

#: Twilio's status and SIP response for a call that was not answered. There is no status "rejected": 603 is `busy`.
#: https://help.twilio.com/articles/223132547
UNANSWERED: Final = {
    Cause.BUSY: ("busy", 486),
    Cause.REJECTED: ("busy", 603),
    Cause.NO_ANSWER: ("no-answer", 487),
    Cause.FAILED: ("failed", 404),
    Cause.CANCELED: ("canceled", 487),
}


def status(leg: Leg) -> str:
    """Return the leg's status as the REST API says it."""
    if leg.ended_at is None:
        return "in-progress" if leg.answered_at else "ringing" if leg.ringing_at else "queued"
    if leg.answered_at:
        return "completed"
    if leg.direction == "inbound" and leg.cause is Cause.REJECTED:
        return "no-answer"  # https://www.twilio.com/docs/voice/twiml/reject
    return UNANSWERED.get(leg.cause or Cause.FAILED, ("failed", 500))[0]


def sip_response(leg: Leg) -> int:
    """Return the last SIP response that the call got."""
    return 200 if leg.answered_at else UNANSWERED.get(leg.cause or Cause.FAILED, ("failed", 500))[1]


def answered_by(leg: Leg) -> str | None:
    """Return the verdict in Twilio's words, or None without one."""
    if leg.machine is None:
        return None
    return leg.ids.get("answered_by", "machine_start") if leg.machine else "human"


def seconds(leg: Leg) -> int:
    """Return the seconds of conversation so far, rounded up."""
    if leg.answered_at is None or leg.ended_at is None:
        return 0
    return math.ceil((leg.ended_at - leg.answered_at).total_seconds())


_EVENTS: Final = {"initiated": "initiated", "ringing": "ringing", "answered": "answered", "ended": "completed"}
_STREAMS: Final = {
    "stream_started": "stream-started",
    "stream_stopped": "stream-stopped",
    "stream_failed": "stream-error",
}


def tell(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> None:
    """Send the callbacks that the call asked for. Shape: `exchange.Notices`."""
    if what in _STREAMS:
        _tell_of_stream(network, leg, what, details)
    elif what in {"machine", "beep"}:
        _tell_of_machine(network, leg, what)
    elif what in _EVENTS and _EVENTS[what] in (leg.options.get("StatusCallbackEvent") or ["completed"]):
        _tell_of_progress(network, leg, what)


def _tell_of_progress(network: Exchange, leg: Leg, what: str) -> None:
    sequence = int(leg.ids.get("sequence", "0"))
    leg.ids["sequence"] = str(sequence + 1)
    fields = document_fields(network, leg) | {
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(sequence),
        "Timestamp": rfc2822(network.world.pace.now()) or "",
    }
    if what == "initiated":
        fields["CallStatus"] = "initiated"
    if what == "ended":
        talked = seconds(leg)
        fields |= {"SipResponseCode": str(sip_response(leg))}
        fields |= {"CallDuration": str(talked), "Duration": str(math.ceil(talked / 60))}
    method = str(leg.options.get("StatusCallbackMethod") or "POST")
    network.messenger.tell(
        leg, _EVENTS[what], str(leg.options.get("StatusCallback") or ""), method=method, fields=fields
    )


def _tell_of_machine(network: Exchange, leg: Leg, what: str) -> None:
    detection = network.runs[leg.id].order.detection
    if what == "beep":
        leg.ids["answered_by"] = "machine_end_beep"
    if detection is None or detection.waits or (detection.to_the_beep and leg.machine and what == "machine"):
        return
    fields = {
        "CallSid": leg.id,
        "AccountSid": TWILIO_ACCOUNT_SID,
        "AnsweredBy": answered_by(leg) or "unknown",
        "MachineDetectionDuration": "600",
    }
    method = str(leg.options.get("AsyncAmdStatusCallbackMethod") or "POST")
    network.messenger.tell(
        leg, "amd", str(leg.options.get("AsyncAmdStatusCallback") or ""), method=method, fields=fields
    )


def _tell_of_stream(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> None:
    step = details["stream"]
    fields = {
        "AccountSid": TWILIO_ACCOUNT_SID,
        "CallSid": leg.id,
        "StreamSid": details["stream_id"],
        "StreamName": step.name or details["stream_id"],
        "StreamEvent": _STREAMS[what],
        "Timestamp": network.world.pace.now().isoformat(),
    }
    if what == "stream_failed":
        fields |= {"StreamError": "31920"}
    network.messenger.tell(leg, _STREAMS[what], step.status_url, method=step.status_method, fields=fields)


def document_fields(network: Exchange, leg: Leg) -> dict[str, str]:  # noqa: ARG001  # one shape for all carriers
    """Return what every request of Twilio carries. Shape: `exchange.Notices`."""
    fields = {
        "CallSid": leg.id,
        "AccountSid": TWILIO_ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "From": leg.from_,
        "To": leg.to,
        "Caller": leg.from_,
        "Called": leg.to,
        "Direction": "outbound-api" if leg.direction == "outbound" else "inbound",
        "CallStatus": status(leg),
    }
    for side, place in (("From", "Caller"), ("To", "Called")):
        for part, value in (("City", ""), ("State", "DC"), ("Zip", ""), ("Country", "US")):
            fields[f"{side}{part}"] = value
            fields[f"{place}{part}"] = value
    verdict = answered_by(leg)
    return fields | ({"AnsweredBy": verdict} if verdict else {})
