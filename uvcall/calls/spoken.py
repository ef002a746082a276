"""A transcript that is read again and again while it grows: what of it is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uvcall.core.model import Line


@dataclass(slots=True, eq=False)
class Spoken:
    """What has been said so far."""

    lines: tuple[Line, ...] = ()

    def take(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """Take what has been read now; return what is new, and what reads otherwise than before.

        An agent that is interrupted has said less than was written down, and a sentence may be written as it is spoken.
        """
        known = self.lines
        self.lines = tuple(lines)
        return tuple(
            line for at, line in enumerate(lines) if at >= len(known) or (line.role, line.text) != known[at][:2]
        )
