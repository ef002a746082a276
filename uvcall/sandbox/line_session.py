"""The agent on a phone line: the server's end of the carriers' media streams.

What Ultravox does there is not documented beyond "the carrier's own protocol".
https://docs.ultravox.ai/telephony/telephony-platforms
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from uvcall.core import audio
from uvcall.core.audio import FRAME_S
from uvcall.core.wire import Wire
from uvcall.core.wire.events import (
    Audio,
    Clear,
    Connected,
    Digit,
    Mark,
    Media,
    Side,
    Started,
    Stopped,
    WireError,
)
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.plans import plan
from uvcall.sandbox.punctuality import Arrivals, punctuality
from uvcall.sandbox.recording import Recording, sayings
from uvcall.sandbox.script import Action, AskMark, DropQueued, Leave, Speak
from uvcall.sandbox.session import alive
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.websocket import Channel
from uvcall.sandbox.world import World

#: Seconds of the real clock: a carrier says `start` at once; a line is silent if nothing came for a tenth of a second.
_START_S: Final = 5.0
_SILENT_LINE_S: Final = 0.1


@dataclass(slots=True)
class LineSession:
    """One socket that a carrier has joined."""

    world: World
    calls: Calls
    call: SandboxCall
    channel: Channel
    wire: Wire
    stream: Started | None = None
    talk: Conversation | None = None
    heard: int = 0  #: messages with audio, ever
    _silent: bool = False
    _early: list[Media] = field(default_factory=list)  #: what came on the heels of the start message
    _begun: asyncio.Future[Started | None] = field(init=False)
    _ended: asyncio.Future[str] = field(init=False)
    _arrivals: Arrivals = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun, self._ended = self._loop.create_future(), self._loop.create_future()
        self._arrivals = Arrivals(punctuality(self.world), FRAME_S / self.world.pace.speed)

    async def run(self) -> None:
        """Wait for the stream to start, talk until somebody ends it, and write down who did."""
        call = self.call
        self.channel.listen(self)
        try:
            async with asyncio.timeout(_START_S):
                started = await self._begun
        except (TimeoutError, WireError) as error:
            what = "no start message came" if isinstance(error, TimeoutError) else str(error)
            self.calls.note(call, "error", "media", what[:200])
            self.calls.join(call)
            self.calls.end(call, "connection_error")
            return
        if started is None:
            call.taken = False  # gone before it began: the URL may still be joined
            return
        talk = self.talk = Conversation(
            plan(call.settings, self.world.options),
            started.sample_rate,
            lambda: sayings(self.world).heard(call.join_url),
            call.transcript,
        )
        if call.settings["recordingEnabled"]:
            call.tape = Recording(started.sample_rate)
        with alive(self.world, self.calls, call, talk, self._flush_later, self.break_off):
            for event in self._early:
                self._heed(event)
            self._flush()
            self._loop.call_later(_SILENT_LINE_S, self._watch_silence, 0)
            reason = await self._ended
        self.calls.end(call, reason)

    def take(self, message: str | bytes) -> None:
        """Take a message of the carrier's."""
        if self._ended.done():
            return
        try:
            event = self._decode(message)
            if self.stream is None:
                self._start(event)
            elif self.talk is None:
                self._early.append(event)
            else:
                self._heed(event)
        except WireError as error:
            if self.stream is None and not self._begun.done():
                self._begun.set_exception(error)
            elif self.stream is not None:
                self.calls.note(self.call, "warning", "media", str(error)[:200])

    def _decode(self, message: str | bytes) -> Media:
        if isinstance(message, bytes):
            raise WireError("the carrier sent a binary message")
        return self.wire.decode(Side.CARRIER, message)

    def over(self, code: int | None) -> None:
        """Learn that the carrier's side has ended."""
        if not self._begun.done():
            self._begun.set_result(None)
        self._end("connection_error" if code is None else "hangup")

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)

    def _start(self, event: Media) -> None:
        if isinstance(event, Started):
            self.stream = event
            if not self._begun.done():
                self._begun.set_result(event)
        elif not isinstance(event, Connected):
            raise WireError("the carrier sent something else before its start message")

    def _heed(self, event: Media) -> None:
        talk, stream = self.talk, self.stream
        if talk is None or stream is None:
            return
        if isinstance(event, Audio):
            if event.track != "inbound":
                return  # the agent's own voice, as Telnyx's both_tracks sends it back
            self.heard += 1
            self._arrivals.note(self._loop.time())
            samples = audio.decode(stream.encoding, event.payload)
            talk.hear(samples)
            if self.call.tape is not None:
                self.call.tape.add(samples, talk.sounding(len(samples) / 2 / stream.sample_rate))
        elif isinstance(event, Mark):
            talk.reached(event.name)
        elif isinstance(event, Digit):
            talk.press(event.digit)
        elif isinstance(event, Stopped):
            self._end("hangup")
        if talk.out:
            self._flush()

    def _flush(self) -> None:
        """Do what the conversation asks for, in order."""
        talk = self.talk
        if talk is None or self._ended.done():
            return
        actions, talk.out = talk.out, []
        for action in actions:
            if isinstance(action, Leave):
                self._leave(action)
                return
            self.channel.send(self.wire.encode(Side.AGENT, self._event(action)))

    async def _flush_later(self) -> None:
        self._flush()

    def _event(self, action: Action) -> Media:
        stream = self.stream
        if stream is None:
            raise RuntimeError("nothing can be said before the stream has started")
        if isinstance(action, Speak):
            return Audio(
                audio.encode(stream.encoding, action.samples),
                stream_id=stream.stream_id,
                encoding=stream.encoding,
                sample_rate=stream.sample_rate,
            )
        if isinstance(action, AskMark):
            return Mark(action.name, stream.stream_id)
        if isinstance(action, DropQueued):
            return Clear(stream.stream_id)
        raise TypeError(type(action).__name__)

    def _leave(self, action: Leave) -> None:
        self._end(action.reason)
        if action.abrupt:
            self.calls.note(self.call, "error", "agent", "the agent's side broke")
            self.break_off()

    def break_off(self) -> None:
        """Let the connection just break: no close frame, nothing."""
        self.channel.break_off()

    def _watch_silence(self, before: int) -> None:
        """Let the conversation's time pass while the carrier sends nothing at all; `before`: what it had sent."""
        talk = self.talk
        if talk is None or talk.over or self._ended.done():
            return
        if self.heard != before:
            self._silent = False
        else:
            if not self._silent:
                self.calls.note(self.call, "warning", "audio_underflow", "no audio comes from the carrier")
            self._silent = True
            talk.wait(_SILENT_LINE_S * self.world.pace.speed)
            self._flush()
        self._loop.call_later(_SILENT_LINE_S, self._watch_silence, self.heard)
