"""`uvcall sandbox`: Ultravox, three carriers and a callee on loopback."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.sandbox.world import Options

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
    from types import SimpleNamespace

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


def sandbox_options(flags: Any) -> Options:
    """Return the sandbox's options from a command's flags.

    Raises:
        UsageError: A scenario that does not exist, a speed out of range, or a file that cannot be used.
    """
    from uvcall.cli import files
    from uvcall.sandbox.faults import parse_faults
    from uvcall.sandbox.scenarios import SCENARIOS
    from uvcall.sandbox.world import Options

    if flags.scenario is not None and flags.scenario not in SCENARIOS:
        from difflib import get_close_matches

        close = get_close_matches(flags.scenario, SCENARIOS, n=1)
        raise UsageError(
            f"--scenario: there is no scenario {flags.scenario[:40]!r}",
            hint=f"did you mean {close[0]}?" if close else f"one of: {', '.join(SCENARIOS)}",
        )
    if not 0.1 <= flags.speed <= 100:
        raise UsageError(f"--speed: {flags.speed:g} is out of range", hint="from 0.1 to 100; 1 is life")
    parse_faults(flags.faults)
    audio = files.read_bytes(flags.callee_audio, "--callee-audio") if flags.callee_audio is not None else None
    if audio is not None:
        from uvcall.core.audio import read_wav

        read_wav(audio)
    script: tuple[str, ...] | None = None
    if flags.agent_script is not None:
        text = files.read_text("@" + flags.agent_script, "--agent-script", stdin=None)
        script = tuple(line.strip() for line in text.splitlines() if line.strip())
        if not script:
            raise UsageError("--agent-script: the file has no lines", hint="one line for each time the agent speaks")
    return Options(
        port=getattr(flags, "port", 0),
        scenario=flags.scenario,
        speed=flags.speed,
        faults=flags.faults,
        seed=flags.seed,
        callee_audio=audio,
        agent_script=script,
    )
