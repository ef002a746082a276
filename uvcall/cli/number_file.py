"""The numbers that lead here, on disk: what has to be put back, whatever happens to the process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uvcall.calls.pointing import Led
from uvcall.cli.configfile import write_private
from uvcall.core.carrier import Provider
from uvcall.core.number import NumberSetup
from uvcall.errors import LocalError

NAME: Final = "numbers.json"
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class NumberFile:
    """A JSON file in the state directory. A step that was broken off leaves the file as it was."""

    path: Path

    def load(self) -> Sequence[Led]:
        """Return what stands in it; nothing when there is none.

        Raises:
            LocalError: It cannot be read, or holds something else.
        """
        try:
            if not self.path.exists():
                return ()
            with self.path.open("rb") as file:
                told = json.loads(file.read(_LARGEST))
            return tuple(_led(one) for one in told["numbers"])
        except OSError as error:
            raise LocalError(
                f"{self.path} cannot be read: {error.strerror}", hint="check its permissions and the disk"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LocalError(
                f"{self.path} does not say where numbers have led before",
                hint="put the numbers back in the carriers' consoles, then remove the file",
            ) from error

    def save(self, led: Sequence[Led]) -> None:
        """Write it anew, or remove it when there is nothing to remember.

        Raises:
            LocalError: It cannot be written: nothing may be changed.
        """
        if led:
            write_private(self.path, json.dumps({"numbers": [_shown(one) for one in led]}, indent=1).encode())
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise LocalError(
                f"{self.path} cannot be removed: {error.strerror}", hint="check the directory and its permissions"
            ) from error


def _shown(led: Led) -> dict[str, Any]:
    return {
        "provider": led.provider.value,
        "base_url": led.base_url,
        "tag": led.tag,
        "original": _setup_shown(led.original),
        "ours": [_setup_shown(one) for one in led.ours],
    }


def _setup_shown(setup: NumberSetup) -> dict[str, Any]:
    return {"number": setup.number, "id": setup.id, "fields": dict(setup.fields)}


def _led(told: Any) -> Led:
    ours = tuple(_setup(one) for one in told["ours"])
    return Led(Provider(told["provider"]), str(told["base_url"]), str(told["tag"]), _setup(told["original"]), ours)


def _setup(told: Any) -> NumberSetup:
    fields = {str(name): str(value) for name, value in told["fields"].items()}
    return NumberSetup(str(told["number"]), str(told["id"]), fields)
