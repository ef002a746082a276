"""Rooms of the sandbox for tests, and the processes that join them with the vendors' own SDKs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from uvcall.errors import LocalError
from uvcall.sandbox import room
from uvcall.sandbox.world import World

HERE = Path(__file__).parent
RATE = 48_000
#: Seconds for anything to happen on a machine that does much else.
PATIENCE_S = 30.0
_NUMBERS = itertools.count(1)


def needs_room() -> None:
    """Skip the test where no room can be held."""
    try:
        room.require()
    except LocalError as error:
        pytest.skip(f"{error.message}; {error.hint}")


def needs_livekit() -> None:
    """Skip the test where LiveKit's SDK or the room's extra is not installed."""
    needs_room()
    if importlib.util.find_spec("livekit") is None or importlib.util.find_spec("livekit.rtc") is None:
        pytest.skip("LiveKit's SDK is not installed: pip install livekit")


def created(running: Any, medium: str = "webRtc", **more: Any) -> tuple[str, str]:
    """Create a call in a sandbox that runs; return its id and its join URL. It waits long, in a fast sandbox, too."""
    headers = {"X-API-Key": running.ready["env"]["ULTRAVOX_API_KEY"], "Content-Type": "application/json"}
    fields = {"inputSampleRate": 16_000} if medium == "serverWebSocket" else {}
    body = json.dumps({"systemPrompt": "x", "medium": {medium: fields}, "joinTimeout": "3600s", **more}).encode()
    request = urllib.request.Request(f"{running.ready['ultravox']}/api/calls", body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        call = json.load(answer)
    return call["callId"], call["joinUrl"]


@dataclass
class Visitor:
    """A process that has joined, and what it has told so far."""

    process: asyncio.subprocess.Process
    pcm: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def heard(self) -> bytes:
        return self.pcm.read_bytes()

    def told(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    def data(self) -> list[dict[str, Any]]:
        """The data messages that it got."""
        return [json.loads(one["text"]) for one in self.told("data")]

    async def until(self, what: Callable[[], Any]) -> Any:
        """Wait until `what` is true after one of its events; fail when it has ended without."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: what() or self.over)
        assert what(), self.events
        return what()

    async def until_told(self, event: str) -> dict[str, Any]:
        return (await self.until(lambda: self.told(event)))[0]

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.events.append(json.loads(line))
            async with self._changed:
                self._changed.notify_all()
        self.over = True
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def visitor(
    tmp_path: Path, script: str = "livekit_client.py", python: str = sys.executable, **wish: Any
) -> AsyncIterator[Visitor]:
    """Have a process join, from the script and by the wish; it is killed in the end if it still runs."""
    pcm = tmp_path / f"heard-{next(_NUMBERS)}.pcm"
    errors = pcm.with_suffix(".stderr")
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tmp_path), "RUST_LOG": "off"}
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            python, "-P", str(HERE / script), json.dumps({"pcm": str(pcm), **wish}),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=stderr, env=environment,
            limit=1 << 22,
        )  # fmt: skip
    guest = Visitor(process, pcm)
    reading = asyncio.create_task(guest.read())
    try:
        yield guest
    except BaseException as error:
        error.add_note(
            f"its stderr ended with: {errors.read_text(errors='replace')[-2000:]}\nits events: {guest.events}"
        )
        raise
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        await reading


@dataclass
class Hall:
    """A room with nobody but the test in the agent's place."""

    world: World
    url: str
    room: room.Room
    heard: bytearray = field(default_factory=bytearray)
    told: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    how: list[str] = field(default_factory=list)

    @property
    def way_in(self) -> dict[str, str]:
        return {"room_url": self.url, "token": self.room.token}

    def seen(self, kind: str) -> int:
        return sum(event["type"] == kind for event in self.world.history.events)


@contextlib.asynccontextmanager
async def hall(world: World, name: str = "hall", *, echo: bool = False) -> AsyncIterator[Hall]:
    """Serve one room; `echo`: what is heard is said."""
    from support.stage import serving

    async with serving(room.routes(world)) as base:
        one: Hall
        arrived, told = asyncio.Event(), list[bytes]()

        def hear(sound: bytes) -> None:
            one.heard += sound
            if echo:
                one.room.say(sound)

        def leave(how: str) -> None:
            one.how.append(how)
            one.gone.set()

        guest = room.Guest(arrived.set, hear, told.append, leave)
        kept = room.rooms(world)
        one = Hall(world, base.replace("http", "ws", 1), kept.open(name, guest), told=told, arrived=arrived)
        try:
            yield one
        finally:
            await kept.shut(one.room)


async def until(what: Callable[[], Any]) -> None:
    """Wait until `what` is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110  # a poll, as from outside
            await asyncio.sleep(0.01)
