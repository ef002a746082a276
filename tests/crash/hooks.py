"""What the crash test changes about a command: how patient it is, what the time is, and where it dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Final

SPEED: Final = 60.0  #: how much faster than life the sandbox is

_commands = count()


@dataclass(frozen=True)
class _Speed:
    speed: float


def prepare(order: Mapping[str, Any], told: int) -> Callable[[], int]:
    """Make this process ready for its next command, as the order wants it.

    Args:
        order: `quick` (poll as in a sandbox; the default), `later_s` (by how much `reconcile`'s clock is ahead),
            `stop` (count the steps, and die at this one; 0: at none).
        told: The descriptor on which the step is named.

    Returns:
        Tells how many steps were taken.
    """
    import uvcall.cli.dial as dialing

    plain = getattr(dialing._timing, "plain", dialing._timing)
    # As patient as with `--sandbox`: nobody is bothered by being asked often, and the sandbox lives fast.
    quick = order.get("quick", True)

    def timing(flags: Any, sandbox: bool) -> Any:
        return plain(_Speed(SPEED), True) if quick else plain(flags, sandbox)

    timing.plain = plain
    dialing._timing = timing
    if "stop" in order:
        from crash.steps import Steps, install

        steps = Steps(order["stop"], told)
        install(steps)
        return lambda: steps.count
    _not_the_only_command(plain(_Speed(SPEED), True) if quick else None, timedelta(seconds=order.get("later_s", 0)))
    return lambda: 0


def _not_the_only_command(timing: Any, later: timedelta) -> None:
    """Let one process run command after command, each as if it had a process of its own."""
    import uvcall.calls.reconcile as settling
    import uvcall.calls.scribe as writing
    from uvcall.journal import Owner

    # No process has this start: for the next command, the one that wrote it is gone.
    mine = Owner(os.getpid(), f"command {next(_commands)}")
    writing.this_process = lambda: mine
    plain = getattr(settling.Reconciler, "plain", settling.Reconciler)

    def reconciler(journal: Any, vendors: Any, desk: Any, now: Callable[[], Any], **more: Any) -> Any:
        return plain(journal, vendors, desk, lambda: now() + later, **({"timing": timing} if timing else {}) | more)

    reconciler.plain = plain
    settling.Reconciler = reconciler
