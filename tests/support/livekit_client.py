"""Somebody with LiveKit's own SDK, as a process of its own: joins a call or a room, and tells what happens.

Run with one argument, a JSON object:
    join_url         of an Ultravox call; or
    room_url, token  of a room
    pcm              the file for what is heard (48 kHz, mono)
    data             texts to be sent as data packets, once connected
    tone, tone_s     Hz of what is said after that, and for how many seconds; silence follows. Without: for ever
    leave_on         leave the room when a data message has this in it; null: stay until the other side ends it
    wait_for_socket  after the room's end, wait for the end of the join URL's socket as well
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
from pathlib import Path
from typing import Any

from livekit import rtc

RATE = 48_000
FRAME = 960


def tell(event: str, **details: Any) -> None:
    print(json.dumps({"at": time.monotonic(), "event": event, **details}), flush=True)


def tone(frequency: float, start: int) -> bytes:
    step = 2 * math.pi * frequency / RATE
    return struct.pack(f"<{FRAME}h", *(int(8000 * math.sin(step * n)) for n in range(start, start + FRAME)))


async def speak(source: rtc.AudioSource, frequency: float, seconds: float) -> None:
    at = 0
    while True:
        samples = tone(frequency, at) if at < seconds * RATE else bytes(2 * FRAME)
        await source.capture_frame(rtc.AudioFrame(samples, RATE, 1, FRAME))
        at += FRAME


async def hear(track: rtc.Track, file: Any) -> None:
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        file.write(bytes(event.frame.data))


async def visit(wish: dict[str, Any], url: str, token: str, file: Any) -> None:
    """Be in the room until its end."""
    room = rtc.Room()
    over, leaving = asyncio.Event(), asyncio.Event()
    tasks: list[asyncio.Future[None]] = []
    room.on("track_subscribed", lambda track, *_: tasks.append(asyncio.ensure_future(hear(track, file))))
    room.on("reconnecting", lambda: tell("reconnecting"))
    room.on("reconnected", lambda: tell("reconnected"))

    def received(packet: Any) -> None:
        text = packet.data.decode()
        tell("data", text=text)
        if wish.get("leave_on") is not None and wish["leave_on"] in text:
            leaving.set()
            over.set()

    room.on("data_received", received)

    def disconnected(reason: Any) -> None:
        tell("disconnected", reason=int(reason))
        over.set()

    room.on("disconnected", disconnected)
    try:
        # The SDK of today would ask for one connection both ways first, and fall back.
        await room.connect(url, token, rtc.RoomOptions(single_peer_connection=wish.get("single", False)))
    except rtc.ConnectError as error:
        tell("refused", text=str(error))
        return
    tell("connected")
    if wish.get("tone"):
        source = rtc.AudioSource(RATE, 1)
        options = rtc.TrackPublishOptions()
        options.source = rtc.TrackSource.SOURCE_MICROPHONE
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        await room.local_participant.publish_track(track, options)
        tell("published")
    for text in wish.get("data", ()):
        await room.local_participant.publish_data(text.encode())
        tell("sent")
    if wish.get("tone"):
        tasks.append(asyncio.ensure_future(speak(source, wish["tone"], wish.get("tone_s", math.inf))))
    await over.wait()
    if leaving.is_set():
        await room.disconnect()
    for task in tasks:
        task.cancel()


async def main(wish: dict[str, Any], file: Any) -> None:
    if "room_url" in wish:
        await visit(wish, wish["room_url"], wish["token"], file)
        return
    import aiohttp

    async with aiohttp.ClientSession() as http, http.ws_connect(wish["join_url"]) as socket:
        info = json.loads((await socket.receive()).data)
        tell("room_info", **info)
        await visit(wish, info["roomUrl"], info["token"], file)
        if wish.get("wait_for_socket"):
            message = await socket.receive()
            tell("socket", kind=message.type.name, code=socket.close_code)


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    with Path(wanted["pcm"]).open("wb", buffering=0) as heard:
        asyncio.run(main(wanted, heard))
    tell("done")
    # The SDK's own threads sometimes fall over the end of the interpreter.
    os._exit(0)
