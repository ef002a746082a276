"""The agent on Ultravox's own WebSocket: raw PCM in binary messages, data messages in text.

https://docs.ultravox.ai/apps/websockets · https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType, web

from uvcall.core.audio import FRAME_S
from uvcall.core.wire import ultravox as codec
from uvcall.core.wire.events import WireError
from uvcall.core.wire.ultravox_messages import Medium
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.inflow import Inflow
from uvcall.sandbox.plans import plan
from uvcall.sandbox.playout import Beat
from uvcall.sandbox.recording import Recording, sayings
from uvcall.sandbox.script import DropQueued, Invoke, Leave, Mood, Piece, Speak, Word
from uvcall.sandbox.session import alive, break_off, obey
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import World

#: Seconds of the real clock after which a client that does not read is given up.
_SEND_S: Final = 10.0
#: `mediaIdleTimeout` below this counts as this. https://docs.ultravox.ai/api-reference/calls/calls-post
_LEAST_IDLE_S: Final = 10.0
_ENDED: Final = frozenset({WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})
#: The flag of `dataMessages` that governs each message, and whether it is sent when nothing is said about it.
_FLAGS: Final[Mapping[type, tuple[str, bool]]] = {
    codec.Pong: ("pong", True),
    codec.State: ("state", True),
    codec.Transcript: ("transcript", True),
    codec.ToolInvocation: ("clientToolInvocation", True),
    codec.PlaybackClearBuffer: ("playbackClearBuffer", True),
    codec.CallStarted: ("callStarted", True),
    codec.Debug: ("debug", False),
}


@dataclass(slots=True)
class SocketSession:
    """One socket that a program has joined."""

    world: World
    calls: Calls
    call: SandboxCall
    socket: web.WebSocketResponse
    request: web.Request
    talk: Conversation = field(init=False)
    inflow: Inflow = field(init=False)
    reason: str = ""
    idle_s: float = 0.0
    _says: Mapping[str, Any] = field(init=False)
    _queue: deque[codec.DataMessage | bytes] = field(default_factory=deque)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        call, form = self.call, self.call.settings["medium"]["serverWebSocket"]
        rate = form["inputSampleRate"]
        voice_rate = form.get("outputSampleRate") or rate
        self._says = form.get("dataMessages") or {}
        if self.request.query.get("experimentalMessages") == "debug":
            self._says = {**self._says, "debug": True}
        self.inflow = Inflow(rate)
        self.talk = Conversation(
            plan(call.settings, self.world.options),
            rate,
            lambda: sayings(self.world).heard(call.join_url),
            call.transcript,
            watch=self._watch,
            voice_rate=voice_rate,
        )
        if call.settings["recordingEnabled"]:
            call.tape = Recording(rate, agent_rate=voice_rate)

    async def run(self) -> None:
        """Talk until somebody ends it, and write down who did."""
        call = self.call
        with alive(self.world, self.calls, call, self.talk, self._flush_later, self.break_off):
            self._say(codec.CallStarted(call.call_id))
            self._say(codec.State("listening"))
            living = asyncio.create_task(self._live(), name=f"agent {call.call_id}")
            listening = asyncio.create_task(self._listen(), name=f"hear {call.call_id}")
            try:
                await asyncio.wait({living, listening}, return_when=asyncio.FIRST_COMPLETED)
                if living.done():
                    living.result()
                lost = await listening
            except OSError:
                lost = "connection_error"
            finally:
                living.cancel()
                listening.cancel()
                await asyncio.gather(living, listening, return_exceptions=True)
        self.calls.end(call, self.reason or lost)

    async def _listen(self) -> str:
        """Take the client's messages until the socket ends; return the endReason if it was not the agent's doing."""
        while True:
            message = await self.socket.receive()
            if message.type is WSMsgType.CLOSE:
                return "hangup"
            if message.type in _ENDED:
                return "connection_error"
            if message.type is WSMsgType.BINARY:
                self.idle_s = 0.0
                self._note(self.inflow.add(message.data))
            else:
                self._read(message)
                await self._flush()
            if self.reason:
                return self.reason

    def _read(self, message: WSMessage) -> None:
        try:
            said = codec.decode(message.data)
        except WireError as error:
            self._note(("data_message", f"a message that is not understood: {error}"))
            return
        if isinstance(said, codec.Ping):
            self._say(codec.Pong(said.timestamp))
        elif isinstance(said, codec.Other):
            self._say(codec.Debug(f"a message of the type {said.type[:40]} is passed over"))
        else:
            problem = obey(self.talk, said)
            if problem:
                self._note(("data_message", problem))

    async def _live(self) -> None:
        """Let the conversation go on in real time, with the sound that has come or without any."""
        beat = Beat(self.world.pace.speed)
        try:
            while not self.reason:
                await beat.wait()
                self._pass_time()
                await self._flush()
        except TimeoutError:
            self._note(("connection", "the client does not read"))
            self.reason = "connection_error"
            self.break_off()
        except ConnectionError:
            return  # the listening task finds out too, and ends the call

    def _pass_time(self) -> None:
        """Live through the next 20 ms."""
        talk, tape = self.talk, self.call.tape
        heard, missing = self.inflow.take()
        if heard:
            talk.hear(heard)
        if not heard or missing:
            talk.wait(missing)
        if tape is not None:
            # What did not come is not filled up: as the vendor says, such a recording falls out of step.
            tape.add(heard, talk.sounding(FRAME_S))
        self._note(self.inflow.underflow())
        self.idle_s += FRAME_S
        limit = self.call.settings["medium"]["serverWebSocket"].get("mediaIdleTimeout")
        if limit is not None and self.idle_s >= max(seconds(limit), _LEAST_IDLE_S) and not self.reason:
            self._note(("media_idle", "no audio came for the whole of mediaIdleTimeout"))
            talk.out.append(Leave("connection_error"))

    def _watch(self, word: Word) -> None:
        """Tell the client what the conversation tells."""
        if isinstance(word, Mood):
            self._say(codec.State(word.state))
        elif isinstance(word, Invoke):
            self._say(codec.ToolInvocation(word.call.name, word.call.invocation_id, word.call.arguments))
        elif isinstance(word, Piece):
            final = word.text is not None
            delta = None if final else word.delta
            medium: Medium = "voice" if word.voice else "text"
            self._say(codec.Transcript(word.role, medium, word.ordinal, final, word.text, delta))

    def _say(self, message: codec.ServerMessage) -> None:
        """Queue a data message, if the call wants such messages."""
        flag, default = _FLAGS[type(message)]
        wanted = self._says.get(flag)
        if default if wanted is None else wanted:
            self._queue.append(message)

    def _note(self, event: tuple[str, str] | None) -> None:
        """Write a warning into the call's event log."""
        if event is not None:
            kind, text = event
            self.calls.note(self.call, "warning", kind, text[:200])
            self._say(codec.Debug(f"{kind}: {text}"[:200]))

    async def _flush(self) -> None:
        """Send what is to be sent, in order: first what was told, then what was done."""
        async with self._sending:
            if self.reason:
                return
            actions, self.talk.out = self.talk.out, []
            for action in actions:
                if isinstance(action, Speak):
                    self._queue.append(action.samples)
                elif isinstance(action, DropQueued):
                    self._say(codec.PlaybackClearBuffer())
            queue, self._queue = self._queue, deque()
            async with asyncio.timeout(_SEND_S):
                for item in queue:
                    await self._send(item)
            leave = next((action for action in actions if isinstance(action, Leave)), None)
            if leave is not None:
                await self._leave(leave)

    async def _send(self, item: codec.DataMessage | bytes) -> None:
        if isinstance(item, bytes):
            await self.socket.send_bytes(item)
        else:
            await self.socket.send_str(codec.encode(item))

    async def _flush_later(self) -> None:
        """Flush beside the listening task, which is the one that finds out about a lost connection."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._flush()

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
