"""What an agent has sent to a carrier and nobody has heard yet; and the beat at which a phone line lives."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from uvcall.core.audio import FRAME_S, Resampling, resample

#: At high speeds a beat is shorter than the event loop's own resolution; being late by that much is not a stall.
_LOOP_SLACK_S: Final = 0.004
_GRID: Final = 4


@dataclass(slots=True)
class Playout:
    """A queue of PCM at the line's rate, with marks between the samples."""

    rate: int
    _sound: bytearray = field(default_factory=bytearray)
    _marks: deque[tuple[int, str]] = field(default_factory=deque)
    _played: int = 0  #: bytes, ever
    _resampling: Resampling | None = None

    @property
    def seconds(self) -> float:
        """Return how long the queue would play."""
        return len(self._sound) / 2 / self.rate

    def add(self, samples: bytes, rate: int) -> None:
        """Queue sound that comes at `rate`."""
        if rate != self.rate:
            at = self._resampling
            if at is None or at.from_rate != rate:
                at = Resampling(rate, self.rate)
            samples, self._resampling = resample(samples, at)
        self._sound += samples

    def mark(self, name: str) -> bool:
        """Put a mark behind what is queued. Returns True when nothing is queued: the mark is reached already."""
        if not self._sound:
            return True
        self._marks.append((self._played + len(self._sound), name))
        return False

    def clear(self) -> list[str]:
        """Drop everything; return the marks that were waiting."""
        self._sound.clear()
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names

    def take(self, size: int) -> tuple[bytes, list[str]]:
        """Play one frame of `size` bytes: return it, filled up with silence, and the marks that it reaches."""
        if not self._sound:
            return bytes(size), []
        frame = bytes(self._sound[:size])
        del self._sound[:size]
        self._played += len(frame)
        names: list[str] = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return frame.ljust(size, b"\0"), names


@dataclass(slots=True)
class Beat:
    """One beat every 20 ms of the world's life, held against an absolute schedule so that it does not drift.

    After a stall of more than two frames the lost time is lost: the schedule moves, and no burst follows.
    """

    speed: float
    worst_s: float = 0.0  #: the latest beat so far, in seconds of the real clock
    _due: float = -1.0

    async def wait(self) -> None:
        """Return at the next beat."""
        clock = asyncio.get_running_loop().time
        step = FRAME_S / self.speed
        if self._due < 0:
            # Streams that fall into the same quarter of a beat wake the event loop once, not one by one.
            grid = step / _GRID
            self._due = math.ceil(clock() / grid) * grid
        self._due += step
        await asyncio.sleep(max(0.0, self._due - clock()))
        late = clock() - self._due
        self.worst_s = max(self.worst_s, late)
        if late > max(2 * step, _LOOP_SLACK_S):
            self._due += late
