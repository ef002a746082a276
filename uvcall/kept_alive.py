"""POST over kept-alive connections, for a server that asks one address again and again.

A general client takes four times as long for such a request as the reading of its answer needs, and a caller waits for
it; what it measures up to is in tests/bench/inbound.py. A client for everything else, and for the way through a proxy,
is aiohttp's (`uvcall.async_ultravox`).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from uvcall.core.webhook import Headers, HttpResponse, Lost
from uvcall.imports import tls_context

CONNECT_S: Final = 3.0
#: How long a connection may lie idle, and how long a name's addresses are believed, in seconds.
IDLE_S: Final = 30.0
KNOWN_S: Final = 60.0
_LONGEST_HEAD: Final = 65_536

#: https://www.rfc-editor.org/rfc/rfc9112#section-4, …#section-7.1, https://www.rfc-editor.org/rfc/rfc9110#section-5.1
_STATUS: Final = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class Reading:
    """One answer, as its bytes come in. No socket. https://www.rfc-editor.org/rfc/rfc9112#section-6.

    Args:
        limit: The longest body; of one that is longer, one byte more is given for the caller to refuse.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._body = bytearray()
        self._status = 0
        self._headers: Headers = ()
        self._left: int | None = None  #: bytes until the end of the body, or of the chunk
        self._chunked = False
        self._last_chunk = False
        self.reusable = False

    def feed(self, data: bytes) -> HttpResponse | None:
        """Take in what came; return the answer once it is whole.

        Raises:
            ValueError: It is no HTTP/1 answer.
        """
        self._buffer += data
        while not self._status:
            if not self._read_head():
                return None
        whole = self._read_chunks() if self._chunked else self._read_plain()
        if len(self._body) > self._limit:
            whole, self.reusable = True, False
        if not whole:
            return None
        if self._buffer:  # more than one answer to one question: whose would the rest be?
            self.reusable = False
        return self._answer()

    def closed(self) -> HttpResponse | None:
        """Return the answer whose end is the connection's, or None where it broke off."""
        return self._answer() if self._status and self._left is None and not self._chunked else None

    def _answer(self) -> HttpResponse:
        return HttpResponse(self._status, self._headers, bytes(self._body[: self._limit + 1]))

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= _LONGEST_HEAD:
            return False
        first, *lines = self._buffer[: max(end, 0)].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        status = _STATUS.fullmatch(first)
        if status is None:
            raise ValueError("the answer is not HTTP")
        if status[2].startswith("1"):
            return True  # "the answer will come": it has no body, and another head follows
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise ValueError("the answer's head cannot be read")
            headers.append((name, value.strip(" \t")))
        self._status, self._headers = int(status[2]), tuple(headers)
        self._frame(keeps=status[1] == "1")
        return True

    def _frame(self, *, keeps: bool) -> None:
        """Find out where the body ends."""
        lengths, codings, wishes = (
            [value.lower() for name, value in self._headers if name.lower() == wanted]
            for wanted in ("content-length", "transfer-encoding", "connection")
        )
        if codings:
            if codings != ["chunked"] or lengths:
                raise ValueError("the answer's length is told in no way that can be trusted")
            self._chunked = True
        elif self._status in {204, 304}:
            self._left = 0
        elif lengths:
            if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
                raise ValueError("the answer's length is told in no way that can be trusted")
            self._left = int(lengths[0])
        self.reusable = keeps and (self._chunked or self._left is not None) and not any("close" in w for w in wishes)

    def _read_plain(self) -> bool:
        taken = len(self._buffer) if self._left is None else self._left
        piece = self._buffer[:taken]
        del self._buffer[:taken]
        self._body += piece
        if self._left is None:
            return False
        self._left -= len(piece)
        return self._left == 0

    def _read_chunks(self) -> bool:
        while len(self._body) <= self._limit:
            if self._left:
                piece = self._buffer[: self._left]
                del self._buffer[: len(piece)]
                self._body += piece
                self._left -= len(piece)
                if self._left:
                    return False
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > _LONGEST_HEAD:
                    raise ValueError("the answer's body cannot be read")
                return False
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            if self._last_chunk:
                if not line:
                    return True
                continue  # a trailer, which nobody asked for
            if self._left == 0:  # behind a chunk stands an empty line
                if line:
                    raise ValueError("the answer's body cannot be read")
                self._left = None
                continue
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise ValueError("the answer's body cannot be read")
            self._left = int(size[1], 16)
            if self._left == 0:
                self._last_chunk = True
        return True


class _Line(asyncio.Protocol):
    """One connection: a question, its answer, the next question."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._reading: Reading | None = None
        self._answer: asyncio.Future[HttpResponse] | None = None
        self.idle_since = 0.0
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.usable = True

    def data_received(self, data: bytes) -> None:
        reading, answer = self._reading, self._answer
        if reading is None or answer is None or answer.done():
            self.close()  # an answer that nobody asked for must not become the next question's
            return
        try:
            found = reading.feed(data)
        except ValueError as error:
            answer.set_exception(Lost(str(error), sent=True))
            self.close()
            return
        if found is not None:
            self.usable = self.usable and reading.reusable
            self._reading = None
            answer.set_result(found)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        reading, answer = self._reading, self._answer
        if reading is None or answer is None or answer.done():
            return
        found = reading.closed() if exc is None else None
        if found is None:
            answer.set_exception(Lost("the connection was lost", sent=True))
        else:
            answer.set_result(found)

    async def ask(self, request: bytes, limit: int, until: float) -> HttpResponse:
        """Send a request and return the answer; the connection is good for another one if it is `usable` then."""
        loop = asyncio.get_running_loop()
        self._reading = Reading(limit)
        self._answer = loop.create_future()
        # A third of what `asyncio.timeout` costs, which has a task to cancel.
        late = loop.call_at(until, self._late, self._answer)
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            late.cancel()

    def _late(self, answer: asyncio.Future[HttpResponse]) -> None:
        if not answer.done():
            answer.set_exception(Lost("no answer in time", sent=True))

    def close(self) -> None:
        """Close at once."""
        self.usable = False
        self._transport.abort()


class KeptAlive:
    """The connections to one address. Make it, use it and close it in one running loop.

    Args:
        base: Where to: scheme, host, port, and the path that all requests begin with.
        headers: What every request says.
        limit: The longest body of an answer; of a longer one, one byte more is returned for the caller to refuse.
    """

    def __init__(self, base: str, headers: Mapping[str, str], *, limit: int) -> None:
        parts = urlsplit(base)
        self._host = parts.hostname or ""
        self._tls = tls_context(needed=True) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path
        name = f"[{self._host}]" if ":" in self._host else self._host
        fields = {"Host": f"{name}:{parts.port}" if parts.port else name, **headers}
        self._fields = "".join(f"{field}: {value}\r\n" for field, value in fields.items())
        self._limit = limit
        self._idle: deque[_Line] = deque()
        self._addresses: asyncio.Future[Sequence[Any]] | None = None
        self._known_until = 0.0

    async def post(self, path: str, content: bytes, *, within_s: float) -> HttpResponse:
        """Send once and return the whole answer; redirects are answers like any other.

        Args:
            path: What follows the base.
            content: The body.
            within_s: Seconds for all of it.

        Raises:
            Lost: There is no whole answer.
        """
        head = f"POST {self._path}{path} HTTP/1.1\r\n{self._fields}Content-Length: {len(content)}\r\n\r\n"
        until = asyncio.get_running_loop().time() + within_s
        line = self._rested() or await self._connected(min(CONNECT_S, within_s))
        try:
            answer = await line.ask(head.encode("ascii") + content, self._limit, until)
        except BaseException:
            line.close()  # an answer may still come, and nobody waits for it
            raise
        if line.usable:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
        else:
            line.close()
        return answer

    def close(self) -> None:
        """Close the connections that lie idle."""
        while self._idle:
            self._idle.pop().close()

    def _rested(self) -> _Line | None:
        """Return the connection that was used last; close those that have lain too long."""
        oldest = asyncio.get_running_loop().time() - IDLE_S
        while self._idle and (not self._idle[0].usable or self._idle[0].idle_since < oldest):
            self._idle.popleft().close()
        while self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
        return None

    async def _connected(self, within_s: float) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                found = await self._resolved()
                for nth, (*_, address) in enumerate(found, 1):
                    try:
                        _, line = await loop.create_connection(
                            _Line,
                            address[0],
                            self._port,
                            ssl=self._tls,
                            server_hostname=self._host if self._tls else None,
                        )
                    except ssl.SSLError:
                        raise
                    except OSError:
                        if nth == len(found):
                            raise
                    else:
                        return line
        except TimeoutError as error:
            raise Lost("no connection in time", sent=False) from error
        except (OSError, ValueError) as error:
            self._addresses = None
            raise Lost(_why(error), sent=False) from error
        raise Lost("its name cannot be resolved", sent=False)

    async def _resolved(self) -> Sequence[Any]:
        """Return the addresses of the name; whoever needs them at the same time waits for one look."""
        loop = asyncio.get_running_loop()
        if self._addresses is None or loop.time() > self._known_until:
            self._known_until = loop.time() + KNOWN_S
            self._addresses = asyncio.ensure_future(loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        return await asyncio.shield(self._addresses)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    return "no trusted TLS connection" if isinstance(error, ssl.SSLError | ssl.CertificateError) else "no connection"
