"""Who may stand at the door, and for how long: connections, headers and bodies with limits.

uvicorn parses HTTP; left alone it waits for the rest of a request without end, and takes heads and bodies of any size.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from uvcall.core.webhook import HttpResponse

#: Carriers' webhooks are a few kilobytes.
LARGEST_BODY: Final = 64 * 1024
_LONGEST_LINE: Final = 4096
_LONGEST_HEAD: Final = 64 * 1024
_HEADERS: Final = 64
#: Seconds from the first byte of a connection, or the end of the answer before, until a request is whole.
WHOLE_S: Final = 5.0
#: Connections whose request is not whole yet. One more, and the oldest of them is closed, if it had time to speak.
WAITING: Final = 256
_GRACE_S: Final = 0.25
#: Connections in all; past it the oldest that waits is closed at once.
OPEN: Final = 4096


class Door:
    """One server on sockets that listen, and its connections. Make it in the running loop.

    Args:
        app: Answers whole requests.
        sockets: Where they come in; closed at the end.
        backlog: How many connections may wait to be taken in.
    """

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], *, backlog: int) -> None:
        self.waiting: dict[Guarded, float] = {}  #: since when, the oldest first
        self.open = 0
        protocol: Any = partial(Guarded, self)
        self._server = _Server(
            Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                backlog=backlog,
                timeout_keep_alive=int(WHOLE_S),
                timeout_graceful_shutdown=1,
                # What a proxy says of itself is never believed, and what a stranger sent is never logged.
                proxy_headers=False,
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
            )
        )
        self._sockets = sockets
        self._serving: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Take connections in."""
        self._serving = asyncio.ensure_future(self._server.serve(self._sockets))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0)

    def close(self) -> None:
        """Take no more connections in; those that are here may go on."""
        for one in self._server.servers:
            one.close()

    async def end(self) -> None:
        """Close every connection, after what is being answered on it, but not for long."""
        if self._serving is None:
            for one in self._sockets:
                one.close()
            return
        self._server.should_exit = True
        await self._serving

    def came(self, one: Guarded, now: float) -> None:
        """Let a connection wait for its request; make room where it is scarce."""
        self.waiting[one] = now
        if len(self.waiting) > WAITING or self.open > OPEN:
            oldest, since = next(iter(self.waiting.items()))
            if now - since > _GRACE_S or self.open > OPEN:
                self.shut(oldest)

    def shut(self, one: Guarded) -> None:
        """Close a connection whose request is not whole."""
        self.waiting.pop(one, None)
        one.drop()


class Guarded(HttpToolsProtocol):
    """A connection with limits for the head of each request, and a deadline for all of it."""

    def __init__(self, door: Door, **given: Any) -> None:
        super().__init__(**given)
        self._door = door
        self._deadline: asyncio.TimerHandle | None = None
        self._here = False
        self._head: int | None = 0  #: bytes of the head so far; None while the body comes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock."""
        super().connection_made(transport)
        # A head and a body are two segments; the second would wait for the carrier's word on the first. asyncio sees to
        # it only where the listening socket knows its protocol: https://github.com/python/cpython/issues/148783
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._here = True
        self._door.open += 1
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        if self._here:
            self._here = False
            self._door.open -= 1
        self._whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; no head is read for ever."""
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > _LONGEST_HEAD:
            self.drop()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the request's target."""
        super().on_url(url)
        if len(self.url) > _LONGEST_LINE:
            raise ValueError("the target is too long")  # the parser makes it an answer 400

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        super().on_header(name, value)
        if len(self.headers) > _HEADERS or len(name) + len(value) > _LONGEST_LINE:
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take note that the request is whole."""
        self._head = 0
        super().on_message_complete()
        self._whole()
        if self.cycle.response_complete:  # it was answered before it was whole
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request, if there is none yet."""
        super().on_response_complete()
        if self._head is not None and self.cycle.response_complete:
            self._wait()

    def drop(self) -> None:
        """Close without a word."""
        self.transport.abort()

    def _wait(self) -> None:
        """Wait for a request, so long and no longer."""
        if self._here and self._deadline is None:
            self._deadline = self.loop.call_later(WHOLE_S, self._door.shut, self)
            self._door.came(self, self.loop.time())

    def _whole(self) -> None:
        self._door.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever serves more than this."""
        yield


async def body_of(request: Request) -> bytes | HttpResponse:
    """Return the whole body, or the answer to one that is too large or compressed. The door's clock runs on.

    Raises:
        ClientDisconnect: The connection has gone.
    """
    if "content-encoding" in request.headers:
        return refusal(415, "compressed bodies are not read")
    if len(length := request.headers.get("content-length", "")) > 9 or int(length or 0) > LARGEST_BODY:
        return refusal(413, "the body is too large")
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > LARGEST_BODY:
            return refusal(413, "the body is too large")
        pieces.append(piece)
    return b"".join(pieces)


def refusal(status: int, words: str) -> HttpResponse:
    """Return a plain answer that says why there is no other."""
    return HttpResponse(status, (("Content-Type", "text/plain"),), words.encode() + b"\n")
