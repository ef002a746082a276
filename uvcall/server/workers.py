"""Several processes behind one port, for more callers than one can answer; the kernel deals them out.

They share the ledger, so a call that rings at two of them is still created once, and the first tells what all count.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from uvcall.errors import LocalError, UvcallError
from uvcall.server import inbound
from uvcall.server.site import Log
from uvcall.server.tally import Kin

#: Seconds that a worker may take until it listens.
_READY_S: Final = 20.0


def run(place: inbound.Place, count: int, announce: Callable[[Mapping[str, Any]], None], log: Log) -> int:
    """Run so many workers until SIGTERM or SIGINT; return the exit code.

    Raises:
        LocalError: One of them could not begin.
    """
    # Forked, so that what holds secrets needs no way into another process; there are no threads yet.
    context = multiprocessing.get_context("fork")
    pipes, children = [], []
    family = Kin.of(count)
    for number, kin in enumerate(family):
        ours, theirs = context.Pipe(duplex=False)
        one = replace(place, kin=kin, lead=None, release=None)
        strangers = [other for other in family if other is not kin]
        children.append(context.Process(target=_work, args=(one, theirs, log, strangers), name=f"worker {number}"))
        children[-1].start()
        theirs.close()
        pipes.append(ours)
    for kin in family:
        kin.close()

    def stop() -> None:
        for child in children:
            if child.is_alive():
                child.terminate()

    def end() -> None:
        stop()
        for child in children:
            child.join()

    asked: list[int] = []

    def heard(number: int, _frame: object) -> None:
        if asked:  # for the second time: nobody waits for anything
            stop()
        asked.append(number)

    # A signal writes into it, so that nothing has to look for one again and again.
    bell, striker = socket.socketpair()
    striker.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    signal.set_wakeup_fd(striker.fileno())
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, heard)
        try:
            ready = [_ready(pipe) for pipe in pipes]
            led = place.lead() if place.lead is not None else {}
        except UvcallError:
            end()
            raise
        announce({**ready[0], **led, "workers": count})
        # One that fell takes the others along: a supervisor starts all of them anew.
        if not asked:
            wait([bell, *(child.sentinel for child in children)])
        if place.release is not None:
            place.release()
        end()
    finally:
        signal.set_wakeup_fd(-1)
        bell.close()
        striker.close()
    return 0 if all(child.exitcode == 0 for child in children) else LocalError.exit_code


def _ready(pipe: Connection) -> Mapping[str, Any]:
    try:
        said: Mapping[str, Any] = pipe.recv() if pipe.poll(_READY_S) else {"failed": "it does not answer"}
    except EOFError:
        said = {"failed": "it has died"}
    if "failed" in said:
        raise LocalError(f"a worker could not begin: {said['failed']}", hint=str(said.get("hint", "try --workers 1")))
    return said


def _work(place: inbound.Place, pipe: Connection, log: Log, strangers: list[Kin]) -> None:
    for kin in strangers:
        kin.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        inbound.run(place, pipe.send, log)
    except UvcallError as error:
        pipe.send({"failed": error.message, "hint": error.hint})
