"""Place one phone call, stay until it is over, and tell the truth about it.

The order of things is the promise: everything that can be refused is refused before the carrier is asked; the
carrier is asked once; and from then on the question is only how the call ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import TypeVar

from uvcall.calls.attempt import Attempt
from uvcall.calls.desk import Desk, Job, Late
from uvcall.calls.follow import Timing, follow, hang_up
from uvcall.calls.history import record_of
from uvcall.calls.ports import Agents, CarrierLine, Clock, Moment, Observer, Progress, silent
from uvcall.calls.route import Route
from uvcall.calls.scribe import Scribe
from uvcall.core.model import CallRecord, CreatedCall, LegOrder, Outcome, PlacedCall
from uvcall.errors import FateUnknown, Interrupted, Temporary, UvcallError
from uvcall.journal import Entry, Journal, KeyTaken

T = TypeVar("T")

_LOOK = "a phone may ring; uvcall reconcile looks for the call"


def dial(
    routes: Sequence[Route],
    *,
    agents: Agents,
    desk: Desk,
    clock: Clock,
    journal: Journal,
    watch: Observer = silent,
    timing: Timing | None = None,
    recover: Callable[[Entry], None] | None = None,
) -> CallRecord:
    """Carry a call from nothing to its end.

    Args:
        routes: Carriers to try, in order; the next one is tried only when it is certain that nothing was placed.
        agents: The Ultravox API.
        desk: Where this thread waits and is interrupted.
        clock: The time.
        journal: Where the attempt is kept.
        watch: Is told of everything that happens.
        timing: How patient to be.
        recover: Settles an attempt that a process which is gone has left open, if one is in the way; never dials.

    Returns:
        The record, whatever happens: errors are in it, never raised.
    """
    scribe = Scribe(journal, clock, watch)
    attempt = Attempt(routes[0].order, clock.now())
    steps = _Steps(routes[0], agents, desk, clock, watch, timing or Timing(), scribe)
    try:
        scribe.begin([route.order for route in routes], recover)
        steps.reach(attempt, routes)
        record = steps.stay(attempt)
    except KeyTaken as taken:
        if taken.entry.open:
            return attempt.refused(taken, clock.now())
        watch(Progress(Moment.NOTE, f"attempt {taken.entry.attempt_id} had this key: nobody was called again"))
        return record_of(taken.entry)
    except Interrupted as signal:
        record = steps.interrupted(attempt, signal)
    except UvcallError as error:
        record = attempt.refused(error, clock.now())
    scribe.close(attempt, record)
    return record


class _Steps:
    """The steps of one `dial`, with everything they need at hand."""

    def __init__(
        self,
        route: Route,
        agents: Agents,
        desk: Desk,
        clock: Clock,
        watch: Observer,
        timing: Timing,
        scribe: Scribe,
    ) -> None:
        self.take(route)
        self.agents = agents
        self.desk = desk
        self.clock = clock
        self.watch = watch
        self.timing = timing
        self.scribe = scribe
        self._placing: Job[PlacedCall] | None = None

    def take(self, route: Route) -> None:
        """Go by this route from now on."""
        self.order = route.order
        self.line = route.line
        self.listener = route.listener

    def reach(self, attempt: Attempt, routes: Sequence[Route]) -> None:
        """Place the call by the first route that takes it.

        Raises:
            UvcallError: The last route's refusal, or `FateUnknown`: then no other route may be tried.
        """
        for index, route in enumerate(routes):
            self.take(route)
            attempt.order = route.order
            self.create(attempt)
            try:
                self.place(attempt)
            except FateUnknown:
                raise
            except UvcallError as error:
                if index + 1 == len(routes) or attempt.fate != "no" or error.peer != route.order.provider:
                    raise
                after = routes[index + 1].order.provider
                self.watch(Progress(Moment.NOTE, f"{error.message}; nothing was placed: trying {after}"))
            else:
                return

    # -- Ultravox ---------------------------------------------------------------------------------------------------

    def create(self, attempt: Attempt) -> None:
        """Create the Ultravox call while the carrier's SDK is imported."""
        rings = self.order.via == "ultravox"
        if rings:
            self.scribe.leg_intent(attempt)
            attempt.fate = "unknown"
        sent = Event()
        asking = self.desk.start(lambda: self._ask_ultravox(sent))
        opening = self.desk.start(lambda: self._open(sent))
        try:
            attempt.created = self._created(asking, rings=rings)
        except FateUnknown as error:
            self.scribe.unknown(attempt, error.message)
            attempt.created = self._find_created(error)
        except UvcallError as error:
            attempt.fate = "no"
            if rings:
                self.scribe.leg_gone(attempt, error)
            raise
        if rings:
            attempt.fate = "yes"
            self.scribe.placed(attempt)
        self.desk.wait(opening, self.timing.create_s)
        self.watch(Progress(Moment.CREATED, attempt.created.call_id))

    def _ask_ultravox(self, sent: Event) -> CreatedCall:
        try:
            return self.agents.create_call(self.order.create, rings=self.order.via == "ultravox", sent=sent.set)
        finally:
            sent.set()

    def _open(self, sent: Event) -> None:
        """Import the carrier's SDK while Ultravox thinks: before the request has left, it would only delay it."""
        sent.wait(self.timing.create_s)
        if self.line is not None:
            self.line.open()
        if self.listener is not None:
            self.listener.open()

    def _created(self, asking: Job[CreatedCall], *, rings: bool) -> CreatedCall:
        """Wait for the call; an Ultravox call that rings nobody may be asked for again, twice."""
        started = self.clock.monotonic()
        for tries in range(3):
            try:
                return self.desk.wait(asking, self.timing.create_s)
            except Late:
                words = f"Ultravox has not answered within {self.timing.create_s:g} s"
                if rings:
                    raise FateUnknown(words, hint=_LOOK, peer="ultravox") from None
                late = Temporary(words, hint="nobody was called; run the same command again", peer="ultravox")
                if tries == 2:
                    raise late from None
            except Temporary as error:
                self._pause(error, tries, started)
            asking = self.desk.start(lambda: self._ask_ultravox(Event()))
        raise AssertionError("three tries end in a call or an error")

    def _find_created(self, error: FateUnknown) -> CreatedCall:
        """Look for a call that Ultravox may have created and dialed, by our attempt id in its metadata."""

        def look() -> CreatedCall | None:
            calls = self.agents.calls_by_metadata("uvcall_attempt", self.order.leg.attempt_id)
            return CreatedCall(calls[0].call_id, None) if calls else None

        return self._settle(look, error)

    # -- the carrier ------------------------------------------------------------------------------------------------

    def place(self, attempt: Attempt) -> None:
        """Place the phone leg, once; after a lost reply look for it, never send it again."""
        if self.line is None or attempt.created is None:
            return
        line = self.line
        since = self.clock.now().timestamp() - 5
        if self.order.via == "ultravox":
            self._find_outgoing(attempt, line, since)
            return
        leg = self._leg(attempt.created)
        line.module.request(line.account, leg)
        self.watch(Progress(Moment.DIALING))
        try:
            placed = self._place_once(attempt, line, leg)
        except FateUnknown as error:
            self.scribe.unknown(attempt, error.message)
            self.watch(Progress(Moment.SETTLING, error.message))
            placed = self._settle(lambda: self._newest(line, leg, since), error)
        self._adopt(attempt, placed)

    def _adopt(self, attempt: Attempt, placed: PlacedCall) -> None:
        attempt.adopt(placed)
        self.scribe.placed(attempt)
        self.watch(Progress(Moment.PLACED, placed.carrier_call_id))

    def _leg(self, created: CreatedCall) -> LegOrder:
        leg = self.order.leg._replace(join_url=created.join_url)
        if self.listener is None or created.join_url is None:
            return leg
        self.listener.serve(created.join_url)
        machine_url = self.listener.machine_url if leg.detect_machine and not leg.hang_up_on_machine else None
        return leg._replace(answer_url=self.listener.answer_url, machine_url=machine_url)

    def _place_once(self, attempt: Attempt, line: CarrierLine, leg: LegOrder) -> PlacedCall:
        """Ask the carrier until it has the request: *not sent* and *too many requests* ring nobody, all else ends."""
        started = self.clock.monotonic()
        for tries in range(3):
            self.scribe.leg_intent(attempt)
            attempt.fate = "unknown"
            self._placing = self.desk.start(lambda: line.place(leg))
            try:
                placed = self.desk.wait(self._placing, self.timing.create_s)
            except Late:
                words = f"{leg.to}: {self.order.provider} has not answered within {self.timing.create_s:g} s"
                raise FateUnknown(words, hint=_LOOK, peer=self.order.provider) from None
            except FateUnknown:
                raise
            except UvcallError as error:
                attempt.fate, self._placing = "no", None
                self.scribe.leg_gone(attempt, error)
                if not isinstance(error, Temporary):
                    raise
                self._pause(error, tries, started)
            else:
                self._placing = None
                return placed
        raise AssertionError("three tries end in a leg or an error")

    def _pause(self, error: Temporary, tries: int, started: float) -> None:
        """Wait before the next try, as long as the vendor asks; raise the error when it is one try or wait too many."""
        pause = error.retry_after if error.retry_after is not None else 0.5 * (tries + 1)
        if tries == 2 or self.clock.monotonic() - started + pause > self.timing.max_wait_s:
            raise error
        self.watch(Progress(Moment.WAITING, f"{error.message}; again in {pause:g} s"))
        self.desk.sleep(pause)

    def _find_outgoing(self, attempt: Attempt, line: CarrierLine, since: float) -> None:
        """Learn the carrier's id of a leg that Ultravox placed; without it, Ultravox alone is followed."""
        for _ in range(3):
            try:
                placed = self.desk.run(lambda: self._newest(line, self.order.leg, since), self.timing.request_s)
            except (UvcallError, Late):
                placed = None
            if placed is not None:
                self._adopt(attempt, placed)
                return
            self.desk.sleep(self.timing.poll_ringing_s)
        self.watch(Progress(Moment.NOTE, f"{self.order.provider} does not list the call; following it at Ultravox"))

    def _newest(self, line: CarrierLine, leg: LegOrder, since: float) -> PlacedCall | None:
        """Look for the order's leg: the newest that the journal does not know as another attempt's."""
        found = line.find(leg, since=since)
        return next((placed for placed in found if not self.scribe.another_has(placed, leg.attempt_id)), None)

    def _settle(self, look: Callable[[], T | None], error: FateUnknown) -> T:
        """Look until found or `--settle` has passed; then the error stands."""
        deadline = self.clock.monotonic() + self.order.settle_s
        while True:
            try:
                found = self.desk.run(look, self.timing.request_s)
            except (UvcallError, Late):
                found = None  # a list that cannot be read proves nothing
            if found is not None:
                return found
            if self.clock.monotonic() >= deadline:
                raise error
            self.desk.sleep(min(self.timing.settle_poll_s, max(0.0, deadline - self.clock.monotonic())))

    # -- and then ---------------------------------------------------------------------------------------------------

    def stay(self, attempt: Attempt) -> CallRecord:
        """Follow the call to its end, or as far as `--detach` wants."""
        listener = self.listener
        if self.order.detach and (listener is None or self.order.via == "ultravox"):
            return attempt.record(Outcome.ACCEPTED, reason=None, now=self.clock.now())
        fetched = listener.fetched if self.order.detach and listener is not None else lambda: False
        seen = follow(
            attempt,
            agents=self.agents,
            line=self.line,
            desk=self.desk,
            clock=self.clock,
            watch=self.watch,
            timing=self.timing,
            enough=fetched,
        )
        now = self.clock.now()
        if listener is not None and listener.machine() and attempt.leg is not None:
            attempt.leg = attempt.leg._replace(machine=True)
        if self.order.detach and fetched():
            return attempt.record(Outcome.ACCEPTED, reason=None, now=now)
        if not seen:
            return attempt.record(Outcome.UNOBSERVED, reason=None, now=now)
        self.watch(Progress(Moment.OVER))
        return attempt.ended(now)

    def interrupted(self, attempt: Attempt, signal: Interrupted) -> CallRecord:
        """Hang up both sides within five seconds unless the call was to be left alone."""
        code = 128 + signal.signum
        try:
            if self._placing is not None:
                # The request is under way: without its answer there is no id to hang up by.
                attempt.adopt(self.desk.wait(self._placing, self.timing.hang_up_s))
        except FateUnknown:
            pass
        except (UvcallError, Late) as error:
            attempt.fate = "unknown" if isinstance(error, Late) else "no"
        except Interrupted:
            return attempt.record(Outcome.INTERRUPTED, reason="left", now=self.clock.now(), exit_code=code)
        reason = "left" if self.order.detach else self._end(attempt)
        return attempt.record(Outcome.INTERRUPTED, reason=reason, now=self.clock.now(), exit_code=code)

    def _end(self, attempt: Attempt) -> str:
        if attempt.fate == "no":
            return "before dialing"
        self.watch(Progress(Moment.HANGING_UP))
        try:
            ended = hang_up(attempt, agents=self.agents, line=self.line, desk=self.desk, timing=self.timing)
        except Interrupted:
            return "left"
        return "hung up" if ended else "left"
