"""What is said on the Ultravox socket, as values: `wire.ultravox` reads and writes them.

https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from uvcall.core import NOTHING

Urgency = Literal["immediate", "soon", "later"]
Medium = Literal["voice", "text"]


@dataclass(frozen=True, slots=True)
class Ping:
    """The client measures the round trip; any number comes back in `Pong`."""

    timestamp: float


@dataclass(frozen=True, slots=True)
class UserText:
    """The client says something in writing, as the user; `thread_id` None is the conversation with the user itself."""

    text: str
    urgency: Urgency = "soon"
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputText:
    """The older form of `UserText`, which Ultravox's own SDKs still send."""

    text: str
    defer_response: bool = False


@dataclass(frozen=True, slots=True)
class SetOutputMedium:
    """The agent shall speak, or write."""

    medium: Medium


@dataclass(frozen=True, slots=True)
class ForcedAgentMessage:
    """The agent shall say this now, and call these tools."""

    content: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    uninterruptible: bool = False
    urgency: Urgency | None = None
    known_tool_results: tuple[Mapping[str, Any], ...] = ()
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class HangUp:
    """The agent shall end the call, after these words if there are any."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The client's answer to `ToolInvocation`. `result` is text, JSON as a rule."""

    invocation_id: str
    result: str | None = None
    response_type: str = "tool-response"
    agent_reaction: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    update_call_state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DataConnectionToolResult(ToolResult):
    """The answer to `DataConnectionToolInvocation`."""


@dataclass(frozen=True, slots=True)
class SpawnThread:
    """A second generation shall run beside the conversation. https://docs.ultravox.ai/agents/threads."""

    new_thread_id: str | None = None
    parent_thread_id: str | None = None
    if_exists: str | None = None
    additional_messages: tuple[Mapping[str, Any], ...] = ()
    tool_filter: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The agent is there."""

    call_id: str


@dataclass(frozen=True, slots=True)
class State:
    """What the agent does now: idle, listening, thinking, speaking."""

    state: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A piece of an utterance: `text` replaces what is known of this `ordinal`, `delta` goes after it."""

    role: Literal["user", "agent"]
    medium: Medium
    ordinal: int
    final: bool = False
    text: str | None = None
    delta: str | None = None


@dataclass(frozen=True, slots=True)
class ToolInvocation:
    """The agent calls a tool that the client has."""

    tool_name: str
    invocation_id: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class DataConnectionToolInvocation(ToolInvocation):
    """The agent calls a tool of a data connection; off on a client's own socket unless the call asked for it."""


@dataclass(frozen=True, slots=True)
class PlaybackClearBuffer:
    """The user has interrupted: the client shall drop what it has not played yet."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    timestamp: float


@dataclass(frozen=True, slots=True)
class Debug:
    """A line for developers; off unless the call asked for it."""

    message: str


@dataclass(frozen=True, slots=True)
class Other:
    """A message of a type that is not above: kept whole, for whoever knows it.

    So come the messages of threads (`thread_spawned`, `side_generation_delta`, …) and those whose fields the documents
    do not tell: `call_event`, `tool_used`, `invoking_tool`, `user_started_speaking`, `user_stopped_speaking`, `error`.
    """

    type: str
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


ClientMessage = Ping | UserText | InputText | SetOutputMedium | ForcedAgentMessage | HangUp | ToolResult | SpawnThread
ServerMessage = CallStarted | State | Transcript | ToolInvocation | PlaybackClearBuffer | Pong | Debug
DataMessage = ClientMessage | ServerMessage | Other
