"""Counts the journal and network steps of the process that it is put into, and kills the process at one of them.

A step is a moment right before or right after something that the world outside, or a later process, could notice: a
journal statement that writes, a commit, a connection, bytes sent, an answer received, a line printed. The hooks sit on
the standard library's own doors (`sqlite3.connect`, `socket.socket`, standard output), so that the program under test
knows nothing of them and holds no code for them.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

WRITES = frozenset({"BEGIN", "INSERT", "UPDATE", "COMMIT"})


class Steps:
    """The count. At step `stop` it says the step's name on `out` (a descriptor) and kills the process; 0: never."""

    def __init__(self, stop: int, out: int) -> None:
        self.count = 0
        self._stop = stop
        self._out = out
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """Take one step."""
        with self._lock:
            self.count += 1
            if self.count == self._stop:
                os.write(self._out, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the work with a step before it and one after it."""

        @functools.wraps(work)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            self.reach(f"before {name}")
            result = work(*args, **kwargs)
            self.reach(f"after {name}")
            return result

        return stepped


def install(steps: Steps) -> None:
    """Put the count into this process."""
    _journal(steps)
    _network(steps)
    sys.stdout = _Printer(sys.stdout, steps)


def _journal(steps: Steps) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            word = statement.split(None, 1)[0]
            if word in WRITES:
                steps.reach(f"before {word}")
            cursor = super().execute(statement, *values)
            if word == "COMMIT":
                steps.reach("after COMMIT")
            return cursor

        def executescript(self, script: str) -> sqlite3.Cursor:
            steps.reach("before the journal is made")
            cursor = super().executescript(script)
            steps.reach("after the journal is made")
            return cursor

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
    os.link = steps.around("the journal gets its name", os.link)


def _network(steps: Steps) -> None:
    asked: set[int] = set()  #: descriptors on which something was sent and nothing came back yet
    plain: Any = socket.socket

    def sends(name: str) -> Callable[..., Any]:
        work = steps.around("bytes leave", getattr(plain, name))

        def send(self: socket.socket, *args: Any) -> Any:
            asked.add(self.fileno())
            return work(self, *args)

        return send

    def receives(name: str) -> Callable[..., Any]:
        work = getattr(plain, name)

        def receive(self: socket.socket, *args: Any) -> Any:
            result = work(self, *args)
            if self.fileno() in asked:
                asked.discard(self.fileno())
                steps.reach("after the first bytes of an answer")
            return result

        return receive

    for name in ("send", "sendall"):
        setattr(plain, name, sends(name))
    for name in ("recv", "recv_into"):
        setattr(plain, name, receives(name))
    plain.connect = steps.around("a connection", plain.connect)
    plain.accept = steps.around("a visitor", plain.accept)


class _Printer:
    """Standard output with a step before and after each piece of text."""

    def __init__(self, stream: TextIO, steps: Steps) -> None:
        self._stream = stream
        self.write = steps.around("the result is printed", stream.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
