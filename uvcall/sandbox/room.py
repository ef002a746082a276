"""A LiveKit room for one participant and the agent: who may come in, signalling, and how it ends.

It speaks the protocol that LiveKit's SDKs spoke before they put both ways into one connection, and that they fall
back to when `/rtc/v1` is not there. https://docs.livekit.io/reference/internals/client-protocol/

aiortc is imported when somebody comes in: a sandbox without WebRTC pays nothing for this room.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from uvcall.errors import LocalError
from uvcall.sandbox import room_signal as signal
from uvcall.sandbox import room_token as token
from uvcall.sandbox.playout import Playout
from uvcall.sandbox.room_schema import messages
from uvcall.sandbox.session import break_off
from uvcall.sandbox.world import World

if TYPE_CHECKING:
    from uvcall.sandbox.room_peer import Connections

#: Seconds of the real clock that a participant may be without a signalling socket before it counts as gone.
RESUME_S: Final = 15.0
_LARGEST_MESSAGE: Final = 1 << 20
_CLOSE_S: Final = 2.0
#: As LiveKit's servers do: why a client was not let in is no secret to the page that it runs in.
_ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*"}


def require() -> None:
    """Make sure that this machine can hold a room.

    Raises:
        LocalError: The extra is not installed, or there is no network interface that WebRTC clients would use.
    """
    try:
        import_module("uvcall.sandbox.room_peer")
        messages()
        ifaddr = import_module("ifaddr")
    except ImportError as error:
        raise LocalError(
            f"the sandbox cannot hold WebRTC calls: {(error.name or 'a package').partition('.')[0]} is not installed",
            hint="pip install 'uvcall[sandbox-webrtc]', or use the serverWebSocket medium",
        ) from error
    addresses = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    if all(address.startswith("127.") for address in addresses):
        raise LocalError(
            "this machine has no network interface but loopback, which WebRTC clients leave out",
            hint="give it another one with an IPv4 address (it needs no route), or use the serverWebSocket medium",
        )


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is told about the participant. Everything is called in the event loop, and must return at once."""

    arrived: Callable[[], None]  #: it hears the agent from now on; also after it had to join anew
    heard: Callable[[bytes], None]  #: its voice, PCM at `signal.RATE`, 20 ms as a rule
    told: Callable[[bytes], None]  #: a data message
    left: Callable[[str], None]  #: once: it `left`, was `lost`, or `failed` (there is no way for media)


@dataclass(slots=True)
class Room:
    """One room, from its token to its end."""

    world: World
    who: signal.Identity
    guest: Guest
    token: str
    closed: bool = False
    playout: Playout = field(default_factory=lambda: Playout(signal.RATE))
    lines: Connections | None = None
    _socket: web.WebSocketResponse | None = None
    _request: web.Request | None = None
    _patience: asyncio.TimerHandle | None = None
    _tracks: int = 0
    _gone: bool = False

    @property
    def taken(self) -> bool:
        """Say whether somebody is in the room, signalling socket and all."""
        return self._socket is not None

    def say(self, samples: bytes) -> None:
        """Queue a piece of the agent's voice, PCM at `signal.RATE`."""
        self.playout.add(samples, signal.RATE)

    def hush(self) -> None:
        """Drop what was said and not sent."""
        self.playout.clear()

    def tell(self, payload: bytes) -> None:
        """Send a data message, once there is a way for it."""
        if self.lines is not None:
            self.lines.send(signal.pack(payload, self.who))

    async def close(self, reason: str = "room_deleted") -> None:
        """Send the participant away, if it is there, and end everything. Safe to repeat.

        Args:
            reason: One of LiveKit's; empty: nothing is said, the connections just break.
        """
        if self.closed:
            return
        self.closed = self._gone = True
        if self._patience is not None:
            self._patience.cancel()
        socket, self._socket = self._socket, None
        if socket is not None and reason:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.send_bytes(signal.leave(reason))
        elif self._request is not None:
            break_off(self._request)
        if self.lines is not None:
            await self.lines.close()
        if socket is not None:
            await socket.close()

    async def serve(self, socket: web.WebSocketResponse, request: web.Request, *, resumes: bool) -> None:
        """Hold a signalling socket to its end."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._socket, self._request = socket, request
        how = "lost"
        try:
            await (self._welcome_back(socket) if resumes else self._welcome(socket))
            how = await self._listen(socket)
        except ConnectionError:
            pass
        except ValueError as error:
            self._note("room.invalid", reason=str(error)[:200])
            how = "failed"
        finally:
            self._ended(socket, how)
            await socket.close()

    def _ended(self, socket: web.WebSocketResponse, how: str) -> None:
        """Note how a signalling socket ended; wait for another one if it was just lost."""
        mine = self._socket is socket
        if mine:
            self._socket = None
        if how != "lost":
            self._depart(how)
        elif mine and not self.closed:
            self._note("room.signal_lost")
            self._patience = asyncio.get_running_loop().call_later(RESUME_S, self._depart, "lost")

    async def _welcome(self, socket: web.WebSocketResponse) -> None:
        from uvcall.sandbox.room_peer import Connections, Ends

        if self.lines is not None:  # it had to begin anew
            await self.lines.close()
        self.lines = Connections(self.who, Ends(self._play, self.guest.heard, self._packet, self._changed))
        await socket.send_bytes(signal.join(self.who))
        await socket.send_bytes(signal.describe("offer", await self.lines.offer()))

    async def _welcome_back(self, socket: web.WebSocketResponse) -> None:
        self._note("room.resumed")
        for message in signal.reconnected(self.who):
            await socket.send_bytes(message)

    async def _listen(self, socket: web.WebSocketResponse) -> str:
        """Take the client's messages until the socket ends; return how it ended."""
        while True:
            try:
                message = await socket.receive(signal.PING_TIMEOUT_S)
            except TimeoutError:
                return "lost"  # clients ping three times as often
            if message.type is not WSMsgType.BINARY:
                return "lost"
            try:
                request = signal.read(message.data)
            except signal.SignalError as error:
                self._note("room.invalid", reason=str(error)[:200])
                continue
            if isinstance(request, signal.Leaves):
                return "left"
            answer = await self._answer(request)
            if answer is not None:
                # Who has gone meanwhile may have said so: that is still to be read.
                with contextlib.suppress(ConnectionError):
                    await socket.send_bytes(answer)

    async def _answer(self, request: signal.Request) -> bytes | None:
        """Do what the client asks for; return what it is told.

        Raises:
            ValueError: No media can flow after this.
        """
        lines = self.lines
        if lines is None:
            return None
        match request:
            case signal.Description(kind="answer"):
                await lines.accept(request)
            case signal.Description():
                return signal.describe("answer", await lines.answer(request), request.number)
            case signal.Trickle():
                await lines.candidate(request)
            case signal.Ping():
                return signal.pong(request, int(time.time() * 1000))
            case signal.AddTrack():
                self._tracks += 1
                return signal.published(request, f"TR_{self._tracks}_{self.who.room}")
        return None

    def _play(self, size: int) -> bytes:
        return self.playout.take(size)[0]

    def _packet(self, packet: bytes) -> None:
        try:
            payload = signal.unpack(packet, self.who)
        except signal.SignalError as error:
            self._note("room.invalid", reason=str(error)[:200])
            return
        if payload is not None:
            self.guest.told(payload)

    def _changed(self, state: str) -> None:
        if state == "connected":
            self.guest.arrived()
        else:
            self._depart("failed")

    def _depart(self, how: str) -> None:
        if not self._gone:
            self._gone = True
            self._note("room.left", how=how)
            self.guest.left(how)

    def _note(self, kind: str, **details: Any) -> None:
        self.world.history.record("ultravox", kind, call_id=self.who.room, **details)


@dataclass(slots=True)
class Rooms:
    """All rooms of one sandbox, and the key that signs their tokens."""

    world: World
    key: bytes
    by_name: dict[str, Room] = field(default_factory=dict)

    def open(self, name: str, guest: Guest) -> Room:
        """Open a room; the one participant needs the room's token."""
        who = signal.Identity(name, f"user_{name}")
        expires = int(time.time()) + token.LIFETIME_S
        room = Room(self.world, who, guest, token.issue(token.Claims(name, who.participant, expires), self.key))
        self.by_name[name] = room
        return room

    async def shut(self, room: Room, reason: str = "room_deleted") -> None:
        """Close a room for good."""
        self.by_name.pop(room.who.room, None)
        await room.close(reason)

    def clear(self) -> None:
        """Close every room."""
        for room in list(self.by_name.values()):
            self.world.spawn(self.shut(room), f"close room {room.who.room}")


async def close_rooms(world: World) -> None:
    """Close every room that there is, to the last socket: the sandbox is going to end."""
    kept = world.rooms.get(Rooms)
    if isinstance(kept, Rooms):
        await asyncio.gather(*(kept.shut(room) for room in list(kept.by_name.values())))


def rooms(world: World) -> Rooms:
    """Return the world's rooms."""
    kept = world.rooms.get(Rooms)
    if not isinstance(kept, Rooms):
        kept = world.rooms[Rooms] = Rooms(world, world.chance.randbytes(32))
        world.on_reset.append(kept.clear)
    return kept


def routes(world: World) -> list[web.RouteDef]:
    """Return the signalling route, and the one where a client asks why it was not let in."""

    async def come_in(request: web.Request) -> web.StreamResponse:
        return await _come_in(world, request)

    async def validate(request: web.Request) -> web.StreamResponse:
        found = _admitted(world, request)
        answer = found if isinstance(found, web.Response) else web.Response(text="success")
        answer.headers.update(_ANY_ORIGIN)
        return answer

    async def not_there(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="not found", headers=_ANY_ORIGIN)

    # Clients try the newer way first. One in a browser must be let read that it is not there, to take this one.
    return [web.get("/rtc", come_in), web.get("/rtc/validate", validate), web.get("/rtc/v1/validate", not_there)]


async def _come_in(world: World, request: web.Request) -> web.StreamResponse:
    found = _admitted(world, request)
    if isinstance(found, web.Response):
        world.history.record("ultravox", "room.refused", status=found.status)
        return found
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, compress=False, timeout=_CLOSE_S)
    if not socket.can_prepare(request):
        return web.Response(status=426, text="this is a WebSocket", headers={"Upgrade": "websocket"})
    await socket.prepare(request)
    resumes = request.query.get("reconnect") == "1" and found.lines is not None
    await found.serve(socket, request, resumes=resumes)
    return socket


def _admitted(world: World, request: web.Request) -> Room | web.Response:
    """Return the room that the request's token opens, or the refusal."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = bearer if scheme.lower() == "bearer" else request.query.get("access_token", "")
    kept = rooms(world)
    try:
        claims = token.check(given, kept.key, time.time())
    except token.TokenRefused as refused:
        return web.Response(status=401, text=str(refused))
    room = kept.by_name.get(claims.room)
    if room is None or room.closed:
        return web.Response(status=401, text="invalid token: its room is closed")
    if room.taken and request.query.get("reconnect") != "1":
        return web.Response(status=401, text="invalid token: it has been used, and its participant is in the room")
    return room
