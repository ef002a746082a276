"""`serve-inbound --sandbox`: the sandbox in the same process, where it is, and somebody who rings."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.errors import LocalError, UsageError, UvcallError

if TYPE_CHECKING:
    from pathlib import Path

    from uvcall.cli.serve_flags import ServeFlags


def start(context: Context, flags: ServeFlags) -> None:
    """Start the sandbox.

    Raises:
        UsageError: An option that does not go with it.
    """
    from uvcall.cli.sandbox_options import sandbox_options

    if flags.workers > 1:
        raise UsageError("--workers goes without --sandbox", hint="leave one of them out")
    given = {"speed": flags.speed, "faults": flags.faults, "seed": flags.seed}
    context.start_sandbox(
        sandbox_options(SimpleNamespace(**given, scenario=None, callee_audio=None, agent_script=None))
    )


def forget(directory: Path) -> None:
    """Remove what an earlier sandbox has left behind: its calls and its numbers have gone with it.

    Raises:
        LocalError: It cannot be removed.
    """
    from uvcall.cli.number_file import NAME as NUMBERS
    from uvcall.journal.inbound import NAME as LEDGER

    for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", NUMBERS):
        try:
            (directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise LocalError(
                f"{directory / name} cannot be removed: {error.strerror}", hint="check the directory's permissions"
            ) from error


@contextmanager
def shown(context: Context, providers: tuple[Provider, ...]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give what prints the ready line; with a sandbox it says where that is, and for as long notes it for others."""
    if context.running is None:
        yield context.out.ready
        return
    from uvcall.cli.sandbox_place import known_place

    url = context.running.ready["ultravox"]

    def announce(line: Mapping[str, Any]) -> None:
        context.out.ready({**line, "sandbox": url})
        to = line["routes"][providers[0].value]
        context.out.say(
            f"sandbox at {url}; to ring: uvcall sandbox ring --at {url} --provider {providers[0]} --to {to}"
        )

    with known_place(context.state_dir) as note:
        note(url)
        yield announce


@dataclass(slots=True)
class Ringing:
    """Somebody who rings as soon as there is somebody to answer; the end of the call is the end of the server."""

    context: Context
    provider: Provider
    _ended: list[int | UvcallError] = field(default_factory=list)

    def start(self, routes: Mapping[str, str]) -> None:
        """Ring, in a thread of its own."""
        threading.Thread(target=self._ring, args=(dict(routes),), name="ring", daemon=True).start()

    def code(self) -> int:
        """Return the exit code: the call's, or 0 when the server ended before it.

        Raises:
            UvcallError: The caller could not ring.
        """
        for ended in self._ended:
            if isinstance(ended, UvcallError):
                raise ended
            return ended
        return 0

    def _ring(self, routes: Mapping[str, str]) -> None:
        from uvcall.cli import ring as told
        from uvcall.sandbox.ring_call import Caller
        from uvcall.sandbox.ring_window import ring_at

        running, out = self.context.running, self.context.out
        if running is None:
            return
        running.world.history.listener = told.telling(out.say)
        name = self.provider.value
        try:
            caller = Caller(self.provider, routes[name], status_url=routes[f"{name}_status"])
            rung = ring_at(running.ready["ultravox"], caller)
            record = told.record(rung)
            if record.error is not None:
                out.error(record.error.message, record.error.hint)
            if out.as_json:
                out.json(told.as_object(rung, record))
            else:
                out.result(told.line(record))
            self._ended.append(record.exit_code)
        except UvcallError as error:
            self._ended.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
