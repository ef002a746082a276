"""How late frames of media calls are, at both ends: what a benchmark asks the sandbox for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.core.audio import FRAME_S
from uvcall.sandbox.world import World

#: Milliseconds; what is later counts as that.
_LATEST: Final = 1000
_NONE: Final = (0,) * (_LATEST + 1)


@dataclass(slots=True)
class Lateness:
    """Frames by how late they were, in milliseconds of the real clock."""

    counts: list[int] = field(default_factory=lambda: [0] * (_LATEST + 1))

    def add(self, seconds: float) -> None:
        """Count one frame."""
        self.counts[min(_LATEST, int(seconds * 1000)) if seconds > 0 else 0] += 1

    def with_others(self, counts: Sequence[int] | None) -> Lateness:
        """Return these frames and others, together."""
        return Lateness([a + b for a, b in zip(self.counts, counts or _NONE, strict=True)])

    def as_json(self) -> dict[str, Any]:
        """Return the number of frames, and the upper edges of the milliseconds in which these shares of them lie."""
        shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "worst_ms": 1.0}
        frames, found, seen = sum(self.counts), dict.fromkeys(shares, 0), 0
        for at, count in enumerate(self.counts):
            seen += count
            for name, share in shares.items():
                if not found[name] and count and seen >= share * frames:
                    found[name] = at + 1
        return {"frames": frames, **found}


@dataclass(slots=True)
class Punctuality:
    """Since somebody last began to count. `sent`: by the carriers; `heard`: of these, by the agent.

    A frame is heard late by as much as it comes later than the most punctual one of its call would have it.
    """

    sent: Lateness = field(default_factory=Lateness)
    heard: Lateness = field(default_factory=Lateness)
    starved: int = 0  #: frames of the agent's lines that were not there when the person's phone was to play them
    round: int = 0

    def restart(self) -> None:
        """Count from now on."""
        self.sent, self.heard, self.starved = Lateness(), Lateness(), 0
        self.round += 1

    def raw(self) -> dict[str, Any]:
        """Return what `with_others` takes in another process."""
        return {"sent": self.sent.counts, "heard": self.heard.counts, "starved": self.starved}

    def with_others(self, raw: Mapping[str, Any]) -> Punctuality:
        """Return this and what another process has counted, together."""
        sent, heard = self.sent.with_others(raw.get("sent")), self.heard.with_others(raw.get("heard"))
        return Punctuality(sent, heard, self.starved + raw.get("starved", 0))

    def as_json(self) -> dict[str, Any]:
        """Return what was counted."""
        return {"sent": self.sent.as_json(), "heard": self.heard.as_json(), "starved": self.starved}


@dataclass(slots=True)
class Arrivals:
    """One call's frames as they come in."""

    into: Punctuality
    step: float = FRAME_S  #: seconds of the real clock from one frame to the next
    _base: float = 0.0
    _count: int = 0
    _round: int = -1

    def note(self, now: float) -> None:
        """Count a frame that has come at this instant."""
        if self._round != self.into.round:
            self._round, self._base, self._count = self.into.round, now, 0
        due = self._base + self._count * self.step
        self._count += 1
        self.into.heard.add(now - due)
        self._base -= max(0.0, due - now)


def punctuality(world: World) -> Punctuality:
    """Return the world's counts."""
    kept = world.rooms.get(Punctuality)
    if not isinstance(kept, Punctuality):
        kept = world.rooms[Punctuality] = Punctuality()
    return kept
