"""Telnyx's events of a leg: as webhooks, as call events, and as TeXML's status callbacks.

https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks ·
https://developers.telnyx.com/api-reference/callbacks
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.model import Cause
from uvcall.sandbox.credentials import TELNYX_ACCOUNT_SID
from uvcall.sandbox.rest import iso, rfc2822
from uvcall.sandbox.world import Leg

if TYPE_CHECKING:
    from uvcall.sandbox.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Ending:
    """How Telnyx words an ending: `hangup_cause`, `sip_hangup_cause`, and TeXML's status when it was not answered."""

    cause: str
    sip: str
    status: str


#: The causes are those of the `call.hangup` schema; a ring timeout is `timeout` by the words of `timeout_secs`.
ENDINGS: Final = {
    Cause.NORMAL: Ending("normal_clearing", "200", "completed"),
    Cause.MACHINE: Ending("normal_clearing", "200", "completed"),
    Cause.BUSY: Ending("user_busy", "486", "busy"),
    Cause.NO_ANSWER: Ending("timeout", "487", "no-answer"),
    Cause.REJECTED: Ending("call_rejected", "603", "busy"),
    Cause.FAILED: Ending("not_found", "404", "failed"),
    Cause.CANCELED: Ending("originator_cancel", "487", "canceled"),
    Cause.TIME_LIMIT: Ending("time_limit", "200", "completed"),
    Cause.UNKNOWN: Ending("unspecified", "unspecified", "failed"),
}
_SOURCES: Final = {"callee": "callee", "caller": "caller", "api": "caller", "carrier": "unknown"}


def ending(leg: Leg) -> Ending:
    """Return how this leg ended; an answered one with a faulty document ended normally."""
    cause = leg.cause or Cause.UNKNOWN
    return ENDINGS[Cause.NORMAL if leg.answered_at and cause is Cause.FAILED else cause]


def texml_status(leg: Leg) -> str:
    """Return the leg's status in TeXML's words."""
    if leg.ended_at is not None:
        return "completed" if leg.answered_at else ending(leg).status
    return "in-progress" if leg.answered_at else "ringing" if leg.ringing_at else "queued"


def tell(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> None:
    """Record the event, and send it where the call asked for it. Shape: `exchange.Notices`."""
    if leg.ids.get("product") == "texml":
        _call_back(network, leg, what)
    data = event_data(network, leg, what, details)
    if data is not None:
        name = data["event_type"]
        network.messenger.tell(leg, name, str(leg.options.get("webhook_url") or ""), data=data)


def event_data(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the event's `data`, remembered for `GET /call_events`; None for what is no event at Telnyx."""
    event = _event(network, leg, what, details)
    if event is None:
        return None
    data = {
        "record_type": "event",
        "event_type": event[0],
        "id": str(uuid.uuid4()),
        "occurred_at": iso(network.world.pace.now()),
        "payload": _common(leg) | event[1],
    }
    remember(leg, event[0], "webhook", data)
    return data


def remember(leg: Leg, name: str, kind: str, raw: Mapping[str, Any]) -> None:
    """Keep an event for `GET /call_events`; `kind` is `webhook` or `command`."""
    leg.events.append(
        {
            "record_type": "call_event",
            "call_leg_id": leg.ids["call_leg_id"],
            "call_session_id": leg.ids["call_session_id"],
            "event_timestamp": raw.get("occurred_at"),
            "name": name,
            "type": kind,
            "metadata": dict(raw),
        }
    )


def _common(leg: Leg) -> dict[str, Any]:
    return {
        "call_control_id": leg.id,
        "connection_id": leg.ids["connection_id"],
        "call_leg_id": leg.ids["call_leg_id"],
        "call_session_id": leg.ids["call_session_id"],
        "client_state": leg.options.get("client_state"),
    }


def _event(network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the event's type and what its payload has beside the common fields."""
    ends = {"from": leg.from_, "to": leg.to}
    detection = network.runs[leg.id].order.detection
    mode = detection.mode if detection else ""
    premium = mode.startswith("premium")
    match what:
        case "initiated":
            direction = "outgoing" if leg.direction == "outbound" else "incoming"
            state = "bridging" if leg.direction == "outbound" else "parked"
            return "call.initiated", ends | {"direction": direction, "state": state}
        case "answered":
            return "call.answered", ends | {"start_time": iso(leg.created_at), "state": "answered"}
        case "machine" if premium:
            result = "machine" if leg.machine else "human_residence"
            return "call.machine.premium.detection.ended", ends | {"result": result}
        case "machine":
            return "call.machine.detection.ended", ends | {"result": "machine" if leg.machine else "human"}
        case "beep" if premium:
            return "call.machine.premium.greeting.ended", ends | {"result": "beep_detected"}
        case "beep":
            return "call.machine.greeting.ended", ends | {
                "result": "ended" if mode == "greeting_end" else "beep_detected"
            }
        case "stream_started" | "stream_stopped":
            return f"streaming.{what.removeprefix('stream_')}", {"stream_url": _shown(details)}
        case "stream_failed":
            return "streaming.failed", {
                "failure_reason": "connection_failed",
                "stream_id": details["stream_id"],
                "stream_params": {"stream_url": _shown(details), "track": _track(details)},
                "stream_type": "websocket",
            }
        case "speak_started" | "speak_ended":
            return f"call.speak.{what.removeprefix('speak_')}", ends
        case "ended":
            how = ending(leg)
            return "call.hangup", ends | {
                "start_time": iso(leg.created_at),
                "end_time": iso(leg.ended_at),
                "state": "hangup",
                "hangup_cause": how.cause,
                "hangup_source": _SOURCES[leg.end_source],
                "sip_hangup_cause": how.sip,
            }
    return None


def _shown(details: Mapping[str, Any]) -> str:
    return str(details["stream"].spec.url)


def _track(details: Mapping[str, Any]) -> str:
    tracks = details["stream"].spec.tracks
    return "both_tracks" if len(tracks) > 1 else f"{tracks[0]}_track"


_TEXML_EVENTS: Final = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress", "ended": "completed"}


def _call_back(network: Exchange, leg: Leg, what: str) -> None:
    """Send TeXML's status callback, when the call asked for it. Default: only the end."""
    url = str(leg.options.get("StatusCallback") or "")
    wanted = str(leg.options.get("StatusCallbackEvent") or "completed").split()
    if not url or what not in _TEXML_EVENTS or {"ended": "completed"}.get(what, what) not in wanted:
        return
    sequence = int(leg.ids.get("sequence", "0"))
    leg.ids["sequence"] = str(sequence + 1)
    fields = document_fields(network, leg) | {
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(sequence),
        "Timestamp": rfc2822(network.world.pace.now()) or "",
    }
    if leg.ended_at is not None:
        seconds = (leg.ended_at - leg.answered_at).total_seconds() if leg.answered_at else 0
        fields |= {
            "CallDuration": str(round(seconds)),
            "HangupCause": ending(leg).cause,
            "HangupSource": _SOURCES[leg.end_source],
        }
    method = str(leg.options.get("StatusCallbackMethod") or "POST")
    network.messenger.tell(leg, f"texml.{what}", url, method=method, fields=fields)


def document_fields(network: Exchange, leg: Leg) -> dict[str, str]:  # noqa: ARG001  # one shape for all carriers
    """Return what TeXML's requests carry. Shape: `exchange.Notices`."""
    return {
        "AccountSid": TELNYX_ACCOUNT_SID,
        "CallSid": leg.id,
        "CallSidLegacy": leg.id,
        "ConnectionId": leg.ids["connection_id"],
        "From": leg.from_,
        "To": leg.to,
        "CallStatus": texml_status(leg),
    }
