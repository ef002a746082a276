"""Plivo's answer URL for one outbound call: one document, fetched once, under a path that nobody can guess.

Plivo takes no inline XML; it fetches it from a public URL when the callee answers.
https://www.plivo.com/docs/voice/api/call/#make-a-call
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import Headers, HttpRequest, SignatureInvalid, WebhookInvalid
from uvcall.errors import LocalError

if TYPE_CHECKING:
    from http.server import HTTPServer


class AnswerOnce:
    """An answer URL whose port is held. `listen` makes one; `open` begins to answer.

    Args:
        held: The listening socket.
        base: The public base that leads to it.
        auth_token: Signs what Plivo sends.
        stream: How the audio is to be streamed.
        complain: Is told why a fetch was turned away.
    """

    def __init__(
        self, held: socket.socket, base: str, auth_token: str, stream: StreamOptions, complain: Callable[[str], None]
    ) -> None:
        self._token = secrets.token_urlsafe(24)
        self.answer_url = f"{base}/{self._token}/answer"
        self.machine_url = f"{base}/{self._token}/machine"
        self._held = held
        self._key = auth_token
        self._stream = stream
        self._complain = complain
        self._server: HTTPServer | None = None
        self._xml: bytes | None = None
        self._fetched = threading.Event()
        self._machine: bool | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin to answer."""
        if self._server is None:
            import uvcall.core.wire.plivo  # noqa: F401 - writes the XML: not only once the join URL is there
            from uvcall.server.one_port import serve

            self._server = serve(self._held, self.respond)

    def serve(self, join_url: JoinUrl) -> None:
        """Hold the XML ready for its one fetch."""
        from uvcall.core.wire import plivo

        self._xml = plivo.answer_xml(join_url, self._stream).encode()

    def fetched(self) -> bool:
        """Return whether the carrier has fetched it."""
        return self._fetched.is_set()

    def machine(self) -> bool | None:
        """Return the carrier's verdict on who answered, if it has come."""
        return self._machine

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
        self._held.close()

    def respond(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
        """Answer one request: status and document."""
        from uvcall.core.wire import plivo

        path, mark, query = target.partition("?")
        url = next((url for url in (self.answer_url, self.machine_url) if self._meant(path, url)), None)
        if url is None:
            return 404, b""
        request = HttpRequest(method, url + mark + query, headers, body)
        try:
            plivo.verify(request, self._key, now=time.time())
            webhook = plivo.parse_webhook(request)
        except (SignatureInvalid, WebhookInvalid) as error:
            base = self.answer_url.removesuffix(f"/{self._token}/answer")
            self._complain(f"a request for the answer XML was turned away: {error.message}; it must be for {base}/…")
            return 403, b""
        if url == self.machine_url:
            self._machine = self._machine if webhook.machine is None else webhook.machine
            return 200, b""
        with self._lock:
            if self._xml is None or self._fetched.is_set():
                return 410, b""
            self._fetched.set()
            return 200, self._xml

    def _meant(self, path: str, url: str) -> bool:
        """Say whether the path is the URL's; a proxy in front may have stripped the base's part of it."""
        full = urlsplit(url).path
        local = full[full.index(self._token) - 1 :]
        given = path.encode("latin-1", "replace")
        return secrets.compare_digest(given, full.encode()) or secrets.compare_digest(given, local.encode())


def listen(
    *,
    base_url: str | None,
    host: str,
    port: int,
    auth_token: str,
    stream: StreamOptions,
    complain: Callable[[str], None],
) -> AnswerOnce:
    """Hold the port for Plivo's one fetch of the answer XML.

    Args:
        base_url: The public base that reaches this port; None: the address that is listened on.
        host: The address to listen on.
        port: The port to listen on; 0 for any.
        auth_token: Signs what Plivo sends.
        stream: How the audio is to be streamed.
        complain: Is told why a fetch was turned away.

    Raises:
        LocalError: The port is taken, or the address is not this machine's.
    """
    try:
        held = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LocalError(
            f"port {port} on {host} cannot be listened on for Plivo's answer URL: {reason}",
            hint="choose another with --answer-port, or let Ultravox dial: --via ultravox",
        ) from error
    shown = f"[{host}]" if ":" in host else host
    base = (base_url or f"http://{shown}:{held.getsockname()[1]}").rstrip("/")
    return AnswerOnce(held, base, auth_token, stream, complain)
