"""Somebody with Ultravox's own client SDK, as a process of an environment of its own: joins a call, tells what happens.

Run with one argument, a JSON object:
    join_url         of a call
    pcm              the file for what is heard (48 kHz, mono)
    tone             Hz of what is said, every other second until the agent does anything
    data             data messages to be sent once the agent is there; what is above 1,024 bytes goes over the socket
    tools            client tools: name → result
    leave_after_s    leave so long after the agent is there; null: stay until the other side ends it
It prints one JSON object for each event. It imports nothing of uvcall.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import struct
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import ultravox_client as uv

RATE = 48_000
FRAME = 960


def tell(event: str, **details: Any) -> None:
    print(json.dumps({"at": time.monotonic(), "event": event, **details}), flush=True)


class Tone(uv.AudioSource):
    """What is said."""

    def __init__(self, frequency: float) -> None:
        super().__init__(RATE, 1)
        self.step = 2 * math.pi * frequency / RATE
        self.heard = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        at = 0
        while True:
            if self.heard or at // RATE % 2:
                yield bytes(2 * FRAME)
            else:
                yield struct.pack(f"<{FRAME}h", *(int(8000 * math.sin(self.step * n)) for n in range(at, at + FRAME)))
            at += FRAME


class File(uv.AudioSink):
    """What is heard."""

    def __init__(self, path: str) -> None:
        super().__init__(RATE, 1)
        self.file = Path(path).open("wb")  # noqa: SIM115 - closed below

    def write(self, data: bytes) -> None:
        self.file.write(data)

    async def close(self) -> None:
        self.file.close()


async def main(wish: dict[str, Any]) -> None:
    session = uv.UltravoxSession()
    voice = Tone(wish["tone"])
    there, over = asyncio.Event(), asyncio.Event()

    def status() -> None:
        tell("status", status=session.status.name)
        if session.status.is_live():
            there.set()
        # Version 0.1.0 cancels itself when the other side ends the call, and gets no further than this.
        elif session.status is uv.UltravoxSessionStatus.DISCONNECTING and there.is_set():
            over.set()

    session.on("status", status)

    def data(message: dict[str, Any]) -> None:
        tell("data", text=json.dumps(message))
        if message["type"] == "state" and message["state"] != "listening":
            voice.heard = True

    session.on("data_message", data)
    for name, result in wish.get("tools", {}).items():
        session.register_tool_implementation(name, lambda _, result=result: result)
    await session.join_call(wish["join_url"], voice, File(wish["pcm"]))
    await there.wait()
    for message in wish.get("data", ()):
        await session.send_data(message)
        tell("sent")
    try:
        async with asyncio.timeout(wish.get("leave_after_s")):
            await over.wait()
    except TimeoutError:
        await session.leave_call()
    tell("transcripts", lines=[[line.speaker, line.text] for line in session.transcripts])


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
    tell("done")
    # The SDK's own threads sometimes fall over the end of the interpreter.
    os._exit(0)
