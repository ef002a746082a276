"""Plivo's answer URL for one outbound call: one document, fetched once, under a path that nobody can guess.

Plivo takes no inline XML; it fetches it from a public URL when the callee answers.
https://www.plivo.com/docs/voice/api/call/#make-a-call
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpRequest, SignatureInvalid, WebhookInvalid
from uvcall.core.wire import plivo
from uvcall.errors import LocalError

_LARGEST_BODY = 64 * 1024


@dataclass(slots=True)
class AnswerOnce:
    """A listening answer URL. Create it with `listen`."""

    answer_url: str
    machine_url: str
    port: int
    _server: ThreadingHTTPServer
    _stream: StreamOptions
    _xml: bytes | None = None
    _fetched: threading.Event = field(default_factory=threading.Event)
    _machine: bool | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, join_url: JoinUrl) -> None:
        """Hold the XML ready for its one fetch."""
        self._xml = plivo.answer_xml(join_url, self._stream).encode()

    def fetched(self) -> bool:
        """Return whether the carrier has fetched it."""
        return self._fetched.is_set()

    def machine(self) -> bool | None:
        """Return the carrier's verdict on who answered, if it has come."""
        return self._machine

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> bytes | None:
        """Return the document the first time, None ever after."""
        with self._lock:
            if self._xml is None or self._fetched.is_set():
                return None
            self._fetched.set()
            return self._xml

    def note_machine(self, verdict: bool | None) -> None:
        """Note who answered, as the carrier says."""
        if verdict is not None:
            self._machine = verdict


def listen(
    *,
    base_url: str | None,
    host: str,
    port: int,
    auth_token: str,
    stream: StreamOptions,
    complain: Callable[[str], None],
) -> AnswerOnce:
    """Listen for Plivo's one fetch of the answer XML.

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
    token = secrets.token_urlsafe(24)

    class Handler(BaseHTTPRequestHandler):
        """One request of Plivo's."""

        server_version = "uvcall"
        sys_version = ""
        timeout = 5
        listener: ClassVar[AnswerOnce]

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = self.path.partition("?")[0].encode("latin-1", "replace")
            wanted = {
                kind: secrets.compare_digest(path, urlsplit(url).path.encode())
                for kind, url in (("answer", self.listener.answer_url), ("machine", self.listener.machine_url))
            }
            # A proxy in front may strip the base's path: then only the last two parts of it arrive here.
            local = {kind: secrets.compare_digest(path, f"/{token}/{kind}".encode()) for kind in wanted}
            kind = next((kind for kind in wanted if wanted[kind] or local[kind]), None)
            if kind is None:
                self._reply(404, b"")
                return
            try:
                length = int(self.headers.get("Content-Length") or 0)
            except ValueError:
                length = -1
            if not 0 <= length <= _LARGEST_BODY:
                self._reply(413, b"")
                return
            url = self.listener.answer_url if kind == "answer" else self.listener.machine_url
            _, mark, query = self.path.partition("?")
            request = HttpRequest(
                method=self.command,
                url=url + mark + query,
                headers=tuple(self.headers.items()),
                body=self.rfile.read(length),
            )
            try:
                plivo.verify(request, auth_token, now=time.time())
                webhook = plivo.parse_webhook(request)
            except (SignatureInvalid, WebhookInvalid) as error:
                complain(f"a request for the answer XML was turned away: {error.message}; expected it for {base}/…")
                self._reply(403, b"")
                return
            if kind == "machine":
                self.listener.note_machine(webhook.machine)
                self._reply(200, b"")
                return
            document = self.listener.take()
            self._reply(410 if document is None else 200, document or b"")

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet: the path is a secret."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None:
            """Keep quiet about a peer that went away."""

    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LocalError(
            f"port {port} on {host} cannot be listened on for Plivo's answer URL: {reason}",
            hint="choose another with --answer-port, or let Ultravox dial: --via ultravox",
        ) from error
    actual = server.server_address[1]
    base = (base_url or f"http://{host}:{actual}").rstrip("/")
    listener = AnswerOnce(f"{base}/{token}/answer", f"{base}/{token}/machine", actual, server, stream)
    Handler.listener = listener
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return listener
