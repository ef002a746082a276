"""Which process an attempt belongs to, and whether it still lives.

A process id alone is no name: it is given again after a death. With the start time (in ticks since boot) and the boot
it is one. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

#: Answers whether the process of this id and start still lives.
Probe = Callable[[int, str | None], bool]

_PROC: Final = Path("/proc")
_START_FIELD: Final = 22 - 3  # `starttime` is field 22; what follows the command's closing bracket begins with field 3


class Owner(NamedTuple):
    """A process. `start` is None where the system does not tell it."""

    pid: int
    start: str | None = None


def this_process(proc: Path = _PROC) -> Owner:
    """Return the process that runs."""
    return Owner(os.getpid(), start_of(os.getpid(), proc))


def start_of(pid: int, proc: Path = _PROC) -> str | None:
    """Return when a process began, as `boot/ticks`; None when there is none alive, or no `/proc`."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # The command's name may hold spaces and brackets: the fields are counted after its last one.
    fields = stat.rpartition(")")[2].split()
    # Z and X: killed, and its parent has not asked yet. It will do nothing more.
    return None if fields[0] in {"Z", "X"} else f"{boot}/{fields[_START_FIELD]}"


def process_alive(pid: int, start: str | None) -> bool:
    """Say whether the process lives: by its start where that is known, else by its id alone.

    A process in another container, or of another boot, counts as dead. That is safe: whoever settles its attempt
    closes the way to the carrier for it (`states.TRANSITIONS`).
    """
    if start is not None:
        return start_of(pid) == start
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM  # it lives, and is somebody else's
    return True
