"""WebRTC calls of the sandbox's Ultravox, joined by LiveKit's SDK and by Ultravox's own, and what stands in their way.

Ultravox's SDK pins other versions than uvcall's extras, so it lives in an environment of its own:

    python3.11 -m venv somewhere && somewhere/bin/pip install ultravox-client
    TEST_ULTRAVOX_PYTHON=somewhere/bin/python python -m pytest tests/sandbox/test_room_session.py
"""

from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import wave

import aiohttp
import pytest
from support.rooms import RATE, needs_livekit, needs_room, until, visitor
from support.stage import api, goertzel, loudest

from uvcall.sandbox.app import start
from uvcall.sandbox.world import Options

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("webrtc")]

LINE = "Oh, go home, old crow, do go slow."
#: The agent says nothing before it is spoken to, and one line then.
ANSWERS = {"firstSpeakerSettings": {"user": {}}}


def left_channel(recording: bytes) -> tuple[bytes, int]:
    """Return what the agent heard."""
    with wave.open(io.BytesIO(recording)) as file:
        assert file.getnchannels() == 2
        samples = file.readframes(file.getnframes())
        return memoryview(samples).cast("h")[::2].tobytes(), file.getframerate()


def is_the_agents(voice: bytes) -> bool:
    """Say whether this is the voice that babbles at 110 Hz: sound at its multiples, and nearly none between them.

    A word's gaps and the beginnings of its syllables spread it: 0.24 to 0.45 of it lies there.
    """
    piece = loudest(voice, RATE)
    of_it, others = (sum(goertzel(piece, RATE, first + 110 * n) for n in range(12)) for first in (110, 165))
    return of_it > 0.1 and of_it > 4 * others


def types(visit) -> list[str]:
    return [message["type"] for message in visit.data()]


async def joined_by_livekit(tmp_path, options, settings, **wish):
    """Hold a whole call; return what everybody saw."""
    async with api(**options) as ultravox:
        call = await ultravox.create(medium={"webRtc": {}}, **settings)
        async with visitor(tmp_path, join_url=call["joinUrl"], wait_for_socket=True, **wish) as client:
            await client.until_told("done")
        return client, await ultravox.ended(call, 30), ultravox.world.history.events


def test_livekits_sdk_holds_a_whole_call(tmp_path):
    needs_livekit()

    async def talk():
        async with api(agent_script=(LINE,)) as ultravox:
            call = await ultravox.create(medium={"webRtc": {}}, recordingEnabled=True, **ANSWERS)
            ping = json.dumps({"type": "ping", "timestamp": 12.5})
            async with visitor(
                tmp_path, join_url=call["joinUrl"], wait_for_socket=True, tone=440, tone_s=1.0, data=[ping]
            ) as client:
                await client.until_told("done")
            over = await ultravox.ended(call, 30)
            recording = await ultravox.get(f"/api/calls/{call['callId']}/recording")
            return client, over, recording, await ultravox.lines(call)

    client, over, recording, lines = asyncio.run(talk())
    assert over["endReason"] == "agent_hangup"
    assert ("agent", LINE) in lines
    # Data messages, both ways.
    assert types(client)[:2] == ["call_started", "state"]
    assert {"type": "pong", "timestamp": 12.5} in client.data()
    assert any(m["type"] == "transcript" and m.get("text") == LINE for m in client.data())
    assert "playback_clear_buffer" not in types(client)  # of the WebSocket medium only
    # Sound, both ways.
    assert is_the_agents(client.heard)
    heard, rate = left_channel(recording)
    assert goertzel(loudest(heard, rate), rate, 440) > 0.5
    # The end, at both ends: the room sends the client away, and the join URL's socket is closed.
    assert client.told("disconnected")[0]["reason"] == 5
    assert client.told("socket")[0]["code"] == 1000


def test_a_participant_that_leaves_has_hung_up(tmp_path):
    needs_livekit()
    talkative = {"agent_script": (LINE * 40, "Bye.")}
    client, over, _ = asyncio.run(joined_by_livekit(tmp_path, talkative, {}, tone=440, leave_on='"state"'))
    assert over["endReason"] == "hangup"
    assert over["joined"] is not None
    assert client.told("socket")[0]["code"] == 1000


def test_an_agent_that_breaks_off_says_no_goodbye(tmp_path):
    needs_livekit()
    client, over, _ = asyncio.run(joined_by_livekit(tmp_path, {"scenario": "agent-drop"}, {}, tone=440))
    assert over["endReason"] == "system_error"
    assert client.told("socket")[0]["code"] != 1000


def test_the_socket_says_where_the_room_is_and_takes_data_messages():
    needs_room()

    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(medium={"webRtc": {}}, joinTimeout="20s")
            async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
                info = await socket.receive_json()
                await socket.send_str("{nonsense")
                await until(lambda: events(ultravox, call))
                return info, events(ultravox, call), ultravox.world.base_url

    def events(ultravox, call):
        from uvcall.sandbox.ultravox_calls import calls

        return calls(ultravox.world).by_id[call["callId"]].events

    info, noted, base = asyncio.run(talk())
    assert info == {"type": "room_info", "roomUrl": base.replace("http", "ws"), "token": info["token"]}
    assert noted[0]["type"] == "data_message"


def test_who_takes_the_token_and_never_comes_has_not_joined():
    needs_room()

    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(medium={"webRtc": {}}, joinTimeout="0.2s")
            async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
                await socket.receive_json()
                last = await socket.receive(timeout=30)
                return last, await ultravox.ended(call)

    last, over = asyncio.run(talk())
    assert last.type is aiohttp.WSMsgType.CLOSE
    assert (over["endReason"], over["joined"]) == ("unjoined", None)


def test_a_socket_closed_before_anybody_came_may_be_joined_again():
    needs_room()

    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(medium={"webRtc": {}})
            tokens = []
            for _ in range(2):
                async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
                    tokens.append((await socket.receive_json())["token"])
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                        await ultravox.http.ws_connect(call["joinUrl"])
                    assert refused.value.status == 409
                await until(lambda: not taken(ultravox, call))
            return await ultravox.get(f"/api/calls/{call['callId']}")

    def taken(ultravox, call):
        from uvcall.sandbox.ultravox_calls import calls

        return calls(ultravox.world).by_id[call["callId"]].taken

    assert asyncio.run(talk())["ended"] is None


def test_a_sandbox_that_ends_sends_its_guests_away(tmp_path):
    needs_livekit()

    async def talk():
        running = await asyncio.to_thread(start, Options())
        try:
            headers = {"X-API-Key": running.ready["env"]["ULTRAVOX_API_KEY"]}
            calls, webrtc = f"{running.ready['ultravox']}/api/calls", {"medium": {"webRtc": {}}}
            async with aiohttp.ClientSession(headers=headers) as http, http.post(calls, json=webrtc) as call:
                url = (await call.json())["joinUrl"]
            async with visitor(tmp_path, join_url=url, wait_for_socket=True, tone=440) as client:
                await client.until_told("published")
                await asyncio.to_thread(running.close)
                await client.until_told("done")
                return client
        finally:
            await asyncio.to_thread(running.close)

    client = asyncio.run(talk())
    assert client.told("disconnected")[0]["reason"] == 5
    gc.collect()  # a socket that was left open would be told of here


def test_a_sandbox_without_webrtc_calls_loads_none_of_it():
    code = "import sys, uvcall.sandbox.app; print({name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiortc", "aioice", "av", "google"} & set(ast.literal_eval(ran.stdout))


def test_without_the_extra_a_join_is_refused_by_its_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiortc", None)
    for module in ("room_peer", "room_tracks"):
        monkeypatch.delitem(sys.modules, f"uvcall.sandbox.{module}", raising=False)

    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(medium={"webRtc": {}})
            async with ultravox.http.get(call["joinUrl"].replace("ws", "http", 1)) as answer:
                return answer.status, await answer.text()

    status, text = asyncio.run(talk())
    assert status == 501
    assert "uvcall[sandbox-webrtc]" in text
    assert "\n" not in text


def test_a_machine_with_nothing_but_loopback_is_told_so_at_once():
    needs_room()
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test have a network of its own (unshare -rn)")
    code = "from uvcall.sandbox.room import require; require()"
    ran = subprocess.run([unshare, "-rn", sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "LocalError: this machine has no network interface but loopback" in ran.stderr


def test_ultravoxs_own_sdk_holds_a_whole_call(tmp_path):
    needs_room()
    python = os.environ.get("TEST_ULTRAVOX_PYTHON", "")
    if not python:
        pytest.skip("no environment with ultravox-client: see the top of this file")
    tool = {"temporaryTool": {"modelToolName": "weather", "client": {}, "timeout": "20s"}}
    large = {"type": "user_text_message", "text": "a" * 2000, "urgency": "later"}

    async def talk():
        async with api(agent_script=("!weather", LINE)) as ultravox:
            call = await ultravox.create(medium={"webRtc": {}}, recordingEnabled=True, selectedTools=[tool], **ANSWERS)
            async with visitor(
                tmp_path, "ultravox_sdk.py", python,
                join_url=call["joinUrl"], tone=440, data=[large], tools={"weather": "It rains."},
            ) as client:  # fmt: skip
                await client.until_told("done")
            over = await ultravox.ended(call, 30)
            recording = await ultravox.get(f"/api/calls/{call['callId']}/recording")
            return client, over, recording, await ultravox.lines(call)

    client, over, recording, lines = asyncio.run(talk())
    assert over["endReason"] == "agent_hangup"
    assert ("tool_result", "It rains.") in lines
    assert ("user", "a" * 2000) in lines
    assert [one["status"] for one in client.told("status")][-1] == "DISCONNECTING"
    assert ["agent", LINE] in client.told("transcripts")[0]["lines"]
    assert is_the_agents(client.heard)
    heard, rate = left_channel(recording)
    assert goertzel(loudest(heard, rate), rate, 440) > 0.5
