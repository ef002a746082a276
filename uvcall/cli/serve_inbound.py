"""`uvcall serve-inbound`: argv → a place and a house → a server that answers carriers' webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import inbound_sandbox
from uvcall.cli import options as opt
from uvcall.cli.context import SIGNED_BY, Context, configured
from uvcall.cli.serve_flags import Numbers, ServeFlags
from uvcall.core.carrier import Provider
from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.settings import Settings
from uvcall.errors import ConfigError, LocalError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


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
    configure_number: Annotated[
        Numbers,
        typer.Option(
            "--configure-number",
            metavar="[CARRIER:]NUMBER",
            help="Lead this number of the account here, repeatable; put back at the end.",
        ),
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Put back the numbers that a run which broke off has left here.")
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
    speed: opt.Speed = 1.0,
    faults: opt.Faults = "off",
    seed: opt.Seed = None,
    ring: Annotated[
        bool, typer.Option("--ring", help="With --sandbox: somebody rings; the end of the call is the end of it.")
    ] = False,
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
    if flags.restore:
        return _restore(context, flags)
    if flags.sandbox:
        inbound_sandbox.start(context, flags)
    elif flags.ring:
        raise UsageError("--ring goes with --sandbox", hint="add --sandbox, or ring the number with a telephone")
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
    from uvcall.cli import inbound_numbers

    numbers = inbound_numbers.wanted(flags.configure_number or (), settings, providers)
    directory = _directory(context, flags)
    from uvcall.server import inbound

    with inbound.only_one(directory), inbound_sandbox.shown(context, providers) as ready:
        from uvcall.cli.inbound_place import place_of

        if flags.sandbox:
            inbound_sandbox.forget(directory)
        place = place_of(context, flags, settings, providers, directory)
        leading = inbound_numbers.leading(context, settings, numbers, place.base, directory, providers)
        if numbers:
            place = replace(place, lead=leading.begin, release=leading.end)
        if flags.insecure_skip_signature:
            context.out.warn("signatures are not checked: whoever reaches this port can have calls made at your cost")
        ringing = inbound_sandbox.Ringing(context, providers[0]) if flags.ring else None
        import json

        def log(line: Any) -> None:
            context.out.say(json.dumps(dict(line)))

        def announce(line: Mapping[str, Any]) -> None:
            ready(line)
            if ringing is not None:
                ringing.start(line["routes"])

        try:
            if flags.workers > 1:
                from uvcall.server import workers

                code = workers.run(place, flags.workers, announce, log)
            else:
                code = inbound.run(place, announce, log)
        finally:
            leading.end()
        if leading.trouble is not None:
            raise leading.trouble
        return ringing.code() if ringing is not None and not code else code


def _restore(context: Context, flags: ServeFlags) -> int:
    """Put back what an earlier run has left behind, while no other one goes on."""
    for given, name in ((flags.sandbox, "--sandbox"), (bool(flags.configure_number), "--configure-number")):
        if given:
            raise UsageError(f"--restore goes without {name}", hint="it puts numbers back and does nothing else")
    from uvcall.cli import inbound_numbers
    from uvcall.server import inbound

    directory = _directory(context, flags)
    with inbound.only_one(directory):
        return inbound_numbers.restore(context, _settings(context, flags), directory)


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
            **opt.overrides(flags),
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
    """Return the state directory; what is played in the sandbox is not mixed with what was paid for.

    Raises:
        LocalError: It cannot be made.
    """
    directory = context.state_dir
    if flags.sandbox:
        directory /= "sandbox"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LocalError(
                f"the directory {directory} cannot be made: {error.strerror}", hint="set UVCALL_STATE_DIR to another"
            ) from error
    return directory
