"""The life of `serve-inbound`: open, listen, answer, drain, leave."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from uvcall.async_ultravox import AsyncUltravox
from uvcall.calls import agent_news
from uvcall.calls.answer import Answering
from uvcall.calls.call_control import CallControl
from uvcall.calls.inbound_ports import House
from uvcall.carriers import Account
from uvcall.core.carrier import StreamOptions
from uvcall.core.inbound_policy import Rules
from uvcall.core.secret import Secret
from uvcall.errors import LocalError
from uvcall.journal.inbound import InboundLedger
from uvcall.server.door import Door
from uvcall.server.ledger import AsyncLedger
from uvcall.server.metrics import Metrics
from uvcall.server.site import Journal, Log, Site, both, where
from uvcall.server.tally import Kin, Tally

T = TypeVar("T")

#: Seconds: how long callers may still be answered after SIGTERM, and how long new connections are still taken in.
DRAIN_S: Final = 8.0
_LAST_CALL_S: Final = 0.05
_SPEAK_S: Final = 0.5
#: Seconds between looks at calls whose end nobody has told, and how many are asked about at a look.
POLL_S: Final = 5.0
_ASKED: Final = 20
_BACKLOG: Final = 1024
#: Files that a full house has open: a caller takes two sockets.
_FILES: Final = 16_384
#: The name of the secret in the ledger.
SIGNS: Final = "ultravox_webhook"
LOCK: Final = "inbound.lock"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and what it keeps there.

    `base` is the public URL, or empty: then the address that is listened on.
    """

    house: House
    directory: Path
    api_key: Secret
    ultravox_url: str
    base: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    metrics_port: int = 0
    telnyx: Account | None = None  #: gives commands about callers of Call Control
    control_stream: StreamOptions = field(default_factory=StreamOptions)
    kin: Kin | None = None  #: the other workers that listen on the one port, if there are any
    #: Leads callers here once somebody listens (for the ready line: what it has done), and away before nobody does.
    lead: Callable[[], Mapping[str, Any]] | None = None
    release: Callable[[], None] | None = None


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a listening socket.

    Raises:
        LocalError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=shared)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LocalError(
            f"port {port} on {host[:60]} cannot be listened on: {reason}", hint="choose another with --port"
        ) from error


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the state directory's lock; the workers that are forked meanwhile hold it as well.

    Raises:
        LocalError: Another `serve-inbound` holds it.
    """
    import fcntl

    path = directory / LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalError(f"{path} cannot be opened: {error.strerror}", hint="set UVCALL_STATE_DIR") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise LocalError(
            f"another serve-inbound uses the state directory {directory}",
            hint="end it first, use --workers for more processes, or set UVCALL_STATE_DIR to another directory",
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def webhook_secret(directory: Path) -> str:
    """Return the secret with which Ultravox signs its webhooks to this state directory; made when first asked for.

    Raises:
        LocalError: The state directory cannot be used.
    """
    ledger = InboundLedger(directory, Rules(), now=time.time())
    try:
        return ledger.secret(SIGNS, secrets.token_urlsafe(32))
    finally:
        ledger.close()


def run(place: Place, announce: Callable[[Mapping[str, Any]], None], log: Log) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. `announce` gets the ready line's object.

    Raises:
        LocalError: The port or the state directory cannot be had.
    """
    return asyncio.run(serve(place, announce, log))


async def serve(
    place: Place, announce: Callable[[Mapping[str, Any]], None], log: Log, stop: asyncio.Event | None = None
) -> int:
    """Serve until `stop` is set or a signal comes. Raises as `run`."""
    loop = asyncio.get_running_loop()
    stop = stop or asyncio.Event()
    ledger = InboundLedger(place.directory, place.house.rules, now=time.time())
    secret = ledger.secret(SIGNS, secrets.token_urlsafe(32))
    still_open = ledger.open_calls()
    journal = Journal(log)
    kept = AsyncLedger(ledger, lambda error: journal.watch("ledger", reason=error.message))
    agents = AsyncUltravox(place.api_key, base_url=place.ultravox_url)
    answering = Answering(place.house, agents, kept, journal.watch, open=still_open)
    control, hang_up = _call_control(place, answering)
    metrics = Metrics(lambda: len(kept.book.live), lambda: kept.book.seconds_today(time.time()) / 60.0)
    journal.metrics, tally = metrics, Tally(metrics, place.kin or Kin())
    door: Door | None = None
    poller: asyncio.Task[None] | None = None
    # Ctrl-C reaches every process of a terminal: a worker leaves it to the one that started it.
    numbers = (signal.SIGTERM,) if place.kin else (signal.SIGTERM, signal.SIGINT)
    try:
        sock = listen(place.host, place.port, shared=place.kin is not None)
        host = f"[{place.host}]" if ":" in place.host else place.host
        base = (place.base or f"http://{host}:{sock.getsockname()[1]}").rstrip("/")
        site = Site(answering, journal, base, secret, lambda: _unready(site, answering, kept))
        door, counts = _door(place, sock, site, tally)
        loop.set_exception_handler(lambda _, trouble: _bug(journal, trouble))
        await door.begin()
        for number in numbers:
            with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
                loop.add_signal_handler(number, _signal, number, stop)
        poller = asyncio.ensure_future(_poll(answering, agents))
        tune()
        announce(
            {
                "ready": True,
                "listening": f"http://{host}:{sock.getsockname()[1]}",
                "routes": site.routes(),
                **counts,
                **(await _aside(place.lead) or {}),
            }
        )
        await stop.wait()
        await _aside(place.release)
        site.draining = True
        journal.write("draining", waiting=answering.busy)
        await asyncio.sleep(_LAST_CALL_S)
        await _drain(site, door)
        if control is not None and control.tasks:
            await asyncio.wait(control.tasks, timeout=DRAIN_S)
    finally:
        if poller is not None:
            poller.cancel()
        if door is not None:
            await door.end()
        await tally.close()
        await agents.close()
        await kept.close()
        hang_up()
        for number in numbers:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
    journal.stop()
    return 0


def _door(place: Place, sock: socket.socket, site: Site, tally: Tally) -> tuple[Door, dict[str, str]]:
    """Return the door to the site, and the address of the counts: among several processes at the first alone."""
    if place.kin is not None and place.kin.first is not None:
        return Door(site, [sock], backlog=_BACKLOG, files=more_files()), {}
    beside = listen("127.0.0.1", place.metrics_port)
    at = beside.getsockname()
    door = Door(both(site, tally, at), [sock, beside], backlog=_BACKLOG, files=more_files())
    return door, {"metrics": f"http://127.0.0.1:{at[1]}/metrics"}


async def _aside(work: Callable[[], T] | None) -> T | None:
    """Do what waits for a vendor while callers are answered."""
    return await asyncio.to_thread(work) if work is not None else None


def _call_control(place: Place, answering: Answering) -> tuple[CallControl | None, Callable[[], None]]:
    """Return what handles Telnyx's Call Control, where there is an account to give commands with, and how it ends."""
    if place.telnyx is None:
        return None, lambda: None
    from uvcall.carriers import telnyx, telnyx_inbound

    client = telnyx.connect(place.telnyx)

    async def command(call_id: str, name: str, arguments: Mapping[str, Any]) -> bool:
        return await asyncio.to_thread(telnyx_inbound.command, client, call_id, name, arguments)

    control = CallControl(answering, command, lambda url: telnyx_inbound.streaming(url, place.control_stream))
    answering.call_control, answering.on_end = control.take, control.over
    return control, lambda: telnyx.close(client)


def tune() -> None:
    """Let the collector look seldom, and never at what was there before the first caller.

    Its default makes a thousand waiting callers wait a third longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


def more_files() -> int:
    """Raise the number of files that this process may hold to what it is allowed, if it wants so many; return it."""
    soft = 1024
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
        if soft == resource.RLIM_INFINITY:
            return _FILES
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return soft


def _signal(number: int, stop: asyncio.Event) -> None:
    """Drain at the first signal; leave at the second."""
    if stop.is_set():
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    stop.set()


def _bug(journal: Journal, trouble: Mapping[str, Any]) -> None:
    """Say that something broke for which nobody waited; never with a traceback, whose lines may hold anything."""
    error = trouble.get("exception")
    reason = where(error) if isinstance(error, BaseException) else str(trouble.get("message", ""))[:200]
    journal.watch("bug", reason=reason)


async def _drain(site: Site, door: Door) -> None:
    """Take nobody in any more; answer those who are in."""
    await door.close()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    # Whoever is connected may be about to speak, and whoever speaks is heard out.
    while loop.time() - begun < DRAIN_S:
        await asyncio.sleep(0.02)
        if site.in_progress or door.spoken_to:
            continue
        if not door.open or loop.time() - begun > _SPEAK_S:
            break
    await door.end()


def _unready(site: Site, answering: Answering, kept: AsyncLedger) -> str:
    if site.draining:
        return "draining"
    if answering.refusal:
        return answering.refusal
    if not answering.circuit.closed:
        return "Ultravox has failed too often just now"
    return "" if kept.healthy else "the ledger cannot be written: one call at a time"


async def _poll(answering: Answering, agents: AsyncUltravox) -> None:
    """Ask about calls whose end nobody has told: a webhook may be lost, and no call may count for ever."""
    asked: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(POLL_S)
        now = loop.time()
        asked = {key: asked.get(key, now) for key in answering.open}
        due = [key for key, since in asked.items() if now - since >= POLL_S][:_ASKED]
        for key in due:
            asked[key] = now
            if key in answering.open:
                await agent_news.ask(answering, agents, key, answering.open[key])
