"""The journal itself: one immediate transaction for each step, on disk when the method returns."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, Unpack, cast

from uvcall.core.model import Outcome
from uvcall.errors import Placed, PolicyRefused, UsageError
from uvcall.journal.entry import (
    Entry,
    Facts,
    Intent,
    Taken,
    admit,
    follow,
    instant,
    look_at,
    plain,
    prose,
    stamp,
)
from uvcall.journal.file import NAME, connect, told
from uvcall.journal.owner import Probe, process_alive
from uvcall.journal.rows import (
    ALL,
    BY_VENDOR_ID,
    CLOSE,
    HISTORY,
    INSERT,
    OPEN,
    OPEN_AT,
    RECENT,
    TRAIL,
    UPDATE,
    entry_of,
    row_of,
)
from uvcall.journal.states import IllegalStep, State, Step

#: At least so much of an attempt's id must be given to mean it.
_PREFIX: Final = 8

#: How an attempt ends that nobody followed to its end, by what the journal had last: see `Journal.begin`.
_OUTLIVED: Final[dict[Placed, Facts]] = {
    "yes": {
        "outcome": Outcome.UNOBSERVED,
        "exit_code": 21,
        "placed": "yes",
        "end_reason": "past its death date",
    },
    "no": {
        "outcome": Outcome.TEMPORARY,
        "exit_code": 75,
        "placed": "no",
        "end_reason": "past its death date",
    },
}


class NumberTaken(PolicyRefused):
    """Another attempt to call this number waits for its end."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(
            f"{entry.to}: duplicate: attempt {entry.attempt_id} of {stamp(entry.created_at)} is still {entry.state}",
            hint=f"nobody was called; uvcall reconcile settles it, uvcall calls show {entry.attempt_id} shows it",
        )
        self.entry = entry


class KeyTaken(PolicyRefused):
    """The idempotency key belongs to an earlier attempt with the same arguments, which `entry` is."""

    def __init__(self, entry: Entry) -> None:
        settles = "reconcile settles it, uvcall " if entry.open else ""
        super().__init__(
            f"{entry.to}: duplicate: attempt {entry.attempt_id} of {stamp(entry.created_at)} has this idempotency key",
            hint=f"nobody was called again; uvcall {settles}calls show {entry.attempt_id} shows it",
        )
        self.entry = entry


def open_journal(directory: Path) -> Journal:
    """Open the journal of a state directory; make it where there is none.

    Args:
        directory: The state directory; it exists and is this user's alone.

    Raises:
        LocalError: It is not safe, not ours, newer than this uvcall, damaged, or cannot be opened.
    """
    return Journal(directory / NAME, connect(directory))


@dataclass(slots=True, eq=False, repr=False)
class Journal:
    """What this machine knows of its attempts. Threads may share one; processes open one each."""

    path: Path
    _db: sqlite3.Connection
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the last process to do so folds the write-ahead log into it."""
        with self._lock, told(self.path):
            self._db.close()

    # -- writing ----------------------------------------------------------------------------------------------------

    def begin(self, intent: Intent, *, alive: Probe = process_alive) -> None:
        """Commit the intent to call, before any byte leaves.

        An earlier attempt at the number that is ten minutes past its death date, and whose process is gone, is ended
        first, unless its fate is open: of a leg that was placed nothing can be left, and where no leg was asked for,
        none can be asked for after this.

        Raises:
            KeyTaken: The idempotency key is spent by an attempt with the same arguments.
            NumberTaken: Another attempt at the number is open.
            UsageError: The key was used with other arguments, or a number is not E.164.
            LocalError: The journal cannot be written: do not dial.
        """
        entry = admit(intent)
        with self._writing():
            if entry.key is not None and (earlier := self._by_key(entry.key)) is not None:
                if earlier.digest != entry.digest:
                    raise UsageError(
                        f"the idempotency key was used for another call, by attempt {earlier.attempt_id}",
                        hint="a key stands for one set of arguments: take a new key for this call",
                    )
                if earlier.spent:
                    raise KeyTaken(earlier)
            for other in self._read(OPEN_AT, (entry.to,)):
                outlived = _OUTLIVED.get(other.placed)
                if outlived is None or not other.stale(entry.created_at) or other.owner_alive(alive):
                    raise NumberTaken(other)
                self._take(other, Step.ENDED, entry.created_at, outlived)
            self._db.execute(INSERT, row_of(entry))
            self._trail(entry, "intent", entry.created_at, {"command": entry.command})

    def step(self, attempt_id: str, step: Step | str, at: datetime, **facts: Unpack[Facts]) -> None:
        """Commit a step of an attempt; on disk when this returns.

        Args:
            attempt_id: The attempt's whole id.
            step: What happened.
            at: When.
            facts: What is known by it; `states.MAY_TELL` and `states.MUST_TELL` say what a step tells.

        Raises:
            IllegalStep: The step cannot follow the attempt's state, or there is no such attempt.
            ValueError: A fact is not what it should be, or a secret: a bug. Nothing is written.
            LocalError: The journal cannot be written.
        """
        with self._writing():
            entry = self._one(ALL + "WHERE attempt_id = ?", attempt_id)
            if entry is None:
                raise IllegalStep(
                    f"the journal has no attempt {prose(attempt_id)}", hint="uvcall calls list shows them"
                )
            self._take(entry, Step(step), at, facts)

    def assume_not_placed(self, attempt_id: str, at: datetime, by: str) -> None:
        """End an attempt on the operator's word that it rang nobody; its number and key are free again.

        The outcome stays `unknown`: it is an assumption, recorded with its author. Whoever calls this has made sure
        that the attempt's process is gone.

        Raises:
            IllegalStep: Its fate is not open, or there is no such attempt.
            LocalError: The journal cannot be written.
        """
        self.step(attempt_id, Step.ASSUMED_NOT_PLACED, at, by=by)

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(self, attempt_id: str) -> Entry | None:
        """Return the attempt of this whole id."""
        with self._reading():
            return self._one(ALL + "WHERE attempt_id = ?", attempt_id)

    def by_key(self, key: str) -> Entry | None:
        """Return the newest attempt with this idempotency key."""
        with self._reading():
            return self._by_key(key)

    def by_any_id(self, text: str) -> Entry | None:
        """Return the attempt that an id means: its own, eight or more of its first characters, or a vendor's.

        Raises:
            UsageError: It means several.
        """
        if not text.isascii():
            return None
        with self._reading():
            found = self._read(BY_VENDOR_ID, {"low": text.lower(), "text": text})
            if not found and len(text) >= _PREFIX:
                found = self._read(
                    ALL + "WHERE substr(attempt_id, 1, :length) = :low LIMIT 2",
                    {"low": text.lower(), "length": len(text)},
                )
        if len(found) > 1:
            raise UsageError(f"{prose(text)} means several attempts", hint="give more of the id")
        return found[0] if found else None

    def open_entries(self, to: str | None = None) -> list[Entry]:
        """Return the attempts that wait for their end, oldest first; with `to`, the one at that number."""
        with self._reading():
            return self._read(OPEN, ()) if to is None else self._read(OPEN_AT, (to,))

    def stale(self, now: datetime) -> list[Entry]:
        """Return the attempts that are open ten minutes past their death date, oldest first."""
        return [entry for entry in self.open_entries() if entry.stale(now)]

    def recent(
        self,
        limit: int = 20,
        *,
        provider: str | None = None,
        to: str | None = None,
        outcome: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Entry]:
        """Return the attempts that pass every filter, newest first in the order of their beginnings.

        Args:
            limit: At most so many.
            provider: Only this carrier's.
            to: Only to this number.
            outcome: Only those that ended so.
            state: Only those that stand so now.
            since: Begun at this instant or later.
            until: Begun before this instant.
        """
        wanted = {
            "limit": limit,
            "provider": provider,
            "to": to,
            "outcome": outcome,
            "state": state,
            "since": stamp(since and instant(since)),
            "until": stamp(until and instant(until)),
        }
        with self._reading():
            return self._read(RECENT, wanted)

    def history(self, attempt_id: str) -> list[Taken]:
        """Return the steps of an attempt, in the order in which they were written."""
        with self._reading():
            rows = self._db.execute(HISTORY, (attempt_id,)).fetchall()
        return [
            Taken(datetime.fromisoformat(at), step, State(state), json.loads(facts)) for at, step, state, facts in rows
        ]

    # -- inside a transaction ---------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, told(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()  # nothing to do where SQLite has rolled back by itself
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, told(self.path):
            yield

    def _take(self, entry: Entry, step: Step, at: datetime, facts: Facts) -> None:
        told_facts = look_at(step, cast("dict[str, Any]", facts))
        after = follow(entry, step, instant(at), told_facts)
        self._db.execute(UPDATE if after.open else CLOSE, row_of(after))
        if new := _ids(after) - _ids(entry):
            self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", [(id_, entry.attempt_id) for id_ in new])
        self._trail(after, step, instant(at), told_facts)

    def _trail(self, entry: Entry, step: str, at: datetime, facts: dict[str, Any]) -> None:
        row = {
            "attempt_id": entry.attempt_id,
            "at": stamp(at),
            "step": str(step),
            "state": entry.state.value,
            "facts": json.dumps(facts, default=plain, sort_keys=True),
        }
        self._db.execute(TRAIL, row)

    def _by_key(self, key: str) -> Entry | None:
        return self._one(ALL + "WHERE key = ? ORDER BY seq DESC LIMIT 1", key)

    def _one(self, query: str, value: str) -> Entry | None:
        if not value.isprintable():  # nor storable, perhaps: a stray byte of the command line
            return None
        found = self._read(query, (value,))
        return found[0] if found else None

    def _read(self, query: str, values: Any) -> list[Entry]:
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [entry_of(dict(zip(names, row, strict=True))) for row in cursor]


def _ids(entry: Entry) -> set[str]:
    known = (entry.ultravox_call_id, entry.carrier_call_id, *entry.carrier_ids.values())
    return {each for each in known if each is not None}
