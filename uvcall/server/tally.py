"""One place where counts are asked for, however many processes count: the first of them asks the others.

Nothing is shared while callers are answered; who asks waits for a line of JSON from each process.
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final

from uvcall.server.metrics import Metrics

#: Seconds that another process may take to tell its counts.
_TOLD_S: Final = 5.0
_LONGEST_LINE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kin:
    """How one of several processes reaches the others: the first has a socket to each, each other one to the first."""

    others: tuple[socket.socket, ...] = ()
    first: socket.socket | None = None

    @classmethod
    def of(cls, count: int) -> list[Kin]:
        """Return what each of so many processes takes with it."""
        pairs = [socket.socketpair() for _ in range(count - 1)]
        return [cls(others=tuple(mine for mine, _ in pairs)), *(cls(first=theirs) for _, theirs in pairs)]

    def close(self) -> None:
        """Close this process's copies."""
        for one in (*self.others, self.first):
            if one is not None:
                one.close()


class Untold(Exception):
    """Another process did not tell its counts in time; the sum of the others' would be no sum."""


class Tally:
    """The counts of all processes, in the first; the others tell theirs. Make it in the running loop."""

    def __init__(self, metrics: Metrics, kin: Kin) -> None:
        self._metrics = metrics
        self._asked = 0
        self._turn = asyncio.Lock()
        self._lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._kin = kin
        self._telling = None if kin.first is None else asyncio.ensure_future(_tell(kin.first, metrics))

    async def text(self) -> bytes:
        """Return the sum as Prometheus reads it.

        Raises:
            Untold: A process is missing.
        """
        if not self._kin.others:
            return self._metrics.text()
        async with self._turn:
            try:
                async with asyncio.timeout(_TOLD_S):
                    if not self._lines:
                        self._lines = [await _lines(one) for one in self._kin.others]
                    self._asked += 1
                    for _, writer in self._lines:
                        writer.write(b"%d\n" % self._asked)
                    told = [await self._answer(reader) for reader, _ in self._lines]
            except (TimeoutError, OSError, ValueError) as error:
                raise Untold from error
        return self._metrics.text(told)

    async def close(self) -> None:
        """Ask no more, and tell no more."""
        for _, writer in self._lines:
            writer.close()
        if self._telling is not None:
            self._telling.cancel()
            with suppress(asyncio.CancelledError):
                await self._telling
        self._kin.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Any:
        """Return the answer to what was asked just now; one that came too late may be before it."""
        while True:
            number, counts = json.loads(await reader.readline())
            if number == self._asked:
                return counts


async def _tell(first: socket.socket, metrics: Metrics) -> None:
    reader, writer = await _lines(first)
    with closing(writer), suppress(OSError):
        while line := await reader.readline():
            writer.write(json.dumps([int(line), metrics.counts()]).encode() + b"\n")
            await writer.drain()


async def _lines(one: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(sock=one, limit=_LONGEST_LINE)
