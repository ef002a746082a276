"""The carrier's side of a media stream: the person's voice to the agent, the agent's voice to the person.

https://www.twilio.com/docs/voice/media-streams/websocket-messages ·
https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming ·
https://www.plivo.com/docs/voice/audio-streaming
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import aiohttp

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
from uvcall.sandbox.handshake import MANNERS, Manners, new_session, shake_hands
from uvcall.sandbox.playout import Beat, Playout
from uvcall.sandbox.recording import Recording, sayings, tapes
from uvcall.sandbox.scenarios import scenario_for
from uvcall.sandbox.world import Leg, StreamEnd, StreamSpec, World

_CLOSE_S: Final = 2.0
_LOST: Final = frozenset({aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR})


_Result = TypeVar("_Result")


async def stream(world: World, leg: Leg, spec: StreamSpec) -> StreamEnd:
    """Open the stream and carry it to its end. Cancelling it closes the socket.

    Returns:
        How it ended; the leg itself goes on unless it is what ended.
    """
    manners = MANNERS[leg.provider]
    async with new_session() as session:
        if strike(world, leg.provider.value, "join", carrier_call_id=leg.id):
            world.history.record(leg.provider.value, "media.refused", carrier_call_id=leg.id, detail="no connection")
            return StreamEnd("refused", "no connection")
        socket = await _unless_over(leg, shake_hands(session, spec, manners))
        if socket is None:
            return StreamEnd("leg")
        if isinstance(socket, StreamEnd):
            world.history.record(leg.provider.value, "media.refused", carrier_call_id=leg.id, detail=socket.detail)
            return socket
        line = _Line(world, leg, spec, manners, wire(leg.provider), socket)
        try:
            return await line.live()
        finally:
            line.note_stop()


async def _unless_over(leg: Leg, work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Return the work's result, or None when the leg ended first."""
    task = asyncio.ensure_future(work)
    over = asyncio.ensure_future(leg.over.wait())
    try:
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        over.cancel()


@dataclass(slots=True)
class _Line:
    """One open stream."""

    world: World
    leg: Leg
    spec: StreamSpec
    manners: Manners
    wire: Wire
    socket: aiohttp.ClientWebSocketResponse
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
    beat: Beat = field(init=False)
    how: str = "cancelled"

    def __post_init__(self) -> None:
        spec, world = self.spec, self.world
        self.playout = Playout(spec.sample_rate)
        scenario = scenario_for(self.leg.scenario, self.leg.to)
        self.person = pick_up(scenario, spec.sample_rate, world.options.callee_audio, world.options.digits)
        self.tape = tapes(world).start(self.leg.id, spec.sample_rate)
        self.beat = Beat(world.pace.speed)
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
        hears = asyncio.create_task(self._hear(), name=f"hear {self.leg.id}")
        speaks = asyncio.create_task(self._speak(), name=f"speak {self.leg.id}")
        over = asyncio.create_task(self.leg.over.wait(), name=f"over {self.leg.id}")
        if strike(self.world, self.leg.provider.value, "stream", carrier_call_id=self.leg.id):
            asyncio.get_running_loop().call_later(DROP_S / self.world.pace.speed, self._break_off)
        try:
            await asyncio.wait({hears, speaks, over}, return_when=asyncio.FIRST_COMPLETED)
            if not over.done() and not hears.done():
                # Sending failed: what the agent's side said about it, if anything, stands in the last messages.
                await asyncio.wait({hears}, timeout=_CLOSE_S)
            if hears.done():
                end = hears.result()
            elif over.done():
                end = StreamEnd("leg")
                await self._say_goodbye()
            else:
                end = StreamEnd("broken", "sending failed")
            self.how = end.how
            return end
        finally:
            for task in (hears, speaks, over):
                task.cancel()
            await asyncio.gather(hears, speaks, over, return_exceptions=True)
            await self.socket.close()

    def _break_off(self) -> None:
        """Let the connection just break: no close frame, nothing."""
        plug = self.socket.get_extra_info("socket")
        if plug is not None and not self.socket.closed:
            plug.shutdown(socket.SHUT_RDWR)

    def note_stop(self) -> None:
        """Write down how much was said, both ways."""
        self._note("media.stopped", how=self.how, encoding=self.spec.encoding, sample_rate=self.spec.sample_rate,
                   frames_sent=self.chunk, frames_played=self.played, messages_received=self.received,
                   worst_lateness_ms=round(self.beat.worst_s * 1000, 1))  # fmt: skip

    async def _speak(self) -> None:
        """Send the person's side, one frame for each 20 ms; and play the agent's side meanwhile."""
        spec, leg, pace = self.spec, self.leg, self.world.pace
        if self.manners.greets:
            await self._send(Connected())
        await self._send(self._started())
        size = int(spec.sample_rate * audio.FRAME_S) * 2
        known = sayings(self.world)
        while not leg.over.is_set():
            await self.beat.wait()
            busy = self.playout.seconds > 0
            heard, reached = self.playout.take(size)
            self.played += busy
            said = self.person.say(heard)
            self.tape.add(said, heard)
            if self.person.sentence:
                known.begin(spec.url, self.person.sentence)
            stamp = int(pace.now().timestamp() * 1000) if self.manners.epoch else self.chunk * 20
            self.chunk += 1
            sides = {"inbound": said, "outbound": heard}
            for track in spec.tracks:
                await self._send(
                    Audio(
                        audio.encode(spec.encoding, sides[track]),
                        stream_id=self.stream_id,
                        track="outbound" if track == "outbound" else "inbound",
                        sequence=self._next(),
                        chunk=self.chunk,
                        timestamp_ms=stamp,
                    )
                )
            for name in reached:
                await self._send(Mark(name, self.stream_id, self._next()))
            if self.person.key:
                await self._send(Digit(self.person.key, self.stream_id, self._next(), self._moment()))
            if self.person.hung_up and self.world.hang_up is not None:
                self.world.hang_up(leg, Cause.NORMAL, "callee")

    async def _hear(self) -> StreamEnd:
        """Take what the agent sends until its side ends."""
        while True:
            message = await self.socket.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return StreamEnd("agent", f"close code {message.data}")
            if message.type in _LOST:
                return StreamEnd("broken", "the socket was lost")
            text = message.data if message.type is aiohttp.WSMsgType.TEXT else None
            try:
                event = self._decode(text)
            except WireError as error:
                code = await self._object(text, str(error))
                if code:
                    return StreamEnd("broken", code)
                continue
            await self._take(event)

    def _decode(self, text: str | None) -> Media:
        if text is None:
            raise WireError("the message is binary")
        event = self.wire.decode(Side.AGENT, text)
        # Only Twilio wants its stream named in what it is sent, and then it must be this one.
        if self.manners.closes_on_nonsense and getattr(event, "stream_id", "") not in {"", self.stream_id}:
            raise WireError("the message names another stream")
        return event

    async def _take(self, event: Media) -> None:
        if isinstance(event, Audio):
            await self._queue(event)
        elif isinstance(event, Mark):
            if self.playout.mark(event.name):
                await self._send(Mark(event.name, self.stream_id, self._next()))
        elif isinstance(event, Clear):
            names = self.playout.clear()
            if self.manners.clears_marks:
                await self._send(Cleared(self.stream_id, self._next()))
            else:
                for name in names:
                    await self._send(Mark(name, self.stream_id, self._next()))
        elif isinstance(event, SendDigits):
            self._note("media.digits", digits=event.digits[:64])

    async def _queue(self, event: Audio) -> None:
        self.received += 1
        if not self.spec.bidirectional:
            # Telnyx takes one file a second here; other one-way streams take nothing and say nothing.
            now = self.world.pace.elapsed()
            if self.leg.provider is Provider.TELNYX and now - self.last_audio < 1.0:
                await self._refuse(100005, "rate_limit_reached", "more than one media file in a second")
            self.last_audio = now
            return
        spec = self.spec
        encoding = event.encoding or spec.agent_encoding or spec.encoding
        rate = event.sample_rate or spec.agent_sample_rate or spec.sample_rate
        samples = audio.decode(encoding, event.payload)
        if self.playout.seconds + len(samples) / 2 / rate > self.manners.buffer_s:
            self._note("media.overflow", buffered_s=round(self.playout.seconds, 2))
            return
        self.playout.add(samples, rate)

    async def _object(self, text: str | None, reason: str) -> str:
        """Answer a message that the protocol does not allow; return a code when that ends the stream."""
        self._note("media.invalid", reason=reason[:200])
        if self.leg.provider is Provider.TELNYX:
            if _is_media(text):
                await self._refuse(100004, "invalid_media", reason)
            else:
                await self._refuse(100003, "malformed_frame", reason)
        return self.manners.closes_on_nonsense

    async def _refuse(self, code: int, title: str, detail: str) -> None:
        await self._send(StreamError(code, title, detail[:200], self.stream_id))

    async def _say_goodbye(self) -> None:
        if not self.manners.greets or self.socket.closed:
            return
        stop = Stopped(self.leg.id, self.manners.account_id, self.stream_id, self._next())
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._send(stop)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return  # the agent's side is gone already: there is nobody to tell

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

    async def _send(self, event: Media) -> None:
        await self.socket.send_str(self.wire.encode(Side.CARRIER, event))

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
