"""Callers without a phone: signed webhooks over raw sockets, and an Ultravox that only counts and waits.

The client is a few lines of asyncio, so that on two cores the server is measured and not the client.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.inbound_policy import Rules
from uvcall.core.payload import CallSpec, create_call
from uvcall.core.secret import Secret
from uvcall.core.webhook import FORM, HttpRequest
from uvcall.core.wire import wire
from uvcall.sandbox import credentials

KEYS = {
    Provider.TELNYX: credentials.TELNYX_PUBLIC_KEY,
    Provider.TWILIO: credentials.TWILIO_AUTH_TOKEN,
    Provider.PLIVO: credentials.PLIVO_AUTH_TOKEN,
}
CALLED = "+12025550199"
MARK = "@attempt@"
OPEN_DOORS = Rules(max_concurrent=10**9, per_caller=None, per_hour=None, minutes_a_day=1e12)


def hexed(number: int, length: int) -> str:
    return f"{number:0{length}x}"[-length:]


def uuid(number: int) -> str:
    text = hexed(number, 32)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def call_id(provider: Provider, number: int) -> str:
    if provider is Provider.TWILIO:
        return "CA" + hexed(number, 32)
    return uuid(number) if provider is Provider.PLIVO else f"v3:{hexed(number, 40)}"


def fields(provider: Provider, number: int, *, caller: str = "+12025550123", called: str = CALLED) -> dict[str, str]:
    """What the carrier's form says when someone rings."""
    match provider:
        case Provider.TWILIO:
            return {
                "CallSid": call_id(provider, number), "AccountSid": credentials.TWILIO_ACCOUNT_SID, "From": caller,
                "To": called, "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01",
            }  # fmt: skip
        case Provider.PLIVO:
            return {
                "CallUUID": call_id(provider, number), "From": caller.lstrip("+"), "To": called.lstrip("+"),
                "CallStatus": "ringing", "Direction": "inbound", "Event": "StartApp",
            }  # fmt: skip
        case Provider.TELNYX:
            return {
                "CallSid": call_id(provider, number), "AccountSid": credentials.TELNYX_ACCOUNT_SID, "From": caller,
                "To": called, "CallStatus": "ringing", "ConnectionId": credentials.TELNYX_CONNECTION_ID,
            }  # fmt: skip


def signed(provider: Provider, base: str, form: dict[str, str], *, path: str = "") -> HttpRequest:
    """The webhook, signed as the carrier signs."""
    url = f"{base}/{provider}{path}"
    request = HttpRequest("POST", url, (("Content-Type", FORM),), urlencode(form).encode())
    return wire(provider).sign(
        request, credentials.SIGNING_KEYS[provider], now=time.time(), nonce=hexed(random.getrandbits(64), 20)
    )


def ring(provider: Provider, base: str, number: int, **more: str) -> HttpRequest:
    return signed(provider, base, fields(provider, number, **more))


def raw(request: HttpRequest) -> bytes:
    """The request as it goes over the wire."""
    parts = urlsplit(request.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body


class Line(asyncio.Protocol):
    """One kept-alive connection. `ask` sends a request and returns status and body."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._lost: Exception | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(rest) >= length and self._answer is not None and not self._answer.done():
            self._buffer = bytearray(rest[length:])
            self._answer.set_result((int(head[9:12]), bytes(rest[:length])))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or ConnectionResetError("closed")
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._lost)

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        if self._lost is not None or self.transport is None:
            raise ConnectionResetError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self._answer

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def dialed(port: int) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


async def ask(port: int, data: bytes) -> tuple[int, bytes]:
    """Send on a connection of its own."""
    line = await dialed(port)
    try:
        return await line.ask(data)
    finally:
        line.close()


# An Ultravox that only counts and waits


class _Ultravox(asyncio.Protocol):
    """One connection to it. A protocol and no framework, so that it is not what is measured."""

    def __init__(self, delay_s: float, creates: Counter[str], calls: dict[str, str]) -> None:
        self._delay_s = delay_s
        self._creates = creates
        self._calls = calls
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, mark, rest = self._buffer.partition(b"\r\n\r\n")
            found = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            length = int(found or 0)
            if not mark or len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
            status, body = self._answer(method, target, rest[:length])
            reply = (
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            if self._delay_s and method == "POST":
                asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, reply)
            else:
                self._transport.write(reply)

    def _answer(self, method: str, target: str, body: bytes) -> tuple[str, bytes]:
        path, _, query = target.partition("?")
        if path == "/_counts":
            return "200 OK", json.dumps(self._creates).encode()
        if method == "POST" and path == "/api/calls":
            attempt = json.loads(body)["metadata"]["uvcall_attempt"]
            self._creates[attempt] += 1
            self._calls[attempt] = uuid(int(attempt, 16) + self._creates[attempt] - 1)
            return "201 Created", json.dumps(self._view(attempt)).encode()
        if path == "/api/calls":
            attempt = dict(parse_qsl(query)).get("metadata.uvcall_attempt", "")
            found = [self._view(attempt)] if attempt in self._calls else []
            return "200 OK", json.dumps({"results": found, "next": None}).encode()
        call = path.rpartition("/")[2]
        attempt = next((key for key, value in self._calls.items() if value == call), "")
        return ("200 OK", json.dumps(self._view(attempt)).encode()) if attempt else ("404 Not Found", b"{}")

    def _view(self, attempt: str) -> dict[str, Any]:
        call = self._calls[attempt]
        return {
            "callId": call, "joinUrl": f"ws://127.0.0.1:1/calls/{call}/telephony", "created": "2026-01-01T00:00:00Z",
            "joined": None, "ended": None, "endReason": None, "metadata": {"uvcall_attempt": attempt},
        }  # fmt: skip


def _ultravox(delay_s: float, pipe: Any) -> None:
    more_sockets()
    creates: Counter[str] = Counter()
    calls: dict[str, str] = {}

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Ultravox(delay_s, creates, calls), "127.0.0.1", 0, backlog=2048
        )
        _tune()
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


# The server under test, and an empty one of the same framework


def house(rules: Rules = OPEN_DOORS, providers: tuple[Provider, ...] = tuple(Provider)) -> Any:
    from uvcall.calls.inbound_ports import House, InboundLine

    lines = {}
    for provider in providers:
        create = create_call(CallSpec(medium={provider.value: {}}, prompt="Be kind.", attempt_id=MARK))
        before, _, after = json.dumps(create.body).encode().partition(MARK.encode())
        lines[provider] = InboundLine(provider, KEYS[provider], StreamOptions(), create.path, (before, after))
    return House(lines, rules, "Sorry, nobody can take your call.")


def place(directory: Path, ultravox_port: int, rules: Rules = OPEN_DOORS, **more: Any) -> Any:
    from uvcall.server.inbound import Place

    return Place(
        house(rules), directory, Secret(credentials.ULTRAVOX_API_KEY), f"http://127.0.0.1:{ultravox_port}",
        **{"port": 0, **more},
    )  # fmt: skip


def _inbound(where: Any, pipe: Any, log: str, files: int) -> None:
    from uvcall.server import inbound

    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    with open(log, "a", encoding="utf-8") as lines:
        inbound.run(where, pipe.send, lambda line: print(json.dumps(line), file=lines))


def _empty(pipe: Any) -> None:
    """An application as Starlette's documentation shows it, that reads a form and does nothing."""
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response

    more_sockets()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).form()
        await Response("<Response/>", media_type="application/xml")(scope, receive, send)

    async def main() -> None:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        held.bind(("127.0.0.1", 0))
        held.listen(2048)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                http="httptools",
                access_log=False,
                log_config=None,
                log_level="critical",
            )
        )
        _tune()
        pipe.send({"routes": {"twilio": f"http://127.0.0.1:{held.getsockname()[1]}/twilio"}})
        await server.serve([held])

    asyncio.run(main())


def _tune() -> None:
    from uvcall.server.inbound import tune

    tune()


def more_sockets() -> None:
    from uvcall.server.inbound import more_files

    more_files()


@contextmanager
def process(target: Any, *arguments: Any) -> Iterator[tuple[Any, Any]]:
    """Run it beside this process; yield the process and the first thing that it says."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = tuple(theirs if one is PIPE else one for one in arguments)
    child = context.Process(target=target, args=arguments, daemon=True)
    child.start()
    try:
        if not ours.poll(30):
            raise TimeoutError("it never became ready")
        yield child, ours.recv()
    finally:
        if child.is_alive():
            child.kill()
        child.join()


PIPE = object()


@contextmanager
def ultravox(delay_s: float = 0.0) -> Iterator[int]:
    with process(_ultravox, delay_s, PIPE) as (_, port):
        yield port


@contextmanager
def serving(where: Any, log: str = os.devnull, *, files: int = 0) -> Iterator[tuple[Any, int]]:
    """The real server in a process of its own, which may have so many files open: the process and its port."""
    with process(_inbound, where, PIPE, log, files) as (child, ready):
        yield child, urlsplit(ready["routes"]["twilio"]).port


@contextmanager
def empty() -> Iterator[int]:
    with process(_empty, PIPE) as (_, ready):
        yield urlsplit(ready["routes"]["twilio"]).port


async def creates(port: int) -> Counter[str]:
    """How often each attempt was created."""
    status, body = await ask(port, b"GET /_counts HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 200
    return Counter(json.loads(body))


def rss_kb(pid: int) -> int:
    """The memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if sys.platform == "win32":
    raise RuntimeError("these need POSIX")
