"""What answering a caller needs of the world, and what it is told beforehand."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.inbound_policy import Rules
from uvcall.core.model import CreatedCall
from uvcall.core.secret import JoinUrl
from uvcall.journal.inbound import Claim, Claimed, Known, Note


class Agents(Protocol):
    """Ultravox, asynchronously; raises as `uvcall.async_ultravox`."""

    async def create_call(self, path: str, body: bytes, *, within_s: float) -> CreatedCall:
        """Create a call."""

    async def join_url(self, call_id: str, *, within_s: float) -> JoinUrl | None:
        """Return the join URL of a call that still waits for it."""

    async def find(self, attempt: str, *, within_s: float) -> str | None:
        """Return the id of the call of this attempt."""


class Ledger(Protocol):
    """The ledger of inbound calls, asynchronously."""

    def claim(self, claim: Claim) -> Awaitable[Claimed]:
        """Claim a call id; noted, for every process to see, when this is done."""

    def note(self, note: Note) -> None:
        """Have a step written down soon."""

    async def known(self, key: str) -> Known | None:
        """Return what any worker knows of the call."""

    async def key_of(self, ultravox_id: str) -> str | None:
        """Return the call that an Ultravox call belongs to."""


class Watch(Protocol):
    """Is told what happens; `facts` hold no number and no secret."""

    def __call__(self, event: str, /, **facts: Any) -> None:
        """Take note."""


def silent(event: str, /, **facts: Any) -> None:
    """Take no note."""


@dataclass(frozen=True, slots=True)
class InboundLine:
    """One carrier that may send callers.

    Attributes:
        key: What its webhooks are verified with; None only where they are deliberately not verified.
        stream: How its documents stream the call.
        path: Create Call's path, with a query string if there is one.
        body: Create Call's JSON, cut at the place where the attempt's id goes.
    """

    provider: Provider
    key: str | None
    stream: StreamOptions
    path: str
    body: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class House:
    """What holds for all carriers: the rules, and what callers hear when no agent can be had."""

    lines: Mapping[Provider, InboundLine]
    rules: Rules
    say: str
    forward_to: str | None = None
    language: str = "en-US"
