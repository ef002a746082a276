"""Real processes that run `uvcall` commands, forked from one that has imported everything already.

Starting Python and importing the SDKs costs a second of processor time; a fork costs milliseconds. Each child is a
process like any other: it has its own id, its own journal connection, and dies of SIGKILL as any other would.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def warm() -> None:
    """Import what a run imports while it runs, and keep the collector's hands off it. Starts no thread."""
    # twilio and plivo warn of what newer Pythons will not have; uvcall shows nothing of it either.
    warnings.simplefilter("ignore")
    names_out, names_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(names_out)
            with os.fdopen(names_in, "w") as names:
                names.write("\n".join(_imported_by_runs()))
        finally:
            os._exit(0)
    os.close(names_in)
    with os.fdopen(names_out) as names:
        for name in names.read().split():
            # Some modules are made by others and have no file: they come with those.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    os.waitpid(pid, 0)
    _build_commands_once()
    gc.collect()
    gc.freeze()
    gc.disable()


def _build_commands_once() -> None:
    """Let all children share the parsers that Typer builds from the commands' parameters."""
    import typer.main

    from uvcall.cli import app

    app.tree = functools.cache(app.tree)
    typer.main.get_command = functools.cache(typer.main.get_command)
    for name in ("dial", "reconcile"):
        typer.main.get_command(app.tree(name))


def _imported_by_runs() -> list[str]:
    """Run every command once, and return the names of all modules, in the order of their import."""
    from uvcall.cli.app import run

    with tempfile.TemporaryDirectory() as home, open(os.devnull, "w") as nowhere:
        os.environ.clear()
        os.environ |= {"PATH": os.defpath, "HOME": home, "XDG_CONFIG_HOME": home, "UVCALL_STATE_DIR": f"{home}/state"}
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            run(["reconcile", "--json"])
            for carrier in ("telnyx", "twilio", "plivo"):
                base = ["dial", "+12025550100", "--provider", carrier, "--sandbox", "--speed", "60", "--json"]
                run([*base, "--scenario", "lost-reply"])
                run([*base, "--scenario", "busy", "--via", "ultravox"])
    return list(sys.modules)


#: Makes a process ready for an order; `int` is the descriptor on which it may say where it was killed. The returned
#: function tells how many steps were taken.
Prepare = Callable[[Mapping[str, Any], int], Callable[[], int]]


@dataclass
class Child:
    """A process that runs commands one after the other, as it is told over a pipe."""

    pid: int
    orders: int
    answers: int
    _rest: bytes = b""
    _over: bool = False

    def send(self, **order: Any) -> None:
        """Tell it to run a command: `argv`, `env`, and what `_prepare` knows."""
        os.write(self.orders, json.dumps(order).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """Wait for the command's end: `code`, `out`, `err`, `steps`; or `died` and the signal, if it was killed."""
        while b"\n" not in self._rest:
            more = os.read(self.answers, 65536)
            if not more:
                _, status = os.waitpid(self.pid, 0)
                self._over = True
                return {"died": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "at": self._rest.decode()}
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def run(self, **order: Any) -> dict[str, Any]:
        """Tell it to run a command and wait for its end."""
        self.send(**order)
        return self.answer()

    def end(self) -> None:
        """Make sure that it is gone."""
        if not self._over:
            self._over = True
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def start(prepare: Prepare) -> Child:
    """Fork a child. To be called before this process has threads.

    Args:
        prepare: Called in the child for each order.
    """
    order_out, order_in = os.pipe()
    answer_out, answer_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(order_in)
            os.close(answer_out)
            _live(order_out, answer_in, prepare)
        finally:
            os._exit(70)
    os.close(order_out)
    os.close(answer_in)
    return Child(pid, order_in, answer_out)


def carry_out_here(order: Mapping[str, Any], prepare: Prepare, out: int = -1) -> dict[str, Any]:
    """Run one command in this process, and return what `Child.answer` does."""
    from uvcall.cli.app import run

    os.environ.clear()
    os.environ.update(order["env"])
    said, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(err):
        count = prepare(order, out)
        code = run(order["argv"])
    return {"code": code, "out": said.getvalue(), "err": err.getvalue(), "steps": count()}


def _live(orders: int, answers: int, prepare: Prepare) -> None:
    with os.fdopen(orders) as lines:
        for line in lines:
            told = carry_out_here(json.loads(line), prepare, answers)
            os.write(answers, json.dumps(told).encode() + b"\n")
    os._exit(0)
