"""`uvcall sandbox`: Ultravox, three carriers and a callee on loopback."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.sandbox.ring_call import CALLER, Caller, Manner, Signature

app = typer.Typer(
    name="sandbox",
    help="Ultravox, Telnyx, Twilio and Plivo, simulated on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Port = Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port; 0 for any free one.")]


@app.command("serve")
def serve(
    ctx: typer.Context,
    port: Port = 0,
    scenario: opt.Scenario = None,
    speed: opt.Speed = 1.0,
    faults: opt.Faults = "off",
    seed: opt.Seed = None,
    callee_audio: opt.CalleeAudio = None,
    agent_script: opt.AgentScript = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Run the sandbox until interrupted; print one JSON line when it is ready."""
    context: Context = ctx.obj
    given = {
        "port": port,
        "scenario": scenario,
        "speed": speed,
        "faults": faults,
        "seed": seed,
        "callee_audio": callee_audio,
        "agent_script": agent_script,
    }
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.cli.sandbox_options import sandbox_options
    from uvcall.cli.sandbox_place import known_place
    from uvcall.sandbox.app import serve as run

    with known_place(context.state_dir) as note:

        def ready(line: Mapping[str, Any]) -> None:
            note(line["ultravox"])
            out.ready(line)

        run(sandbox_options(SimpleNamespace(**given)), ready)
    return 0


@app.command("ring")
def ring(
    ctx: typer.Context,
    provider: Annotated[Provider, typer.Option("--provider", help="Carrier whose number is rung.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="The webhook, on this machine (where the number leads)."),
    ] = None,
    from_: Annotated[str, typer.Option("--from", metavar="NUMBER", help="Who rings: E.164, or anonymous.")] = CALLER,
    called: Annotated[
        str, typer.Option("--called", metavar="NUMBER", help="Which number is rung (the sandbox's own).")
    ] = "",
    signature: Annotated[Signature, typer.Option("--signature", help="How the webhook is signed.")] = Signature.GOOD,
    duplicate: Annotated[
        int, typer.Option("--duplicate", metavar="N", help="Send N copies of it: half beside it, half late.")
    ] = 0,
    fallback_url: Annotated[
        str, typer.Option("--fallback-url", metavar="URL", help="Whom to ask when the webhook fails.")
    ] = "",
    status_url: Annotated[str, typer.Option("--status-url", metavar="URL", help="Where to send word of the end.")] = "",
    public_url: Annotated[
        str,
        typer.Option("--public-url", metavar="URL", help="Base of the address that is signed, if not that of --to."),
    ] = "",
    key_env: Annotated[
        str | None,
        typer.Option("--key-env", metavar="NAME", help="Environment variable with the key that signs (the sandbox's)."),
    ] = None,
    call_control: Annotated[
        bool, typer.Option("--call-control", help="Telnyx: a Call Control event, commands taken on --port.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="With --call-control: where Telnyx's API listens.")
    ] = 8123,
    at: Annotated[
        str | None, typer.Option("--at", metavar="URL", help="Ring from inside the sandbox that runs there.")
    ] = None,
    hang_up_after: Annotated[
        float | None, typer.Option("--hang-up-after", metavar="SECONDS", help="The caller hangs up, answered or not.")
    ] = None,
    manner: Annotated[
        Manner, typer.Option("--scenario", metavar="NAME", help="The caller: answer (talks), mute, hangup-early.")
    ] = Manner.ANSWER,
    callee_audio: Annotated[
        str | None, typer.Option("--callee-audio", metavar="FILE.wav", help="What the caller says.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", metavar="N", help="So many times faster than life.")] = 1.0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Ring a webhook as a carrier does, follow what it answers, and exit with what came of the call."""
    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.cli import ring as told
    from uvcall.cli.sandbox_options import sandbox_options

    world = {"scenario": None, "speed": speed, "faults": "off", "seed": None, "agent_script": None}
    options = sandbox_options(SimpleNamespace(**world, callee_audio=callee_audio, port=port))
    caller = Caller(
        provider=provider,
        to=to or "",
        from_=from_,
        called=called,
        signature=signature,
        duplicates=duplicate,
        scenario=manner.value,
        fallback_url=fallback_url,
        status_url=status_url,
        hang_up_after_s=hang_up_after,
        call_control=call_control,
    )
    if to is None and at is None:
        from uvcall.cli.sandbox_place import last_place

        at = last_place(context.state_dir)
    key = told.signing_key(context.env, key_env)
    out.secrets = (key,) if key else ()
    rung = told.ring(options, caller, key=key, public_base=public_url, at=at, listener=told.telling(out.say))
    record = told.record(rung)
    for words in told.warnings(rung, forged="" if signature is Signature.GOOD else signature.value):
        out.warn(words)
    if record.error is not None:
        out.error(record.error.message, record.error.hint)
    if as_json:
        out.json(told.as_object(rung, record))
    else:
        out.result(told.line(record))
    return record.exit_code


@app.command("env")
def env(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where it listens (the one started last)."),
    ] = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Print the `export` lines that point uvcall, and the vendors' own SDKs, at a running `sandbox serve`."""
    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.cli.sandbox_place import last_place
    from uvcall.sandbox.credentials import environment

    values = environment(f"http://127.0.0.1:{port}" if port else last_place(context.state_dir))
    if as_json:
        out.json(values)
        return 0
    for name, value in values.items():
        out.result(f"export {name}={shlex.quote(value)}")
    return 0


@app.command("fidelity")
def fidelity(
    ctx: typer.Context,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List every known difference between the sandbox and the vendors."""
    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.sandbox.fidelity import DIFFERENCES

    if as_json:
        out.json([{"peer": d.peer, "what": d.what, "sandbox": d.sandbox, "vendor": d.vendor} for d in DIFFERENCES])
        return 0
    for d in DIFFERENCES:
        out.result(f"{d.peer}: {d.what}\n  here: {d.sandbox}\n  vendor: {d.vendor}")
    return 0
