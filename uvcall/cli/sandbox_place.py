"""Where the sandbox that was started last listens: a note in the state directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from uvcall.errors import LocalError

_NOTE: Final = "sandbox.place"


@contextmanager
def known_place(state_dir: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that notes the running sandbox's URL for `sandbox env`; the note goes with the sandbox."""
    path = state_dir / _NOTE

    def note(url: str) -> None:
        path.write_text(f"{os.getpid()} {url}\n", encoding="ascii")

    try:
        yield note
    finally:
        if _noted(path)[0] == os.getpid():
            path.unlink(missing_ok=True)


def last_place(state_dir: Path) -> str:
    """Return the URL of the sandbox that was started last and still runs.

    Raises:
        LocalError: None runs.
    """
    pid, url = _noted(state_dir / _NOTE)
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        pid = 0
    if not pid:
        raise LocalError("no sandbox is running", hint="start one with uvcall sandbox serve")
    return url


def _noted(path: Path) -> tuple[int, str]:
    try:
        pid, url = path.read_text(encoding="ascii").split()
        return int(pid), url
    except (OSError, ValueError):
        return 2**62, ""
