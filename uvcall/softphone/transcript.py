"""The transcript as it is spoken: pieces that come by ordinal, whole or as deltas, become lines.

https://docs.ultravox.ai/apps/datamessages#transcript
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from uvcall.core.model import Line
from uvcall.core.wire.ultravox_messages import Transcript

#: A peer may say what it likes, and not fill the memory: an hour of talk has a thousand utterances.
MOST_UTTERANCES: Final = 10_000
LONGEST_UTTERANCE: Final = 100_000


@dataclass(slots=True)
class Utterance:
    """What one side says in one turn. `at_s` is the first word's time in seconds since the call was joined."""

    ordinal: int
    role: Literal["user", "agent"]
    text: str
    at_s: float
    final: bool = False

    def line(self) -> Line:
        """Return it as a line of the record."""
        return Line(self.role, self.text, round(self.at_s, 3))


@dataclass(slots=True)
class TranscriptBook:
    """Everything said so far."""

    _by_ordinal: dict[int, Utterance] = field(default_factory=dict)

    def take(self, piece: Transcript, at_s: float) -> Utterance | None:
        """Merge a piece and return the utterance as it stands now; None when the book is full.

        `text` replaces what was known of the ordinal, `delta` goes after it. A final utterance stays as it is, unless
        another text replaces it: late deltas repeat what is there.
        """
        known = self._by_ordinal.get(piece.ordinal)
        if known is None:
            if len(self._by_ordinal) >= MOST_UTTERANCES:
                return None
            known = self._by_ordinal[piece.ordinal] = Utterance(piece.ordinal, piece.role, "", at_s)
        if piece.text is not None:
            known.text = piece.text[:LONGEST_UTTERANCE]
        elif piece.delta and not known.final:
            known.text = (known.text + piece.delta)[:LONGEST_UTTERANCE]
        known.final = known.final or piece.final
        return known

    def lines(self) -> tuple[Line, ...]:
        """Return what was said, in the order of the ordinals; utterances without a word are left out."""
        spoken = (self._by_ordinal[ordinal] for ordinal in sorted(self._by_ordinal))
        return tuple(utterance.line() for utterance in spoken if utterance.text.strip())
