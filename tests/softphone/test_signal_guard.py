"""What passes between LiveKit's SDK and a room's server: everything, but no ping that aborts the SDK."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from support.stage import serving

from uvcall.softphone.signal_guard import Garbled, SignalGuard, guarded


def field(number, value):
    """Return a field by hand: a number below 128, or bytes shorter than that."""
    return bytes((number << 3, value)) if isinstance(value, int) else bytes((number << 3 | 2, len(value))) + value


def join(*pings):
    """Return a first message whose pings are these fields, between others."""
    return field(1, field(2, b"participant") + b"".join(pings) + field(7, b"elsewhere"))


def test_pings_that_make_sense_pass_as_they_are():
    first = join(field(10, 20), field(11, 10))
    assert guarded(first) == first


def test_pings_that_abort_the_sdk_are_mended():
    for pings in ((), (field(11, 0),), (field(10, 0), field(11, 0)), (field(11, 5), field(11, 0))):
        body = b"".join((field(2, b"participant"), *pings, field(7, b"elsewhere")))
        assert guarded(join(*pings)) == field(1, body + field(10, 15) + field(11, 5))
    # -1 is ten bytes on the wire; an hour is the most that is believed.
    for number in (b"\xff" * 9 + b"\x01", b"\x91\x1c"):
        first = field(1, b"\x58" + number + field(10, 15))
        assert guarded(first) == field(1, b"\x58" + number + field(10, 15) + field(11, 5))


def test_other_messages_pass_as_they_are():
    fixed = bytes((3 << 3 | 5, 1, 2, 3, 4, 4 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8))
    for message in (b"", field(3, b"offer"), field(15, 5), fixed):
        assert guarded(message) == message


@given(st.binary(max_size=80))
def test_any_bytes_pass_or_are_refused(raw):
    try:
        guarded(raw)
    except Garbled:
        return


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.text(max_size=300))
def test_what_comes_out_is_read_by_protobuf_as_it_was_meant(interval, timeout, name):
    pytest.importorskip("google.protobuf", reason="protobuf comes with the extra sandbox-webrtc")
    from uvcall.sandbox.room_schema import messages

    classes = messages()
    body = {"ping_interval": interval, "ping_timeout": timeout, "room": {"name": name}}
    raw = classes["SignalResponse"](join=body).SerializeToString()
    read = classes["SignalResponse"].FromString(guarded(raw)).join
    assert read.room.name == name
    assert read.ping_interval == (interval if 0 < interval <= 3600 else 5)
    assert read.ping_timeout == (timeout if 0 < timeout <= 3600 else 15)


def test_everything_passes_both_ways_and_the_way_in_is_nobody_elses():
    seen = []

    async def server(request):
        seen.append((request.path_qs, request.headers.get("Authorization")))
        socket = web.WebSocketResponse(timeout=1.0)
        await socket.prepare(request)
        await socket.send_bytes(field(1, b""))
        await socket.send_bytes(await socket.receive_bytes())
        await socket.close()
        return socket

    async def refuse(request):
        return web.Response(status=401, text="no such token")

    async def go():
        async with serving([web.get("/x/rtc", server), web.get("/x/rtc/validate", refuse)]) as base:
            guard = SignalGuard(base.replace("http", "ws", 1) + "/x")
            url = await guard.open()
            try:
                async with aiohttp.ClientSession(headers={"Authorization": "Bearer t"}) as http:
                    async with http.ws_connect(f"{url}/rtc?a=b&c=d") as socket:
                        first = await socket.receive_bytes()
                        await socket.send_bytes(b"\x1a\x00")
                        second = await socket.receive_bytes()
                        last = await socket.receive()
                    async with http.get(f"{url.replace('ws', 'http', 1)}/rtc/validate") as why:
                        told = why.status, await why.text()
                    at = urlsplit(url)
                    async with http.get(f"http://{at.netloc}/rtc") as stranger:
                        status = stranger.status
            finally:
                await guard.close()
                await guard.close()
            return first, second, last.type, told, status

    first, second, last, told, status = asyncio.run(go())
    assert first == field(1, field(10, 15) + field(11, 5))
    assert second == b"\x1a\x00"
    assert last is aiohttp.WSMsgType.CLOSE
    assert told == (401, "no such token")
    assert status == 404
    assert seen == [("/x/rtc?a=b&c=d", "Bearer t")]


def test_a_server_that_refuses_redirects_or_is_not_there():
    async def refuse(request):
        return web.Response(status=403)

    async def redirect(request):
        raise web.HTTPFound("/x/rtc")

    async def ask(room_url):
        guard = SignalGuard(room_url)
        url = await guard.open()
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{url.replace('ws', 'http', 1)}/rtc") as answer:
                return answer.status
        finally:
            await guard.close()

    async def go():
        async with serving([web.get("/x/rtc", refuse), web.get("/y/rtc", redirect)]) as base:
            place = base.replace("http", "ws", 1)
            return [await ask(f"{place}/x"), await ask(f"{place}/y"), await ask("ws://127.0.0.1:1")]

    assert asyncio.run(go()) == [403, 502, 502]
