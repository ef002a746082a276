"""Who may stand at the door, and for how long: connections, headers and bodies with limits.

aiohttp's server parses HTTP; left alone it would wait a long time for the rest of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from uvcall.core.webhook import HttpResponse

#: Carriers' webhooks are a few kilobytes.
LARGEST_BODY: Final = 64 * 1024
#: Seconds from the first byte of a connection, or the end of the answer before, until a request is whole.
WHOLE_S: Final = 5.0
#: Connections whose request is not whole yet. One more, and the oldest of them is closed, if it had time to speak.
WAITING: Final = 256
_GRACE_S: Final = 0.25
#: Connections in all; past it the oldest that waits is closed at once.
OPEN: Final = 4096

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Door:
    """The connections of one server, oldest first among those that wait."""

    handler: Handler
    waiting: dict[Guarded, float] = field(default_factory=dict)
    open: int = 0
    server: web.Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = _Server(self)

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


class Guarded(RequestHandler):
    """A connection with a deadline for each request."""

    __slots__ = ("_deadline", "_door", "_here")

    def __init__(self, manager: web.Server, door: Door, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._door = door
        self._deadline: asyncio.TimerHandle | None = None
        self._here = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._here = True
        self._door.open += 1
        self.wait()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave."""
        if self._here:
            self._here = False
            self._door.open -= 1
        self.whole()
        super().connection_lost(exc)

    async def finish_response(self, request: web.BaseRequest, resp: Any, start_time: float | None) -> Any:
        """Send the answer, then wait for the next request."""
        done = await super().finish_response(request, resp, start_time)
        self.wait()
        return done

    def wait(self) -> None:
        """Wait for a request, so long and no longer."""
        if self._here and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(WHOLE_S, self._door.shut, self)
            self._door.came(self, loop.time())

    def whole(self) -> None:
        """Take note that the request is whole."""
        self._door.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def drop(self) -> None:
        """Close without a word."""
        if self.transport is not None:
            self.transport.abort()


class _Server(web.Server):
    def __init__(self, door: Door) -> None:
        super().__init__(door.handler)
        self._door = door

    def __call__(self) -> RequestHandler:
        return Guarded(
            self,
            self._door,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=WHOLE_S,
            max_line_size=4096,
            max_field_size=4096,
            max_headers=64,
            lingering_time=0.0,
            auto_decompress=False,
            access_log=None,
            logger=_QUIET,
        )


async def body_of(request: web.BaseRequest) -> bytes | HttpResponse:
    """Return the whole body, or the answer to one that is too large or compressed. The door's clock runs on."""
    if "Content-Encoding" in request.headers:
        return refusal(415, "compressed bodies are not read")
    if request.content_length is not None and request.content_length > LARGEST_BODY:
        return refusal(413, "the body is too large")
    content = request.content
    pieces: list[bytes] = []
    size = 0
    while not content.at_eof():
        piece = await content.readany()
        size += len(piece)
        if size > LARGEST_BODY:
            return refusal(413, "the body is too large")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def refusal(status: int, words: str) -> HttpResponse:
    """Return a plain answer that says why there is no other."""
    return HttpResponse(status, (("Content-Type", "text/plain"),), words.encode() + b"\n")


class _Nowhere:
    """What aiohttp logs about broken requests holds what a stranger sent; nobody needs it."""

    def debug(self, *_: object, **__: object) -> None:
        """Drop it."""

    info = warning = error = exception = debug


_QUIET: Any = _Nowhere()
