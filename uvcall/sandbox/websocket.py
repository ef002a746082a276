"""WebSockets without a task for each: a message that comes is a call, and one that goes is a write.

Hundreds of media streams have tens of thousands of messages a second; waking a task for each of them costs more than
everything that is done with it. https://www.rfc-editor.org/rfc/rfc6455, without extensions.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast
from urllib.parse import quote, urlsplit

from aiohttp import web

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
#: Seconds of the real clock that the other side has for its close frame.
_CLOSE_S: Final = 2.0
#: Bytes that may wait for a peer that does not read; what is more ends the connection.
_MOST_UNSENT: Final = 1 << 20
_LONGEST_ANSWER: Final = 1 << 16
#: For each byte, what it makes of every other one: translating by table is the fastest mask that Python has.
_XOR: Final = tuple(bytes(one ^ other for other in range(256)) for one in range(256))
NO_CODE: Final = 1005


class Listener(Protocol):
    """Who is told what a channel receives."""

    def take(self, message: str | bytes) -> None:
        """Take a whole message: text or binary."""

    def over(self, code: int | None) -> None:
        """Learn, once, that no more comes: the close frame's code, or None when the connection was lost."""


class HandshakeFailed(Exception):
    """The server's answer was not a WebSocket's."""


class _Broken(Exception):
    """The peer breaks the protocol: the code with which the channel closes."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Channel(asyncio.Protocol):
    """One end of an open WebSocket. `masks`: this is the client's end."""

    def __init__(self, largest: int, *, masks: bool) -> None:
        self.closing = False  #: nothing is sent any more
        self._largest = largest
        self._masks = masks
        self._transport: asyncio.Transport | None = None
        self._before: asyncio.BaseProtocol | None = None
        self._listener: Listener | None = None
        self._early: list[str | bytes] = []
        self._rest = b""
        self._fragments: list[bytes] = []
        self._kind = 0
        self._code: int | None = None
        self._told = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a transport on which the handshake is done or about to be."""
        self._transport = cast("asyncio.Transport", transport)

    def take_over(self, transport: asyncio.Transport) -> None:
        """Stand in for the protocol of an HTTP connection, which learns of its end all the same."""
        self._before = transport.get_protocol()
        self.connection_made(transport)
        transport.set_protocol(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone."""
        self._transport, self.closing = None, True
        if self._before is not None:
            self._before.connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)
        self._tell_over(self._code)

    def listen(self, listener: Listener) -> None:
        """Give the listener what has come and what will come."""
        self._listener = listener
        early, self._early = self._early, []
        for message in early:
            listener.take(message)
        if self._told:
            listener.over(self._code)

    def send(self, message: str | bytes) -> None:
        """Send a message; into a channel that is closing it goes as into one whose peer is gone: nowhere."""
        if isinstance(message, str):
            self._write(_TEXT, message.encode())
        else:
            self._write(_BINARY, message)

    async def close(self, code: int = 1000) -> None:
        """Close the connection, giving the peer a moment to answer in kind."""
        self._start_closing(code)
        if self._transport is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.shield(self.lost)
        except TimeoutError:
            self.break_off()

    def break_off(self) -> None:
        """Let the connection just break: no close frame, nothing."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take the messages apart that the bytes hold."""
        data = self._rest + data if self._rest else data
        try:
            at = self._frames(data)
        except _Broken as broken:
            self._code = self._code or broken.code
            self._start_closing(broken.code)
            if self._transport is not None:
                self._transport.close()
            at = len(data)
        self._rest = data[at:]

    def _frames(self, data: bytes) -> int:
        """Take every whole frame; return where the first one begins that is not whole."""
        at, size = 0, len(data)
        while size - at >= 2:
            first, length, head = data[at], data[at + 1] & 0x7F, 2
            if (data[at + 1] & 0x80 != 0) is self._masks:
                raise _Broken(1002)  # a client masks its frames, a server does not
            if length >= 126:
                head = 4 if length == 126 else 10
                if size - at < head:
                    break
                length = int.from_bytes(data[at + 2 : at + head])
            if length > self._largest:
                raise _Broken(1009)
            end = at + head + (0 if self._masks else 4) + length
            if end > size:
                break
            payload = data[end - length : end]
            if not self._masks:
                payload = _mask(payload, data[at + head : at + head + 4])
            at = end
            self._frame(first, payload)
        return at

    def _frame(self, first: int, payload: bytes) -> None:
        kind, final = first & 0x0F, first & 0x80
        if first & 0x70 or (kind >= _CLOSE and (not final or len(payload) > 125)):
            raise _Broken(1002)
        if kind == _PING:
            self._write(_PONG, payload)
        elif kind == _CLOSE:
            self._take_close(payload)
        elif kind in {0, _TEXT, _BINARY}:
            if (kind == 0) is not bool(self._kind):
                raise _Broken(1002)  # a message begins within another, or goes on that never began
            if not final or kind == 0:
                payload, kind = self._gather(kind, payload, final=bool(final))
            if final:
                self._message(kind, payload)
        elif kind != _PONG:
            raise _Broken(1002)

    def _gather(self, kind: int, payload: bytes, *, final: bool) -> tuple[bytes, int]:
        """Keep a fragment; return the whole message, and its kind, with the last one."""
        self._kind = self._kind or kind
        self._fragments.append(payload)
        if sum(map(len, self._fragments)) > self._largest:
            raise _Broken(1009)
        if not final:
            return b"", 0
        whole, kind = b"".join(self._fragments), self._kind
        self._fragments.clear()
        self._kind = 0
        return whole, kind

    def _message(self, kind: int, payload: bytes) -> None:
        if self._code is not None:
            return
        try:
            message = payload.decode() if kind == _TEXT else payload
        except UnicodeDecodeError:
            raise _Broken(1007) from None
        if self._listener is None:
            self._early.append(message)
        else:
            self._listener.take(message)

    def _take_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if len(payload) >= 2 else NO_CODE
        self._code = self._code or code
        self._start_closing(1000 if code == NO_CODE else code)
        if self._transport is not None:
            self._transport.close()
        self._tell_over(self._code)

    def _start_closing(self, code: int) -> None:
        if not self.closing:
            self._write(_CLOSE, code.to_bytes(2))
            self.closing = True

    def _tell_over(self, code: int | None) -> None:
        if not self._told:
            self._told, self._code = True, code
            if self._listener is not None:
                self._listener.over(code)

    def _write(self, kind: int, payload: bytes) -> None:
        transport = self._transport
        if transport is None or self.closing:
            return
        size, bit = len(payload), 0x80 if self._masks else 0
        if size < 126:
            head = bytes((0x80 | kind, bit | size))
        elif size < 1 << 16:
            head = bytes((0x80 | kind, bit | 126, size >> 8, size & 0xFF))
        else:
            head = bytes((0x80 | kind, bit | 127)) + size.to_bytes(8)
        if self._masks:
            key = os.urandom(4)
            transport.write(head + key + _mask(payload, key))
        else:
            transport.write(head + payload)
        if transport.get_write_buffer_size() > _MOST_UNSENT:
            self.break_off()


def _mask(payload: bytes, key: bytes) -> bytes:
    """Return the payload with every fourth byte changed by one byte of the key."""
    masked = bytearray(payload)
    for at, byte in enumerate(key):
        masked[at::4] = masked[at::4].translate(_XOR[byte])
    return bytes(masked)


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
