"""`uvcall talk`: with the sandbox and with a peer of its own, as a process and in this one."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import sys
import threading
import time
import wave
from pathlib import Path

import pytest
from support.peer import PeerServer
from support.sound_card import Card

from uvcall.calls.ports import Moment, Progress
from uvcall.cli.app import run
from uvcall.cli.context import Context
from uvcall.cli.output import Output
from uvcall.cli.talk_keys import Keys, keys
from uvcall.cli.talk_screen import bar, talk_screen
from uvcall.core.audio import level, write_wav
from uvcall.softphone import session as s
from uvcall.softphone import soundcard
from uvcall.softphone.manner import Joined, Levels
from uvcall.softphone.transcript import Utterance

PATIENCE_S = 30.0
RATE = 16_000
HELLO = Path(__file__).parents[2] / "uvcall" / "sandbox" / "clips" / "callee-hello.wav"


@pytest.fixture
def talk(tmp_path):
    """Run `uvcall talk ARGV…` in this process; returns the exit code, stdout and stderr."""

    def talk(*argv, env=None, stdin=b""):
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
        environment = {
            "HOME": str(tmp_path),
            "UVCALL_STATE_DIR": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
            **(env or {}),
        }
        stdin_file = tmp_path / "stdin"
        stdin_file.write_bytes(stdin)
        with stdin_file.open() as given:
            code = run(["talk", *argv], Context(environment, given, Output(streams[0], streams[1], environment)))
        told = [stream.buffer.getvalue().decode() for stream in streams]
        for stream in streams:
            stream.close()
        return code, *told

    return talk


@pytest.fixture
def peer():
    server = PeerServer()
    yield server
    server.close()


def joins(peer, script, **more):
    """Return the arguments and environment that join a peer playing this script."""
    url = peer.plays(script).reveal()
    return {"JOIN_URL": url, "UVCALL_ULTRAVOX_BASE_URL": "http://127.0.0.1:9", **more}


# -- the sandbox


def test_a_file_talks_and_the_answer_is_a_file(run_uvcall, home):
    """The README's example, offline."""
    ran = run_uvcall(
        "talk", "--sandbox", "--input", str(HELLO), "--output", "reply.wav", "--save", "kept", "--json", timeout=55
    )
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (0, "completed", "yes"), ran.stderr
    assert {line["role"] for line in ran.json["transcript"]} == {"user", "agent"}
    assert ran.json["provider"] == "ultravox"
    assert ran.json["answered_at"] < ran.json["ended_at"]
    with wave.open(str(home / "reply.wav")) as file:
        assert level(file.readframes(file.getnframes())) > 50
    with wave.open(str(home / ran.json["recording"])) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        samples = file.readframes(file.getnframes())
    for side in (0, 2):
        assert level(b"".join(samples[at + side : at + side + 2] for at in range(0, len(samples), 4))) > 50
    (lines,) = home.glob("kept/*.jsonl")
    assert [json.loads(line)["role"] for line in lines.read_text().splitlines()] == [
        line["role"] for line in ran.json["transcript"]
    ]
    assert "ws://" not in ran.stdout + ran.stderr


def test_what_would_be_sent(talk):
    code, stdout, _ = talk(
        "--sandbox", "--dry-run", "--json", "--text", "--client-tool", f"look_up={sys.executable}", "--prompt", "Be brief.",
        "--input-rate", "24000", "--output-rate", "48000", "--client-buffer", "20s", "--media-idle-timeout", "30s",
        "--data-message", "debug", "--data-message", "pong=off", "--first-speaker", "user", "--greeting", "Hello?",
    )  # fmt: skip
    body = json.loads(stdout)["ultravox"]["body"]
    assert code == 0
    assert body["medium"] == {
        "serverWebSocket": {
            "inputSampleRate": 24000,
            "outputSampleRate": 48000,
            "clientBufferSizeMs": 20000,
            "mediaIdleTimeout": "30s",
            "dataMessages": {"debug": True, "pong": False},
        }
    }
    assert body["initialOutputMedium"] == "MESSAGE_MEDIUM_TEXT"
    assert body["selectedTools"][0]["temporaryTool"]["modelToolName"] == "look_up"
    assert body["firstSpeakerSettings"]["user"]["fallback"]["text"] == "Hello?"


def test_the_body_of_call_stands_where_no_flag_says_otherwise(talk):
    given = {
        "medium": {"serverWebSocket": {"inputSampleRate": 8000, "clientBufferSizeMs": 100}},
        "selectedTools": [{"temporaryTool": {"modelToolName": "mine", "description": "Mine.", "client": {}}}],
    }
    argv = ("--client-tool", f"mine={sys.executable}", "--output-rate", "16000")
    code, stdout, _ = talk("--sandbox", "--dry-run", "--json", "--call", json.dumps(given), *argv)
    body = json.loads(stdout)["ultravox"]["body"]
    assert code == 0
    assert body["medium"]["serverWebSocket"] == {
        "inputSampleRate": 8000,
        "clientBufferSizeMs": 100,
        "outputSampleRate": 16000,
    }
    assert [tool.get("temporaryTool", {}).get("description") for tool in body["selectedTools"]] == ["Mine.", None]


def test_a_signal_hangs_up(start_uvcall):
    process = start_uvcall("talk", "--sandbox", "--input", "silence", "--json", "-v")
    while "connected" not in (line := process.stderr.readline()):
        assert line, "uvcall has ended"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    record = json.loads(stdout)
    assert (process.returncode, record["outcome"], record["exit_code"]) == (143, "interrupted", 143), stderr
    assert (record["placed"], record["end_reason"]) == ("yes", "hung up")
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize(("scenario", "code"), [("agent-drop", 16), ("no-join", 75)])
def test_an_agent_that_does_not_do_its_part(talk, scenario, code):
    got, stdout, _ = talk("--sandbox", "--input", "silence", "--scenario", scenario, "--json")
    assert (got, json.loads(stdout)["exit_code"]) == (code, code)


# -- a peer of our own


async def chat(it):
    await it.start()
    await it.say(type="transcript", role="agent", medium="text", ordinal=0, text="Hello.", final=True)
    await it.until(lambda it: it.of("user_text_message"))
    await it.say(type="transcript", role="user", medium="text", ordinal=1, text="Hi \x1b[2J!", final=True)
    await it.say(type="transcript", role="agent", medium="text", ordinal=2, delta="Bye", final=False)
    await it.socket.close()


def test_typed_lines_and_plain_ones_back(talk, peer):
    code, stdout, stderr = talk("--join-url", "env:JOIN_URL", "--text", env=joins(peer, chat), stdin=b"Hi!\n\n")
    assert code == 0
    assert stdout.startswith("completed, via ultravox")
    assert stderr.splitlines() == [
        "connected",
        "talking: call-1",
        "agent: Hello.",
        "user: Hi \\x1b[2J!",
        "over",
        "agent: Bye",
    ]
    assert [message["text"] for message in peer.peers[0].of("user_text_message")] == ["Hi!"]
    assert [message["medium"] for message in peer.peers[0].of("set_output_medium")] == ["text"]


@pytest.mark.parametrize("where", ["-", "@FILE"])
def test_a_join_url_from_stdin_or_a_file(talk, peer, tmp_path, where):
    async def script(it):
        await it.start()
        await it.socket.close()

    env = joins(peer, script)
    (tmp_path / "url").write_text(env["JOIN_URL"] + "\n")
    given = "-" if where == "-" else f"@{tmp_path / 'url'}"
    code, stdout, _ = talk("--join-url", given, "--input", "silence", "--json", env=env, stdin=env["JOIN_URL"].encode())
    assert (code, json.loads(stdout)["ultravox_call_id"]) == (0, "call-1")


def test_raw_sound_in_and_out(run_uvcall, peer):
    """stdout holds samples and nothing else."""
    sent = b"\x01\x10" * RATE

    async def script(it):
        await it.start()
        await it.socket.send_bytes(b"\x02\x20" * 3200)
        await it.until(lambda it: len(it.heard) >= len(sent) // 2)
        await it.socket.close()

    import subprocess

    env = joins(peer, script)
    done = subprocess.run(
        [sys.executable, "-m", "uvcall", "talk", "--join-url", "env:JOIN_URL", "--input", "-", "--output", "-"],
        input=sent, capture_output=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, **env, "PYTHONPATH": str(HELLO.parents[3])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\x02\x20" * 3200 in done.stdout
    assert set(done.stdout) == {0x00, 0x02, 0x20}
    assert b"completed" in done.stderr
    heard = bytes(peer.peers[0].heard)
    assert b"\x01\x10" * 3200 in heard


MP3 = b"ID3\x04" + bytes(200)
FLOAT = bytearray(write_wav(bytes(64), RATE))
FLOAT[20] = 3  # the format tag of floating point
WAVS = {
    "empty": (b"", "0 bytes"),
    "mp3": (MP3, "an MP3"),
    "float": (bytes(FLOAT), "floating-point"),
    "short": (write_wav(bytes(6400), RATE)[:1000], "cut short"),
    "silent": (write_wav(b"", RATE), "holds no sound"),
}


@pytest.mark.parametrize("name", WAVS)
def test_files_that_are_no_sound(talk, tmp_path, name):
    content, words = WAVS[name]
    path = tmp_path / f"{name}.wav"
    path.write_bytes(content)
    code, stdout, stderr = talk("--sandbox", "--input", str(path), "--json")
    assert (code, json.loads(stdout)["outcome"]) == (2, "usage")
    assert words in json.loads(stdout)["error"]["message"]
    assert stderr == ""


BAD = {
    ("--join-url", "wss://voice.ultravox.ai/calls/secret"): (2, "is a secret"),
    ("--join-url", "env:NOTHING"): (2, "no such variable"),
    ("--join-url", "env:ELSEWHERE"): (2, "not ultravox.ai"),
    ("--join-url", "env:ELSEWHERE", "--voice", "Mark"): (2, "--voice is about a call to be created"),
    ("--text", "--input", "x.wav"): (2, "--text types, and --input speaks"),
    ("--text", "--mute"): (2, "are about a microphone"),
    ("--input", "-", "--push-to-talk"): (2, "is about a microphone"),
    ("--push-to-talk", "--output", "none", "--sandbox"): (2, "needs a terminal"),
    ("--input", "-", "--prompt", "-"): (2, "cannot both read stdin"),
    ("--input", "no-such.wav", "--sandbox"): (2, "cannot be read"),
    ("--input", "silence", "--output", "-", "--json", "--sandbox"): (2, "both want stdout"),
    ("--input", "silence", "--output", "/no/such/dir/x.wav", "--sandbox"): (7, "--output /no/such/dir/x.wav"),
    ("--input-rate", "44050", "--sandbox", "--input", "silence"): (2, "44050 Hz is not a rate"),
    ("--client-buffer", "1h", "--sandbox"): (2, "--client-buffer is out of range"),
    ("--data-message", "pong=perhaps", "--sandbox"): (2, "neither on nor off"),
    ("--data-message", "pnog", "--sandbox"): (2, "pnog"),
    ("--linger", "soon", "--sandbox"): (2, "--linger"),
    ("--client-tool", "x=no-such-program-here", "--sandbox"): (2, "no program"),
    ("--faults", "on"): (2, "steer the sandbox"),
    ("--ok-codes", "x", "--sandbox"): (2, "--ok-codes"),
    ("--input", "silence"): (4, "ultravox.api_key is not set"),
    ("--sandbox",): (7, "audio extra"),
    ("--devices",): (7, "audio extra"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD.items(), ids=map(" ".join, BAD))
def test_what_can_be_known_to_be_wrong_is_said_before_anybody_is_contacted(talk, monkeypatch, argv, expected):
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as without the extra
    code, stdout, stderr = talk(*argv, env={"ELSEWHERE": "wss://evil.example/calls/secret"})
    told = stdout + stderr
    assert code == expected[0]
    assert expected[1] in told
    assert "secret" not in told.replace("is a secret", "")
    assert told.count("error:") == (0 if "--json" in argv else 1)


@pytest.mark.parametrize("argv", [("--text",), ("--input", "-")], ids=" ".join)
def test_stdin_that_was_closed_before_it_began(tmp_path, argv):
    out, env = Output(io.StringIO(), io.StringIO(), {}), {"HOME": str(tmp_path), "UVCALL_STATE_DIR": str(tmp_path)}
    code = run(["talk", "--sandbox", *argv, "--json"], Context(env, None, out))
    record = json.loads(out.stdout.getvalue())
    assert (code, record["outcome"], record["placed"]) == (7, "local_error", "no")
    assert "stdin is closed" in record["error"]["message"]


def test_what_was_said_is_in_the_record_when_the_socket_breaks(talk, peer):
    async def script(it):
        await it.start()
        await it.say(type="transcript", role="agent", medium="voice", ordinal=0, text="Hello.", final=True)
        it.request.transport.abort()

    code, stdout, _ = talk("--join-url", "env:JOIN_URL", "--input", "silence", "--json", env=joins(peer, script))
    record = json.loads(stdout)
    assert (code, record["outcome"], record["end_reason"]) == (16, "agent_failed", "the socket was lost")
    assert [line["text"] for line in record["transcript"]] == ["Hello."]
    assert (
        talk("--join-url", "env:JOIN_URL", "--input", "silence", "--expect", "agent_failed", env=joins(peer, script))[0]
        == 0
    )


# -- keys and screens


class Phone:
    """What the keys move."""

    def __init__(self):
        self.microphone_open, self.left = False, threading.Event()

    def open_microphone(self, *, wanted):
        self.microphone_open = wanted

    def hang_up(self):
        self.left.set()


def test_the_key_m_and_the_space_bar():
    phone = Phone()
    table = Keys(phone, push_to_talk=False)
    table.press("m", 0.0)
    assert phone.microphone_open
    table.press(" ", 0.0)
    table.press("M", 0.0)
    assert not phone.microphone_open
    table = Keys(phone, push_to_talk=True)
    table.press("m", 0.0)
    assert not phone.microphone_open
    table.press(" ", 0.0)
    table.look(0.7)  # a terminal begins to repeat late
    assert phone.microphone_open
    table.press(" ", 0.72)
    table.press(" ", 0.76)
    table.look(0.9)
    assert phone.microphone_open
    table.look(0.97)
    assert not phone.microphone_open
    table.press("q", 1.0)
    assert phone.left.is_set()


def test_keys_are_read_from_a_terminal_and_it_is_given_back():
    import termios

    main, other = pty.openpty()
    phone = Phone()
    with os.fdopen(main, "wb", buffering=0) as types, os.fdopen(other, "rb", buffering=0) as terminal:
        before = termios.tcgetattr(terminal)
        with keys(terminal, phone, push_to_talk=False):
            assert termios.tcgetattr(terminal) != before
            types.write(b"xq")
            assert phone.left.wait(PATIENCE_S)
        assert termios.tcgetattr(terminal) == before


class Terminal(io.StringIO):
    """A terminal that keeps what it was shown."""

    def isatty(self):
        return True

    encoding = "utf-8"


def test_a_person_at_a_terminal(peer, tmp_path, monkeypatch):
    """Microphone, speaker, live screen, keys: muted, and hung up."""
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.setattr(soundcard, "GONE_S", PATIENCE_S)  # this machine may be slower than a card
    terminal = Terminal()

    async def script(it):
        await it.start()
        await it.say(type="state", state="listening")
        await it.until(lambda it: it.of("hang_up"))
        await it.socket.close()

    env = {"HOME": str(tmp_path), "UVCALL_STATE_DIR": str(tmp_path), "TERM": "xterm", **joins(peer, script)}
    main, other = pty.openpty()
    with os.fdopen(main, "wb", buffering=0) as types, os.fdopen(other, encoding="utf-8") as stdin:

        def person():
            until = time.monotonic() + PATIENCE_S
            for shown, key in (("listening", b"m"), ("muted", b"q")):
                while shown not in terminal.getvalue() and time.monotonic() < until:
                    for stream in card.streams:  # what the card brings and fetches
                        stream.callback(bytearray(stream.block * 2), stream.block, None, None)
                    time.sleep(0.005)
                types.write(key)

        typist = threading.Thread(target=person)
        typist.start()
        out = Output(io.StringIO(), terminal, env)
        code = run(["talk", "--join-url", "env:JOIN_URL"], Context(env, stdin, out))
        typist.join(PATIENCE_S)
    assert code == 0, terminal.getvalue()
    assert out.stdout.getvalue().startswith("completed, via ultravox")
    assert "wear headphones" in terminal.getvalue()
    assert [stream.started for stream in card.streams] == [False, False]


def test_devices_are_listed(talk, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", Card())
    code, stdout, _ = talk("--devices")
    assert (code, stdout.splitlines()) == (
        0,
        ["  0  Mic (default)  --input mic:0", "  1  Out (default)  --output speaker:1"],
    )
    assert json.loads(talk("--devices", "--json")[1])[0]["name"] == "Mic"


SPOKEN = (
    s.Spoken(Utterance(0, "agent", "Hello", 0.1)),
    s.Spoken(Utterance(0, "agent", "Hello there.", 0.1, final=True)),
    s.Spoken(Utterance(1, "user", "I was cut", 0.9)),
)


def test_the_live_screen_shows_state_levels_and_words():
    terminal = Terminal()
    out = Output(io.StringIO(), terminal, {"TERM": "xterm"})
    with talk_screen(out, typing=False, keys="q hangs up") as screen:
        screen.progress(Progress(Moment.CREATED, "c1"))
        for news in (Joined(), s.Started("c1"), s.AgentState("speaking"), Levels(300, 13_000, open=True),
                     s.RoundTrip(0.042), s.Note("a note"), s.Note("a detail", detail=True), *SPOKEN):  # fmt: skip
            screen.news(news)
        screen._live.refresh()
        screen.news(Levels(0, 0, open=False))
        screen._live.refresh()
        screen.progress(Progress(Moment.NOTE, "another"))
    shown = terminal.getvalue()
    for words in (
        "speaking",
        "you",
        "agent",
        "42 ms",
        "q hangs up",
        "Hello there.",
        "I was cut",
        "a note",
        "another",
        "muted",
    ):
        assert words in shown, words
    assert "a detail" not in shown
    assert "\u2588" in shown


def test_plain_lines_elsewhere_and_for_those_who_type():
    stderr = io.StringIO()
    with talk_screen(Output(io.StringIO(), stderr, {}, verbose=True), typing=False, keys="") as screen:
        for news in (s.AgentState("speaking"), Levels(1, 1, open=True), s.Note("a detail", detail=True), *SPOKEN):
            screen.news(news)
    assert stderr.getvalue().splitlines() == [
        "agent: speaking",
        "a detail",
        "agent: Hello there.",
        "user: I was cut",
    ]
    assert not hasattr(talk_screen(Output(io.StringIO(), Terminal(), {"TERM": "xterm"}), typing=True, keys=""), "_live")


def test_a_level_is_a_character():
    assert [bar(loud) for loud in (0, 750, 3_000, 40_000)] == [" ", "▂", "▄", "█"]
    assert bar(40_000, ascii_only=True) == "%"
