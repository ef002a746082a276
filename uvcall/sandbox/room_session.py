"""The agent in a LiveKit room: the socket of the join URL, the room that it leads to, and the talk in there.

Ultravox's own SDKs are the only description of it: the first message on the socket says where the room is, whoever
closes the socket leaves, and what is too large for a data packet goes over the socket.
https://github.com/fixie-ai/ultravox-client-sdk-python
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from uvcall.core.wire import ultravox as codec
from uvcall.errors import LocalError
from uvcall.sandbox.dialogue import Dialogue, wanted
from uvcall.sandbox.playout import Beat
from uvcall.sandbox.room import Guest, Room, require, rooms
from uvcall.sandbox.room_signal import RATE
from uvcall.sandbox.script import DropQueued, Leave, Speak
from uvcall.sandbox.session import alive, break_off
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.world import World

#: Seconds: when the agent leaves, its last word is still on the way to the client's loudspeaker.
_LAST_WORD_S: Final = 0.3
#: Seconds after the end of `joinTimeout` at which the client is told.
_LATE_S: Final = 0.05
#: How a participant goes, and what the call's endReason says then.
_REASONS: Final[Mapping[str, str]] = {"left": "hangup", "lost": "connection_error", "failed": "connection_error"}


async def hindrance() -> tuple[int, str] | None:
    """Return why this machine can hold no room, as the status and text of a refusal; loads what a room needs."""
    try:
        await asyncio.to_thread(require)
    except LocalError as error:
        return 501, f"{error.message}: {error.hint}"
    return None


@dataclass(slots=True)
class RoomSession:
    """One socket that a WebRTC client has joined, and its room."""

    world: World
    calls: Calls
    call: SandboxCall
    socket: web.WebSocketResponse
    request: web.Request
    _talk: Dialogue = field(init=False)
    _room: Room = field(init=False)
    _arrived: asyncio.Future[None] = field(init=False)
    _gone: asyncio.Future[str] = field(init=False)

    def __post_init__(self) -> None:
        form = self.call.settings["medium"].get("webRtc") or {}
        self._talk = Dialogue(self.world, self.calls, self.call, RATE, RATE, wanted(form, self.request.query))
        loop = asyncio.get_running_loop()
        self._arrived, self._gone = loop.create_future(), loop.create_future()
        guest = Guest(self._arrive, self._talk.hear, self._told, self._leave)
        self._room = rooms(self.world).open(self.call.call_id, guest)

    async def run(self) -> None:
        """Say where the room is, wait for the client there, talk until somebody ends it, and write down who did."""
        listening = asyncio.create_task(self._listen(), name=f"socket {self.call.call_id}")
        try:
            await self.socket.send_str(codec.encode(self._room_info()))
            if await self._client_comes(listening):
                self.calls.end(self.call, await self._talk_with(listening))
        except ConnectionError:
            self.call.taken = False  # it did not even wait for the answer
        finally:
            listening.cancel()
            await rooms(self.world).shut(self._room)
            await asyncio.gather(listening, return_exceptions=True)

    def break_off(self) -> None:
        """Let socket and room just break: no close frame, nothing."""
        break_off(self.request)
        self.world.spawn(rooms(self.world).shut(self._room, ""), f"break off {self.call.call_id}")

    def _room_info(self) -> codec.Other:
        origin = self.world.base_url or str(self.request.url.origin())
        url = origin.replace("http", "ws", 1)
        return codec.Other("room_info", {"roomUrl": url, "token": self._room.token})

    async def _client_comes(self, listening: asyncio.Task[str]) -> bool:
        """Wait for the client in the room; say whether it came. If not, all is said and done."""
        call, timer = self.call, self.call.timer
        wait_s = timer.when() - asyncio.get_running_loop().time() + _LATE_S if timer is not None else 0.0
        ends: set[asyncio.Future[Any]] = {self._arrived, self._gone, listening}
        await asyncio.wait(ends, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if self._arrived.done():
            return True
        if self._gone.done() and self._gone.result() != "left":
            self.calls.note(call, "error", "media", "no media connection with the client came about")
            self.calls.join(call)
            self.calls.end(call, _REASONS[self._gone.result()])
        elif self._gone.done() or listening.done():
            call.taken = False  # gone before it began: the URL may still be joined
        return False

    async def _talk_with(self, listening: asyncio.Task[str]) -> str:
        """Talk to the client until somebody ends it; return the endReason."""
        with alive(self.world, self.calls, self.call, self._talk.talk, self._at_next_beat, self.break_off):
            self._talk.begin()
            living = asyncio.create_task(self._live(), name=f"agent {self.call.call_id}")
            try:
                ends: set[asyncio.Future[Any]] = {living, listening, self._gone}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if living.done():
                    return await self._say_goodbye(living.result())
                return _REASONS[self._gone.result()] if self._gone.done() else listening.result()
            finally:
                living.cancel()
                await asyncio.gather(living, return_exceptions=True)

    async def _listen(self) -> str:
        """Take what comes by the socket until it ends; return the endReason that this is."""
        while True:
            message = await self.socket.receive()
            if message.type is WSMsgType.TEXT:
                self._talk.read(message.data)
            elif message.type is not WSMsgType.BINARY:
                return "hangup" if message.type is WSMsgType.CLOSE else "connection_error"

    async def _live(self) -> Leave:
        """Let the conversation go on in the real time of the media, until the agent leaves."""
        beat = Beat(1.0)
        while True:
            await beat.wait()
            self._talk.pass_time()
            items, leave = self._talk.due()
            for item in items:
                if isinstance(item, Speak):
                    self._room.say(item.samples)
                elif isinstance(item, DropQueued):
                    self._room.hush()
                else:
                    self._room.tell(codec.encode(item).encode())
            if leave is not None:
                return leave

    async def _say_goodbye(self, leave: Leave) -> str:
        if leave.abrupt:
            self.calls.note(self.call, "error", "agent", "the agent's side broke")
            self.break_off()
        else:
            await asyncio.wait({self._gone}, timeout=_LAST_WORD_S)
        return leave.reason

    async def _at_next_beat(self) -> None:
        """Let be: what is due goes out within 20 ms anyway."""

    def _arrive(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(None)

    def _told(self, payload: bytes) -> None:
        self._talk.read(payload.decode(errors="replace"))

    def _leave(self, how: str) -> None:
        if not self._gone.done():
            self._gone.set_result(how)
