"""Who speaks: the options about the agent, the same on every command that creates an Ultravox call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from uvcall.cli import files
from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.core.duration import parse_duration
from uvcall.core.payload import CallSpec
from uvcall.core.settings import DEFAULT, Settings
from uvcall.errors import UsageError


class AgentFlags(Protocol):
    """The options about the agent, as given; those that have a setting are read from the settings."""

    @property
    def agent(self) -> str | None:
        """Return `--agent`."""

    @property
    def prompt(self) -> str | None:
        """Return `--prompt`."""

    @property
    def var(self) -> list[str] | None:
        """Return every `--var`."""

    @property
    def temperature(self) -> float | None:
        """Return `--temperature`."""

    @property
    def tool(self) -> list[str] | None:
        """Return every `--tool`."""

    @property
    def tools(self) -> str | None:
        """Return `--tools`."""

    @property
    def metadata(self) -> list[str] | None:
        """Return every `--metadata`."""

    @property
    def call(self) -> str | None:
        """Return `--call`."""

    @property
    def throttle(self) -> str | None:
        """Return `--throttle`."""

    @property
    def prior_call(self) -> str | None:
        """Return `--prior-call`."""


def base(context: Context, flags: AgentFlags) -> Mapping[str, Any]:
    """Read `--call`.

    Raises:
        UsageError: It is not a JSON object.
    """
    body = files.read_json(flags.call, "--call", stdin=context.stdin) if flags.call is not None else {}
    if not isinstance(body, dict):
        raise UsageError("--call: not a JSON object", hint='{"systemPrompt": "…"}')
    return body


def seconds(body: Mapping[str, Any], name: str) -> float | None:
    """Return a duration of the `--call` body; what is wrong with it is said where the whole body is checked."""
    text = body.get(name)
    if not isinstance(text, str):
        return None
    try:
        return parse_duration(text)
    except ValueError:
        return None


def longest_s(settings: Settings, body: Mapping[str, Any]) -> float:
    """Return how long the call may last, in seconds: a flag or setting, then the body, then the default."""
    asked: float = settings.get("call.max_duration")
    theirs = seconds(body, "maxDuration") if settings.source("call.max_duration") == DEFAULT else None
    return theirs or asked


def join_s(settings: Settings, body: Mapping[str, Any]) -> float:
    """Return how long a call that is dialed waits to be joined, in seconds.

    Ringing eats join time: with the vendor's default of 30 s, whoever answers at second 31 hears silence.
    """
    ringing: float = settings.get("call.ring_timeout")
    return max(ringing + 60, seconds(body, "joinTimeout") or 0)


def spec(
    context: Context,
    flags: AgentFlags,
    settings: Settings,
    body: Mapping[str, Any],
    *,
    medium: Mapping[str, Any],
    attempt_id: str,
    join_s: float,
    longest_s: float,
    speaks_first: Literal["user", "agent"],
    greeting_delay_s: float | None = None,
    leave_voicemail: bool = False,
    record: bool = False,
) -> CallSpec:
    """Return what is said to Ultravox about the call.

    Args:
        context: Where files and stdin are read from.
        flags: The options about the agent.
        settings: The settings, flags laid over them.
        body: What `base` returned.
        medium: The Ultravox medium.
        attempt_id: Goes into the call's metadata.
        join_s: How long the call waits to be joined, in seconds.
        longest_s: How long it may last, in seconds.
        speaks_first: Who does, where neither a flag, a setting nor the body says so.
        greeting_delay_s: How long a silent callee is waited for, in seconds.
        leave_voicemail: Give the agent the tool that leaves a message.
        record: Record it, whatever the settings say.

    Raises:
        UsageError: An option or file that cannot be used.
    """
    agent = flags.agent or (None if flags.prompt is not None else settings.get("call.agent"))
    prompt = (
        files.read_text(flags.prompt, "--prompt", stdin=context.stdin)
        if flags.prompt is not None
        else (None if agent else settings.get("call.prompt"))
    )
    tools = files.read_json(flags.tools, "--tools", stdin=context.stdin) if flags.tools is not None else []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError("--tools: not a JSON array of objects", hint='[{"toolName": "hangUp"}]')
    said = settings.get("call.first_speaker")
    if said is None and not {"firstSpeakerSettings", "firstSpeaker"} & set(body):
        said = speaks_first
    return CallSpec(
        medium=medium,
        agent=agent,
        prompt=prompt,
        variables=opt.pairs(flags.var, "--var"),
        voice=settings.get("call.voice"),
        model=settings.get("call.model"),
        language=settings.get("call.language"),
        temperature=flags.temperature,
        tools=tuple(flags.tool or ()),
        tool_definitions=tuple(tools),
        metadata=opt.pairs(flags.metadata, "--metadata"),
        record=True if record else settings.get("call.record"),
        first_speaker=said,
        greeting=settings.get("call.greeting"),
        greeting_delay_s=greeting_delay_s,
        max_duration_s=longest_s,
        join_timeout_s=join_s,
        base=body,
        attempt_id=attempt_id,
        prior_call_id=flags.prior_call,
        throttle=flags.throttle,
        leave_voicemail=leave_voicemail,
    )
