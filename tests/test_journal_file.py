"""The journal's file against everything that happens to files and to the processes that write them."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import uvcall
from uvcall.errors import LocalError
from uvcall.journal import Intent, Journal, digest_of, open_journal
from uvcall.journal import file as journal_file

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROOT = os.geteuid() == 0
NOBODY = 65_534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def begin(journal: Journal, number: int = 100, **changes: Any) -> str:
    to = f"+1202{number:07d}"
    values: dict[str, Any] = {
        "attempt_id": str(uuid4()),
        "provider": "plivo",
        "to": to,
        "from_": "+12025550199",
        "created_at": NOW,
        "death_at": NOW + timedelta(minutes=12),
        "digest": digest_of({"to": to}),
    }
    one = Intent(**values | changes)
    journal.begin(one)
    return one.attempt_id


def made(home: Path) -> Path:
    """Make a journal with one attempt, closed cleanly."""
    with open_journal(home) as journal:
        begin(journal)
    return home / "journal.db"


def refused(home: Path, match: str) -> LocalError:
    """Open and be refused; nothing is changed by it."""
    before = {each.name: each.lstat().st_size for each in home.iterdir()}
    with pytest.raises(LocalError, match=match) as error:
        open_journal(home)
    assert {each.name: each.lstat().st_size for each in home.iterdir()} == before
    assert (error.value.exit_code, error.value.placed) == (7, "no")
    assert error.value.hint
    assert "\n" not in error.value.message
    return error.value


# -- opening ------------------------------------------------------------------------------------------------------------


def test_a_new_journal_is_private_durable_and_alone(home: Path) -> None:
    with open_journal(home) as journal:
        begin(journal)
        assert {each.name for each in home.iterdir()} == {"journal.db", "journal.db-wal", "journal.db-shm"}
        assert {stat.S_IMODE(each.stat().st_mode) for each in home.iterdir()} == {0o600}
        pragmas = {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            "user_version": 1,
            "busy_timeout": 5000,
        }
        for name, value in pragmas.items():
            assert journal._db.execute(f"PRAGMA {name}").fetchone() == (value,), name
    assert [each.name for each in home.iterdir()] == ["journal.db"]
    with open_journal(home) as journal:
        assert len(journal.recent()) == 1


def test_what_is_open_to_others_is_refused(home: Path) -> None:
    path = made(home)
    for mode in (0o640, 0o604, 0o620, 0o602, 0o610):
        path.chmod(mode)
        assert refused(home, "open to other users").hint == f"chmod 600 {path}"
    path.chmod(0o600)
    for mode in (0o770, 0o702):
        home.chmod(mode)
        assert "chmod 700" in refused(home, "can be written by others").hint
    home.chmod(0o755)  # others may look at names
    open_journal(home).close()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
def test_links_and_other_things_in_its_place_are_refused(home: Path, ending: str) -> None:
    path = made(home)
    elsewhere = home / "elsewhere"
    path.rename(elsewhere)
    shutil.copy(elsewhere, path)
    there = home / f"journal.db{ending}"
    for put in (lambda: there.symlink_to(elsewhere), lambda: os.mkfifo(there, 0o600), there.mkdir):
        there.unlink(missing_ok=True)
        put()
        refused(home, "is a link or no plain file")
    there.rmdir()


def test_a_dangling_link_makes_no_journal_elsewhere(home: Path) -> None:
    (home / "journal.db").symlink_to(home / "victim")
    refused(home, "is a link")
    assert not (home / "victim").exists()


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
def test_somebody_elses_file_or_directory_is_refused(home: Path) -> None:
    path = made(home)
    os.chown(path, NOBODY, NOBODY)
    refused(home, "belongs to another user")
    os.chown(path, 0, 0)
    os.chown(home, NOBODY, NOBODY)
    refused(home, "can be written by others")


def test_a_missing_directory_is_named(home: Path) -> None:
    with pytest.raises(LocalError, match="No such file or directory"):
        open_journal(home / "none")


def test_a_file_that_vanishes_in_between_is_not_made_anew(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        journal_file._guard(home / "journal.db")


# -- damage -------------------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_left_alone(home: Path) -> None:
    db = sqlite3.connect(made(home))
    db.execute("PRAGMA user_version = 2")
    db.close()
    assert "update" in refused(home, "schema 2; this uvcall knows 1").hint


def test_a_schema_that_never_was_is_refused(home: Path) -> None:
    db = sqlite3.connect(made(home))
    db.execute("PRAGMA user_version = 0")
    db.close()
    refused(home, "schema 0, which never was")


def test_another_programs_database_is_refused(home: Path) -> None:
    db = sqlite3.connect(home / "journal.db")
    db.execute("CREATE TABLE notes (text)")
    db.close()
    (home / "journal.db").chmod(0o600)
    assert "backup" in refused(home, "belongs to another program").hint


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"x", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused(home: Path, content: bytes) -> None:
    path = home / "journal.db"
    path.write_bytes(content)
    path.chmod(0o600)
    refused(home, "not even an SQLite file|is damaged|is empty or belongs")
    assert path.read_bytes() == content


@pytest.mark.parametrize("keep", [0, 1, 50, 100, 4096, 4097, 0.5, 0.99, -1])
def test_a_file_cut_short_is_refused_and_not_filled_up(home: Path, keep: float) -> None:
    path = made(home)
    size = path.stat().st_size
    length = int(size * keep) if 0 < keep < 1 else int(keep) if keep >= 0 else size - 1
    os.truncate(path, length)
    refused(home, "is damaged|not even an SQLite file|is empty")


def test_a_log_without_its_journal_is_refused(home: Path) -> None:
    for ending in ("-wal", "-shm"):
        lost = home / f"journal.db{ending}"
        lost.write_bytes(b"x")
        lost.chmod(0o600)
        refused(home, f"is gone, but its {ending} file")
        lost.unlink()


def unclean(home: Path) -> Path:
    """Make a journal as a killed process leaves it, pages in the file and in the log."""
    path = made(home)
    with open_journal(home) as journal:
        for number in range(200):
            begin(journal, 1000 + number)
        journal._db.execute("PRAGMA wal_checkpoint")
        begin(journal, 99)
        killed = home / "killed"
        killed.mkdir(mode=0o700)
        for each in (path, path.with_name("journal.db-wal")):
            shutil.copy2(each, killed)
    return killed


def test_after_an_unclean_close_every_page_is_looked_at(home: Path) -> None:
    killed = unclean(home)
    whole = home / "whole"
    shutil.copytree(killed, whole)
    whole.chmod(0o700)
    with open_journal(whole) as journal:
        assert len(journal.recent(1000)) == 202
    path = killed / "journal.db"
    content = bytearray(path.read_bytes())
    for page in range(12, len(content) // 4096):  # the pages of rows; the schema's stay whole
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)
    with pytest.raises(LocalError, match="is damaged"):
        open_journal(killed)


def test_damage_found_only_in_use_is_told_as_such(home: Path) -> None:
    with open_journal(home) as journal:
        for number in range(200):
            begin(journal, 1000 + number)
    path = home / "journal.db"
    content = bytearray(path.read_bytes())
    for page in range(12, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)
    with open_journal(home) as journal, pytest.raises(LocalError, match="is damaged") as error:
        journal.recent(1000)
    assert "backup" in error.value.hint


def fill(journal: Journal) -> None:
    for number in range(999):
        begin(journal, number)


# -- full, read-only, locked --------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    disk = home / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k,mode=700", "none", str(disk)]
    if not ROOT or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own needs root and the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_stops_the_dialing_and_loses_nothing(small_disk: Path) -> None:
    with open_journal(small_disk) as journal:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * 60_000)
        with pytest.raises(LocalError, match="disk") as full:
            fill(journal)
        done = len(journal.recent(1000))
        assert 3 < done < 999
        assert "space" in full.value.hint
        ballast.unlink()
        begin(journal, done)
        assert len(journal.recent(1000)) == done + 1


def test_no_room_for_a_new_journal(small_disk: Path) -> None:
    size = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(b"x" * size.f_frsize * size.f_bavail)
    with pytest.raises(LocalError, match="disk"):
        open_journal(small_disk)
    assert [each.name for each in small_disk.iterdir()] == ["ballast"]


def test_a_read_only_disk(small_disk: Path) -> None:
    made(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(LocalError, match=r"cannot be (opened|written)") as error:
        open_journal(small_disk)
    assert "writable" in error.value.hint


@pytest.mark.skipif(ROOT, reason="root may write anywhere")
def test_a_read_only_directory(home: Path) -> None:
    home.chmod(0o500)
    with pytest.raises(LocalError, match="Permission denied"):
        open_journal(home)
    home.chmod(0o700)


def test_a_database_that_may_not_grow_is_told_as_a_full_disk(home: Path) -> None:
    with open_journal(home) as journal:
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LocalError, match="the disk is full"):
            fill(journal)
        journal._db.execute("PRAGMA max_page_count = 100000")
        begin(journal, 5000)


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_the_systems_errors_are_told(home: Path, number: int, what: str) -> None:
    with pytest.raises(LocalError, match=what) as error, journal_file.told(home / "journal.db"):
        raise OSError(number, os.strerror(number))
    assert ("space" in error.value.hint) == (what == "the disk is full")


def test_a_lock_that_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "BUSY_S", 0.3)  # five seconds in life: `busy_timeout` above
    with open_journal(home) as journal:
        other = sqlite3.connect(home / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(LocalError, match="locked by another process for 5 s"):
            begin(journal)
        assert 0.25 < time.monotonic() - started < 5
        assert journal.recent() == []  # reading goes on
        other.execute("ROLLBACK")
        begin(journal)
        other.close()


# -- real processes -----------------------------------------------------------------------------------------------------

CHILD = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from uvcall.errors import UvcallError
from uvcall.journal import Intent, KeyTaken, NumberTaken, digest_of, open_journal, this_process

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

def intent(to, key=None):
    return Intent(str(uuid4()), "telnyx", to, "+12025550199", NOW, NOW + timedelta(minutes=12),
                  digest_of({"key": key}), key=key, owner=this_process())

def say(*words):
    print(*words, flush=True)
"""

RACER = """
for line in sys.stdin:
    what, text = line.split()
    if what == "open":
        journal = open_journal(Path(text))
        say("opened", "-")
        continue
    # One key and different numbers, or one number and no key.
    one = intent(text) if what == "number" else intent(f"+1202{sys.argv[1]}{int(text):06d}", key="k" + text)
    try:
        journal.begin(one)
        say("begun", one.attempt_id)
    except (KeyTaken, NumberTaken) as error:
        say(type(error).__name__, error.entry.attempt_id)
"""

WRITER = """
STEPS = [("ultravox_created", {"ultravox_call_id": "uv"}), ("leg_intent", {}), ("placed", {"carrier_call_id": "c"}),
         ("ended", {"outcome": "completed", "exit_code": 0, "placed": "yes"})]
journal = open_journal(Path(sys.argv[1]))
waits = sys.argv[2] == "wait"
number = 0
while True:
    one = intent(f"+1202{number:07d}")
    journal.begin(one)
    say(one.attempt_id, "intent")
    waits and sys.stdin.readline()
    for step, facts in STEPS:
        journal.step(one.attempt_id, step, NOW, **facts)
        say(one.attempt_id, step)
        waits and sys.stdin.readline()
    number += 1
"""


def start(script: str, *args: object, **options: Any) -> subprocess.Popen[str]:
    where = {"PYTHONPATH": str(Path(uvcall.__file__).parents[1]), "PATH": os.environ.get("PATH", "")}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, *map(str, args)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=where, **options,
    )  # fmt: skip


def tell(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def hear(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    return child.stdout.readline().split()


def test_two_processes_on_one_key_or_one_number_give_one_attempt(home: Path) -> None:
    racers = [start(RACER, number) for number in range(2)]

    def race(line: str) -> list[list[str]]:
        for racer in racers:
            tell(racer, line)
        return [hear(racer) for racer in racers]

    for each in range(20):  # making the journal is a race too
        folder = home / str(each)
        folder.mkdir(mode=0o700)
        assert race(f"open {folder}") == [["opened", "-"]] * 2
        assert {name.name for name in folder.iterdir()} >= {"journal.db"}
    wins = [0, 0]
    for each in range(40):
        for line, error in ((f"key {each}", "KeyTaken"), (f"number +1303{each:07d}", "NumberTaken")):
            answers = race(line)
            winner = [answer[0] for answer in answers].index("begun")
            wins[winner] += 1
            assert answers[1 - winner] == [error, answers[winner][1]]
    for racer in racers:
        _, errors = racer.communicate(timeout=30)
        assert (racer.returncode, errors) == (0, "")
    with open_journal(folder) as journal:
        assert len(journal.recent(1000)) == 80
    assert [list(path.glob(".journal-*")) for path in home.iterdir()] == [[]] * 20


@pytest.mark.parametrize("survived", range(1, 6))
def test_a_process_killed_between_two_steps_leaves_the_last_one(home: Path, survived: int) -> None:
    writer = start(WRITER, home, "wait")
    for _ in range(survived - 1):
        hear(writer)
        tell(writer, "on")
    attempt, step = hear(writer)
    writer.kill()
    writer.communicate()
    with open_journal(home) as journal:
        entry = journal.get(attempt)
        assert entry is not None
        assert entry.state == step
        assert len(journal.history(attempt)) == survived
        assert entry.owner is not None
        assert entry.owner.pid == writer.pid
        from uvcall.journal import process_alive

        assert not entry.owner_alive(process_alive)


@pytest.mark.parametrize("lines", [1, 8, 33, 90, 141])
def test_a_process_killed_in_full_flight_loses_no_step_that_it_was_told_is_kept(home: Path, lines: int) -> None:
    writer = start(WRITER, home, "run")
    heard = [hear(writer) for _ in range(lines)]
    writer.kill()
    rest, _ = writer.communicate()
    heard += [line.split() for line in rest.splitlines() if len(line.split()) == 2]
    with open_journal(home) as journal:
        trail = [[entry.attempt_id, taken.step] for entry in reversed(journal.recent(10_000))
                 for taken in journal.history(entry.attempt_id)]  # fmt: skip
        # What was said is there, in that order; one step may be on disk that was not said any more.
        assert trail[: len(heard)] == heard
        assert len(trail) <= len(heard) + 1
        assert all(entry.open == (len(journal.history(entry.attempt_id)) < 5) for entry in journal.recent(10_000))


def test_a_process_whose_files_may_not_grow_is_told_so_and_stops(home: Path) -> None:
    made(home)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    child = start("""
journal = open_journal(Path(sys.argv[1]))
try:
    for number in range(1000):
        journal.begin(intent(f"+1202{number:07d}"))
except UvcallError as error:
    say(type(error).__name__, error.exit_code, number)
""", home, preexec_fn=limit)  # fmt: skip
    out, errors = child.communicate(timeout=30)
    kind, code, written = out.split()
    assert (kind, code, errors) == ("LocalError", "7", "")
    with open_journal(home) as journal:
        assert len(journal.recent(1000)) == 1 + int(written)
