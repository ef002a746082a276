"""How a WebSocket begins: the handshake of HTTP, from either end.

https://www.rfc-editor.org/rfc/rfc6455#section-4
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from uvcall.sandbox.websocket import Channel

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_ANSWER: Final = 1 << 16


class HandshakeFailed(Exception):
    """The server's answer was not a WebSocket's."""


def _accepted(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()


def accept(request: web.Request, largest: int) -> Channel:
    """Answer a handshake (which `web.WebSocketResponse.can_prepare` has found good) and take the connection over."""
    transport = request.transport
    channel = Channel(largest, masks=False)
    if transport is None:
        channel.connection_lost(None)
        return channel
    key = request.headers["Sec-WebSocket-Key"]
    lines = "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {_accepted(key)}"
    transport.write("\r\n".join(("HTTP/1.1 101 Switching Protocols", *lines, "", "")).encode())
    channel.take_over(transport)
    return channel


class _Handshake(asyncio.Protocol):
    """A client's end until the server has answered."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Gather the head of the answer."""
        self._data += data
        head, blank, rest = self._data.partition(b"\r\n\r\n")
        if blank and not self.answer.done():
            self.answer.set_result((head, rest))
        elif len(self._data) > _LONGEST_ANSWER:
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake."""
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("no answer"))
            self.answer.exception()  # marked as seen: whoever waited may have been cancelled, and nobody is to be told


async def connect(url: str, headers: Mapping[str, str], largest: int) -> Channel:
    """Open a WebSocket, following no redirects: RFC 6455 leaves that to the client, and carriers do not.

    Raises:
        HandshakeFailed: The server answers otherwise.
        OSError: It cannot be reached, or breaks off.
        ValueError: The URL is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError("not a WebSocket URL")
    key = base64.b64encode(os.urandom(16)).decode()
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" * bool(parts.query)
    )
    fields = {
        "Host": parts.netloc.rpartition("@")[2],
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    if any(char in f"{name}{value}" for name, value in fields.items() for char in "\r\n\0"):
        raise ValueError("a header of more than one line")
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    loop = asyncio.get_running_loop()
    more: dict[str, Any] = {"ssl": True} if parts.scheme == "wss" else {}
    transport, shaking = await loop.create_connection(_Handshake, parts.hostname, port, **more)
    try:
        head = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        transport.write("\r\n".join(head).encode())
        answer, rest = await shaking.answer
        _check(answer.decode("latin-1"), key)
    except BaseException:
        transport.abort()
        raise
    channel = Channel(largest, masks=True)
    channel.take_over(transport)
    if rest:
        channel.data_received(rest)
    return channel


def _check(answer: str, key: str) -> None:
    """Check the head of the server's answer."""
    status, *lines = answer.split("\r\n")
    words = status.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or words[1] != "101":
        raise HandshakeFailed(f"HTTP {words[1][:3]}" if len(words) > 1 and words[1][:3].isdigit() else "no HTTP")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if fields.get("upgrade", "").lower() != "websocket" or fields.get("sec-websocket-accept") != _accepted(key):
        raise HandshakeFailed("not a WebSocket")
