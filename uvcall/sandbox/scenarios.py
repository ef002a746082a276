"""How the person who is called behaves, by name and by number.

The numbers are of the block that the North American plan keeps for fiction (NPA-555-01XX): nobody can own them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from uvcall.core.model import Cause

NUMBERS: Final = "+1202555010"  #: followed by the scenario's digit


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the phone network and the person do. Times are seconds of the world's life."""

    name: str
    about: str
    digit: int | None = None
    ring_s: float = 0.4  #: rings so long before the person acts; infinite: longer than any ring timeout
    rings: bool = True  #: False: the network refuses before any phone rings
    cause: Cause | None = None  #: how an unanswered call ends; None: it is answered
    machine: bool = False
    speaks: bool = True
    hang_up_after_s: float | None = None  #: after answering
    loses_reply: bool = False  #: the carrier places the call, and its reply never arrives
    refused_once: bool = False  #: the first order to the number is answered 429
    agent_joins: bool = True
    agent_drops: bool = False

    @property
    def number(self) -> str | None:
        """The number that chooses this scenario, if there is one."""
        return None if self.digit is None else f"{NUMBERS}{self.digit}"


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("answer", "answers and talks", 0),
        Scenario("busy", "is on the phone already", 1, ring_s=0.3, rings=False, cause=Cause.BUSY),
        Scenario("no-answer", "lets it ring", 2, ring_s=math.inf, cause=Cause.NO_ANSWER),
        Scenario("rejected", "presses the red button", 3, cause=Cause.REJECTED),
        Scenario("voicemail", "is away: an answering machine speaks", 4, machine=True),
        Scenario("failed", "has a number out of service", 5, ring_s=0.2, rings=False, cause=Cause.FAILED),
        Scenario("mute", "answers and never speaks", 6, speaks=False),
        Scenario("hangup-early", "answers and hangs up at once", 7, hang_up_after_s=0.8),
        Scenario("lost-reply", "answers, but the carrier's reply never arrives", 8, loses_reply=True),
        Scenario("rate-limited", "answers once the carrier has said 429", 9, refused_once=True),
        Scenario("no-join", "answers, and the agent never joins", agent_joins=False),
        Scenario("agent-drop", "answers, and the agent's side breaks", agent_drops=True),
    )
}

_BY_NUMBER: Final = {scenario.number: scenario for scenario in SCENARIOS.values() if scenario.number}


def scenario_for(name: str | None, to: str) -> Scenario:
    """Return the scenario of that name, else of the called number, else `answer`.

    Raises:
        KeyError: There is no scenario of that name.
    """
    if name is not None:
        return SCENARIOS[name]
    return _BY_NUMBER.get(to if to.startswith("+") else f"+{to}", SCENARIOS["answer"])
