"""One conversation in one event loop: what comes is taken, what is due is sent, and it is noticed when it is over.

One clock counts from the beginning, and what it owes is caught up with: one second of sound goes out for each second of
life, however busy the machine is. https://docs.ultravox.ai/apps/websockets
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.core.audio import FRAME_S, level
from uvcall.core.talked import Parting
from uvcall.errors import ProviderRefused, UvcallError
from uvcall.softphone import session as s
from uvcall.softphone.devices import Sink, Source
from uvcall.softphone.manner import Joined, Levels, Manner, News
from uvcall.softphone.playback import PlaybackBuffer, piece_bytes
from uvcall.softphone.state import Phase
from uvcall.softphone.tape import Tape
from uvcall.softphone.tools import run_tool
from uvcall.softphone.transport import AudioIn, DataIn, Ended, Transport

#: The sink is served twice for each frame of the source: what the agent says waits 10 ms at most for its turn.
_TICK_S: Final = FRAME_S / 2
#: A machine that stood still so long (a lid was closed) does not send all of it afterwards.
_STOOD_STILL_S: Final = 1.0
#: Beyond the length of what waits, so much time is given to play it when the call is over: machines stand still.
_PLAY_OUT_S: Final = 5.0
_PING_S: Final = 5.0
_LEVELS_EVERY: Final = 5  #: frames
#: Arrivals that are taken in a row before others have their turn: some peers send half a minute at once.
_IN_A_ROW: Final = 16
#: Loudness from which on somebody speaks; the root mean square of 16-bit samples.
_AUDIBLE: Final = 200
#: With half duplex, the microphone stays shut so long after the agent's last sound: rooms ring on.
_ECHO_S: Final = 0.25
#: Beyond the agreed buffer, so much of the agent's voice is kept.
_SPARE_S: Final = 30.0


@dataclass(slots=True)
class Conversation:
    """What is known of it, and everything that moves it. Made and used in one event loop.

    Attributes:
        transport: The way to the agent.
        source: Where the person's voice comes from.
        sink: Where the agent's goes.
        manner: How it is held.
        tell: Is told what happens.
        tape: Records both sides.
        open: The person is heard.
    """

    transport: Transport
    source: Source
    sink: Sink
    manner: Manner
    tell: Callable[[News], None]
    tape: Tape | None
    open: bool
    session: s.Session = field(init=False)
    parting: Parting | None = None
    words: str = ""
    error: UvcallError | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)  #: set when this side has hung up
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _buffer: PlaybackBuffer = field(init=False)
    _outbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _tools: set[asyncio.Task[None]] = field(default_factory=set)
    _typed: list[str] = field(default_factory=list)  #: before the line stood
    _agent_level: int = 0
    _sounded_at: float = float("-inf")  #: when the agent was last heard
    _stirred_at: float = float("-inf")  #: when either side last did anything
    _input_ended: bool = False
    _dropping: bool = False

    def __post_init__(self) -> None:
        self.session = s.Session(tools=frozenset(self.manner.tools))
        self._buffer = PlaybackBuffer(self.manner.output_rate, self.manner.buffer_s + _SPARE_S)

    # -- what the person does -----------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Say something in writing; what is typed before the line stands is said then."""
        if self.session.phase in {Phase.OPEN, Phase.TALKING}:
            self.session.say(text)
            self._stirred_at = self._loop.time()
            self._do()
        elif self.session.phase in {Phase.IDLE, Phase.CONNECTING}:
            self._typed.append(text)

    def end_input(self) -> None:
        """Note that nothing more will be said from here."""
        if not self._input_ended:
            self._input_ended = True
            self._stirred_at = max(self._stirred_at, self._loop.time())

    def leave(self, parting: Parting = Parting.USER) -> None:
        """Hang up, once."""
        if self.left.is_set() or self.session.phase is Phase.OVER:
            return
        self.parting = self.parting or parting
        self.session.hang_up()
        self._do()
        self.left.set()

    # -- from its beginning to its end --------------------------------------------------------------------------------

    async def reach(self) -> bool:
        """Connect; False when somebody hung up before that was done.

        Raises:
            UvcallError: The agent's side cannot be reached.
        """
        if self.left.is_set():
            return False
        self.session.dial()
        doing = asyncio.ensure_future(self.transport.connect())
        leaving = asyncio.ensure_future(self.left.wait())
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if self.left.is_set():
            await _ended({doing, leaving})
            return False
        await _ended({leaving})
        await doing
        self.session.opened(self._loop.time())
        self.tell(Joined())
        return True

    async def hold(self) -> None:
        """Hold it until it is over.

        Raises:
            LocalError: A device is gone.
        """
        if self.manner.writes:
            self.session.set_output("text")
            self._do()
        typed, self._typed = self._typed, []
        for text in typed:
            self.write(text)
        arrivals, clock, *beside = tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("arrivals", self._take()),
                ("clock", self._beat()),
                ("outbox", self._post()),
                ("watch", self._watch()),
            )
        ]
        left = asyncio.create_task(self.left.wait(), name="left")
        try:
            await asyncio.wait({arrivals, clock, *beside, left}, return_when=asyncio.FIRST_COMPLETED)
            if self.left.is_set():
                await asyncio.wait({arrivals, clock}, timeout=self.manner.leave_s, return_when=asyncio.FIRST_COMPLETED)
            elif self.parting is Parting.AGENT:
                await self._play_out(clock, left)
        finally:
            await _ended({*tasks, *self._tools, left})
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _play_out(self, clock: asyncio.Task[None], left: asyncio.Task[Any]) -> None:
        """Let the agent's last words be heard: they came ahead of their time, and the socket may close before it."""
        due = self._loop.time() + self._buffer.waiting_s + _PLAY_OUT_S
        while self._buffer.waiting_s > 0 and self._loop.time() < due and not clock.done() and not left.done():
            await asyncio.wait({clock, left}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)

    # -- what runs side by side ---------------------------------------------------------------------------------------

    async def _take(self) -> None:
        """Take what comes until it ends."""
        taken = 0
        async for arrival in self.transport.arrivals():
            if isinstance(arrival, AudioIn):
                self.session.heard_audio(arrival.samples)
            elif isinstance(arrival, DataIn):
                self.session.heard_data(arrival.text, self._loop.time())
            else:
                self._closed(arrival)
                return
            self._do()
            taken += 1
            if taken % _IN_A_ROW == 0:
                await asyncio.sleep(0)

    async def _beat(self) -> None:
        """Serve the sink every 10 ms and the source every 20, by one clock that never drifts."""
        out_bytes, in_bytes = piece_bytes(self.manner.output_rate, _TICK_S), piece_bytes(self.manner.rate)
        start, ticks = self._loop.time(), 0
        while True:
            ticks += 1
            late = self._loop.time() - (start + ticks * _TICK_S)
            if late > _STOOD_STILL_S:
                self.tell(s.Note(f"this machine stood still for {late:.1f} s"))
                start, ticks = self._loop.time(), 1
            await asyncio.sleep(max(0.0, -late))
            self.sink.tick(out_bytes)
            if ticks % 2 == 0:
                await self._send_frame(in_bytes, ticks // 2)

    async def _send_frame(self, size: int, number: int) -> None:
        piece = None if self._input_ended else self.source.read(size)
        if piece is None:
            self.end_input()
        heard = piece is not None and self.open and not self._agent_is_near()
        frame = piece if heard and piece is not None else bytes(size)
        await self.transport.send_audio(frame)
        if self.tape is not None:
            try:
                self.tape.sent(frame)
            except OSError as error:
                self.tape = None
                self.tell(s.Note(f"the recording ends here: {error.strerror or error}"))
        if number % _LEVELS_EVERY == 0:
            self.tell(Levels(level(frame), self._agent_level, self.open))

    async def _post(self) -> None:
        """Send data messages in their order."""
        while True:
            await self.transport.send_data(await self._outbox.get())

    async def _watch(self) -> None:
        """Ask for signs of life, and notice when there is nothing more to wait for."""
        opened, pinged = self._loop.time(), self._loop.time()
        while True:
            await asyncio.sleep(0.1)
            now = self._loop.time()
            if now - pinged >= _PING_S:
                pinged = now
                self.session.ping(now)
                self._do()
            if self.session.phase is Phase.OPEN and now - opened > self.manner.silent_s:
                self.words = f"nothing came within {self.manner.silent_s:g} s"
                self.leave(Parting.SILENT)
            linger = self.manner.linger_s
            if self._input_ended and linger is not None and not self._busy() and now - self._stirred_at > linger:
                self.leave()

    # -- steps --------------------------------------------------------------------------------------------------------

    def _do(self) -> None:
        """Carry out what the session asks for."""
        out, self.session.out = self.session.out, []
        for effect in out:
            if isinstance(effect, s.Send):
                self._outbox.put_nowait(effect.text)
            elif isinstance(effect, s.Play):
                if not self._buffer.add(effect.samples) and not self._dropping:
                    self._dropping = True
                    self.tell(s.Note("more of the agent's voice comes than can be kept; some of it is dropped"))
            elif isinstance(effect, s.DropPlayback):
                self._buffer.clear()
            elif isinstance(effect, s.RunTool):
                task = asyncio.create_task(self._run_tool(effect), name="tool")
                self._tools.add(task)
                task.add_done_callback(self._tools.discard)
            elif isinstance(effect, s.Give):
                self.error = effect.error
                self.leave()
            else:
                self._notice(effect)

    def _notice(self, effect: s.Spoken | s.AgentState | s.Started | s.RoundTrip | s.Note) -> None:
        if isinstance(effect, s.Spoken | s.AgentState):
            self._stirred_at = self._loop.time()
        self.tell(effect)

    async def _run_tool(self, effect: s.RunTool) -> None:
        tool = self.manner.tools[effect.invocation.tool_name]
        self.tell(s.Note(f"tool {tool.name} runs", detail=True))
        ran = await run_tool(tool, effect.invocation, self.manner.tool_limit_s)
        if ran.words:
            self.tell(s.Note(ran.words))
        self.session.tool_done(ran.result)
        self._stirred_at = self._loop.time()
        self._do()

    def pull(self, size: int) -> bytes:
        """Return what is to be played now; a sound card asks for it in a thread of its own."""
        samples = self._buffer.take(size)
        self._agent_level = level(samples)
        if self._agent_level > _AUDIBLE:
            self._sounded_at = self._stirred_at = self._loop.time()
        if self.tape is not None:
            self.tape.played(samples)
        return samples

    def _agent_is_near(self) -> bool:
        """Say whether the microphone would hear the agent, and is not to."""
        if not self.manner.half_duplex:
            return False
        return self._buffer.waiting_s > 0 or self._loop.time() - self._sounded_at < _ECHO_S

    def _busy(self) -> bool:
        """Say whether the agent is about to say something."""
        return bool(self._tools) or self._buffer.waiting_s > 0 or self.session.agent in {"thinking", "speaking"}

    def _closed(self, ended: Ended) -> None:
        """Note that the other side is gone."""
        if self.parting is not None:  # we have hung up, and that is the answer
            return
        self.words = ended.words
        self.parting = Parting.AGENT if ended.in_order else Parting.BROKEN
        if self.session.phase is Phase.OPEN:
            self.error = ProviderRefused(
                f"the call was over before it began: {ended.words}",
                hint="a join URL is used once and not kept for long: take a fresh one",
                peer="ultravox",
            )


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
