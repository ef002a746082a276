"""Place one phone call, stay until it is over, and tell the truth about it.

The order of things is the promise: everything that can be refused is refused before the carrier is asked; the
carrier is asked once; and from then on the question is only how the call ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from uvcall.calls.attempt import Attempt, DialOrder
from uvcall.calls.desk import Desk, Job, Late
from uvcall.calls.follow import Timing, follow, hang_up
from uvcall.calls.ports import Agents, CarrierLine, Clock, Moment, Observer, Progress, silent
from uvcall.core.model import CallRecord, CreatedCall, LegOrder, Outcome, PlacedCall
from uvcall.core.secret import JoinUrl
from uvcall.errors import FateUnknown, Interrupted, Temporary, UvcallError

T = TypeVar("T")


class AnswerListener(Protocol):
    """Where Plivo fetches the answer XML: `uvcall.server.answer_once`."""

    answer_url: str
    machine_url: str

    def serve(self, join_url: JoinUrl) -> None:
        """Hold the XML ready for its one fetch."""

    def fetched(self) -> bool:
        """Return whether the carrier has fetched it."""

    def machine(self) -> bool | None:
        """Return the carrier's verdict on who answered, if it has come."""


def dial(
    order: DialOrder,
    *,
    agents: Agents,
    line: CarrierLine | None,
    desk: Desk,
    clock: Clock,
    watch: Observer = silent,
    timing: Timing | None = None,
    listener: AnswerListener | None = None,
) -> CallRecord:
    """Carry a call from nothing to its end.

    Args:
        order: The call.
        agents: The Ultravox API.
        line: The carrier; None only with `via="ultravox"` and no credentials for the carrier.
        desk: Where this thread waits and is interrupted.
        clock: The time.
        watch: Is told of everything that happens.
        timing: How patient to be.
        listener: Plivo's answer listener.

    Returns:
        The record, whatever happens: errors are in it, never raised.
    """
    steps = _Steps(order, agents, line, desk, clock, watch, timing or Timing(), listener)
    attempt = Attempt(order, clock.now())
    try:
        steps.create(attempt)
        steps.place(attempt)
        return steps.stay(attempt)
    except Interrupted as signal:
        return steps.interrupted(attempt, signal)
    except UvcallError as error:
        return attempt.refused(error, clock.now())


def preview(order: DialOrder, line: CarrierLine | None) -> dict[str, Any]:
    """Return what `dial` would send, join URL replaced by a word; contacts nobody.

    Raises:
        UsageError: A carrier option that cannot be.
    """
    body = {"path": order.create.path, "query": dict(order.create.query), "body": _plain(order.create.body)}
    carrier: dict[str, Any] | None = None
    if line is not None and order.via == "sdk":
        stand_in = replace(order.leg, join_url=JoinUrl("wss://voice.ultravox.ai/JOIN-URL"))
        carrier = _plain(line.module.request(line.account, stand_in))
    return {"ultravox": body, "carrier": carrier}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.replace("wss://voice.ultravox.ai/JOIN-URL", "[join URL]")
    return value if isinstance(value, int | float | bool | None) else str(value)


class _Steps:
    """The steps of one `dial`, with everything they need at hand."""

    def __init__(
        self,
        order: DialOrder,
        agents: Agents,
        line: CarrierLine | None,
        desk: Desk,
        clock: Clock,
        watch: Observer,
        timing: Timing,
        listener: AnswerListener | None,
    ) -> None:
        self.order = order
        self.agents = agents
        self.line = line
        self.desk = desk
        self.clock = clock
        self.watch = watch
        self.timing = timing
        self.listener = listener
        self._placing: Job[PlacedCall] | None = None

    # -- Ultravox ---------------------------------------------------------------------------------------------------

    def create(self, attempt: Attempt) -> None:
        """Create the Ultravox call while the carrier's SDK is imported."""
        rings = self.order.via == "ultravox"
        self.desk.run(self.agents.load, self.timing.create_s)
        if rings:
            attempt.fate = "unknown"
        asking = self.desk.start(lambda: self.agents.create_call(self.order.create, rings=rings))
        if self.line is not None:
            # Nothing waits for this one: `place` opens the line itself, at once where it is open already.
            opening = self.desk.start(self.line.open)
        try:
            attempt.created = self._created(asking, rings=rings)
        except FateUnknown as error:
            attempt.created = self._find_created(error)
        except UvcallError:
            attempt.fate = "no"
            raise
        if self.line is not None:
            self.desk.wait(opening, self.timing.create_s)
        attempt.fate = "yes" if rings else "no"
        self.watch(Progress(Moment.CREATED, attempt.created.call_id))

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
                pause = error.retry_after if error.retry_after is not None else 0.5 * (tries + 1)
                spent = self.clock.monotonic() - started
                if tries == 2 or spent + pause > self.timing.max_wait_s:
                    raise
                self.watch(Progress(Moment.WAITING, f"{error.message}; again in {pause:g} s"))
                self.desk.sleep(pause)
            asking = self.desk.start(lambda: self.agents.create_call(self.order.create, rings=rings))
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
            self.watch(Progress(Moment.SETTLING, error.message))
            placed = self._settle(lambda: _newest(line, leg, since), error)
        attempt.adopt(placed)
        self.watch(Progress(Moment.PLACED, placed.carrier_call_id))

    def _leg(self, created: CreatedCall) -> LegOrder:
        leg = replace(self.order.leg, join_url=created.join_url)
        if self.listener is None or created.join_url is None:
            return leg
        self.listener.serve(created.join_url)
        machine_url = self.listener.machine_url if leg.detect_machine and not leg.hang_up_on_machine else None
        return replace(leg, answer_url=self.listener.answer_url, machine_url=machine_url)

    def _place_once(self, attempt: Attempt, line: CarrierLine, leg: LegOrder) -> PlacedCall:
        """Ask the carrier until it has the request: *not sent* and *too many requests* ring nobody, all else ends."""
        started = self.clock.monotonic()
        for tries in range(3):
            attempt.fate = "unknown"
            self._placing = self.desk.start(lambda: line.place(leg))
            try:
                placed = self.desk.wait(self._placing, self.timing.create_s)
            except Late:
                words = f"{leg.to}: {self.order.provider} has not answered within {self.timing.create_s:g} s"
                raise FateUnknown(words, hint=_LOOK, peer=self.order.provider) from None
            except FateUnknown:
                raise
            except Temporary as error:
                attempt.fate, self._placing = "no", None
                pause = error.retry_after if error.retry_after is not None else 0.5 * (tries + 1)
                if tries == 2 or self.clock.monotonic() - started + pause > self.timing.max_wait_s:
                    raise
                self.watch(Progress(Moment.WAITING, f"{error.message}; again in {pause:g} s"))
                self.desk.sleep(pause)
            except UvcallError:
                attempt.fate, self._placing = "no", None
                raise
            else:
                self._placing = None
                return placed
        raise AssertionError("three tries end in a leg or an error")

    def _find_outgoing(self, attempt: Attempt, line: CarrierLine, since: float) -> None:
        """Learn the carrier's id of a leg that Ultravox placed; without it, Ultravox alone is followed."""
        for _ in range(3):
            try:
                placed = self.desk.run(lambda: _newest(line, self.order.leg, since), self.timing.request_s)
            except (UvcallError, Late):
                placed = None
            if placed is not None:
                attempt.adopt(placed)
                self.watch(Progress(Moment.PLACED, placed.carrier_call_id))
                return
            self.desk.sleep(self.timing.poll_ringing_s)
        self.watch(Progress(Moment.NOTE, f"{self.order.provider} does not list the call; following it at Ultravox"))

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
            attempt.leg = replace(attempt.leg, machine=True)
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


_LOOK = "a phone may ring: look for the call before dialing this number again"


def _newest(line: CarrierLine, leg: LegOrder, since: float) -> PlacedCall | None:
    found = line.find(leg, since=since)
    return found[0] if found else None
