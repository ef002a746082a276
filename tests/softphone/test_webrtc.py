"""The softphone's WebRTC transport: what stands before the room, and the agent's voice without its pauses.

Whole conversations over it, with the sandbox's room, are in tests/cli/test_talk_webrtc.py: they are processes of their
own, since LiveKit's SDK can take a process with it.
"""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from aiohttp import web
from support.stage import serving, tone

from uvcall.core.secret import JoinUrl
from uvcall.errors import LocalError, ProviderRefused, Temporary
from uvcall.softphone import webrtc
from uvcall.softphone.bursts import Bursts
from uvcall.softphone.webrtc import WebRtcTransport

RATE = 48_000
PIECE = RATE // 100 * 2  # 10 ms


@pytest.fixture
def livekit():
    pytest.importorskip("livekit.rtc", reason="LiveKit's SDK is not installed: pip install 'uvcall[webrtc]'")


def connect(*messages, close=True):
    """Connect to a join URL whose socket says this; return the query that it was asked with."""
    asked = []

    async def join(request):
        asked.append(dict(request.query))
        socket = web.WebSocketResponse(timeout=1.0)
        await socket.prepare(request)
        for message in messages:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(json.dumps(message)))
        if close:
            await socket.close()
        else:
            await socket.receive()
        return socket

    async def go():
        async with serving([web.get("/join", join)]) as base:
            url = JoinUrl(base.replace("http", "ws", 1) + "/join?a=b")
            await WebRtcTransport(url, rate=RATE, output_rate=RATE).connect()

    with pytest.raises((ProviderRefused, Temporary, LocalError)) as refused:
        asyncio.run(go())
    assert refused.value.hint
    return refused.value, asked


def test_a_join_url_of_another_medium(livekit):
    for first in ({"type": "call_started", "callId": "1"}, b"\0\0", {"type": 7}):
        error, asked = connect(first, close=False)
        assert isinstance(error, ProviderRefused)
        assert "not of a WebRTC call" in error.message
        assert asked == [{"a": "b", "clientVersion": "uvcall", "apiVersion": "1"}]


def test_a_socket_that_ends_before_it_names_a_room(livekit):
    error, _ = connect()
    assert isinstance(error, ProviderRefused)
    assert error.message.startswith("the call was over before it began")


def test_a_socket_that_names_no_room(livekit, monkeypatch):
    monkeypatch.setattr(webrtc, "ROOM_INFO_S", 0.05)
    error, _ = connect(close=False)
    assert isinstance(error, Temporary)
    assert "where the room is" in error.message


def test_a_token_is_shown_over_tls_or_at_home_only(livekit):
    for place in ("ws://198.51.100.1", "http://127.0.0.1:1", "wss://", "ws://[", 7, None):
        error, _ = connect({"type": "room_info", "roomUrl": place, "token": "t"}, close=False)
        assert "cannot be entered" in error.message
    # From a join URL that is elsewhere, nothing at home is taken either.
    away = WebRtcTransport(JoinUrl("wss://voice.ultravox.ai/c"), rate=RATE, output_rate=RATE)
    assert not away._trusted("ws://127.0.0.1:1")
    assert away._trusted("wss://room.example.com")


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "livekit", None)
    monkeypatch.setitem(sys.modules, "livekit.rtc", None)
    error, asked = connect(close=False)
    assert isinstance(error, LocalError)
    assert "uvcall[webrtc]" in error.hint
    assert asked == []


# -- pauses -----------------------------------------------------------------------------------------------------------


def pieces(sound):
    return [sound[at : at + PIECE] for at in range(0, len(sound), PIECE)]


def test_a_pause_is_not_played_and_nothing_else_is_lost():
    said = tone(440, 0.5, RATE)
    bursts = Bursts(RATE)
    out = [bursts.take(piece) for piece in pieces(bytes(RATE * 2) + said + bytes(RATE * 2) + said + bytes(RATE * 2))]
    played = b"".join(out)
    # Each time the voice and 0.2 s of what follows, less the piece that ends it.
    assert played == 2 * (said + bytes(int(0.19 * RATE) * 2))


def test_a_burst_begins_with_40_ms_in_one_piece_and_goes_on_piece_by_piece():
    bursts = Bursts(RATE)
    sizes = [len(bursts.take(piece)) for piece in pieces(tone(440, 0.1, RATE))]
    assert sizes == [0, 0, 0, 4 * PIECE, *[PIECE] * 6]


def test_a_word_shorter_than_that_is_played_all_the_same():
    bursts = Bursts(RATE)
    word = tone(440, 0.01, RATE)
    played = b"".join(bursts.take(piece) for piece in pieces(word + bytes(RATE)))
    assert played.startswith(word)
