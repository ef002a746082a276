"""Durations as people write them (`35s`, `10m`, `1h30m`, `90`) and as Ultravox writes them (`"600s"`)."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_PARTS: Final = rf"(?:({_PART})h)?(?:({_PART})m)?(?:({_PART})s)?(?:({_PART})ms)?"

#: What a message may say about the right form.
FORM: Final = "35s, 10m, 1h30m or a number of seconds"


def parse_duration(text: str) -> float:
    """Return seconds.

    Raises:
        ValueError: It is not `35s`, `10m`, `1h30m`, `250ms` or a plain number of seconds.
    """
    stripped = text.strip()
    if re.fullmatch(_PART, stripped):
        return float(stripped)
    match = re.fullmatch(_PARTS, stripped)
    if not stripped or match is None:
        raise ValueError(f"not a duration; write {FORM}")
    found = zip(_UNITS.values(), match.groups(), strict=True)
    return sum(unit * float(number) for unit, number in found if number is not None)


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads back as the same number of seconds."""
    if seconds != int(seconds):
        return f"{_decimal(seconds)}s"
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    text = "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if n)
    return text or "0s"


def wire_duration(seconds: float) -> str:
    """Return seconds in the form of Ultravox's duration pattern, `"600s"` or `"0.384s"`.

    https://docs.ultravox.ai/api-reference/calls/calls-post
    """
    return f"{_decimal(seconds)}s"


def _decimal(seconds: float) -> str:
    text = f"{seconds:.9f}".rstrip("0").rstrip(".")
    return text or "0"
