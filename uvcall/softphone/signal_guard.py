"""What stands between LiveKit's SDK and the server of a room, on this machine: all that is said passes through it.

A server that asks for a ping every 0 s, which is what it says when it says nothing, aborts the SDK's whole process; so
such a wish is mended on the way. The connection to the server is this program's own: its certificate is checked as
everywhere, a proxy is used as everywhere, and redirects are not followed.
https://docs.livekit.io/reference/internals/client-protocol/
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web

from uvcall.softphone.websocket import Elsewhere, new_session

_JOIN: Final = 1  #: SignalResponse.join
#: JoinResponse.ping_timeout and .ping_interval: the field, and the seconds that take the place of nonsense.
_PINGS: Final = {10: 15, 11: 5}
_LONGEST_PING_S: Final = 3600
_LARGEST_MESSAGE: Final = 1 << 20
_CLOSE_S: Final = 1.0
_CONNECT_S: Final = 10.0
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
#: What a client's handshake says to the server beside the query.
_PASSED: Final = ("Authorization", "User-Agent")


class Garbled(Exception):
    """What the server says is no protobuf."""


def guarded(raw: bytes) -> bytes:
    """Return a server's message with pings that the SDK survives. Of a field that comes twice, the last one counts.

    Raises:
        Garbled: It is no protobuf. https://protobuf.dev/programming-guides/encoding/
    """
    out = bytearray()
    for number, kind, start, value, end in _fields(raw):
        if (number, kind) != (_JOIN, _BYTES):
            out += raw[start:end]
            continue
        join = raw[value:end]
        asked = {number: _varint(join, at)[0] for number, kind, _, at, _ in _fields(join) if kind == _VARINT}
        for field, instead in _PINGS.items():
            if not 0 < asked.get(field, 0) <= _LONGEST_PING_S:
                join += bytes((field << 3 | _VARINT, instead))
        out += bytes((_JOIN << 3 | _BYTES,)) + _as_varint(len(join)) + join
    return bytes(out)


def _fields(raw: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield each field: its number, its wire type, where it starts, where its value starts, where it ends."""
    at = 0
    while at < len(raw):
        start = at
        tag, at = _varint(raw, at)
        value = at
        match tag & 7:
            case 0:
                at = _varint(raw, at)[1]
            case 1:
                at += 8
            case 2:
                length, value = _varint(raw, at)
                at = value + length
            case 5:
                at += 4
            case _:
                raise Garbled("a wire type that is not in use")
        if at > len(raw):
            raise Garbled("a message that is cut short")
        yield tag >> 3, tag & 7, start, value, at


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if at + place >= len(raw):
            raise Garbled("a number that is cut short")
        byte = raw[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise Garbled("a number that is too long")


def _as_varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class SignalGuard:
    """One relay: `open` it and give the SDK the URL, `close` it after the room."""

    def __init__(self, room_url: str) -> None:
        self._room_url = room_url
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> str:
        """Listen on loopback, under a path that nobody else here knows; return the URL for the SDK."""
        self._http = new_session(self._room_url)
        path = f"/{secrets.token_urlsafe(16)}"
        app = web.Application()
        app.add_routes([web.get(f"{path}/rtc", self._relay), web.get(f"{path}/rtc/validate", self._ask)])
        runner = self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"ws://127.0.0.1:{runner.addresses[0][1]}{path}"

    async def close(self) -> None:
        """End every connection. Safe to repeat."""
        runner, self._runner = self._runner, None
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        if runner is not None:
            await runner.cleanup()

    def _there(self, request: web.Request, scheme: str, path: str) -> str:
        parts = urlsplit(self._room_url)
        secure = "s" if parts.scheme == "wss" else ""
        return urlunsplit((scheme + secure, parts.netloc, f"{parts.path.rstrip('/')}{path}", request.query_string, ""))

    def _said(self, request: web.Request) -> dict[str, str]:
        return {name: request.headers[name] for name in _PASSED if name in request.headers}

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        """Pass on why a client is not let in."""
        if self._http is None:
            return web.Response(status=503)
        url = self._there(request, "http", "/rtc/validate")
        limit = aiohttp.ClientTimeout(total=_CONNECT_S)
        try:
            async with self._http.get(url, headers=self._said(request), allow_redirects=False, timeout=limit) as answer:
                return web.Response(
                    status=answer.status, text=(await answer.content.read(2048)).decode(errors="replace")
                )
        except (aiohttp.ClientError, TimeoutError, OSError, Elsewhere):
            return web.Response(status=502)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        """Hold one signalling connection."""
        if self._http is None:
            return web.Response(status=503)
        try:
            async with asyncio.timeout(_CONNECT_S):
                server = await self._http.ws_connect(
                    self._there(request, "ws", "/rtc"),
                    headers=self._said(request),
                    max_msg_size=_LARGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, Elsewhere):
            return web.Response(status=502)
        client = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, timeout=_CLOSE_S, compress=False)
        await client.prepare(request)
        ways = {
            asyncio.ensure_future(_pass(client, server, guard=False)),
            asyncio.ensure_future(_pass(server, client, guard=True)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await asyncio.gather(server.close(), client.close(), return_exceptions=True)
        return client


async def _pass(one: Any, other: Any, *, guard: bool) -> None:
    """Give to the other side what one says, until that ends."""
    async for message in one:
        if message.type is aiohttp.WSMsgType.BINARY:
            await other.send_bytes(guarded(message.data) if guard else message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await other.send_str(message.data)
