"""`uvcall calls watch`: any call, live, until it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.record import accepted_codes, exit_code, show
from uvcall.cli.tending import CallId, subject_of
from uvcall.errors import UvcallError

if TYPE_CHECKING:
    from uvcall.calls.subject import Subject, Tools
    from uvcall.core.model import CallRecord


def watch(
    ctx: typer.Context,
    id_: CallId,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop watching after; leaves the call alone; exit 21.")
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(metavar="OUTCOME[,…]", help="Exit 0 only for these outcomes, else 32 or their own code."),
    ] = None,
    ok_codes: Annotated[str | None, typer.Option(metavar="CODE[,…]", help="Exit codes to turn into 0: 10,11.")] = None,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Watch a call."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    codes = accepted_codes(expect, ok_codes)
    timeout_s = opt.duration(timeout, "--timeout") if timeout is not None else None
    tools, subject = subject_of(context, id_, sandbox=sandbox)
    record = _watched(context, tools, subject, timeout_s)
    show(context.out, record)
    return exit_code(record, expect, codes)


def _watched(context: Context, tools: Tools, subject: Subject, timeout_s: float | None) -> CallRecord:
    """Watch, and return the record; of an attempt also where its vendors cannot be asked."""
    from uvcall.calls.history import record_of
    from uvcall.calls.subject import named
    from uvcall.calls.watch import watch as use_case
    from uvcall.cli.screen import screen
    from uvcall.cli.stay import signals
    from uvcall.core.outcome import failure, outcome_of

    entry = subject.entry
    title = f"{entry.to} via {entry.provider}" if entry else named(subject)
    try:
        with signals(tools.desk), screen(context.out, title) as tell:
            return use_case(tools, subject, tell, timeout_s=timeout_s)
    except UvcallError as error:
        if entry is None:
            raise
        known = record_of(tools.journal.get(entry.attempt_id) or entry)
        return known._replace(outcome=outcome_of(error), exit_code=error.exit_code, error=failure(error))
