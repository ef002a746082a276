"""The sandbox as one web server on loopback: Ultravox, three carriers, and a window for whoever tests with it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.errors import LocalError, UsageError
from uvcall.sandbox import agent, credentials, media, room, ultravox
from uvcall.sandbox.callbacks import Messenger
from uvcall.sandbox.event_loop import run_fast
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.faults import Faults, parse_faults
from uvcall.sandbox.gate import Gate, Window
from uvcall.sandbox.line_pool import pool
from uvcall.sandbox.originate import Originator
from uvcall.sandbox.rest import (
    plivo,
    plivo_account,
    plivo_numbers,
    telnyx,
    telnyx_account,
    telnyx_numbers,
    texml,
    twilio,
    twilio_account,
    twilio_numbers,
)
from uvcall.sandbox.ring_window import Doorbell
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.world import History, Options, Pace, World

MAX_BODY: Final = 1 << 20
_SHUTDOWN_S: Final = 0.5


def new_world(options: Options) -> World:
    """Return an empty world.

    Raises:
        UsageError: An option that makes no sense.
        LocalError: The host is not loopback.
    """
    if options.host not in LOOPBACK_HOSTS:
        raise LocalError(
            f"the sandbox does not listen on {options.host[:60]}",
            hint="it has no secrets to keep and checks none: it listens on this machine only (127.0.0.1)",
        )
    if options.scenario is not None and options.scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {options.scenario[:40]!r}", hint=f"there are: {', '.join(SCENARIOS)}")
    if not options.speed > 0:
        raise UsageError("the speed is not above 0", hint="1 is life, 10 is ten times faster")
    pace = Pace(options.speed)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    chance = random.Random(seed)  # noqa: S311  # repeatable on purpose
    return World(options=options, pace=pace, history=History(pace), chance=chance, seed=seed)


def new_app(world: World, exchange: Exchange) -> web.Application:
    """Return the web application with all peers in it."""
    faults = world.rooms[Faults] = Faults(parse_faults(world.options.faults), world.seed)
    world.phones = Originator(exchange)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[Gate(world, faults).middleware])
    for face in (
        telnyx.CallControl(exchange),
        telnyx_account.Account(exchange),
        telnyx_numbers.Numbers(exchange),
        texml.Texml(exchange),
        twilio.Calls(exchange),
        twilio_account.Account(exchange),
        twilio_numbers.Numbers(exchange),
        plivo.Calls(exchange),
        plivo_account.Account(exchange),
        plivo_numbers.Numbers(exchange),
        Window(world, faults),
        Doorbell(exchange),
    ):
        app.add_routes(face.routes())
    app.add_routes(ultravox.routes(world))
    app.add_routes(agent.routes(world))

    async def shut(_: web.Application) -> None:
        await room.close_rooms(world)

    app.on_shutdown.append(shut)
    return app


def ready_line(world: World) -> dict[str, Any]:
    """Return what is said once the sandbox listens."""
    return {
        "ready": True,
        **credentials.base_urls(world.base_url),
        "env": credentials.environment(world.base_url),
        "seed": world.seed,
    }


async def _run(
    world: World, announce: Callable[[Mapping[str, Any]], None], stop: asyncio.Event, *, alone: bool = False
) -> None:
    """Serve until `stop` is set. `alone`: nobody else lives in this process, and it may start another.

    Raises:
        LocalError: The port cannot be had.
    """
    messenger = Messenger(world)
    async with listening(world, messenger, pool(world).carry if alone else media.carry):
        try:
            announce(ready_line(world))
            await stop.wait()
        finally:
            running = list(world.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await messenger.close()
            await pool(world).close()


@contextlib.asynccontextmanager
async def listening(world: World, messenger: Messenger, carry: media.Carry = media.carry) -> AsyncIterator[Exchange]:
    """Let all peers listen while the block runs; gives their phone network. `carry` carries its media streams.

    Raises:
        LocalError: The port cannot be had.
    """
    options = world.options
    exchange = Exchange(world, messenger, functools.partial(media.stream, by=carry))
    runner = web.AppRunner(
        new_app(world, exchange), access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S, logger=_log()
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, options.host, options.port).start()
        except OSError as error:
            raise LocalError(
                f"port {options.port} on {options.host} cannot be had: {error.strerror}",
                hint="another program has it: choose another --port, or 0 for any free one",
            ) from error
        host = f"[{options.host}]" if ":" in options.host else options.host
        world.base_url = f"http://{host}:{runner.addresses[0][1]}"
        yield exchange
    finally:
        await runner.cleanup()


def _log() -> logging.Logger:
    """Return where aiohttp reports what broke: bugs of the sandbox, not requests that are no HTTP, which get a 400."""
    log = logging.getLogger("uvcall.sandbox")
    log.addFilter(_is_bug)
    return log


def _is_bug(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class Running:
    """A sandbox in a thread of this process. `close` it, or use it in a `with`."""

    def __init__(self, options: Options) -> None:
        self.world = new_world(options)
        parse_faults(options.faults)
        self.ready: dict[str, Any] = {}
        self._failure: BaseException | None = None
        self._told = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._live, name="sandbox", daemon=True)
        self._thread.start()
        self._told.wait()
        if self._failure is not None:
            raise self._failure

    def _live(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            await _run(self.world, self._announce, self._stop)

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
            self._failure = error
        finally:
            self._told.set()

    def _announce(self, ready: Mapping[str, Any]) -> None:
        self.ready = dict(ready)
        self._told.set()

    def history(self) -> list[dict[str, Any]]:
        """Return what each peer saw so far, oldest first."""
        return list(self.world.history.events)

    def close(self) -> None:
        """End every call and the server. Safe to repeat."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has just closed by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start(options: Options) -> Running:
    """Start the sandbox beside the caller; it listens when this returns.

    Raises:
        LocalError: The port cannot be had, or the host is not loopback.
        UsageError: A scenario or fault that does not exist.
    """
    return Running(options)


def serve(options: Options, announce: Callable[[Mapping[str, Any]], None]) -> None:
    """Run the sandbox until SIGINT or SIGTERM. `announce` gets the ready line's object. Raises as `start`."""
    world = new_world(options)
    parse_faults(options.faults)

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt instead
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await _run(world, announce, stop, alone=True)

    with contextlib.suppress(KeyboardInterrupt):
        run_fast(main())
