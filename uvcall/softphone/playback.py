"""What the agent has said and nobody has heard yet: filled by the transport, emptied by the output device.

The agent's audio comes ahead of its time, so that a slow network is not heard; when the person interrupts, all of it
that has not been played goes at once. https://docs.ultravox.ai/apps/websockets
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from uvcall.core.audio import FRAME_S


@dataclass(slots=True)
class PlaybackBuffer:
    """PCM that waits to be played, at `rate`. Safe to use from a device's own thread.

    Attributes:
        rate: Samples per second.
        limit_s: Seconds that are kept at most; what comes on top is dropped.
    """

    rate: int
    limit_s: float
    _pieces: deque[bytes] = field(default_factory=deque)
    _first: int = 0  #: bytes of the first piece that have been played
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def waiting_s(self) -> float:
        """Return how much waits, in seconds."""
        return self._size / 2 / self.rate

    def add(self, samples: bytes) -> bool:
        """Append a piece; False when it was dropped, because the buffer is full."""
        with self._lock:
            if self._size + len(samples) > self.limit_s * self.rate * 2:
                return False
            self._pieces.append(samples)
            self._size += len(samples)
            return True

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, filled up with silence where nothing waits."""
        with self._lock:
            if not self._size:
                return bytes(size)
            parts, missing = [], size
            while missing and self._pieces:
                piece = self._pieces[0]
                part = piece[self._first : self._first + missing]
                parts.append(part)
                missing -= len(part)
                self._first += len(part)
                if self._first >= len(piece):
                    self._pieces.popleft()
                    self._first = 0
            self._size -= size - missing
        return b"".join(parts) + bytes(missing)

    def clear(self) -> float:
        """Drop everything that waits and return how much it was, in seconds."""
        with self._lock:
            waited = self._size / 2 / self.rate
            self._pieces.clear()
            self._first = self._size = 0
        return waited


def piece_bytes(rate: int, seconds: float = FRAME_S) -> int:
    """Return the size of so many seconds of PCM."""
    return int(rate * seconds) * 2
