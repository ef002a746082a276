"""The softphone: a conversation in a thread of its own, moved from any other."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Parting, Talked
from uvcall.errors import LocalError, UvcallError
from uvcall.softphone.conversation import Conversation
from uvcall.softphone.devices import Sink, Source
from uvcall.softphone.manner import Manner, News
from uvcall.softphone.tape import Tape
from uvcall.softphone.transport import Transport

_CLOSE_S: Final = 2.0


class Softphone:
    """One conversation: `open` it, `run` it in one thread, `close` it; the other methods may be called from any.

    Args:
        reach: Returns the transport for a join URL.
        source: Where the person's voice comes from.
        sink: Where the agent's goes.
        manner: How the conversation is held.
        tell: Is told what happens, in the thread that runs.
        wall: The wall clock, UTC.
        tape: Records both sides.
    """

    def __init__(
        self,
        reach: Callable[[JoinUrl], Transport],
        source: Source,
        sink: Sink,
        manner: Manner,
        *,
        tell: Callable[[News], None],
        wall: Callable[[], datetime],
        tape: Tape | None = None,
    ) -> None:
        self._reach = reach
        self._devices = (source, sink)
        self._manner = manner
        self._tell = tell
        self._wall = wall
        self._tape = tape
        self._open = not manner.muted
        self._loop: asyncio.AbstractEventLoop | None = None
        self._talk: Conversation | None = None
        self._waiting: list[Callable[[Conversation], None]] = []
        self._lock = threading.Lock()
        self._opened = False
        self._joined_at: datetime | None = None

    def open(self) -> None:
        """Open the devices: who has none need not have created a call.

        Raises:
            LocalError: There is no such device, or it cannot be used.
        """
        source, sink = self._devices
        self._opened = True
        source.open()
        sink.open(lambda size: self._talk.pull(size) if self._talk is not None else bytes(size))

    def close(self) -> None:
        """Close the devices. Safe to repeat.

        Raises:
            LocalError: A file cannot be completed.
        """
        for device in self._devices:
            device.close()

    def run(self, url: JoinUrl) -> Talked:
        """Hold the conversation to its end. What goes wrong is in what is returned, never raised."""
        return asyncio.run(self._main(url))

    def hang_up(self) -> None:
        """End the conversation; `run` returns within four seconds."""
        self._call(lambda talk: talk.leave())

    def say(self, text: str) -> None:
        """Say something in writing."""
        self._call(lambda talk: talk.write(text))

    def end_input(self) -> None:
        """Note that nothing more will be typed."""
        self._call(lambda talk: talk.end_input())

    def open_microphone(self, *, wanted: bool) -> None:
        """Let the person be heard, or not."""
        self._open = wanted
        self._call(lambda talk: setattr(talk, "open", wanted))

    @property
    def microphone_open(self) -> bool:
        """Say whether the person is heard."""
        return self._open

    def left(self) -> Talked:
        """Return what is known of a conversation that is not waited for: it ends with the process."""
        lines = self._talk.session.lines() if self._talk is not None else ()
        call_id = self._talk.session.call_id if self._talk is not None else None
        return Talked(Parting.USER, lines, call_id, self._joined_at, self._wall() if self._joined_at else None, "left")

    def _call(self, work: Callable[[Conversation], None]) -> None:
        """Do the work in the running loop, or as soon as there is one."""
        with self._lock:
            loop, talk = self._loop, self._talk
            if talk is None:
                self._waiting.append(work)
            elif loop is not None:
                loop.call_soon_threadsafe(work, talk)

    async def _main(self, url: JoinUrl) -> Talked:
        source, sink = self._devices
        talk = Conversation(self._reach(url), source, sink, self._manner, self._tell, self._tape, self._open)
        with self._lock:
            self._loop, self._talk = asyncio.get_running_loop(), talk
            waiting, self._waiting = self._waiting, []
        for work in waiting:
            work(talk)
        try:
            if not self._opened:
                self.open()
            if await talk.reach():
                self._joined_at = self._wall()
                await talk.hold()
        except UvcallError as error:
            talk.error = talk.error or error
        finally:
            await self._end(talk)
        return Talked(
            parting=talk.parting or Parting.USER,
            lines=talk.session.lines(),
            call_id=talk.session.call_id,
            joined_at=self._joined_at,
            ended_at=self._wall() if self._joined_at else None,
            words=talk.words,
            error=talk.error,
        )

    async def _end(self, talk: Conversation) -> None:
        with self._lock:
            self._loop = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await talk.transport.close()
        talk.session.closed()
        try:
            self.close()
        except LocalError as error:
            talk.error = talk.error or error
