"""The scripted agent behind a join URL: the server's end of the carriers' media streams.

What Ultravox does there is not documented beyond "the carrier's own protocol".
https://docs.ultravox.ai/telephony/telephony-platforms
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from uvcall.core import audio
from uvcall.core.wire import Wire, wire
from uvcall.core.wire.events import (
    Audio,
    Clear,
    Connected,
    Digit,
    Mark,
    Media,
    Side,
    Started,
    Stopped,
    WireError,
)
from uvcall.sandbox.conversation import (
    Action,
    AskMark,
    Conversation,
    DropQueued,
    Leave,
    Nudge,
    Plan,
    Speak,
)
from uvcall.sandbox.faults import DROP_S, strike
from uvcall.sandbox.recording import Recording, sayings
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.speech import DEFAULT_SCRIPT
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall, calls
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import Options, World

_LARGEST_MESSAGE: Final = 1024 * 1024
#: Seconds of the real clock: a carrier says `start` at once; a line is silent if nothing came for a tenth of a second.
_START_S: Final = 5.0
_SILENT_LINE_S: Final = 0.1
_ENDED: Final = frozenset({WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})
#: `END_BEHAVIOR_…` of an inactivity message.
_ENDINGS: Final[Mapping[str, Any]] = {"END_BEHAVIOR_HANG_UP_SOFT": "soft", "END_BEHAVIOR_HANG_UP_STRICT": "strict"}


def routes(world: World) -> list[web.RouteDef]:
    """Return the agent's WebSocket route: the path of every join URL."""

    async def join(request: web.Request) -> web.StreamResponse:
        return await _join(world, request)

    return [web.get("/calls/{call_id}/telephony", join)]


def plan(settings: Mapping[str, Any], options: Options) -> Plan:
    """Return what the created call, and the user of the sandbox, ask of the agent."""
    first = settings["firstSpeakerSettings"]
    user = first.get("user")
    agent = first.get("agent") or {}
    fallback = (user or {}).get("fallback")
    opening = fallback or {} if user is not None else agent
    opens = None if user is not None and fallback is None else seconds(opening.get("delay") or "0s")
    vad = settings.get("vadSettings") or {}
    keys = _dtmf(settings["medium"])
    return Plan(
        script=options.agent_script or DEFAULT_SCRIPT,
        opens_after_s=opens,
        opening=opening.get("text") or "",
        interruptible=not agent.get("uninterruptible"),
        # The API's defaults. https://docs.ultravox.ai/api-reference/calls/calls-post
        endpoint_s=seconds(vad.get("turnEndpointDelay") or "0.384s"),
        least_turn_s=seconds(vad.get("minimumTurnDuration") or "0s"),
        least_interruption_s=seconds(vad.get("minimumInterruptionDuration") or "0.09s"),
        nudges=tuple(
            Nudge(
                seconds(item.get("duration") or "0s"),
                item.get("message", ""),
                _ENDINGS.get(item.get("endBehavior"), ""),
            )
            for item in settings["inactivityMessages"]
        ),
        digits_text=None if keys.get("ignore") else (keys.get("userTextMessage") or {}).get("text") or "{digits}",
        voice=settings["initialOutputMedium"] != "MESSAGE_MEDIUM_TEXT",
        drops=options.scenario is not None and SCENARIOS[options.scenario].agent_drops,
    )


def _dtmf(medium: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((shape.get("dtmfHandling") or {} for shape in medium.values()), {})


async def _join(world: World, request: web.Request) -> web.StreamResponse:
    """Accept the one carrier that may join the call, and talk to it."""
    kept = calls(world)
    call = kept.by_id.get(request.match_info["call_id"])
    refusal = _refusal(world, call)
    if call is None or call.provider is None or refusal is not None:
        status, text = refusal or (404, "")
        world.history.record("ultravox", "join.refused", call_id=request.match_info["call_id"], status=status)
        return web.Response(status=status, text=text)
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, compress=False, timeout=2.0)
    if not socket.can_prepare(request):
        return web.Response(status=426, text="this is a WebSocket", headers={"Upgrade": "websocket"})
    call.taken = True
    await socket.prepare(request)
    session = _Session(world, kept, call, socket, wire(call.provider), request)
    call.drop = session.break_off
    try:
        await session.run()
    finally:
        call.drop = None
        if not socket.closed:
            await socket.close()
    return socket


def _refusal(world: World, call: SandboxCall | None) -> tuple[int, str] | None:
    if call is None:
        return 404, "there is no such call"
    scenario = world.options.scenario
    if scenario is not None and not SCENARIOS[scenario].agent_joins:
        return 503, "the agent does not join in this scenario"
    if call.ended is not None:
        return 410, "the call is over"
    if call.taken:
        return 409, "somebody has joined the call already"
    if call.provider is None:
        return 501, f"the sandbox does not serve the medium {call.medium}"
    if strike(world, "ultravox", "join", call_id=call.call_id):
        return 503, "the agent does not join this time"
    return None


@dataclass(slots=True)
class _Session:
    """One joined socket."""

    world: World
    calls: Calls
    call: SandboxCall
    socket: web.WebSocketResponse
    wire: Wire
    request: web.Request
    stream: Started | None = None
    talk: Conversation | None = None
    reason: str = ""
    heard: int = 0  #: messages with audio, ever
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Wait for the stream to start, talk until somebody ends it, and write down who did."""
        try:
            started = await self._start()
        except (TimeoutError, WireError) as error:
            what = "no start message came" if isinstance(error, TimeoutError) else str(error)
            self.calls.note(self.call, "error", "media", what[:200])
            self.calls.join(self.call)
            self.calls.end(self.call, "connection_error")
            return
        if started is None:
            self.call.taken = False  # gone before it began: the URL may still be joined
            return
        loop, call, pace = asyncio.get_running_loop(), self.call, self.world.pace
        self.stream = started
        self.talk = Conversation(
            plan(call.settings, self.world.options),
            started.sample_rate,
            lambda: sayings(self.world).heard(call.join_url),
            call.transcript,
        )
        if call.settings["recordingEnabled"]:
            call.tape = Recording(started.sample_rate)
        call.control = self._control
        self.calls.join(call)
        limit = loop.call_later(seconds(call.settings["maxDuration"]) / pace.speed, self._time_is_up)
        if strike(self.world, "ultravox", "stream", call_id=call.call_id):
            loop.call_later(DROP_S / pace.speed, self.break_off)
        silence = asyncio.create_task(self._watch_silence(), name=f"silence {call.call_id}")
        try:
            await self._flush()
            lost = await self._listen()
        except (ConnectionError, OSError):
            lost = "connection_error"
        finally:
            limit.cancel()
            silence.cancel()
            call.control = None
            self.talk.close()
        self.calls.end(call, self.reason or lost)

    async def _start(self) -> Started | None:
        """Return the first message that matters, or None when the carrier left before it."""
        async with asyncio.timeout(_START_S):
            while True:
                message = await self.socket.receive()
                if message.type is WSMsgType.CLOSE or message.type in _ENDED:
                    return None
                event = self._decode(message)
                if isinstance(event, Started):
                    return event
                if not isinstance(event, Connected):
                    raise WireError("the carrier sent something else before its start message")

    async def _listen(self) -> str:
        """Take the carrier's messages until the socket ends; return the endReason if it was not the agent's doing."""
        while True:
            message = await self.socket.receive()
            if message.type is WSMsgType.CLOSE:
                return "hangup"
            if message.type in _ENDED:
                return "connection_error"
            try:
                event = self._decode(message)
            except WireError as error:
                self.calls.note(self.call, "warning", "media", str(error)[:200])
                continue
            if isinstance(event, Stopped):
                return "hangup"
            self._take(event)
            if self.talk is not None and self.talk.out:
                await self._flush()
            if self.reason:
                return self.reason

    def _decode(self, message: WSMessage) -> Media:
        if message.type is not WSMsgType.TEXT:
            raise WireError("the carrier sent a binary message")
        return self.wire.decode(Side.CARRIER, message.data)

    def _take(self, event: Media) -> None:
        talk, stream = self.talk, self.stream
        if talk is None or stream is None:
            return
        if isinstance(event, Audio):
            if event.track != "inbound":
                return  # the agent's own voice, as Telnyx's both_tracks sends it back
            self.heard += 1
            samples = audio.decode(stream.encoding, event.payload)
            spoken = talk.hear(samples)
            if self.call.tape is not None:
                self.call.tape.add(samples, spoken)
        elif isinstance(event, Mark):
            talk.reached(event.name)
        elif isinstance(event, Digit):
            talk.press(event.digit)

    async def _flush(self) -> None:
        """Do what the conversation asks for, in order."""
        async with self._sending:
            talk = self.talk
            if talk is None or self.reason:
                return
            actions, talk.out = talk.out, []
            for action in actions:
                if isinstance(action, Leave):
                    await self._leave(action)
                    return
                await self.socket.send_str(self.wire.encode(Side.AGENT, self._event(action)))

    async def _flush_later(self) -> None:
        """Flush beside the listening task, which is the one that finds out about a lost connection."""
        with contextlib.suppress(ConnectionError):
            await self._flush()

    def _event(self, action: Action) -> Media:
        stream = self.stream
        if stream is None:
            raise RuntimeError("nothing can be said before the stream has started")
        if isinstance(action, Speak):
            return Audio(
                audio.encode(stream.encoding, action.samples),
                stream_id=stream.stream_id,
                encoding=stream.encoding,
                sample_rate=stream.sample_rate,
            )
        if isinstance(action, AskMark):
            return Mark(action.name, stream.stream_id)
        if isinstance(action, DropQueued):
            return Clear(stream.stream_id)
        raise TypeError(type(action).__name__)

    async def _leave(self, action: Leave) -> None:
        self.reason = action.reason
        if action.abrupt:
            self.calls.note(self.call, "error", "agent", "the agent's side broke")
            self.break_off()
        else:
            await self.socket.close()

    def break_off(self) -> None:
        """Let the connection just break: no close frame, nothing."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def _watch_silence(self) -> None:
        """Let the conversation's time pass while the carrier sends nothing at all."""
        before, noted = self.heard, False
        while True:
            await asyncio.sleep(_SILENT_LINE_S)
            if self.heard == before and self.talk is not None:
                if not noted:
                    self.calls.note(self.call, "warning", "audio_underflow", "no audio comes from the carrier")
                noted = True
                self.talk.wait(_SILENT_LINE_S * self.world.pace.speed)
                await self._flush_later()
            before = self.heard

    def _control(self, kind: str, text: str) -> None:
        """Take a data message that came by the REST API."""
        talk = self.talk
        if talk is None:
            return
        if kind == "user_text_message":
            talk.tell(text)
        else:
            talk.force(text, ends_with="agent_hangup" if kind == "hang_up" else "")
        self.world.spawn(self._flush_later(), f"data message {self.call.call_id}")

    def _time_is_up(self) -> None:
        if self.talk is not None:
            self.talk.force(self.call.settings.get("timeExceededMessage") or "", ends_with="timeout")
            self.world.spawn(self._flush_later(), f"time limit {self.call.call_id}")
