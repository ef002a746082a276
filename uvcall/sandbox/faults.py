"""Faults on purpose: a vocabulary, a seed, and one decision for each request, webhook, stream, and handshake.

A specification is `off`, `on`, or `name=rate,…`, each name optionally preceded by a peer: `lost-reply=0.1`,
`telnyx.rate-limit=1`. Rates are probabilities from 0 to 1. The same seed and the same events at a peer, in the same
order, meet the same faults.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, Literal

from uvcall.errors import UsageError
from uvcall.sandbox.world import World

PEERS: Final = ("ultravox", "telnyx", "twilio", "plivo")

#: Seconds that a refused program is told to wait, and that a slow answer takes (of the world's life).
RETRY_AFTER_S: Final = 1
SLOW_S: Final = 3.0
#: How late a late webhook is, and how long a stream lives that breaks off (both of the world's life).
LATE_S: Final = 5.0
DROP_S: Final = 1.0

Where = Literal["request", "webhook", "stream", "join"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and with what; for a request, whether its work is done first."""

    name: str
    about: str
    rate_when_on: float
    placed: bool = False  #: the request has its effect all the same
    creates_only: bool = False  #: only requests that place or create a call
    strikes: Where = "request"


FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("rate-limit", "429 with Retry-After; nothing is done", 0.05),
        Fault("server-error", "500; nothing is done", 0.02),
        Fault("server-error-after", "500 although the call was placed", 0.01, placed=True, creates_only=True),
        Fault(
            "lost-reply",
            "the call is placed, the connection closes without a reply",
            0.02,
            placed=True,
            creates_only=True,
        ),
        Fault("reset", "the connection is reset; nothing is done", 0.01),
        Fault("slow", "the answer takes three seconds longer", 0.05, placed=True),
        Fault("duplicate-webhook", "a webhook is delivered twice", 0.05, strikes="webhook"),
        Fault("late-webhook", "a webhook comes five seconds late, after its successors", 0.05, strikes="webhook"),
        Fault("stream-drop", "the media stream breaks off after a second, at that peer's end", 0.02, strikes="stream"),
        Fault(
            "join-failed",
            "the carrier's connection to the agent fails; with `ultravox.` the agent's side refuses it",
            0.02,
            strikes="join",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Rates by peer and fault name."""

    rates: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def as_text(self) -> str:
        """Return the plan as a specification."""
        return ",".join(f"{peer}.{name}={rate:g}" for (peer, name), rate in sorted(self.rates.items())) or "off"


def parse_faults(text: str) -> FaultPlan:
    """Read a specification.

    Raises:
        UsageError: An unknown name or peer, or a rate that is not between 0 and 1.
    """
    words = text.strip()
    if words in {"", "off"}:
        return FaultPlan()
    if words == "on":
        return FaultPlan({(p, f.name): f.rate_when_on for p in PEERS for f in FAULTS.values()})
    rates: dict[tuple[str, str], float] = {}
    for item in words.split(","):
        match = re.fullmatch(r"\s*(?:([a-z]+)\.)?([a-z-]+)=(\d+(?:\.\d+)?|\.\d+)\s*", item)
        if match is None:
            raise UsageError(
                f"the fault {item.strip()[:40]!r} is not NAME=RATE",
                hint="for example: lost-reply=0.1,telnyx.rate-limit=0.05",
            )
        peer, name, rate = match[1], match[2], float(match[3])
        if name not in FAULTS:
            near = get_close_matches(name, FAULTS, 1)
            raise UsageError(
                f"there is no fault {name[:40]!r}",
                hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(FAULTS)}",
            )
        if peer is not None and peer not in PEERS:
            raise UsageError(f"there is no peer {peer[:40]!r}", hint=f"there are: {', '.join(PEERS)}")
        if rate > 1:
            raise UsageError(f"the rate of {name} is more than 1", hint="rates are probabilities from 0 to 1")
        for one in (peer,) if peer else PEERS:
            rates[one, name] = rate
    return FaultPlan(rates)


class Faults:
    """The running plan with its own seeded chances, so that other uses of chance do not shift it."""

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        self.plan = plan
        self._seed = seed
        self._chances: dict[tuple[str, Where], random.Random] = {}

    def restart(self) -> None:
        """Begin the sequences of choices again."""
        self._chances.clear()

    def choose(self, peer: str, where: Where = "request", *, creates: bool = False) -> Fault | None:
        """Return what goes wrong with this event, or None: at most one fault for each."""
        # Each kind of event at each peer has a sequence of its own: which peer is first at something is no choice.
        chance = self._chances.get((peer, where))
        if chance is None:
            seed = f"{self._seed}:faults:{peer}:{where}"
            chance = self._chances[peer, where] = random.Random(seed)  # noqa: S311  # a repeatable choice is the point
        for (whom, name), rate in self.plan.rates.items():
            fault = FAULTS[name]
            if whom != peer or fault.strikes != where or (fault.creates_only and not creates):
                continue
            if chance.random() < rate:
                return fault
        return None


def strike(world: World, peer: str, where: Where, **details: str) -> str:
    """Choose what goes wrong with a webhook, a stream or a handshake; note it and return its name, or nothing."""
    faults = world.rooms.get(Faults)
    fault = faults.choose(peer, where) if isinstance(faults, Faults) else None
    if fault is None:
        return ""
    world.history.record(peer, "fault", fault=fault.name, **details)
    return fault.name
