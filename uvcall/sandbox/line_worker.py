"""A process that carries media streams for `line_pool`, until its standard input ends."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import signal
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from uvcall.core.carrier import Provider
from uvcall.sandbox.event_loop import run_fast
from uvcall.sandbox.media import carry
from uvcall.sandbox.punctuality import punctuality
from uvcall.sandbox.recording import Sayings
from uvcall.sandbox.world import History, Leg, Options, Pace, StreamSpec, World

_LONGEST_LINE: Final = 1 << 28


def _tell(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class _ToldSayings(Sayings):
    """What callees say is known where the agent is."""

    def begin(self, url: str, sentence: str) -> None:
        _tell(told="saying", url=url, sentence=sentence)


@dataclass(slots=True)
class _Worker:
    world: World
    legs: dict[int, Leg] = field(default_factory=dict)
    streams: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def heed(self, said: dict[str, Any]) -> None:
        """Do what the main process says."""
        number = said.get("number", 0)
        match said["do"]:
            case "carry":
                known, asked = said["leg"], said["spec"]
                leg = Leg(**{**known, "provider": Provider(known["provider"])}, created_at=self.world.pace.now())
                spec = StreamSpec(
                    **{**asked, "tracks": tuple(asked["tracks"]), "opened": lambda: _tell(told="opened", number=number)}
                )
                self.legs[number] = leg
                self.streams[number] = self.world.spawn(self._carry(number, leg, spec, said["drops"]), leg.id)
            case "over" if number in self.legs:
                self.legs[number].over.set()
            case "cancel" if number in self.streams:
                self.streams[number].cancel()
            case "count":
                _tell(told="count", **punctuality(self.world).raw())
                if said["restart"]:
                    punctuality(self.world).restart()

    async def _carry(self, number: int, leg: Leg, spec: StreamSpec, drops: bool) -> None:
        how, detail = "broken", "the worker failed"
        try:
            end = await carry(self.world, leg, spec, drops=drops)
            how, detail = end.how, end.detail
        finally:
            _tell(told="end", number=number, how=how, detail=detail)
            del self.legs[number], self.streams[number]

    def hang_up(self, leg: Leg, *_: Any) -> None:
        """Pass on that the callee has put the phone down."""
        number = next((number for number, one in self.legs.items() if one is leg), 0)
        _tell(told="hang_up", number=number)


def _world(first: dict[str, Any]) -> World:
    clip = first["callee_audio"]
    given = {**first["options"], "callee_audio": base64.b64decode(clip) if clip is not None else None}
    options = Options(**given)
    pace = Pace(options.speed, first["elapsed"], datetime.fromisoformat(first["now"]))
    history = History(pace)

    def pass_on(event: dict[str, Any]) -> None:
        history.events.clear()  # they are kept in the main process
        details = {name: value for name, value in event.items() if name not in {"at", "peer", "type"}}
        _tell(told="event", peer=event["peer"], type=event["type"], details=details)

    history.listener = pass_on
    chance = random.Random(first["seed"])  # noqa: S311  # repeatable on purpose
    world = World(options=options, pace=pace, history=history, chance=chance, seed=first["seed"])
    world.rooms[Sayings] = _ToldSayings()
    return world


async def _live() -> None:
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = await reader.readline()
    if not first:
        return
    worker = _Worker(_world(json.loads(first)))
    worker.world.hang_up = worker.hang_up
    async for line in reader:
        worker.heed(json.loads(line))
    running = list(worker.world.tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


if __name__ == "__main__":
    # Ctrl-C reaches the whole process group; the main process says when it is time to go, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_fast(_live())
