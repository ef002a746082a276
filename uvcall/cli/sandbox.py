"""`uvcall sandbox`: Ultravox, three carriers and a callee on loopback."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Annotated

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context

app = typer.Typer(
    name="sandbox",
    help="Ultravox, Telnyx, Twilio and Plivo, simulated on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 for any free one.")]


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
    from uvcall.sandbox.app import serve as run

    run(sandbox_options(SimpleNamespace(**given)), out.json)
    return 0


@app.command("env")
def env(
    ctx: typer.Context,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where `sandbox serve` listens.")] = 8123,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Print the `export` lines that point uvcall, and the vendors' own SDKs, at `sandbox serve --port PORT`."""
    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.sandbox.credentials import environment

    values = environment(f"http://127.0.0.1:{port}")
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
