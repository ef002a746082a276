"""`uvcall talk --medium webrtc` and what stands in its way: each ends soon, in its code, with one clear line.

How long it waits is made short here where the waiting is the point; the longest is fifteen seconds otherwise.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from support.rooms import created, needs_livekit, until

from uvcall.sandbox import room
from uvcall.sandbox.app import start
from uvcall.sandbox.ultravox_calls import calls
from uvcall.sandbox.world import Options
from uvcall.softphone import manner, webrtc, websocket

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("webrtc")]

QUIETLY = ("--join-url", "env:JOIN_URL", "--input", "silence", "--output", "none")


def test_nothing_is_waited_for_longer_than_fifteen_seconds():
    longest = (
        webrtc.REACH_S,
        webrtc.RESUME_S,
        websocket.CONNECT_S,
        manner.Manner.__dataclass_fields__["silent_s"].default,
    )
    assert max(longest) <= 13  # and two for the farewell


def one_line(ran, code, words):
    """Make sure that the command ended like this, and said one line about it and one that helps."""
    assert ran.code == code, ran.stderr
    said = [line for line in ran.stderr.splitlines() if line not in {"connected", "over"}]
    assert len(said) == 2, ran.stderr
    assert said[0].startswith("error: ")
    assert words in said[0]
    assert said[1].startswith("  mend: ")
    assert "ws://" not in ran.stderr


@pytest.mark.parametrize(
    ("medium", "asked", "words"),
    [
        ("serverWebSocket", "webrtc", "not of a WebRTC call"),
        ("webRtc", "websocket", "of a WebRTC call"),
    ],
)
def test_a_join_url_of_another_medium(run_uvcall, sandbox, medium, asked, words):
    needs_livekit()
    env = {**sandbox.ready["env"], "JOIN_URL": created(sandbox, medium)[1]}
    one_line(run_uvcall("talk", "--medium", asked, *QUIETLY, env=env), 5, words)


def test_a_join_url_that_is_unknown_used_or_expired(run_uvcall, sandbox):
    needs_livekit()

    def refused(url, status):
        env = {**sandbox.ready["env"], "JOIN_URL": url}
        one_line(run_uvcall("talk", "--medium", "webrtc", *QUIETLY, env=env), 5, f"status {status}")

    async def used(url):
        async with ClientSession() as http, http.ws_connect(url) as socket:
            await socket.receive_json()
            await asyncio.to_thread(refused, url, 409)

    url = created(sandbox)[1]
    refused(f"{url}x", 404)
    asyncio.run(used(url))
    call_id, url = created(sandbox, joinTimeout="1s")
    asyncio.run(until(lambda: calls(sandbox.world).by_id[call_id].ended))
    refused(url, 410)


def test_media_that_never_come(start_uvcall, monkeypatch):
    needs_livekit()

    async def mute(self, socket, request, *, resumes):
        await socket.receive()

    monkeypatch.setattr(room.Room, "serve", mute)
    impatient = "from uvcall.softphone import webrtc; webrtc.REACH_S = 2.0"
    with start(Options()) as running:
        env = {**running.ready["env"], "JOIN_URL": created(running)[1]}
        talk = start_uvcall("talk", "--medium", "webrtc", *QUIETLY, env=env, before=impatient)
        out, errors = talk.communicate(timeout=100)
    assert (talk.returncode, out) == (75, "")
    # The SDK, whose attempt is broken off, says nothing on the terminal.
    assert [line.partition(":")[0] for line in errors.splitlines()] == ["error", "  mend"], errors
    assert "no media connection with the room came about within 2 s" in errors


@pytest.mark.parametrize("status", [503, 401])
def test_a_signalling_socket_that_is_lost_for_good(start_uvcall, monkeypatch, status):
    """Nobody comes back in: there is no way at all, or the token is not taken any more."""
    needs_livekit()
    impatient = "from uvcall.softphone import webrtc; webrtc.RESUME_S = 1.0"
    with start(Options(agent_script=("Oh, go home, old crow, do go slow. " * 40, "Bye."))) as running:
        env = {**running.ready["env"], "JOIN_URL": created(running)[1]}
        talk = start_uvcall("talk", "--medium", "webrtc", *QUIETLY, "--json", "-v", env=env, before=impatient)
        while "speaking" not in (line := talk.stderr.readline()):
            assert line, "uvcall has ended"
        monkeypatch.setattr(room, "_admitted", lambda world, request: web.Response(status=status, text="no"))
        (here,) = room.rooms(running.world).by_name.values()
        running._loop.call_soon_threadsafe(here._request.transport.abort)
        out, errors = talk.communicate(timeout=100)
    record = json.loads(out)
    assert (talk.returncode, record["outcome"], record["end_reason"]) == (16, "agent_failed", "the room was lost"), (
        errors
    )
    assert record["placed"] == "yes"
    assert "livekit" not in errors


def test_no_device(run_uvcall, home):
    needs_livekit()
    (home / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    path = f"{home}{os.pathsep}{Path(__file__).parents[2]}"
    ran = run_uvcall("talk", "--medium", "webrtc", "--sandbox", "--half-duplex", env={"PYTHONPATH": path})
    one_line(ran, 7, "PortAudio")
