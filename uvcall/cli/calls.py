"""`uvcall calls`: what the journal remembers, as a list and one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.core.model import Outcome
from uvcall.errors import UsageError, UvcallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvcall.journal import Entry, Journal, Taken

app = typer.Typer(
    name="calls",
    help="Attempts to call somebody, as the journal remembers them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

#: How a point in time may be given.
_WHEN = "2026-11-22, 2026-11-22T09:30 (UTC), or so long ago: 2h"


@app.command("list")
def list_(
    ctx: typer.Context,
    provider: Annotated[
        Provider | None, typer.Option("--provider", help="Only this carrier's.", show_default=False)
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="NUMBER", help="Only to this number, E.164.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only with this outcome.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=f"Begun then or later: {_WHEN}.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Begun before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")] = 20,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List attempts, newest first; with --json the audit trail, one array of records."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    wanted = {
        "provider": provider.value if provider else None,
        "to": to,
        "since": instant(since, "--since"),
        "until": instant(until, "--until"),
    }
    return run_list(context, wanted, outcome, limit)


@app.command("show")
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
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show an attempt: its record, and every step as it was written down."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_show(context, id_, refresh=refresh)


# ---- what they do


def instant(text: str | None, option: str) -> datetime | None:
    """Read a point in time: a date, a time (UTC unless it names a zone), or a duration ago.

    Raises:
        UsageError: It is none of them.
    """
    from uvcall.core.duration import parse_duration

    if text is None:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: {text[:40]!r} is no point in time", hint=f"{option} {_WHEN}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def run_list(context: Context, wanted: Mapping[str, Any], outcome: Outcome | None, limit: int) -> int:
    """List attempts."""
    from uvcall.calls.history import record_of, trail_of

    journal = context.journal()
    if outcome in {Outcome.UNKNOWN, Outcome.UNOBSERVED}:
        # Attempts that are open have these outcomes only for those who ask, not in the journal.
        every = journal.recent(-1, **wanted)
        entries = [entry for entry in every if record_of(entry).outcome is outcome][:limit]
    else:
        entries = journal.recent(limit, outcome=outcome.value if outcome else None, **wanted)
    if context.out.as_json:
        context.out.json([trail_of(entry) for entry in entries])
    elif entries:
        context.out.result(_table(entries))
    else:
        context.out.say("no attempt to call anybody" + (" like that" if outcome or any(wanted.values()) else ""))
    return 0


_HEAD = ("begun (UTC)", "attempt", "to", "via", "outcome", "state", "seconds", "reason")


def _table(entries: Sequence[Entry]) -> str:
    from uvcall.calls.history import record_of

    rows = [_HEAD]
    for entry in entries:
        record = record_of(entry)
        rows.append(
            (
                f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
                entry.attempt_id[:8],
                entry.to,
                entry.provider,
                record.outcome.value,
                entry.state.value,
                "" if record.duration_s is None else f"{record.duration_s:.1f}",
                _words(record.end_reason or entry.reason),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    number = _HEAD.index("seconds")
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == number else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def run_show(context: Context, text: str, *, refresh: bool) -> int:
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
    shown = {name: _words(fact) for name, fact in told.items() if name not in {"schema", "transcript", "recording"}}
    width = max(len(name) for name in shown)
    return "\n".join(f"{name.ljust(width)}  {words}" for name, words in shown.items() if words)


def _words(fact: Any) -> str:
    """Return a fact in one line; empty for one that is not known."""
    if isinstance(fact, dict):
        return ", ".join(f"{name} {words}" for name, value in fact.items() if (words := _words(value)))
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "" if fact is None else " ".join(str(fact).split())


def _steps(steps: Sequence[Taken]) -> str:
    from uvcall.calls.history import step_of

    width = max(len(taken.step) for taken in steps)
    return "\n".join(
        f"{step_of(taken)['at']}  {taken.step.ljust(width)}  {_words(taken.facts)}".rstrip() for taken in steps
    )
