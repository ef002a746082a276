"""The agent on a phone line: the server's end of the carriers' media streams.

What Ultravox does there is not documented beyond "the carrier's own protocol".
https://docs.ultravox.ai/telephony/telephony-platforms
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from uvcall.core import audio
from uvcall.core.wire import Wire
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
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.plans import plan
from uvcall.sandbox.recording import Recording, sayings
from uvcall.sandbox.script import Action, AskMark, DropQueued, Leave, Speak
from uvcall.sandbox.session import alive, break_off
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.world import World

#: Seconds of the real clock: a carrier says `start` at once; a line is silent if nothing came for a tenth of a second.
_START_S: Final = 5.0
_SILENT_LINE_S: Final = 0.1
_ENDED: Final = frozenset({WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


@dataclass(slots=True)
class LineSession:
    """One socket that a carrier has joined."""

    world: World
    calls: Calls
    call: SandboxCall
    socket: web.WebSocketResponse
    request: web.Request
    wire: Wire
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
        call = self.call
        self.stream = started
        self.talk = Conversation(
            plan(call.settings, self.world.options),
            started.sample_rate,
            lambda: sayings(self.world).heard(call.join_url),
            call.transcript,
        )
        if call.settings["recordingEnabled"]:
            call.tape = Recording(started.sample_rate)
        with alive(self.world, self.calls, call, self.talk, self._flush_later, self.break_off):
            silence = asyncio.create_task(self._watch_silence(), name=f"silence {call.call_id}")
            try:
                await self._flush()
                lost = await self._listen()
            except (ConnectionError, OSError):
                lost = "connection_error"
            finally:
                silence.cancel()
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
            talk.hear(samples)
            if self.call.tape is not None:
                self.call.tape.add(samples, talk.sounding(len(samples) / 2 / stream.sample_rate))
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
        break_off(self.request)

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
