"""The `telnyx` package without the 2,000 modules that no phone call needs.

`import telnyx` runs `telnyx/types/__init__.py`, and the first use of a client runs `telnyx/resources/__init__.py`; both
do nothing but import every module beside them. Here two packages stand in that know the same names from the same text
and import a module when its name is first used: a fifth of the time, half of the memory, and the SDK's own classes.

That relies on how the SDK is laid out, so whatever surprises it leads to the plain import instead.
"""

from __future__ import annotations

import re
import sys
import threading
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from uvcall.imports import load_httpx, undisturbed

_LAZY = ("types", "resources")
_ONE_AT_A_TIME = threading.Lock()
_PROOF = ("telnyx.resources.calls", "telnyx.types.call_dial_params")


class _LazyPackage(ModuleType):
    """A package whose names are imported when they are asked for."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        places = spec.submodule_search_locations
        if spec.origin is None or places is None:
            raise ImportError(f"{spec.name} is not a package of files")
        self.__spec__ = spec
        self.__file__ = spec.origin
        self.__package__ = spec.name
        self.__loader__ = spec.loader
        self.__path__ = list(places)
        self._text = Path(spec.origin).read_text(encoding="utf-8")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not name.isidentifier():
            raise AttributeError(name)
        # `from .calls import (CallsResource, AsyncCallsResource, …)`, on one line or on several.
        one, several = rf"(?:[^(\n]*\W)?{name}(?:\W|$)", rf"\((?:[^)]*\W)?{name}\W"
        found = re.search(rf"^from (\.[\w.]*\w) import (?:{several}|{one})", self._text, re.MULTILINE)
        if not found:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(found[1], self.__name__), name)
        setattr(self, name, value)
        return value


def load() -> Any:
    """Import the telnyx package, lazily if that works, else as usual."""
    with _ONE_AT_A_TIME, undisturbed():
        if "telnyx" in sys.modules:
            return import_module("telnyx")
        load_httpx()
        try:
            return _load_lazily()
        except Exception:  # noqa: BLE001 - any surprise in the SDK's layout leads to the plain import
            for name in [n for n in sys.modules if n == "telnyx" or n.startswith("telnyx.")]:
                del sys.modules[name]
            return import_module("telnyx")


def _load_lazily() -> Any:
    top = find_spec("telnyx")
    if top is None or not top.submodule_search_locations:
        raise ImportError("telnyx is not installed")
    for part in _LAZY:
        spec = PathFinder.find_spec(f"telnyx.{part}", top.submodule_search_locations)
        if spec is None:
            raise ImportError(f"telnyx has no package {part!r}")
        sys.modules[spec.name] = _LazyPackage(spec)
    telnyx = import_module("telnyx")
    for name in _PROOF:
        import_module(name)
    return telnyx
