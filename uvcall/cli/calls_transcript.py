"""`uvcall calls transcript`: what was said, in all stages, for people, programs and video players."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Final

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.tending import CallId, subject_of
from uvcall.core.transcripts import Format, as_json, render
from uvcall.errors import UsageError

_BY_ENDING: Final = {
    ".txt": Format.TEXT,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".srt": Format.SRT,
    ".vtt": Format.VTT,
}


def transcript(
    ctx: typer.Context,
    id_: CallId,
    form: Annotated[
        Format | None, typer.Option("--format", help="How it is written (by the file's ending, else text).")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to (stdout).")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    tools: Annotated[bool, typer.Option("--tools", help="With what tools were asked, and what they answered.")] = False,
    json_: opt.Json = False,
    sandbox: opt.RunningSandbox = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Print or save a transcript."""
    from uvcall.calls import tend
    from uvcall.cli import keep

    context: Context = ctx.obj
    out = context.talk(as_json=json_, quiet=quiet, verbose=verbose)
    if out.as_json and (output is not None or form is not None):
        raise UsageError(
            "--json prints one array: --format and --output have no place", hint="--format jsonl --output FILE"
        )
    path = keep.free(output, "--output", force=force) if output not in {None, "-"} and output is not None else None
    asked, subject = subject_of(context, id_, sandbox=sandbox)
    said = [one for one in tend.messages(asked, subject) if tools or one.role in {"user", "agent"}]
    if out.as_json:
        out.json([as_json(message) for message in said])
        return 0
    ending = PurePath(output).suffix.lower() if output else ""
    document = render(said, form or _BY_ENDING.get(ending, Format.TEXT))
    if path is None:
        out.raw(document)
    else:
        with keep.whole(path, force=force) as stream:
            stream.write(document.encode())
        out.say(f"{path}: {len(said)} messages")
    if not said:
        out.say("nothing has been said")
    return 0
