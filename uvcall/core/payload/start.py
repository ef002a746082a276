"""The raw Create Call body that a call may start from, `--call @FILE.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uvcall.core.create_fields import AGENT_CALL, CALL, check_depth, check_fields
from uvcall.errors import UsageError


def starting_body(given: Mapping[str, Any], agent: str | None) -> dict[str, Any]:
    """Return the body of `--call`, checked for the endpoint, with its deprecated field brought up to date.

    Raises:
        UsageError: It is nested too deeply, or a field is unknown, of the wrong kind, or of the other endpoint.
    """
    check_depth(given, "--call")
    base = dict(given)
    if agent is not None:
        _refuse_foreign(base, CALL.known, AGENT_CALL.known, _NOT_FOR_AGENTS, "which a call of an agent does not take")
        if base.get("agentId", agent) != agent:
            raise UsageError("--call has another agentId than --agent", hint="give one of them")
    else:
        _refuse_foreign(base, AGENT_CALL.known, CALL.known, _ONLY_FOR_AGENTS, "which only a call of an agent takes")
    if "firstSpeaker" in base:
        base = _modernized(base)
    check_fields(base, CALL if agent is None else AGENT_CALL, "--call")
    return base


#: What to do instead, for fields of the other endpoint.
_NOT_FOR_AGENTS: Final[Mapping[str, str]] = {
    "selectedTools": "toolOverrides.add adds tools to the agent's own",
    "systemPrompt": "the agent has its own; templateContext (--var) fills it",
    "externalVoice": "the agent's template has it; voice may be given here",
}
_ONLY_FOR_AGENTS: Final[Mapping[str, str]] = {
    "agentId": "name the agent with --agent",
    "templateContext": "--var fills the prompt",
    "toolOverrides": "selectedTools lists the tools of a call without an agent",
}


def _refuse_foreign(
    base: Mapping[str, Any],
    elsewhere: Mapping[str, Any],
    here: Mapping[str, Any],
    instead: Mapping[str, str],
    why: str,
) -> None:
    for name in base:
        if name in elsewhere and name not in here and name != "firstSpeaker":
            hint = instead.get(name, "set it in the agent's template")
            raise UsageError(f"--call has {name}, {why}", hint=hint)


def _modernized(base: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the deprecated `firstSpeaker` into `firstSpeakerSettings`; sending both is said to be rejected."""
    rest = {name: value for name, value in base.items() if name != "firstSpeaker"}
    kinds = {"FIRST_SPEAKER_AGENT": "agent", "FIRST_SPEAKER_USER": "user"}
    old = base["firstSpeaker"]
    if not isinstance(old, str) or old not in kinds:
        raise UsageError(
            f"--call.firstSpeaker must be one of {', '.join(kinds)}", hint="firstSpeakerSettings replaces it"
        )
    settings = rest.setdefault("firstSpeakerSettings", {kinds[old]: {}})
    if isinstance(settings, Mapping) and kinds[old] not in settings:
        raise UsageError("--call has firstSpeaker and firstSpeakerSettings, and they differ", hint="drop firstSpeaker")
    return rest
