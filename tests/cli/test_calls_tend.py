"""`calls watch|say|hangup|transcript|recording|events` as processes: live calls in a sandbox, and an Ultravox that lies."""

import io
import json
import os
import pty
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
import wave

import pytest
from conftest import Ran, clean_environment
from support.vendor import half, huge, nobody, nothing, packed, reset, says, serving

from uvcall.cli import app
from uvcall.cli.context import Context
from uvcall.cli.output import Output

CALL = "5a2c1b60-0000-4000-8000-0242ac110002"
NUMBER, BUSY = "+12025550100", "+12025550101"
STORY = tuple(f"This is sentence number {number} of a story that takes its time." for number in range(60))
SOUND = bytes(range(256)) * 400
WAV = b"RIFF" + (len(SOUND) + 4).to_bytes(4, "little") + b"WAVE" + SOUND
OVER = {"callId": CALL, "created": "2026-03-01T12:00:00Z", "joined": "2026-03-01T12:00:00Z",
        "ended": "2026-03-01T12:01:00Z", "endReason": "hangup", "recordingEnabled": True}  # fmt: skip
LIVE = {**OVER, "ended": None, "endReason": None}
WAITS = {**LIVE, "joined": None}
KEY = "abcdefgh." + "1" * 32
PATH = f"/api/calls/{CALL}"


# Live calls


@pytest.fixture(scope="module")
def long_calls():
    """A sandbox whose agent tells a long story."""
    from uvcall.sandbox.app import start
    from uvcall.sandbox.world import Options

    with start(Options(speed=4, seed=1, agent_script=STORY)) as running:
        yield running


def talking(running, call_id, within=30.0):
    """Wait until the agent has said something."""
    from uvcall.core.secret import Secret
    from uvcall.ultravox import Ultravox

    client = Ultravox(Secret(running.ready["env"]["ULTRAVOX_API_KEY"]), base_url=running.ready["ultravox"])
    deadline = time.monotonic() + within
    while not [line for line in client.transcript(call_id) if line.role == "agent"]:
        assert time.monotonic() < deadline, "the agent never spoke"
        time.sleep(0.05)
    client.close()


def test_a_live_call_is_watched_steered_kept_and_ended(run_uvcall, start_uvcall, long_calls, home):
    env = long_calls.ready["env"]
    begun = run_uvcall("dial", NUMBER, "--provider", "telnyx", "--detach", "--record", "--json", "-q", env=env).json
    ids = [begun["attempt_id"], begun["ultravox_call_id"], begun["carrier_call_id"]]
    talking(long_calls, ids[1])
    watching = start_uvcall("calls", "watch", ids[0][:8], "--json", env=env)

    told = run_uvcall("calls", "say", ids[2], "One moment, please.", "--json", env=env)
    assert (told.code, told.json["ultravox_call_id"], told.json["urgency"]) == (0, ids[1], "immediate")
    ran = run_uvcall("calls", "say", ids[1], "-", "--as", "user", env=env, stdin="Are you there?\n")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "told to the agent\n")
    ran = run_uvcall("calls", "recording", ids[0], env=env)
    assert (ran.code, "comes after its end" in ran.stderr) == (75, True)
    assert list(home.glob("*.wav")) == []

    ran = run_uvcall("calls", "hangup", ids[0], "--json", env=env)
    assert (ran.code, ran.json["carrier"], ran.json["agent"], ran.json["over"]) == (0, "hung_up", "hung_up", True)
    again = run_uvcall("calls", "hangup", ids[1], "--json", env=env)
    assert (again.code, again.json["carrier"], again.json["agent"]) == (0, "over", "over")
    said, stderr = watching.communicate(timeout=40)
    record = json.loads(said)
    assert (watching.returncode, record["outcome"], record["attempt_id"]) == (0, "completed", ids[0])
    assert "over" in stderr.splitlines()
    assert "One moment, please." in [line["text"] for line in record["transcript"]]
    assert run_uvcall("calls", "say", ids[0], "Too late.", env=env).code == 5

    ran = run_uvcall("calls", "recording", ids[0], "--json", env=env)
    assert ran.code == 0
    file = home / f"{ids[0]}.wav"
    assert ran.json == {"ultravox_call_id": ids[1], "recording": file.name, "bytes": file.stat().st_size}
    with wave.open(str(file)) as recording:
        assert recording.getnframes() > 1000
    assert run_uvcall("calls", "recording", ids[0], env=env).code == 2

    ran = run_uvcall("calls", "transcript", ids[0], "--format", "jsonl", env=env)
    assert [json.loads(line)["text"] for line in ran.stdout.splitlines()] == [
        line["text"] for line in record["transcript"]
    ]
    ran = run_uvcall("calls", "transcript", ids[1], "-o", "call.vtt", env=env)
    assert (ran.code, ran.stdout) == (0, "")
    assert (home / "call.vtt").read_text().startswith("WEBVTT\n\n00:00:")
    assert run_uvcall("calls", "events", ids[0], "--severity", "debug", "--json", env=env).code == 0


def test_a_running_sandbox_stands_in_for_the_vendors(run_uvcall, long_calls, home):
    from uvcall.cli.sandbox_place import known_place

    env = long_calls.ready["env"]
    id_ = run_uvcall("dial", NUMBER, "--provider", "twilio", "--detach", "--json", "-q", env=env).json["attempt_id"]
    mine = {"ULTRAVOX_API_KEY": KEY, "TWILIO_AUTH_TOKEN": "1" * 32, "UVCALL_ULTRAVOX_BASE_URL": "http://127.0.0.1:1"}
    ran = run_uvcall("calls", "events", id_, "--sandbox", env=mine)
    assert (ran.code, ran.stdout) == (7, "")
    assert "sandbox serve" in ran.stderr
    with known_place(home / "uvcall") as note:
        note(long_calls.ready["ultravox"])
        talking(long_calls, run_uvcall("calls", "show", id_, "--json").json["ultravox_call_id"])
        assert run_uvcall("calls", "say", id_, "One moment.", "--sandbox", env=mine).code == 0
        ran = run_uvcall("calls", "hangup", id_, "--sandbox", "--json", env=mine)
        assert (ran.code, ran.json["carrier"], ran.json["over"]) == (0, "hung_up", True)
        assert run_uvcall("calls", "watch", id_, "--sandbox", env=mine).code == 0
        assert run_uvcall("calls", "transcript", id_, "--sandbox", env=mine).stdout
        assert run_uvcall("calls", "events", id_, "--sandbox", env=mine).code == 0
        assert run_uvcall("calls", "recording", id_, "--sandbox", env=mine).code == 5  # it was not recorded
        ran = run_uvcall("calls", "show", id_, "--refresh", "--sandbox", "--json", env=mine)
        assert (ran.code, ran.json["outcome"]) == (0, "completed")
        assert run_uvcall("reconcile", "--sandbox", "--json", env=mine).code == 0


def test_a_call_that_another_process_follows_is_hung_up_and_it_notices(run_uvcall, start_uvcall, long_calls):
    env = long_calls.ready["env"]
    follower = start_uvcall("dial", NUMBER, "--provider", "plivo", "--json", "-q", env=env)
    deadline = time.monotonic() + 30
    while not (found := [one for one in run_uvcall("calls", "list", "--json").json if one["ultravox_call_id"]]):
        assert time.monotonic() < deadline
    talking(long_calls, found[0]["ultravox_call_id"])
    ran = run_uvcall("calls", "hangup", found[0]["attempt_id"], env=env)
    assert (ran.code, ran.stdout) == (0, "phone leg hung up, agent hung up\n")
    stdout, _ = follower.communicate(timeout=40)
    assert (follower.returncode, json.loads(stdout)["outcome"]) == (0, "completed")


def test_a_call_that_is_over_is_told_from_the_journal(run_uvcall, sandbox):
    env = sandbox.ready["env"]
    busy = run_uvcall("dial", BUSY, "--provider", "twilio", "--json", "-q", env=env).json
    ran = run_uvcall("calls", "watch", busy["attempt_id"], "--json", env=env)
    assert (ran.code, ran.json["outcome"], ran.json["carrier_call_id"]) == (10, "busy", busy["carrier_call_id"])
    assert run_uvcall("calls", "watch", busy["attempt_id"], "--expect", "busy", "-q", env=env).code == 0
    ran = run_uvcall("calls", "hangup", busy["attempt_id"], env={})  # no vendor is asked
    assert (ran.code, ran.stdout) == (0, "phone leg over already, agent over already, ended as busy\n")
    ran = run_uvcall("calls", "transcript", busy["attempt_id"], env=env)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "nothing has been said\n")
    assert len(run_uvcall("calls", "list", "--state", "ended", "--outcome", "busy", "--json").json) == 1
    assert run_uvcall("calls", "list", "--state", "placed", "--json").json == []


# An Ultravox that says anything


@pytest.fixture
def vendor():
    with serving() as made:
        yield made


@pytest.fixture
def env(vendor):
    return {"ULTRAVOX_API_KEY": KEY, "UVCALL_ULTRAVOX_BASE_URL": vendor.url}


@pytest.fixture
def uvcall(home, monkeypatch):
    """Run uvcall in this process, which has loaded everything."""
    monkeypatch.chdir(home)
    (home / "uvcall").mkdir(mode=0o700)

    def run(*argv, env, stdin=""):
        out, err = io.StringIO(), io.StringIO()
        known = {"UVCALL_CONFIG": str(home / "config.toml"), "UVCALL_STATE_DIR": str(home / "uvcall"), **env}
        code = app.run(list(argv), Context(known, io.StringIO(stdin), Output(out, err, known)))
        return Ran(argv, code, out.getvalue(), err.getvalue())

    return run


COMMANDS = {
    "watch": ("watch", CALL),
    "hangup": ("hangup", CALL),
    "transcript": ("transcript", CALL),
    "recording": ("recording", CALL),
    "events": ("events", CALL),
}


def fails(ran, code):
    """Assert that it ended in one line of error and one of how to mend it."""
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") <= 2
    assert "Traceback" not in ran.stderr
    assert KEY not in ran.stderr


#: A reply, the code of a command that only asks, and the code of one that speaks: 5 too where it may have been heard.
REPLIES = {
    "another-account": (says(404, {"detail": "No Call matches the given query."}), 5, 5),
    "wrong-key": (says(401, {"detail": "Invalid API key."}), 4, 4),
    "429": (says(429, {"detail": "Slow down."}, headers={"Retry-After": "3600"}), 75, 75),
    "500": (says(500, "<html>oops</html>", kind="text/html"), 75, 5),
    "html": (says(200, "<html>sign in to this network</html>", kind="text/html"), 5, 5),
    "half": (half, 75, 5),
    "nothing": (nothing, 75, 5),
    "reset": (reset, 75, 5),
    "huge": (huge, 5, 5),
    "packed": (packed, 5, 5),
}
UNSURE = {name for name, (_, asks, speaks) in REPLIES.items() if asks != speaks} | {"html", "huge", "packed"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["another-account", "500", "html", "half"])
def test_an_ultravox_that_answers_anything(uvcall, vendor, env, command, name):
    reply, code, _ = REPLIES[name]
    vendor.will(*[reply] * 40)
    fails(uvcall("calls", *COMMANDS[command], env=env), code)


@pytest.mark.parametrize("name", REPLIES)
def test_words_are_sent_once_whatever_comes_back(uvcall, vendor, env, name):
    reply, _, code = REPLIES[name]
    vendor.will(*[reply] * 4)
    ran = uvcall("calls", "say", CALL, "Hello.", env=env)
    fails(ran, code)
    assert ("may have been said" in ran.stderr) == (name in UNSURE)
    assert [heard.json["content"] for heard in vendor.posts] == ["Hello."]


def test_nobody_is_there(uvcall):
    env = {"ULTRAVOX_API_KEY": KEY, "UVCALL_ULTRAVOX_BASE_URL": nobody()}
    for argv in (("say", CALL, "Hello."), *COMMANDS.values()):
        fails(uvcall("calls", *argv, env=env), 75)


@pytest.mark.parametrize(("call", "code", "words"), [(WAITS, 75, "not been joined yet"), (OVER, 5, "is over since")])
def test_nobody_listens(uvcall, vendor, env, call, code, words):
    vendor.on("POST", f"{PATH}/send_data_message", says(422, {"detail": "The call is not active."}))
    vendor.on("GET", PATH, says(200, call))
    ran = uvcall("calls", "say", CALL, "Hello.", env=env)
    fails(ran, code)
    assert words in ran.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("say", CALL, ""),
        ("say", CALL, "x" * 15_001),
        ("say", CALL, "\udc80"),
        ("say", CALL, "@missing.txt"),
        ("say", CALL, "Hello.", "--urgency", "later"),
        ("say", CALL, "Hello.", "--as", "user", "--uninterruptible"),
        ("say", CALL, "Hello.", "--as", "nobody"),
        ("say", "CA0", "Hello."),
        ("hangup", "0123456789"),
        ("watch", "\udc80"),
        ("watch", CALL, "--timeout", "soon"),
        ("watch", CALL, "--expect", "bussy"),
        ("events", CALL, "--severity", "bad"),
        ("transcript", CALL, "--format", "pdf"),
        ("transcript", CALL, "--json", "-o", "x"),
        ("transcript", CALL, "-o", "."),
        ("recording", CALL, "-o", "-", "--json"),
        ("recording", CALL, "-o", "/dev/full", "--force"),
        ("recording",),
    ],
)
def test_what_is_wrong_on_the_command_line(uvcall, vendor, env, argv, capsys):
    ran = uvcall("calls", *argv, env=env)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr or capsys.readouterr().err  # the parser prints by itself
    assert vendor.heard == []


def test_a_missing_key_is_said_before_anything_is_asked(uvcall, vendor):
    ran = uvcall("calls", "transcript", CALL, env={"UVCALL_ULTRAVOX_BASE_URL": vendor.url})
    assert ran.code in {4, 6}
    assert vendor.heard == []


# Transcripts and events


UGLY = "\x1b[31mred\x1b[0m\nforged: line \u202eevil שלום 👩‍🚀 --> \x9b"


def test_a_transcript_of_ugly_words(uvcall, vendor, env, home):
    said = [
        {"role": "MESSAGE_ROLE_AGENT", "text": UGLY, "timespan": {"start": "1s", "end": "2.5s"}},
        {"role": "MESSAGE_ROLE_TOOL_CALL", "text": '{"day": 1}', "toolName": "book"},
    ]
    vendor.on("GET", f"{PATH}/messages", says(200, {"results": said, "next": None}))
    plain = "agent: \\x1b[31mred\\x1b[0m forged: line \\u202eevil שלום 👩‍🚀 --> \\x9b\n"
    assert uvcall("calls", "transcript", CALL, env=env).stdout == plain
    assert uvcall("calls", "transcript", CALL, "--tools", env=env).stdout == plain + 'tool_call book: {"day": 1}\n'
    ran = uvcall("calls", "transcript", CALL, "--json", "--tools", env=env)
    assert [one["text"] for one in ran.json] == [UGLY, '{"day": 1}']
    assert ran.stdout.isascii()
    for ending, words in (("srt", "1\n00:00:01,000 --> 00:00:02,500\nagent: "), ("vtt", "WEBVTT\n\n00:00:01.000")):
        assert uvcall("calls", "transcript", CALL, "-o", f"call.{ending}", env=env).code == 0
        assert (home / f"call.{ending}").read_text().startswith(words)
    assert uvcall("calls", "transcript", CALL, "-o", "call.srt", env=env).code == 2
    assert uvcall("calls", "transcript", CALL, "-o", "call.srt", "--force", env=env).code == 0
    assert uvcall("calls", "transcript", CALL, "-o", "no/where.txt", env=env).code == 7


def test_events_hide_what_is_secret(uvcall, vendor, env):
    event = {
        "callTimestamp": "1.5s", "severity": "warning", "type": "media", "wallClockTimestamp": None,
        "text": "joined wss://voice.ultravox.ai/calls/x\nforged", "extras": {"key": KEY, "deep": [KEY]},
    }  # fmt: skip
    vendor.on("GET", f"{PATH}/events", says(200, {"results": [event], "next": None}))
    ran = uvcall("calls", "events", CALL, env=env)
    assert ran.stdout.splitlines()[1].split()[:4] == ["1.5s", "warning", "media", "joined"]
    assert len(ran.stdout.splitlines()) == 2
    ran = uvcall("calls", "events", CALL, "--json", "--severity", "warning", "--type", "media", env=env)
    assert ran.json[0]["extras"] == {"key": "[secret]", "deep": ["[secret]"]}
    assert "wss:" not in ran.stdout
    assert vendor.heard[-1].query == {"minimum_severity": "warning", "type": "media", "pageSize": "100"}


# Recordings


@pytest.fixture
def stored(vendor):
    """A storage host of its own, to which Ultravox redirects."""
    with serving() as storage:
        vendor.on("GET", PATH, says(200, OVER))
        vendor.on("GET", f"{PATH}/recording", says(302, headers={"Location": f"{storage.url}/b/a.wav?sig=1"}))
        storage.on("GET", "/b/a.wav", says(200, WAV, kind="audio/wav"))
        yield storage


def test_the_storage_never_sees_the_key(uvcall, env, home, stored):
    ran = uvcall("calls", "recording", CALL, env=env)
    assert (ran.code, ran.stdout) == (0, f"{CALL}.wav\n")
    file = home / f"{CALL}.wav"
    assert file.read_bytes() == WAV
    assert [path.name for path in home.iterdir() if "wav" in path.name or "part" in path.name] == [file.name]
    assert KEY not in json.dumps([heard.headers for heard in stored.heard])
    assert len(stored.heard) == 1


def as_process(home, env, *argv, **more):
    """Run uvcall where a test needs bytes, or a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "uvcall", "calls", *argv],
        env={**clean_environment(home), **env}, cwd=home, timeout=50, check=False, **more,
    )  # fmt: skip


def test_a_recording_on_stdout(env, stored, home):
    done = as_process(home, env, "recording", CALL, "-o", "-", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, WAV, b"")


def test_nobody_reads_stdout(env, stored, home):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        done = as_process(home, env, "recording", CALL, "-o", "-", stdout=stdout, stderr=subprocess.PIPE)
    assert done.returncode == 7
    assert done.stderr.count(b"\n") <= 2


def test_a_terminal_sees_how_far_it_is(env, stored, home):
    main, other = pty.openpty()
    done = as_process(home, {**env, "TERM": "xterm", "COLUMNS": "90"}, "recording", CALL, stdout=other, stderr=other)
    os.close(other)
    screen = os.read(main, 65536).decode()
    os.close(main)
    assert done.returncode == 0
    assert "102.4" in screen
    assert f"{CALL}.wav" in screen


def test_a_file_that_is_there_is_kept(uvcall, env, home, stored):
    file = home / "a.wav"
    file.write_text("mine")
    fails(uvcall("calls", "recording", CALL, "-o", "a.wav", env=env), 2)
    assert stored.heard == []
    assert file.read_text() == "mine"
    assert uvcall("calls", "recording", CALL, "-o", "a.wav", "--force", env=env).code == 0
    assert file.read_bytes() == WAV


def test_a_recording_that_ends_early_is_kept_and_told(uvcall, env, home, stored):
    stored.on("GET", "/b/a.wav", says(200, WAV[:-1000]))
    ran = uvcall("calls", "recording", CALL, env=env)
    assert ran.code == 0
    assert "warning: the recording ends 1,000 bytes before its header says" in ran.stderr


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (says(404, "gone", kind="text/html"), 75),
        (says(200, "<html>", kind="text/html"), 5),
        (says(302, headers={"Location": "http://storage.example/a.wav"}), 5),
        (says(302, headers={"Location": "/b/a.wav"}), 5),
        (says(200, WAV, headers={"Content-Length": str(3 * 1024**3)}), 5),
        (half, 75),
    ],
    ids=["404", "html", "http", "a-circle", "3-GB", "half"],
)
def test_a_storage_that_answers_anything(uvcall, env, home, stored, reply, code):
    before = sorted(home.iterdir())
    stored.on("GET", "/b/a.wav", reply)
    fails(uvcall("calls", "recording", CALL, env=env), code)
    assert [path for path in sorted(home.iterdir()) if path not in before and path.name != "uvcall"] == []


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (LIVE, 75, "comes after its end"),
        ({**OVER, "recordingEnabled": False}, 5, "was not recorded"),
        ({**OVER, "joined": None, "endReason": "unjoined"}, 5, "nobody joined"),
    ],
)
def test_there_is_no_recording(uvcall, vendor, env, call, code, words):
    vendor.on("GET", PATH, says(200, call))
    ran = uvcall("calls", "recording", CALL, env=env)
    fails(ran, code)
    assert words in ran.stderr


def test_a_full_disk(env, home, stored):
    """A limit on the size of files stands for the disk."""
    program = f"ulimit -f 96; exec {shlex.quote(sys.executable)} -m uvcall calls recording {CALL}"
    done = subprocess.run(
        ["bash", "-c", program], env={**clean_environment(home), **env}, cwd=home, capture_output=True, text=True,
        timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith("error: the recording cannot be written: File too large")
    assert not [path for path in home.iterdir() if "wav" in path.name]


def test_a_signal_leaves_no_half_of_a_file(start_uvcall, env, home, stored):
    begun = threading.Event()

    def slowly(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(WAV)))
        handler.end_headers()
        handler.wfile.write(WAV[:5000])
        handler.wfile.flush()
        begun.set()
        end.wait(30)
        handler.close_connection = True

    end = threading.Event()
    stored.on("GET", "/b/a.wav", slowly)
    running = start_uvcall("calls", "recording", CALL, env=env)
    assert begun.wait(30)
    running.send_signal(signal.SIGTERM)
    stdout, stderr = running.communicate(timeout=30)
    end.set()
    assert (running.returncode, stdout, stderr) == (143, "", "error: interrupted: nothing was kept\n")
    assert not [path for path in home.iterdir() if "wav" in path.name]


# What there is to choose from


def test_lists(uvcall, vendor, env, home):
    voices = [
        {"voiceId": "v-1", "name": "Mark", "description": "calm", "primaryLanguage": "en-US", "provider": "lmnt"},
        {"voiceId": "v-2", "name": "Susi", "description": None, "primaryLanguage": "de-DE", "provider": None},
        {"voiceId": "v-3", "name": "Mark", "description": "\x1b[31mloud", "primaryLanguage": "de"},
        {"voiceId": "v-4", "name": "$(reboot)"},
    ]

    def page(handler):
        second = vendor.heard[-1].query.get("cursor") == "2"
        say = {"results": voices[2:], "next": None} if second else {"results": voices[:2], "next": "?cursor=2"}
        says(200, say)(handler)

    vendor.on("GET", "/api/voices", page)
    ran = uvcall("config", "voices", env=env)
    assert (ran.code, ran.stderr) == (0, "")
    assert [line.split()[0] for line in ran.stdout.splitlines()[1:]] == ["Mark", "Susi", "Mark", "$(reboot)"]
    assert "\x1b" not in ran.stdout
    ran = uvcall("config", "voices", "--language", "de", "--json", env=env)
    assert [(voice["id"], voice["language"]) for voice in ran.json] == [("v-2", "de-DE"), ("v-3", "de")]
    assert [voice["id"] for voice in uvcall("config", "voices", "--search", "CALM", "--json", env=env).json] == ["v-1"]
    kept = home / "uvcall" / "names" / "voices"
    assert kept.read_text() == "Susi\tde-DE\nv-1\tMark\nv-3\tMark\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    vendor.on("GET", "/api/agents", says(200, {"results": [{"agentId": "a-1", "name": "Reception"}], "next": None}))
    vendor.on("GET", "/api/models", says(200, {"results": [{"name": "ultravox-v0.7"}], "next": None}))
    assert uvcall("config", "agents", "--json", env=env).json == [{"id": "a-1", "name": "Reception", "model": None}]
    assert (home / "uvcall" / "names" / "agents").read_text() == "a-1\tReception\n"
    assert uvcall("config", "models", env=env).stdout == "ultravox-v0.7\n"
    assert uvcall("config", "models", "--search", "gpt", env=env).stderr == "no models like that\n"


def test_lists_of_the_sandbox_are_not_kept(run_uvcall, home):
    ran = run_uvcall("config", "voices", "--sandbox", "--json")
    assert ran.code == 0
    assert ran.json
    assert not (home / "uvcall" / "names").exists()


@pytest.mark.parametrize(("name", "code"), [("wrong-key", 4), ("500", 75), ("html", 5), ("huge", 5), ("half", 75)])
def test_a_list_that_cannot_be_had_leaves_the_names_alone(uvcall, vendor, env, home, name, code):
    names = home / "uvcall" / "names"
    names.mkdir()
    (names / "agents").write_text("a-1\tReception\n")
    vendor.on("GET", "/api/agents", REPLIES[name][0])
    fails(uvcall("config", "agents", env=env), code)
    assert (names / "agents").read_text() == "a-1\tReception\n"
