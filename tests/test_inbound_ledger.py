"""The ledger of inbound calls: what is on disk, who sees it, and what when it cannot be written."""

import asyncio
import sqlite3
import stat
import time

import pytest

from uvcall.core.inbound_policy import ADMIT, Rules, Step
from uvcall.errors import LocalError
from uvcall.journal.inbound import NAME, Claim, InboundLedger, Known, Note, checkpoint, seen
from uvcall.server import ledger as async_ledger
from uvcall.server.ledger import AsyncLedger

RULES = Rules(max_concurrent=2, per_caller=100)
ANYBODY = Rules(max_concurrent=10**9, per_caller=None, per_hour=None)
CALLER, OURS = "+12025550123", "+12025550199"
NOW = 1_000_000.0


def claim(key, at=NOW):
    return Claim(key, CALLER, OURS, at)


def opened(directory, rules=RULES, now=NOW):
    return InboundLedger(directory, rules, now=now)


def test_a_call_is_claimed_once_by_whomever(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    assert one.batch([claim("twilio:a"), claim("twilio:a")]) == [ADMIT, Known("twilio:a", Step.CLAIMED, NOW)]
    (found,) = other.batch([claim("twilio:a", NOW + 1)])
    assert found == Known("twilio:a", Step.CLAIMED, NOW)
    one.batch([Note("twilio:a", Step.CREATED, NOW + 1, "uv-1")])
    assert other.known("twilio:a") == Known("twilio:a", Step.CREATED, NOW + 1, "uv-1")
    assert other.key_of("uv-1") == "twilio:a"
    other.batch([Note("twilio:a", Step.ENDED, NOW + 2, word="hangup")])
    one.batch([Note("twilio:a", Step.JOINED, NOW + 1.5)])
    assert one.known("twilio:a").step is Step.ENDED, "a late word does not bring it back"
    one.close()
    other.close()


def test_workers_count_each_others_calls_and_a_restart_counts_on(tmp_path):
    one, other = opened(tmp_path), opened(tmp_path)
    assert one.batch([claim("a")]) == [ADMIT]
    assert other.batch([claim("b")]) == [ADMIT]
    assert one.batch([claim("c")])[0].reason == "too many calls at once"
    other.batch([Note("b", Step.CREATED, NOW, "uv-b")])
    one.close()
    other.close()
    again = opened(tmp_path)
    assert again.open_calls() == {"b": "uv-b"}
    assert again.batch([claim("d")])[0].busy
    assert again.batch([claim("c")]) == [Known("c", Step.REFUSED, NOW, word="busy: too many calls at once")]
    again.close()


def test_ids_are_kept_for_months_and_not_for_ever(tmp_path):
    for days, known in ((89, True), (180, False)):
        ledger = opened(tmp_path, now=NOW + days * 86_400)
        if days == 89:
            ledger.batch([claim("old")])
        assert (ledger.known("old") is not None) is known
        ledger.close()


def test_notes_about_strangers_calls_are_not_kept(tmp_path):
    ledger = opened(tmp_path)
    ledger.batch([Note("twilio:never", Step.ENDED, NOW)])
    assert ledger.known("twilio:never") is None
    ledger.close()


def test_the_file_is_the_users_alone_and_holds_no_join_url(tmp_path):
    opened(tmp_path).close()
    path = tmp_path / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    columns = {row[1] for row in sqlite3.connect(path).execute("PRAGMA table_info(steps)")}
    assert columns == {"seq", "key", "step", "at", "caller", "ultravox_id", "word"}
    path.chmod(0o644)
    with pytest.raises(LocalError, match="not yours alone"):
        opened(tmp_path)
    path.unlink()
    (tmp_path / "elsewhere").touch(mode=0o600)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalError):
        opened(tmp_path)


def test_its_secret_stays_the_same(tmp_path):
    for fresh in ("first", "second"):
        ledger = opened(tmp_path)
        assert ledger.secret("x", fresh) == "first"
        ledger.close()


def test_what_cannot_be_written_is_decided_from_memory_one_call_at_a_time(tmp_path):
    """A lock that another holds is like a full disk: the caller is answered all the same, and the service says so."""
    troubles = []

    async def main():
        ledger = AsyncLedger(opened(tmp_path), troubles.append)
        assert await ledger.claim(claim("a")) == ADMIT
        lock = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        assert (await ledger.claim(claim("b"))).reason == "too many calls at once"
        assert not ledger.healthy
        ledger.note(Note("a", Step.ENDED, NOW))
        lock.execute("ROLLBACK")
        lock.close()
        await asyncio.sleep(1.05)
        assert await ledger.claim(claim("c")) == ADMIT
        assert ledger.healthy
        await ledger.close()

    asyncio.run(main())
    assert "locked" in troubles[0].message


def test_a_checkpoint_folds_the_log_in(tmp_path):
    ledger = opened(tmp_path)
    ledger.batch([claim(f"k{n}") for n in range(50)])
    before = (tmp_path / NAME).stat().st_size
    checkpoint(tmp_path / NAME)
    assert (tmp_path / NAME).stat().st_size > before
    ledger.close()


def test_a_log_that_is_always_written_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(async_ledger, "_CHECKPOINT_S", 0.01)
    monkeypatch.setattr(async_ledger, "_LONG", 50)
    log = tmp_path / f"{NAME}-wal"

    async def main() -> None:
        ledger = AsyncLedger(opened(tmp_path, ANYBODY), lambda error: pytest.fail(error.message))
        sizes = [0]
        deadline = time.monotonic() + 20
        number = 0
        while max(sizes) <= sizes[-1] and time.monotonic() < deadline:
            assert await ledger.claim(claim(f"k{number}")) == ADMIT
            sizes.append(log.stat().st_size)
            number += 1
        assert sizes[-1] < max(sizes)
        for each in range(number):
            assert (await ledger.known(f"k{each}")).step is Step.CLAIMED
        await ledger.close()

    asyncio.run(main())


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(b"no ledger " * 500)
    (tmp_path / NAME).chmod(0o600)
    with pytest.raises(LocalError, match="not even an SQLite file"):
        opened(tmp_path)


def test_work_that_fails_halfway_leaves_nothing(tmp_path):
    def work():
        yield claim("twilio:a")
        raise RuntimeError("a bug")

    ledger = opened(tmp_path, Rules(max_concurrent=1, per_caller=100))
    with pytest.raises(RuntimeError):
        ledger.batch(work())
    assert ledger.known("twilio:a") is None
    assert ledger.batch([claim("twilio:b")]) == [ADMIT], "the call that was not written counts for nothing"
    ledger.close()


def test_a_call_is_seen_under_the_carriers_and_ultravoxs_id(tmp_path):
    assert seen(tmp_path, "CA1") is None
    assert not (tmp_path / NAME).exists()
    ledger = opened(tmp_path)
    ledger.batch([claim("twilio:CA1"), Note("twilio:CA1", Step.CREATED, NOW + 1, "uv-1")])
    known = Known("twilio:CA1", Step.CREATED, NOW + 1, "uv-1")
    assert [found and found.known for found in (seen(tmp_path, text) for text in ("CA1", "twilio:CA1", "UV-1", "CA2"))] == [
        known, known, known, None
    ]  # fmt: skip
    ledger.close()


def test_from_memory_one_call_and_no_second_beside_it(tmp_path):
    ledger = opened(tmp_path)
    assert ledger.from_memory(claim("a")) == ADMIT
    assert ledger.from_memory(claim("b")).reason == "too many calls at once"
    ledger.close()
