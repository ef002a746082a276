"""The vendors as `reconcile` and `calls` ask them, made when they are first needed; and the one look before a call."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Final

from uvcall.calls.lookup import OpenLine, Patience, Reports, Vendors
from uvcall.calls.ports import Moment, Observer, Progress
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.core.settings import Settings

if TYPE_CHECKING:
    from uvcall.calls.desk import Desk
    from uvcall.journal import Entry, Journal

#: Seconds that a call waits at most for what is left of an earlier one to be looked up.
LOOK_S: Final = 30.0


def vendors(context: Context) -> Vendors:
    """Return whom to ask, by this run's settings."""

    @cache
    def settings() -> Settings:
        return context.settings()

    @cache
    def line(provider: Provider) -> OpenLine:
        return context.line(settings(), provider)

    @cache
    def agents() -> Reports:
        return context.ultravox(settings())

    return Vendors(line, agents)


def settle_left(context: Context, journal: Journal, desk: Desk, watch: Observer, entry: Entry) -> None:
    """Settle an attempt that its process has left open, before its number is called again: one look, for `LOOK_S`.

    Raises:
        LocalError: The journal cannot be written.
        Interrupted: A signal came.
    """
    from uvcall.calls.reconcile import Reconciler

    watch(Progress(Moment.NOTE, f"attempt {entry.attempt_id} was left open: looking what became of it"))
    patience = Patience(monotonic() + LOOK_S)
    reconciler = Reconciler(journal, vendors(context), desk, lambda: datetime.now(UTC), patience=patience)
    # A vendor's words are among them: they may break no line.
    watch(Progress(Moment.NOTE, f"that attempt: {' '.join(reconciler.settle(entry).words.split())}"))
