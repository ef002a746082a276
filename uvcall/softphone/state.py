"""The life of a conversation over any transport: a transition table and one step function."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Phase(StrEnum):
    """Where the conversation is."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"  #: the transport stands; nothing has come from the agent's side yet
    TALKING = "talking"
    LEAVING = "leaving"  #: we have hung up and wait for the other side to close
    OVER = "over"


class Happening(StrEnum):
    """What moves it."""

    DIAL = "dial"
    OPENED = "opened"
    HEARD = "heard"  #: audio or a message of the agent's side
    HANG_UP = "hang_up"
    CLOSED = "closed"


_P, _H = Phase, Happening

#: (phase, happening) → phase. A pair that is absent is an illegal move: a bug of the transport or of its driver.
TRANSITIONS: Final[Mapping[tuple[Phase, Happening], Phase]] = MappingProxyType(
    {
        (_P.IDLE, _H.DIAL): _P.CONNECTING,
        (_P.IDLE, _H.HANG_UP): _P.OVER,
        (_P.IDLE, _H.CLOSED): _P.OVER,
        (_P.CONNECTING, _H.OPENED): _P.OPEN,
        (_P.CONNECTING, _H.HANG_UP): _P.OVER,
        (_P.CONNECTING, _H.CLOSED): _P.OVER,
        (_P.OPEN, _H.HEARD): _P.TALKING,
        (_P.OPEN, _H.HANG_UP): _P.LEAVING,
        (_P.OPEN, _H.CLOSED): _P.OVER,
        (_P.TALKING, _H.HEARD): _P.TALKING,
        (_P.TALKING, _H.HANG_UP): _P.LEAVING,
        (_P.TALKING, _H.CLOSED): _P.OVER,
        # Until the other side has closed, what it still says is heard.
        (_P.LEAVING, _H.HEARD): _P.LEAVING,
        (_P.LEAVING, _H.HANG_UP): _P.LEAVING,
        (_P.LEAVING, _H.CLOSED): _P.OVER,
        (_P.OVER, _H.HEARD): _P.OVER,
        (_P.OVER, _H.HANG_UP): _P.OVER,
        (_P.OVER, _H.CLOSED): _P.OVER,
    }
)


class IllegalMove(RuntimeError):
    """Something happened in a phase in which it cannot."""


def step(phase: Phase, happening: Happening) -> Phase:
    """Return the phase after the happening.

    Raises:
        IllegalMove: It cannot happen there.
    """
    after = TRANSITIONS.get((phase, happening))
    if after is None:
        raise IllegalMove(f"{happening} cannot happen while {phase}")
    return after
