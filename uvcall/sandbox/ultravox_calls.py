"""Ultravox's calls in the sandbox: their lives, from creation to the webhook that reports the end.

https://docs.ultravox.ai/api-reference/calls/calls-get
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from uvcall.core.carrier import Provider
from uvcall.core.wire.ultravox_messages import DataMessage
from uvcall.sandbox.faults import LATE_S, strike
from uvcall.sandbox.recording import Recording
from uvcall.sandbox.rest import is_loopback
from uvcall.sandbox.script import Said
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import World

#: https://docs.ultravox.ai/webhooks/overview: up to ten times, first after half a minute, then doubling.
_WEBHOOK_ATTEMPTS: Final = 10
_WEBHOOK_PAUSE_S: Final = 30.0
_WEBHOOK_PATIENCE_S: Final = 10.0
_BILLED_STEP_S: Final = 6
_MOST_EVENTS: Final = 1000
#: The last part of a join URL, where it is not that of a carrier's.
_PATHS: Final[Mapping[str, str]] = {"serverWebSocket": "server_web_socket", "webRtc": "web_rtc"}
_ROLES: Final[Mapping[str, str]] = {
    "user": "MESSAGE_ROLE_USER",
    "agent": "MESSAGE_ROLE_AGENT",
    "tool_call": "MESSAGE_ROLE_TOOL_CALL",
    "tool_result": "MESSAGE_ROLE_TOOL_RESULT",
}


@dataclass(slots=True)
class SandboxCall:
    """One Ultravox call."""

    call_id: str
    stage_id: str
    created: datetime
    settings: dict[str, Any]  #: the effective fields of the Create Call, defaults filled in
    join_url: str
    shows_join_url: bool = True  #: False: Ultravox dials by itself
    agent: Mapping[str, str] | None = None  #: agentId and name
    joined: datetime | None = None
    ended: datetime | None = None
    end_reason: str | None = None
    taken: bool = False  #: a socket holds the join URL
    transcript: list[Said] = field(default_factory=list)  #: the conversation's own list while it lives
    events: list[dict[str, Any]] = field(default_factory=list)
    tape: Recording | None = None
    control: Callable[[DataMessage], None] | None = None  #: takes data messages of the REST API while the call lives
    drop: Callable[[], None] | None = None  #: breaks the connection, while there is one
    timer: asyncio.TimerHandle | None = None

    @property
    def medium(self) -> str:
        """The one medium that the call uses."""
        return next(iter(self.settings["medium"]), "webRtc")

    @property
    def provider(self) -> Provider | None:
        """The carrier whose protocol the join URL speaks, if it is one."""
        return Provider(self.medium) if self.medium in set(Provider) else None


class Calls:
    """All calls of one sandbox, oldest first."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_id: dict[str, SandboxCall] = {}

    def create(self, settings: dict[str, Any], origin: str, agent: Mapping[str, str] | None = None) -> SandboxCall:
        """Begin a call: it waits for somebody to join, for as long as its `joinTimeout` says."""
        world = self.world
        call_id, stage_id = (str(uuid.UUID(int=world.chance.getrandbits(128), version=4)) for _ in range(2))
        call = SandboxCall(
            call_id,
            stage_id,
            world.pace.now(),
            settings,
            "",
            agent=agent,
        )
        path = _PATHS.get(call.medium, "telephony")
        call.join_url = f"{origin.replace('http', 'ws', 1)}/calls/{call_id}/{path}"
        self.by_id[call_id] = call
        wait = seconds(settings["joinTimeout"]) / world.pace.speed
        call.timer = asyncio.get_running_loop().call_later(wait, self._give_up, call)
        return call

    def join(self, call: SandboxCall) -> None:
        """Note that the carrier has joined."""
        call.joined = self.world.pace.now()
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        self.world.history.record("ultravox", "call.joined", call_id=call.call_id)
        self._report(call, "joined")

    def end(self, call: SandboxCall, reason: str) -> None:
        """End the call, once."""
        if call.ended is not None:
            return
        call.ended = self.world.pace.now()
        call.end_reason = reason
        call.control = None
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        self.world.history.record("ultravox", "call.ended", call_id=call.call_id, end_reason=reason)
        self._report(call, "ended")
        if call.joined is not None:
            self._report(call, "billed")

    def note(self, call: SandboxCall, severity: str, kind: str, text: str) -> None:
        """Write into the call's event log, which ends where a hostile client would fill the memory.

        https://docs.ultravox.ai/api-reference/calls/calls-events-list
        """
        if len(call.events) >= _MOST_EVENTS:
            return
        now = self.world.pace.now()
        since = (now - call.joined).total_seconds() if call.joined else 0.0
        call.events.append(
            {
                "callId": call.call_id,
                "callStageId": call.stage_id,
                "callTimestamp": duration(since),
                "severity": severity,
                "type": kind,
                "text": text,
                "extras": None,
                "wallClockTimestamp": duration(since),
            }
        )

    def clear(self) -> None:
        """Forget every call, breaking the connections that there are."""
        for call in self.by_id.values():
            if call.timer is not None:
                call.timer.cancel()
            if call.drop is not None:
                call.drop()
        self.by_id.clear()

    def _give_up(self, call: SandboxCall) -> None:
        call.timer = None
        self.end(call, "unjoined")

    def _report(self, call: SandboxCall, event: str) -> None:
        callback = (call.settings.get("callbacks") or {}).get(event)
        if callback:
            body = json.dumps({"event": f"call.{event}", "call": as_json(call)}).encode()
            fault = strike(self.world, "ultravox", "webhook", event=event)
            for _ in range(2 if fault == "duplicate-webhook" else 1):
                late_s = LATE_S if fault == "late-webhook" else 0.0
                work = _deliver(self.world, call.call_id, event, callback, body, late_s)
                self.world.spawn(work, f"ultravox webhook {event} {call.call_id}")


def calls(world: World) -> Calls:
    """Return the world's calls."""
    kept = world.rooms.get(Calls)
    if not isinstance(kept, Calls):
        kept = world.rooms[Calls] = Calls(world)
        world.on_reset.append(kept.clear)
    return kept


def as_json(call: SandboxCall) -> dict[str, Any]:
    """Return the call as the API shows it: every field of the `Call` schema."""
    settings, ended = call.settings, call.ended is not None
    talk = (call.ended - call.joined).total_seconds() if call.ended and call.joined else 0.0
    lines = len(call.transcript)
    summary = f"The agent and the callee exchanged {lines} lines." if ended and lines else None
    shown = {name: value for name, value in settings.items() if name not in _NEVER_SHOWN}
    policy = settings.get("retentionPolicy", "").removeprefix("CALL_RETENTION_POLICY_").lower()
    data = {"dataConnectionConfig": settings["dataConnection"]} if "dataConnection" in settings else {}
    return {
        **_NULLS,
        **shown,
        **data,
        "callId": call.call_id,
        "created": stamp(call.created),
        "joined": stamp(call.joined),
        "ended": stamp(call.ended),
        "endReason": call.end_reason,
        "billedDuration": duration(math.ceil(talk / _BILLED_STEP_S) * _BILLED_STEP_S) if ended else None,
        "billedSideInputTokens": 0 if ended else None,
        "billedSideOutputTokens": 0 if ended else None,
        "billingStatus": _billing(call),
        "joinUrl": call.join_url if call.shows_join_url else None,
        "retentionPolicy": policy if policy in {"retain", "auto_delete"} else None,
        "shortSummary": summary,
        "summary": summary,
        "agent": dict(call.agent or _NOBODY),
        "agentId": call.agent["agentId"] if call.agent else None,
    }


def message_json(call: SandboxCall, index: int, said: Said) -> dict[str, Any]:
    """Return one line of the transcript as the API shows it."""
    span = {"start": duration(said.start), "end": duration(said.end)}
    return {
        "role": _ROLES[said.role],
        "text": said.text,
        **({"toolName": said.tool, "invocationId": said.invocation_id} if said.tool else {}),
        "medium": "MESSAGE_MEDIUM_VOICE" if said.voice else "MESSAGE_MEDIUM_TEXT",
        "callStageMessageIndex": index,
        "callStageId": call.stage_id,
        "timespan": span,
        "wallClockTimespan": dict(span),
    }


def duration(amount: float) -> str:
    """Return seconds as the API writes them: `1.25s`."""
    return f"{max(0.0, amount):.3f}".rstrip("0").rstrip(".") + "s"


def stamp(moment: datetime | None) -> str | None:
    """Return an instant as the API writes it."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


#: Request fields that no reply repeats, or that it calls otherwise.
_NEVER_SHOWN: Final = frozenset(
    {"sharedSecrets", "initialMessages", "dataConnection", "retentionPolicy", "selectedTools", "templateContext"}
)
_NULLS: Final[Mapping[str, Any]] = {
    "clientVersion": None,
    "requestContext": None,
    "sipDetails": None,
    "languageHint": None,
    "systemPrompt": None,
    "timeExceededMessage": None,
    "voice": None,
    "vadSettings": None,
}
#: The OpenAPI document has `agent` as an object that is never null; a call by prompt has nothing to put there.
_NOBODY: Final[Mapping[str, str]] = {"agentId": str(uuid.UUID(int=0)), "name": ""}


def _billing(call: SandboxCall) -> str:
    if call.ended is None:
        return "BILLING_STATUS_PENDING"
    if call.joined is None:
        return "BILLING_STATUS_FREE_ZERO_EFFECTIVE_DURATION"
    return "BILLING_STATUS_FREE_SYSTEM_ERROR" if call.end_reason == "system_error" else "BILLING_STATUS_FREE_MINUTES"


async def _deliver(
    world: World, call_id: str, event: str, callback: Mapping[str, Any], body: bytes, late_s: float
) -> None:
    """Post a webhook, so many seconds late, until somebody takes it.

    Only on this machine: the sandbox contacts no other. https://docs.ultravox.ai/webhooks/securing-webhooks
    """
    url, secrets = callback["url"], callback.get("secrets") or []
    pause = _WEBHOOK_PAUSE_S

    def note(status: int | None, attempt: int, failure: str | None) -> None:
        told: dict[str, Any] = {"event": f"call.{event}", "attempt": attempt, "status": status, "failure": failure}
        world.history.record("ultravox", "webhook", call_id=call_id, **told)

    if not is_loopback(url):
        note(None, 1, "the sandbox contacts this machine only")
        return
    await world.pace.sleep(late_s)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WEBHOOK_PATIENCE_S)) as session:
        for attempt in range(1, _WEBHOOK_ATTEMPTS + 1):
            # Signed by the clock of whoever reads it: the world's runs ahead, and further the longer it lives.
            now = datetime.now(UTC).isoformat()
            signed = [hmac.new(key.encode(), body + now.encode(), hashlib.sha256).hexdigest() for key in secrets]
            headers = {"Content-Type": "application/json", "X-Ultravox-Webhook-Timestamp": now}
            if signed:
                headers["X-Ultravox-Webhook-Signature"] = ",".join(signed)
            try:
                async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                    note(answer.status, attempt, None)
                    if 200 <= answer.status < 300:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                note(None, attempt, type(error).__name__)
            await world.pace.sleep(pause)
            pause *= 2
