"""The scripted agent behind a join URL: who may join, and by which medium.

https://docs.ultravox.ai/apps/overview
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.wire import wire
from uvcall.sandbox import room
from uvcall.sandbox.faults import strike
from uvcall.sandbox.line_session import LineSession
from uvcall.sandbox.room_session import RoomSession, hindrance
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.session import Session
from uvcall.sandbox.socket_session import SocketSession
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall, calls
from uvcall.sandbox.upgrade import accept
from uvcall.sandbox.world import World

_LARGEST_MESSAGE: Final = 1024 * 1024

#: Begins a session: world, all calls, the call, its socket, the request.
Opener = Callable[[World, Calls, SandboxCall, web.WebSocketResponse, web.Request], Session]


#: How the join URLs of media beside the carriers' are served; what is in neither list cannot be joined.
OPENERS: Final[Mapping[str, Opener]] = {
    "serverWebSocket": SocketSession,
    "webRtc": RoomSession,
}


def routes(world: World) -> list[web.RouteDef]:
    """Return the agent's WebSocket routes: the paths of every join URL, and of the rooms that some lead to."""

    async def join(request: web.Request) -> web.StreamResponse:
        return await _join(world, request)

    return [web.get("/calls/{call_id}/{medium}", join), *room.routes(world)]


async def _join(world: World, request: web.Request) -> web.StreamResponse:
    """Accept the one who may join the call, and talk to them."""
    kept = calls(world)
    call = kept.by_id.get(request.match_info["call_id"])
    cannot = await hindrance() if call is not None and call.medium == "webRtc" else None
    refusal = _refusal(world, call, request.path) or cannot
    if call is None or refusal is not None:
        status, text = refusal or (404, "")
        world.history.record("ultravox", "join.refused", call_id=request.match_info["call_id"], status=status)
        return web.Response(status=status, text=text)
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, compress=False, timeout=2.0)
    if not socket.can_prepare(request):
        return web.Response(status=426, text="this is a WebSocket", headers={"Upgrade": "websocket"})
    call.taken = True
    if call.provider is not None:
        return await _talk_to_carrier(world, call, call.provider, request)
    await socket.prepare(request)
    session = OPENERS[call.medium](world, kept, call, socket, request)
    call.drop = session.break_off
    try:
        await session.run()
    finally:
        call.drop = None
        if not socket.closed:
            await socket.close()
    return socket


async def _talk_to_carrier(
    world: World, call: SandboxCall, provider: Provider, request: web.Request
) -> web.StreamResponse:
    """Take the connection out of the web server's hands: there may be hundreds, of fifty messages a second each."""
    channel = accept(request, _LARGEST_MESSAGE)
    session = LineSession(world, calls(world), call, channel, wire(provider))
    call.drop = session.break_off
    try:
        await session.run()
    finally:
        call.drop = None
        await channel.close()
    return web.Response(status=500)  # written into a closed connection: nobody reads it


def _refusal(world: World, call: SandboxCall | None, path: str) -> tuple[int, str] | None:
    if call is None or not call.join_url.endswith(path):
        return 404, "there is no such call"
    scenario = world.options.scenario
    if scenario is not None and not SCENARIOS[scenario].agent_joins:
        return 503, "the agent does not join in this scenario"
    if call.ended is not None:
        return 410, "the call is over"
    if call.taken:
        return 409, "somebody has joined the call already"
    if call.provider is None and call.medium not in OPENERS:
        return 501, f"the sandbox does not serve the medium {call.medium}"
    if strike(world, "ultravox", "join", call_id=call.call_id):
        return 503, "the agent does not join this time"
    return None
