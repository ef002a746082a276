"""From flags and settings to a conversation: everything that can be known to be wrong, before anybody is contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from uvcall.calls.talk import TalkOrder
from uvcall.cli import agent_side, files, join_url
from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.talk_flags import CREATES, TalkFlags
from uvcall.core import payload
from uvcall.core.duration import wire_duration
from uvcall.core.settings import Settings
from uvcall.core.tools import has_tool
from uvcall.errors import UsageError
from uvcall.softphone.manner import Manner
from uvcall.softphone.tools import ClientTool, client_tools

_MEDIUM: Final = "serverWebSocket"
#: The rate of speech models. https://docs.ultravox.ai/apps/websockets
_RATE: Final = 16_000
_LOWEST, _HIGHEST = 8_000, 48_000
#: A large buffer and `playback_clear_buffer` are what the vendor recommends: no gaps, and quick interruptions.
_BUFFER_MS: Final = 30_000
#: Ultravox's own, when the call does not say. https://docs.ultravox.ai/api-reference/calls/calls-post
_THEIR_BUFFER_MS: Final = 60
#: A call whose join URL we were given has limits of its own; this one only ends what nothing else has ended.
_LONGEST_S: Final = 4 * 3600.0
_JOIN_S: Final = 60.0
#: After the end of a file or a pipe, so much silence of the agent's means that nothing more is to come.
_LINGER_S: Final = 15.0


class TalkPlan(NamedTuple):
    """Everything decided before anybody is contacted."""

    order: TalkOrder
    manner: Manner
    settings: Settings
    medium: Mapping[str, Any]  #: what is asked of it; empty with a join URL


def plan_talk(context: Context, flags: TalkFlags) -> TalkPlan:
    """Turn flags and settings into a conversation.

    Raises:
        UvcallError: Whatever can be known to be wrong before anybody is contacted.
    """
    _check(flags)
    tools = client_tools(flags.client_tool or ())
    settings = context.settings(opt.overrides(flags))
    attempt_id = str(uuid.uuid4())
    if flags.join_url is not None:
        url = join_url.handed_over(context, flags.join_url, settings)
        rates = {"inputSampleRate": flags.input_rate or _RATE, "outputSampleRate": flags.output_rate}
        order = TalkOrder(attempt_id, join_url=url, max_duration_s=_LONGEST_S)
        return TalkPlan(order, _manner(flags, tools, _given(rates), writes=_writes(flags)), settings, {})
    settings.require("ultravox.api_key", "every call needs an agent")
    base = dict(agent_side.base(context, flags))
    if _writes(flags):
        base = {"initialOutputMedium": "MESSAGE_MEDIUM_TEXT", **base}
    longest = agent_side.longest_s(settings, base)
    spec = agent_side.spec(
        context,
        flags,
        settings,
        base,
        medium={_MEDIUM: _medium(flags, base)},
        attempt_id=attempt_id,
        join_s=agent_side.seconds(base, "joinTimeout") or _JOIN_S,
        longest_s=longest,
        speaks_first="agent",
    )
    create = payload.create_call(spec._replace(tool_definitions=_definitions(spec, base, tools)))
    medium = create.body["medium"][_MEDIUM]
    manner = _manner(flags, tools, medium, writes=False)
    return TalkPlan(TalkOrder(attempt_id, create=create, max_duration_s=longest), manner, settings, medium)


def _check(flags: TalkFlags) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: With the names of the options.
    """
    if not flags.sandbox and (flags.scenario or flags.seed is not None or flags.agent_script or flags.faults != "off"):
        raise UsageError("--scenario, --faults and their like steer the sandbox", hint="add --sandbox")
    if flags.join_url is not None:
        for name in CREATES:
            if getattr(flags, name) not in (None, False):
                raise UsageError(
                    f"--{name.replace('_', '-')} is about a call to be created, and --join-url has one",
                    hint="leave one of them out",
                )
    if flags.text and flags.input_ is not None:
        raise UsageError("--text types, and --input speaks", hint="leave one of them out")
    if flags.text and (flags.mute or flags.push_to_talk):
        raise UsageError("--mute and --push-to-talk are about a microphone, and --text uses none", hint="leave it out")
    if flags.push_to_talk and flags.input_ not in (None, "mic") and not str(flags.input_).startswith("mic:"):
        raise UsageError("--push-to-talk is about a microphone", hint="leave --input out, or push-to-talk")
    readers = [
        name
        for name, takes in (
            ("--input", flags.input_ == "-"),
            ("--text", flags.text),
            ("--join-url", flags.join_url == "-"),
            ("--prompt", flags.prompt == "-"),
            ("--call", flags.call == "-"),
            ("--tools", flags.tools == "-"),
        )
        if takes
    ]
    if len(readers) > 1:
        raise UsageError(f"{' and '.join(readers)} cannot both read stdin", hint="give one of them as @FILE")


def _writes(flags: TalkFlags) -> bool:
    """Say whether the agent is to write: to somebody who types, and has named nothing to hear it with."""
    return flags.text and flags.output is None


def _medium(flags: TalkFlags, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the medium's fields: a flag, then the body's own, then a default."""
    medium = base.get("medium")
    found = medium.get(_MEDIUM) if isinstance(medium, Mapping) else None
    theirs: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    given = _given(
        {
            "inputSampleRate": flags.input_rate,
            "outputSampleRate": flags.output_rate,
            "clientBufferSizeMs": _ms(flags.client_buffer),
            "mediaIdleTimeout": _idle(flags.media_idle_timeout),
        }
    )
    if flags.data_message:
        known = theirs.get("dataMessages")
        given["dataMessages"] = {**(known if isinstance(known, Mapping) else {}), **_switches(flags.data_message)}
    defaults = {"inputSampleRate": _RATE, "clientBufferSizeMs": _BUFFER_MS}
    return {**{name: value for name, value in defaults.items() if name not in theirs}, **given}


def _manner(flags: TalkFlags, tools: Mapping[str, ClientTool], medium: Mapping[str, Any], *, writes: bool) -> Manner:
    rate = medium["inputSampleRate"]
    output_rate = medium.get("outputSampleRate") or rate
    for name, value in (("--input-rate", rate), ("--output-rate", output_rate)):
        if not _LOWEST <= value <= _HIGHEST or value % 100:
            raise UsageError(
                f"{name}: {value} Hz is not a rate that speech is sent at",
                hint=f"a multiple of 100 from {_LOWEST} to {_HIGHEST}: 16000, 24000, 48000",
            )
    linger = opt.duration(flags.linger, "--linger") if flags.linger is not None else _LINGER_S
    limit = opt.duration(flags.tool_timeout, "--tool-timeout")
    return Manner(
        rate=rate,
        output_rate=output_rate,
        buffer_s=medium.get("clientBufferSizeMs", _THEIR_BUFFER_MS) / 1000,
        muted=flags.mute or flags.push_to_talk,
        half_duplex=flags.half_duplex,
        writes=writes,
        linger_s=linger,
        tools=tools,
        tool_limit_s=limit,
    )


def _definitions(
    spec: payload.CallSpec, base: Mapping[str, Any], tools: Mapping[str, ClientTool]
) -> tuple[Mapping[str, Any], ...]:
    """Return the tool definitions, with one for each client tool that the call does not define itself.

    A call of an agent is left alone: the agent's own template is where the model knows its tools from.
    https://docs.ultravox.ai/tools/custom/client-tools
    """
    if spec.agent is not None:
        return spec.tool_definitions
    theirs = base.get("selectedTools")
    known = [*spec.tool_definitions, *(theirs if isinstance(theirs, list) else ())]
    named = [{"toolName": name} for name in spec.tools]
    missing = [name for name in tools if not has_tool([*known, *named], name)]
    return (*spec.tool_definitions, *({"temporaryTool": _temporary(name)} for name in missing))


def _temporary(name: str) -> dict[str, Any]:
    words = name.replace("_", " ").replace("-", " ")
    return {"modelToolName": name, "description": f"The caller's own tool: {words}.", "client": {}}


def _switches(given: list[str]) -> dict[str, bool]:
    """Read every `--data-message NAME[=on|off]`; the names are checked with the whole body."""
    switches = {}
    for text in given:
        name, sign, word = text.partition("=")
        if sign and word not in {"on", "off"}:
            raise UsageError(f"--data-message: {text[:60]!a} is neither on nor off", hint="--data-message debug=on")
        switches[name] = word != "off"
    return switches


def _ms(text: str | None) -> int | None:
    if text is None:
        return None
    seconds = opt.duration(text, "--client-buffer")
    if not 0 < seconds <= 120:
        raise UsageError("--client-buffer is out of range", hint="from 20ms to 2m; 30s hides every gap")
    return round(seconds * 1000)


def _idle(text: str | None) -> str | None:
    return None if text is None else wire_duration(opt.duration(text, "--media-idle-timeout"))


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def read_sound(path: str) -> Any:
    """Return the sound of `--input FILE`.

    Raises:
        UsageError: The file cannot be read, or is no WAV file that can be used.
    """
    from uvcall.core.audio import read_wav

    data = files.read_bytes(path, "--input")
    try:
        return read_wav(data)
    except UsageError as error:
        raise UsageError(f"--input {path}: {error.message}", hint=error.hint) from error
