"""A peer behind a join URL that does what a test tells it, in a loop of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from uvcall.core.secret import JoinUrl

#: Nothing here takes as long; a machine may be busy.
PATIENCE_S = 30.0


@dataclass
class Peer:
    """One joined socket, for a script."""

    socket: web.WebSocketResponse
    request: web.Request
    heard: bytearray = field(default_factory=bytearray)
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, **message: Any) -> None:
        """Send a data message."""
        await self.socket.send_str(json.dumps(message))

    async def start(self) -> None:
        """Say what Ultravox says first."""
        await self.say(type="call_started", callId="call-1")

    async def until(self, wanted: Callable[[Peer], bool]) -> None:
        """Take what comes until it is so, or until the client is gone."""
        while not wanted(self):
            message = await self.socket.receive()
            if message.type is WSMsgType.BINARY:
                self.heard += message.data
            elif message.type is WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
            else:
                return

    async def until_gone(self) -> None:
        """Take what comes until the client is gone."""
        await self.until(lambda _: False)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type."""
        return [message for message in self.messages if message["type"] == kind]


Script = Callable[[Peer], Awaitable[None]]


class PeerServer:
    """Serves a script, or whatever a handler answers, at one join URL."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._script: Script | None = None
        self._handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_get("/join", self._join)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        self._loop.run_until_complete(self._runner.setup())
        self._loop.run_until_complete(web.TCPSite(self._runner, "127.0.0.1", 0).start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _join(self, request: web.Request) -> web.StreamResponse:
        if self._handler is not None:
            return await self._handler(request)
        assert self._script is not None
        socket = web.WebSocketResponse(max_msg_size=1 << 24, timeout=1.0)
        await socket.prepare(request)
        peer = Peer(socket, request)
        self.peers.append(peer)
        await self._script(peer)
        return socket

    @property
    def url(self) -> JoinUrl:
        host, port = self._runner.addresses[0][:2]
        return JoinUrl(f"ws://{host}:{port}/join")

    def plays(self, script: Script) -> JoinUrl:
        """Play the script for everybody who joins, and return the join URL."""
        self._script = script
        return self.url

    def answers(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> JoinUrl:
        """Answer the handshake so."""
        self._handler = handler
        return self.url

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_S)
