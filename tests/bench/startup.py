"""How long uvcall takes to start, beside the bare interpreter: `python tests/bench/startup.py [--uvcall FILE]`.

All commands take turns in each round, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from installed import Times, environment, find, run

COMMANDS = {
    "--version": (["--version"], 2.0),
    "--help": (["--help"], 11.0),
    "dial --help": (["dial", "--help"], 12.0),
    "render-xml": (["render-xml", "--provider", "twilio", "--join-url", "wss://voice.ultravox.ai/calls/x"], 7.0),
    "config list": (["config", "list"], 9.0),
}


def main() -> int:
    """Measure, print a table, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvcall", metavar="FILE", help="console script to measure")
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    installed = find(given.uvcall)
    bare = Times()
    taken = {name: Times() for name in COMMANDS}
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home))
        for number in range(given.rounds + 2):
            if number == 2:  # the first two wrote bytecode and filled the disk's cache
                bare = Times()
                taken = {name: Times() for name in COMMANDS}
            run([installed.python, "-c", "pass"], env, bare)
            for name, (arguments, _) in COMMANDS.items():
                run([installed.uvcall, *arguments], env, taken[name])
    floor, floor_cpu = bare.median()
    print(f"{'command':<14}{'ms':>8}{'cpu ms':>8}{'ratio':>8}{'cpu':>8}{'target':>8}")
    print(f"{'python -c pass':<14}{floor:>8.1f}{floor_cpu:>8.1f}{1:>8.2f}{1:>8.2f}")
    missed = 0
    for name, (_, target) in COMMANDS.items():
        wall, cpu = taken[name].median()
        verdict = "" if wall / floor <= target else "  missed"
        missed += bool(verdict)
        print(f"{name:<14}{wall:>8.1f}{cpu:>8.1f}{wall / floor:>8.2f}{cpu / floor_cpu:>8.2f}{target:>8.1f}{verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
