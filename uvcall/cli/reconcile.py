"""`uvcall reconcile`: settle attempts that no process follows any more. Reads and hangs up, never dials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvcall.calls.reconcile import Settled
    from uvcall.journal import Entry, Journal


def reconcile(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Attempts, by any id; all that are open if none is named.", show_default=False
        ),
    ] = None,
    assume_not_placed: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="End it as not placed, on your word, if no vendor shows it. Repeatable."),
    ] = None,
    hang_up: Annotated[
        bool, typer.Option("--hang-up", help="Hang up calls that are up, also before their limits are over.")
    ] = False,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Ask carrier and Ultravox about every open attempt, and settle it."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    if sandbox:
        context.meet_sandbox()
    return run(context, ids or [], assume_not_placed or [], hang_up=hang_up)


def run(context: Context, ids: Sequence[str], assume: Sequence[str], *, hang_up: bool) -> int:
    """Settle attempts, tell of each, and return the exit code of all."""
    from datetime import UTC, datetime
    from getpass import getuser

    from uvcall.calls.desk import Desk
    from uvcall.calls.reconcile import Reconciler, exit_code
    from uvcall.cli.vendors import vendors

    journal = context.journal()
    # All ids are looked up before anything is done: a misspelled one changes nothing.
    assumed = [_named(journal, text) for text in assume]
    named = [_named(journal, text) for text in ids]
    entries = named if ids or assume else journal.open_entries()
    reconciler = Reconciler(journal, vendors(context), Desk(), lambda: datetime.now(UTC), hang_up=hang_up)
    done: list[Settled] = []

    def tell(settled: Settled) -> None:
        done.append(settled)
        if not context.out.as_json:
            _show(context, settled)

    try:
        if assumed:
            try:
                who = getuser()
            except (OSError, KeyError):  # a user without a name, as containers have
                who = "the operator"
            replace(reconciler, assumed_by=who).settle_all(assumed, tell)
        reconciler.settle_all(entries, tell)
    finally:
        if context.out.as_json:
            context.out.json([_as_json(settled) for settled in done])
    if not done:
        context.out.say("no attempt is open")
    return exit_code(done)


def _named(journal: Journal, text: str) -> Entry:
    entry = journal.by_any_id(text)
    if entry is None:
        raise UsageError(f"the journal has no attempt {text[:80]!r}", hint="uvcall calls list shows them")
    return entry


def _show(context: Context, settled: Settled) -> None:
    entry, out = settled.entry, context.out
    # A vendor's words are among them: they may break no line.
    words = " ".join(settled.words.split())
    out.result(f"{entry.attempt_id[:8]}  {entry.to} via {entry.provider}: {words}")
    if settled.error is not None:
        out.error(settled.error.message, settled.error.hint)
    if settled.next is not None:
        out.say(f"  next: {settled.next}")


def _as_json(settled: Settled) -> dict[str, object]:
    from uvcall.calls.history import record_of, trail_of
    from uvcall.core.outcome import failure

    record = record_of(settled.entry)._replace(next=settled.next)
    if settled.error is not None:
        record = record._replace(error=failure(settled.error))
    return {**trail_of(settled.entry, record), "action": settled.move.value, "message": settled.words}
