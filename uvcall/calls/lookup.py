"""What carrier and Ultravox know of an attempt that this machine remembers. Everything here reads.

The ports below have neither `place` nor `create_call`: whoever recovers from a crash cannot ring anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Final, Protocol, TypeVar

from uvcall.calls.desk import Desk, Late
from uvcall.calls.follow import Timing
from uvcall.carriers import BEGINS_WITHIN_S
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, LegOrder, LegState, LegStatus, PlacedCall, UltravoxCall
from uvcall.errors import AuthError, ConfigError, Temporary, UsageError, UvcallError
from uvcall.journal import Entry, Journal

T = TypeVar("T")

_TOO_MANY: Final = 429
#: The shortest pause before a vendor is asked again, in seconds: `Retry-After: 0` is no leave to ask without end.
_PAUSE_S: Final = 0.5


class OpenLine(Protocol):
    """A carrier's line that can look and hang up: `calls.ports.CarrierLine` without its first half."""

    def open(self) -> None:
        """Import the SDK and connect."""

    def status(self, placed: PlacedCall) -> LegStatus:
        """Ask where the leg is."""

    def find(self, order: LegOrder, *, since: float, until: float) -> Sequence[PlacedCall]:
        """Look for legs of this order."""

    def hang_up(self, placed: PlacedCall) -> bool:
        """End the leg."""


class Reports(Protocol):
    """The Ultravox API as far as it tells of calls and ends them."""

    def get_call(self, call_id: str) -> UltravoxCall:
        """Ask where the call is."""

    def calls_by_metadata(self, key: str, value: str) -> Sequence[UltravoxCall]:
        """Return the calls that carry this metadata, newest first."""

    def hang_up(self, call_id: str) -> bool:
        """End a joined call. Returns False when there is nothing to end."""


@dataclass(frozen=True, slots=True)
class Vendors:
    """Who can be asked. Both raise `ConfigError` or `AuthError` where a setting is missing."""

    line: Callable[[Provider], OpenLine]
    agents: Callable[[], Reports]


@dataclass(frozen=True, slots=True)
class Seen:
    """What both peers show of one attempt.

    `several` holds the ids of legs of which one may be the attempt's, and nothing tells which; `leg` is then None.
    """

    placed: PlacedCall | None = None
    leg: LegStatus | None = None
    call: UltravoxCall | None = None
    several: tuple[str, ...] = ()
    several_over: bool = False

    def over(self) -> bool:
        """Say whether the carrier says that the leg has ended."""
        return self.leg is not None and self.leg.state is LegState.ENDED

    def told(self) -> bool:
        """Say whether the peers have said all that they will: causes and ends come a little later than the end."""
        leg, call = self.leg, self.call
        if leg is None or leg.state is not LegState.ENDED:
            return True
        if leg.cause is Cause.UNKNOWN and not leg.answered:
            return False
        return not joined(call) or ended(call)


def joined(call: UltravoxCall | None) -> bool:
    """Say whether the agent was on the line: then a phone leg there was."""
    return call is not None and call.joined_at is not None


def ended(call: UltravoxCall | None) -> bool:
    """Say whether Ultravox says that the call is over."""
    return call is not None and (call.ended_at is not None or bool(call.end_reason))


@dataclass(slots=True, eq=False)
class Patience:
    """How long a run still waits: for each vendor that asks for a pause, and in all.

    Attributes:
        deadline: On the monotonic clock; nobody is asked anything after it.
    """

    deadline: float = inf
    _waited: dict[str, float] = field(default_factory=dict)

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - monotonic()

    def pause(self, error: Temporary, peer: str, most: float) -> float | None:
        """Return how long to wait before the vendor is asked again; None when it did not ask for that, or for too much.

        Args:
            error: What it answered.
            peer: Who it is.
            most: Seconds that are waited for it in all; beyond them the error stands.
        """
        if error.retry_after is None and error.status != _TOO_MANY:
            return None
        waited = self._waited.get(peer, 0.0)
        # Without a word on how long: ever longer.
        pause = max(_PAUSE_S, waited if error.retry_after is None else error.retry_after)
        if waited + pause > most or pause >= self.left():
            return None
        self._waited[peer] = waited + pause
        return pause


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks the vendors; the journal tells which of the found legs are other attempts'."""

    journal: Journal
    vendors: Vendors
    desk: Desk
    timing: Timing
    patience: Patience = field(default_factory=Patience)

    def look(self, entry: Entry) -> Seen:
        """Ask the carrier, and Ultravox where the carrier's word is not enough.

        Raises:
            Temporary: A vendor cannot be read: nothing is known, and nothing must be concluded.
            ConfigError: A setting that the attempt's carrier needs is missing; AuthError: a credential is.
        """
        line = self.line(entry)
        seen = Seen() if line is None else self._leg(entry, line)
        if seen.leg is not None and not _asks_for_more(seen.leg):
            return seen
        return Seen(seen.placed, seen.leg, self._call(entry), seen.several, seen.several_over)

    def look_long(self, entry: Entry, *, until_over: bool = False) -> Seen:
        """Look again and again for as long as a peer may be about to tell more; with `until_over`, of the end too."""
        tries = round(self.timing.leg_grace_s / self.timing.poll_ringing_s)
        seen = self.look(entry)
        for _ in range(tries):
            alive = seen.leg is not None and not seen.over()
            if seen.told() and not (until_over and alive):
                break
            self.desk.sleep(self.timing.poll_ringing_s)
            seen = self.look(entry)
        return seen

    def line(self, entry: Entry) -> OpenLine | None:
        """Return the line of the attempt's carrier; None where Ultravox dialed and uvcall has no credentials.

        Raises:
            UvcallError: It cannot be opened.
        """
        try:
            line = self.vendors.line(Provider(entry.provider))
            self.ask(line.open, entry.provider)
        except (ConfigError, AuthError):
            if entry.via == "ultravox":
                return None
            raise
        return line

    def ask(self, work: Callable[[], T], peer: str, seconds: float | None = None) -> T:
        """Have a vendor asked, with an end to the waiting; again after the pause that it asks for.

        Raises:
            Temporary: It has not answered in time, or is asked too often still.
        """
        again = "nothing was changed; run it again"
        while True:
            limit = min(self.timing.request_s if seconds is None else seconds, self.patience.left())
            if limit <= 0:
                raise Temporary(f"{peer} was not asked: no time was left", hint=again, peer=peer)
            try:
                return self.desk.run(work, limit)
            except Late:
                raise Temporary(f"{peer} has not answered within {limit:.3g} s", hint=again, peer=peer) from None
            except Temporary as error:
                pause = self.patience.pause(error, peer, self.timing.max_wait_s)
                if pause is None:
                    raise
            self.desk.sleep(pause)

    def _leg(self, entry: Entry, line: OpenLine) -> Seen:
        if entry.carrier_call_id is not None:
            return self._known(entry, line, placed_of(entry, entry.carrier_call_id))
        found = self._candidates(entry, line)
        if not found:
            return Seen()
        if len(found) == 1:
            return Seen(found[0], self._status(entry, line, found[0]))
        return self._several(entry, line, found)

    def _several(
        self, entry: Entry, line: OpenLine, found: Sequence[PlacedCall], placed: PlacedCall | None = None
    ) -> Seen:
        """Look at legs of which one is the attempt's, and nothing tells which."""
        statuses = [self._status(entry, line, each) for each in found]
        over = all(status is None or status.state is LegState.ENDED for status in statuses)
        return Seen(placed, several=tuple(each.carrier_call_id for each in found), several_over=over)

    def _known(self, entry: Entry, line: OpenLine, placed: PlacedCall) -> Seen:
        leg = self._status(entry, line, placed)
        if leg is None or leg.state is not LegState.QUEUED:
            return Seen(placed, leg)
        # "Queued" is also what a carrier says of a call that it does not list, or lists under another id than it gave.
        found = self._candidates(entry, line)
        mine = [each for each in found if _ids(each) & _ids(placed)]
        mine = mine or [each for each in found if not _names_another(each, placed)]
        if not mine:
            return Seen(placed)
        if len(mine) > 1:
            return self._several(entry, line, mine, placed)
        placed = PlacedCall(placed.provider, placed.carrier_call_id, {**placed.ids, **mine[0].ids})
        return Seen(placed, self._status(entry, line, placed))

    def _status(self, entry: Entry, line: OpenLine, placed: PlacedCall) -> LegStatus | None:
        """Return what the carrier says; None when it knows no such call (any more)."""
        try:
            return self.ask(lambda: line.status(placed), entry.provider)
        except UvcallError as error:
            if error.status == 404:
                return None
            raise

    def _candidates(self, entry: Entry, line: OpenLine) -> list[PlacedCall]:
        """Return the legs that may be the attempt's: in the carrier's list, and no other attempt's."""
        order = LegOrder(
            to=entry.to,
            from_=entry.from_,
            attempt_id=entry.attempt_id,
            ring_timeout_s=entry.ring_timeout_s or 0,
            time_limit_s=entry.time_limit_s or 0,
            ours=entry.via == "sdk",
        )
        since = (entry.leg_at or entry.created_at).timestamp()
        # Some lists take several requests, each with its own bound.
        found = self.ask(
            lambda: line.find(order, since=since, until=since + BEGINS_WITHIN_S),
            entry.provider,
            3 * self.timing.request_s,
        )
        return [each for each in found if not self._claimed(entry, each)]

    def _claimed(self, entry: Entry, placed: PlacedCall) -> bool:
        for text in _ids(placed):
            try:
                owner = self.journal.by_any_id(text)
            except UsageError:  # several attempts have it, and so it tells nothing about this one
                return True
            if owner is not None and owner.attempt_id != entry.attempt_id:
                return True
        return False

    def _call(self, entry: Entry) -> UltravoxCall | None:
        """Return the attempt's Ultravox call, the joined one before the newest; None when there is none."""
        agents = self.vendors.agents()
        known = entry.ultravox_call_id
        if known is None:
            found = self.ask(lambda: agents.calls_by_metadata("uvcall_attempt", entry.attempt_id), "ultravox")
            return next((call for call in found if joined(call)), found[0] if found else None)
        try:
            return self.ask(lambda: agents.get_call(known), "ultravox")
        except UvcallError as error:
            if error.status == 404:
                return None
            raise


def _asks_for_more(leg: LegStatus) -> bool:
    """Say whether Ultravox may add to the carrier's word: not while it lives, nor where nobody answered."""
    return leg.state is LegState.ENDED and (leg.answered or leg.cause is Cause.UNKNOWN)


def placed_of(entry: Entry, carrier_call_id: str) -> PlacedCall:
    """Return the attempt's leg as its carrier's module knows it."""
    return PlacedCall(Provider(entry.provider), carrier_call_id, entry.carrier_ids)


def _names_another(found: PlacedCall, placed: PlacedCall) -> bool:
    """Say whether a leg names an id that is not the attempt's: another request to call, for one."""
    return any(placed.ids.get(name, value) != value for name, value in found.ids.items())


def _ids(placed: PlacedCall) -> set[str]:
    return {placed.carrier_call_id, *placed.ids.values()}
