"""WebSockets without a task for each: a message that comes is a call, and one that goes is a write.

Hundreds of media streams have tens of thousands of messages a second; waking a task for each of them costs more than
everything that is done with it. https://www.rfc-editor.org/rfc/rfc6455, without extensions.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Final, Protocol, cast

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
#: Seconds of the real clock that the other side has for its close frame.
_CLOSE_S: Final = 2.0
#: Bytes that may wait for a peer that does not read; what is more ends the connection.
_MOST_UNSENT: Final = 1 << 20
#: For each byte, what it makes of every other one: translating by table is the fastest mask that Python has.
_XOR: Final = tuple(bytes(one ^ other for other in range(256)) for one in range(256))
NO_CODE: Final = 1005


class Listener(Protocol):
    """Who is told what a channel receives."""

    def take(self, message: str | bytes) -> None:
        """Take a whole message: text or binary."""

    def over(self, code: int | None) -> None:
        """Learn, once, that no more comes: the close frame's code, or None when the connection was lost."""


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
        self._fragments: list[bytes | bytearray] = []
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
        while self._early:
            listener.take(self._early.pop(0))
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
            payload: bytes | bytearray = data[end - length : end]
            if not self._masks:
                payload = _mask(payload, data[at + head : at + head + 4])
            at = end
            self._frame(first, payload)
        return at

    def _frame(self, first: int, payload: bytes | bytearray) -> None:
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

    def _gather(self, kind: int, payload: bytes | bytearray, *, final: bool) -> tuple[bytes | bytearray, int]:
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

    def _message(self, kind: int, payload: bytes | bytearray) -> None:
        if self._code is not None:
            return
        try:
            message = payload.decode() if kind == _TEXT else bytes(payload)
        except UnicodeDecodeError:
            raise _Broken(1007) from None
        if self._listener is None:
            self._early.append(message)
        else:
            self._listener.take(message)

    def _take_close(self, payload: bytes | bytearray) -> None:
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

    def _write(self, kind: int, payload: bytes | bytearray) -> None:
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
            key = next(_KEYS)
            transport.write(head + key + _mask(payload, key))
        else:
            transport.write(head + payload)
        if transport.get_write_buffer_size() > _MOST_UNSENT:
            self.break_off()


def _mask(payload: bytes | bytearray, key: bytes) -> bytearray:
    """Return the payload with every fourth byte changed by one byte of the key."""
    masked = bytearray(payload)
    for at, byte in enumerate(key):
        masked[at::4] = masked[at::4].translate(_XOR[byte])
    return masked


def _new_keys() -> Iterator[bytes]:
    """Give a new mask for each frame, asking the system for a thousand at a time."""
    while True:
        chance = os.urandom(4096)
        for at in range(0, len(chance), 4):
            yield chance[at : at + 4]


_KEYS: Final = _new_keys()
