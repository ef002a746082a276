"""How the sandbox's WebRTC room stands up to LiveKit's own SDK: the room in one process, the callers in another.

    python tests/bench/room.py                    joins, ten at once, echo, load: about two minutes
    python tests/bench/room.py long               one call of five minutes: gaps, memory
    python tests/bench/room.py joins long=30      some of them, or a shorter one

It takes `pip install 'uvcall[webrtc,sandbox-webrtc]'`. The room echoes what it hears, and runs as `uvcall sandbox serve`
runs it. A gap is a stretch in which a steady tone cannot be heard: the stretches of silence are counted in the sound
itself, at both ends. The time between the arrivals of two pieces is told besides, with what can be its cause: how late
each process's event loop was, how long its collector took, and how long it waited for a core.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import resource
import struct
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

RATE, FRAME, STEP_S = 48_000, 960, 0.02
QUIET = 500
CLICK_LEVEL = 3000


@dataclass
class Watch:
    """How steadily a tone comes: silence in it, and the time between two pieces of it."""

    silent_s: float = 0.0
    worst_silence_s: float = 0.0
    worst_pause_s: float = 0.0
    seconds: float = 0.0
    last: float = 0.0
    begun: bool = False

    def hear(self, samples: bytes) -> None:
        now = time.monotonic()
        values = struct.unpack(f"<{len(samples) // 2}h", samples)
        loud = max(map(abs, values), default=0) >= QUIET
        self.begun = self.begun or loud
        if not self.begun:
            return
        length = len(values) / RATE
        self.seconds += length
        self.silent_s = 0.0 if loud else self.silent_s + length
        self.worst_silence_s = max(self.worst_silence_s, self.silent_s)
        if self.last:
            self.worst_pause_s = max(self.worst_pause_s, now - self.last)
        self.last = now

    def said(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 2),
            "worst_silence_ms": round(self.worst_silence_s * 1000),
            "worst_pause_ms": round(self.worst_pause_s * 1000),
        }


@dataclass
class Stalls:
    """What held this process up: the latest wake-up of its event loop, its longest collection, its wait for a core."""

    late_s: float = 0.0
    collected_s: float = 0.0
    _began: float = 0.0
    _waited_ns: int = 0

    def begin(self) -> asyncio.Task[None]:
        """Watch from now on, for as long as the task is kept."""
        self.late_s = self.collected_s = 0.0
        self._waited_ns = _waited_ns()
        if self._collected not in gc.callbacks:
            gc.callbacks.append(self._collected)
        return asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.late_s = max(self.late_s, time.monotonic() - before - 0.005)

    def _collected(self, phase: str, _: Any) -> None:
        now = time.monotonic()
        if phase == "start":
            self._began = now
        else:
            self.collected_s = max(self.collected_s, now - self._began)

    def said(self) -> dict[str, int]:
        return {
            "loop_late_ms": round(self.late_s * 1000),
            "longest_collection_ms": round(self.collected_s * 1000),
            "main_thread_waited_for_a_core_ms": (_waited_ns() - self._waited_ns) // 1_000_000,
        }


def _waited_ns() -> int:
    """Return how long the main thread has been ready to run and was not let."""
    return int(Path("/proc/self/schedstat").read_text().split()[1])


# -- the room's process -----------------------------------------------------------------------------------------------


async def serve() -> None:
    """Open a room for each line on stdin, and answer `stats` with what the process has used."""
    from support.stage import make_world, serving

    from uvcall.sandbox import room

    room.require()
    world = make_world()
    watches: dict[str, Watch] = {}
    stalls = Stalls()
    watching = stalls.begin()
    kept = room.rooms(world)

    def open_room(name: str) -> str:
        watches[name] = Watch()

        def hear(sound: bytes) -> None:
            watches[name].hear(sound)
            one.say(sound)

        def tell(data: bytes) -> None:
            one.tell(data)

        guest = room.Guest(lambda: None, hear, tell, lambda _: world.spawn(kept.shut(one), name))
        one = kept.open(name, guest)
        return one.token

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serving(room.routes(world)) as base:
        print(json.dumps({"url": base.replace("http", "ws", 1)}), flush=True)
        async for line in reader:
            word = line.decode().strip()
            if word == "begin":
                watching.cancel()
                watching = stalls.begin()
                for name in watches:
                    watches[name] = Watch()
                answer: dict[str, Any] = {}
            elif word == "stats":
                used = resource.getrusage(resource.RUSAGE_SELF)
                answer = {
                    "cpu_s": used.ru_utime + used.ru_stime,
                    "rss_mb": resident_mb(os.getpid()),
                    "open": len(kept.by_name),
                    "tasks": len(asyncio.all_tasks()),
                    "watches": {name: watch.said() for name, watch in watches.items()},
                    "stalls": stalls.said(),
                }
            else:
                answer = {"token": open_room(word)}
            print(json.dumps(answer), flush=True)


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class Server:
    """The room's process, seen from here."""

    process: asyncio.subprocess.Process
    url: str = ""
    names: int = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self.asking:
            self.process.stdin.write(f"{word}\n".encode())
            answer: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return answer

    async def open(self) -> str:
        self.names += 1
        return str((await self.ask(f"room{self.names}"))["token"])


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    one = Server(process, json.loads(await process.stdout.readline())["url"])
    try:
        yield one
    finally:
        process.kill()
        await process.wait()


# -- the callers ------------------------------------------------------------------------------------------------------


@dataclass
class Caller:
    """One participant. It says a tone, or silence with a click when told to."""

    room: Any
    connect_s: float = 0.0
    data_s: float = 0.0
    watch: Watch = field(default_factory=Watch)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    clicked: float = 0.0
    echoes: list[float] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Future[None]] = field(default_factory=list)
    click: bool = False

    async def hear(self, track: Any) -> None:
        from livekit import rtc

        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            self.heard.set()
            samples = bytes(event.frame.data)
            self.watch.hear(samples)
            if self.clicked and max(map(abs, struct.unpack(f"<{len(samples) // 2}h", samples))) > CLICK_LEVEL:
                self.echoes.append(time.monotonic() - self.clicked)
                self.clicked = 0.0

    async def speak(self, source: Any, *, tone: bool) -> None:
        from livekit import rtc

        step = 2 * math.pi * 440 / RATE
        # 440 Hz come round every 1,200 samples, which is five quarters of a frame: five frames are a whole number.
        frames = [
            struct.pack(f"<{FRAME}h", *(int(8000 * math.sin(step * n)) for n in range(at, at + FRAME)))
            for at in range(0, 5 * FRAME, FRAME)
        ]
        due, count = time.monotonic(), 0
        while True:
            samples = frames[count % 5] if tone or self.click else bytes(2 * FRAME)
            if self.click:
                self.clicked, self.click = time.monotonic(), False
            await source.capture_frame(rtc.AudioFrame(samples, RATE, 1, FRAME))
            count += 1
            due += STEP_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def join(there: Server, *, tone: bool) -> Caller:
    from livekit import rtc

    token = await there.open()
    caller = Caller(rtc.Room())
    room = caller.room
    room.on("track_subscribed", lambda track, *_: caller.tasks.append(asyncio.ensure_future(caller.hear(track))))
    room.on("data_received", lambda _: caller.answered.set())
    start = time.monotonic()
    await room.connect(there.url, token, rtc.RoomOptions(single_peer_connection=False))
    caller.connect_s = time.monotonic() - start
    source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
    options = rtc.TrackPublishOptions()
    options.source = rtc.TrackSource.SOURCE_MICROPHONE
    await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("mic", source), options)
    caller.tasks.append(asyncio.ensure_future(caller.speak(source, tone=tone)))
    await room.local_participant.publish_data(b"hello")
    await caller.answered.wait()
    caller.data_s = time.monotonic() - start
    await caller.heard.wait()
    return caller


async def leave(caller: Caller) -> None:
    for task in caller.tasks:
        task.cancel()
    await caller.room.disconnect()


def spread(seconds: list[float]) -> str:
    return (
        f"{min(seconds) * 1000:.0f} / {median(seconds) * 1000:.0f} / {max(seconds) * 1000:.0f} ms (least, median, most)"
    )


async def joins() -> None:
    """Thirty calls in a row."""
    async with server() as there:
        times, data = [], []
        for _ in range(30):
            caller = await join(there, tone=True)
            times.append(caller.connect_s)
            data.append(caller.data_s)
            await leave(caller)
        print(f"30 calls in a row: joined after {spread(times)}; first data message back after {spread(data)}")
        await asyncio.sleep(0.5)
        after = await there.ask("stats")
        print(f"  afterwards: {after['open']} rooms open, {after['tasks']} tasks, {after['rss_mb']:.0f} MB")


async def crowd() -> None:
    """Ten callers at once."""
    async with server() as there:
        callers = await asyncio.gather(*(join(there, tone=True) for _ in range(10)))
        times, data = [one.connect_s for one in callers], [one.data_s for one in callers]
        print(f"10 calls at once: joined after {spread(times)}; first data message back after {spread(data)}")
        before = await there.ask("stats")
        await asyncio.sleep(15)
        after = await there.ask("stats")
        print(f"  the room's process: {(after['cpu_s'] - before['cpu_s']) / 15 / 10:.1%} of a core for each call")
        for caller in callers:
            await leave(caller)


async def echo() -> None:
    """A click there and back, once a second."""
    async with server() as there:
        caller = await join(there, tone=False)
        await asyncio.sleep(2)
        for _ in range(20):
            caller.click = True
            await asyncio.sleep(0.83)
        await leave(caller)
        print(f"echo: {len(caller.echoes)} of 20 clicks came back after {spread(caller.echoes)}")


async def load(seconds: float = 20) -> None:
    """One call: what it costs."""
    async with server() as there:
        caller = await join(there, tone=True)
        before = await there.ask("stats")
        await asyncio.sleep(seconds)
        after = await there.ask("stats")
        await leave(caller)
        print(f"one call of {seconds:g} s: {(after['cpu_s'] - before['cpu_s']) / seconds:.1%} of a core")


async def long(seconds: float = 300) -> None:
    """One call of five minutes."""
    async with server() as there:
        caller = await join(there, tone=True)
        await asyncio.sleep(1)
        caller.watch = Watch()
        await there.ask("begin")
        stalls = Stalls()
        watching = stalls.begin()
        memory, cpu = [], []
        for _ in range(10):
            await asyncio.sleep(seconds / 10)
            stats = await there.ask("stats")
            memory.append(round(stats["rss_mb"], 1))
            cpu.append(stats["cpu_s"])
        print(f"one call of {seconds:g} s: {(cpu[-1] - cpu[0]) / (seconds * 0.9):.1%} of a core; MB: {memory}")
        watching.cancel()
        print(f"  at the room: {stats['watches']['room1']}, {stats['stalls']}")
        print(f"  at the caller: {caller.watch.said()}, {stalls.said()}")
        print(f"  load of this machine over the last five minutes: {os.getloadavg()[1]:.2f}")
        await leave(caller)


MEASURES = {"joins": joins, "crowd": crowd, "echo": echo, "load": load, "long": long}


def main() -> None:
    from uvcall.sandbox.event_loop import run_fast

    if "--serve" in sys.argv:
        run_fast(serve())
        return
    for wanted in sys.argv[1:] or ("joins", "crowd", "echo", "load"):
        name, _, seconds = wanted.partition("=")
        run_fast(MEASURES[name](*([float(seconds)] if seconds else ())))
        sys.stdout.flush()
    # The SDK's own threads sometimes fall over the end of the interpreter.
    os._exit(0)


if __name__ == "__main__":
    main()
