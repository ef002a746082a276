"""A small HTTP server on a socket that somebody else holds: a request in, a status and a document out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Final

from uvcall.core.webhook import Headers

Respond = Callable[[str, str, Headers, bytes], tuple[int, bytes]]

_LARGEST_BODY: Final = 64 * 1024


def serve(held: socket.socket, respond: Respond) -> HTTPServer:
    """Answer on the socket until `shutdown`, each request in a thread of its own.

    Args:
        held: A listening socket; it stays its owner's.
        respond: Takes method, target, headers and body, and returns a status and an XML document.
    """

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        server_version = "uvcall"
        sys_version = ""
        timeout = 5  # seconds that a peer may keep silent

        def handle_one_request(self) -> None:
            """Read the request, whatever its method, and answer it."""
            self.raw_requestline = self.rfile.readline(65_537)
            self.close_connection = True
            if not self.raw_requestline or not self.parse_request():
                return
            length = self.headers.get("Content-Length") or "0"
            if self.command not in {"GET", "POST"}:
                self._reply(405, b"")
            elif not (length.isascii() and length.isdigit() and int(length[:9]) <= _LARGEST_BODY):
                self._reply(413, b"")
            else:
                body = self.rfile.read(int(length))
                self._reply(*respond(self.command, self.path, tuple(self.headers.items()), body))
            self.wfile.flush()

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet: the path is a secret."""

    class Server(ThreadingMixIn, HTTPServer):
        """Threads that end with the process."""

        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Keep quiet about a peer that went away."""

    server = Server(held.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = held
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
