"""The client's tools as the agent knows them: what was called, until when a result is waited for, what comes of it.

https://docs.ultravox.ai/tools/custom/http-vs-client-tools
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from uvcall.core import NOTHING
from uvcall.core.wire.ultravox_messages import ToolResult
from uvcall.sandbox.script import Tool, ToolCall


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a result means for the conversation: the transcript's line, what the agent says, whether it hangs up."""

    tool: str
    invocation_id: str
    text: str
    says: str = ""
    hangs_up: bool = False


@dataclass(slots=True)
class Toolbox:
    """The tools of one call. Times are seconds of the conversation."""

    tools: Mapping[str, Tool] = field(default_factory=lambda: NOTHING)
    _waiting: dict[str, tuple[Tool, float]] = field(default_factory=dict)
    _calls: int = 0

    @property
    def busy(self) -> bool:
        """Say whether a result is waited for: the conversation stands still meanwhile."""
        return bool(self._waiting)

    def begin(self, call: ToolCall, now: float) -> ToolCall | None:
        """Wait for the call's result from now on; return the call with its id, or None when there is no such tool."""
        tool = self.tools.get(call.name)
        if tool is None:
            return None
        self._calls += 1
        begun = call if call.invocation_id else replace(call, invocation_id=f"sandbox-{self._calls}")
        self._waiting[begun.invocation_id] = (tool, now + tool.timeout_s)
        return begun

    def take(self, result: ToolResult) -> Outcome | None:
        """Return what comes of a result, or None when nobody waits for it (any more)."""
        waiting = self._waiting.pop(result.invocation_id, None)
        if waiting is None:
            return None
        tool = waiting[0]
        text = result.error_message or result.result or "" if result.error_type else result.result or ""
        says = f"The tool {tool.name} failed." if result.error_type else f"The tool {tool.name} says: {text[:200]}"
        reaction = result.agent_reaction or tool.reaction
        hangs_up = result.response_type == "hang-up"
        return Outcome(
            tool.name, result.invocation_id, text, "" if reaction == "listens" or hangs_up else says, hangs_up
        )

    def late(self, now: float) -> list[Outcome]:
        """Return what comes of the calls whose time is over; they are waited for no longer."""
        over = [(name, tool) for name, (tool, until) in self._waiting.items() if now >= until]
        for name, _ in over:
            del self._waiting[name]
        words = "The tool {} took too long."
        return [Outcome(tool.name, name, words.format(tool.name), words.format(tool.name)) for name, tool in over]
