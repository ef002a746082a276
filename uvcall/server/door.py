"""Who may stand at the door, and for how long: connections, headers and bodies with limits.

uvicorn parses HTTP; left alone it waits for the rest of a request without end, and takes heads and bodies of any size.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
_LONGEST_HEAD: Final = 16 * 1024
_HEADERS: Final = 64
#: A request in all, as it comes over the wire: a body in chunks of one byte each is six times as long.
_LONGEST: Final = 8 * LARGEST_BODY
#: Requests that may wait on a connection for the answer to one before.
_PIPELINED: Final = 8
#: Seconds from the first byte of a connection, or the end of the answer before, until a request is whole.
WHOLE_S: Final = 5.0
#: Seconds from a whole request until its answer is taken; longer than any answer is waited for here.
TAKEN_S: Final = 15.0
#: Connections whose request is not whole yet. One more, and the oldest of them is closed, if it had time to speak:
#: who has rung with a thousand others must first be heard.
WAITING: Final = 1024
_GRACE_S: Final = 1.0
#: Connections in all; past it the oldest that waits is closed at once.
OPEN: Final = 4096
#: Files that are kept for other things than connections.
_FILES: Final = 64


class Door:
    """One server on sockets that listen, and its connections. Make it in the running loop.

    Args:
        app: Answers whole requests.
        sockets: Where they come in; closed at the end.
        backlog: How many connections may wait to be taken in.
        files: How many this process may have open: when there is none left, nobody is heard for a second.
    """

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], *, backlog: int, files: int) -> None:
        self.waiting: dict[Guarded, float] = {}  #: since when, the oldest first
        self.open = 0
        # So many may be taken in before the first of them is counted, and a caller takes a second one, to Ultravox.
        self._backlog = max(1, min(backlog, files // 8))
        self._most = max(1, min(OPEN, (files - self._backlog - _FILES) // 2))
        protocol: Any = partial(Guarded, self)
        self._server = _Server(
            Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                backlog=self._backlog,
                workers=1,  # else it reads an environment variable of other programs
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

    @property
    def spoken_to(self) -> bool:
        """Whether somebody is in the middle of a request's head."""
        return any(one.begun for one in self.waiting)

    async def close(self) -> None:
        """Take in who has come already, and no more; those that are here may go on."""
        came: list[socket.socket] = []
        for server, held in zip(self._server.servers, self._sockets, strict=True):
            # To close it would cut off who is connected but was not looked at yet.
            with suppress(OSError):
                came.extend(held.accept()[0] for _ in range(self._backlog))
            server.close()
        for one in came:
            one.settimeout(0)
            with suppress(OSError):
                await asyncio.get_running_loop().connect_accepted_socket(self._server.protocol, one)

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
        if len(self.waiting) > WAITING or self.open > self._most:
            oldest, since = next(iter(self.waiting.items()))
            if now - since > _GRACE_S or self.open > self._most:
                self.shut(oldest)

    def shut(self, one: Guarded) -> None:
        """Close a connection whose request is not whole."""
        self.waiting.pop(one, None)
        one.drop()


class Guarded(HttpToolsProtocol):
    """A connection with limits for each request, and at any time a deadline."""

    def __init__(self, door: Door, **given: Any) -> None:
        super().__init__(**given)
        self._door = door
        self._deadline: asyncio.TimerHandle | None = None
        self._here = False
        self._size = 0  #: bytes of the request that is coming
        self._head = True  #: until its head is whole
        self._deaf = False  #: what comes is not looked at any more

    @property
    def begun(self) -> bool:
        """Whether a part of a request is there."""
        return self._size > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the clock."""
        super().connection_made(transport)
        # A head and a body are two segments; the second would wait for the carrier's word on the first. asyncio sees to
        # it only where the listening socket knows its protocol: https://github.com/python/cpython/issues/148783
        with suppress(OSError):  # the peer has gone already
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._here = True
        self._door.open += 1
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        if self._here:
            self._here = False
            self._door.open -= 1
        self._until(None)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Answer whoever says that nothing will follow."""
        if not self._asked:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Read on; nothing is read for ever."""
        if self._deaf:
            return
        self._size += len(data)
        super().data_received(data)
        if self._size > (_LONGEST_HEAD if self._head else _LONGEST):
            self.drop()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; never in the place of an answer that is due to an earlier one."""
        if self._asked:
            self._deaf = True
            self.cycle.keep_alive = False
        else:
            super().send_400_response(msg)

    def on_url(self, url: bytes) -> None:
        """Take in a part of the request's target."""
        super().on_url(url)
        if len(self.url) > _LONGEST_LINE:
            raise ValueError("the target is too long")  # the parser makes it an answer 400

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header. What follows a body in chunks is none."""
        if not self._head:
            return
        super().on_header(name, value)
        if len(self.headers) > _HEADERS or len(name) + len(value) > _LONGEST_LINE:
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if len(self.pipeline) >= _PIPELINED:
            raise ValueError("too many requests at once")
        # The parser takes what follows for another protocol's: a body would be taken for a request, or for nothing.
        other = self.parser.should_upgrade()
        if other and any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers):
            raise ValueError("a body cannot be read here")
        self._head = False
        super().on_headers_complete()
        if other:
            self._deaf = True
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Take note that the request is whole."""
        self._size, self._head = 0, True
        super().on_message_complete()
        if self.cycle.response_complete:  # it was answered before it was whole
            self._wait()
        else:
            self._until(TAKEN_S)

    def on_response_complete(self) -> None:
        """Wait for the next request, if there is none yet."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            self._until(TAKEN_S)
        elif self._head:
            self._wait()

    def drop(self) -> None:
        """Close without a word."""
        self.transport.abort()

    @property
    def _asked(self) -> bool:
        """Whether a whole request waits for its answer."""
        return bool(self.pipeline) or not (self.cycle is None or self.cycle.response_complete or self.cycle.more_body)

    def _wait(self) -> None:
        """Wait for a request, so long and no longer."""
        if self._here:
            self._until(WHOLE_S)
            self._door.came(self, self.loop.time())

    def _until(self, seconds: float | None) -> None:
        """Close the connection so many seconds from now, unless something happens."""
        self._door.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
        here = self._here and seconds is not None
        self._deadline = self.loop.call_later(seconds or 0.0, self._door.shut, self) if here else None


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever serves more than this."""
        yield

    def protocol(self) -> asyncio.Protocol:
        """Make what stands behind one connection."""
        given: Any = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        made: asyncio.Protocol = self.config.http_protocol_class(**given)
        return made


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
