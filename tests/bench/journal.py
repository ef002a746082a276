"""What the journal costs a call: `python tests/bench/journal.py [calls] [directory]`.

A call is timed three ways: with its five steps one by one; with four (the Ultravox id told by `leg_intent`); and the
four with the journal opened before and closed after, as a `dial` of its own does. Beside each call, in the same run, so
many bare appends of 16 KiB (what a commit writes) are followed by fdatasync each: the floor under any durable journal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[2]))

from uvcall.journal import Intent, Journal, digest_of, open_journal, this_process

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BLOCK = b"x" * 16_384
Times = defaultdict[str, list[float]]


def timed(times: Times, name: str, work: Callable[[], Any]) -> Any:
    started = perf_counter()
    result = work()
    times[name].append((perf_counter() - started) * 1000)
    return result


def call(journal: Journal, times: Times, number: int, commits: int) -> float:
    to = f"+1{2_000_000_000 + number}"
    one = Intent(
        str(uuid4()), "telnyx", to, "+12025550199", NOW, NOW + timedelta(minutes=12), digest_of({"to": to}),
        owner=this_process(), command=f"uvcall dial {to} --provider telnyx",
    )  # fmt: skip
    steps: list[tuple[str, dict[str, Any]]] = [
        ("ultravox_created", {"ultravox_call_id": str(uuid4())}),
        ("leg_intent", {"provider": "telnyx", "ring_timeout_s": 35, "time_limit_s": 630}),
        ("placed", {"carrier_call_id": f"v3:{uuid4().hex}", "carrier_ids": {"call_leg_id": str(uuid4())}}),
        ("ended", {"outcome": "completed", "exit_code": 0, "placed": "yes", "duration_s": 41.5, "end_reason": "hangup"}),
    ]  # fmt: skip
    if commits == 4:
        _, told = steps.pop(0)
        steps[0][1].update(told)
    started = perf_counter()
    timed(times, "commit", lambda: journal.begin(one))
    for step, facts in steps:
        timed(times, "commit", lambda step=step, facts=facts: journal.step(one.attempt_id, step, NOW, **facts))
    return (perf_counter() - started) * 1000


def bare(file: int, times: Times, count: int) -> None:
    def write() -> None:
        os.write(file, BLOCK)
        os.fdatasync(file)

    started = perf_counter()
    for _ in range(count):
        timed(times, "bare fdatasync", write)
    times[f"{count} bare fdatasyncs"].append((perf_counter() - started) * 1000)


def measure(calls: int, folder: Path) -> dict[str, dict[str, float]]:
    times: Times = defaultdict(list)
    for name in ("kept", "alone"):
        (folder / name).mkdir(mode=0o700)
    open_journal(folder / "alone").close()
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open_journal(folder / "kept") as kept:
        for number in range(calls):
            times["call of 5 commits"].append(call(kept, times, 2 * number, 5))
            times["call of 4 commits"].append(call(kept, times, 2 * number + 1, 4))
            bare(file, times, 4)
            started = perf_counter()
            alone = timed(times, "open", lambda: open_journal(folder / "alone"))
            times["call of 4 commits, journal just opened"].append(call(alone, defaultdict(list), number, 4))
            timed(times, "close", alone.close)
            times["open, call of 4 commits, close"].append((perf_counter() - started) * 1000)
    os.close(file)
    return {name: spread(each) for name, each in sorted(times.items())}


def spread(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "median_ms": round(statistics.median(values), 3),
        "p99_ms": round(sorted(values)[int(len(values) * 0.99)], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("calls", nargs="?", type=int, default=400)
    parser.add_argument("directory", nargs="?", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        for name, figures in measure(given.calls, Path(folder)).items():
            print(json.dumps({"what": name, **figures}))


if __name__ == "__main__":
    main()
