"""From the body of a Create Call to the settings of a call: validation, rules across fields, defaults.

https://docs.ultravox.ai/api-reference/calls/calls-post and
https://docs.ultravox.ai/api-reference/agents/agents-calls-post
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from uvcall.sandbox.fields import Problem, check, schema_problems
from uvcall.sandbox.ultravox_catalog import MODEL_ALIASES, MODELS, TOOLS, VOICES, find
from uvcall.sandbox.ultravox_schema import START_AGENT_CALL, START_CALL

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z0-9_.]+)\s*\}\}")
#: How the API's names of voice providers look inside a voice definition.
_PROVIDERS: Final = {"eleven_labs": "elevenLabs"}
_FIRST: Final = {"agent": "FIRST_SPEAKER_AGENT", "user": "FIRST_SPEAKER_USER"}

_DEFAULTS: Final[Mapping[str, Any]] = {
    "temperature": 0.0,
    "model": MODELS[0],
    "joinTimeout": "30s",
    "maxDuration": "3600s",
    "medium": {"webRtc": {}},
    "recordingEnabled": False,
    "initialOutputMedium": "MESSAGE_MEDIUM_VOICE",
    "inactivityMessages": [],
    "transcriptOptional": True,
    "metadata": {},
    "initialState": {},
    "experimentalSettings": {},
}


class BodyRefused(Exception):
    """The API answers 400; `problems` by field, as Django REST framework words them."""

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        super().__init__(f"{len(problems)} fields")
        self.problems = dict(problems)


def call_settings(body: Mapping[str, Any], prior: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of a call by prompt, and the paths of the fields that were ignored.

    Args:
        body: The request's body.
        prior: The settings of the call whose properties this one inherits.

    Raises:
        BodyRefused: It does not stand up to the API's rules.
    """
    found = check(START_CALL, body)
    given = _given(body, START_CALL.fields)
    if not found.problems:
        found.problems += [problem for rule in (*_RULES, *_CALL_RULES) for problem in rule(given)]
        if prior is not None and "initialMessages" in given:
            found.problems.append(("initialMessages", "May not be set together with priorCallId."))
    _refuse(found.problems)
    return _complete({**(prior or {}), **given}), found.ignored


def agent_call_settings(body: Mapping[str, Any], agent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of a call with an agent: its template, overridden by the body.

    Raises:
        BodyRefused: The body or its template context does not stand up to the rules.
    """
    found = check(START_AGENT_CALL, body)
    given = _given(body, START_AGENT_CALL.fields)
    template = {k: v for k, v in agent["callTemplate"].items() if k not in {"name", "created", "updated"}}
    context_schema = template.pop("contextSchema", {})
    context = given.pop("templateContext", {})
    overrides = given.pop("toolOverrides", {})
    given.pop("agentId", None)
    if not found.problems:
        found.problems += [problem for rule in _RULES for problem in rule(given)]
        found.problems += [("templateContext", text) for text in schema_problems(context_schema, context)]
        found.problems += _unknown_tools(overrides.get("add") or [], "toolOverrides.add")
    _refuse(found.problems)
    settings = {**template, **given}
    prompt = settings.get("systemPrompt", "")
    settings["systemPrompt"] = _PLACEHOLDER.sub(lambda m: _looked_up(context, m.group(1)), prompt)
    return _complete(settings), found.ignored


def _given(body: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name in known and value is not None}


def _complete(given: Mapping[str, Any]) -> dict[str, Any]:
    settings = {**_DEFAULTS, **given}
    settings["medium"] = settings["medium"] or {"webRtc": {}}
    first = settings.get("firstSpeakerSettings")
    if first is None:
        speaks = "user" if settings.get("firstSpeaker") == "FIRST_SPEAKER_USER" else "agent"
        first = settings["firstSpeakerSettings"] = {speaks: {}}
    settings["firstSpeaker"] = _FIRST["user" if first.get("user") is not None else "agent"]
    if settings["initialOutputMedium"] == "MESSAGE_MEDIUM_UNSPECIFIED":
        settings["initialOutputMedium"] = "MESSAGE_MEDIUM_VOICE"
    voice = find(VOICES, "voiceId", settings.get("voice", ""))
    if voice:
        settings["voice"] = voice["voiceId"]
    return settings


def _refuse(problems: list[Problem]) -> None:
    """Gather the problems under the top-level field that each of them concerns."""
    if not problems:
        return
    by_field: dict[str, list[str]] = {}
    for path, text in problems:
        top, _, rest = path.partition(".")
        by_field.setdefault(top or "non_field_errors", []).append(f"{rest}: {text}" if rest else text)
    raise BodyRefused(by_field)


def _looked_up(context: Mapping[str, Any], path: str) -> str:
    value: Any = context
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _metadata(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name in given.get("metadata", {}):
        if name.startswith("ultravox."):
            yield "metadata", 'Keys may not start with "ultravox.".'


def _voices(given: Mapping[str, Any]) -> Iterator[Problem]:
    voice, overrides = given.get("voice"), given.get("voiceOverrides")
    known = find(VOICES, "voiceId", voice) if voice else None
    if voice and known is None:
        yield "voice", "No such voice."
    if voice and "externalVoice" in given:
        yield "externalVoice", "May not be set together with voice."
    if overrides is not None and not voice:
        yield "voiceOverrides", "Only allowed together with voice."
    if overrides and known:
        provider = _PROVIDERS.get(known["provider"], known["provider"])
        if provider not in overrides:
            yield "voiceOverrides", f"Must be for the voice's provider, {provider}."


def _medium(given: Mapping[str, Any]) -> Iterator[Problem]:
    if "sip" in given.get("medium", {}):
        yield "medium", "SIP is not enabled for this account."


def _retention(given: Mapping[str, Any]) -> Iterator[Problem]:
    if given.get("retentionPolicy") == "CALL_RETENTION_POLICY_AUTO_DELETE":
        yield "retentionPolicy", "Not enabled for this account."


def _external_voice(given: Mapping[str, Any]) -> Iterator[Problem]:
    for provider in given.get("externalVoice", {}):
        if provider != "generic":
            yield "externalVoice", f"There is no API key for {provider} on this account."


def _first_speaker(given: Mapping[str, Any]) -> Iterator[Problem]:
    first, settings = given.get("firstSpeaker"), given.get("firstSpeakerSettings")
    if first in _FIRST.values() and settings is not None:
        meant = _FIRST["user" if settings.get("user") is not None else "agent"]
        if first != meant:
            yield "firstSpeaker", "Does not match firstSpeakerSettings."


def _model(given: Mapping[str, Any]) -> Iterator[Problem]:
    if "model" in given and given["model"] not in (*MODELS, *MODEL_ALIASES):
        yield "model", "No such model."


def _unknown_tools(selected: list[Mapping[str, Any]], path: str) -> list[Problem]:
    problems: list[Problem] = []
    for index, tool in enumerate(selected):
        wanted = tool.get("toolId") or tool.get("toolName")
        if wanted and find(TOOLS, "toolId", wanted) is None:
            problems.append((f"{path}.{index}", "No such tool."))
    return problems


def _tools(given: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _unknown_tools(given.get("selectedTools", []), "selectedTools")


_Rule = Callable[[Mapping[str, Any]], Iterator[Problem]]
_RULES: Final[tuple[_Rule, ...]] = (_metadata, _voices, _medium, _retention)
_CALL_RULES: Final[tuple[_Rule, ...]] = (_external_voice, _first_speaker, _model, _tools)
