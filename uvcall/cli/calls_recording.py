"""`uvcall calls recording`: the sound of a call that is over, as a WAV file."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.tending import CallId, subject_of
from uvcall.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from uvcall.calls.subject import Subject, Tools
    from uvcall.cli.output import Output
    from uvcall.core.model import UltravoxCall


def recording(
    ctx: typer.Context,
    id_: CallId,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|-", help="Where to (ID.wav here); - is stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Save a call's recording."""
    from uvcall.calls import tend
    from uvcall.calls.subject import call_of
    from uvcall.cli import keep
    from uvcall.cli.stay import signals

    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    if output == "-" and (out.as_json or out.stdout.isatty()):
        raise UsageError(
            "a recording is no text for a terminal, nor JSON", hint="--output FILE, or pipe it on: -o - | …"
        )
    tools, subject = subject_of(context, id_, sandbox=sandbox)
    name = output or f"{subject.entry.attempt_id if subject.entry else call_of(tools, subject)}.wav"
    path = None if output == "-" else keep.free(name, "--output", force=force)
    try:
        with signals(tools.desk):
            call = tend.require_recording(tools, subject)
            fetched = _save(out, tools, subject, call, path, force=force)
    except Interrupted as signal:
        out.error("interrupted: nothing was kept" if path else "interrupted")
        return 128 + signal.signum
    if fetched.missing:
        out.warn(f"the recording ends {fetched.missing:,} bytes before its header says: its end may be missing")
    if out.as_json:
        out.json({"ultravox_call_id": call.call_id, "recording": str(path), "bytes": fetched.size})
    elif path is not None:
        out.result(str(path))
    return 0


def _save(out: Output, tools: Tools, subject: Subject, call: UltravoxCall, path: Path | None, *, force: bool) -> Any:
    from uvcall.calls import tend
    from uvcall.cli import keep
    from uvcall.cli.output import Pipe

    with ExitStack() as stack:
        watch = _progress(out, stack) if path is not None else _unseen
        sink = stack.enter_context(keep.whole(path, force=force)) if path is not None else Pipe(out.stdout)
        return tend.recording(tools, subject, call, cast("BinaryIO", sink), watch)


def _unseen(_got: int, _total: int | None) -> None:
    """Show nothing."""


def _progress(out: Output, stack: ExitStack) -> Callable[[int, int | None], None]:
    """Return a progress bar where there is a terminal to draw it on."""
    if not out.live():
        return _unseen
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from uvcall.cli.screen import console

    bar = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console(out),
        transient=True,
    )
    stack.enter_context(bar)
    task = bar.add_task("recording", total=None)
    return lambda got, total: bar.update(task, completed=got, total=total)
