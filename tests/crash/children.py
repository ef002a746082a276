"""Real processes that run `uvcall` commands, forked from one that has run them all before, or started afresh.

Starting Python and importing the SDKs costs a third of a second of processor time, most of a run's; a fork costs
milliseconds. So most processes that are killed here are forked from one that has everything imported and no thread and
no socket (`warm` makes sure of it), and one in `FRESH` is a new interpreter which imports as it goes, as every
`uvcall` of a user does. Forked or not, each is a process like any other: it has its own id, environment, home,
standard output and error, leaves with an exit code of its own, and dies of SIGKILL as any other would.

A run is carried out by a worker, which is forked from the warm process too and lives for many runs:

    run.py, warm ── worker: the sandbox, and the commands that nobody kills
                      └── nest, without threads: forks or starts ── `uvcall dial`, which is killed
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

#: One in so many of the killed processes is a new interpreter.
FRESH: Final = 20
_QUIET_S: Final = 20.0


def warm() -> None:
    """Run every command once, so that nothing is imported or compiled again, and keep the collector's hands off it.

    Raises:
        RuntimeError: A thread or a socket is left: no process could be forked safely.
    """
    from uvcall.cli.app import run

    # twilio and plivo warn of what newer Pythons will not have; uvcall shows nothing of it either.
    warnings.simplefilter("ignore")
    gc.disable()
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as home, open(os.devnull, "w") as nowhere:
        os.environ.clear()
        os.environ |= {"PATH": os.defpath, "HOME": home, "XDG_CONFIG_HOME": home, "UVCALL_STATE_DIR": f"{home}/state"}
        _build_commands_once()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            run(["reconcile", "--json"])
            for carrier in ("telnyx", "twilio", "plivo"):
                base = ["dial", "+12025550100", "--provider", carrier, "--sandbox", "--speed", "60", "--json"]
                run([*base, "--scenario", "lost-reply"])
                run([*base, "--scenario", "busy", "--via", "ultravox"])
    os.environ.clear()
    os.environ |= environment
    _be_alone()
    gc.collect()
    gc.freeze()


def _build_commands_once() -> None:
    """Let all children share the parsers that Typer builds from the commands' parameters."""
    import typer.main

    from uvcall.cli import app

    app.tree = functools.cache(app.tree)
    typer.main.get_command = functools.cache(typer.main.get_command)
    for name in ("dial", "reconcile"):
        typer.main.get_command(app.tree(name))


def _be_alone() -> None:
    """Wait until every thread and socket of the commands is gone."""
    deadline = time.monotonic() + _QUIET_S
    while left := [*_others(), *_sockets()]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"still there, and no process can be forked: {left}")
        gc.collect()
        time.sleep(0.01)


def _others() -> list[str]:
    tasks = Path("/proc/self/task")
    if tasks.exists() and len(list(tasks.iterdir())) == 1:
        return []
    return [each.name for each in threading.enumerate() if each is not threading.main_thread()]


def _sockets() -> list[str]:
    """Return the sockets that are open, beside the ones that this process was given."""
    found = []
    for each in Path("/proc/self/fd").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the folder's own descriptor is gone by now
            if int(each.name) > 2 and each.readlink().name.startswith("socket:"):
                found.append(each.name)
    return found


#: Makes a process ready for an order; `int` is the descriptor on which it may say where it was killed. The returned
#: function tells how many steps were taken.
Prepare = Callable[[Mapping[str, Any], int], Callable[[], int]]


@dataclass
class Nest:
    """A process without threads, whose children run commands: each in a process of its own."""

    pid: int
    orders: int
    answers: int

    def run(self, **order: Any) -> dict[str, Any]:
        """Run a command in a process of its own and wait for its end.

        Args:
            order: `argv`, `env`, `fresh` (a new interpreter), and what `prepare` knows.

        Returns:
            `code`, `out`, `err`, `steps`; where it was killed, `died` (the signal) and `at` (the step) for the code.
        """
        os.write(self.orders, json.dumps(order).encode() + b"\n")
        told = b""
        while not told.endswith(b"\n"):
            more = os.read(self.answers, 1 << 16)
            if not more:
                raise RuntimeError("the nest has died")
            told += more
        answer: dict[str, Any] = json.loads(told)
        return answer

    def end(self) -> None:
        """Let it go."""
        os.close(self.orders)
        os.waitpid(self.pid, 0)


def nest(prepare: Prepare, *, not_its: Sequence[int] = ()) -> Nest:
    """Fork a nest. To be called before this process has threads.

    Args:
        prepare: Called in each forked child for its order.
        not_its: Descriptors that are this process's alone.
    """
    order_out, order_in = os.pipe()
    answer_out, answer_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for each in (order_in, answer_out, *not_its):
                os.close(each)
            with os.fdopen(order_out) as lines:
                for line in lines:
                    os.write(answer_in, json.dumps(_bear(json.loads(line), prepare)).encode() + b"\n")
        finally:
            os._exit(70)
    os.close(order_out)
    os.close(answer_in)
    return Nest(pid, order_in, answer_out)


def _bear(order: dict[str, Any], prepare: Prepare) -> dict[str, Any]:
    """Run an order in a process of its own, and return what `Nest.run` does."""
    with contextlib.ExitStack() as files:
        out, err, told = (files.enter_context(tempfile.TemporaryFile(dir=order["env"]["HOME"])) for _ in range(3))
        pid = _new(order, out, err, told) if order.get("fresh") else _forked(order, prepare, out, err, told)
        _, status = os.waitpid(pid, 0)
        for each in (out, err, told):
            each.seek(0)
        said = {"out": out.read().decode(), "err": err.read().decode()}
        last = told.read().decode()
    if os.WIFSIGNALED(status):
        return {"died": os.WTERMSIG(status), "at": last, **said}
    return {"code": os.WEXITSTATUS(status), "steps": int(last or 0), **said}


def _forked(order: Mapping[str, Any], prepare: Prepare, out: BinaryIO, err: BinaryIO, told: BinaryIO) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.environ.clear()
        os.environ |= order["env"]
        code = commanded(order, prepare, told.fileno())
    finally:
        # The interpreter's own end would take the nest's memory apart, page by page.
        os._exit(code)


def commanded(order: Mapping[str, Any], prepare: Prepare, told: int) -> int:
    """Run the command of an order in this process, which is the command's own; say how many steps were taken."""
    from uvcall.cli.app import run

    count = prepare(order, told)
    code = run(order["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(told, str(count()).encode())
    return code


def _new(order: Mapping[str, Any], out: BinaryIO, err: BinaryIO, told: BinaryIO) -> int:
    script = str(Path(__file__).with_name("fresh.py"))
    rest = {name: value for name, value in order.items() if name not in {"argv", "env"}}
    return os.posix_spawn(
        sys.executable,
        [sys.executable, script, *order["argv"]],
        {**order["env"], "CRASH_ORDER": json.dumps(rest)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, each.fileno(), number) for number, each in enumerate((out, err, told), start=1)
        ],
    )


def carry_out_here(order: Mapping[str, Any], prepare: Prepare) -> dict[str, Any]:
    """Run a command that nobody kills in this process, and return what `Nest.run` does."""
    from uvcall.cli.app import run

    os.environ.clear()
    os.environ.update(order["env"])
    said, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(err):
        count = prepare(order, -1)
        code = run(order["argv"])
    return {"code": code, "out": said.getvalue(), "err": err.getvalue(), "steps": count()}
