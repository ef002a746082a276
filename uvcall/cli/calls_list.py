"""`uvcall calls list`: what the journal remembers, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.core.model import Outcome
from uvcall.errors import UsageError
from uvcall.journal.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uvcall.journal import Entry

#: How a point in time may be given.
_WHEN: Final = "2026-11-22, 2026-11-22T09:30 (UTC), or so long ago: 2h"


def list_(
    ctx: typer.Context,
    provider: Annotated[
        Provider | None, typer.Option("--provider", help="Only this carrier's.", show_default=False)
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="NUMBER", help="Only to this number, E.164.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only with this outcome.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only those that stand so in the journal.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help=f"Begun then or later: {_WHEN}.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Begun before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")] = 20,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List attempts, newest first."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    wanted = {
        "provider": provider.value if provider else None,
        "to": to,
        "state": state.value if state else None,
        "since": instant(since, "--since"),
        "until": instant(until, "--until"),
    }
    return run(context, wanted, outcome, limit)


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


def run(context: Context, wanted: Mapping[str, Any], outcome: Outcome | None, limit: int) -> int:
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


_HEAD: Final = ("begun (UTC)", "attempt", "to", "via", "outcome", "state", "seconds", "reason")


def _table(entries: Sequence[Entry]) -> str:
    from uvcall.calls.history import record_of
    from uvcall.cli.table import table, words

    rows = []
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
                words(record.end_reason or entry.reason),
            )
        )
    return table(_HEAD, rows, numbers={"seconds"})
