"""Which call an id means: an attempt of the journal, a call that `serve-inbound` answered, or one of Ultravox's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, TypeVar

from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.lookup import Lookup, Reports, Vendors, joined
from uvcall.core.carrier import Provider
from uvcall.core.model import Line, PlacedCall
from uvcall.core.transcripts import Message
from uvcall.errors import Temporary, UsageError
from uvcall.journal import Entry, Journal, Probe, process_alive
from uvcall.journal.inbound import Seen as Answered

T = TypeVar("T")

#: As a pattern's text: `re` compiles it when an id is looked at.
_UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"


class Agents(Reports, Protocol):
    """The Ultravox API as far as it tells of calls, speaks into them, and ends them."""

    def transcript(self, call_id: str) -> Sequence[Line]:
        """Return what has been said so far, oldest first."""

    def messages(self, call_id: str) -> Sequence[Message]:
        """Return what has been said and done so far, in all stages."""

    def events(self, call_id: str, *, severity: str, kind: str | None) -> Sequence[Mapping[str, Any]]:
        """Return the call's events, oldest first."""

    def agent_says(self, call_id: str, text: str, *, urgency: str, uninterruptible: bool) -> None:
        """Make the agent say this."""

    def user_says(self, call_id: str, text: str, *, urgency: str) -> None:
        """Tell the agent this as if the person had said it."""

    def download_recording(self, call_id: str, sink: BinaryIO, watch: Callable[[int, int | None], None]) -> Any:
        """Write the call's recording; returns a `uvcall.download.Fetched`."""


class Subject(NamedTuple):
    """The call that an id means."""

    named: str  #: as the user named it
    entry: Entry | None = None
    answered: Answered | None = None  #: what `serve-inbound` knows of it
    call_id: str | None = None  #: Ultravox's, where it is known
    leg: PlacedCall | None = None  #: of a call that was answered here


@dataclass(frozen=True, slots=True)
class Tools:
    """What tending a call needs.

    Attributes:
        journal: The attempts.
        vendors: Who is asked; both raise where a setting is missing.
        agents: Ultravox; raises where its key is missing.
        desk: Where this thread waits.
        now: The wall clock, UTC.
        answered: Looks into the ledger of `serve-inbound`.
        alive: Says whether a process lives.
        timing: How patient to be.
    """

    journal: Journal
    vendors: Vendors
    agents: Callable[[], Agents]
    desk: Desk
    now: Callable[[], datetime]
    answered: Callable[[str], Answered | None] = lambda _: None
    alive: Probe = process_alive
    timing: Timing = field(default_factory=Timing)

    @property
    def lookup(self) -> Lookup:
        """Return who asks the vendors about attempts."""
        return Lookup(self.journal, self.vendors, self.desk, self.timing)

    def ask(self, work: Callable[[Agents], T], seconds: float | None = None) -> T:
        """Have Ultravox asked, with an end to the waiting.

        Raises:
            UvcallError: What it answered; Temporary where it has not in time.
        """
        agents = self.agents()
        return self.lookup.ask(lambda: work(agents), "ultravox", seconds)


def find(tools: Tools, text: str) -> Subject:
    """Return the call that an id means.

    Raises:
        UsageError: It means none, or several.
        LocalError: The journal or the ledger cannot be read.
    """
    entry = tools.journal.by_any_id(text)
    if entry is not None:
        return Subject(text, entry, call_id=entry.ultravox_call_id)
    answered = tools.answered(text) if text.isascii() and text.isprintable() else None
    if answered is not None:
        provider, _, carrier_call_id = answered.known.key.partition(":")
        leg = PlacedCall(Provider(provider), carrier_call_id)
        return Subject(text, None, answered, answered.known.ultravox_id or None, leg)
    if re.fullmatch(_UUID, text.lower()):
        return Subject(text, call_id=text.lower())
    raise UsageError(
        f"no call is known as {text[:80]!r} here, and Ultravox's own ids are UUIDs",
        hint="uvcall calls list shows the attempts of this machine",
    )


def call_of(tools: Tools, subject: Subject) -> str:
    """Return the id of the subject's Ultravox call; where the journal has none, Ultravox is asked for it.

    Raises:
        UsageError: There is no such call; Temporary: not yet, or Ultravox cannot be asked.
    """
    if subject.call_id is not None:
        return subject.call_id
    entry = subject.entry
    if entry is not None and (entry.open or entry.placed != "no"):
        mark = entry.attempt_id
        found = tools.ask(lambda agents: agents.calls_by_metadata("uvcall_attempt", mark))
        if found:
            return next((call for call in found if joined(call)), found[0]).call_id
    if entry is not None and entry.open:
        raise Temporary(f"{named(subject)} has no Ultravox call yet", hint="run it again in a moment")
    raise UsageError(
        f"{named(subject)} has no Ultravox call",
        hint=f"uvcall calls show {entry.attempt_id} tells why"
        if entry
        else "it was refused, or told that nobody is there",
    )


def named(subject: Subject) -> str:
    """Return what to call the subject in a message."""
    if subject.entry is not None:
        return f"attempt {subject.entry.attempt_id}"
    if subject.leg is not None:
        return f"the inbound call {subject.leg.carrier_call_id}"
    return f"the call {subject.named[:80]}"
