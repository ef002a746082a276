"""What the scripted agent is asked for, and what it does, as values: no socket, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from uvcall.core import NOTHING

#: How far ahead of its playing the agent sends its voice to a carrier, seconds.
AHEAD_S: Final = 0.2
#: After its own line the agent waits so long for an answer before it goes on with its script, seconds.
PATIENCE_S: Final = 0.5

State = Literal["listening", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class Nudge:
    """What to say to a silent user. `then`: empty, or whether to hang up afterwards."""

    after_s: float
    text: str
    then: Literal["", "soft", "strict"] = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client has. `reaction` is what the agent does with a result that does not say."""

    name: str
    timeout_s: float = 2.5
    reaction: str = "speaks"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A line of the script in which the agent does not speak but calls a tool."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    invocation_id: str = ""  #: empty: a new one


@dataclass(frozen=True, slots=True)
class Plan:
    """What the created call asks of the agent. Times are seconds."""

    script: tuple[str | ToolCall, ...]  #: the last line ends the call
    opens_after_s: float | None = 0.0  #: None: only the user opens
    opening: str = ""  #: in place of the script's first line
    interruptible: bool = True  #: the opening
    endpoint_s: float = 0.384
    least_turn_s: float = 0.0
    least_interruption_s: float = 0.09
    nudges: tuple[Nudge, ...] = ()
    digits_text: str | None = "{digits}"  #: None: keys are ignored
    voice: bool = True  #: False: lines are text, which no phone can play
    drops: bool = False  #: the scenario `agent-drop`
    ahead_s: float = AHEAD_S
    patience_s: float = PATIENCE_S
    reports: bool = True  #: the other side tells when a line has been played; else it counts as played in its time
    tools: Mapping[str, Tool] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the transcript; `start` and `end` are seconds since the agent joined."""

    role: Literal["user", "agent", "tool_call", "tool_result"]
    text: str
    start: float
    end: float
    voice: bool = True
    tool: str = ""
    invocation_id: str = ""


@dataclass(frozen=True, slots=True)
class Speak:
    """Send this PCM to the other side."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class AskMark:
    """Ask the carrier to tell when everything so far has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class DropQueued:
    """Tell the other side to drop what it has not played."""


@dataclass(frozen=True, slots=True)
class Leave:
    """End the call. `reason` is Ultravox's endReason; `abrupt`: the connection just breaks."""

    reason: str
    abrupt: bool = False


Action = Speak | AskMark | DropQueued | Leave


@dataclass(frozen=True, slots=True)
class Mood:
    """What the agent does from now on."""

    state: State


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the transcript: more of it (`delta`), or, at its end, all of it (`text`)."""

    role: Literal["user", "agent"]
    ordinal: int
    voice: bool
    delta: str = ""
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Invoke:
    """The agent calls a tool of the client."""

    call: ToolCall


#: What a data channel tells beside the sound.
Word = Mood | Piece | Invoke
