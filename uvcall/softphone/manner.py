"""How a conversation is held, and what is told of it while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from uvcall.softphone.session import AgentState, Note, RoundTrip, Spoken, Started
from uvcall.softphone.tools import DEFAULT_LIMIT_S, ClientTool


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud both sides are now: 0 to 32,768. `open`: the microphone is heard."""

    person: int
    agent: int
    open: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """The transport stands."""


News = Spoken | AgentState | Started | RoundTrip | Note | Levels | Joined


@dataclass(frozen=True, slots=True)
class Manner:
    """How the conversation is held. Times are seconds, rates samples per second.

    Attributes:
        rate: Of what is sent.
        output_rate: Of what comes.
        buffer_s: How far ahead of its playing the agent's voice comes.
        muted: Begin with the microphone shut.
        half_duplex: The microphone is shut while the agent is heard.
        writes: The agent is to write, not to speak.
        linger_s: After the input's end, hang up when the agent has said nothing for so long; None: never.
        silent_s: How long the first word of the agent's side is waited for.
        leave_s: How long, after a hang-up, the other side is given to close; then this one does.
        tools: The client's own tools, by name.
        tool_limit_s: How long one may take.
    """

    rate: int
    output_rate: int
    buffer_s: float = 30.0
    muted: bool = False
    half_duplex: bool = False
    writes: bool = False
    linger_s: float | None = None
    silent_s: float = 12.0
    leave_s: float = 2.0
    tools: Mapping[str, ClientTool] = field(default_factory=dict)
    tool_limit_s: float = DEFAULT_LIMIT_S
