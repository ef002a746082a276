"""`CallSpec` to the body of Create Call, one function per section.

https://docs.ultravox.ai/api-reference/calls/calls-post and https://docs.ultravox.ai/api-reference/agents/agents-calls-post
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from uvcall.core import NOTHING
from uvcall.core.create_fields import (
    AGENT_CALL,
    CALL,
    MEDIA,
    check_fields,
    did_you_mean,
)
from uvcall.core.duration import wire_duration
from uvcall.core.payload.start import starting_body
from uvcall.core.prompt import (
    DEFAULT_GREETING_PROMPT,
    DEFAULT_PROMPT,
    SILENCE,
    SILENCE_AFTER_S,
    VOICEMAIL_PROMPT,
    check_text,
    check_variables,
    fill,
    variable_names,
)
from uvcall.core.tools import has_tool, join_tools, select_tools
from uvcall.errors import UsageError

GREETING_DELAY_S: Final = 4.0

_PHONES: Final = frozenset({"twilio", "telnyx", "plivo", "exotel", "sip"})
_AGENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LONGEST_VALUE: Final = 500
_LONGEST_LANGUAGE: Final = 16
_MOST_METADATA: Final = 50
_RESERVED: Final = "ultravox."
_ATTEMPT: Final = "uvcall_attempt"


class CallSpec(NamedTuple):
    """What is said to Ultravox about a call: the flags and settings, before they become JSON.

    `None` and empty mean "not given": the field stays out of the body unless `base` has it. Durations are seconds.
    """

    medium: Mapping[str, Any]  #: {"telnyx": {}}, {"serverWebSocket": {"inputSampleRate": 16000}}, …
    agent: str | None = None  #: agent id: `POST /api/agents/{id}/calls`
    prompt: str | None = None
    variables: Mapping[str, str] = NOTHING  #: `{{k}}` or templateContext
    voice: str | None = None
    model: str | None = None
    language: str | None = None
    temperature: float | None = None
    tools: tuple[str, ...] = ()  #: names of durable or built-in tools
    tool_definitions: tuple[Mapping[str, Any], ...] = ()  #: `--tools @FILE.json`: items of selectedTools
    metadata: Mapping[str, str] = NOTHING
    record: bool | None = None
    first_speaker: Literal["user", "agent"] | None = None
    greeting: str | None = None
    greeting_delay_s: float | None = None
    max_duration_s: float | None = None
    join_timeout_s: float | None = None
    base: Mapping[str, Any] = NOTHING  #: `--call @FILE.json`; flags win over it
    attempt_id: str | None = None  #: goes into metadata as `uvcall_attempt`
    enable_greeting_prompt: bool | None = None  #: query parameter
    prior_call_id: str | None = None  #: query parameter
    throttle: str | None = None  #: query parameter
    leave_voicemail: bool = False  #: the agent gets the `leaveVoicemail` tool


class CreateCall(NamedTuple):
    """A Create Call, ready to be sent."""

    path: str  #: `/api/calls` or `/api/agents/{id}/calls`
    body: Mapping[str, Any]
    query: Mapping[str, str] = NOTHING


def create_call(spec: CallSpec) -> CreateCall:
    """Return the Create Call that says what the spec says, and nothing that the endpoint would not take.

    Raises:
        UsageError: A field is unknown, of the wrong kind, contradicts another, or does not exist for an agent's call.
    """
    if spec.agent is not None and not _AGENT_ID.fullmatch(spec.agent):
        raise UsageError("--agent is not an agent's id", hint="uvcall config agents lists them")
    base = starting_body(spec.base, spec.agent)
    sections = (_voice, _speech, _first_speaker, _tools, _silence, _limits, _metadata, _medium)
    body = dict(base)
    for section in sections:
        body |= section(spec, base)
    check_fields(body, CALL if spec.agent is None else AGENT_CALL, "the call")
    path = "/api/calls" if spec.agent is None else f"/api/agents/{spec.agent}/calls"
    return CreateCall(path, body, _query(spec, body))


# ---- the sections: what the flags say, given the body to start from


def _voice(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    if spec.agent is not None:
        flags = (("--model", spec.model), ("--language", spec.language), ("--temperature", spec.temperature))
        for flag, value in flags:
            if value not in (None, ""):
                raise UsageError(
                    f"{flag} cannot be given with --agent", hint="the agent's template has it; change it there"
                )
    if spec.voice and "externalVoice" in base:
        raise UsageError("--voice and --call's externalVoice exclude each other", hint="give one of them")
    if "voice" in base and "externalVoice" in base:
        raise UsageError("--call has voice and externalVoice, which exclude each other", hint="give one of them")
    if "voiceOverrides" in base and not spec.voice and "voice" not in base:
        raise UsageError("--call has voiceOverrides without a voice", hint="give the voice with it")
    language = spec.language or base.get("languageHint", "")
    if len(str(language)) > _LONGEST_LANGUAGE:
        raise UsageError(f"the language is longer than {_LONGEST_LANGUAGE} characters", hint="write en or en-US")
    temperature = spec.temperature if spec.temperature is not None else base.get("temperature")
    if isinstance(temperature, (int, float)) and not 0 <= temperature <= 1:
        raise UsageError("the temperature must be from 0 to 1", hint="0 says the same thing each time")
    return _given(
        voice=spec.voice, model=spec.model, languageHint=spec.language, temperature=spec.temperature,
        recordingEnabled=spec.record,
    )  # fmt: skip


def _speech(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """The system prompt, or the agent's template context."""
    check_variables(spec.variables)
    if spec.agent is not None:
        if spec.prompt:
            raise UsageError(
                "--prompt and --agent exclude each other", hint="the agent has its own prompt; --var fills it"
            )
        context = {**base.get("templateContext", {}), **spec.variables}
        return {"templateContext": context} if context else {}
    text = spec.prompt or base.get("systemPrompt")
    if text is None:
        text = None if spec.prior_call_id else DEFAULT_PROMPT
    unused = set(spec.variables) - variable_names(text or "") - variable_names(spec.greeting or "")
    if unused:
        name = min(unused)
        wanted = variable_names(text or "") | variable_names(spec.greeting or "")
        raise UsageError(f"--var {name} is not used: the prompt has no {{{{{name}}}}}", hint=did_you_mean(name, wanted))
    if text is None:
        return {}
    check_text(text, "the prompt")
    filled = fill(text, spec.variables, "the prompt")
    return {"systemPrompt": f"{filled}\n\n{VOICEMAIL_PROMPT}" if spec.leave_voicemail else filled}


def _first_speaker(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """Only `firstSpeakerSettings`; the flags change what the base has where both mean the same speaker."""
    given: Mapping[str, Any] = base.get("firstSpeakerSettings", {})
    speaker: str | None = spec.first_speaker or next(iter(given), None)
    if speaker is None and not spec.greeting and spec.greeting_delay_s is None:
        return {}
    speaker = speaker or "agent"
    old = given.get(speaker, {})
    # Agent first: the delay and the words are the agent's. User first: they are the fallback's.
    words = dict(old.get("fallback", {}) if speaker == "user" else old)
    if spec.greeting:
        check_text(spec.greeting, "the greeting")
        words.pop("prompt", None)
        words["text"] = fill(spec.greeting, spec.variables, "the greeting")
    if spec.greeting_delay_s is not None:
        words["delay"] = _seconds(spec.greeting_delay_s, "--greeting-delay")
    if speaker == "agent":
        return {"firstSpeakerSettings": {"agent": words}}
    words.setdefault("delay", wire_duration(GREETING_DELAY_S))
    if "text" not in words and "prompt" not in words:
        words["prompt"] = DEFAULT_GREETING_PROMPT
    return {"firstSpeakerSettings": {"user": {"fallback": words}}}


def _tools(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """The tools of a call, or what is added to an agent's.

    Without `hangUp` an agent cannot end the call: https://docs.ultravox.ai/tools/built-in-tools
    """
    mine = select_tools(spec.tools, spec.tool_definitions)
    if spec.leave_voicemail and not has_tool(mine, "leaveVoicemail"):
        mine.append({"toolName": "leaveVoicemail"})
    if spec.agent is not None:
        overrides = dict(base.get("toolOverrides", {}))
        if "remove" in overrides and overrides.get("removeAll"):
            raise UsageError(
                "--call.toolOverrides has remove and removeAll, which exclude each other",
                hint="removeAll takes off every tool, so drop remove; or drop removeAll",
            )
        overrides |= {"add": join_tools(overrides.get("add", ()), mine)} if mine else {}
        return {"toolOverrides": overrides} if overrides else {}
    if spec.prior_call_id and not mine and "selectedTools" not in base:
        return {}
    tools = join_tools(base.get("selectedTools", ()), mine)
    if not has_tool(tools, "hangUp"):
        tools.append({"toolName": "hangUp"})
    return {"selectedTools": tools}


def _silence(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """Ask a callee who has fallen silent, then hang up; an agent's template has its own way."""
    if spec.agent is not None or spec.prior_call_id or "inactivityMessages" in base or not _PHONES & set(spec.medium):
        return {}
    language = str(spec.language or base.get("languageHint") or "en")[:2].lower()
    if language not in SILENCE:
        return {}
    ask, goodbye = SILENCE[language]
    return {
        "inactivityMessages": [
            {"duration": wire_duration(SILENCE_AFTER_S[0]), "message": ask},
            {
                "duration": wire_duration(SILENCE_AFTER_S[1]),
                "message": goodbye,
                "endBehavior": "END_BEHAVIOR_HANG_UP_SOFT",
            },
        ]
    }


def _limits(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """`joinTimeout` runs from creation, so it must outlast the ringing; a longer one in the base stays."""
    limits: dict[str, Any] = {}
    if spec.max_duration_s is not None:
        limits["maxDuration"] = _seconds(spec.max_duration_s, "--max-duration")
    if spec.join_timeout_s is not None:
        longer = max(spec.join_timeout_s, float(base.get("joinTimeout", "0s")[:-1]))
        limits["joinTimeout"] = _seconds(longer, "the join timeout")
    return limits


def _metadata(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {**base.get("metadata", {}), **spec.metadata}
    if _ATTEMPT in metadata:
        raise UsageError(f"the metadata key {_ATTEMPT} is uvcall's own", hint="choose another name")
    for name, value in metadata.items():
        if not name or name.startswith(_RESERVED) or len(name) > _LONGEST_VALUE:
            raise UsageError(f"{name[:60]!a} cannot be a metadata key", hint=f"{_RESERVED}* is Ultravox's own")
        if len(value) > _LONGEST_VALUE * 4:
            raise UsageError(
                f"the metadata value of {name[:60]!a} is longer than {_LONGEST_VALUE * 4} characters",
                hint="keep long texts elsewhere, and here the id under which they are found",
            )
    if len(metadata) > _MOST_METADATA:
        raise UsageError(
            f"there are more than {_MOST_METADATA} metadata keys", hint="drop some, or put several into one value"
        )
    metadata |= {_ATTEMPT: spec.attempt_id} if spec.attempt_id is not None else {}
    return {"metadata": metadata} if metadata else {}


def _medium(spec: CallSpec, base: Mapping[str, Any]) -> dict[str, Any]:
    """The medium is the command's; the base may add to it, and may not make Ultravox dial as well."""
    check_fields(spec.medium, MEDIA, "the medium")
    ((kind, options),) = spec.medium.items()
    old = base.get("medium", {})
    if old and kind not in old:
        raise UsageError(
            f"--call has the medium {next(iter(old))}; this call goes through {kind}", hint="drop medium from it"
        )
    extra = old.get(kind, {})
    if "outgoing" in extra and "outgoing" not in options:
        raise UsageError(f"--call has medium.{kind}.outgoing, which makes Ultravox dial too", hint="use --via ultravox")
    merged = {**extra, **options}
    if kind == "serverWebSocket" and "inputSampleRate" not in merged:
        raise UsageError(
            "the medium serverWebSocket needs inputSampleRate",
            hint='in --call: "medium": {"serverWebSocket": {"inputSampleRate": 16000}}',
        )
    return {"medium": {kind: merged}}


def _query(spec: CallSpec, body: Mapping[str, Any]) -> dict[str, str]:
    if spec.agent is not None and (spec.prior_call_id is not None or spec.enable_greeting_prompt is not None):
        raise UsageError(
            "a call of an agent takes neither priorCallId nor enableGreetingPrompt",
            hint="leave --prior-call out, or --agent",
        )
    if spec.prior_call_id is not None and "initialMessages" in body:
        raise UsageError(
            "initialMessages cannot be given for a call that continues another one",
            hint="drop them from --call, or leave --prior-call out",
        )
    greeting = spec.enable_greeting_prompt
    return _given(
        enableGreetingPrompt=None if greeting is None else str(greeting).lower(),
        priorCallId=spec.prior_call_id,
        throttle=spec.throttle,
    )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _seconds(seconds: float, what: str) -> str:
    if not 0 <= seconds < 10**6:
        raise UsageError(f"{what} is out of range", hint="from 0 to 999999 seconds")
    return wire_duration(seconds)
