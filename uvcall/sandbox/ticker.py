"""The beat of all media calls: every 20 ms each line has its turn, from one wheel of timers.

The turns are spread over the whole beat, so that nobody waits for hundreds of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from uvcall.core.audio import FRAME_S
from uvcall.sandbox.world import World

#: Parts of a beat, and the seconds that a part has at least: the event loop's own resolution.
_PARTS: Final = 20
_SHORTEST_S: Final = 0.001
#: Seconds of the real clock by which a beat may be late without being a stall: two frames of life at its own speed.
_SLACK_S: Final = 2 * FRAME_S

#: A turn: when it was due, by the event loop's clock.
Turn = Callable[[float], None]


@dataclass(slots=True)
class _Part:
    turns: dict[int, Turn] = field(default_factory=dict)
    due: float = 0.0
    runs: bool = False


class Ticker:
    """One wheel, for one event loop. `step` is a beat's length in seconds of the real clock."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._loop = asyncio.get_running_loop()
        self._parts = [_Part() for _ in range(max(1, min(_PARTS, int(step / _SHORTEST_S))))]
        self._count = 0

    def add(self, turn: Turn) -> Callable[[], None]:
        """Call `turn` at every beat from now on; return what ends that."""
        at = min(range(len(self._parts)), key=lambda number: len(self._parts[number].turns))
        part, self._count = self._parts[at], self._count + 1
        key = self._count
        part.turns[key] = turn
        if not part.runs:
            part.runs = True
            grid = self.step * at / len(self._parts)
            part.due = (self._loop.time() - grid) // self.step * self.step + self.step + grid
            self._loop.call_at(part.due, self._run, part)

        def end() -> None:
            part.turns.pop(key, None)

        return end

    def _run(self, part: _Part) -> None:
        if not part.turns:
            part.runs = False
            return
        for turn in tuple(part.turns.values()):
            turn(part.due)
        # After a stall the lost time is lost: the schedule moves, and no burst follows.
        late = self._loop.time() - part.due
        part.due += self.step + (late if late > max(2 * self.step, _SLACK_S) else 0.0)
        self._loop.call_at(part.due, self._run, part)


def ticker(world: World) -> Ticker:
    """Return the world's ticker."""
    kept = world.rooms.get(Ticker)
    if not isinstance(kept, Ticker):
        kept = world.rooms[Ticker] = Ticker(FRAME_S / world.pace.speed)
    return kept
