"""Data messages on the Ultravox socket, both directions, and the signature of Ultravox's webhooks.

https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, Final, cast

from uvcall.core.wire import messages as m
from uvcall.core.wire.events import WireError
from uvcall.core.wire.ultravox_messages import (
    CallStarted,
    ClientMessage,
    DataConnectionToolInvocation,
    DataConnectionToolResult,
    DataMessage,
    Debug,
    ForcedAgentMessage,
    HangUp,
    InputText,
    Medium,
    Other,
    Ping,
    PlaybackClearBuffer,
    Pong,
    ServerMessage,
    SetOutputMedium,
    SpawnThread,
    State,
    ToolInvocation,
    ToolResult,
    Transcript,
    Urgency,
    UserText,
)
from uvcall.core.wire.ultravox_webhook import sign, verify

__all__ = [
    "CallStarted",
    "ClientMessage",
    "DataConnectionToolInvocation",
    "DataConnectionToolResult",
    "DataMessage",
    "Debug",
    "ForcedAgentMessage",
    "HangUp",
    "InputText",
    "Other",
    "Ping",
    "PlaybackClearBuffer",
    "Pong",
    "ServerMessage",
    "SetOutputMedium",
    "SpawnThread",
    "State",
    "ToolInvocation",
    "ToolResult",
    "Transcript",
    "UserText",
    "as_object",
    "decode",
    "encode",
    "from_object",
    "sign",
    "verify",
]

#: Ultravox promises nothing above 16 kB; tool parameters and results may come close to it from either side.
LARGEST_MESSAGE: Final = 1 << 20


def encode(message: DataMessage) -> str:
    """Return the message as compact JSON text.

    Raises:
        WireError: It cannot be said in JSON, or is longer than 1 MiB.
    """
    text = m.dump(as_object(message))
    if len(text) > LARGEST_MESSAGE:
        raise WireError(f"the message is longer than {LARGEST_MESSAGE:,} bytes")
    return text


def as_object(message: DataMessage) -> dict[str, Any]:
    """Return the message as a JSON object, as `send_data_message` of the REST API takes it.

    Raises:
        WireError: A transcript with neither or both of text and delta, or a known type in disguise.
    """
    if isinstance(message, Other):
        if message.type in _READERS or not message.type:
            raise WireError("a message of another type needs a type that is not known")
        return {**message.raw, "type": message.type}
    if isinstance(message, Transcript) and (message.text is None) == (message.delta is None):
        raise WireError("a transcript has either text or delta")
    kind, names, always = _WRITERS[type(message)]
    found: dict[str, Any] = {"type": kind}
    for attribute in fields(message):
        value = getattr(message, attribute.name)
        name = names[attribute.name]
        if name in always or attribute.default is MISSING or value != attribute.default:
            found[name] = _plain(value)
    return found


def decode(text: str) -> DataMessage:
    """Read a message of either side.

    Raises:
        WireError: It is not a JSON object with a type, or a known type's fields are not what they must be.
    """
    return from_object(m.load(text, LARGEST_MESSAGE))


def from_object(message: Mapping[str, Any]) -> DataMessage:
    """Read a message that is a JSON object already. Raises as `decode`."""
    kind = m.string(message, "type")
    if not kind:
        raise WireError("type is empty")
    read = _READERS.get(kind)
    return read(message) if read else Other(kind, {key: value for key, value in message.items() if key != "type"})


def _plain(value: Any) -> Any:
    """Return the value as the JSON encoder takes it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _text(message: Mapping[str, Any], name: str) -> str:
    """Return a text of any length; the message as a whole is bounded."""
    value = message.get(name)
    if not isinstance(value, str):
        raise WireError(f"{name} is not a string")
    return value


def _optional(message: Mapping[str, Any], name: str) -> str | None:
    return None if message.get(name) is None else _text(message, name)


def _flag(message: Mapping[str, Any], name: str) -> bool:
    value = message.get(name)
    if value is not None and not isinstance(value, bool):
        raise WireError(f"{name} is not true or false")
    return bool(value)


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(f"{name} is not a number")
    return value


def _one_of(message: Mapping[str, Any], name: str, words: Sequence[str]) -> Any:
    value = message.get(name)
    if value not in words:
        raise WireError(f"{name} is not one of {', '.join(words)}")
    return value


def _urgency(message: Mapping[str, Any]) -> Urgency | None:
    words = ("immediate", "soon", "later")
    return None if message.get("urgency") is None else cast("Urgency", _one_of(message, "urgency", words))


def _medium(message: Mapping[str, Any]) -> Medium:
    return cast("Medium", _one_of(message, "medium", ("voice", "text")))


def _objects(message: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    found = message.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise WireError(f"{name} is not a list of objects")
    return tuple(found)


def _object(message: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = message.get(name)
    if value is not None and not isinstance(value, dict):
        raise WireError(f"{name} is not an object")
    return value


def _read_user_text(message: Mapping[str, Any]) -> UserText:
    return UserText(_text(message, "text"), _urgency(message) or "soon", _optional(message, "threadId"))


def _read_forced(message: Mapping[str, Any]) -> ForcedAgentMessage:
    return ForcedAgentMessage(
        content=_optional(message, "content") or "",
        tool_calls=_objects(message, "toolCalls"),
        uninterruptible=_flag(message, "uninterruptible"),
        urgency=_urgency(message),
        known_tool_results=_objects(message, "knownToolResults"),
        thread_id=_optional(message, "threadId"),
    )


def _read_thread(message: Mapping[str, Any]) -> SpawnThread:
    return SpawnThread(
        new_thread_id=_optional(message, "newThreadId"),
        parent_thread_id=_optional(message, "parentThreadId"),
        if_exists=_optional(message, "ifExists"),
        additional_messages=_objects(message, "additionalMessages"),
        tool_filter=_object(message, "toolFilter"),
        limits=_object(message, "limits"),
    )


def _read_result(message: Mapping[str, Any], kind: type[ToolResult] = ToolResult) -> ToolResult:
    return kind(
        invocation_id=m.string(message, "invocationId"),
        result=_optional(message, "result"),
        response_type=_optional(message, "responseType") or "tool-response",
        agent_reaction=_optional(message, "agentReaction"),
        error_type=_optional(message, "errorType"),
        error_message=_optional(message, "errorMessage"),
        update_call_state=_object(message, "updateCallState"),
    )


def _read_transcript(message: Mapping[str, Any]) -> Transcript:
    text, delta = _optional(message, "text"), _optional(message, "delta")
    if text is not None and delta is not None:
        # Real streams hold an empty text beside a delta; it means that there is none.
        text, delta = text or None, delta or (None if text else delta)
    if (text is None) == (delta is None):
        raise WireError("a transcript has either text or delta")
    return Transcript(
        role=_one_of(message, "role", ("user", "agent")),
        medium="voice" if message.get("medium") is None else _medium(message),
        ordinal=m.integer(message, "ordinal"),
        final=_flag(message, "final"),
        text=text,
        delta=delta,
    )


def _read_invocation(message: Mapping[str, Any], kind: type[ToolInvocation] = ToolInvocation) -> ToolInvocation:
    parameters = _object(message, "parameters") or {}
    return kind(m.string(message, "toolName"), m.string(message, "invocationId"), parameters)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], DataMessage]]] = MappingProxyType(
    {
        "ping": lambda message: Ping(_number(message, "timestamp")),
        "user_text_message": _read_user_text,
        "input_text_message": lambda message: InputText(_text(message, "text"), _flag(message, "deferResponse")),
        "set_output_medium": lambda message: SetOutputMedium(_medium(message)),
        "forced_agent_message": _read_forced,
        "hang_up": lambda message: HangUp(_optional(message, "message") or ""),
        "client_tool_result": _read_result,
        "data_connection_tool_result": lambda message: _read_result(message, DataConnectionToolResult),
        "spawn_thread": _read_thread,
        "call_started": lambda message: CallStarted(m.string(message, "callId")),
        "state": lambda message: State(m.string(message, "state")),
        "transcript": _read_transcript,
        "client_tool_invocation": _read_invocation,
        "data_connection_tool_invocation": lambda message: _read_invocation(message, DataConnectionToolInvocation),
        "playback_clear_buffer": lambda _: PlaybackClearBuffer(),
        "pong": lambda message: Pong(_number(message, "timestamp")),
        "debug": lambda message: Debug(_text(message, "message")),
    }
)

_RESULT: Final = {
    "invocation_id": "invocationId",
    "result": "result",
    "response_type": "responseType",
    "agent_reaction": "agentReaction",
    "error_type": "errorType",
    "error_message": "errorMessage",
    "update_call_state": "updateCallState",
}
_TRANSCRIPT: Final = {
    "role": "role",
    "medium": "medium",
    "text": "text",
    "delta": "delta",
    "final": "final",
    "ordinal": "ordinal",
}
_INVOCATION: Final = {"tool_name": "toolName", "invocation_id": "invocationId", "parameters": "parameters"}
_FORCED: Final = {
    "content": "content",
    "tool_calls": "toolCalls",
    "uninterruptible": "uninterruptible",
    "urgency": "urgency",
    "known_tool_results": "knownToolResults",
    "thread_id": "threadId",
}
_THREAD: Final = {
    "new_thread_id": "newThreadId",
    "parent_thread_id": "parentThreadId",
    "if_exists": "ifExists",
    "additional_messages": "additionalMessages",
    "tool_filter": "toolFilter",
    "limits": "limits",
}
#: The type on the wire, attribute → member, and the members that are said even when they have their default.
_WRITERS: Final[Mapping[type, tuple[str, Mapping[str, str], tuple[str, ...]]]] = MappingProxyType(
    {
        Ping: ("ping", {"timestamp": "timestamp"}, ()),
        UserText: ("user_text_message", {"text": "text", "urgency": "urgency", "thread_id": "threadId"}, ()),
        InputText: ("input_text_message", {"text": "text", "defer_response": "deferResponse"}, ()),
        SetOutputMedium: ("set_output_medium", {"medium": "medium"}, ()),
        ForcedAgentMessage: ("forced_agent_message", _FORCED, ()),
        HangUp: ("hang_up", {"message": "message"}, ()),
        ToolResult: ("client_tool_result", _RESULT, ("responseType",)),
        DataConnectionToolResult: ("data_connection_tool_result", _RESULT, ("responseType",)),
        SpawnThread: ("spawn_thread", _THREAD, ()),
        CallStarted: ("call_started", {"call_id": "callId"}, ()),
        State: ("state", {"state": "state"}, ()),
        Transcript: ("transcript", _TRANSCRIPT, ("final",)),
        ToolInvocation: ("client_tool_invocation", _INVOCATION, ()),
        DataConnectionToolInvocation: ("data_connection_tool_invocation", _INVOCATION, ()),
        PlaybackClearBuffer: ("playback_clear_buffer", {}, ()),
        Pong: ("pong", {"timestamp": "timestamp"}, ()),
        Debug: ("debug", {"message": "message"}, ()),
    }
)
