"""A process that carries media streams for `line_pool`, until its standard input ends."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from uvcall.core.carrier import Provider
from uvcall.sandbox.media import carry
from uvcall.sandbox.punctuality import punctuality
from uvcall.sandbox.recording import Sayings
from uvcall.sandbox.world import History, Leg, Options, Pace, StreamSpec, World

#: Tells the main process something, in a line of its own.
Tell = Callable[..., None]


class _ToldSayings(Sayings):
    """What callees say is known where the agent is."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell

    def begin(self, url: str, sentence: str) -> None:
        self.tell(told="saying", url=url, sentence=sentence)


@dataclass(slots=True)
class _Worker:
    world: World
    tell: Tell
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
                    **{
                        **asked,
                        "tracks": tuple(asked["tracks"]),
                        "opened": lambda: self.tell(told="opened", number=number),
                    }
                )
                self.legs[number] = leg
                self.streams[number] = self.world.spawn(self._carry(number, leg, spec, said["drops"]), leg.id)
            case "over" if number in self.legs:
                self.legs[number].over.set()
            case "cancel" if number in self.streams:
                self.streams[number].cancel()
            case "count":
                self.tell(told="count", **punctuality(self.world).raw())
                if said["restart"]:
                    punctuality(self.world).restart()

    async def _carry(self, number: int, leg: Leg, spec: StreamSpec, drops: bool) -> None:
        how, detail = "broken", "the worker failed"
        try:
            end = await carry(self.world, leg, spec, drops=drops)
            how, detail = end.how, end.detail
        finally:
            self.tell(told="end", number=number, how=how, detail=detail)
            del self.legs[number], self.streams[number]

    def hang_up(self, leg: Leg, *_: Any) -> None:
        """Pass on that the callee has put the phone down."""
        number = next((number for number, one in self.legs.items() if one is leg), 0)
        self.tell(told="hang_up", number=number)


def _world(first: dict[str, Any], tell: Tell) -> World:
    clip = first["callee_audio"]
    given = {**first["options"], "callee_audio": base64.b64decode(clip) if clip is not None else None}
    options = Options(**given)
    pace = Pace(options.speed, first["elapsed"], datetime.fromisoformat(first["now"]))
    history = History(pace)

    def pass_on(event: dict[str, Any]) -> None:
        history.events.clear()  # they are kept in the main process
        details = {name: value for name, value in event.items() if name not in {"at", "peer", "type"}}
        tell(told="event", peer=event["peer"], type=event["type"], details=details)

    history.listener = pass_on
    chance = random.Random(first["seed"])  # noqa: S311  # repeatable on purpose
    world = World(options=options, pace=pace, history=history, chance=chance, seed=first["seed"])
    world.rooms[Sayings] = _ToldSayings(tell)
    return world


async def live(reader: asyncio.StreamReader, write: Callable[[str], object]) -> None:
    """Carry what the reader's lines ask for, telling what happens by `write`, until there are no more."""
    told = _teller(write)
    first = await reader.readline()
    if not first:
        return
    worker = _Worker(_world(json.loads(first), told), told)
    worker.world.hang_up = worker.hang_up
    async for line in reader:
        worker.heed(json.loads(line))
    running = list(worker.world.tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _teller(write: Callable[[str], object]) -> Tell:
    def tell(**message: Any) -> None:
        write(json.dumps(message) + "\n")

    return tell
