"""Requests over kept-alive connections: whatever the pieces in which an answer comes, and whatever breaks it."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall import kept_alive
from uvcall.core.webhook import Lost
from uvcall.kept_alive import KeptAlive, Reading

LIMIT = 1000
PLAIN = b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;note=x\r\nlo\r\nC \r\n, everybody!\r\n0\r\nTrailer: x\r\n\r\n"
)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def by_the_library(data: bytes) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(_Socket(data), method="POST")  # type: ignore[arg-type]  # all that it needs
    answer.begin()
    return answer.status, answer.read()


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([PLAIN, CHUNKED, EARLY + PLAIN, EMPTY, TO_THE_END]), st.lists(st.integers(0, 500), max_size=12))
def test_an_answer_reads_the_same_in_whatever_pieces_it_comes(data: bytes, cuts: list[int]) -> None:
    reading = Reading(LIMIT)
    found = [answer for piece in pieces(data, cuts) if (answer := reading.feed(piece)) is not None]
    if data is TO_THE_END:
        assert not found
        found = [reading.closed()]
    assert len(found) == 1
    # http.client reads past the end of chunks only by its own count, and skips "100" alone of the early ones.
    assert (found[0].status, found[0].body) == by_the_library(data.removeprefix(EARLY))
    assert reading.reusable == (data is not TO_THE_END)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([PLAIN, CHUNKED]), st.integers(0, 200), st.binary(min_size=1, max_size=3), st.lists(st.integers(0))
)
def test_broken_answers_are_told_apart_and_nothing_else_breaks(
    data: bytes, at: int, new: bytes, cuts: list[int]
) -> None:
    at %= len(data)
    reading = Reading(LIMIT)
    try:
        for piece in pieces(data[:at] + new + data[at + len(new) :], cuts):
            if reading.feed(piece) is not None:
                break
    except ValueError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000,
    ],
)
def test_what_cannot_be_trusted_is_no_answer(data: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        Reading(LIMIT).feed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nhello",
        PLAIN + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_is_not_used_again_when_it_ends_or_says_too_much(data: bytes) -> None:
    reading = Reading(LIMIT)
    assert reading.feed(data) is not None
    assert not reading.reusable


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 10**9])
@pytest.mark.parametrize("chunked", [True, False])
def test_one_byte_too_many_is_enough_to_know(size: int, chunked: bool) -> None:
    framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size if chunked else b"Content-Length: %d\r\n\r\n" % size
    reading = Reading(LIMIT)
    reading.feed(b"HTTP/1.1 200 OK\r\n" + framed)
    found = reading.feed(b"x" * min(size, 5000) + (b"\r\n0\r\n\r\n" if chunked else b""))
    assert found is not None
    assert len(found.body) == min(size, LIMIT + 1)
    assert reading.reusable == (size <= LIMIT)


# ---- over sockets

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def peer(*answers: bytes | None) -> AsyncIterator[tuple[KeptAlive, list[bytes]]]:
    """Answer the n-th request with the n-th of these; None: close the connection."""
    heard: list[bytes] = []
    connections: list[bytes] = []
    asked = asyncio.Event()
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(b"")
        try:
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                heard.append(head + await reader.readexactly(length))
                asked.set()
                answer = left.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lines = KeptAlive(f"http://localhost:{port}/api", {"x-api-key": "k"}, limit=LIMIT)
    lines.connections, lines.asked = connections, asked  # type: ignore[attr-defined]  # for the tests to look at
    try:
        yield lines, heard
    finally:
        lines.close()
        server.close()
        await asyncio.sleep(0)


def run(work: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()  # type: ignore[misc]  # a coroutine

    asyncio.run(bounded())


def test_the_next_request_goes_over_the_same_connection() -> None:
    async def work() -> None:
        async with peer(PLAIN, CHUNKED, EMPTY) as (lines, heard):
            answers = [await lines.post("/calls?a=b", body, within_s=9) for body in (b"{}", b"", b"[1]")]
            assert [(a.status, a.body) for a in answers] == [(201, b"hello"), (200, b"hello, everybody!"), (204, b"")]
            assert answers[0].headers == (("Content-Type", "text/plain"), ("Content-Length", "5"))
            assert len(lines.connections) == 1
            first, *_ = heard
            assert first.startswith(b"POST /api/calls?a=b HTTP/1.1\r\nHost: localhost:")
            assert first.endswith(b"\r\nx-api-key: k\r\nContent-Length: 2\r\n\r\n{}")

    run(work)


def test_each_of_many_at_once_has_a_connection_and_its_own_answer() -> None:
    async def work() -> None:
        async with peer(*[PLAIN] * 20) as (lines, heard):
            assert [
                a.body for a in await asyncio.gather(*(lines.post("/", b"%d" % n, within_s=9) for n in range(20)))
            ] == [b"hello"] * 20
            assert sorted(int(one.rpartition(b"\r\n")[2]) for one in heard) == list(range(20))
            assert len(lines.connections) == 20

    run(work)


@pytest.mark.parametrize("ending", [TO_THE_END, PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")])
def test_a_connection_that_ends_is_followed_by_a_new_one(ending: bytes) -> None:
    async def work() -> None:
        async with peer(ending) as (lines, _):
            assert (await lines.post("/", b"", within_s=9)).body == b"hello"
        async with peer(ending, PLAIN) as (lines, _):
            if ending is not TO_THE_END:
                assert (await lines.post("/", b"", within_s=9)).body == b"hello"
                assert (await lines.post("/", b"", within_s=9)).body == b"hello"
                assert len(lines.connections) == 2

    run(work)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(None, "lost"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "lost"), (b"what?\r\n\r\n", "not HTTP")],
)
def test_an_answer_that_breaks_off_may_have_been_acted_on(answer: bytes | None, why: str) -> None:
    async def work() -> None:
        async with peer(answer) as (lines, _):
            with pytest.raises(Lost, match=why) as caught:
                await lines.post("/", b"", within_s=9)
            assert caught.value.sent

    run(work)


def test_who_gives_up_leaves_no_answer_for_the_next_one() -> None:
    async def work() -> None:
        async with peer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nla", PLAIN) as (lines, _):
            waiting = asyncio.ensure_future(lines.post("/", b"1", within_s=9))
            await lines.asked.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await lines.post("/", b"2", within_s=9)).body == b"hello"
            assert len(lines.connections) == 2

    run(work)


def test_an_idle_connection_that_speaks_or_has_lain_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with peer(PLAIN, PLAIN, PLAIN) as (lines, _):
            await lines.post("/", b"", within_s=9)
            monkeypatch.setattr(kept_alive, "IDLE_S", -1.0)
            await lines.post("/", b"", within_s=9)
            assert len(lines.connections) == 2

    run(work)


def test_nobody_there_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work() -> None:
        with pytest.raises(Lost, match="no connection") as caught:
            await KeptAlive(f"http://127.0.0.1:{port}", {}, limit=LIMIT).post("/", b"", within_s=9)
        assert not caught.value.sent

    run(work)


def test_tls_is_checked() -> None:
    async def work() -> None:
        async with peer(PLAIN) as (plain, _):
            secure = KeptAlive(f"https://localhost:{plain._port}", {}, limit=LIMIT)
            with pytest.raises(Lost) as caught:
                await secure.post("/", b"", within_s=9)
            assert not caught.value.sent
            assert secure._tls is not None
            assert secure._tls.check_hostname

    run(work)
