"""Heavy libraries, imported without what no command uses: the one place for the tricks that make imports cheap."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, cast


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the garbage collector away while modules are imported: they make much and drop nothing.

    Takes a quarter to two fifths off the import of an SDK. The collector is switched on again only if it was on.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load_httpx() -> Any:
    """Import httpx without its command line, which would import click and Rich.

    httpx itself does without them where they are not installed; `None` in `sys.modules` is Python's own sign for that.
    """
    loaded = sys.modules.get("httpx")
    if loaded is not None:
        return loaded
    absent = "httpx._main"
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules[absent] = None
    try:
        with undisturbed():
            return import_module("httpx")
    finally:
        if modules.get(absent, absent) is None:
            del modules[absent]
