"""`uvcall render-xml`: the document that a carrier fetches, on stdout."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import typer

from uvcall.cli import keep
from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.core.secret import JoinUrl
from uvcall.core.settings import Settings
from uvcall.errors import ContractBroken, UsageError


class Direction(StrEnum):
    """Who called whom; with --create it decides who speaks first."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class RenderFlags(NamedTuple):
    """The command line of `render-xml`, as given."""

    provider: Provider | None
    join_url: str | None
    create: bool
    direction: Direction
    option: list[str] | None
    fallback: bool
    forward_to: str | None
    say: str | None
    output: str | None
    agent: str | None
    prompt: str | None
    var: list[str] | None
    voice: str | None
    model: str | None
    language: str | None
    temperature: float | None
    tool: list[str] | None
    tools: str | None
    metadata: list[str] | None
    record: bool | None
    call: str | None
    throttle: str | None
    prior_call: str | None
    first_speaker: opt.Speaker | None
    greeting: str | None
    max_duration: str | None
    sandbox: bool


#: Flags that say something to Ultravox, so nothing without --create; the language is the fallback's as well.
_CREATE_ONLY: Final = (
    "agent", "prompt", "var", "voice", "model", "temperature", "tool", "tools", "metadata", "record", "call",
    "throttle", "prior_call", "first_speaker", "greeting", "max_duration", "sandbox",
)  # fmt: skip


def render_xml(
    ctx: typer.Context,
    provider: opt.ProviderOption = None,
    join_url: Annotated[
        str | None, typer.Option("--join-url", metavar="URL|-", help="Join URL of an Ultravox call; - reads stdin.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Create the Ultravox call, too.")] = False,
    direction: Annotated[Direction, typer.Option(help="Who called whom.")] = Direction.INBOUND,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="K=V", help="Attribute of the stream. Repeatable.")
    ] = None,
    fallback: Annotated[bool, typer.Option("--fallback", help="The document for when no agent can be had.")] = False,
    forward_to: Annotated[
        str | None, typer.Option("--forward-to", metavar="NUMBER", help="With --fallback: who is rung instead.")
    ] = None,
    say: Annotated[str | None, typer.Option("--say", metavar="TEXT", help="With --fallback: what is said.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="A file of your own (0600); - is stdout.")
    ] = None,
    agent: opt.Agent = None,
    prompt: opt.Prompt = None,
    var: opt.Var = None,
    voice: opt.Voice = None,
    model: opt.Model = None,
    language: opt.Language = None,
    temperature: opt.Temperature = None,
    tool: opt.Tool = None,
    tools: opt.Tools = None,
    metadata: opt.Metadata = None,
    record: opt.Record = None,
    call: opt.Call = None,
    throttle: opt.Throttle = None,
    prior_call: opt.PriorCall = None,
    first_speaker: opt.FirstSpeaker = None,
    greeting: opt.Greeting = None,
    max_duration: opt.MaxDuration = None,
    sandbox: opt.Sandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Parse into flags and run."""
    given = dict(locals())
    context: Context = given.pop("ctx").obj
    context.talk(as_json=given.pop("as_json"), quiet=given.pop("quiet"), verbose=given.pop("verbose"))
    return run(context, RenderFlags(**given))


def run(context: Context, flags: RenderFlags) -> int:
    """Print or write the document."""
    _check(flags)
    path = None if flags.output in {None, "-"} else keep.free(str(flags.output), "--output", force=True)
    if flags.sandbox:
        from uvcall.sandbox.world import Options

        context.start_sandbox(Options())
    settings = context.settings(
        {
            "provider": flags.provider.value if flags.provider else None,
            "server.forward_to": flags.forward_to,
            "server.fallback_say": flags.say,
            **opt.overrides(flags),
        }
    )
    provider = context.provider(settings)
    xml = _document(context, flags, settings, provider)
    if path is not None:
        from uvcall.cli.configfile import write_private

        write_private(path, xml.encode())
        context.out.say(f"written to {path}")
        if context.out.as_json:
            context.out.json({"provider": provider.value, "output": str(path)})
    elif context.out.as_json:
        context.out.json({"provider": provider.value, "xml": xml})
    else:
        context.out.raw(xml)
    return 0


def _check(flags: RenderFlags) -> None:
    """Refuse options that are missing or contradict each other.

    Raises:
        UsageError: With the names of the options.
    """
    sources = {"--join-url": flags.join_url is not None, "--create": flags.create, "--fallback": flags.fallback}
    given = [name for name, present in sources.items() if present]
    if len(given) != 1:
        what = f"{' and '.join(given)} exclude each other" if given else "nothing says what to render"
        raise UsageError(what, hint="give one of --join-url URL, --create and --fallback")
    if not flags.create:
        _only_with("--create", flags, _CREATE_ONLY)
    if not flags.fallback:
        _only_with("--fallback", flags, ("forward_to", "say"))
    elif flags.option:
        raise UsageError("--option is about the stream, and --fallback has none", hint="leave one of them out")
    if flags.language is not None and flags.join_url is not None:
        raise UsageError("--language says nothing with --join-url", hint="the call has its language already")


def _only_with(wanted: str, flags: RenderFlags, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(flags, name) not in (None, False):
            raise UsageError(
                f"--{name.replace('_', '-')} goes only with {wanted}", hint=f"add {wanted}, or leave it out"
            )


def _document(context: Context, flags: RenderFlags, settings: Settings, provider: Provider) -> str:
    from uvcall.core.wire import wire

    wires = wire(provider)
    if flags.fallback:
        from uvcall.core.prompt import FALLBACK_SAY

        return wires.fallback_xml(
            say=settings.get("server.fallback_say") or FALLBACK_SAY,
            forward_to=settings.get("server.forward_to"),
            language=settings.get("call.language") or "en-US",
        )
    from uvcall.cli.streams import answer_stream

    stream = answer_stream(settings, provider)
    attributes = dict(opt.pairs(flags.option, "--option"))
    if flags.join_url is not None:
        return wires.answer_xml(_given_url(context, flags.join_url, settings), stream, attributes=attributes)
    # Before a call is made for it: what is wrong with the document is wrong with any join URL.
    wires.answer_xml(JoinUrl("wss://voice.ultravox.ai/calls/x"), stream, attributes=attributes)
    return wires.answer_xml(_created_url(context, flags, settings, provider), stream, attributes=attributes)


def _given_url(context: Context, given: str, settings: Settings) -> JoinUrl:
    """Return the user's join URL, from argv or stdin."""
    from uvcall.cli import join_url

    return join_url.handed_over(context, given, settings) if given == "-" else join_url.checked(given, settings)


def _created_url(context: Context, flags: RenderFlags, settings: Settings, provider: Provider) -> JoinUrl:
    """Create the Ultravox call and return its join URL."""
    from uuid import uuid4

    from uvcall.cli import agent_side
    from uvcall.core.payload import create_call

    body = agent_side.base(context, flags)
    spec = agent_side.spec(
        context,
        flags,
        settings,
        body,
        medium={provider.value: {}},
        attempt_id=str(uuid4()),
        join_s=agent_side.join_s(settings, body),
        longest_s=agent_side.longest_s(settings, body),
        speaks_first="agent" if flags.direction is Direction.INBOUND else "user",
    )
    created = context.ultravox(settings).create_call(create_call(spec), rings=False)
    if created.join_url is None:
        raise ContractBroken("Ultravox created the call without a join URL", peer="ultravox")
    context.out.say(f"call {created.call_id}: the join URL must be used within {spec.join_timeout_s or 30:g} s")
    return created.join_url
