"""What a client has sent and the agent has not heard yet: sound comes in pieces of any size, time in 20 ms.

Ultravox documents that too little is noted as underflow, too much as overflow, and that "excessive" overflow is
dropped; how much that is, it does not. https://docs.ultravox.ai/apps/websockets
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from uvcall.core.audio import FRAME_S

#: Seconds of sound that are gathered before hearing begins, so that a late piece leaves no gap.
_FIRST_S: Final = 0.04
#: Seconds without sound that are noted: at the beginning, when a microphone has yet to start, and later.
_SLOW_START_S: Final = 1.0
_DRY_S: Final = 0.1
#: Seconds of sound ahead of time that are noted, and that are the most that is kept.
_MUCH_S: Final = 0.5
_MOST_S: Final = 2.0


@dataclass(slots=True)
class Inflow:
    """A queue of PCM at one rate."""

    rate: int
    _sound: bytearray = field(default_factory=bytearray)
    _half: bytes = b""  #: the first byte of a sample whose second one has not come
    _flows: bool = False
    _owed: float = 0.0  #: samples that belong to the time that has passed, a fraction of one
    _dry_s: float = 0.0
    _limit_s: float = _SLOW_START_S
    _full: bool = False

    @property
    def seconds(self) -> float:
        """Return how long the queue would last."""
        return len(self._sound) / 2 / self.rate

    def add(self, piece: bytes) -> tuple[str, str] | None:
        """Queue a message's sound; return a warning for the event log, once each time that it is too much."""
        whole = self._half + piece
        even = len(whole) & ~1
        self._half = whole[even:]
        self._sound += whole[:even]
        if self.seconds <= _MUCH_S:
            return None
        ahead = self.seconds
        del self._sound[int(_MOST_S * self.rate) * 2 :]
        if self._full:
            return None
        self._full = True
        return "audio_overflow", f"the client's audio is {ahead:.1f} s ahead of time"

    def take(self) -> tuple[bytes, float]:
        """Return the next 20 ms of sound, or what there is of it, and the seconds that are missing."""
        self._owed += self.rate * FRAME_S
        count = int(self._owed)
        self._owed -= count
        self._flows = self._flows or self.seconds >= _FIRST_S
        if not self._flows:
            self._dry_s += FRAME_S
            return b"", FRAME_S
        sound = bytes(self._sound[: 2 * count])
        del self._sound[: 2 * count]
        if sound:
            self._dry_s, self._limit_s = 0.0, _DRY_S
        self._flows = len(sound) == 2 * count
        self._full = self._full and self.seconds > _MUCH_S / 2
        return sound, (count - len(sound) // 2) / self.rate

    def underflow(self) -> tuple[str, str] | None:
        """Return a warning for the event log, once each time that sound has not come for too long."""
        if self._dry_s < self._limit_s:
            return None
        self._limit_s = float("inf")
        return "audio_underflow", f"no audio came for {self._dry_s:.1f} s"
