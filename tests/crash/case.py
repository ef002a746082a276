"""One run: a `dial` is killed at a step, and whatever comes after is judged by what the sandbox's peers saw.

    dial --idempotency-key K      killed at step n (or not, where n is past its end)
    reconcile                     in every other run; else the next dial must look by itself what the killed one left
    dial --idempotency-key K      the same order again: must not ring where the first one has, or may have
    dial                          another order to the same number: refused for as long as the first is open
    …                             every leg ends, at its time limit if not before
    reconcile                     three minutes later by its clock, when carriers have listed whatever there was

Each run has a sandbox and a journal of its own; the sandbox lives in the process that judges, and so do the commands that
nobody kills, one after the other. What is killed is a process of its own (`children.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from crash.children import Nest, carry_out_here
from crash.hooks import SPEED, prepare

from uvcall.sandbox.faults import SLOW_S

NUMBER: Final = "+12025550100"
RING_S: Final = 10  #: of the world's life
TALK_S: Final = 20
#: From the order to the leg's surest end: in the carrier's queue, ringing, and up to the carrier's own limit.
LIFE_S: Final = 1 + RING_S + TALK_S + 30
#: The sandbox's timers, on a machine that is busy with other runs. Seconds of the world's life.
LATE_S: Final = 180
PATIENCE_S: Final = 40.0
RECONCILES: Final = 6
#: Homes are here where it is: what a killed process wrote outlives it in memory as on a disk.
_MEMORY: Final = "/dev/shm"


@dataclass(frozen=True)
class Case:
    """What is done in a run. The same case with the same seed meets the same faults."""

    carrier: str  #: one, or several for a fail-over
    scenario: str
    faults: str
    seed: int
    stop: int = 0  #: the step at which `dial` is killed; 0: at none
    via: str = "sdk"
    fresh: bool = False  #: the process that is killed is a new interpreter, no fork

    @property
    def name(self) -> str:
        """The case in one word, for `run.py --case`."""
        words = (self.carrier, self.via, self.scenario, self.faults, str(self.seed), str(self.stop))
        return ":".join((*words, "fresh") if self.fresh else words)

    @classmethod
    def named(cls, name: str) -> Case:
        """Return the case of that name."""
        carrier, via, scenario, faults, seed, stop, *fresh = name.split(":")
        return cls(carrier, scenario, faults, int(seed), int(stop), via, bool(fresh))


@dataclass
class Verdict:
    """What was seen."""

    case: Case
    killed_at: str | None = None  #: the step's name; None: it ended by itself
    steps: int = 0  #: how many the whole `dial` took, where it ended by itself
    wrong: list[str] = field(default_factory=list)
    fates: list[str] = field(default_factory=list)  #: of each attempt, in the end
    legs: int = 0
    faults: int = 0
    looks: int = 0  #: how often a `dial` settled first what was left open
    seconds: float = 0.0
    said: list[Any] = field(default_factory=list)


def judge(case: Case, nest: Nest, *, keep: bool = False) -> Verdict:
    """Carry out a run and say what was wrong with it."""
    begun = time.monotonic()
    verdict = Verdict(case)
    with world(case) as (home, running, env):
        _judge(_Run(case, verdict, home, running, env), nest)
    verdict.seconds = time.monotonic() - begun
    if not verdict.wrong and not keep:
        verdict.said = []
    return verdict


@contextlib.contextmanager
def world(case: Case) -> Iterator[tuple[Path, Any, dict[str, str]]]:
    """Let the case's sandbox run in this process; give a home, the sandbox, and the environment that leads to it."""
    from uvcall.sandbox.app import start as start_sandbox
    from uvcall.sandbox.world import Options

    home = Path(tempfile.mkdtemp(prefix="uvcall-crash-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        with start_sandbox(Options(scenario=case.scenario, speed=SPEED, faults=case.faults, seed=case.seed)) as running:
            env = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(home), "UVCALL_STATE_DIR": str(home / "state"),
                   "XDG_CONFIG_HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
                   **running.ready["env"]}  # fmt: skip
            yield home, running, env
    finally:
        shutil.rmtree(home, ignore_errors=True)


def dial(case: Case) -> list[str]:
    """Return the case's command line."""
    return ["dial", NUMBER, "--provider", case.carrier, "--via", case.via, "--ring-timeout", f"{RING_S}s",
            "--max-duration", f"{TALK_S}s", "--json"]  # fmt: skip


def creates_leg(request: Mapping[str, Any]) -> bool:
    """Say whether a request in the history was one that may place a leg."""
    from uvcall.sandbox.gate import creates

    peer = request["peer"]
    return peer != "ultravox" and creates(peer, request["method"], request["path"])


@dataclass
class _Run:
    """A run on its way: the world that it happens in, and what is held against the program."""

    case: Case
    verdict: Verdict
    home: Path
    running: Any
    env: dict[str, str]

    def blame(self, holds: bool, words: str) -> None:
        """Note what is wrong where it holds."""
        if holds:
            self.verdict.wrong.append(words)

    def placed(self) -> int:
        """Return how many legs there were so far, by the sandbox's own history."""
        return sum(event["type"] == "call.placed" for event in self.running.history())

    def attempts(self) -> list[dict[str, Any]]:
        """Return what the journal holds."""
        return attempts(self.home)

    def any_open(self) -> bool:
        """Say whether the journal holds an attempt without an end."""
        return any(attempt["open"] for attempt in self.attempts())

    def run(self, argv: list[str], **more: Any) -> dict[str, Any]:
        """Run a command in this process and return how it ended."""
        return self.note(argv, carry_out_here({"argv": argv, "env": self.env, **more}, prepare))

    def note(self, argv: list[str], told: dict[str, Any]) -> dict[str, Any]:
        """Keep what a command told."""
        self.verdict.said.append({"argv": argv[0], **told, "placed": self.placed()})
        bug = told.get("code") == 1 or "Traceback" in told.get("err", "")
        self.blame(bug, f"{argv[0]} had a bug: {' | '.join(told.get('err', '').splitlines()[-3:])[:300]}")
        self.verdict.looks += "was left open" in told.get("err", "")
        return told

    def record(self, told: dict[str, Any]) -> dict[str, Any]:
        """Return the record that a command printed."""
        self.blame(not told.get("out"), "no record was printed")
        found: dict[str, Any] = json.loads(told.get("out") or "{}")
        return found

    def the_same_order_again(self, argv: list[str]) -> None:
        """Dial again with the key: the order must not ring twice, and its second run must know of the first."""
        known = self.attempts()
        second = self.record(self.run(argv))
        now = self.attempts()
        self.blame(self.placed() > 1, "the order rang twice")
        first = now[0] if known else None
        if first is not None and (first["open"] or first["placed"] != "no"):
            named = second.get("attempt_id") == first["attempt_id"] or first["attempt_id"] in json.dumps(
                second["error"]
            )
            self.blame(not named, "the second run of the order does not say which attempt had its key")
            self.blame(len(now) > len(known), "the order was dialed again although its key was spent")

    def another_order(self, argv: list[str]) -> None:
        """Dial the number without a key: refused as long as an attempt at it is open, and only then."""
        self.let_all_arrive()
        known, before = {each["attempt_id"] for each in self.attempts()}, self.placed()
        third = self.record(self.run(argv))
        new = self.placed() - before
        self.blame(new > 1, "another order rang twice")
        self.blame(new > 0 and self.two_at_once(), "the number was rung while a leg of another attempt was up")
        refused = third.get("exit_code") == 3
        still_open = any(each["open"] and each["attempt_id"] in known for each in self.attempts())
        self.blame(still_open and (new > 0 or not refused), "the number was dialed while an attempt at it was open")
        self.blame(not still_open and refused, "the number was refused though no attempt at it was open")

    def let_all_arrive(self) -> None:
        """Wait until the sandbox has done what the killed process had sent it; on a busy machine that may take."""
        time.sleep(2 * SLOW_S / SPEED)
        for _ in range(2):
            urllib.request.urlopen(f"{self.running.ready['ultravox']}/_sandbox/faults", timeout=30).close()

    def two_at_once(self) -> bool:
        """Say whether ever two legs were up at the same time."""
        up = 0
        for event in self.running.history():
            up += (event["type"] == "call.placed") - (event["type"] == "call.ended" and event["peer"] != "ultravox")
            if up > 1:
                return True
        return False

    def settle(self) -> None:
        """Reconcile later: in the middle of the trouble at first, then when it is over."""
        for left in reversed(range(RECONCILES)):
            if not self.any_open():
                return
            if left == 0:
                _end_trouble(self.running)
            # A vendor that cannot be read settles nothing (exit code 75): whoever means it runs it again.
            if self.run(["reconcile", "--json"], later_s=180)["code"] != 75:
                return


def _judge(one: _Run, nest: Nest) -> None:
    case, verdict, running = one.case, one.verdict, one.running
    plain = [*dial(case), "--settle", "2s"]
    again = [*plain, "--idempotency-key", "order-1"]
    first = one.note(again, nest.run(argv=again, env=one.env, stop=case.stop, fresh=case.fresh))
    verdict.killed_at, verdict.steps = first.get("at"), first.get("steps", 0)
    if (case.seed + case.stop) % 2:
        one.run(["reconcile", "--json"])
    for attempt in one.attempts():
        wrong = {"no": one.placed() > 0, "yes": one.placed() == 0}.get(attempt["placed"], False)
        one.blame(wrong, f"the journal says placed={attempt['placed']}, and {one.placed()} phones were rung")
    one.the_same_order_again(again)
    one.another_order(plain)
    deadline = time.monotonic() + PATIENCE_S
    while _in_time(running) and time.monotonic() < deadline:
        time.sleep(0.02)
    one.settle()
    _look_back(verdict, running.history(), one.attempts())


def _end_trouble(running: Any) -> None:
    request = urllib.request.Request(
        f"{running.ready['ultravox']}/_sandbox/faults",
        data=b'{"faults": "off"}',
        headers={"content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def _in_time(running: Any) -> set[str]:
    """Return the legs that are up, by the sandbox's own history, and not yet older than any may become."""
    oldest = running.world.pace.now() - timedelta(seconds=LIFE_S + LATE_S)
    born: dict[str, str] = {}
    for event in running.history():
        if event["type"] == "call.placed":
            born[event["carrier_call_id"]] = event["at"]
        elif event["type"] == "call.ended" and event["peer"] != "ultravox":
            born.pop(event["carrier_call_id"], None)
    return {leg for leg, at in born.items() if datetime.fromisoformat(at) >= oldest}


def attempts(home: Path) -> list[dict[str, Any]]:
    """Return the journal's attempts, oldest first."""
    from uvcall.journal import open_journal

    if not (home / "state" / "journal.db").exists():
        return []
    with open_journal(home / "state") as journal:
        found = journal.recent(10)
        return [
            {"attempt_id": entry.attempt_id, "placed": entry.placed, "open": entry.open, "state": entry.state.value}
            for entry in reversed(found)
        ]


def when(home: Path, attempt_id: str) -> dict[str, float]:
    """Return when the attempt first took each of its steps, in seconds of the journal's clock."""
    from uvcall.journal import open_journal

    with open_journal(home / "state") as journal:
        return dict(reversed([(taken.step, taken.at.timestamp()) for taken in journal.history(attempt_id)]))


def _look_back(verdict: Verdict, history: list[dict[str, Any]], known: list[dict[str, Any]]) -> None:
    """Hold the whole history against what the journal says in the end."""
    born: dict[str, datetime] = {}
    for event in history:
        if event["type"] == "call.placed":
            born[event["carrier_call_id"]] = datetime.fromisoformat(event["at"])
        if event["type"] == "call.ended" and event["peer"] != "ultravox":
            began = born.pop(event["carrier_call_id"], None)
            if began is None:
                verdict.wrong.append(f"a leg ended that was never placed, or twice: {event}")
                continue
            age = datetime.fromisoformat(event["at"]) - began
            if age > timedelta(seconds=LIFE_S + LATE_S):
                verdict.wrong.append(f"a leg lived {age.total_seconds():.0f} s")
    if born:
        verdict.wrong.append("a leg is up past its death date")
    verdict.legs = sum(event["type"] == "call.placed" for event in history)
    verdict.faults = sum(event["type"] == "fault" for event in history)
    for attempt in known:
        verdict.fates.append(attempt["placed"] if not attempt["open"] else attempt["state"])
        if attempt["open"] and attempt["state"] != "unknown":
            verdict.wrong.append(f"attempt {attempt['attempt_id']} has no end: {attempt['state']}")
    surely = sum(attempt["placed"] == "yes" for attempt in known)
    perhaps = sum(attempt["placed"] != "no" for attempt in known)
    if not surely <= verdict.legs <= perhaps:
        verdict.wrong.append(f"{verdict.legs} legs, and the journal knows of {surely} to {perhaps}")


def carry_out(case: Case, nest: Nest) -> dict[str, Any]:
    """Carry out a run and return its verdict as a JSON object."""
    return {**asdict(judge(case, nest)), "case": case.name}


def in_full(case: Case, nest: Nest) -> dict[str, Any]:
    """Do the same, with everything that was said."""
    return {**asdict(judge(case, nest, keep=True)), "case": case.name}


def figures(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all runs."""
    wrong = [(each["case"], words) for each in results for words in each["wrong"]]

    def count(*marks: str) -> int:
        return sum(any(mark in words for mark in marks) for _, words in wrong)

    fates = [fate for each in results for fate in each.get("fates", ())]
    return {
        "runs": len(results),
        "killed": sum(each.get("killed_at") is not None for each in results),
        "faults met": sum(each.get("faults", 0) for each in results),
        "settled by the next dial": sum(each.get("looks", 0) for each in results),
        "legs": sum(each.get("legs", 0) for each in results),
        "numbers rung twice for one order": count("rang twice", "dialed again", "was rung while", "was dialed while"),
        "attempts without an end": count("has no end"),
        "legs alive past their death date": count("past its death date", "a leg lived"),
        "attempts": {fate: fates.count(fate) for fate in sorted(set(fates))},
        "wrong": [f"{name}: {words}" for name, words in wrong],
    }
