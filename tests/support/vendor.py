"""A small vendor on loopback that says what a test tells it to say, in any broken way, and notes what it heard."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from uvcall.carriers import Account, Carrier
from uvcall.core.carrier import Provider
from uvcall.core.model import LegOrder
from uvcall.core.secret import JoinUrl, Secret

ATTEMPT = "3f0f3c1e-5d6a-4a34-9b0e-0f6f6f6f6f6f"
JOIN = "wss://voice.ultravox.ai/calls/5a2c/telephony"


@dataclass(frozen=True)
class Heard:
    """One request as the vendor got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw.decode(), keep_blank_values=True))


Reply = Callable[[BaseHTTPRequestHandler], None]


def says(
    status: int, body: Any = None, *, headers: dict[str, str] | None = None, kind: str = "application/json"
) -> Reply:
    """An orderly answer: JSON unless the body is bytes or text."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    data = b"" if body is None else data

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def nothing(handler: BaseHTTPRequestHandler) -> None:
    """Take the request and close."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Take the request and reset the connection."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def half(handler: BaseHTTPRequestHandler) -> None:
    """Announce a hundred bytes, send ten, close."""
    handler.send_response(201)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"sid":"CA')
    handler.close_connection = True


def huge(handler: BaseHTTPRequestHandler) -> None:
    """Begin a gigabyte of JSON."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(64):
            handler.wfile.write(b'["' + b"x" * 65536)
    handler.close_connection = True


def slow(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing for longer than anybody waits."""
    time.sleep(1.2)
    handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(30):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    handler.close_connection = True


def packed(handler: BaseHTTPRequestHandler) -> None:
    """Answer compressed though nobody asked for it."""
    says(200, b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})(handler)


@dataclass
class Vendor:
    """The server: answers come from `script` in turn, then from `routes`, then 404."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    script: list[Reply] = field(default_factory=list)
    routes: dict[tuple[str, str], Reply] = field(default_factory=dict)

    def will(self, *replies: Reply) -> Vendor:
        self.script.extend(replies)
        return self

    def on(self, method: str, path: str, reply: Reply) -> Vendor:
        self.routes[method, path] = reply
        return self

    @property
    def posts(self) -> list[Heard]:
        return [request for request in self.heard if request.method == "POST"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one segment: else every answer waits 40 ms for an acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    vendor: Vendor

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        heard = Heard(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.vendor.heard.append(heard)
        found = self.vendor.routes.get((heard.method, heard.path))
        reply = self.vendor.script.pop(0) if self.vendor.script else found or says(404, {"errors": []})
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            reply(self)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    """Peers that vanish are the point here; any other fault of a handler is the test's own and kept for it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.faults: list[BaseException] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.faults.append(error)


@contextlib.contextmanager
def serving() -> Iterator[Vendor]:
    """Run a vendor on a port of its own."""
    made = Vendor()
    server = _Server(type("Handler", (Handler,), {"vendor": made}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not server.faults, server.faults


def nobody() -> str:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


FIELDS: dict[Provider, dict[str, str | Secret]] = {
    Provider.TELNYX: {"api_key": Secret("KEY0fake"), "connection_id": "2400000001"},
    Provider.TWILIO: {"account_sid": "AC" + "0" * 32, "auth_token": Secret("fake-token")},
    Provider.PLIVO: {"auth_id": "MAFAKEFAKEFAKEFAKE00", "auth_token": Secret("fake-token")},
}


def account(provider: Provider, url: str, *, timeout_s: float = 5.0, **fields: Any) -> Account:
    return Account({**FIELDS[provider], **fields}, base_url=url, timeout_s=timeout_s)


def order(provider: Provider, **changes: Any) -> LegOrder:
    given: dict[str, Any] = {
        "to": "+12025550101",
        "from_": "+12025550199",
        "attempt_id": ATTEMPT,
        "ring_timeout_s": 35,
        "time_limit_s": 630,
    }
    given |= (
        {"answer_url": "https://calls.example.com/a/1"} if provider is Provider.PLIVO else {"join_url": JoinUrl(JOIN)}
    )
    return LegOrder(**(given | changes))


@dataclass
class Line:
    """A carrier connected to the vendor."""

    provider: Provider
    module: Carrier
    account: Account
    client: Any

    def place(self, **changes: Any) -> Any:
        return self.module.place(self.client, self.account, order(self.provider, **changes))

    def status(self, placed: Any) -> Any:
        return self.module.status(self.client, self.account, placed)

    def hang_up(self, placed: Any) -> bool:
        return self.module.hang_up(self.client, self.account, placed)

    def find(self, *, since: float, until: float = inf, **changes: Any) -> Any:
        return self.module.find(self.client, self.account, order(self.provider, **changes), since=since, until=until)

    def check(self) -> str:
        return self.module.check(self.client, self.account)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
