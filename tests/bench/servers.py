"""What webhook servers cost: an empty handler that only reads the carrier's form, on each stack that is installed.

    python tests/bench/servers.py             all of them, one after the other, five rounds
    python tests/bench/servers.py starlette   those with this word in their name

This is how the stack of `serve-inbound` was chosen; uvicorn, Starlette and aiohttp are there anyway, granian, hypercorn and
uvloop are measured where somebody has installed them. Per stack: requests a second with a
hundred callers at once, the processor's time for one, the slowest hundredth, and the memory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qsl

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import inbound
from support import callers

AT_ONCE = 100
TOTAL = 4000
ROUNDS = 5
XML = b"<Response/>"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


# The handlers, each as its framework's documentation shows it


async def bare(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """ASGI without a framework."""
    if scope["type"] != "http":
        await lifespan(receive, send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    dict(parse_qsl(body.decode()))
    headers = [(b"content-type", b"application/xml"), (b"content-length", b"%d" % len(XML))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": XML})


async def toolkit(scope: Any, receive: Any, send: Any) -> None:
    """Starlette's request and response, without its routing: what `serve-inbound` uses."""
    from starlette.requests import Request
    from starlette.responses import Response

    if scope["type"] != "http":
        await lifespan(receive, send)
        return
    await Request(scope, receive).form()
    await Response(XML, media_type="application/xml")(scope, receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Any) -> Response:
        await request.form()
        return Response(XML, media_type="application/xml")

    return Starlette(routes=[Route("/twilio", answer, methods=["POST"])])


def aiohttp_serve(port: int) -> None:
    from aiohttp import web

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.post()
        return web.Response(body=XML, content_type="application/xml")

    app = web.Application()
    app.router.add_post("/twilio", answer)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, backlog=2048)


# The stacks: name, what must be installed, and the command


def uvicorn_of(app: str, *more: str) -> list[str]:
    return ["uvicorn", "--log-level", "critical", "--no-access-log", "--port", "{port}", *more, app]


STACKS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "bare ASGI on uvicorn, httptools": (("uvicorn", "httptools"), uvicorn_of("servers:bare", "--loop", "asyncio")),
    "bare ASGI on uvicorn, h11": (("uvicorn",), uvicorn_of("servers:bare", "--loop", "asyncio", "--http", "h11")),
    "bare ASGI on uvicorn, uvloop": (("uvicorn", "uvloop"), uvicorn_of("servers:bare", "--loop", "uvloop")),
    "Starlette's request and response on uvicorn": (
        ("uvicorn", "starlette"),
        uvicorn_of("servers:toolkit", "--loop", "asyncio"),
    ),
    "starlette on uvicorn": (
        ("uvicorn", "starlette"),
        uvicorn_of("servers:starlette_app", "--factory", "--loop", "asyncio"),
    ),
    "starlette on uvicorn, uvloop": (
        ("uvicorn", "starlette", "uvloop"),
        uvicorn_of("servers:starlette_app", "--factory", "--loop", "uvloop"),
    ),
    "bare ASGI on granian": (
        ("granian",),
        ["granian", "--interface", "asgi", "--loop", "asyncio", "--no-log", "--port", "{port}", "servers:bare"],
    ),
    "bare ASGI on hypercorn": (("hypercorn",), ["hypercorn", "-b", "127.0.0.1:{port}", "servers:bare"]),
    "aiohttp": (("aiohttp",), ["servers", "{port}"]),
}


def family(pid: int) -> list[int]:
    """A process and those that it has started."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in below for one in family(int(child)))]


def spent_s(pids: list[int]) -> float:
    """The processor's seconds that they have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def until_it_listens(port: int, child: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if child.poll() is not None:
                raise RuntimeError("it has ended") from None
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("it does not listen")


def measure(command: list[str]) -> tuple[float, float, float, float]:
    """Return requests a second, microseconds of processor for each, the slowest hundredth in ms, and megabytes."""
    port = callers.free_port()
    words = [word.format(port=port) for word in command]
    child = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_it_listens(port, child)
        asyncio.run(inbound.closed_loop(port, AT_ONCE, 500, 1))
        pids = family(child.pid)
        rates, costs, slowest = [], [], []
        for _ in range(ROUNDS):
            before = spent_s(pids)
            seconds, times = asyncio.run(inbound.closed_loop(port, AT_ONCE, TOTAL, 1))
            rates.append(TOTAL / seconds)
            costs.append((spent_s(pids) - before) / TOTAL * 1e6)
            slowest.append(inbound.p99(times) * 1000)
        return median(rates), median(costs), median(slowest), sum(map(callers.rss_kb, pids)) / 1024
    finally:
        child.terminate()
        child.wait()


def main(words: list[str]) -> None:
    callers.more_sockets()
    for name, (needed, command) in STACKS.items():
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        missing = [one for one in needed if find_spec(one) is None]
        if missing:
            print(f"{name}: not measured, {', '.join(missing)} not installed")
            continue
        rate, cost, slowest, size = measure(command)
        print(f"{name}: {rate:.0f}/s, {cost:.0f} µs of processor each, p99 {slowest:.0f} ms, {size:.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdigit():
        aiohttp_serve(int(sys.argv[1]))
    else:
        main(sys.argv[1:])
