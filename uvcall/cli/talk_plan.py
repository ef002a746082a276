"""From flags and settings to a conversation: everything that can be known to be wrong, before anybody is contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from uvcall.calls.talk import TalkOrder
from uvcall.cli import agent_side, files, join_url, talk_medium
from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.talk_flags import CREATES, HOLDS, Medium, TalkFlags
from uvcall.core import payload
from uvcall.core.settings import Settings
from uvcall.core.tools import has_tool
from uvcall.errors import UsageError
from uvcall.softphone.manner import Manner
from uvcall.softphone.tools import ClientTool, client_tools

#: A call whose join URL we were given has limits of its own; this one only ends what nothing else has ended.
_LONGEST_S: Final = 4 * 3600.0
_JOIN_S: Final = 60.0
#: Somebody is told of a link, finds the browser, and allows the microphone.
_WEB_JOIN_S: Final = 300.0
#: After the end of a file or a pipe, so much silence of the agent's means that nothing more is to come.
_LINGER_S: Final = 15.0


class TalkPlan(NamedTuple):
    """Everything decided before anybody is contacted."""

    order: TalkOrder
    manner: Manner
    settings: Settings
    medium: str  #: a name of `talk_flags.Medium`


def plan_talk(context: Context, flags: TalkFlags) -> TalkPlan:
    """Turn flags and settings into a conversation.

    Raises:
        UvcallError: Whatever can be known to be wrong before anybody is contacted.
    """
    _check(flags)
    tools = client_tools(flags.client_tool or ())
    settings = context.settings({**opt.overrides(flags), "talk.medium": flags.medium and flags.medium.value})
    medium: str = Medium.WEBRTC if flags.web else settings.get("talk.medium")
    attempt_id = str(uuid.uuid4())
    if flags.join_url is not None:
        url = join_url.handed_over(context, flags.join_url, settings)
        order = TalkOrder(attempt_id, join_url=url, max_duration_s=_LONGEST_S)
        rates = talk_medium.sound(flags, medium, None)
        return TalkPlan(order, _manner(flags, tools, rates, writes=_writes(flags)), settings, medium)
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
        medium={talk_medium.NAMES[medium]: talk_medium.fields(flags, base, medium)},
        attempt_id=attempt_id,
        join_s=agent_side.seconds(base, "joinTimeout") or (_WEB_JOIN_S if flags.web else _JOIN_S),
        longest_s=longest,
        speaks_first="agent",
    )
    create = payload.create_call(spec._replace(tool_definitions=_definitions(spec, base, tools)))
    rates = talk_medium.sound(flags, medium, create.body["medium"][talk_medium.NAMES[medium]])
    manner = _manner(flags, tools, rates, writes=False)
    return TalkPlan(TalkOrder(attempt_id, create=create, max_duration_s=longest), manner, settings, medium)


def _check(flags: TalkFlags) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: With the names of the options.
    """
    if not flags.sandbox and (flags.scenario or flags.seed is not None or flags.agent_script or flags.faults != "off"):
        raise UsageError("--scenario, --faults and their like steer the sandbox", hint="add --sandbox")
    if flags.web:
        _check_web(flags)
    elif flags.open_:
        raise UsageError("--open is about the page of --web", hint="add --web, or leave it out")
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


def _check_web(flags: TalkFlags) -> None:
    for name, absent in HOLDS.items():
        if getattr(flags, name) != absent:
            option = name.strip("_").replace("_", "-")
            raise UsageError(
                f"--{option} is about a conversation held here, and --web hands it to a browser",
                hint="leave one of them out",
            )
    if flags.medium is Medium.WEBSOCKET:
        raise UsageError("browsers join by WebRTC, not --medium websocket", hint="leave it out, or --web")


def _writes(flags: TalkFlags) -> bool:
    """Say whether the agent is to write: to somebody who types, and has named nothing to hear it with."""
    return flags.text and flags.output is None


def _manner(
    flags: TalkFlags, tools: Mapping[str, ClientTool], sound: tuple[int, int, float], *, writes: bool
) -> Manner:
    rate, output_rate, buffer_s = sound
    linger = opt.duration(flags.linger, "--linger") if flags.linger is not None else _LINGER_S
    limit = opt.duration(flags.tool_timeout, "--tool-timeout")
    return Manner(
        rate=rate,
        output_rate=output_rate,
        buffer_s=buffer_s,
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
