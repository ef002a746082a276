"""The agent's voice as WebRTC brings it, without its pauses: there a pause is sound as well, and never ends.

What plays it fills up with silence by itself. Without the pauses it is known when the agent is heard and when it is
not, and what has been delayed once is not late for the rest of the call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from uvcall.core.audio import level

#: Loudness up to which a piece is a pause: Opus makes a little noise of silence. Soft speech is above 500.
_PAUSE_LEVEL: Final = 12
#: Seconds of pause that belong to what was said before it.
_TAIL_S: Final = 0.2
#: Seconds that are gathered before the first piece is given away, so that a late one leaves no gap.
_FIRST_S: Final = 0.04


@dataclass(slots=True)
class Bursts:
    """Takes all pieces of one stream, PCM at `rate`, and gives those that are to be played."""

    rate: int
    _waiting: bytearray = field(default_factory=bytearray)
    _flows: bool = False
    _quiet_s: float = _TAIL_S

    def take(self, piece: bytes) -> bytes:
        """Return what is to be played now; empty while there is nothing, or too little."""
        self._quiet_s = 0.0 if level(piece) > _PAUSE_LEVEL else self._quiet_s + len(piece) / 2 / self.rate
        if self._quiet_s >= _TAIL_S:
            rest = bytes(self._waiting)
            self._waiting.clear()
            self._flows = False
            return rest
        if self._flows:
            return piece
        self._waiting += piece
        if len(self._waiting) / 2 / self.rate < _FIRST_S:
            return b""
        burst = bytes(self._waiting)
        self._waiting.clear()
        self._flows = True
        return burst
