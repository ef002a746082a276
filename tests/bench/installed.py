"""The uvcall to measure: a console script, installed with bytecode, beside the bare interpreter that it runs on."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Installed:
    """An installed uvcall: its interpreter and its console script."""

    python: str
    uvcall: str


def find(given: str | None) -> Installed:
    """Return the uvcall given, else the one beside this interpreter."""
    script = given or shutil.which("uvcall", path=str(Path(sys.executable).parent))
    if script is None or not Path(script).is_file():
        sys.exit("no uvcall is installed here: pip install . in a virtual environment, then --uvcall VENV/bin/uvcall")
    python = Path(script).absolute().parent / "python"
    where = [str(python), "-c", "import uvcall, sys; print(sys.version.split()[0], uvcall.__file__)"]
    found = subprocess.run(where, cwd="/", env=environment(Path("/")), capture_output=True, text=True, check=True)
    print(f"Python and uvcall: {found.stdout.strip()}")
    return Installed(str(python), str(Path(script).absolute()))


def environment(home: Path) -> dict[str, str]:
    """Return a clean environment. PYTHONDONTWRITEBYTECODE is not in it: without bytecode, importing takes four times as long."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "UVCALL_STATE_DIR": str(home / "uvcall"),
    }


@dataclass
class Times:
    """What one command took, run for run, in milliseconds: by the clock, and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def median(self) -> tuple[float, float]:
        """Return the medians of both."""
        return statistics.median(self.wall), statistics.median(self.cpu)


def run(command: list[str], env: dict[str, str], times: Times, expected: int = 0) -> None:
    """Run a command to its end, its output thrown away, and note what it took."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    moves = [(os.POSIX_SPAWN_DUP2, nowhere, stream) for stream in (0, 1, 2)]
    begin = time.perf_counter()
    child = os.posix_spawn(command[0], command, env, file_actions=moves)
    _, status, used = os.wait4(child, 0)
    times.wall.append((time.perf_counter() - begin) * 1000)
    times.cpu.append((used.ru_utime + used.ru_stime) * 1000)
    os.close(nowhere)
    if os.waitstatus_to_exitcode(status) != expected:
        sys.exit(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
