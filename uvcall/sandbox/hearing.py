"""When somebody speaks: voice activity by loudness, counted in the time of the audio itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from uvcall.core.audio import level

#: Loudness that counts as voice: far above a quiet line (0 to 50), below soft speech (about 500 to 5,000).
VOICE_LEVEL: Final = 350
#: A click or a cough is not a turn.
TURN_S: Final = 0.12
#: Pauses shorter than this are part of a word.
_WORD_GAP_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Turn:
    """Speech that has ended: seconds of audio time."""

    start: float
    end: float


@dataclass(slots=True)
class Ear:
    """Hears one voice. `endpoint` is how much silence ends a turn, `least` how much speech makes one, in seconds."""

    endpoint: float = 0.3
    least: float = TURN_S
    now: float = 0.0
    voiced: float = 0.0  #: seconds of voice in the turn so far
    quiet: float = 0.0  #: seconds since the last voice, or since the beginning
    start: float = 0.0

    def hear(self, samples: bytes, seconds: float) -> Turn | None:
        """Listen to the next piece; return a turn at the moment when its end is certain."""
        self.now += seconds
        if samples and level(samples) >= VOICE_LEVEL:
            if not self.voiced:
                self.start = self.now - seconds
            self.voiced += seconds
            self.quiet = 0.0
            return None
        self.quiet += seconds
        if not self.voiced:
            return None
        if self.voiced < self.least - 1e-9:
            if self.quiet >= _WORD_GAP_S:
                self.voiced = 0.0
            return None
        if self.quiet < self.endpoint - 1e-9:
            return None
        self.voiced = 0.0
        return Turn(self.start, self.now - self.quiet)
