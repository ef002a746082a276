"""The life of an attempt as the journal writes it: which step may follow which state, and what each step tells.

What is *not* in the table is the promise. From `leg_intent` and from `unknown` no second `leg_intent` leads on: bytes
that may have rung a phone are never sent again. From `unknown` no refusal leads back: after a lost reply, a refusal of
something later proves nothing about the first request. And nothing but `refreshed` leads on from `ended`: a process
that slept while another one settled its attempt finds the way to the carrier closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from uvcall.errors import LocalError, Placed


class State(StrEnum):
    """Where an attempt is, as far as this machine knows."""

    INTENT = "intent"  #: nothing has been sent to the carrier, perhaps a Create Call to Ultravox
    ULTRAVOX_CREATED = "ultravox_created"  #: an agent waits, silent, until its join timeout
    LEG_INTENT = "leg_intent"  #: bytes that may ring a phone may have left
    NOT_PLACED = "not_placed"  #: the carrier has refused, or never got the request; another may be asked
    PLACED = "placed"  #: the carrier says that the leg exists
    UNKNOWN = "unknown"  #: a phone may have rung, or may yet
    ENDED = "ended"


class Step(StrEnum):
    """What happens to an attempt after its intent."""

    ULTRAVOX_CREATED = "ultravox_created"
    LEG_INTENT = "leg_intent"  #: committed right before the carrier's bytes leave
    LEG_REFUSED = "leg_refused"  #: the carrier's definite answer to the one request
    LEG_NOT_SENT = "leg_not_sent"  #: no byte of the request arrived
    LEG_CANCELED = "leg_canceled"  #: the carrier had queued it and says that it was canceled before it rang
    PLACED = "placed"  #: accepted, adopted, or further ids of it learned
    UNKNOWN = "unknown"
    LEFT = "left"  #: the command ends and the call goes on: `--detach`, `--timeout`, a second signal
    ENDED = "ended"
    ASSUMED_NOT_PLACED = "assumed_not_placed"  #: the operator's word, not the carrier's
    REFRESHED = "refreshed"  #: the vendors knew more after the end: cost, duration


_S, _T = State, Step

#: (state, step) → state. A pair that is absent is an illegal step.
TRANSITIONS: Final[Mapping[tuple[State, Step], State]] = MappingProxyType(
    {
        (_S.INTENT, _T.ULTRAVOX_CREATED): _S.ULTRAVOX_CREATED,
        (
            _S.INTENT,
            _T.LEG_INTENT,
        ): _S.LEG_INTENT,  # Ultravox itself dials: its Create Call is the leg's request
        (_S.INTENT, _T.ENDED): _S.ENDED,
        (_S.ULTRAVOX_CREATED, _T.ULTRAVOX_CREATED): _S.ULTRAVOX_CREATED,  # asked again: it rings nobody
        (_S.ULTRAVOX_CREATED, _T.LEG_INTENT): _S.LEG_INTENT,
        (_S.ULTRAVOX_CREATED, _T.ENDED): _S.ENDED,
        (_S.LEG_INTENT, _T.ULTRAVOX_CREATED): _S.LEG_INTENT,  # the id of the call that Ultravox dialed
        (_S.LEG_INTENT, _T.LEG_REFUSED): _S.NOT_PLACED,
        (_S.LEG_INTENT, _T.LEG_NOT_SENT): _S.NOT_PLACED,
        (_S.LEG_INTENT, _T.PLACED): _S.PLACED,
        (_S.LEG_INTENT, _T.UNKNOWN): _S.UNKNOWN,
        (_S.LEG_INTENT, _T.ENDED): _S.ENDED,  # found at the carrier, over already
        (_S.LEG_INTENT, _T.ASSUMED_NOT_PLACED): _S.ENDED,
        (_S.NOT_PLACED, _T.ULTRAVOX_CREATED): _S.ULTRAVOX_CREATED,  # its join timeout was too near
        (_S.NOT_PLACED, _T.LEG_INTENT): _S.LEG_INTENT,
        (_S.NOT_PLACED, _T.ENDED): _S.ENDED,
        (_S.PLACED, _T.PLACED): _S.PLACED,
        (_S.PLACED, _T.LEG_CANCELED): _S.NOT_PLACED,
        (_S.PLACED, _T.LEFT): _S.PLACED,
        (_S.PLACED, _T.ENDED): _S.ENDED,
        (_S.UNKNOWN, _T.ULTRAVOX_CREATED): _S.UNKNOWN,
        (_S.UNKNOWN, _T.UNKNOWN): _S.UNKNOWN,  # looked for again, in vain
        (_S.UNKNOWN, _T.PLACED): _S.PLACED,
        (_S.UNKNOWN, _T.ENDED): _S.ENDED,
        (_S.UNKNOWN, _T.ASSUMED_NOT_PLACED): _S.ENDED,
        (_S.ENDED, _T.REFRESHED): _S.ENDED,
    }
)

#: Whether a phone may have rung because of an attempt in this state. `ended` keeps what its last step said.
FATE: Final[Mapping[State, Placed]] = MappingProxyType(
    {
        State.INTENT: "no",
        State.ULTRAVOX_CREATED: "no",
        State.LEG_INTENT: "unknown",
        State.NOT_PLACED: "no",
        State.PLACED: "yes",
        State.UNKNOWN: "unknown",
    }
)

#: The only `placed` with which an attempt may end from a state. A leg whose fate is open ends by being found.
VERDICTS: Final[Mapping[State, Placed]] = MappingProxyType(
    {state: "yes" if fate == "unknown" else fate for state, fate in FATE.items()}
)

_RESULT: Final = frozenset(
    {"outcome", "exit_code", "answered_at", "ended_at", "duration_s", "end_reason", "cost", "error"}
)
_IDS: Final = frozenset({"ultravox_call_id", "carrier_call_id", "carrier_ids"})

#: What each step may tell.
MAY_TELL: Final[Mapping[Step, frozenset[str]]] = MappingProxyType(
    {
        Step.ULTRAVOX_CREATED: frozenset({"ultravox_call_id", "death_at"}),
        # The Ultravox id too, for a caller that saves itself the commit before this one.
        Step.LEG_INTENT: frozenset(
            {"ultravox_call_id", "provider", "from_", "ring_timeout_s", "time_limit_s", "death_at"}
        ),
        Step.LEG_REFUSED: frozenset({"reason", "error"}),
        Step.LEG_NOT_SENT: frozenset({"reason", "error"}),
        Step.LEG_CANCELED: frozenset({"reason"}),
        Step.PLACED: _IDS | {"death_at", "reason"},
        Step.UNKNOWN: frozenset({"reason", "outcome", "exit_code", "error", "ultravox_call_id"}),
        Step.LEFT: _RESULT | _IDS | {"reason"},
        Step.ENDED: _RESULT | _IDS | {"placed", "reason"},
        Step.ASSUMED_NOT_PLACED: frozenset({"by"}),
        Step.REFRESHED: (_RESULT | {"carrier_ids"}) - {"error"},
    }
)

#: What each step must tell.
MUST_TELL: Final[Mapping[Step, frozenset[str]]] = MappingProxyType(
    {
        Step.ULTRAVOX_CREATED: frozenset({"ultravox_call_id"}),
        Step.UNKNOWN: frozenset({"reason"}),
        Step.LEFT: frozenset({"outcome", "exit_code"}),
        Step.ENDED: frozenset({"outcome", "exit_code", "placed"}),
        Step.ASSUMED_NOT_PLACED: frozenset({"by"}),
    }
)


class IllegalStep(LocalError):
    """The attempt is not where this step could happen: another process has settled it, or uvcall has a bug."""


def advance(state: State, step: Step, attempt_id: str) -> State:
    """Return the state after the step.

    Raises:
        IllegalStep: The step cannot follow the state.
    """
    after = TRANSITIONS.get((state, step))
    if after is None:
        raise IllegalStep(
            f"attempt {attempt_id} is {state} in the journal: no {step} can follow",
            hint=f"another process may have settled it: uvcall calls show {attempt_id}",
        )
    return after
