"""The journal's file: made whole or not at all, opened only when it is ours and sound, never made anew over another.

What is checked at each opening: the file's kind, owner and mode; SQLite's own header; its length; that it is a journal
of uvcall, of a schema that this version knows. Only when the last close was unclean, that is when a write-ahead log is
there, every page is looked at as well (`quick_check`): a killed process does not damage SQLite files, but what kills
processes (power, disks, people with scripts) may, and a command that starts after a clean close should not pay for
reading the whole file.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from uvcall.errors import LocalError

NAME: Final = "journal.db"
SCHEMA: Final = 1
APPLICATION: Final = 0x7576636A  # "uvcj" in the header's application id, https://www.sqlite.org/fileformat2.html
BUSY_S: Final = 5.0

#: https://www.sqlite.org/partialindex.html: two indexes are the promise, whatever the program does.
_TABLES: Final = f"""
BEGIN;
CREATE TABLE attempts (
  seq INTEGER PRIMARY KEY,
  attempt_id TEXT NOT NULL UNIQUE,
  key TEXT,
  digest TEXT NOT NULL,
  provider TEXT NOT NULL,
  to_number TEXT NOT NULL,
  from_number TEXT NOT NULL,
  via TEXT NOT NULL,
  created_at TEXT NOT NULL,
  death_at TEXT NOT NULL,
  owner_pid INTEGER,
  owner_start TEXT,
  command TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN
    ('intent', 'ultravox_created', 'leg_intent', 'not_placed', 'placed', 'unknown', 'ended')),
  placed TEXT NOT NULL CHECK (placed IN ('yes', 'no', 'unknown')),
  leg_at TEXT,
  ring_timeout_s INTEGER,
  time_limit_s INTEGER,
  ultravox_call_id TEXT,
  carrier_call_id TEXT,
  carrier_ids TEXT NOT NULL,
  outcome TEXT,
  exit_code INTEGER,
  answered_at TEXT,
  ended_at TEXT,
  duration_s REAL,
  end_reason TEXT,
  cost TEXT,
  error TEXT,
  reason TEXT,
  assumed_by TEXT,
  updated_at TEXT NOT NULL,
  -- What the two unique indexes ask for, in columns of their own: a step that changes neither leaves the indexes alone.
  blocks_number INTEGER NOT NULL CHECK (blocks_number = (state <> 'ended')),
  spends_key INTEGER NOT NULL CHECK (spends_key = (state <> 'ended' OR placed <> 'no'))
);
CREATE UNIQUE INDEX one_open_attempt_per_number ON attempts (to_number) WHERE blocks_number;
CREATE UNIQUE INDEX one_call_per_key ON attempts (key) WHERE key IS NOT NULL AND spends_key;
CREATE INDEX attempts_by_key ON attempts (key) WHERE key IS NOT NULL;
CREATE TABLE ids (
  id TEXT NOT NULL,
  attempt_id TEXT NOT NULL REFERENCES attempts (attempt_id),
  PRIMARY KEY (id, attempt_id)
) WITHOUT ROWID;
CREATE TABLE steps (
  attempt INTEGER NOT NULL REFERENCES attempts (seq),
  number INTEGER NOT NULL,
  at TEXT NOT NULL,
  step TEXT NOT NULL,
  state TEXT NOT NULL,
  facts TEXT NOT NULL,
  PRIMARY KEY (attempt, number)
) WITHOUT ROWID;
CREATE TRIGGER steps_stay BEFORE UPDATE ON steps BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER steps_last BEFORE DELETE ON steps BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
PRAGMA journal_mode = WAL;
"""

_ROOM: Final = "free some space: nobody is dialed while the journal cannot be written"
_RIGHTS: Final = "make the directory and the file yours and writable, or set UVCALL_STATE_DIR to another directory"
_BACKUP: Final = "restore it from a backup; uvcall makes no new one over it, since that would forget who was called"

#: SQLite's primary result code → what it means here, and how to mend it. https://www.sqlite.org/rescode.html
_TOLD: Final[Mapping[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", _ROOM),
    sqlite3.SQLITE_BUSY: (
        f"has been locked by another process for {BUSY_S:g} s",
        "wait for the other uvcall, or end it; nobody was dialed",
    ),
    sqlite3.SQLITE_READONLY: ("cannot be written", _RIGHTS),
    sqlite3.SQLITE_PERM: ("cannot be written", _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _RIGHTS),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written: the disk reports an error or is full",
        "look at the disk's space and health; nobody is dialed while the journal cannot be written",
    ),
    sqlite3.SQLITE_NOTADB: ("is not a journal: not even an SQLite file", _BACKUP),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _BACKUP),
}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into one line and a way to mend it.

    Raises:
        LocalError: Whatever went wrong; the original is its cause.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte of an extended code is the primary one
        what, hint = _TOLD.get(code, (f"cannot be used: {error}", "run uvcall again; if it stays, look at the disk"))
        raise LocalError(f"the journal {path} {what}", hint=hint) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        what = "the disk is full" if full else str(error.strerror)
        raise LocalError(
            f"the journal {path} cannot be opened or made: {what}",
            hint=_ROOM if full else _RIGHTS,
        ) from error


def connect(directory: Path) -> sqlite3.Connection:
    """Open the journal of a state directory, or make it where there is none.

    Raises:
        LocalError: It is not safe, not ours, newer, damaged, or cannot be opened.
    """
    path = directory / NAME
    with told(path):
        _guard_directory(directory)
        if not os.path.lexists(path):
            _make(path)
        unclean = _guard(path)
        # mode=rw: a file that vanishes in between is an error, not a new and empty journal.
        db = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,  # transactions begin and end where this room says so
            check_same_thread=False,  # `ledger.Journal` holds a lock
        )
        try:
            _inspect(db, path, unclean=unclean)
            # A file system without shared memory keeps a rollback journal instead: slower, as durable.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA fullfsync = ON")  # macOS: F_FULLFSYNC; without it the drive's cache is not flushed
            db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
        return db


def _guard_directory(directory: Path) -> None:
    facts = directory.stat()
    if facts.st_uid not in {os.geteuid(), 0} or facts.st_mode & 0o022:
        # Whoever can write here can put another file in the journal's place.
        raise LocalError(
            f"the state directory {directory} can be written by others",
            hint=f"chown it to yourself, then: chmod 700 {directory}",
        )


def _guard(path: Path) -> bool:
    """Refuse a file that others may have had a hand in; return whether a write-ahead log waits beside it.

    The file is looked at by name, not opened: closing any descriptor of it would drop the locks that another
    connection of this process holds. https://www.sqlite.org/howtocorrupt.html
    """
    waiting = False
    for each in (path, _beside(path, "-wal"), _beside(path, "-shm")):
        try:
            facts = os.lstat(each)
        except FileNotFoundError:
            if each is path:
                raise
            continue
        if not stat.S_ISREG(facts.st_mode):
            raise LocalError(
                f"{each} is a link or no plain file: the journal must be a file of its own",
                hint="remove the link, or set UVCALL_STATE_DIR to the directory that it leads to",
            )
        if facts.st_uid != os.geteuid():
            raise LocalError(f"{each} belongs to another user", hint="run uvcall as that user, or chown the file")
        if facts.st_mode & 0o077:
            raise LocalError(f"{each} is open to other users", hint=f"chmod 600 {each}")
        waiting = waiting or (each.name.endswith("-wal") and facts.st_size > 0)
    return waiting


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _make(path: Path) -> None:
    """Make an empty journal under another name, whole and on disk, then give it its name unless it is taken.

    So a process killed in between leaves no half-made journal, and an empty file of that name is always damage.
    """
    for ending in ("-wal", "-shm"):
        # The name is looked for again: another process may have made the journal, and opened it, just now.
        if os.path.lexists(_beside(path, ending)) and not os.path.lexists(path):
            raise LocalError(f"the journal {path} is gone, but its {ending} file is still there", hint=_BACKUP)
    # mkstemp opens with O_CREAT | O_EXCL | O_NOFOLLOW and mode 0600; SQLite's further files take the same mode.
    import tempfile  # once in a journal's life

    handle, name = tempfile.mkstemp(prefix=".journal-", suffix=".new", dir=path.parent)
    try:
        os.close(handle)
        with closing(sqlite3.connect(name, timeout=BUSY_S, isolation_level=None)) as db:
            db.executescript(_TABLES)
        with suppress(FileExistsError):  # another process was quicker: then its journal is the journal
            os.link(name, path)
    finally:
        Path(name).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the name itself must outlast a power cut
    finally:
        os.close(folder)


def _inspect(db: sqlite3.Connection, path: Path, *, unclean: bool) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise LocalError(f"the journal {path} is empty or belongs to another program", hint=_BACKUP)
    if version > SCHEMA:
        raise LocalError(
            f"the journal {path} has schema {version}; this uvcall knows {SCHEMA}",
            hint="a newer uvcall wrote it: update this one; nobody was dialed",
        )
    if version < SCHEMA:
        raise LocalError(f"the journal {path} has schema {version}, which never was", hint=_BACKUP)
    if unclean:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    else:
        verdict = "ok" if _whole(db, path) else "cut short"
    if verdict != "ok":
        raise LocalError(f"the journal {path} is damaged", hint=_BACKUP)


def _whole(db: sqlite3.Connection, path: Path) -> bool:
    """Say whether the file is as long as its pages are; SQLite itself reads a last page cut short as zeros.

    In one read transaction, which keeps another process from folding its log into the file meanwhile: pages that only
    a log holds are no missing ones.
    """
    db.execute("BEGIN")
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    whole = path.stat().st_size >= pages * size or _beside(path, "-wal").stat().st_size > 0
    db.execute("COMMIT")
    return whole
