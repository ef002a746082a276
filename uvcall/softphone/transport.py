"""What carries a conversation: one shape, whether the sound goes over a WebSocket or WebRTC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AudioIn:
    """The agent's voice: 16-bit little-endian mono at the output rate."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class DataIn:
    """A data message."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The other side is gone. `in_order`: it said so; `words`: what is known of it, in one line."""

    in_order: bool
    words: str = ""


Arrival = AudioIn | DataIn | Ended


class Transport(Protocol):
    """A way to an agent. `connect` once, read `arrivals` to the end, `close` always."""

    async def connect(self) -> None:
        """Reach the agent's side.

        Raises:
            ProviderRefused: The join URL is refused; Temporary: the other side cannot be reached now.
        """

    def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield what comes, in order; `Ended` is the last."""

    async def send_audio(self, samples: bytes) -> None:
        """Send a frame of the person's voice. A connection that is gone swallows it: `arrivals` tells."""

    async def send_data(self, text: str) -> None:
        """Send a data message; likewise."""

    async def close(self) -> None:
        """Leave. Safe to repeat."""
