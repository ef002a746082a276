"""`uvcall talk --medium webrtc`: whole conversations with the sandbox's room, as processes, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from support.peer import PeerServer
from support.rooms import created, needs_livekit
from support.stage import goertzel, loudest, tone_wav

from uvcall.core.audio import read_wav
from uvcall.sandbox.app import start
from uvcall.sandbox.world import Options

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("webrtc")]

OFFLINE = ("talk", "--medium", "webrtc", "--sandbox")


def test_a_file_talks_and_the_answer_is_a_file(run_uvcall, home):
    needs_livekit()
    (home / "tone.wav").write_bytes(tone_wav(440, 1.0))
    ran = run_uvcall(*OFFLINE, "--input", "tone.wav", "--output", "reply.wav", "--save", "kept", "--json", timeout=100)
    assert (ran.code, ran.json["outcome"], ran.json["end_reason"]) == (0, "completed", "agent_hangup"), ran.stderr
    roles = [line["role"] for line in ran.json["transcript"]]
    assert {"agent", "user"} == set(roles)
    assert "livekit" not in ran.stderr
    # The reply is what the agent said; the recording has what was sent on its left.
    assert read_wav((home / "reply.wav").read_bytes()).seconds > 0.5
    (recording,) = (home / "kept").glob("*.wav")
    with wave.open(str(recording)) as file:
        rate, stereo = file.getframerate(), file.readframes(file.getnframes())
    assert goertzel(loudest(memoryview(stereo).cast("h")[::2].tobytes(), rate), rate, 440) > 0.5


def test_who_types_is_read_a_client_tool_runs_and_silence_hangs_up(run_uvcall, home):
    needs_livekit()
    (home / "script.txt").write_text("!weather\nBye.\n")
    said = ("--text", "--linger", "1s", "--first-speaker", "user", "--json")
    tool = ("--client-tool", "weather=echo rain", "--agent-script", "script.txt")
    ran = run_uvcall(*OFFLINE, *said, *tool, stdin="How is the weather?\n", timeout=100)
    assert (ran.code, ran.json["end_reason"]) == (0, "hangup"), ran.stderr
    lines = [(line["role"], line["text"]) for line in ran.json["transcript"]]
    assert lines == [("user", "How is the weather?"), ("agent", "The tool weather says: rain")]


def test_an_agent_that_breaks_off(run_uvcall):
    needs_livekit()
    ran = run_uvcall(
        *OFFLINE, "--scenario", "agent-drop", "--input", "silence", "--output", "none", "--json", timeout=100
    )
    assert (ran.code, ran.json["outcome"]) == (16, "agent_failed"), ran.stderr


def test_a_machine_with_nothing_but_loopback_is_told_so_at_once(home):
    needs_livekit()
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test have a network of its own (unshare -rn)")
    up = 'ip link set lo up 2>/dev/null; exec "$@"'
    argv = [unshare, "-rn", "sh", "-c", up, "sh", sys.executable, "-m", "uvcall", *OFFLINE, "--json"]
    ran = subprocess.run(
        [*argv, "--input", "silence", "--output", "none"], capture_output=True, text=True, cwd=home, check=False,
        timeout=100, env={"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "UVCALL_STATE_DIR": str(home)},
    )  # fmt: skip
    assert ran.returncode == 7, ran.stderr
    assert "no network interface but loopback" in json.loads(ran.stdout)["error"]["message"]


def test_a_server_that_asks_for_a_ping_every_0_s_does_not_abort_the_process(start_uvcall, monkeypatch):
    needs_livekit()
    monkeypatch.setattr("uvcall.sandbox.room_signal.PING_INTERVAL_S", 0)
    with start(Options(agent_script=("Bye.",))) as running:
        env = {**running.ready["env"], "JOIN_URL": created(running)[1]}
        argv = ("--join-url", "env:JOIN_URL", "--input", "silence", "--output", "none", "--json")
        talk = start_uvcall("talk", "--medium", "webrtc", *argv, env=env)
        out, errors = talk.communicate(timeout=100)
    assert talk.returncode == 0, errors
    assert json.loads(out)["end_reason"] == "agent_hangup"


def test_a_room_that_refuses_the_token(run_uvcall, sandbox):
    needs_livekit()
    place = sandbox.ready["ultravox"].replace("http", "ws", 1)

    async def script(it):
        await it.say(type="room_info", roomUrl=place, token="not.this.one")
        await it.until_gone()

    peer = PeerServer()
    try:
        env = {"JOIN_URL": peer.plays(script).reveal(), "UVCALL_ULTRAVOX_BASE_URL": "http://127.0.0.1:9"}
        argv = ("--join-url", "env:JOIN_URL", "--input", "silence", "--output", "none", "--json")
        ran = run_uvcall("talk", "--medium", "webrtc", *argv, env=env, timeout=100)
    finally:
        peer.close()
    assert (ran.code, ran.json["error"]["status"]) == (5, 401), ran.stderr


def test_without_the_extra_nobody_is_contacted(run_uvcall, home):
    (home / "livekit").mkdir()
    (home / "livekit" / "__init__.py").write_text("raise ImportError('not here', name='livekit')")
    path = f"{home}{os.pathsep}{Path(__file__).parents[2]}"
    ran = run_uvcall(*OFFLINE, "--input", "silence", "--output", "none", "--json", env={"PYTHONPATH": path})
    assert (ran.code, ran.json["placed"]) == (7, "no")
    assert "uvcall[webrtc]" in ran.json["error"]["hint"]


def test_what_is_about_the_other_medium_is_refused(run_uvcall):
    ran = run_uvcall(*OFFLINE, "--client-buffer", "1s", "--json")
    assert ran.code == 2
    assert "--client-buffer is about the WebSocket medium" in ran.json["error"]["message"]


def test_the_setting_chooses_and_the_flag_wins(run_uvcall):
    env = {"UVCALL_TALK_MEDIUM": "webrtc", "ULTRAVOX_API_KEY": "k" * 20}
    dry = ("talk", "--dry-run", "--prompt", "Be brief.", "--json")
    assert run_uvcall(*dry, env=env).json["ultravox"]["body"]["medium"] == {"webRtc": {}}
    other = run_uvcall(*dry, "--medium", "websocket", env=env).json["ultravox"]["body"]["medium"]
    assert list(other) == ["serverWebSocket"]
    messages = run_uvcall(*dry, "--data-message", "debug", env=env).json["ultravox"]["body"]["medium"]
    assert messages == {"webRtc": {"dataMessages": {"debug": True}}}
