"""From a created call's settings to what the scripted agent is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from uvcall.core.carrier import Provider
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.script import AHEAD_S, PATIENCE_S, Nudge, Plan, Tool, ToolCall
from uvcall.sandbox.speech import DEFAULT_SCRIPT, FAREWELL
from uvcall.sandbox.ultravox_schema import seconds
from uvcall.sandbox.world import Options

#: `END_BEHAVIOR_…` of an inactivity message.
_ENDINGS: Final[Mapping[str, Any]] = {"END_BEHAVIOR_HANG_UP_SOFT": "soft", "END_BEHAVIOR_HANG_UP_STRICT": "strict"}
#: `AGENT_REACTION_…` of a tool.
_REACTIONS: Final[Mapping[str, str]] = {
    "AGENT_REACTION_LISTENS": "listens",
    "AGENT_REACTION_SPEAKS_ONCE": "speaks-once",
}
#: https://docs.ultravox.ai/apps/websockets
_CLIENT_BUFFER_MS: Final = 60
#: Who sits at a terminal needs longer to answer than a scripted callee.
_TERMINAL_PATIENCE_S: Final = 3.0
#: A line of a script that calls a tool of the client: `!name {"argument": 1}`.
_CALL: Final = re.compile(r"!([a-zA-Z0-9_-]{1,64})(?:\s+(\{.*\}))?")


def plan(settings: Mapping[str, Any], options: Options) -> Plan:
    """Return what the created call, and the user of the sandbox, ask of the agent."""
    first = settings["firstSpeakerSettings"]
    user = first.get("user")
    agent = first.get("agent") or {}
    fallback = (user or {}).get("fallback")
    opening = fallback or {} if user is not None else agent
    opens = None if user is not None and fallback is None else seconds(opening.get("delay") or "0s")
    vad = settings.get("vadSettings") or {}
    keys: Mapping[str, Any] = next((one.get("dtmfHandling") or {} for one in settings["medium"].values()), {})
    on_phone = not settings["medium"].keys().isdisjoint(Provider)
    # https://docs.ultravox.ai/tools/custom/http-vs-client-tools: a phone has no client tools.
    tools = {} if on_phone else client_tools(settings)
    buffer_ms = (settings["medium"].get("serverWebSocket") or {}).get("clientBufferSizeMs")
    return Plan(
        script=_script(options.agent_script, tools),
        opens_after_s=opens,
        opening=opening.get("text") or "",
        interruptible=not agent.get("uninterruptible"),
        # The API's defaults. https://docs.ultravox.ai/api-reference/calls/calls-post
        endpoint_s=seconds(vad.get("turnEndpointDelay") or "0.384s"),
        least_turn_s=seconds(vad.get("minimumTurnDuration") or "0s"),
        least_interruption_s=seconds(vad.get("minimumInterruptionDuration") or "0.09s"),
        nudges=tuple(
            Nudge(
                seconds(item.get("duration") or "0s"),
                item.get("message", ""),
                _ENDINGS.get(item.get("endBehavior"), ""),
            )
            for item in settings["inactivityMessages"]
        ),
        digits_text=None if keys.get("ignore") else (keys.get("userTextMessage") or {}).get("text") or "{digits}",
        voice=settings["initialOutputMedium"] != "MESSAGE_MEDIUM_TEXT",
        drops=options.scenario is not None and SCENARIOS[options.scenario].agent_drops,
        ahead_s=AHEAD_S if on_phone else (_CLIENT_BUFFER_MS if buffer_ms is None else buffer_ms) / 1000,
        patience_s=PATIENCE_S if on_phone else _TERMINAL_PATIENCE_S,
        reports=on_phone,
        tools=tools,
    )


def client_tools(settings: Mapping[str, Any]) -> dict[str, Tool]:
    """Return the call's client tools by the names that the model knows."""
    found: dict[str, Tool] = {}
    for selected in settings.get("selectedTools") or []:
        tool = selected.get("temporaryTool") or {}
        name = selected.get("nameOverride") or tool.get("modelToolName")
        if tool.get("client") is not None and name:
            timeout = seconds(tool.get("timeout") or "2.5s")
            found[name] = Tool(name, min(timeout, 40.0), _REACTIONS.get(tool.get("defaultReaction") or "", "speaks"))
    return found


def _script(given: tuple[str, ...] | None, tools: Mapping[str, Tool]) -> tuple[str | ToolCall, ...]:
    """Return the lines: those given, or the shipped ones with a call of each tool between greeting and farewell."""
    if given is None:
        greeting, *rest = DEFAULT_SCRIPT
        return (greeting, *map(ToolCall, tools), *rest)
    lines = [_line(text, tools) for text in given]
    if isinstance(lines[-1], ToolCall):
        lines.append(FAREWELL)  # the last line ends the call, and must be one that can be said
    return tuple(lines)


def _line(text: str, tools: Mapping[str, Tool]) -> str | ToolCall:
    match = _CALL.fullmatch(text)
    if match is None or match[1] not in tools:
        return text
    try:
        return ToolCall(match[1], json.loads(match[2] or "{}"))
    except ValueError:
        return text
