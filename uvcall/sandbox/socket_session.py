"""The agent on Ultravox's own WebSocket: raw PCM in binary messages, data messages in text.

https://docs.ultravox.ai/apps/websockets · https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSMsgType, web

from uvcall.core.audio import FRAME_S
from uvcall.core.wire import ultravox as codec
from uvcall.sandbox.dialogue import Dialogue, Due, wanted
from uvcall.sandbox.playout import Beat
from uvcall.sandbox.script import DropQueued, Leave, Speak
from uvcall.sandbox.session import alive, break_off
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import World

#: Seconds of the real clock after which a client that does not read is given up.
_SEND_S: Final = 10.0
#: `mediaIdleTimeout` below this counts as this. https://docs.ultravox.ai/api-reference/calls/calls-post
_LEAST_IDLE_S: Final = 10.0
_ENDED: Final = frozenset({WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})


@dataclass(slots=True)
class SocketSession:
    """One socket that a program has joined."""

    world: World
    calls: Calls
    call: SandboxCall
    socket: web.WebSocketResponse
    request: web.Request
    reason: str = ""
    idle_s: float = 0.0
    _talk: Dialogue = field(init=False)
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        form = self.call.settings["medium"]["serverWebSocket"]
        rate = form["inputSampleRate"]
        wants = wanted(form, self.request.query, playbackClearBuffer=True)
        voice_rate = form.get("outputSampleRate") or rate
        self._talk = Dialogue(self.world, self.calls, self.call, rate, voice_rate, wants)

    async def run(self) -> None:
        """Talk until somebody ends it, and write down who did."""
        call = self.call
        with alive(self.world, self.calls, call, self._talk.talk, self._flush_later, self.break_off):
            self._talk.begin()
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
                self._talk.hear(message.data)
            else:
                self._talk.read(message.data)
                await self._flush()
            if self.reason:
                return self.reason

    async def _live(self) -> None:
        """Let the conversation go on in real time, with the sound that has come or without any."""
        beat = Beat(self.world.pace.speed)
        try:
            while not self.reason:
                await beat.wait()
                self._pass_time()
                await self._flush()
        except TimeoutError:
            self._talk.note(("connection", "the client does not read"))
            self.reason = "connection_error"
            self.break_off()
        except ConnectionError:
            return  # the listening task finds out too, and ends the call

    def _pass_time(self) -> None:
        """Live through the next 20 ms."""
        self._talk.pass_time()
        self.idle_s += FRAME_S
        limit = self.call.settings["medium"]["serverWebSocket"].get("mediaIdleTimeout")
        if limit is not None and self.idle_s >= max(seconds(limit), _LEAST_IDLE_S) and not self.reason:
            self._talk.note(("media_idle", "no audio came for the whole of mediaIdleTimeout"))
            self._talk.talk.out.append(Leave("connection_error"))

    async def _flush(self) -> None:
        """Send what is to be sent, and leave if it is time."""
        async with self._sending:
            if self.reason:
                return
            items, leave = self._talk.due()
            async with asyncio.timeout(_SEND_S):
                for item in items:
                    await self._send(item)
            if leave is not None:
                await self._leave(leave)

    async def _send(self, item: Due) -> None:
        if isinstance(item, Speak):
            await self.socket.send_bytes(item.samples)
        elif not isinstance(item, DropQueued):
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
