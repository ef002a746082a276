"""What every request to a peer passes, and the sandbox's own routes beside the peers'."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from uvcall.errors import UsageError
from uvcall.sandbox.faults import SLOW_S, Faults, parse_faults
from uvcall.sandbox.line_pool import pool
from uvcall.sandbox.rest import LostReply, Refusal, common_error, json_object
from uvcall.sandbox.world import World

#: Whose face a path belongs to; what is not here is the sandbox's own, or a media socket.
_FACES: Final = (
    ("/api/", "ultravox"),
    ("/v2/", "telnyx"),
    ("/2010-04-01/", "twilio"),
    ("/v1/Voice/", "twilio"),
    ("/v1/Account/", "plivo"),
)
_OWN: Final = "/_sandbox/"


def peer_of(path: str) -> str:
    """Return the peer whose REST face the path belongs to; empty for none."""
    if _OWN in path:
        return ""
    return next((peer for prefix, peer in _FACES if path.startswith(prefix)), "")


def creates(peer: str, method: str, path: str) -> bool:
    """Say whether the request places or creates a call."""
    ends = {"telnyx": ("/calls", "/Calls"), "twilio": ("/Calls.json",), "plivo": ("/Call/",), "ultravox": ("/calls",)}
    return method == "POST" and path.endswith(ends[peer])


class Gate:
    """What every request passes: faults, refusals in the peer's own words, and the history."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    @property
    def middleware(self) -> Any:
        """Return the middleware."""

        @web.middleware
        async def gate(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            peer = peer_of(request.path)
            if not peer:
                return await handler(request)
            status: int | None = None
            try:
                response = await self._pass(peer, request, handler)
                status = response.status
            except Refusal as refusal:
                status = refusal.status
                response = refusal.response()
            except (LostReply, ConnectionError) as lost:  # the client may have died in the middle of its request
                response = _cut(request, hard=not isinstance(lost, LostReply))
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                status = error.status
                response = common_error(peer, status if status in {404, 405, 413} else 500).response()
            finally:
                self.world.history.record(peer, "request", method=request.method, path=request.path, status=status)
            return response

        return gate

    async def _pass(
        self, peer: str, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        fault = self.faults.choose(peer, creates=creates(peer, request.method, request.path))
        if fault is None:
            return await handler(request)
        self.world.history.record(peer, "fault", fault=fault.name, method=request.method, path=request.path)
        match fault.name:
            case "rate-limit":
                raise common_error(peer, 429)
            case "server-error":
                raise common_error(peer, 500)
            case "reset":
                await request.read()  # the client has sent all of it, and cannot know what became of it
                raise ConnectionAbortedError
            case "slow":
                await self.world.pace.sleep(SLOW_S)
        response = await handler(request)
        if response.status < 300 and fault.name == "server-error-after":
            raise common_error(peer, 500)
        if response.status < 300 and fault.name == "lost-reply":
            raise LostReply
        return response


def _cut(request: web.Request, *, hard: bool) -> web.Response:
    """Close the connection without a reply; `hard`: by a reset."""
    if request.transport is not None:
        plug = request.transport.get_extra_info("socket")
        if hard and plug is not None:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort() if hard else request.transport.close()
    return web.Response(status=500)  # written into a closed connection: nobody reads it


class Window:
    """The sandbox's own routes. Reset and faults are for whoever is on this machine, as is everything here."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, each at the root and under the base URL of Telnyx, which has a path."""
        return [
            route
            for root in ("", "/v2")
            for route in (
                web.get(f"{root}/_sandbox/history", self.history),
                web.post(f"{root}/_sandbox/reset", self.reset),
                web.get(f"{root}/_sandbox/faults", self.show_faults),
                web.post(f"{root}/_sandbox/faults", self.set_faults),
                web.get(f"{root}/_sandbox/media", self.media),
                web.post(f"{root}/_sandbox/media", self.count_media),
            )
        ]

    async def history(self, request: web.Request) -> web.Response:
        """List what each peer saw; `?peer=` and `?type=` narrow."""
        wanted = {name: request.query[name] for name in ("peer", "type") if name in request.query}
        events = self.world.history.events
        return web.json_response([e for e in events if all(e[name] == value for name, value in wanted.items())])

    async def reset(self, request: web.Request) -> web.Response:  # noqa: ARG002  # a handler's shape
        """Forget everything: calls, history, and where in its sequence the chance of faults is."""
        running = list(self.world.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.world.legs.clear()
        self.world.history.events.clear()
        self.faults.restart()
        for forget in self.world.on_reset:
            forget()
        return web.json_response({"reset": True})

    async def media(self, request: web.Request) -> web.Response:  # noqa: ARG002  # a handler's shape
        """Say how late the frames of media calls have been."""
        return web.json_response((await pool(self.world).count()).as_json())

    async def count_media(self, request: web.Request) -> web.Response:
        """Count frames from now on."""
        await pool(self.world).count(restart=True)
        return await self.media(request)

    async def show_faults(self, request: web.Request) -> web.Response:  # noqa: ARG002  # a handler's shape
        """Show the plan."""
        return web.json_response({"faults": self.faults.plan.as_text()})

    async def set_faults(self, request: web.Request) -> web.Response:
        """Set the plan: `{"faults": "lost-reply=1"}`."""
        fields = await json_object(request)
        spec = (fields or {}).get("faults")
        if not isinstance(spec, str):
            return web.json_response({"error": 'send {"faults": "off|on|NAME=RATE,…"}'}, status=400)
        try:
            self.faults.plan = parse_faults(spec)
        except UsageError as error:
            return web.json_response({"error": f"{error.message}; {error.hint}"}, status=400)
        self.faults.restart()
        return await self.show_faults(request)
