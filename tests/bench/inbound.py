"""How `serve-inbound` stands up to callers, beside an empty handler of the same framework in the same run.

    python tests/bench/inbound.py                 every measurement, a few minutes
    python tests/bench/inbound.py latency burst   some of them

Ultravox is a stand-in on loopback that answers after 200 ms or at once; signatures are real, the ledger is on disk.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import callers

from uvcall.calls.answer import attempt_of
from uvcall.core.carrier import Provider

TWILIO = Provider.TWILIO


def p99(times: list[float]) -> float:
    return quantiles(times, n=100)[-1] if len(times) > 1 else times[0]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def base(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def closed_loop(port: int, at_once: int, total: int, first: int) -> tuple[float, list[float]]:
    """Keep so many callers waiting at a time; return the seconds in all and of each."""
    requests = [callers.raw(callers.ring(TWILIO, base(port), first + n)) for n in range(total)]
    waiting = iter(requests)
    times: list[float] = []

    async def one() -> None:
        line = await callers.dialed(port)
        for data in waiting:
            start = time.perf_counter()
            status, _ = await line.ask(data)
            times.append(time.perf_counter() - start)
            assert status == 200
        line.close()

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return time.perf_counter() - start, times


async def upstream(port: int, at_once: int, total: int) -> list[float]:
    """Ask Ultravox's stand-in itself; return the seconds of each."""
    body = b'{"metadata":{"uvcall_attempt":"%032x"}}'
    times: list[float] = []

    async def one(first: int) -> None:
        line = await callers.dialed(port)
        for number in range(first, first + total // at_once):
            data = body % number
            head = f"POST /api/calls HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            start = time.perf_counter()
            await line.ask(head + data)
            times.append(time.perf_counter() - start)
        line.close()

    await asyncio.gather(*(one(10**12 + n * total) for n in range(at_once)))
    return times


def latency(directory: Path) -> None:
    """Added time over 200 ms of Ultravox."""
    with (
        callers.ultravox(0.2) as up,
        callers.empty() as empty,
        callers.serving(callers.place(directory, up)) as (_, port),
    ):
        for at_once, total in ((1, 40), (100, 2000)):
            _, idle = asyncio.run(closed_loop(empty, at_once, total, 1))
            alone = asyncio.run(upstream(up, at_once, total))
            asyncio.run(closed_loop(port, at_once, at_once, 10**9 + at_once * 10**6))
            _, times = asyncio.run(closed_loop(port, at_once, total, at_once * 10**6))
            print(
                f"latency, {at_once} at once: added to Ultravox's median {ms(median(times) - median(alone))},"
                f" p99 {ms(p99(times) - p99(alone))} (Ultravox alone {ms(median(alone))}, {ms(p99(alone))});"
                f" empty handler median {ms(median(idle))}, p99 {ms(p99(idle))}"
            )


def throughput(directory: Path) -> None:
    """Calls a second when Ultravox takes no time."""
    with (
        callers.ultravox(0.0) as up,
        callers.empty() as empty,
        callers.serving(callers.place(directory, up)) as (_, port),
    ):
        shares = []
        for round_ in range(5):
            seconds, _ = asyncio.run(closed_loop(empty, 100, 4000, 1))
            ours, times = asyncio.run(closed_loop(port, 100, 4000, (round_ + 1) * 10**6))
            shares.append(seconds / ours)
            print(
                f"throughput: {4000 / ours:.0f}/s, p99 {ms(p99(times))}; empty {4000 / seconds:.0f}/s; {seconds / ours:.0%}"
            )
        print(f"throughput: median share {median(shares):.0%}")


def burst(directory: Path) -> None:
    """A thousand callers at once, 200 ms of Ultravox."""
    with callers.ultravox(0.2) as up, callers.serving(callers.place(directory, up)) as (_, port):
        for round_ in range(3):
            seconds, times = asyncio.run(closed_loop(port, 1000, 1000, (round_ + 1) * 10**6))
            print(f"burst: 1,000 callers answered in {seconds:.2f} s, p99 {ms(p99(times))}")


def memory(directory: Path) -> None:
    """Fifty thousand calls, each reported as ended."""
    with callers.ultravox(0.0) as up, callers.serving(callers.place(directory, up)) as (child, port):

        async def thousand(first: int) -> None:
            line = await callers.dialed(port)
            for n in range(first, first + 100):
                await line.ask(callers.raw(callers.ring(TWILIO, base(port), n)))
                over = callers.fields(TWILIO, n) | {"CallStatus": "completed"}
                await line.ask(callers.raw(callers.signed(TWILIO, base(port), over, path="/status")))
            line.close()

        async def block(first: int) -> None:
            await asyncio.gather(*(thousand(first + 100 * k) for k in range(10)))

        sizes = {}
        for done in range(0, 50_001, 1000):
            if done in {5_000, 10_000, 20_000, 30_000, 40_000, 50_000}:
                sizes[done] = callers.rss_kb(child.pid)
            asyncio.run(block(10**7 + done))
        told = ", ".join(f"{n:,}: {kb / 1024:.1f} MB" for n, kb in sizes.items())
        print(f"memory: {told}; from 5,000 to 50,000 {sizes[50_000] / sizes[5_000] - 1:+.1%}")


def forged(directory: Path, each: int = 100_000) -> None:
    """Altered requests: none accepted, none paid for, no 5xx."""
    with callers.ultravox(0.0) as up, callers.serving(callers.place(directory, up)) as (_, port):
        for provider in Provider:
            statuses = asyncio.run(alterations(provider, port, each))
            print(f"forged, {provider}: {each:,} altered requests: {dict(sorted(statuses.items()))}")
        print(f"forged: Ultravox creates: {sum(asyncio.run(callers.creates(up)).values())}")


async def alterations(provider: Provider, port: int, total: int) -> dict[int, int]:
    """Send altered webhooks and count the answers by status."""
    chance = random.Random(7)
    statuses: dict[int, int] = {}

    async def one(count: int) -> None:
        line = await callers.dialed(port)
        for _ in range(count):
            data = altered(provider, port, chance)
            try:
                status, _ = await line.ask(data)
            except ConnectionError:
                status = 0
            statuses[status] = statuses.get(status, 0) + 1
            if status in {0, 400, 403, 413, 415}:
                line.close()
                line = await callers.dialed(port)
        line.close()

    await asyncio.gather(*(one(total // 20) for _ in range(20)))
    return statuses


def altered(provider: Provider, port: int, chance: random.Random) -> bytes:
    """Return a signed webhook with something changed in it that its signature covers."""
    request = callers.ring(provider, base(port), chance.getrandbits(64))
    data = bytearray(callers.raw(request))
    head = data.index(b"\r\n\r\n") + 4
    kind = chance.randrange(4)
    if kind == 0:  # another character in the body
        at = chance.randrange(head, len(data))
        new = chance.choice([c for c in b"0123456789abcdefXYZ" if c != data[at]])
        # In percent-encoding both cases of a digit are the same character.
        data[at : at + 1] = b"%00" if chr(new).lower() == chr(data[at]).lower() else bytes([new])
        data = bytearray(resized(bytes(data), head))
    elif kind == 1:  # another signature
        at = data.lower().index(b"signature") + 40
        data[at] = ord("A") if data[at] != ord("A") else ord("B")
    elif kind == 2:  # cut into other fields with the same characters
        data = bytearray(bytes(data[:head]) + bytes(data[head:]).replace(b"&", b"%26", 1))
        data = bytearray(resized(bytes(data), head))
    else:  # no signature, or two
        lines = bytes(data[:head]).split(b"\r\n")
        mine = [line for line in lines if b"signature" in line.lower()]
        kept = [line for line in lines if line not in mine]
        lines = kept if chance.random() < 0.5 else [*lines[:-2], *mine, *lines[-2:]]
        data = bytearray(b"\r\n".join(lines) + bytes(data[head:]))
    return bytes(data)


def resized(data: bytes, head: int) -> bytes:
    """Return the request with the right length for its body."""
    top, body = data[:head], data[head:]
    at = top.index(b"Content-Length: ") + 16
    end = top.index(b"\r\n", at)
    return top[:at] + str(len(body)).encode() + top[end:] + body


def duplicates(directory: Path, calls: int = 2000) -> None:
    """Each call one to ten times, in parallel and late: one create and one answer each."""
    with callers.ultravox(0.01) as up, callers.serving(callers.place(directory, up)) as (_, port):
        wrong, asked = asyncio.run(repeated(port, calls, 10**8))
        counts = asyncio.run(callers.creates(up))
        print(
            f"duplicates: {calls:,} calls, {asked:,} webhooks: {len(counts):,} created, most {max(counts.values())} each,"
            f" {wrong} answers that differ"
        )


async def repeated(port: int, calls: int, first: int) -> tuple[int, int]:
    """Return how many calls got answers that differ, and how many webhooks were sent."""
    chance = random.Random(3)
    gate = asyncio.Semaphore(40)
    wrong = asked = 0

    async def one(number: int) -> None:
        nonlocal wrong, asked
        async with gate:
            data = callers.raw(callers.ring(TWILIO, base(port), number))
            times = chance.randint(1, 10)
            asked += times + 1
            answers = await asyncio.gather(*(callers.ask(port, data) for _ in range(times)))
            answers = [*answers, await callers.ask(port, data)]
            wrong += len(set(answers)) != 1 or answers[0][0] != 200

    await asyncio.gather(*(one(first + n) for n in range(calls)))
    return wrong, asked


def half_open(directory: Path, many: int = 2000) -> None:
    """Connections that never finish their request, and one caller among them."""
    callers.more_sockets()
    with callers.ultravox(0.0) as up, callers.serving(callers.place(directory, up)) as (_, port):
        print(f"half-open: {many:,} connections; a caller was answered in {ms(asyncio.run(besieged(port, many)))}")


async def besieged(port: int, many: int) -> float:
    """Return the slowest of ten callers' waits while so many others say half a sentence."""
    lines = []
    for number in range(many):
        line = await callers.dialed(port)
        line.transport.write(
            b"POST /twilio HTTP/1.1\r\nHost: x\r\n" + (b"Content-Length: 500\r\n\r\nx" if number % 2 else b"")
        )
        lines.append(line)
    slowest = 0.0
    for number in range(10):
        start = time.perf_counter()
        status, _ = await callers.ask(port, callers.raw(callers.ring(TWILIO, base(port), 10**9 + number)))
        assert status == 200
        slowest = max(slowest, time.perf_counter() - start)
    for line in lines:
        line.close()
    return slowest


def signals(directory: Path) -> None:
    """SIGTERM under load: nobody who was connected is lost. SIGKILL and restart: nobody is created twice."""
    with callers.ultravox(0.2) as up:
        for name in ("terminate", "kill"):
            port = callers.free_port()
            with callers.serving(callers.place(directory, up, port=port)) as (child, _):
                numbers = range(10**10 + (name == "kill") * 10**6, 10**10 + (name == "kill") * 10**6 + 2000)
                failed, undecided = asyncio.run(under_fire(port, numbers, getattr(child, name)))
                child.join(12)
                print(
                    f"{name}: exit code {child.exitcode}, {failed} webhooks failed, {len(undecided)} calls to ask again"
                )
            if name == "kill":
                with callers.serving(callers.place(directory, up, port=port)):
                    asyncio.run(again(port, undecided))
                counts = asyncio.run(callers.creates(up))
                twice = [n for n in numbers if counts[attempt_of(f"twilio:{callers.call_id(TWILIO, n)}")] > 1]
                print(f"kill: {len(undecided)} asked again after the restart, {len(twice)} created twice")


async def under_fire(port: int, numbers: range, shot: object) -> tuple[int, list[int]]:
    """Ring while the server is shot; return failed webhooks, and calls without an answer. Not connected is not failed."""
    waiting = iter(numbers)
    failed = answered = 0
    undecided: list[int] = []
    enough = asyncio.Event()

    async def one() -> None:
        nonlocal failed, answered
        for number in waiting:
            try:
                line = await callers.dialed(port)
            except ConnectionError:
                return
            try:
                status, _ = await line.ask(callers.raw(callers.ring(TWILIO, base(port), number)))
                failed += status != 200
                answered += 1
                if answered == 200:
                    enough.set()
            except ConnectionError:
                failed += 1
                undecided.append(number)
            finally:
                line.close()

    async def shoot() -> None:
        await enough.wait()
        shot()  # type: ignore[operator]  # set by the time that enough calls are under way

    await asyncio.gather(shoot(), *(one() for _ in range(50)))
    return failed, undecided


async def again(port: int, numbers: list[int]) -> None:
    """Ask again for calls whose answer was lost, as their carrier would."""
    for number in numbers:
        status, _ = await callers.ask(port, callers.raw(callers.ring(TWILIO, base(port), number)))
        assert status == 200


MEASUREMENTS = {
    one.__name__: one for one in (latency, throughput, burst, memory, forged, duplicates, half_open, signals)
}


def main(names: list[str]) -> None:
    callers.more_sockets()
    for name in names or MEASUREMENTS:
        with tempfile.TemporaryDirectory() as directory:
            MEASUREMENTS[name](Path(directory))


if __name__ == "__main__":
    main(sys.argv[1:])
