"""The user's own attributes of `<Stream>`: which a carrier knows, which uvcall sets itself, what values they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from uvcall.errors import UsageError


class Values(NamedTuple):
    """What an attribute may hold: the pattern of the whole value, and the same in words for the hint."""

    pattern: re.Pattern[str]
    form: str


HTTP_URL: Final = Values(re.compile(r"https?://[!-~]{1,2000}"), "it takes an http or https URL")
METHOD: Final = Values(re.compile(r"GET|POST"), "it takes GET or POST")
TRUTH: Final = Values(re.compile(r"true|false"), "it takes true or false")
LABEL: Final = Values(re.compile(r"[^\x00-\x1f\x7f]{1,255}"), "it takes up to 255 printable characters")


class StreamAttributes(NamedTuple):
    """A carrier's table of `<Stream>` attributes.

    Attributes:
        carrier: The carrier's name for messages.
        free: What a user may set or override without breaking the call.
        fixed: What uvcall sets itself, and where the user chooses it instead.
    """

    carrier: str
    free: Mapping[str, Values]
    fixed: Mapping[str, str]

    def merge(self, recipe: Mapping[str, str], extra: Mapping[str, str] | None) -> dict[str, str]:
        """Return the recipe with the user's attributes.

        Raises:
            UsageError: A name the carrier does not have or that uvcall sets itself, or a value it cannot take.
        """
        merged = dict(recipe)
        for name, value in (extra or {}).items():
            merged[name] = self.value(name, value)
        return merged

    def value(self, name: str, value: str) -> str:
        """Return the value, unchanged.

        Raises:
            UsageError: As `merge`.
        """
        values = self.free.get(name)
        if values is None:
            raise self._unknown(name)
        if not values.pattern.fullmatch(value):
            raise UsageError(
                f"{self.carrier}'s two-way <Stream> cannot take {name}={printable(value)}", hint=values.form
            )
        return value

    def _unknown(self, name: str) -> UsageError:
        if name in self.fixed:
            return UsageError(
                f"uvcall sets the attribute {name} of {self.carrier}'s <Stream> itself", hint=self.fixed[name]
            )
        from difflib import get_close_matches

        close = get_close_matches(name[:80], [*self.free, *self.fixed], n=1)
        return UsageError(
            f"{self.carrier}'s <Stream> has no attribute {printable(name)}",
            hint=f"did you mean {close[0]}?" if close else f"it has: {', '.join(self.free)}",
        )


def printable(text: str) -> str:
    """Return at most forty characters of the user's text, on one line."""
    return re.sub(r"[^!-~]", "?", text[:40])
