"""The wheel of timers, how late it turned, and media streams in a process of their own."""

import asyncio
import itertools

import pytest
from support.stage import api, make_leg

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import line_pool, media
from uvcall.sandbox.punctuality import Arrivals, Lateness, Punctuality
from uvcall.sandbox.speech import FAREWELL, GREETING, HELLO
from uvcall.sandbox.ticker import Ticker
from uvcall.sandbox.world import StreamSpec

USER_FIRST = {"firstSpeakerSettings": {"user": {}}}


def test_everybody_has_a_turn_in_every_beat_and_not_all_at_once():
    async def inside():
        wheel, turns = Ticker(0.02), {}
        ends = [wheel.add(lambda due, who=who: turns.setdefault(who, []).append(due)) for who in range(40)]
        async with asyncio.timeout(20):
            while len(turns) < 40 or min(map(len, turns.values())) < 5:  # noqa: ASYNC110  # a poll, from outside
                await asyncio.sleep(0.005)
        for end in ends:
            end()
        counts = {who: len(times) for who, times in turns.items()}
        await asyncio.sleep(0.05)
        return turns, counts

    turns, counts = asyncio.run(inside())
    assert {who: len(times) for who, times in turns.items()} == counts
    for times in turns.values():
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert min(gaps) >= 0.02 - 1e-9
    assert len({round(times[0] % 0.02, 3) for times in turns.values()}) >= 15


def test_lateness_is_counted_in_milliseconds():
    one = Lateness()
    for _ in range(990):
        one.add(0.0004)
    for late in (-1, 0.0095, 0.05, *[0.02] * 6, 5.0):
        one.add(late)
    assert one.as_json() == {"frames": 1000, "p50_ms": 1, "p99_ms": 1, "p999_ms": 51, "worst_ms": 1001}


def test_arrivals_are_late_by_what_the_most_punctual_one_says():
    into = Punctuality()
    arrivals = Arrivals(into)
    for at in (0.005, 0.02, 0.04, 0.069, 0.08):  # the second one is the most punctual
        arrivals.note(at)
    counts = into.heard.counts
    assert sum(counts) == 5
    assert counts[0] == 4
    assert counts[9] + counts[8] == 1
    into.restart()
    arrivals.note(100.0)
    assert into.heard.counts[0] == 1


def test_counts_of_two_processes_are_one():
    here, there = Punctuality(), Punctuality(starved=2)
    here.sent.add(0.001)
    there.sent.add(0.002)
    both = here.with_others(there.raw())
    assert (both.as_json()["sent"]["frames"], both.starved) == (2, 2)
    assert here.with_others({}).as_json() == here.as_json()


@pytest.fixture
def elsewhere(monkeypatch):
    """Let every stream be carried by a worker."""
    monkeypatch.setattr(line_pool, "_HERE", 0)
    monkeypatch.setattr(line_pool.os, "cpu_count", lambda: 2)


async def carried(calls, *, scenario="answer", finish=None, **options):
    """Put carriers in a worker on one line each with the agent here; return ends, transcripts, world and pool."""
    async with api(**{"speed": 5, **options}) as ultravox:
        world, pool = ultravox.world, line_pool.pool(ultravox.world)
        try:
            made, ends = [], []
            for number in range(calls):
                call = await ultravox.create(medium={"twilio": {}}, recordingEnabled=True, **USER_FIRST)
                leg = make_leg(world, Provider.TWILIO, scenario)
                leg.id += str(number)
                opened = []
                spec = StreamSpec(call["joinUrl"], "PCMU", 8000, headers={"X-Twilio-Signature": "abc="},
                                  opened=lambda opened=opened: opened.append(True))  # fmt: skip
                made.append((call, leg, opened))
                ends.append(asyncio.create_task(media.stream(world, leg, spec, by=pool.carry)))
            if finish is not None:
                await finish(pool, made, ends)
            async with asyncio.timeout(40):
                results = await asyncio.gather(*ends, return_exceptions=True)
            lines = [await ultravox.lines(call) for call, _, _ in made]
            counts = (await pool.count(restart=True)).as_json()
            return results, lines, made, world, counts, pool
        finally:
            await pool.close()


def test_streams_in_a_worker_are_streams(elsewhere):
    results, lines, made, world, counts, pool = asyncio.run(carried(2))
    assert [end.how for end in results] == ["agent", "agent"]
    assert lines == [[("user", HELLO), ("agent", GREETING), ("agent", FAREWELL)]] * 2
    assert [opened for *_, opened in made] == [[True], [True]]
    kinds = [event["type"] for event in world.history.events if event["peer"] == "twilio"]
    assert sorted(kinds) == ["media.started"] * 2 + ["media.stopped"] * 2
    assert counts["sent"]["frames"] > 200
    assert counts["heard"]["frames"] > 200
    worker = pool._starting.result()
    assert worker.returncode == 0


def test_a_leg_that_ends_here_ends_the_stream_there(elsewhere):
    async def finish(pool, made, ends):
        async with asyncio.timeout(30):
            while not all(opened for *_, opened in made):  # noqa: ASYNC110  # a poll, from outside
                await asyncio.sleep(0.01)
        made[0][1].over.set()
        ends[1].cancel()

    results, *_ = asyncio.run(carried(2, finish=finish, scenario="mute"))
    assert results[0].how == "leg"
    assert isinstance(results[1], asyncio.CancelledError)


def test_the_callee_there_hangs_up_the_leg_here(elsewhere):
    results, _, made, *_ = asyncio.run(carried(1, scenario="hangup-early"))
    assert results[0].how == "leg"
    assert (made[0][1].cause, made[0][1].end_source) == (Cause.NORMAL, "callee")


def test_a_refused_stream_is_refused_from_there_too(elsewhere):
    assert asyncio.run(carried_nowhere()).how == "refused"


async def carried_nowhere():
    async with api(speed=5) as ultravox:
        pool = line_pool.pool(ultravox.world)
        leg = make_leg(ultravox.world, Provider.TWILIO)
        try:
            spec = StreamSpec("ws://127.0.0.1:9/x", "PCMU", 8000)
            return await media.stream(ultravox.world, leg, spec, by=pool.carry)
        finally:
            await pool.close()


def test_a_worker_that_dies_takes_its_streams_along_and_no_others(elsewhere):
    async def finish(pool, made, ends):
        async with asyncio.timeout(30):
            while not made[0][2]:  # noqa: ASYNC110  # a poll, from outside
                await asyncio.sleep(0.01)
        worker = pool._starting.result()
        worker.kill()
        await worker.wait()

    results, *_ = asyncio.run(carried(1, finish=finish, scenario="mute"))
    assert (results[0].how, results[0].detail) == ("broken", "the worker has ended")


def test_a_few_streams_need_no_worker():
    results, *_, pool = asyncio.run(carried(1, speed=20))
    assert results[0].how == "agent"
    assert pool._starting is None
