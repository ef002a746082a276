"""The phone network: every leg's life from the order to its one end."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import answers, documents
from uvcall.sandbox.callbacks import FetchFailed, Messenger, handshake_headers
from uvcall.sandbox.notices import notices
from uvcall.sandbox.orders import Detection, Order, Run, Script, child_ids, new_leg_id
from uvcall.sandbox.rest import is_loopback
from uvcall.sandbox.scenarios import SCENARIOS, scenario_for
from uvcall.sandbox.world import Leg, StreamEnd, StreamSpec, World

#: Seconds of the world's life.
QUEUE_S: Final = 0.05  #: from the order to the dialing
VERDICT_S: Final = 0.6  #: answering-machine detection after the answer
BEEP_S: Final = 1.0  #: from that verdict to the beep
GOODBYE_S: Final = 1.0  #: a person whose stream has ended hears silence and hangs up
MAX_DOCUMENTS: Final = 10  #: redirects from one document to the next

#: How many calls a second each carrier starts; the others wait in its queue. Telnyx documents no number.
#: https://help.twilio.com/articles/223180028 · https://www.plivo.com/docs/voice/concepts/rate-limits
CALLS_PER_SECOND: Final = {Provider.TWILIO: 1.0, Provider.PLIVO: 2.0}


Player = Callable[[World, Leg, StreamSpec], Awaitable[StreamEnd]]


class Exchange:
    """All carriers' phone network. `player` runs a media stream: `sandbox.media.stream`."""

    def __init__(self, world: World, messenger: Messenger, player: Player) -> None:
        self.world = world
        self.messenger = messenger
        self.player = player
        self.runs: dict[str, Run] = {}
        self._next_start: dict[Provider, float] = {}
        self._refused: set[tuple[Provider, str]] = set()
        world.hang_up = self.end
        world.on_reset.append(self._forget)

    def _forget(self) -> None:
        self.runs.clear()
        self._next_start.clear()
        self._refused.clear()

    def refuses_now(self, provider: Provider, to: str) -> bool:
        """Say whether this order is to be answered 429: every other one, where the scenario says so."""
        key = (provider, to.removeprefix("+"))
        if not scenario_for(self.world.options.scenario, to).refused_once or key in self._refused:
            self._refused.discard(key)
            return False
        self._refused.add(key)
        return True

    def loses_reply(self, leg: Leg) -> bool:
        """Say whether the answer to the order of this leg must not arrive."""
        return SCENARIOS[leg.scenario].loses_reply

    def place(self, order: Order) -> Leg:
        """Begin a leg's life."""
        leg, run = self._enter(order, "outbound", scenario_for(self.world.options.scenario, order.to).name)
        self.world.spawn(self._life(leg, run), f"leg {leg.id}")
        return leg

    def receive(self, order: Order, scenario: str) -> tuple[Leg, Run]:
        """Let somebody ring a number of the account. Whoever lets them goes on with the call: `talk`, or `end`."""
        leg, run = self._enter(order, "inbound", scenario)
        leg.ringing_at = leg.created_at
        return leg, run

    def _enter(self, order: Order, direction: str, scenario: str) -> tuple[Leg, Run]:
        leg = Leg(
            provider=order.provider,
            id=new_leg_id(order.provider),
            from_=order.from_,
            to=order.to,
            direction=direction,
            scenario=scenario,
            created_at=self.world.pace.now(),
            ids=dict(order.ids),
            options=order.options,
        )
        run = Run(order)
        self.world.legs[leg.id] = leg
        self.runs[leg.id] = run
        kind = "call.placed" if direction == "outbound" else "call.incoming"
        ends = {"to": leg.to, "from": leg.from_}
        self._note(leg, kind, **ends, scenario=leg.scenario, carrier_ids=dict(leg.ids))
        return leg, run

    def end(self, leg: Leg, cause: Cause, source: str) -> None:
        """End a leg, whoever wants it: the first cause stands, later ones are nothing.

        Args:
            leg: The leg.
            cause: Why it ends.
            source: Who ended it: `caller`, `callee`, `api`, `carrier`.
        """
        if leg.ended_at is not None:
            return
        if leg.direction == "inbound" and source == "callee":
            source = "caller"  # the person at the phone is the one who rang
        leg.ended_at = self.world.pace.now()
        leg.cause = cause
        leg.end_source = source
        leg.over.set()
        if leg.id in self.runs:
            self.runs[leg.id].halt.set()
        self._note(leg, "call.ended", cause=cause.value, source=source)
        self._tell(leg, "ended")

    def redirect(self, leg: Leg, script: Script) -> None:
        """Let other instructions take over from those that the leg follows."""
        run = self.runs[leg.id]
        run.order = replace(run.order, script=script)
        halted, run.halt = run.halt, asyncio.Event()
        halted.set()

    def _note(self, leg: Leg, kind: str, **details: Any) -> None:
        self.world.history.record(leg.provider.value, kind, carrier_call_id=leg.id, **details)

    def _tell(self, leg: Leg, what: str, **details: Any) -> None:
        notices(leg.provider).tell(self, leg, what, details)

    async def _over_within(self, leg: Leg, seconds: float, end: asyncio.Event | None = None) -> bool:
        """Wait so many seconds of life, or until the leg is over or such an `end` is there; say whether it is."""
        end = end or leg.over
        try:
            async with asyncio.timeout(max(0.0, seconds) / self.world.pace.speed):
                await end.wait()
        except TimeoutError:
            return end.is_set()
        return True

    def _queue_s(self, provider: Provider) -> float:
        """Return how long this order waits in the carrier's queue, and take its place there."""
        rate = CALLS_PER_SECOND.get(provider)
        now = self.world.pace.elapsed()
        if rate is None:
            return QUEUE_S
        start = max(now, self._next_start.get(provider, 0.0))
        self._next_start[provider] = start + 1 / rate
        return QUEUE_S + start - now

    async def _life(self, leg: Leg, run: Run) -> None:
        scenario, order = SCENARIOS[leg.scenario], run.order
        run.queued_s = self._queue_s(leg.provider)
        if await self._over_within(leg, run.queued_s):
            return
        self._tell(leg, "initiated")
        if scenario.rings:
            leg.ringing_at = self.world.pace.now()
            self._note(leg, "call.ringing")
            self._tell(leg, "ringing")
        if await self._over_within(leg, min(scenario.ring_s, order.ring_timeout_s)):
            return
        if scenario.ring_s > order.ring_timeout_s:
            self.end(leg, Cause.NO_ANSWER, "carrier")
        elif scenario.cause is not None:
            self.end(leg, scenario.cause, "carrier" if scenario.cause is Cause.FAILED else "callee")
        else:
            await self.talk(leg, run)

    async def talk(self, leg: Leg, run: Run) -> None:
        """Answer a leg and do what its order says for then, until the leg is over."""
        scenario, order = SCENARIOS[leg.scenario], run.order
        leg.answered_at = self.world.pace.now()
        self._note(leg, "call.answered")
        self._tell(leg, "answered")
        timers = [self.end_later(leg, order.time_limit_s, Cause.TIME_LIMIT, "carrier")]
        if scenario.hang_up_after_s is not None:
            timers.append(self.end_later(leg, scenario.hang_up_after_s, Cause.NORMAL, "callee"))
        if order.detection is not None and not order.detection.waits:
            timers.append(self.world.spawn(self._detect(leg, order.detection), "machine detection"))
        try:
            if order.detection is not None and order.detection.waits:
                await self._detect(leg, order.detection)
            if not leg.over.is_set():
                await self._follow(leg, run)
        finally:
            for timer in timers:
                timer.cancel()

    def end_later(self, leg: Leg, seconds: float, cause: Cause, source: str) -> asyncio.Task[Any]:
        """End a leg after so many seconds, unless it is over by then or the task is cancelled."""

        async def wait() -> None:
            if not await self._over_within(leg, seconds):
                self.end(leg, cause, source)

        return self.world.spawn(wait(), f"end {leg.id} by {cause.value}")

    async def _detect(self, leg: Leg, detection: Detection) -> None:
        if await self._over_within(leg, VERDICT_S):
            return
        leg.machine = SCENARIOS[leg.scenario].machine
        self._tell(leg, "machine")
        if not leg.machine:
            return
        if detection.hangs_up:
            self.end(leg, Cause.MACHINE, "carrier")
        elif detection.to_the_beep and not await self._over_within(leg, BEEP_S):
            self._tell(leg, "beep")

    async def _follow(self, leg: Leg, run: Run) -> None:
        while isinstance(script := run.order.script, Script):
            await self._run_script(leg, run, script)
            if run.order.script is script:
                return
        patience = run.order.patience_s
        if script is not None:
            await self.stream(leg, answers.Stream(script))
            patience = GOODBYE_S
        commands = -1
        while run.busy or run.commands != commands:  # nobody hangs up while something happens
            commands = run.commands
            if await self._over_within(leg, patience):
                return
        self.end(leg, Cause.NORMAL, "callee")

    @contextlib.contextmanager
    def at_work(self, leg: Leg) -> Iterator[None]:
        """Do what a command of the API asks for: the person at the phone waits for its end."""
        run = self.runs[leg.id]
        run.busy += 1
        try:
            yield
        finally:
            run.busy -= 1
            run.commands += 1

    async def _run_script(self, leg: Leg, run: Run, script: Script) -> None:
        document, script_url, method = script.document, script.url, script.method
        halt = run.halt
        try:
            for _ in range(MAX_DOCUMENTS):
                if document is None:
                    document = await self._fetch(leg, run, script_url, method)
                step = None if halt.is_set() else await self.perform(leg, documents.read(leg.provider, document))
                if step is None:
                    if not halt.is_set():
                        self.end(leg, Cause.NORMAL, "carrier")
                    return
                document, script_url, method = None, step.url, step.method
            raise answers.DocumentRefused("redirects", "they redirect without end")  # noqa: TRY301 - one way out
        except answers.DocumentRefused as refused:
            if not halt.is_set():
                run.fault = refused.code
                self._note(leg, "document", problem=refused.reason, code=refused.code)
                self.end(leg, Cause.FAILED, "carrier")

    async def _fetch(self, leg: Leg, run: Run, url: str, method: str) -> str:
        fields = notices(leg.provider).document_fields(self, leg)
        script = run.order.script
        try:
            return await self.messenger.fetch(leg, url, method, fields)
        except FetchFailed as failed:
            if isinstance(script, Script) and script.fallback_url and url == script.url:
                try:
                    return await self.messenger.fetch(leg, script.fallback_url, script.fallback_method, fields)
                except FetchFailed:
                    pass
            code = "7011" if leg.provider is Provider.PLIVO else "11200"
            raise answers.DocumentRefused(code, f"no document could be had: {failed}") from failed

    async def perform(self, leg: Leg, answer: answers.Answer) -> answers.Redirect | None:
        """Do what a document says until it redirects, ends, another takes over, or the call ends."""
        self._note(leg, "document", verbs=list(answer.verbs), warnings=list(answer.warnings))
        halt = self.runs[leg.id].halt
        for step in answer.steps:
            if halt.is_set():
                break
            match step:
                case answers.Redirect():
                    return step
                case answers.HangUp(reason):
                    # Both words are for a call that nobody has answered yet; later they are a plain goodbye.
                    turned_away = leg.direction == "inbound" and leg.answered_at is None and reason
                    cause = {"busy": Cause.BUSY, "rejected": Cause.REJECTED}[reason] if turned_away else Cause.NORMAL
                    self.runs[leg.id].fault = "hangup"
                    self.end(leg, cause, "carrier")
                case answers.Pause(seconds):
                    await self._over_within(leg, seconds, halt)
                case answers.Dial():
                    await self.forward(leg, step)
                case answers.Stream(holds=True):
                    await self.stream(leg, step)
                case answers.Stream():
                    self.world.spawn(self.stream(leg, step), f"stream beside {leg.id}")
        return None

    async def forward(self, leg: Leg, dial: answers.Dial) -> None:
        """Ring another number and keep the two together until one of them is over."""
        order = replace(
            self.runs[leg.id].order,
            to=dial.number,
            from_=dial.caller_id or leg.to,
            ring_timeout_s=dial.timeout_s,
            script=None,
            detection=None,
            ids=child_ids(leg.id, leg.ids),
            options=NOTHING,
            patience_s=GOODBYE_S,
        )
        child = self.place(order)
        waiting = [self.world.spawn(end.wait(), "forwarded leg") for end in (self.runs[leg.id].halt, child.over)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            self.end(child, Cause.NORMAL, "caller")

    def _stream_id(self, leg: Leg) -> str:
        bits = self.world.chance.getrandbits(128)
        return f"MZ{bits:032x}" if leg.provider is Provider.TWILIO else str(uuid.UUID(int=bits))

    async def stream(self, leg: Leg, step: answers.Stream) -> StreamEnd:
        """Run one media stream of a leg to its end, telling the user as the carrier does."""
        run = self.runs[leg.id]
        stream_id = step.spec.stream_id or self._stream_id(leg)
        details = {"stream": step, "stream_id": stream_id}
        if not is_loopback(step.spec.url):
            ended = StreamEnd("refused", "the sandbox contacts this machine only")
        else:
            spec = replace(
                step.spec,
                stream_id=stream_id,
                halt=run.halt if step.holds else leg.over,
                headers={
                    **handshake_headers(leg.provider, step.spec.url, self.messenger.keys),
                    **step.spec.headers,
                },
                opened=lambda: self._tell(leg, "stream_started", **details),
            )
            ended = await self.player(self.world, leg, spec)
        if ended.how == "refused":
            run.fault = run.fault or "31920" * (leg.provider is Provider.TWILIO)
        self._tell(leg, "stream_failed" if ended.how == "refused" else "stream_stopped", **details)
        return ended
