"""The ledger of inbound calls: which call id is whose, and what became of it. SQLite, shared by all workers.

One table to which rows are only added, and a book in memory that is the sum of it. A call's first row is on disk before
Ultravox is asked, so that neither a restart nor another worker asks a second time for the same caller.

It keeps no join URL and no credential: who comes back asks Ultravox for the join URL of the call that it finds here.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from uvcall.core.carrier import Provider
from uvcall.core.inbound_policy import ADMIT, RANK, Book, Rules, Step, Verdict
from uvcall.errors import LocalError
from uvcall.journal.file import told

NAME: Final = "inbound.db"
#: Twilio and Plivo sign no time, so an old request can be sent again for ever; ids are kept for so long.
KEPT_S: Final = 90 * 86_400.0
#: How long another worker's transaction is waited for; one takes a millisecond.
BUSY_S: Final = 1.0
#: How far back the book looks when it is opened: a UTC day, for the minutes of the day.
_BACK_S: Final = 86_400.0

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS steps (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL,
  step TEXT NOT NULL,
  at REAL NOT NULL,
  caller TEXT NOT NULL,
  ultravox_id TEXT NOT NULL,
  word TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS steps_by_key ON steps (key);
CREATE INDEX IF NOT EXISTS steps_by_ultravox ON steps (ultravox_id) WHERE ultravox_id <> '';
CREATE UNIQUE INDEX IF NOT EXISTS one_first_step ON steps (key) WHERE step IN ('claimed', 'refused');
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_FIRST: Final = "INSERT OR IGNORE INTO steps (key, step, at, caller, ultravox_id, word) VALUES (?, ?, ?, ?, '', ?)"
_ADD: Final = "INSERT INTO steps (key, step, at, caller, ultravox_id, word) VALUES (?, ?, ?, ?, ?, ?)"
_OF: Final = "SELECT step, at, caller, ultravox_id, word FROM steps WHERE key = ? ORDER BY seq"
_MEANT: Final = """SELECT key, caller FROM steps WHERE key =
  (SELECT key FROM steps WHERE key IN (?, ?, ?, ?) OR (ultravox_id <> '' AND ultravox_id = ?) ORDER BY seq DESC LIMIT 1)
ORDER BY seq LIMIT 1"""
_SINCE: Final = "SELECT seq, key, step, at, caller FROM steps WHERE seq > ? ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Claim:
    """Someone rings. `key` is the carrier and its call id."""

    key: str
    caller: str
    called: str
    at: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something has become of a call."""

    key: str
    step: Step
    at: float
    ultravox_id: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of a call: its furthest step."""

    key: str
    step: Step
    at: float
    ultravox_id: str = ""
    word: str = ""


class Seen(NamedTuple):
    """A call as somebody sees it who only looks."""

    known: Known
    caller: str


#: The answer to a claim: the caller may be connected or not, or the call is known already.
Claimed = Verdict | Known


class InboundLedger:
    """The ledger, for one thread. `batch` is one transaction; memory is brought up to the table in each."""

    def __init__(self, directory: Path, rules: Rules, *, now: float) -> None:
        self.path = directory / NAME
        self.book = Book(rules)
        self._seen = self._start = 0
        self._stale = False
        with told(self.path):
            _guard(self.path)
            self._db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                # What a killed process has committed stays; only a power cut may take the last calls, and then the
                # carrier has lost the line as well.
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("PRAGMA wal_autocheckpoint = 0")  # `checkpoint` does it, beside those who wait
                self._db.execute("PRAGMA cache_size = -512")  # KiB: a call is soon looked for no more
                self._db.executescript(_TABLES)
                self._db.execute("DELETE FROM steps WHERE at < ?", (now - KEPT_S,))
                (first,) = self._db.execute(
                    "SELECT coalesce(min(seq), 1) FROM steps WHERE at >= ?", (now - _BACK_S,)
                ).fetchone()
                self._seen = self._start = first - 1
                self._catch_up()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def secret(self, name: str, fresh: str) -> str:
        """Return a secret of this state directory, the same for all workers and after a restart; `fresh` if new."""
        with told(self.path):
            self._db.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)", (name, fresh))
            (value,) = self._db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
            return str(value)

    def batch(self, work: Iterable[Claim | Note]) -> list[Claimed]:
        """Do all of it in one transaction and return what became of each.

        Raises:
            LocalError: Nothing could be written, and nothing was.
        """
        with told(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._catch_up()
                found = [self._claim(one) if isinstance(one, Claim) else self._note(one) for one in work]
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                self._stale = True  # the book may hold what the file does not
                raise
            return found

    def known(self, key: str) -> Known | None:
        """Return what is known of a call, by any worker."""
        with told(self.path):
            return self._known(key)

    def open_calls(self) -> dict[str, str]:
        """Return the calls that may still be alive: key and Ultravox call."""
        found = ((key, self.known(key)) for key in self.book.live)
        return {key: known.ultravox_id for key, known in found if known is not None and known.ultravox_id}

    def key_of(self, ultravox_id: str) -> str | None:
        """Return the call that an Ultravox call belongs to."""
        with told(self.path):
            row = self._db.execute("SELECT key FROM steps WHERE ultravox_id = ? LIMIT 1", (ultravox_id,)).fetchone()
            return str(row[0]) if row else None

    def from_memory(self, claim: Claim) -> Verdict:
        """Decide without the file, for when it cannot be written: one call at a time."""
        usual = self.book.rules
        self.book.rules = usual.stricter()
        try:
            verdict = self.book.verdict(claim.called, claim.caller, claim.at)
        finally:
            self.book.rules = usual
        if verdict == ADMIT:
            self.book.note(claim.key, Step.CLAIMED, claim.at, claim.caller)
        return verdict

    def _claim(self, claim: Claim) -> Claimed:
        verdict = self.book.verdict(claim.called, claim.caller, claim.at)
        step = Step.CLAIMED if verdict == ADMIT else Step.REFUSED
        word = ("busy: " if verdict.busy else "") + verdict.reason
        cursor = self._db.execute(_FIRST, (claim.key, step.value, claim.at, claim.caller, word))
        if cursor.rowcount == 0:
            return self._known(claim.key) or verdict
        self.book.note(claim.key, step, claim.at, claim.caller)
        self._seen = cursor.lastrowid or self._seen
        return verdict

    def _note(self, note: Note) -> Verdict:
        if note.key not in self.book.live or note.step is Step.ENDED:
            known = self._known(note.key)
            if known is None or known.step is Step.ENDED:
                return ADMIT  # told before, or somebody else's: a carrier tells of all calls of its application
        cursor = self._db.execute(_ADD, (note.key, note.step.value, note.at, "", note.ultravox_id, note.word))
        self.book.note(note.key, note.step, note.at)
        self._seen = cursor.lastrowid or self._seen
        return ADMIT

    def _known(self, key: str) -> Known | None:
        return _furthest(key, self._db.execute(_OF, (key,)).fetchall())

    def _catch_up(self) -> None:
        """Take down what other workers have written since; after a failure, everything of the day."""
        if self._stale:
            self.book, self._seen, self._stale = Book(self.book.rules), self._start, False
        for seq, key, step, at, caller in self._db.execute(_SINCE, (self._seen,)):
            self.book.note(key, Step(step), at, caller)
            self._seen = seq


def checkpoint(path: Path, *, restart: bool = False) -> int:
    """Fold the write-ahead log into the file, as far as nobody needs it. Waits for the disk.

    Args:
        path: The ledger's file.
        restart: Hold off who writes, for as long as it takes to fold in the rest, so that the log begins anew. A log
            to which somebody always adds never does so by itself, and grows without end.
            https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files

    Returns:
        How many pages the log holds.

    Raises:
        LocalError: It cannot be done now.
    """
    with told(path), closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = NORMAL")
        _, pages, _ = db.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if restart else 'PASSIVE'})").fetchone()
        return int(pages)


def seen(directory: Path, text: str) -> Seen | None:
    """Return the call that an id means, the carrier's or Ultravox's, writing nothing; None where there is none.

    Raises:
        LocalError: The ledger cannot be read.
    """
    path = directory / NAME
    if not path.exists():
        return None
    with told(path), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)) as db:
        keys = [text, *(f"{provider}:{text}" for provider in Provider)]
        row = db.execute(_MEANT, (*keys, text.lower())).fetchone()
        known = None if row is None else _furthest(row[0], db.execute(_OF, (row[0],)).fetchall())
        return None if known is None else Seen(known, row[1])


def _furthest(key: str, rows: Sequence[tuple[str, float, str, str, str]]) -> Known | None:
    if not rows:
        return None
    step, at, word = Step(rows[0][0]), rows[0][1], rows[0][4]
    ultravox_id = ""
    for name, when, _, ultravox, said in rows:
        ultravox_id = ultravox or ultravox_id
        if RANK[Step(name)] > RANK[step]:
            step, at, word = Step(name), when, said
    return Known(key, step, at, ultravox_id, word)


def _guard(path: Path) -> None:
    """Make the file for this user only, or refuse one that others may have had a hand in.

    One that exists is looked at by name, not opened: closing any descriptor of it would drop the locks of another
    connection of this process. https://www.sqlite.org/howtocorrupt.html
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        return
    facts = os.lstat(path)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise LocalError(f"{path} is not yours alone", hint=f"chown it to yourself, then: chmod 600 {path}")
