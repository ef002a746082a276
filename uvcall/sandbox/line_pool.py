"""Media streams beside the main process: the carriers' ends on one processor, the agent's ends on the other.

A few streams are carried here; from then on a worker is asked, over its standard input and output, in lines of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from uvcall.core.model import Cause
from uvcall.sandbox.media import carry
from uvcall.sandbox.punctuality import Punctuality, punctuality
from uvcall.sandbox.recording import sayings
from uvcall.sandbox.world import Leg, StreamEnd, StreamSpec, World

#: Streams that the main process carries itself: starting a worker for a single call would be slower than the call.
_HERE: Final = 8
_LONGEST_LINE: Final = 1 << 28
_PATIENCE_S: Final = 10.0


@dataclass(slots=True)
class _Task:
    """One stream that the worker carries."""

    leg: Leg
    spec: StreamSpec
    end: asyncio.Future[StreamEnd]


@dataclass(slots=True)
class Pool:
    """The streams of one world, and the worker that carries most of them."""

    world: World
    _here: int = 0
    _count: int = 0
    _tasks: dict[int, _Task] = field(default_factory=dict)
    _starting: asyncio.Task[asyncio.subprocess.Process | None] | None = None
    _reading: asyncio.Task[None] | None = None
    _counted: asyncio.Future[Mapping[str, Any]] | None = None

    async def carry(self, world: World, leg: Leg, spec: StreamSpec, *, drops: bool) -> StreamEnd:
        """Carry a stream to its end, here or there."""
        worker = None
        if self._here >= _HERE and (os.cpu_count() or 1) > 1:
            if self._starting is None:
                self._starting = asyncio.create_task(self._start(), name="worker")
            worker = await asyncio.shield(self._starting)
        if worker is not None and worker.returncode is None:
            return await self._hand_over(worker, leg, spec, drops=drops)
        self._here += 1
        try:
            return await carry(world, leg, spec, drops=drops)
        finally:
            self._here -= 1

    async def count(self, *, restart: bool = False) -> Punctuality:
        """Return how late frames were, here and there; `restart`: count from now on."""
        here = punctuality(self.world)
        there: Mapping[str, Any] = {}
        worker = self._starting.result() if self._starting is not None and self._starting.done() else None
        if worker is not None and worker.returncode is None and self._counted is None:
            self._counted = asyncio.get_running_loop().create_future()
            _write(worker, {"do": "count", "restart": restart})
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    there = await self._counted
            except TimeoutError:
                there = {}
            finally:
                self._counted = None
        both = here.with_others(there)
        if restart:
            here.restart()
        return both

    async def close(self) -> None:
        """End the worker; what it carries ends with it."""
        if self._starting is None:
            return
        worker = await self._starting
        if worker is None or self._reading is None:
            return
        if worker.stdin is not None:
            worker.stdin.close()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await worker.wait()
        except TimeoutError:
            worker.kill()
        await self._reading

    async def _start(self) -> asyncio.subprocess.Process | None:
        """Start the worker and tell it what the world is like; None when that cannot be done here."""
        world = self.world
        try:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "uvcall.sandbox.line_worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE,
            )  # fmt: skip
        except OSError:
            return None
        options = asdict(replace(world.options, callee_audio=None))
        clip = base64.b64encode(world.options.callee_audio).decode() if world.options.callee_audio is not None else None
        pace = {"elapsed": world.pace.elapsed(), "now": world.pace.now().isoformat()}
        _write(worker, {"options": options, "callee_audio": clip, "seed": world.seed, **pace})
        self._reading = asyncio.create_task(self._read(worker), name="worker's words")
        return worker

    async def _hand_over(
        self, worker: asyncio.subprocess.Process, leg: Leg, spec: StreamSpec, *, drops: bool
    ) -> StreamEnd:
        self._count += 1
        number = self._count
        end: asyncio.Future[StreamEnd] = asyncio.get_running_loop().create_future()
        self._tasks[number] = _Task(leg, spec, end)
        names = ("id", "from_", "to", "direction", "scenario", "ids")
        known = {"provider": leg.provider.value, **{name: getattr(leg, name) for name in names}}
        known["options"] = {"client_state": leg.options.get("client_state")}
        asked = asdict(
            replace(spec, opened=None, halt=None, parameters=dict(spec.parameters), headers=dict(spec.headers))
        )
        _write(worker, {"do": "carry", "number": number, "leg": known, "spec": asked, "drops": drops})
        over = asyncio.ensure_future((spec.halt or leg.over).wait())
        try:
            both: set[asyncio.Future[Any]] = {end, over}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                _write(worker, {"do": "over", "number": number})
            return await end
        except asyncio.CancelledError:
            _write(worker, {"do": "cancel", "number": number})
            raise
        finally:
            over.cancel()
            self._tasks.pop(number, None)

    async def _read(self, worker: asyncio.subprocess.Process) -> None:
        """Take what the worker says until it ends."""
        if worker.stdout is None:
            return
        async for line in worker.stdout:
            self._heed(json.loads(line))
        for task in self._tasks.values():
            if not task.end.done():
                task.end.set_result(StreamEnd("broken", "the worker has ended"))
        if self._counted is not None and not self._counted.done():
            self._counted.set_result({})

    def _heed(self, said: dict[str, Any]) -> None:
        task = self._tasks.get(said.get("number", 0))
        match said["told"]:
            case "event":
                self.world.history.record(said["peer"], said["type"], **said["details"])
            case "saying":
                sayings(self.world).begin(said["url"], said["sentence"])
            case "opened" if task is not None and task.spec.opened is not None:
                task.spec.opened()
            case "hang_up" if task is not None and self.world.hang_up is not None:
                self.world.hang_up(task.leg, Cause.NORMAL, "callee")
            case "end" if task is not None and not task.end.done():
                task.end.set_result(StreamEnd(said["how"], said["detail"]))
            case "count" if self._counted is not None and not self._counted.done():
                self._counted.set_result(said)


def _write(worker: asyncio.subprocess.Process, message: Mapping[str, Any]) -> None:
    if worker.stdin is not None and not worker.stdin.is_closing():
        worker.stdin.write(json.dumps(message).encode() + b"\n")


def pool(world: World) -> Pool:
    """Return the world's pool."""
    kept = world.rooms.get(Pool)
    if not isinstance(kept, Pool):
        kept = world.rooms[Pool] = Pool(world)
    return kept
