"""What every joined call has, whatever its medium: a time limit, faults, and orders by data message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from aiohttp import web

from uvcall.core.wire.ultravox_messages import (
    DataMessage,
    ForcedAgentMessage,
    HangUp,
    InputText,
    SetOutputMedium,
    SpawnThread,
    ToolResult,
    UserText,
)
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.faults import DROP_S, strike
from uvcall.sandbox.script import ToolCall
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import World


class Session(Protocol):
    """A socket that has joined a call."""

    async def run(self) -> None:
        """Talk until somebody ends it, and write down who did."""

    def break_off(self) -> None:
        """Let the connection just break: no close frame, nothing."""


def break_off(request: web.Request) -> None:
    """Let the request's connection just break."""
    if request.transport is not None:
        request.transport.abort()


def obey(talk: Conversation, message: DataMessage) -> str:
    """Do what a client's data message asks of the agent; return what is wrong with it, or nothing.

    https://docs.ultravox.ai/apps/datamessages
    """
    match message:
        case UserText(text, urgency):
            talk.tell(text, urgency)
        case InputText(text, defer_response):
            talk.tell(text, "later" if defer_response else "soon")
        case SetOutputMedium(medium):
            talk.voice = medium == "voice"
        case ForcedAgentMessage():
            talk.force(message.content, uninterruptible=message.uninterruptible, soon=message.urgency != "immediate")
            for call in message.tool_calls:
                talk.invoke(_tool_call(call))
        case HangUp(text):
            talk.force(text, ends_with="agent_hangup")
        case ToolResult():
            return "" if talk.answer(message) else "nobody waits for the result of that invocation"
        case SpawnThread():
            return "the sandbox has no threads"
        case _:
            return f"a client does not send {type(message).__name__}"
    return ""


def _tool_call(call: Any) -> ToolCall:
    """Return a forced tool call: `{id?, name, arguments}`."""
    arguments = call.get("arguments")
    name, invocation = (str(call.get(key) or "")[:64] for key in ("name", "id"))
    return ToolCall(name, arguments if isinstance(arguments, dict) else {}, invocation)


@contextlib.contextmanager
def alive(
    world: World, kept: Calls, call: SandboxCall, talk: Conversation, flush: Callable[[], Any], drop: Callable[[], None]
) -> Iterator[None]:
    """Let the call be joined, be told things by the REST API, and run into its time limit and faults.

    Args:
        world: The world.
        kept: All calls.
        call: This one.
        talk: Its conversation.
        flush: Returns a coroutine that does what the conversation asks for.
        drop: Breaks the connection.
    """
    loop = asyncio.get_running_loop()

    def control(message: DataMessage) -> None:
        obey(talk, message)
        world.spawn(flush(), f"data message {call.call_id}")

    def time_is_up() -> None:
        talk.force(call.settings.get("timeExceededMessage") or "", ends_with="timeout")
        world.spawn(flush(), f"time limit {call.call_id}")

    call.control = control
    kept.join(call)
    limit = loop.call_later(seconds(call.settings["maxDuration"]) / world.pace.speed, time_is_up)
    if strike(world, "ultravox", "stream", call_id=call.call_id):
        loop.call_later(DROP_S / world.pace.speed, drop)
    try:
        yield
    finally:
        limit.cancel()
        call.control = None
        talk.close()
