"""`uvcall calls show`: one attempt with its whole history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.table import words
from uvcall.errors import UsageError, UvcallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvcall.journal import Entry, Journal, Taken


def show(
    ctx: typer.Context,
    id_: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The attempt's id or its first eight characters, or a vendor's id.", show_default=False
        ),
    ],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the vendors what they know by now, and remember it.")
    ] = False,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show an attempt."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    if sandbox:
        context.meet_sandbox()
    return run(context, id_, refresh=refresh)


def run(context: Context, text: str, *, refresh: bool) -> int:
    """Show one attempt."""
    from uvcall.calls.history import step_of, trail_of

    journal = context.journal()
    entry = journal.by_any_id(text)
    if entry is None:
        raise UsageError(f"the journal has no attempt {text[:80]!r}", hint="uvcall calls list shows them")
    failed: UvcallError | None = None
    if refresh:
        entry, failed = _refreshed(context, journal, entry)
    steps = journal.history(entry.attempt_id)
    told = trail_of(entry)
    if context.out.as_json:
        context.out.json({**told, "command": entry.command, "steps": [step_of(taken) for taken in steps]})
    else:
        context.out.result(_facts({**told, "command": entry.command}) + "\n\n" + _steps(steps))
    if failed is not None:
        raise failed
    return 0


def _refreshed(context: Context, journal: Journal, entry: Entry) -> tuple[Entry, UvcallError | None]:
    """Return the attempt as the vendors have it now, or as it was with what kept them from telling."""
    from uvcall.calls.desk import Desk
    from uvcall.calls.follow import Timing
    from uvcall.calls.lookup import Lookup
    from uvcall.calls.reconcile import Reconciler
    from uvcall.calls.refresh import refresh
    from uvcall.cli.vendors import vendors

    def now() -> datetime:
        return datetime.now(UTC)

    if entry.open:
        settled = Reconciler(journal, vendors(context), Desk(), now).settle(entry)
        context.out.say(settled.words)
        return settled.entry, settled.error
    if entry.placed != "yes":
        context.out.say("nothing was placed: there is nobody to ask")
        return entry, None
    try:
        return refresh(entry, Lookup(journal, vendors(context), Desk(), Timing()), now), None
    except UvcallError as error:
        return entry, error


def _facts(told: Mapping[str, Any]) -> str:
    shown = {name: words(fact) for name, fact in told.items() if name not in {"schema", "transcript", "recording"}}
    width = max(len(name) for name in shown)
    return "\n".join(f"{name.ljust(width)}  {words}" for name, words in shown.items() if words)


def _steps(steps: Sequence[Taken]) -> str:
    from uvcall.calls.history import step_of

    width = max(len(taken.step) for taken in steps)
    return "\n".join(
        f"{step_of(taken)['at']}  {taken.step.ljust(width)}  {words(taken.facts)}".rstrip() for taken in steps
    )
