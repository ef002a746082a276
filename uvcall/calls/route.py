"""One way to the callee: an order, the carrier that is to place it, and whatever that one needs from us."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from uvcall.calls.attempt import DialOrder
from uvcall.calls.ports import CarrierLine
from uvcall.core.secret import JoinUrl


class AnswerListener(Protocol):
    """Where Plivo fetches the answer XML: `uvcall.server.answer_once`."""

    answer_url: str
    machine_url: str

    def open(self) -> None:
        """Begin to answer; the port has been held before. Slow the first time."""

    def serve(self, join_url: JoinUrl) -> None:
        """Hold the XML ready for its one fetch."""

    def fetched(self) -> bool:
        """Return whether the carrier has fetched it."""

    def machine(self) -> bool | None:
        """Return the carrier's verdict on who answered, if it has come."""


class Route(NamedTuple):
    """One way to the callee. All routes of a call share one attempt.

    `line` is None only where Ultravox dials and there are no credentials for the carrier; `listener` is Plivo's.
    """

    order: DialOrder
    line: CarrierLine | None
    listener: AnswerListener | None = None
