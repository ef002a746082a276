"""What the use cases need from outside, as shapes: a clock, an agent's API, a carrier's line, somebody who watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf
from typing import Any, NamedTuple, Protocol

from uvcall.carriers import Account, Carrier
from uvcall.core.model import CreatedCall, LegOrder, LegStatus, Line, PlacedCall, UltravoxCall
from uvcall.core.payload import CreateCall


class Agents(Protocol):
    """The Ultravox API as the use cases see it: `uvcall.ultravox.Ultravox`, or a test's own."""

    def create_call(self, create: CreateCall, *, rings: bool, sent: Callable[[], None] | None) -> CreatedCall:
        """Create the call; `rings` says that Ultravox itself will dial; `sent` is called when the request has left."""

    def get_call(self, call_id: str) -> UltravoxCall:
        """Ask where the call is."""

    def calls_by_metadata(self, key: str, value: str) -> Sequence[UltravoxCall]:
        """Return the calls that carry this metadata, newest first."""

    def transcript(self, call_id: str) -> Sequence[Line]:
        """Return what has been said so far, oldest first."""

    def hang_up(self, call_id: str) -> bool:
        """End a joined call. Returns False when there is nothing to end."""


class Clock(Protocol):
    """Time, as an argument. Waiting is the desk's (`calls.desk`)."""

    def now(self) -> datetime:
        """Return the wall clock, UTC: for stamps only."""

    def monotonic(self) -> float:
        """Return seconds that never jump: for waits."""


class Moment(StrEnum):
    """What an observer is told of."""

    CREATED = "created"
    DIALING = "dialing"
    PLACED = "placed"
    RINGING = "ringing"
    ANSWERED = "answered"
    TALKING = "talking"
    LINE = "line"
    WAITING = "waiting"
    SETTLING = "settling"
    HANGING_UP = "hanging_up"
    OVER = "over"
    NOTE = "note"


class Progress(NamedTuple):
    """One thing that happened, for whoever watches."""

    moment: Moment
    text: str = ""
    line: Line | None = None


Observer = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """Watch without a word: the default observer."""


@dataclass(slots=True, eq=False, repr=False)
class CarrierLine:
    """A carrier's module with the account to act for; connects when first used."""

    module: Carrier
    account: Account
    client: Any = None

    def open(self) -> None:
        """Import the SDK and connect. Slow the first time, contacts nobody."""
        if self.client is None:
            self.module.load()
            self.client = self.module.connect(self.account)

    def place(self, order: LegOrder) -> PlacedCall:
        """Place the leg: exactly one attempt."""
        self.open()
        return self.module.place(self.client, self.account, order)

    def status(self, placed: PlacedCall) -> LegStatus:
        """Ask where the leg is."""
        return self.module.status(self.client, self.account, placed)

    def hang_up(self, placed: PlacedCall) -> bool:
        """End the leg."""
        return self.module.hang_up(self.client, self.account, placed)

    def find(self, order: LegOrder, *, since: float, until: float = inf) -> Sequence[PlacedCall]:
        """Look for legs of this order."""
        self.open()
        return self.module.find(self.client, self.account, order, since=since, until=until)

    def close(self) -> None:
        """Close the connections, if any."""
        if self.client is not None:
            self.module.close(self.client)
