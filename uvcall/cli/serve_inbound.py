"""`uvcall serve-inbound`: argv → a place and a house → a server that answers carriers' webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import SIGNED_BY, Context, configured
from uvcall.core.carrier import Provider
from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.settings import Settings
from uvcall.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


Numbers = list[str] | None


@dataclass(frozen=True, slots=True)
class ServeFlags:
    """The command line of `serve-inbound`, as given."""

    provider: list[Provider] | None
    host: str | None
    port: int | None
    public_url: str | None
    metrics_port: int | None
    workers: int
    number: Numbers
    allow_from: Numbers
    deny_from: Numbers
    allow_unknown: bool
    max_concurrent: int | None
    calls_per_caller: int
    calls_per_hour: int
    daily_minutes: float
    forward_to: str | None
    fallback_say: str | None
    insecure_skip_signature: bool
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


def serve_inbound(
    ctx: typer.Context,
    provider: Annotated[
        list[Provider] | None,
        typer.Option("--provider", help="Carrier, repeatable; every configured one.", show_default=False),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on (8080); 0 for any.", show_default=False)
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The base URL that carriers call; what they sign.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Loopback port of /metrics (any free one).", show_default=False),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes behind the port.")] = 1,
    number: Annotated[
        Numbers, typer.Option("--number", metavar="NUMBER", help="Number to serve, repeatable; every one.")
    ] = None,
    allow_from: Annotated[
        Numbers, typer.Option("--allow-from", metavar="NUMBER", help="Caller to answer, repeatable; all others not.")
    ] = None,
    deny_from: Annotated[
        Numbers, typer.Option("--deny-from", metavar="NUMBER", help="Caller to turn away, repeatable.")
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Answer callers who withhold their number.")
    ] = False,
    max_concurrent: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Calls at the same time (2).", show_default=False)
    ] = None,
    calls_per_caller: Annotated[int, typer.Option(min=0, help="Calls of one caller in ten minutes; 0: any.")] = 3,
    calls_per_hour: Annotated[int, typer.Option(min=0, help="Calls of all callers in an hour; 0: any.")] = 30,
    daily_minutes: Annotated[float, typer.Option(min=0, help="Minutes of conversation a day, UTC.")] = 60.0,
    forward_to: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Who is rung when no agent can be had.")
    ] = None,
    fallback_say: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What callers hear when no agent can be had.")
    ] = None,
    insecure_skip_signature: Annotated[
        bool, typer.Option("--insecure-skip-signature", help="Believe anybody; on loopback only.")
    ] = False,
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
    return run(context, ServeFlags(**given))


def run(context: Context, flags: ServeFlags) -> int:
    """Serve until SIGTERM or SIGINT."""
    if flags.sandbox:
        if flags.workers > 1:
            raise UsageError("--workers goes without --sandbox", hint="leave one of them out")
        from uvcall.sandbox.world import Options

        context.start_sandbox(Options())
    settings = _settings(context, flags)
    host = settings.text("server.host")
    loopback = host in LOOPBACK_HOSTS
    if not loopback and settings.get("server.public_url") is None:
        settings.require("server.public_url", f"{host} is not loopback, and carriers sign the URL that they call")
    if flags.insecure_skip_signature and (not loopback or settings.get("server.public_url") is not None):
        raise UsageError(
            "--insecure-skip-signature is for loopback, without a public URL",
            hint="anybody could ring at your cost: set the carriers' keys instead",
        )
    providers = _providers(settings, flags)
    for provider in providers:
        if not flags.insecure_skip_signature:
            settings.require(SIGNED_BY[provider], f"{provider}'s webhooks cannot be verified without it")
    directory = _directory(context, flags)
    from uvcall.server import inbound

    with inbound.only_one(directory):
        from uvcall.cli.inbound_place import place_of

        place = place_of(context, flags, settings, providers, directory)
        if flags.insecure_skip_signature:
            context.out.warn("signatures are not checked: whoever reaches this port can have calls made at your cost")
        import json

        def log(line: Any) -> None:
            context.out.say(json.dumps(dict(line)))

        if flags.workers > 1:
            from uvcall.server import workers

            return workers.run(place, flags.workers, context.out.json, log)
        return inbound.run(place, context.out.json, log)


def _settings(context: Context, flags: ServeFlags) -> Settings:
    return context.settings(
        {
            "server.host": flags.host,
            "server.port": flags.port,
            "server.public_url": flags.public_url,
            "server.numbers": flags.number or None,
            "server.allow_from": flags.allow_from or None,
            "server.deny_from": flags.deny_from or None,
            "server.max_concurrent": flags.max_concurrent,
            "server.forward_to": flags.forward_to,
            "server.fallback_say": flags.fallback_say,
            "call.voice": flags.voice,
            "call.model": flags.model,
            "call.language": flags.language,
            "call.greeting": flags.greeting,
            "call.record": flags.record,
            "call.max_duration": flags.max_duration,
            "call.first_speaker": flags.first_speaker.value if flags.first_speaker else None,
        }
    )


def _providers(settings: Settings, flags: ServeFlags) -> tuple[Provider, ...]:
    """Return the carriers to answer.

    Raises:
        ConfigError: None is configured.
    """
    if flags.provider:
        return tuple(dict.fromkeys(flags.provider))
    found = tuple(one for one in Provider if configured(settings, one) or SIGNED_BY[one] in settings.raw)
    if not found:
        raise ConfigError(
            "no carrier is configured", hint="run: uvcall config init, or add --sandbox to try without an account"
        )
    return found


def _directory(context: Context, flags: ServeFlags) -> Path:
    """Return the state directory; what is played in the sandbox is not mixed with what was paid for."""
    directory = context.state_dir
    if flags.sandbox:
        directory /= "sandbox"
        directory.mkdir(mode=0o700, exist_ok=True)
    return directory
