"""Where the calls of a number go, as values: what a carrier has been told of it, and what it is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class NumberSetup(NamedTuple):
    """Where a carrier sends the calls of one number.

    Attributes:
        id: The carrier's id of the number.
        fields: The fields of its API that decide it, by their names there; empty: not set.
    """

    number: str
    id: str
    fields: Mapping[str, str]

    def leads_as(self, other: NumberSetup) -> bool:
        """Say whether calls go where the other setup sends them, in every detail."""
        return dict(self.fields) == dict(other.fields)

    def changes_to(self, other: NumberSetup) -> dict[str, str]:
        """Return the fields in which the other setup differs, as they are there."""
        return {name: value for name, value in other.fields.items() if self.fields.get(name) != value}


class Here(NamedTuple):
    """Where calls are to go."""

    answer_url: str
    status_url: str
    tag: str  #: the name of whatever must be made at the carrier for it
