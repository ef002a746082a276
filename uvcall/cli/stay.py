"""What a command needs that stays for as long as a call lasts: this machine's time, and an ear for signals."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from uvcall.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uvcall.calls.desk import Desk


class SystemClock:
    """This machine's time."""

    def now(self) -> datetime:
        """Return the wall clock, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        import time

        return time.monotonic()


@contextmanager
def signals(desk: Desk) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into notes for the desk, for as long as this lasts."""
    with _handled(desk.interrupt):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise `Interrupted`, for as long as this lasts and no desk takes note of them."""

    def stop(signum: int) -> None:
        raise Interrupted(signum)

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int], None]) -> Iterator[None]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, lambda signum, _frame: handler(signum))
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
