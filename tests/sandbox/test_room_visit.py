"""LiveKit's own SDK, in a process of its own, in the sandbox's room: sound and data both ways, and every ending."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from support.rooms import PATIENCE_S, RATE, hall, needs_livekit, until, visitor
from support.stage import goertzel, loudest, make_world, tone

from uvcall.sandbox import room
from uvcall.sandbox.room_schema import messages

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("webrtc")]


@pytest.fixture(autouse=True)
def possible() -> None:
    needs_livekit()


def test_tones_and_data_go_both_ways_and_both_ends_see_the_end(tmp_path):
    async def talk():
        async with hall(make_world()) as one:
            one.room.say(10 * tone(660, 1.0, RATE))  # longer than anybody needs to come in
            async with visitor(tmp_path, tone=440, data=["from the client", "x" * 60_000], **one.way_in) as client:
                await client.until_told("connected")
                one.room.tell(b"from the agent")
                await client.until_told("data")
                await until(lambda: len(one.told) == 2)
                await until(lambda: len(one.heard) > 2 * RATE and len(client.heard) > 2 * RATE)
                await room.rooms(one.world).shut(one.room)
                ended = await client.until_told("disconnected")
                await client.until_told("done")
            return one, client, ended

    one, client, ended = asyncio.run(talk())
    assert one.told == [b"from the client", b"x" * 60_000]
    assert [event["text"] for event in client.told("data")] == ["from the agent"]
    assert ended["reason"] == 5  # the room was deleted
    there, here = loudest(client.heard, RATE), loudest(bytes(one.heard), RATE)
    assert goertzel(here, RATE, 440) > 0.5
    assert goertzel(there, RATE, 660) > 0.5


def test_an_sdk_that_first_asks_for_one_connection_falls_back(tmp_path):
    async def talk():
        async with (
            hall(make_world()) as one,
            visitor(tmp_path, single=True, tone=440, leave_on="enough", **one.way_in) as client,
        ):
            await until(lambda: len(one.heard) > RATE)
            one.room.tell(b"enough")
            await asyncio.wait_for(one.gone.wait(), PATIENCE_S)
            await client.until_told("done")
            return one

    one = asyncio.run(talk())
    assert one.how == ["left"]
    assert goertzel(loudest(bytes(one.heard), RATE), RATE, 440) > 0.5


def test_a_lost_signalling_socket_is_resumed_and_media_go_on(tmp_path):
    async def talk():
        async with hall(make_world()) as one, visitor(tmp_path, tone=440, **one.way_in) as client:
            await client.until_told("published")
            await until(lambda: one.heard)
            one.room._request.transport.abort()
            await client.until_told("reconnected")
            assert one.room.taken
            assert one.seen("room.signal_lost") == one.seen("room.resumed") == 1
            one.heard.clear()
            one.room.tell(b"still here")
            await client.until_told("data")
            await until(lambda: len(one.heard) > RATE)
            await room.rooms(one.world).shut(one.room)
            await client.until_told("disconnected")
        assert one.how == []
        return bytes(one.heard)

    assert goertzel(loudest(asyncio.run(talk()), RATE), RATE, 440) > 0.5


def test_a_token_opens_one_room_for_one(tmp_path):
    async def talk():
        async with hall(make_world()) as one:
            header, body, signature = one.room.token.split(".")
            forged = f"{header}.{body}.{signature[::-1]}"
            async with visitor(tmp_path, room_url=one.url, token=forged) as stranger:
                first = await stranger.until_told("refused")
            async with visitor(tmp_path, **one.way_in) as guest:
                await guest.until_told("connected")
                async with visitor(tmp_path, **one.way_in) as second:
                    used = await second.until_told("refused")
                await room.rooms(one.world).shut(one.room)
                await guest.until_told("disconnected")
            async with visitor(tmp_path, **one.way_in) as late:
                closed = await late.until_told("refused")
            return first, used, closed

    first, used, closed = asyncio.run(talk())
    assert "401" in first["text"]
    assert "not of this server" in first["text"]
    assert "it has been used" in used["text"]
    assert "its room is closed" in closed["text"]


def test_a_client_that_dies_is_gone_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "RESUME_S", 0.2)

    async def talk():
        async with hall(make_world()) as one, visitor(tmp_path, tone=440, **one.way_in) as client:
            await client.until_told("published")
            client.process.kill()
            await asyncio.wait_for(one.gone.wait(), PATIENCE_S)
        return one

    one = asyncio.run(talk())
    assert one.how == ["lost"]
    assert one.seen("room.signal_lost") == 1


def test_nonsense_on_the_signalling_socket_ends_nothing(tmp_path):
    async def talk():
        async with hall(make_world()) as one:
            headers = {"Authorization": f"Bearer {one.room.token}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                async with http.ws_connect(f"{one.url}/rtc") as socket:
                    await socket.receive_bytes()
                    for nonsense in (b"\xff\xff\xff", b"\x1a\x02\x0a\x00", b"\x1a\x05\x0a\x03{}x", b""):
                        await socket.send_bytes(nonsense)
                    await until(lambda: one.seen("room.invalid") >= 3)
                    assert not one.how
                await until(lambda: not one.room.taken)
            # The room waits for its participant, who may begin anew.
            async with visitor(tmp_path, tone=440, **one.way_in) as client:
                await client.until_told("published")
                await until(lambda: one.heard)

    asyncio.run(talk())


def test_an_offer_that_no_media_can_come_of_ends_the_visit():
    async def talk():
        async with (
            hall(make_world()) as one,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{one.url}/rtc?access_token={one.room.token}") as socket,
        ):
            await socket.receive_bytes()
            # SignalRequest.offer {type: "offer", sdp: "v=0\r\n…"} by hand.
            sdp = b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
            offer = b"\x0a\x05offer" + b"\x12" + bytes([len(sdp)]) + sdp
            await socket.send_bytes(b"\x0a" + bytes([len(offer)]) + offer)
            await asyncio.wait_for(one.gone.wait(), PATIENCE_S)
        return one.how

    assert asyncio.run(talk()) == ["failed"]


def test_a_client_that_is_gone_before_it_is_answered_has_left_all_the_same(monkeypatch):
    """Its farewell is read, although the answer to what it said before cannot be sent any more."""

    async def late(self, request):
        await until(lambda: self._request.transport is None or self._request.transport.is_closing())
        return b"an answer"

    monkeypatch.setattr(room.Room, "_answer", late)

    async def talk():
        async with hall(make_world()) as one:
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(f"{one.url}/rtc?access_token={one.room.token}") as socket,
            ):
                for _ in "join", "offer":
                    await socket.receive_bytes()
                for says in ({"ping_req": {}}, {"leave": {}}):
                    await socket.send_bytes(messages()["SignalRequest"](**says).SerializeToString())
                await http.close()
            await asyncio.wait_for(one.gone.wait(), PATIENCE_S)
        return one.how

    assert asyncio.run(talk()) == ["left"]
