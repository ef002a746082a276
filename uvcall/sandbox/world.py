"""What the sandbox's peers share: time, memory, and the phone legs of their little world.

The peers (three carriers, Ultravox, a callee) know each other only as real ones would: by HTTP and WebSocket over
loopback. What stands here is what no vendor has: a clock that can run faster, and a history that a test can read.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause


class Pace:
    """The world's clock: `speed` times faster than life, for rings, frames and speech alike."""

    def __init__(self, speed: float = 1.0, elapsed: float = 0.0, now: datetime | None = None) -> None:
        """Begin a life, or go on with one that is `elapsed` seconds old at the world's instant `now`."""
        self.speed = speed
        self._wall = (now or datetime.now(UTC)) - timedelta(seconds=elapsed)
        self._zero = time.monotonic() - elapsed / speed

    def elapsed(self) -> float:
        """Return the seconds of the world's life so far."""
        return (time.monotonic() - self._zero) * self.speed

    def now(self) -> datetime:
        """Return the world's wall clock, UTC."""
        return self._wall + timedelta(seconds=self.elapsed())

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds of the world's life."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)


@dataclass(slots=True)
class History:
    """What each peer saw, oldest first: the `GET /_sandbox/history` of the contract."""

    pace: Pace
    events: list[dict[str, Any]] = field(default_factory=list)
    listener: Callable[[dict[str, Any]], None] | None = None  #: told of each event as it happens

    def record(self, peer: str, kind: str, **details: Any) -> None:
        """Note that `peer` (`ultravox`, `telnyx`, `twilio`, `plivo`, `callee`) saw `kind`.

        Kinds: `request`, `call.placed`, `call.incoming` (somebody rings a number of the account), `call.ringing`,
        `call.answered`, `call.ended`, `webhook`, `media.started`, `media.stopped`, `call.created`, `call.joined`,
        `document` (an answer document: its verbs, or what is wrong with it), `command` (for an incoming call),
        `fault`. Credentials and join URLs stay out.
        """
        event = {"at": self.pace.now().isoformat(), "peer": peer, "type": kind, **details}
        self.events.append(event)
        if self.listener is not None:
            self.listener(event)


@dataclass(slots=True)
class Leg:
    """A phone leg inside a carrier. `cause` is None while it lives."""

    provider: Provider
    id: str  #: Twilio CallSid, Telnyx call_control_id, Plivo CallUUID
    from_: str
    to: str
    direction: str  #: `outbound` (the API placed it) or `inbound` (someone rings the number)
    scenario: str
    created_at: datetime
    ids: dict[str, str] = field(default_factory=dict)  #: the carrier's other ids by its own names
    options: Mapping[str, Any] = field(default_factory=dict)  #: the create request's parameters, as sent
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: Cause | None = None
    machine: bool | None = None
    events: list[dict[str, Any]] = field(default_factory=list)  #: Telnyx call events, Twilio callbacks, …
    over: asyncio.Event = field(default_factory=asyncio.Event)  #: set when the leg ends, by whomever
    end_source: str = ""  #: `caller`, `callee`, `api`, `carrier`


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The media stream that an order or an answer document asks for."""

    url: str
    encoding: str  #: `PCMU`, `PCMA` or `L16`: the person's audio on the wire
    sample_rate: int
    tracks: tuple[str, ...] = ("inbound",)
    bidirectional: bool = True  #: False: what the agent sends is not played (Telnyx mp3 mode, one-way streams)
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  #: of the WebSocket handshake (signatures)
    agent_encoding: str = (
        ""  #: how the agent's audio is understood; empty: as the person's (Telnyx has a field for each)
    )
    agent_sample_rate: int = 0
    stream_id: str = ""  #: the carrier's id of the stream; empty: a new one
    opened: Callable[[], None] | None = None  #: called once, when the agent's side has accepted the handshake
    halt: asyncio.Event | None = None  #: ends the stream; None: the end of the leg does


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a media stream ended.

    `agent` (it closed the socket), `leg` (the call ended), `refused` (the handshake failed), `broken` (the socket was
    lost).
    """

    how: str
    detail: str = ""


class PlacementRefused(Exception):
    """What the carrier says when it does not place a leg that Ultravox asked for."""


class Phones(Protocol):
    """The phone network as Ultravox reaches it when it dials by itself (`medium.*.outgoing`)."""

    async def originate(
        self, provider: Provider, *, to: str, from_: str, join_url: str, parameters: Mapping[str, Any]
    ) -> Leg:
        """Place a leg as the carrier's API would for Ultravox's imported credentials.

        Raises:
            PlacementRefused: The carrier's API would answer with an error; nothing was placed.
        """


@dataclass(frozen=True, slots=True)
class Options:
    """How the sandbox behaves; everything a user may ask for on the command line."""

    host: str = "127.0.0.1"
    port: int = 0
    scenario: str | None = None  #: None: by the called number, else answer
    speed: float = 1.0
    faults: str = "off"
    seed: int | None = None
    callee_audio: bytes | None = None  #: a WAV file's bytes; None: the shipped sentence
    agent_script: tuple[str, ...] | None = None  #: greeting, answers …, farewell; None: the shipped one
    digits: str = ""  #: keys that the callee presses after its first sentence


@dataclass(slots=True)
class World:
    """Everything that the peers share; `POST /_sandbox/reset` empties it."""

    options: Options
    pace: Pace
    history: History
    chance: random.Random
    seed: int
    base_url: str = ""  #: `http://127.0.0.1:PORT`, known once the server listens
    legs: dict[str, Leg] = field(default_factory=dict)
    phones: Phones | None = None
    hang_up: Callable[[Leg, Cause, str], None] | None = None
    """Ends a leg, once, with a cause and a source (`callee`, …): what the callee does when it puts the phone down."""
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    on_reset: list[Callable[[], None]] = field(default_factory=list)
    rooms: dict[type, Any] = field(default_factory=dict)  #: what a peer keeps for itself, by its type

    def spawn(self, work: Any, name: str) -> asyncio.Task[Any]:
        """Run a coroutine beside the others until it ends or the sandbox closes."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task
