"""The carrier's side of a media stream: the person's voice to the agent, the agent's voice to the person.

https://www.twilio.com/docs/voice/media-streams/websocket-messages ·
https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming ·
https://www.plivo.com/docs/voice/audio-streaming
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from uvcall.core import audio
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.core.wire import Wire, wire
from uvcall.core.wire.events import (
    Audio,
    Clear,
    Cleared,
    Connected,
    Digit,
    Mark,
    Media,
    SendDigits,
    Side,
    Started,
    Stopped,
    StreamError,
    WireError,
)
from uvcall.sandbox.callee import Person, pick_up
from uvcall.sandbox.faults import DROP_S, strike
from uvcall.sandbox.handshake import MANNERS, Manners, shake_hands, unless_over
from uvcall.sandbox.playout import Playout
from uvcall.sandbox.punctuality import Punctuality, punctuality
from uvcall.sandbox.recording import Recording, Sayings, sayings, tapes
from uvcall.sandbox.scenarios import scenario_for
from uvcall.sandbox.ticker import ticker
from uvcall.sandbox.websocket import Channel
from uvcall.sandbox.world import Leg, StreamEnd, StreamSpec, World


class Carry(Protocol):
    """Carries a stream whose fate is decided: `drops` says whether it breaks off after a while."""

    def __call__(self, world: World, leg: Leg, spec: StreamSpec, *, drops: bool) -> Awaitable[StreamEnd]:
        """Open the stream and carry it to its end; cancelling that closes the socket."""


async def carry(world: World, leg: Leg, spec: StreamSpec, *, drops: bool) -> StreamEnd:
    """Open the stream and carry it to its end, in this process."""
    manners = MANNERS[leg.provider]
    channel = await unless_over(spec.halt or leg.over, shake_hands(spec, manners))
    if channel is None:
        return StreamEnd("leg")
    if isinstance(channel, StreamEnd):
        world.history.record(leg.provider.value, "media.refused", carrier_call_id=leg.id, detail=channel.detail)
        return channel
    line = _Line(world, leg, spec, manners, wire(leg.provider), channel, drops=drops)
    try:
        return await line.live()
    finally:
        line.note_stop()


async def stream(world: World, leg: Leg, spec: StreamSpec, by: Carry = carry) -> StreamEnd:
    """Open the stream and carry it to its end. Cancelling it closes the socket.

    Returns:
        How it ended; the leg itself goes on unless it is what ended.
    """
    if strike(world, leg.provider.value, "join", carrier_call_id=leg.id):
        world.history.record(leg.provider.value, "media.refused", carrier_call_id=leg.id, detail="no connection")
        return StreamEnd("refused", "no connection")
    drops = bool(strike(world, leg.provider.value, "stream", carrier_call_id=leg.id))
    return await by(world, leg, spec, drops=drops)


@dataclass(slots=True)
class _Line:
    """One open stream."""

    world: World
    leg: Leg
    spec: StreamSpec
    manners: Manners
    wire: Wire
    channel: Channel
    drops: bool = False
    stream_id: str = ""
    sequence: int = 0
    chunk: int = 0
    played: int = 0  #: frames of the agent that the person has heard
    received: int = 0  #: messages with audio from the agent
    last_audio: float = -10.0  #: world time of the agent's last audio message
    began: float = 0.0  #: seconds since the epoch
    playout: Playout = field(init=False)
    person: Person = field(init=False)
    tape: Recording = field(init=False)
    known: Sayings = field(init=False)
    size: int = field(init=False)  #: bytes of a frame of PCM
    clock: Callable[[], float] = field(init=False)
    ended: asyncio.Future[StreamEnd] = field(init=False)
    worst_s: float = 0.0  #: the latest frame so far, in seconds of the real clock
    how: str = "cancelled"
    counts: Punctuality = field(init=False)
    flows: bool = False  #: the agent is in the middle of a line

    def __post_init__(self) -> None:
        spec, world = self.spec, self.world
        self.playout = Playout(spec.sample_rate)
        scenario = scenario_for(self.leg.scenario, self.leg.to)
        self.person = pick_up(scenario, spec.sample_rate, world.options.callee_audio, world.options.digits)
        self.tape = tapes(world).start(self.leg.id, spec.sample_rate)
        self.known = sayings(world)
        self.size = int(spec.sample_rate * audio.FRAME_S) * 2
        self.clock = asyncio.get_running_loop().time
        self.ended = asyncio.get_running_loop().create_future()
        self.counts = punctuality(world)
        bits = f"{world.chance.getrandbits(128):032x}"
        prefix = self.manners.stream_prefix
        self.stream_id = spec.stream_id or (prefix + bits if prefix else str(uuid.UUID(hex=bits)))

    async def live(self) -> StreamEnd:
        """Run both directions until the agent, the leg or the network ends them."""
        spec = self.spec
        self.began = self.world.pace.now().timestamp()
        self._note("media.started", encoding=spec.encoding, sample_rate=spec.sample_rate, tracks=list(spec.tracks),
                   bidirectional=spec.bidirectional)  # fmt: skip
        if spec.opened:
            spec.opened()
        over = asyncio.ensure_future((spec.halt or self.leg.over).wait())
        if self.drops:
            asyncio.get_running_loop().call_later(DROP_S / self.world.pace.speed, self.channel.break_off)
        rest = self._begin()
        try:
            both: set[asyncio.Future[Any]] = {self.ended, over}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            rest()
            end = StreamEnd("leg")
            if self.ended.done():
                end = self.ended.result()
            elif self.manners.greets:
                self._send(Stopped(self.leg.id, self.manners.account_id, self.stream_id, self._next()))
            self.how = end.how
            return end
        finally:
            rest()
            over.cancel()
            self.ended.cancel()
            await self.channel.close()

    def _begin(self) -> Callable[[], None]:
        """Say how the stream begins; take part in every beat from now on, until what is returned is called."""
        try:
            if self.manners.greets:
                self._send(Connected())
            self._send(self._started())
        except WireError as error:
            self._end(StreamEnd("broken", str(error)[:200]))
            return lambda: None
        self.channel.listen(self)
        return ticker(self.world).add(self._turn)

    def _end(self, end: StreamEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(end)

    def note_stop(self) -> None:
        """Write down how much was said, both ways."""
        self._note("media.stopped", how=self.how, encoding=self.spec.encoding, sample_rate=self.spec.sample_rate,
                   frames_sent=self.chunk, frames_played=self.played, messages_received=self.received,
                   worst_lateness_ms=round(self.worst_s * 1000, 1))  # fmt: skip

    def _turn(self, due: float) -> None:
        """Live through the next 20 ms, or end the stream over what goes wrong in them."""
        if self.leg.over.is_set() or self.ended.done():
            return
        try:
            self._speak()
        except Exception as error:  # noqa: BLE001  # it is raised again where the stream is waited for
            self.ended.set_exception(error)
            return
        late = self.clock() - due
        self.worst_s = max(self.worst_s, late)
        self.counts.sent.add(late)

    def _speak(self) -> None:
        """Send one frame of the person's side; and play the agent's side meanwhile."""
        spec = self.spec
        self.played += self.playout.seconds > 0
        heard, reached = self.playout.take(self.size)
        person = self.person
        said = person.say(heard)
        self.tape.add(said, heard)
        if person.sentence:
            self.known.begin(spec.url, person.sentence)
        stamp = int(self.world.pace.now().timestamp() * 1000) if self.manners.epoch else self.chunk * 20
        self.chunk += 1
        for track in spec.tracks:
            outbound = track == "outbound"
            self._send(
                Audio(
                    audio.encode(spec.encoding, heard if outbound else said),
                    self.stream_id,
                    "outbound" if outbound else "inbound",
                    self._next(),
                    self.chunk,
                    stamp,
                )
            )
        for name in reached:
            self._send(Mark(name, self.stream_id, self._next()))
        if person.key:
            self._send(Digit(person.key, self.stream_id, self._next(), self._moment()))
        if person.hung_up and self.world.hang_up is not None:
            self.world.hang_up(self.leg, Cause.NORMAL, "callee")

    def take(self, message: str | bytes) -> None:
        """Take what the agent sends."""
        if self.ended.done():
            return
        text = message if isinstance(message, str) else None
        try:
            event = self._decode(text)
        except WireError as error:
            code = self._object(text, str(error))
            if code:
                self._end(StreamEnd("broken", code))
            return
        self._heed(event)

    def over(self, code: int | None) -> None:
        """Learn that the agent's side has ended."""
        lost = StreamEnd("broken", "the socket was lost")
        self._end(lost if code is None else StreamEnd("agent", f"close code {code}"))

    def _decode(self, text: str | None) -> Media:
        if text is None:
            raise WireError("the message is binary")
        event = self.wire.decode(Side.AGENT, text)
        # Only Twilio wants its stream named in what it is sent, and then it must be this one.
        if self.manners.closes_on_nonsense and getattr(event, "stream_id", "") not in {"", self.stream_id}:
            raise WireError("the message names another stream")
        return event

    def _heed(self, event: Media) -> None:
        if isinstance(event, Audio):
            self._queue(event)
            self.flows = True
        elif isinstance(event, Mark):
            self.flows = False
            if self.playout.mark(event.name):
                self._send(Mark(event.name, self.stream_id, self._next()))
        elif isinstance(event, Clear):
            self.flows = False
            names = self.playout.clear()
            if self.manners.clears_marks:
                self._send(Cleared(self.stream_id, self._next()))
            else:
                for name in names:
                    self._send(Mark(name, self.stream_id, self._next()))
        elif isinstance(event, SendDigits):
            self._note("media.digits", digits=event.digits[:64])

    def _queue(self, event: Audio) -> None:
        self.received += 1
        if not self.spec.bidirectional:
            # Telnyx takes one file a second here; other one-way streams take nothing and say nothing.
            now = self.world.pace.elapsed()
            if self.leg.provider is Provider.TELNYX and now - self.last_audio < 1.0:
                self._refuse(100005, "rate_limit_reached", "more than one media file in a second")
            self.last_audio = now
            return
        spec = self.spec
        encoding = event.encoding or spec.agent_encoding or spec.encoding
        rate = event.sample_rate or spec.agent_sample_rate or spec.sample_rate
        samples = audio.decode(encoding, event.payload)
        if self.playout.seconds + len(samples) / 2 / rate > self.manners.buffer_s:
            self._note("media.overflow", buffered_s=round(self.playout.seconds, 2))
            return
        if self.flows and not self.playout.seconds:
            self.counts.starved += 1
        self.playout.add(samples, rate)

    def _object(self, text: str | None, reason: str) -> str:
        """Answer a message that the protocol does not allow; return a code when that ends the stream."""
        self._note("media.invalid", reason=reason[:200])
        if self.leg.provider is Provider.TELNYX:
            if _is_media(text):
                self._refuse(100004, "invalid_media", reason)
            else:
                self._refuse(100003, "malformed_frame", reason)
        return self.manners.closes_on_nonsense

    def _refuse(self, code: int, title: str, detail: str) -> None:
        self._send(StreamError(code, title, detail[:200], self.stream_id))

    def _started(self) -> Started:
        leg, spec = self.leg, self.spec
        return Started(
            stream_id=self.stream_id,
            call_id=leg.id,
            encoding=spec.encoding,
            sample_rate=spec.sample_rate,
            account_id=self.manners.account_id,
            tracks=spec.tracks,
            parameters=dict(spec.parameters),
            sequence=self._next(),
            session_id=leg.ids.get("call_session_id", ""),
            from_=leg.from_,
            to=leg.to,
            client_state=str(leg.options.get("client_state") or ""),
        )

    def _send(self, event: Media) -> None:
        self.channel.send(self.wire.encode(Side.CARRIER, event))

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    def _moment(self) -> str:
        now = self.world.pace.now()
        return str(int(now.timestamp() * 1000)) if self.manners.epoch else now.isoformat().replace("+00:00", "Z")

    def _note(self, kind: str, **details: Any) -> None:
        self.world.history.record(self.leg.provider.value, kind, carrier_call_id=self.leg.id, **details)


def _is_media(text: str | None) -> bool:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("event") == "media" and "media" in message
