"""A server in this process's loop, an Ultravox that can be told how to behave, and callers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from aiohttp import web
from support import callers

from uvcall.core.inbound_policy import Rules
from uvcall.server import inbound

Reply = Callable[[web.BaseRequest, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Ultravox:
    """Ultravox as the test wants it. `reply` takes the place of the orderly answer to Create Call."""

    port: int = 0
    created: list[dict[str, Any]] = field(default_factory=list)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay_s: float = 0.0
    reply: Reply | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.method == "POST":
            body = json.loads(await request.read())
            self.created.append(body)
            if self.reply is not None:
                return await self.reply(request, body)
            call = self.make(body)
            await asyncio.sleep(self.delay_s)
            return web.json_response(call, status=201)
        if request.path == "/api/calls":
            wanted = request.query["metadata.uvcall_attempt"]
            found = [one for one in self.calls.values() if one["metadata"]["uvcall_attempt"] == wanted]
            return web.json_response({"results": found, "next": None})
        call = self.calls.get(request.path.rpartition("/")[2])
        return web.json_response(call or {"detail": "Not found."}, status=200 if call else 404)

    def make(self, body: dict[str, Any]) -> dict[str, Any]:
        call_id = callers.uuid(len(self.calls) + 1)
        self.calls[call_id] = {
            "callId": call_id, "joinUrl": f"ws://127.0.0.1:1/calls/{call_id}/secret-join", "created": "2026-01-01T00:00:00Z",
            "joined": None, "ended": None, "endReason": None, "metadata": body["metadata"],
        }  # fmt: skip
        return self.calls[call_id]


@dataclass
class House:
    """A running server and what it said."""

    base: str
    ready: dict[str, Any]
    lines: list[dict[str, Any]]
    stop: asyncio.Event
    done: asyncio.Task[int]

    @property
    def port(self) -> int:
        return int(urlsplit(self.ready["listening"]).port or 0)

    async def ask(self, request: Any) -> tuple[int, bytes]:
        return await callers.ask(self.port, callers.raw(request))

    async def get(self, path: str) -> tuple[int, bytes]:
        return await callers.ask(self.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def metrics(self) -> str:
        port = urlsplit(self.ready["metrics"]).port
        status, body = await callers.ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status == 200
        return body.decode()

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@contextlib.asynccontextmanager
async def ultravox_at(peer: Ultravox) -> AsyncIterator[Ultravox]:
    handler = web.Server(peer.handle, access_log=None)
    server = await asyncio.get_running_loop().create_server(handler, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await handler.shutdown(0.1)


@contextlib.asynccontextmanager
async def serving(
    directory: Path, peer: Ultravox, rules: Rules = callers.OPEN_DOORS, **more: Any
) -> AsyncIterator[House]:
    """Serve in this loop.

    The collector stays as it is: the server tunes it for a process of its own, and here that would be a walk, for each
    server, through all that thousands of tests have in memory.
    """
    with patch.object(inbound, "tune", lambda: None):
        async with _serving(directory, peer, rules, **more) as house:
            yield house


@contextlib.asynccontextmanager
async def _serving(directory: Path, peer: Ultravox, rules: Rules, **more: Any) -> AsyncIterator[House]:
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    lines: list[dict[str, Any]] = []
    stop = asyncio.Event()
    where = callers.place(directory, peer.port, rules, **more)
    done = asyncio.ensure_future(
        inbound.serve(where, lambda ready: told.set_result(dict(ready)), lambda line: lines.append(dict(line)), stop)
    )
    await asyncio.wait([done, told], return_when=asyncio.FIRST_COMPLETED)
    if done.done():
        done.result()
    ready = told.result()
    house = House(ready["routes"]["healthz"].removesuffix("/healthz"), ready, lines, stop, done)
    try:
        yield house
    finally:
        stop.set()
        await done
