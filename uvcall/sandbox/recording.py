"""Both sides of a conversation, kept in step, for tests and for Ultravox's recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from uvcall.core.audio import Pcm, at_rate, stereo, write_wav
from uvcall.sandbox.world import World

#: A carrier's own recording of a leg is for looking at short calls: two hundred long ones must not fill the memory.
_LEG_SECONDS: Final = 60.0
_LEGS: Final = 24


@dataclass(slots=True)
class Recording:
    """PCM of the person and of the agent, frame by frame, up to `limit_s` seconds of each."""

    rate: int
    limit_s: float = float("inf")
    agent_rate: int = 0  #: 0: as the person's
    person: bytearray = field(default_factory=bytearray)
    agent: bytearray = field(default_factory=bytearray)

    def add(self, person: bytes, agent: bytes) -> None:
        """Append one frame of each side, of the same length; one may be empty where nothing came."""
        if len(self.person) < self.limit_s * self.rate * 2:
            self.person += person
            self.agent += agent

    def wav(self) -> bytes:
        """Return a stereo WAV file: the person on the left, the agent on the right."""
        agent = at_rate(Pcm(bytes(self.agent), self.agent_rate or self.rate), self.rate).samples
        return write_wav(stereo(bytes(self.person), agent), self.rate, channels=2)


@dataclass(slots=True)
class Tapes:
    """What the carriers recorded, by the carrier's call id: the last few legs only."""

    legs: dict[str, Recording] = field(default_factory=dict)

    def start(self, leg_id: str, rate: int) -> Recording:
        """Begin a recording, letting the oldest one go."""
        while len(self.legs) >= _LEGS:
            del self.legs[next(iter(self.legs))]
        tape = self.legs[leg_id] = Recording(rate, _LEG_SECONDS)
        return tape


@dataclass(slots=True)
class Sayings:
    """Known sentences that a callee of this sandbox is saying into a join URL, until the agent has heard them.

    It stands in for speech recognition: the agent writes a sentence down only when it heard speech as well.
    """

    by_url: dict[str, list[str]] = field(default_factory=dict)

    def begin(self, url: str, sentence: str) -> None:
        """Note that the sentence is being played now."""
        self.by_url.setdefault(url, []).append(sentence)

    def heard(self, url: str) -> str:
        """Return, once, what was said since the last time; empty when it is not a sentence that is known."""
        return " ".join(self.by_url.pop(url, ()))


_Kept = TypeVar("_Kept")


def tapes(world: World) -> Tapes:
    """Return the world's recordings of phone legs."""
    return _room(world, Tapes, lambda kept: kept.legs.clear())


def sayings(world: World) -> Sayings:
    """Return the world's table of known sentences."""
    return _room(world, Sayings, lambda kept: kept.by_url.clear())


def _room(world: World, kind: type[_Kept], empty: Callable[[_Kept], None]) -> _Kept:
    kept = world.rooms.get(kind)
    if not isinstance(kept, kind):
        kept = world.rooms[kind] = kind()
        world.on_reset.append(lambda: empty(kept))
    return kept
