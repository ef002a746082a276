"""How the processes run that hold hundreds of media calls."""

from __future__ import annotations

import asyncio
import gc
import importlib
from collections.abc import Callable, Coroutine
from typing import Any


def run_fast(main: Coroutine[Any, Any, None]) -> None:
    """Run it on uvloop, if that is installed, and with a collector that leaves alone what is there for good."""
    # What exists by now stays; looking through all of it would make every call late by ten milliseconds.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()  # the command line has done without
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
