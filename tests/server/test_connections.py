"""What becomes of connections: pipelined, half closed, reset, never read, too many, and there when the server leaves."""

import asyncio
import json
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response, StreamingResponse
from support import callers
from support.house import Ultravox, serving, ultravox_at

from uvcall.core.carrier import Provider
from uvcall.server import door, inbound

TWILIO = Provider.TWILIO
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def until(true, seconds=20):
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # other tasks of this loop make it true, and tell nobody
            await asyncio.sleep(0.01)


async def everything(port, data):
    """Send it and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def chunked(request):
    """Its head, for a body in chunks, and the one chunk."""
    head, _, body = callers.raw(request).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b"%x" % len(body), body, b""])


def test_what_is_no_request_is_not_answered_in_the_place_of_one_before(scene):
    async def play(house, peer):
        peer.delay_s = 0.2
        text = await everything(house.port, callers.raw(callers.ring(TWILIO, house.base, 1)) + b"\x00\r\n\r\n")
        assert text.startswith(b"HTTP/1.1 200 ")
        assert text.count(b"HTTP/1.1") == 1
        assert len(peer.created) == 1

    scene(play)


def test_requests_that_are_not_waited_for_are_queued_up_to_a_number(scene):
    async def play(house, peer):
        text = await everything(house.port, HEALTH * 1000)
        assert 1 <= text.count(b"HTTP/1.1 200 ") <= 200
        assert text.count(b"HTTP/1.1") == text.count(b"HTTP/1.1 200 ")
        assert (await house.get("/healthz"))[0] == 200

    scene(play)


@pytest.mark.parametrize(
    "trailer", [b"", b"Content-Encoding: gzip\r\n", b"X-Twilio-Signature: x\r\n", b"X: " + b"y" * 9000 + b"\r\n"]
)
def test_what_follows_a_body_in_chunks_is_no_header(trailer, scene):
    async def play(house, peer):
        text = chunked(callers.ring(TWILIO, house.base, 1)) + b"0\r\n" + trailer + b"\r\n"
        assert (await callers.ask(house.port, text))[0] == 200
        assert len(peer.created) == 1

    scene(play)


@pytest.mark.parametrize("end", [b"0\r\nX: ", b"1;x=", b"fffffff\r\n"])
@pytest.mark.parametrize("path", [b"/twilio", b"/nowhere"])
def test_nothing_is_read_for_ever(end, path, scene, monkeypatch):
    monkeypatch.setattr(door, "WHOLE_S", 600.0)  # not the clock ends it

    async def play(house, peer):
        head = chunked(callers.ring(TWILIO, house.base, 1)).replace(b"/twilio", path, 1)
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)

        async def on_and_on():
            writer.write(head + end)
            for _ in range(1000):  # of a hundred kilobytes, which no buffer holds
                writer.write(b"x" * 100_000)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await on_and_on()
        writer.close()
        assert peer.created == []

    scene(play)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_who_asks_for_another_protocol_is_answered_in_this_one_and_once(pause, protocol, scene):
    async def play(house, peer):
        ring = callers.raw(callers.ring(TWILIO, house.base, 1))
        other = b"\r\nConnection: Upgrade\r\nUpgrade: %b\r\n" % protocol
        plain = HEALTH.replace(b"\r\n", other, 1)
        inside = plain.replace(b"Host: x", b"Host: x\r\nContent-Length: %d" % len(ring))
        for head, status in ((plain, 200), (inside, 400), (ring.replace(b"\r\n", other, 1), 400)):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(head)
            await asyncio.sleep(pause)
            writer.write(ring)
            async with asyncio.timeout(20):
                line = await reader.readline()
                assert line.startswith(b"HTTP/1.1 %d " % status)
                with suppress(ConnectionError):
                    assert b"HTTP/1.1" not in await reader.read()
            writer.close()
        assert peer.created == []

    scene(play)


def test_who_says_that_nothing_will_follow_is_answered(scene):
    async def play(house, peer):
        peer.delay_s = 0.2
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(callers.raw(callers.ring(TWILIO, house.base, 1)))
        writer.write_eof()
        async with asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()

    scene(play)


def test_connections_that_are_reset_in_any_phase_leave_nothing_behind(scene, capfd):
    async def play(house, peer):
        peer.delay_s = 0.1
        text = callers.raw(callers.ring(TWILIO, house.base, 1))
        head = text.index(b"\r\n\r\n")
        for sent in (b"", text[:30], text[: head + 10], text, text * 3, HEALTH * 3, b"\x00\r\n\r\n"):
            for pause in (0.0, 0.05):
                line = socket.create_connection(("127.0.0.1", house.port))
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.sendall(sent)
                await asyncio.sleep(pause)
                line.close()
        await asyncio.sleep(0.2)
        assert (await house.ask(callers.ring(TWILIO, house.base, 2)))[0] == 200
        assert house.said("bug") == []

    scene(play)
    assert capfd.readouterr().err == ""


def test_a_thousand_who_are_slow_to_speak_are_all_heard(scene, monkeypatch):
    monkeypatch.setattr(door, "WHOLE_S", 600.0)

    async def play(house, peer):
        lines = []
        for number in range(1000):
            lines.append(await callers.dialed(house.port))
            if number % 250 == 0:
                await asyncio.sleep(door._GRACE_S / 3)
        assert {status for status, _ in await asyncio.gather(*(line.ask(HEALTH) for line in lines))} == {200}
        for line in lines:
            line.close()

    scene(play)


def test_files_that_run_short_keep_nobody_out(tmp_path):
    """Another accept without a file to give would make everybody wait for a second."""
    log = tmp_path / "log"
    with (
        callers.ultravox() as up,
        callers.serving(callers.place(tmp_path, up), str(log), files=256) as (child, port),
    ):

        async def play():
            lines = [await callers.dialed(port) for _ in range(600)]
            for number in range(10):
                ring = callers.raw(callers.ring(TWILIO, f"http://127.0.0.1:{port}", number))
                assert (await callers.ask(port, ring))[0] == 200
                assert (await callers.ask(port, HEALTH))[0] == 200
            for line in lines:
                line.close()

        asyncio.run(asyncio.wait_for(play(), 60))
        child.terminate()
        child.join(30)
    told = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert told == ["answered"] * 10 + ["draining", "stopped"]


def test_an_environment_variable_of_other_servers_means_nothing(scene, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "auto")

    async def play(house, peer):
        assert (await house.get("/healthz"))[0] == 200

    scene(play)


def test_callers_come_by_the_other_internet_protocol_too(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")

    async def play():
        async with ultravox_at(Ultravox()) as peer, serving(tmp_path, peer, host="::1") as house:
            assert house.base.startswith("http://[::1]:")
            _, line = await asyncio.get_running_loop().create_connection(callers.Line, "::1", house.port)
            assert (await line.ask(callers.raw(callers.ring(TWILIO, house.base, 1))))[0] == 200
            assert (await line.ask(HEALTH))[0] == 200
            line.close()
            assert 'result="connected"' in await house.metrics()

    asyncio.run(asyncio.wait_for(play(), 40))


def stand(answer, **more):
    """A door of its own, and the address that leads to it."""

    async def app(scope, receive, send):
        await answer(scope, receive, send)

    held = inbound.listen("127.0.0.1", 0)
    return door.Door(app, [held], backlog=64, files=1024, **more), held.getsockname()


def test_an_answer_that_nobody_reads_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(door, "TAKEN_S", 0.5)

    async def large():
        for _ in range(100):
            yield b"x" * 1_000_000

    async def play():
        one, address = stand(StreamingResponse(large()))
        await one.begin()
        line = socket.create_connection(address)
        line.sendall(HEALTH)
        await until(lambda: one.open == 1)
        await until(lambda: one.open == 0)
        line.close()
        await one.end()

    asyncio.run(play())


def test_who_is_connected_when_the_door_closes_is_answered():
    async def play():
        one, address = stand(Response("ok"))
        await one.begin()
        # While this loop does not run nobody takes them in.
        lines = [socket.create_connection(address) for _ in range(20)]
        for line in lines:
            line.sendall(HEALTH)
        await one.close()
        for line in lines:
            line.settimeout(20)
            assert (await asyncio.to_thread(line.recv, 12)) == b"HTTP/1.1 200"
            line.close()
        with pytest.raises(ConnectionError):
            socket.create_connection(address)
        await one.end()

    asyncio.run(play())


def test_who_speaks_when_the_server_leaves_is_heard_out(tmp_path, monkeypatch):
    monkeypatch.setattr(inbound, "_SPEAK_S", 0.0)
    monkeypatch.setattr(inbound, "DRAIN_S", 30.0)
    monkeypatch.setattr(door, "WHOLE_S", 600.0)

    async def play():
        async with ultravox_at(Ultravox()) as peer, serving(tmp_path, peer) as house:
            text = callers.raw(callers.ring(TWILIO, house.base, 1))
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(text[:40])
            await asyncio.sleep(0.1)
            house.stop.set()
            await until(lambda: house.said("draining"))
            await asyncio.sleep(0.3)
            assert not house.done.done()
            writer.write(text[40:])
            async with asyncio.timeout(20):
                answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close\r\n" in answer.lower()
            assert await house.done == 0

    asyncio.run(asyncio.wait_for(play(), 60))


def test_only_the_second_address_tells_counts(scene):
    async def play(house, peer):
        port = urlsplit(house.ready["metrics"]).port
        for path in (b"/twilio", b"/healthz", b"/"):
            assert (await callers.ask(port, b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path))[0] == 404
        assert (await house.get("/metrics"))[0] == 404

    scene(play)
