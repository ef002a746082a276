"""May this caller be connected now? Rules, and the book of calls that they look at: values in, verdicts out.

Whoever rings costs minutes, so everything is refused that nobody has allowed, before anybody is paid.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

#: Seconds of the two windows in which calls are counted.
CALLER_WINDOW_S: Final = 600.0
HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


class Step(StrEnum):
    """What has become of an inbound call, in the order in which it may happen."""

    CLAIMED = "claimed"  #: this call id is ours; the Ultravox call may or may not exist
    REFUSED = "refused"  #: by the rules; nobody was paid
    CREATED = "created"  #: the Ultravox call exists
    FALLBACK = "fallback"  #: no agent could be had; the caller was told so, or forwarded
    JOINED = "joined"  #: caller and agent are connected
    ENDED = "ended"


#: A later step never gives way to an earlier one: webhooks come in any order.
RANK: Final = {
    Step.CLAIMED: 0,
    Step.REFUSED: 1,
    Step.FALLBACK: 1,
    Step.CREATED: 1,
    Step.JOINED: 2,
    Step.ENDED: 3,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is connected. Numbers are E.164 and are compared whole, never by their endings."""

    numbers: frozenset[str] = frozenset()  #: ours that are served; empty serves every one that a carrier sends here
    allow_from: frozenset[str] = frozenset()  #: empty: everybody but `deny_from`
    deny_from: frozenset[str] = frozenset()
    allow_unknown: bool = False  #: callers who withhold their number
    max_concurrent: int = 2
    per_caller: int | None = 3  #: calls of one caller in ten minutes; None: as many as they like, and not counted
    per_hour: int | None = 30  #: calls of all callers in an hour; None: likewise
    minutes_a_day: float = 60.0
    longest_s: float = 600.0  #: how long a call can live, so that a lost end does not block others for ever
    join_s: float = 30.0  #: how long a call that nobody joins lives

    def stricter(self) -> Rules:
        """Return the rules for when nothing can be written down: one call at a time."""
        return replace(self, max_concurrent=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is empty when the caller may be connected; `busy` says that trying again later may help."""

    reason: str = ""
    busy: bool = False


ADMIT: Final = Verdict()


@dataclass(slots=True)
class _Live:
    caller: str
    since: float
    until: float  #: when it is over at the latest, whatever nobody told us
    joined: bool = False


@dataclass(slots=True)
class Book:
    """The calls that count: those alive, those of the last hour, and the minutes of the day (UTC)."""

    rules: Rules
    live: dict[str, _Live] = field(default_factory=dict)
    _hour: deque[float] = field(default_factory=deque)
    _callers: dict[str, deque[float]] = field(default_factory=dict)
    _swept: float = 0.0
    _day: int = 0
    _spent_s: float = 0.0
    #: How many live calls are joined, and the sum of the instants since when: their seconds are asked for often.
    _talking: int = 0
    _since_s: float = 0.0

    def note(self, key: str, step: Step, at: float, caller: str = "") -> None:
        """Take down a step. `at` is in seconds since the epoch; a step that changes nothing is ignored."""
        if step is Step.CLAIMED:
            self.live[key] = _Live(caller, at, at + self.rules.join_s + 10.0)
            if self.rules.per_hour is not None:
                self._hour.append(at)
            if self.rules.per_caller is not None:
                self._callers.setdefault(caller, deque()).append(at)
            return
        call = self.live.get(key)
        if call is None:
            return
        if step is Step.JOINED and not call.joined:
            call.joined, call.since, call.until = True, at, at + self.rules.longest_s + 30.0
            self._talking += 1
            self._since_s += at
        elif step in {Step.ENDED, Step.FALLBACK, Step.REFUSED}:
            self._end(key, at)

    def verdict(self, called: str, caller: str, now: float) -> Verdict:
        """Say whether a caller may be connected to one of our numbers; `caller` is empty for a withheld number."""
        rules = self.rules
        if rules.numbers and called not in rules.numbers:
            return Verdict("number not served")
        if not caller:
            if not rules.allow_unknown:
                return Verdict("unknown caller")
        elif caller in rules.deny_from:
            return Verdict("caller denied")
        if rules.allow_from and caller not in rules.allow_from:
            return Verdict("caller not allowed")
        self.forget(now)
        recent = self._callers.get(caller)
        while recent and recent[0] <= now - CALLER_WINDOW_S:
            recent.popleft()
        if recent and rules.per_caller is not None and len(recent) >= rules.per_caller:
            return Verdict("too many calls of this caller", busy=True)
        if rules.per_hour is not None and len(self._hour) >= rules.per_hour:
            return Verdict("too many calls this hour", busy=True)
        if len(self.live) >= rules.max_concurrent:
            return Verdict("too many calls at once", busy=True)
        if self.seconds_today(now) >= rules.minutes_a_day * 60.0:
            return Verdict("minutes of the day used up", busy=True)
        return ADMIT

    def forget(self, now: float) -> None:
        """Drop what has left its window, and calls that must be over."""
        while self._hour and self._hour[0] <= now - HOUR_S:
            self._hour.popleft()
        if now >= self._swept + 1.0:
            self._swept = now
            self._forget_callers(now)
        if len(self.live) >= self.rules.max_concurrent:
            for key in [key for key, call in self.live.items() if call.until <= now]:
                self._end(key, self.live[key].until)

    def seconds_today(self, now: float) -> float:
        """Return the seconds of today's conversations, those that go on included."""
        self._turn(now)
        return self._spent_s + self._talking * now - self._since_s

    def _forget_callers(self, now: float) -> None:
        for caller in list(self._callers):
            times = self._callers[caller]
            while times and times[0] <= now - CALLER_WINDOW_S:
                times.popleft()
            if not times:
                del self._callers[caller]

    def _end(self, key: str, at: float) -> None:
        call = self.live.pop(key)
        self._turn(at)
        if call.joined:
            self._talking -= 1
            self._since_s -= call.since
            self._spent_s += max(0.0, at - call.since)

    def _turn(self, now: float) -> None:
        day = int(now // _DAY_S)
        if day > self._day:
            self._day, self._spent_s = day, 0.0


@dataclass(slots=True)
class Circuit:
    """Ultravox's recent failures: after five in half a minute only one call in ten seconds waits for it."""

    limit: int = 5
    window_s: float = 30.0
    probe_s: float = 10.0
    _failures: deque[float] = field(default_factory=deque)
    _open_since: float | None = None
    _probed: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether the circuit is closed, as it is when all is well."""
        return self._open_since is None

    def admits(self, now: float) -> bool:
        """Say whether a call may try Ultravox now; the one that may while the circuit is open is its probe."""
        if self._open_since is None:
            return True
        if now - self._probed < self.probe_s:
            return False
        self._probed = now
        return True

    def succeeded(self) -> None:
        """Close the circuit."""
        self._failures.clear()
        self._open_since = None

    def failed(self, now: float) -> None:
        """Count a failure."""
        self._failures.append(now)
        while self._failures and self._failures[0] <= now - self.window_s:
            self._failures.popleft()
        if self._open_since is None and len(self._failures) >= self.limit:
            self._open_since = self._probed = now
