"""What tests of every room use: uvcall as a process of its own, and a sandbox to talk to."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

#: Examples are searched anew in each run; how long one takes on a busy machine says nothing.
settings.register_profile("uvcall", deadline=None, database=None)
settings.load_profile("uvcall")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what one worker carries out in one piece: the others see to the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker have all modules of an `xdist_group`.

    pytest-xdist 3.8 writes a group's name into the tests' ids, which pytest 9.2 builds anew: no group would be left.
    """
    from xdist.scheduler import LoadGroupScheduling

    if config.getvalue("dist") != "loadgroup":
        return None
    marked = re.compile(r'xdist_group\("(\w+)"\)')
    texts = {
        file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in Path(__file__).parent.rglob("test_*.py")
    }
    groups = {path: found[1] for path, text in texts.items() if (found := marked.search(text))}

    class InGroups(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return groups.get(nodeid.partition("::")[0], nodeid)

    return InGroups(config, log)


def pytest_collection_finish() -> None:
    """Keep the collector away from the tests themselves: they stay until the end, and it would look at them all each time."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Ran:
    """How a process ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout; anything beside it fails the test."""
        return json.loads(self.stdout)


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment in which nothing of the developer's own can be found."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "UVCALL_STATE_DIR": str(home / "uvcall"),
        # A keyring that is always locked: no test may touch the developer's.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with nothing in it."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def run_uvcall(home: Path, request: pytest.FixtureRequest) -> Callable[..., Ran]:
    """Run `python -m uvcall ARGV…` in a clean environment and return how it ended; a failed test shows every run.

    `env` is laid over the clean environment, `stdin` is text or bytes, `cwd` is the home directory unless given.
    """

    def run(
        *argv: str,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes = "",
        timeout: float = 50,
        cwd: Path | None = None,
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "uvcall", *argv],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**clean_environment(home), **(env or {})},
            cwd=cwd or home,
            timeout=timeout,
            check=False,
        )
        ran = Ran(argv, done.returncode, done.stdout.decode(), done.stderr.decode())
        words = f"exit code {ran.code}\n--- stdout\n{ran.stdout}--- stderr\n{ran.stderr}"
        # A worker of pytest-xdist cannot send lone surrogates, and dies of them.
        title, words = (text.encode("utf-8", "backslashreplace").decode() for text in (" ".join(argv), words))
        request.node.add_report_section("call", f"uvcall {title}", words)
        return ran

    return run


@pytest.fixture
def start_uvcall(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python -m uvcall ARGV…` in a clean environment and leave it running; what still runs at the end is killed.

    `before` is Python that is run first in the same process: to make it less patient.
    """
    running: list[subprocess.Popen[str]] = []

    def start(*argv: str, env: Mapping[str, str] | None = None, before: str = "") -> subprocess.Popen[str]:
        program = ["-c", f"{before}\nfrom uvcall.__main__ import main; main()"] if before else ["-m", "uvcall"]
        process = subprocess.Popen(
            [sys.executable, *program, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean_environment(home), **(env or {})},
            cwd=home,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Any]:
    """A sandbox twenty times faster than life, for as long as the tests run."""
    from uvcall.sandbox.app import start
    from uvcall.sandbox.world import Options

    with start(Options(speed=20, seed=1)) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server: Any) -> Any:
    """The sandbox, emptied: `ready["env"]` points a program at it, `history()` tells what its peers saw."""
    reset = urllib.request.Request(f"{sandbox_server.ready['ultravox']}/_sandbox/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=10):
        return sandbox_server
