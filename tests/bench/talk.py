"""What the softphone adds: `python tests/bench/talk.py [seconds] [clears]`.

The agent's side is a process of its own on loopback; both read the same monotonic clock (Linux: CLOCK_MONOTONIC is the
machine's). It sends numbered 20 ms frames in real time, a second at a time with a breath between, and stamps what
comes. The client is the softphone as `talk` runs it, with WAV devices.

    microphone to socket   from the instant at which a frame is due (complete at the device) to its arrival at the peer
    socket to speaker      from the peer's send to the sink's first sample of that frame
    reaction to a clear    from the peer's send to the end of the last piece played of what was to be dropped
    underflows             how often the peer had less sound than time by more than 60 ms, Ultravox's default buffer
    CPU                    of the client's process, in percent of one core
"""

from __future__ import annotations

import asyncio
import json
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from uvcall.core.audio import Pcm
from uvcall.core.secret import JoinUrl
from uvcall.softphone.devices import Pull, WavSink, WavSource
from uvcall.softphone.manner import Manner
from uvcall.softphone.phone import Softphone
from uvcall.softphone.websocket import WebSocketTransport

RATE = 16_000
FRAME = 640
#: The frames of an utterance, and of the breath after it.
SPEECH, BREATH = 50, 10
UNDERFLOW_S = 0.06


def numbered(number: int) -> bytes:
    """Return a frame that says which one it is: twice its number and one, in its first two samples, then a mark."""
    return struct.pack("<hh", 1 + number % 30_000, 1 + number // 30_000) + b"\x11\x11" * (FRAME // 2 - 2)


async def serve(seconds: float, clears: int) -> None:
    """Be the agent's side, and print what was seen."""
    from aiohttp import WSMsgType, web

    done = asyncio.Event()
    seen: dict[str, Any] = {"arrivals": [], "sent": [], "clears": [], "underflows": 0}

    async def listen(socket: web.WebSocketResponse) -> None:
        first, behind = None, False
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                now = time.monotonic()
                first = first or now
                seen["arrivals"].append(now)
                late = now - first - (len(seen["arrivals"]) - 1) * 0.02 > UNDERFLOW_S
                seen["underflows"] += late and not behind
                behind = late

    async def join(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_str('{"type":"call_started","callId":"bench"}')
        listening = asyncio.create_task(listen(socket))
        start, number = time.monotonic() + 0.5, 0
        while (due := start + number * 0.02) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if number % (SPEECH + BREATH) < SPEECH:
                seen["sent"].append((number, time.monotonic()))
                await socket.send_bytes(numbered(number))
            number += 1
        for _ in range(clears):
            await asyncio.sleep(0.3)
            for _ in range(500):
                await socket.send_bytes(numbered(0))
            await asyncio.sleep(0.2)
            seen["clears"].append(time.monotonic())
            await socket.send_str('{"type":"playback_clear_buffer"}')
        await asyncio.sleep(0.3)
        await socket.close()
        listening.cancel()
        done.set()
        return socket

    app = web.Application()
    app.router.add_get("/join", join)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"ws://127.0.0.1:{runner.addresses[0][1]}/join", flush=True)
    await done.wait()
    print(json.dumps(seen), flush=True)
    await runner.cleanup()


class Watched(WavSink):
    """A WAV file whose every piece is stamped."""

    def __init__(self, path: Path, rate: int) -> None:
        super().__init__(path, rate)
        self.heard: dict[int, float] = {}
        self.loud: list[float] = []

    def open(self, pull: Pull) -> None:
        def stamped(size: int) -> bytes:
            now, samples = time.monotonic(), pull(size)
            if any(samples[:4]):
                self.loud.append(now)
                low, high = struct.unpack_from("<hh", samples)
                if (low, high) != (0x1111, 0x1111):
                    self.heard.setdefault(low - 1 + (high - 1) * 30_000, now)
            return samples

        super().open(stamped)


def told(name: str, values: list[float]) -> str:
    """Return a line of percentiles, in milliseconds."""
    ordered = sorted(values)
    at = {p: ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] * 1000 for p in (50, 99, 99.9)}
    return f"{name:<24} p50 {at[50]:6.1f}  p99 {at[99]:6.1f}  p99.9 {at[99.9]:6.1f}  max {ordered[-1] * 1000:6.1f} ms  of {len(ordered)}"


def main(seconds: float, clears: int) -> None:
    peer = subprocess.Popen(
        [sys.executable, __file__, "--peer", str(seconds), str(clears)], stdout=subprocess.PIPE, text=True
    )
    assert peer.stdout is not None
    url = JoinUrl(peer.stdout.readline().strip())
    with tempfile.TemporaryDirectory() as folder:
        sink = Watched(Path(folder) / "reply.wav", RATE)
        source = WavSource(Pcm(b"\x01\x10" * int(RATE * (seconds + clears + 5)), RATE), RATE)
        phone = Softphone(
            WebSocketTransport,
            source,
            sink,
            Manner(RATE, RATE),
            tell=lambda _: None,
            wall=lambda: datetime.now(UTC),
        )
        box: list[Any] = []
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        thread = threading.Thread(target=lambda: box.append(phone.run(url)))
        thread.start()
        seen = json.loads(peer.stdout.readline())
        after, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
        thread.join()
    peer.wait()
    print(f"{took:.0f} s, ended as {box[0].parting}, error {box[0].error}")
    arrivals = seen["arrivals"]
    # The client's clock cannot be seen from here; its grid can: no frame arrives before it is due.
    grid = min(at - number * 0.02 for number, at in enumerate(arrivals))
    print(told("microphone to socket", [at - number * 0.02 - grid for number, at in enumerate(arrivals)]))
    delays = [sink.heard[number] - at for number, at in seen["sent"][1:] if number in sink.heard]
    print(told("socket to speaker", delays) + f", {len(seen['sent']) - 1 - len(delays)} not heard")
    if seen["clears"]:
        ends = [max(loud + 0.01 for loud in sink.loud if loud < at + 0.15) - at for at in seen["clears"]]
        print(told("reaction to a clear", [max(0.0, end) for end in ends]))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"underflows               {seen['underflows']}")
    print(f"CPU                      {100 * cpu / took:.1f} % of one core")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        asyncio.run(serve(float(sys.argv[2]), int(sys.argv[3])))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, int(sys.argv[2]) if len(sys.argv) > 2 else 50)
