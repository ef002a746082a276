"""Kill `uvcall dial` at every journal and network step, and count what goes wrong.

    python tests/crash/run.py                              every step once: three carriers, every fault
    python tests/crash/run.py --runs 20000 --seed 7        the same with further seeds and callees, until there are so many
    python tests/crash/run.py --adoptions 500              creates whose reply is lost: how many are found again
    python tests/crash/run.py --case NAME                  one run again, told in full; a failure prints its name
    python tests/crash/run.py --fault off --sabotage NAME  break a promise first: then there must be something to count

The processes that are killed are forked from one that has imported everything, but for one in twenty, which is a new
interpreter (`children.py`).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    # Beside the tests' own rooms, the checkout: it may not be installed.
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from crash import adoption, case
from crash.case import Case
from crash.children import FRESH, Nest, nest, warm
from crash.hooks import prepare

CARRIERS: Final = ("telnyx", "twilio", "plivo")
CALLEES: Final = ("hangup-early", "busy", "no-answer", "answer", "rejected", "no-join", "failed", "agent-drop", "mute")
WATCHDOG_S: Final = 120.0
MANY: Final = 45  #: the first so many steps hold everything up to the leg's first polls


def series(carriers: Iterable[str], seed: int) -> list[Case]:
    """Return one uninterrupted case for each carrier, way to dial, and fault."""
    from uvcall.sandbox.faults import FAULTS

    found: list[Case] = []
    spoken = ("answer", "hangup-early", "mute")
    for number, carrier in enumerate(carriers):
        # One poll of Plivo takes six requests: a fault that may strike every one of them must leave some polls whole.
        rates = {
            name: 0.5 if fault.creates_only or fault.strikes != "request" else 0.15 for name, fault in FAULTS.items()
        }
        # And Ultravox answers more often than not: an order that never gets to the carrier has few steps.
        specs = {name: f"{carrier}.{name}={rate},ultravox.{name}={rate / 3:.2g}" for name, rate in rates.items()}
        specs |= {"off": "off", "on": "on"}
        for index, (name, spec) in enumerate(specs.items()):
            heard = name in FAULTS and FAULTS[name].strikes in {"stream", "join"}
            callees = spoken if heard else CALLEES
            found.append(Case(carrier, callees[(index + number + seed) % len(callees)], spec, seed + index))
        found.append(Case(carrier, CALLEES[(number + seed) % 3], "on", seed, via="ultravox"))
    return found


def failover(seed: int) -> list[Case]:
    """Return the cases in which one carrier after the other is asked."""
    return [
        Case("telnyx,twilio,plivo", CALLEES[seed % 3], "server-error-after=0.2,rate-limit=0.3,lost-reply=0.2", seed),
        Case("plivo,telnyx,twilio", CALLEES[(seed + 1) % 3], "on", seed),
    ]


Work = Callable[[Case, Nest], dict[str, Any]]


@dataclass
class Worker:
    """A process that carries out run after run."""

    pid: int
    orders: int
    answers: int
    given: Case | None = None  #: what it is at
    begun: float = 0.0
    told: bytearray = field(default_factory=bytearray)

    def take(self, given: Case) -> None:
        """Begin a run."""
        self.given, self.begun, self.told = given, time.monotonic(), bytearray()
        os.write(self.orders, json.dumps(asdict(given)).encode() + b"\n")

    def end(self, *, at_once: bool = False) -> None:
        """Let it go when it has done its last run; `at_once`: wherever it is, and its children with it."""
        if at_once:
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.orders)
        os.close(self.answers)
        os.waitpid(self.pid, 0)


def in_processes(work: Work, cases: Iterator[Case], jobs: int) -> Iterator[dict[str, Any]]:
    """Do the work for each case in so many processes, and yield what each found, as they end."""
    waiting = selectors.DefaultSelector()
    busy: dict[int, Worker] = {}

    def begin(worker: Worker | None) -> None:
        given = next(cases, None)
        if given is None:
            if worker is not None:
                worker.end()
            return
        worker = worker or hire(work, [fd for each in busy.values() for fd in (each.orders, each.answers)])
        busy[worker.answers] = worker
        waiting.register(worker.answers, selectors.EVENT_READ)
        worker.take(given)

    def done(worker: Worker) -> Case:
        waiting.unregister(worker.answers)
        del busy[worker.answers]
        assert worker.given is not None
        return worker.given

    try:
        for _ in range(jobs):
            begin(None)
        while busy:
            for key, _ in waiting.select(timeout=1.0):
                worker = busy[key.fd]
                piece = os.read(key.fd, 1 << 16)
                worker.told += piece
                if worker.told.endswith(b"\n"):
                    told = json.loads(worker.told)
                    done(worker)
                    begin(worker)
                    yield told
                elif not piece:
                    given = done(worker)
                    worker.end(at_once=True)
                    begin(None)
                    yield {"case": given.name, "wrong": ["the run itself died"]}
            for worker in [each for each in busy.values() if time.monotonic() - each.begun > WATCHDOG_S]:
                given = done(worker)
                worker.end(at_once=True)
                begin(None)
                yield {"case": given.name, "wrong": ["the run hung"]}
    finally:
        for worker in busy.values():
            worker.end(at_once=True)


def hire(work: Work, others: list[int]) -> Worker:
    """Fork a worker; it closes the descriptors of the others, so that each ends with this process."""
    order_out, order_in = os.pipe()
    answer_out, answer_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)  # with its children, so that all can be ended together
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for each in (*others, order_in, answer_out):
                os.close(each)
            home = nest(prepare, not_its=[order_out, answer_in])
            gc.enable()  # it lives for many runs, and what was there before is frozen
            with os.fdopen(order_out) as lines:
                for line in lines:
                    told = work(Case(**json.loads(line)), home)
                    os.write(answer_in, json.dumps(told).encode() + b"\n")
            home.end()
        except BaseException:  # noqa: BLE001 - what broke the run is told by its empty answer and here
            import traceback

            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(order_out)
    os.close(answer_in)
    return Worker(pid, order_in, answer_out)


def sabotage(name: str) -> None:
    """Break one of the promises, to see that the judge sees it."""
    if name == "no-intent":
        from uvcall.calls.scribe import Scribe

        Scribe.leg_intent = lambda *_: None  # type: ignore[method-assign]  # that is the sabotage
    elif name == "send-again":
        from uvcall.calls.ports import CarrierLine
        from uvcall.errors import FateUnknown

        once = CarrierLine.place

        def place(self: CarrierLine, order: Any) -> Any:
            try:
                return once(self, order)
            except FateUnknown:
                return once(self, order)

        CarrierLine.place = place  # type: ignore[method-assign]  # that is the sabotage
    elif name == "no-limits":
        case.RING_S = 300  # asked for, and longer than the judge allows anything to last


def steps_of(count: int, chance: random.Random) -> list[int]:
    """Return the steps to be killed at: all; of a call that is polled for long, all of its beginning and some polls."""
    if count <= 2 * MANY:
        return list(range(1, count + 1))
    return [*range(1, MANY + 1), *sorted(chance.sample(range(MANY + 1, count + 1), MANY))]


def crash(plain: list[Case], *, runs: int, seed: int, jobs: int, tell: Callable[[dict[str, Any]], None]) -> None:
    """Kill `dial` at every step of every case; with `runs`, again with further seeds and callees up to so many."""
    done = 0
    while True:
        steps: dict[str, int] = {}
        for found in in_processes(case.carry_out, iter(plain), jobs):
            tell(found)
            steps[found["case"]] = found.get("steps", 0)
        chance = random.Random(seed)
        stops = [replace(each, stop=n) for each in plain for n in steps_of(steps[each.name], chance)]
        chance.shuffle(stops)
        stops = [replace(each, fresh=number % FRESH == 0) for number, each in enumerate(stops)]
        if runs:
            stops = stops[: max(0, runs - done - len(plain))]
        for found in in_processes(case.carry_out, iter(stops), jobs):
            tell(found)
        done += len(plain) + len(stops)
        if done >= runs:
            return
        seed += 1000
        plain = [
            replace(each, seed=each.seed + 1000, scenario=CALLEES[(CALLEES.index(each.scenario) + 1) % len(CALLEES)])
            for each in plain
        ]


def main() -> int:
    """Do what the command line says; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=0, help="so many runs; 0: every step once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--carrier", action="append", help="only this one; failover: several in turn. Repeatable")
    parser.add_argument("--fault", help="only this one; off: none")
    parser.add_argument("--sabotage", choices=("no-intent", "send-again", "no-limits"), default="")
    parser.add_argument("--adoptions", type=int, default=0, help="lose so many replies instead")
    parser.add_argument("--case", action="append", help="one run, told in full. Repeatable")
    parser.add_argument("--json", action="store_true", help="one JSON object of figures, and nothing else, on stdout")
    given = parser.parse_args()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `finally` ends what runs
    os.nice(5)  # whatever else is being tested comes first
    warm()
    sabotage(given.sabotage)
    if given.case:
        runs = list(in_processes(case.in_full, (Case.named(name) for name in given.case), 1))
        print(json.dumps({"runs": runs}, indent=2))
        return any(told["wrong"] for told in runs)
    results: list[dict[str, Any]] = []

    def tell(found: dict[str, Any]) -> None:
        results.append(found)
        for words in found["wrong"]:
            print(f"{words}\n  python tests/crash/run.py --case {found['case']}", file=sys.stderr)
        if not given.json and len(results) % 200 == 0:
            print(f"{len(results)} runs, {time.monotonic() - begun:.0f} s", flush=True)

    if not given.json:
        print(f"seed {given.seed}")
    if given.adoptions:
        losses = adoption.cases(given.adoptions, given.seed)
        for found in in_processes(adoption.carry_out, iter(losses), given.jobs):
            tell(found)
        figures = adoption.figures(results)
    else:
        wanted = given.carrier or [*CARRIERS, "failover"]
        plain = series([each for each in CARRIERS if each in wanted], given.seed)
        if "failover" in wanted:
            plain += failover(given.seed)
        if given.fault:
            plain = [each for each in plain if given.fault in each.faults]
        crash(plain, runs=given.runs, seed=given.seed, jobs=given.jobs, tell=tell)
        figures = case.figures(results)
    used = sum(sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures |= {"seed": given.seed, "seconds": round(time.monotonic() - begun), "processor seconds": round(used)}
    print(json.dumps(figures, indent=None if given.json else 2))
    return bool(figures["wrong"])


if __name__ == "__main__":
    sys.exit(main())
