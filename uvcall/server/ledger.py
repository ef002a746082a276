"""The ledger of inbound calls inside an event loop: all claims of one turn of the loop share a transaction.

A commit to the write-ahead log is a few microseconds of the system's memory, cheaper than waking a thread for it; what
may have to wait for the disk, the checkpoint, has a thread and a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from uvcall.core.inbound_policy import Book
from uvcall.errors import LocalError
from uvcall.journal.inbound import Claim, Claimed, InboundLedger, Known, Note, checkpoint

T = TypeVar("T")

#: Seconds between two checkpoints, and seconds that the disk is left alone after it failed.
_CHECKPOINT_S: Final = 2.0
_REST_S: Final = 1.0
#: Seconds that a note may wait for company: a transaction costs as much as ten rows. Whoever is killed in between is
#: found by his claim.
_NOTE_S: Final = 0.005
#: Pages of the log (of 4 KiB) past which it is made to begin anew.
_LONG: Final = 4096


class AsyncLedger:
    """Collect work and await it. Make it inside the running loop.

    Args:
        ledger: The ledger; from now on this object's alone.
        complain: Is told why the ledger cannot be written.
    """

    def __init__(self, ledger: InboundLedger, complain: Callable[[LocalError], None]) -> None:
        self._ledger = ledger
        self._complain = complain
        self._loop = asyncio.get_running_loop()
        self._work: list[Claim | Note] = []
        self._answers: list[asyncio.Future[Claimed] | None] = []
        self._now = self._soon = False  #: a flush is due at the end of this turn of the loop, or a little later
        self._rest_until = 0.0
        self._free = asyncio.Event()
        self._free.set()
        self.healthy = True
        self._checkpoints = asyncio.ensure_future(self._fold())

    @property
    def book(self) -> Book:
        """The calls that count, up to now; to be read only."""
        self._flush()
        return self._ledger.book

    def claim(self, claim: Claim) -> asyncio.Future[Claimed]:
        """Claim a call id; noted when this is done, or decided more strictly where nothing can be noted."""
        answer: asyncio.Future[Claimed] = self._loop.create_future()
        self._add(claim, answer)
        if not self._now:
            self._now = True
            self._loop.call_soon(self._flush)
        return answer

    def note(self, note: Note) -> None:
        """Have a step written down soon: with the next claim, if there is one until then."""
        self._add(note, None)
        if not self._soon:
            self._soon = True
            self._loop.call_later(_NOTE_S, self._flush)

    async def known(self, key: str) -> Known | None:
        """Return what any worker knows of the call."""
        return await self._ask(lambda: self._ledger.known(key))

    async def key_of(self, ultravox_id: str) -> str | None:
        """Return the call that an Ultravox call belongs to."""
        return await self._ask(lambda: self._ledger.key_of(ultravox_id))

    async def close(self) -> None:
        """Write what is left and close the file."""
        self._checkpoints.cancel()
        with suppress(asyncio.CancelledError):
            await self._checkpoints
        self._free.set()
        self._flush()
        self._ledger.close()

    def _add(self, work: Claim | Note, answer: asyncio.Future[Claimed] | None) -> None:
        self._work.append(work)
        self._answers.append(answer)

    def _flush(self) -> None:
        self._now = self._soon = False
        work, answers = self._work, self._answers
        if not work or not self._free.is_set():
            return
        self._work, self._answers = [], []
        for answer, found in zip(answers, self._done(work), strict=True):
            if answer is not None and not answer.done():
                answer.set_result(found)

    def _done(self, work: list[Claim | Note]) -> list[Any]:
        if self._loop.time() >= self._rest_until:
            try:
                found = self._ledger.batch(work)
            except LocalError as error:
                # A disk that makes each caller wait for its lock is worse than none.
                self._rest_until = self._loop.time() + _REST_S
                self._trouble(error)
            else:
                self.healthy = True
                return list(found)
        return [self._ledger.from_memory(one) if isinstance(one, Claim) else None for one in work]

    async def _ask(self, question: Callable[[], T]) -> T | None:
        await self._free.wait()
        self._flush()
        try:
            return question()
        except LocalError as error:
            self._trouble(error)
            return None

    def _trouble(self, error: LocalError) -> None:
        self.healthy = False
        self._complain(error)

    async def _fold(self) -> None:
        """Fold the write-ahead log into the file now and then, where nobody waits for it."""
        while True:
            await asyncio.sleep(_CHECKPOINT_S)
            try:
                if await asyncio.to_thread(checkpoint, self._ledger.path) > _LONG:
                    await self._begin_anew()
            except LocalError as error:
                self._trouble(error)

    async def _begin_anew(self) -> None:
        """Write nothing for the moment in which the log begins anew: who writes would make the whole loop wait."""
        self._free.clear()
        try:
            await asyncio.to_thread(checkpoint, self._ledger.path, restart=True)
        finally:
            self._free.set()
            self._flush()
