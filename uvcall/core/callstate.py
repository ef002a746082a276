"""The life of a call as its follower sees it: a transition table and one step function.

Two peers are watched, the carrier and Ultravox, by polling; so a sighting may come late, twice, or not at all. The
table therefore holds, for every state, the sightings that are possible there; a pair that is absent is an illegal move.
A state never moves backwards.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from uvcall.core.model import LegState, LegStatus, UltravoxCall


class CallState(StrEnum):
    """Where the call is, both peers taken together."""

    PLACED = "placed"  #: the carrier has accepted it; it does not ring yet
    RINGING = "ringing"
    ANSWERED = "answered"  #: somebody picked up; the agent is not there yet
    TALKING = "talking"  #: the agent has joined
    LEG_OVER = "leg_over"  #: the carrier says it is over; Ultravox has not said so yet
    AGENT_OVER = "agent_over"  #: the agent has left; the leg is still there
    OVER = "over"


class Sighting(StrEnum):
    """One thing that a poll may show."""

    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"
    LEG_ENDED = "leg_ended"
    JOINED = "joined"
    AGENT_ENDED = "agent_ended"


_S, _E = CallState, Sighting

#: (state, sighting) → state. An unjoined call that Ultravox has ended (its join time ran out) is seen as AGENT_ENDED.
TRANSITIONS: Final[dict[tuple[CallState, Sighting], CallState]] = {
    (_S.PLACED, _E.QUEUED): _S.PLACED,
    (_S.PLACED, _E.RINGING): _S.RINGING,
    (_S.PLACED, _E.ANSWERED): _S.ANSWERED,
    (_S.PLACED, _E.LEG_ENDED): _S.LEG_OVER,
    (_S.PLACED, _E.JOINED): _S.TALKING,
    (_S.PLACED, _E.AGENT_ENDED): _S.AGENT_OVER,
    (_S.RINGING, _E.RINGING): _S.RINGING,
    (_S.RINGING, _E.ANSWERED): _S.ANSWERED,
    (_S.RINGING, _E.LEG_ENDED): _S.LEG_OVER,
    (_S.RINGING, _E.JOINED): _S.TALKING,
    (_S.RINGING, _E.AGENT_ENDED): _S.AGENT_OVER,
    (_S.ANSWERED, _E.ANSWERED): _S.ANSWERED,
    (_S.ANSWERED, _E.LEG_ENDED): _S.LEG_OVER,
    (_S.ANSWERED, _E.JOINED): _S.TALKING,
    (_S.ANSWERED, _E.AGENT_ENDED): _S.AGENT_OVER,
    # The carrier's own view may lag behind the media: the agent can be there before the carrier says "answered".
    (_S.TALKING, _E.QUEUED): _S.TALKING,
    (_S.TALKING, _E.RINGING): _S.TALKING,
    (_S.TALKING, _E.ANSWERED): _S.TALKING,
    (_S.TALKING, _E.JOINED): _S.TALKING,
    (_S.TALKING, _E.LEG_ENDED): _S.LEG_OVER,
    (_S.TALKING, _E.AGENT_ENDED): _S.AGENT_OVER,
    (_S.LEG_OVER, _E.LEG_ENDED): _S.LEG_OVER,
    (_S.LEG_OVER, _E.JOINED): _S.LEG_OVER,
    (_S.LEG_OVER, _E.AGENT_ENDED): _S.OVER,
    (_S.AGENT_OVER, _E.QUEUED): _S.AGENT_OVER,
    (_S.AGENT_OVER, _E.RINGING): _S.AGENT_OVER,
    (_S.AGENT_OVER, _E.ANSWERED): _S.AGENT_OVER,
    (_S.AGENT_OVER, _E.AGENT_ENDED): _S.AGENT_OVER,
    (_S.AGENT_OVER, _E.LEG_ENDED): _S.OVER,
    (_S.OVER, _E.LEG_ENDED): _S.OVER,
    (_S.OVER, _E.AGENT_ENDED): _S.OVER,
}

_LEG_SIGHTING: Final = {
    LegState.QUEUED: Sighting.QUEUED,
    LegState.RINGING: Sighting.RINGING,
    LegState.ANSWERED: Sighting.ANSWERED,
    LegState.ENDED: Sighting.LEG_ENDED,
}


def sight_leg(status: LegStatus) -> Sighting:
    """Return what the carrier's answer shows."""
    return _LEG_SIGHTING[status.state]


def sight_agent(call: UltravoxCall) -> Sighting | None:
    """Return what Ultravox's answer shows; None while the agent waits to be joined."""
    if call.ended_at is not None or call.end_reason:
        return Sighting.AGENT_ENDED
    return Sighting.JOINED if call.joined_at is not None else None


def step(state: CallState, sighting: Sighting) -> CallState:
    """Return the state after the sighting; an illegal or belated one changes nothing.

    A carrier whose answers come from several machines may say "ringing" after "answered": what was seen stays seen.
    """
    return TRANSITIONS.get((state, sighting), state)
