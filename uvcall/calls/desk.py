"""The main thread's desk: vendors are asked in threads behind it, so that neither a slow peer nor a signal waits.

The SDKs bound each read, not the whole request: a peer that sends one byte a second holds them for ever. And a signal
that arrives inside a request could cut it anywhere. So requests run in daemon threads, the main thread waits here with
a deadline, and a signal is a note in the same inbox, read only between two steps of a use case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from uvcall.errors import Interrupted

T = TypeVar("T")


class Late(Exception):
    """A job did not end in the time allowed; its thread goes on, unheard."""


@dataclass(slots=True, eq=False, repr=False)
class Job(Generic[T]):
    """Work in a thread. `result` and `error` are read through `Desk.wait` only."""

    work: Callable[[], T]
    done: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True, eq=False, repr=False)
class Desk:
    """Runs jobs and waits for them; the one place where a command can be interrupted."""

    _inbox: SimpleQueue[Job[Any] | int] = field(default_factory=SimpleQueue)

    def interrupt(self, signum: int) -> None:
        """Tell the main thread of a signal. Safe to call from a signal handler."""
        self._inbox.put(signum)

    def start(self, work: Callable[[], T]) -> Job[T]:
        """Begin work in a thread of its own."""
        job: Job[T] = Job(work)

        def run() -> None:
            try:
                job.result = job.work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the job
                job.error = error
            self._inbox.put(job)

        threading.Thread(target=run, daemon=True, name="uvcall-job").start()
        return job

    def wait(self, job: Job[T], seconds: float) -> T:
        """Return the job's result, or raise what it raised.

        Raises:
            Late: It is not done after so many seconds.
            Interrupted: A signal came first; the job goes on.
        """
        deadline = time.monotonic() + seconds
        while not job.done:
            self._read(deadline)
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def run(self, work: Callable[[], T], seconds: float) -> T:
        """Do the work in a thread and wait for it: `start` and `wait` in one."""
        return self.wait(self.start(work), seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep unless a signal comes.

        Raises:
            Interrupted: A signal came.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self._read(deadline)
            except Late:
                return

    def _read(self, deadline: float) -> None:
        """Read one note: a finished job (marked so) or a signal (raised)."""
        try:
            # A bounded wait even for far deadlines: some platforms deliver signals only between two waits.
            note = self._inbox.get(timeout=min(0.5, max(0.0, deadline - time.monotonic())))
        except Empty:
            if time.monotonic() >= deadline:
                raise Late from None
            return
        if isinstance(note, int):
            raise Interrupted(note)
        note.done = True
