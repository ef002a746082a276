"""uvcall on a terminal of its own: what is shown there, and what is typed."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Seconds that anything may take on a machine with other things to do.
PATIENCE_S = 60.0
ROWS = 40


@dataclass
class Terminal:
    """A process and its terminal."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""

    def until(self, words: str) -> str:
        """Read until the words have been shown, and return everything that has been; fail when they never are."""
        late = time.monotonic() + PATIENCE_S
        while words not in self.shown:
            assert self._read(late), f"{words!r} was never shown: {self.shown!r}"
        return self.shown

    def press(self, key: bytes) -> None:
        os.write(self.descriptor, key)

    def end(self) -> int:
        """Read to the end and return the exit code."""
        late = time.monotonic() + PATIENCE_S
        while self._read(late):
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self, late: float) -> bool:
        assert select.select([self.descriptor], [], [], max(0.0, late - time.monotonic()))[0], self.shown
        piece = b""
        with contextlib.suppress(OSError):  # the other end is closed
            piece = os.read(self.descriptor, 65536)
        self.shown += piece.decode(errors="replace")
        return bool(piece)


@contextlib.contextmanager
def on_a_terminal(*argv: str, environment: Mapping[str, str], home: Path, columns: int = 80) -> Iterator[Terminal]:
    """Run uvcall on a terminal that it can be interrupted from; what still runs in the end is killed."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "uvcall", *argv],
        env={**environment, "TERM": "xterm"}, cwd=home, preexec_fn=functools.partial(os.login_tty, other),  # noqa: PLW1509 - it makes the terminal the process's own
    )  # fmt: skip
    os.close(other)
    try:
        yield Terminal(process, main)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(main)
