"""`CallSpec` to the body of Create Call, one function per section.

https://docs.ultravox.ai/api-reference/calls/calls-post and https://docs.ultravox.ai/api-reference/agents/agents-calls-post
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from uvcall.core.model import NOTHING


@dataclass(frozen=True, slots=True)
class CallSpec:
    """What is said to Ultravox about a call: the flags and settings, before they become JSON.

    `None` and empty mean "not given": the field stays out of the body unless `base` has it. Durations are seconds.
    """

    medium: Mapping[str, Any]  #: {"telnyx": {}}, {"serverWebSocket": {"inputSampleRate": 16000}}, …
    agent: str | None = None  #: agent id: `POST /api/agents/{id}/calls`
    prompt: str | None = None
    variables: Mapping[str, str] = field(default_factory=lambda: NOTHING)  #: `{{k}}` or templateContext
    voice: str | None = None
    model: str | None = None
    language: str | None = None
    temperature: float | None = None
    tools: tuple[str, ...] = ()  #: names of durable or built-in tools
    tool_definitions: tuple[Mapping[str, Any], ...] = ()  #: `--tools @FILE.json`: items of selectedTools
    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    record: bool | None = None
    first_speaker: Literal["user", "agent"] | None = None
    greeting: str | None = None
    greeting_delay_s: float | None = None
    max_duration_s: float | None = None
    join_timeout_s: float | None = None
    base: Mapping[str, Any] = field(default_factory=lambda: NOTHING)  #: `--call @FILE.json`; flags win over it
    attempt_id: str | None = None  #: goes into metadata as `uvcall_attempt`
    enable_greeting_prompt: bool | None = None  #: query parameter
    prior_call_id: str | None = None  #: query parameter
    throttle: str | None = None  #: query parameter


@dataclass(frozen=True, slots=True)
class CreateCall:
    """A Create Call, ready to be sent."""

    path: str  #: `/api/calls` or `/api/agents/{id}/calls`
    body: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=lambda: NOTHING)
