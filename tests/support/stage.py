"""A bare stage for the sandbox's media, agent and Ultravox: real sockets on loopback, and ears that know frequencies."""

from __future__ import annotations

import asyncio
import audioop
import base64
import contextlib
import json
import math
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from uvcall.core.audio import write_wav
from uvcall.core.carrier import Provider
from uvcall.sandbox import agent, ultravox
from uvcall.sandbox.credentials import ULTRAVOX_API_KEY
from uvcall.sandbox.world import History, Leg, Options, Pace, World

CALL_IDS = {
    Provider.TELNYX: "v3:sandbox-call-control-id",
    Provider.TWILIO: "CA" + "0" * 32,
    Provider.PLIVO: "11111111-1111-4111-8111-111111111111",
}


def make_world(**options: Any) -> World:
    chosen = Options(**options)
    pace = Pace(chosen.speed)
    world = World(chosen, pace, History(pace), random.Random(7), 7)

    def hang_up(leg: Leg, cause: Any, source: str) -> None:
        leg.cause, leg.end_source = cause, source
        leg.over.set()

    world.hang_up = hang_up
    return world


def make_leg(world: World, provider: Provider, scenario: str = "answer") -> Leg:
    leg = Leg(provider, CALL_IDS[provider], "+12025550199", "+12025550100", "outbound", scenario, world.pace.now())
    leg.ids["call_session_id"] = "session-1"
    return leg


@contextlib.asynccontextmanager
async def serving(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    """Serve the routes on loopback; yields the base URL."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Api:
    """A sandbox with nothing but Ultravox and the agent, and a client that has the key."""

    world: World
    http: aiohttp.ClientSession

    async def request(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        url = path if path.startswith("http") else self.world.base_url + path
        async with self.http.request(method, url, **more) as answer:
            raw = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(raw) if is_json else raw

    async def get(self, path: str) -> Any:
        return (await self.request("GET", path))[1]

    async def create(self, **body: Any) -> dict[str, Any]:
        status, call = await self.request("POST", "/api/calls", json={"medium": {"twilio": {}}, **body})
        assert status == 201, call
        return call

    async def lines(self, call: dict[str, Any]) -> list[tuple[str, str]]:
        page = await self.get(f"/api/calls/{call['callId']}/messages?mode=in_call&pageSize=100")
        return [(m["role"].removeprefix("MESSAGE_ROLE_").lower(), m["text"]) for m in page["results"]]

    async def ended(self, call: dict[str, Any], within: float = 5.0) -> dict[str, Any]:
        async with asyncio.timeout(within):
            while not (now := await self.get(f"/api/calls/{call['callId']}"))["ended"]:  # noqa: ASYNC110  # a poll, as clients do
                await asyncio.sleep(0.005)
        return now


@contextlib.asynccontextmanager
async def api(**options: Any) -> AsyncIterator[Api]:
    world = make_world(**options)
    async with serving([*ultravox.routes(world), *agent.routes(world)]) as base:
        world.base_url = base
        async with aiohttp.ClientSession(headers={"X-API-Key": ULTRAVOX_API_KEY}) as http:
            try:
                yield Api(world, http)
            finally:
                for empty in world.on_reset:
                    empty()
                for task in list(world.tasks):
                    task.cancel()


@dataclass
class Desk:
    """An agent of somebody else's making: notes every message and when it came, and does what a test says."""

    behave: Callable[[Desk, web.WebSocketResponse, dict[str, Any]], Awaitable[None]] | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    refuse: int = 0
    close_code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    frames: int = 0
    enough_frames: int = 1 << 30
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/agent", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        if self.refuse:
            return web.Response(status=self.refuse)
        self.headers = dict(request.headers)
        socket = web.WebSocketResponse(timeout=0.5)
        await socket.prepare(request)
        self.transport = request.transport
        async for message in socket:
            event = json.loads(message.data)
            self.messages.append(event)
            self.times.append(asyncio.get_running_loop().time())
            self.frames += event["event"] == "media"
            if self.frames >= self.enough_frames:
                self.enough.set()
            if self.behave is not None:
                await self.behave(self, socket, event)
        self.close_code = socket.close_code
        self.ended.set()
        return socket

    def named(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    def sound(self, encoding: str, track: str = "inbound") -> bytes:
        """The PCM that came in, decoded here and not by the code under test."""
        pieces = [base64.b64decode(m["media"]["payload"]) for m in self.named("media") if m["media"]["track"] == track]
        return pcm(encoding, b"".join(pieces))


def pcm(encoding: str, payload: bytes) -> bytes:
    return {"PCMU": audioop.ulaw2lin, "PCMA": audioop.alaw2lin, "L16": lambda data, _: data}[encoding](payload, 2)


def on_wire(encoding: str, samples: bytes) -> bytes:
    return {"PCMU": audioop.lin2ulaw, "PCMA": audioop.lin2alaw, "L16": lambda data, _: data}[encoding](samples, 2)


def tone(frequency: float, seconds: float, rate: int) -> bytes:
    count = int(seconds * rate)
    return struct.pack(f"<{count}h", *(int(9000 * math.sin(2 * math.pi * frequency * n / rate)) for n in range(count)))


def tone_wav(frequency: float, seconds: float, rate: int = 16000) -> bytes:
    return write_wav(tone(frequency, seconds, rate), rate)


def goertzel(samples: bytes, rate: int, frequency: float) -> float:
    """Return the share of the sound's energy that lies at the frequency: near 1 for a clean tone, near 0 otherwise."""
    values = struct.unpack(f"<{len(samples) // 2}h", samples[: len(samples) // 2 * 2])
    energy = sum(value * value for value in values)
    if not energy:
        return 0.0
    turn = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for value in values:
        before, last = last, value + turn * last - before
    power = before * before + last * last - turn * before * last
    return 2 * power / (len(values) * energy)


def loudest(samples: bytes, rate: int, seconds: float = 0.3) -> bytes:
    """Return the piece of the sound in which most is going on."""
    size = int(seconds * rate) * 2
    starts = range(0, max(1, len(samples) - size), int(rate * 0.02) * 2)
    best = max(starts, key=lambda at: audioop.rms(samples[at : at + size], 2))
    return samples[best : best + size]
