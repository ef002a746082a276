"""Ask the vendors what they have learned about a call since it ended: its cost, its duration, an end nobody saw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from uvcall.calls.lookup import Lookup
from uvcall.calls.moves import Age, Sight, result_of, sight_of
from uvcall.core.model import Outcome
from uvcall.journal import Entry, Facts, Step

#: What is known only to the vendors; how a call ended is taken over from them only where nobody saw it.
_LATE: Final = ("answered_at", "ended_at", "duration_s", "cost")
_END: Final = ("outcome", "exit_code", "end_reason")


def refresh(entry: Entry, lookup: Lookup, now: Callable[[], datetime]) -> Entry:
    """Bring an attempt that has ended, and was placed, up to date.

    Raises:
        Temporary: A vendor cannot be read.
        ConfigError: A setting that the carrier needs is missing; AuthError: a credential is.
        LocalError: The journal cannot be written.
    """
    seen = lookup.look(entry)
    if seen.several or sight_of(entry, seen, Age.STALE) is not Sight.OVER:
        return entry
    told = result_of(seen)
    names = _LATE + (_END if entry.outcome is Outcome.UNOBSERVED and told["outcome"] != entry.outcome else ())
    facts = {name: told.get(name) for name in names}
    if all(fact is None or getattr(entry, name) == fact for name, fact in facts.items()):
        return entry
    new: Facts = {name: fact for name, fact in facts.items() if fact is not None}  # type: ignore[assignment]  # names of Facts
    lookup.journal.step(entry.attempt_id, Step.REFRESHED, now(), **new)
    return lookup.journal.get(entry.attempt_id) or entry
