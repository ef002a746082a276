"""The page of `uvcall talk --web`: on loopback, under a path that nobody can guess, and the join URL given out once.

The page holds Ultravox's own client SDK, shipped with this package (`page/ultravox-client.md`): no code comes from
anywhere else. A browser lets a page of http://127.0.0.1 have the microphone, because nobody can stand in between.
https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy
"""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from uvcall.core.secret import JoinUrl, is_loopback
from uvcall.errors import LocalError

if TYPE_CHECKING:
    import asyncio

    from aiohttp import web

_HOST: Final = "127.0.0.1"
_FILES: Final = Path(__file__).with_name("page")
_TEXT: Final = "text/plain; charset=utf-8"
#: What is served, and as what.
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "ultravox-client.js": ("ultravox-client.js", "text/javascript; charset=utf-8"),
    "licences.txt": ("licences.txt", _TEXT),
}
#: Where a call leads: of a room's server only its own socket tells, and it is another one for each call.
_VENDORS: Final = "wss: https:"
_SANDBOX: Final = "ws://127.0.0.1:* http://127.0.0.1:* ws://localhost:* http://localhost:*"
_CLOSE_S: Final = 1.0
_LARGEST_BODY: Final = 1024


class Reply(NamedTuple):
    """What a request gets."""

    status: int
    body: bytes = b""
    kind: str = _TEXT


class TalkPage:
    """A page whose port is held. `listen` makes one; `offer` begins to serve it.

    Args:
        held: The listening socket, on 127.0.0.1.
    """

    def __init__(self, held: socket.socket) -> None:
        self._held = held
        self._path = f"/{secrets.token_urlsafe(24)}/"
        self._host = f"{_HOST}:{held.getsockname()[1]}"
        self._origin = f"http://{self._host}"
        self._lock = threading.Lock()
        self._join_url: JoinUrl | None = None
        self._reach = _VENDORS
        self._taken = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The page's URL: whoever has it, on this machine, may take the call."""
        return f"{self._origin}{self._path}"

    def offer(self, join_url: JoinUrl) -> None:
        """Serve the page, and hold the join URL ready for the one who takes it."""
        import asyncio

        self._join_url = join_url
        self._reach = _SANDBOX if is_loopback(join_url.reveal()) else _VENDORS
        up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(up)), daemon=True, name="uvcall-page")
        self._thread.start()
        up.wait()

    def taken(self) -> bool:
        """Return whether a browser has got the join URL."""
        return self._taken.is_set()

    def shut(self) -> None:
        """Give the join URL to nobody from now on."""
        with self._lock:
            self._join_url = None

    def close(self) -> None:
        """Stop serving, and let the port go. Safe to repeat."""
        self.shut()
        if self._loop is not None and self._stop is not None and self._thread is not None:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(2 * _CLOSE_S)
        self._held.close()

    def respond(self, method: str, path: str, hosts: list[str], *, origin: str | None, site: str | None) -> Reply:
        """Answer one request.

        Args:
            method: Its method.
            path: Its target as it was sent.
            hosts: Every `Host` that it names: another name that leads here is somebody else's page.
            origin: Its `Origin`, if it has one.
            site: Its `Sec-Fetch-Site`, if it has one.
        """
        if hosts != [self._host]:
            return Reply(421, b"this is not the host that was asked for\n")
        if not secrets.compare_digest(path[: len(self._path)].encode("utf-8", "replace"), self._path.encode()):
            return Reply(404, b"there is nothing here\n")
        name = path[len(self._path) :]
        if name == "join":
            return self._hand_out(method, origin, site)
        if name not in _KINDS:
            return Reply(404, b"there is nothing here\n")
        if method != "GET":
            return Reply(405, b"GET it\n")
        file, kind = _KINDS[name]
        return Reply(200, (_FILES / file).read_bytes(), kind)

    def headers(self) -> dict[str, str]:
        """Return what goes with every reply: the page may run its own scripts, talk to the call, and no more."""
        return {
            "Content-Security-Policy": "; ".join((
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src data:",
                f"connect-src 'self' {self._reach}",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
            "Referrer-Policy": "no-referrer",
            "Server": "uvcall",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }  # fmt: skip

    def _hand_out(self, method: str, origin: str | None, site: str | None) -> Reply:
        """Give the join URL to the page itself, and only once."""
        if method != "POST":
            return Reply(405, b"POST it\n")
        if origin != self._origin or site not in {None, "same-origin"}:
            return Reply(403, b"only the page itself may ask for this\n")
        with self._lock:
            if self._taken.is_set():
                return Reply(410, b"This call has been taken already; uvcall talk --web makes another one.\n")
            if self._join_url is None:
                return Reply(410, b"This call cannot be joined any more; uvcall talk --web makes another one.\n")
            url, self._join_url = self._join_url, None
            self._taken.set()
        return Reply(200, json.dumps({"joinUrl": url.reveal()}).encode(), "application/json")

    async def _serve(self, up: threading.Event) -> None:
        import asyncio

        from aiohttp import web

        async def answer(request: web.Request) -> web.Response:
            reply = self.respond(
                request.method,
                request.raw_path,
                request.headers.getall("Host", []),
                origin=request.headers.get("Origin"),
                site=request.headers.get("Sec-Fetch-Site"),
            )
            headers = {**self.headers(), "Content-Type": reply.kind}
            return web.Response(status=reply.status, body=reply.body, headers=headers)

        # A request that cannot be read would be logged with all that is in it.
        mute = logging.getLogger("uvcall.page")
        mute.disabled = True
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, logger=mute, shutdown_timeout=_CLOSE_S)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await runner.setup()
            await web.SockSite(runner, self._held).start()
        finally:
            up.set()
        await self._stop.wait()
        await runner.cleanup()


def listen() -> TalkPage:
    """Hold a port of loopback for the page.

    Raises:
        LocalError: There is none to be had.
    """
    try:
        held = socket.create_server((_HOST, 0))
    except OSError as error:
        raise LocalError(
            f"no port of {_HOST} can be listened on for the page: {error.strerror or error}",
            hint="talk without --web",
        ) from error
    return TalkPage(held)
