"""`uvcall dial` as a process: exit code, stdout, stderr, and what the peers saw."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import wave

import pytest

CARRIERS = ("telnyx", "twilio", "plivo")

#: Scenario → exit code and outcome, as the contract has them.
SCENARIOS = {
    "answer": (0, "completed"),
    "busy": (10, "busy"),
    "no-answer": (11, "no_answer"),
    "rejected": (14, "rejected"),
    "voicemail": (13, "voicemail"),
    "failed": (12, "failed"),
    "mute": (0, "completed"),
    "hangup-early": (0, "completed"),
    "lost-reply": (0, "completed"),
    "rate-limited": (0, "completed"),
    "no-join": (15, "silent"),
    "agent-drop": (16, "agent_failed"),
}
NUMBER = "+12025550100"
#: The scenarios that a number of the sandbox chooses: its last digit is the place here.
BY_NUMBER = ("answer", "busy", "no-answer", "rejected", "voicemail", "failed", "mute", "hangup-early", "lost-reply",
             "rate-limited")  # fmt: skip
#: How much faster the world may go: who hangs up at once must still leave the stream the time to open on a busy machine.
SPEEDS = {"hangup-early": "1"}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_through_every_carrier(run_uvcall, carrier, scenario):
    by_number = carrier == "twilio" and scenario in BY_NUMBER
    chosen = [f"+1202555010{BY_NUMBER.index(scenario)}"] if by_number else [NUMBER, "--scenario", scenario]
    speed = SPEEDS.get(scenario, "8")
    ran = run_uvcall("dial", *chosen, "--provider", carrier, "--sandbox", "--speed", speed, "--json", "-q")
    code, outcome = SCENARIOS[scenario]
    record = ran.json
    assert (ran.code, record["outcome"], record["exit_code"]) == (code, outcome, code)
    assert (record["placed"], record["retry_safe"], record["error"]) == ("yes", False, None)
    assert record["provider"] == carrier
    assert record["carrier_call_id"]
    assert record["ultravox_call_id"]
    assert ran.stderr == ""
    roles = {line["role"] for line in record["transcript"]}
    if scenario in {"answer", "lost-reply", "rate-limited"}:
        assert roles == {"user", "agent"}
    if scenario == "mute":
        assert roles == {"agent"}
    if scenario in {"busy", "no-answer", "rejected", "failed", "no-join"}:
        assert roles == set()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_example_of_the_readme(run_uvcall, carrier):
    ran = run_uvcall("dial", "+15551234567", "--provider", carrier, "--sandbox", "--speed", "4", "--json")
    assert ran.code == 0
    assert ran.json["outcome"] == "completed"
    assert {line["role"] for line in ran.json["transcript"]} == {"user", "agent"}
    assert "warning: " in ran.stderr  # 555 is no area code


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("scenario", ["lost-reply", "rate-limited", "answer"])
def test_one_leg_and_no_more(run_uvcall, sandbox, carrier, scenario):
    number = {"answer": "+12025550100", "lost-reply": "+12025550108", "rate-limited": "+12025550109"}[scenario]
    ran = run_uvcall("dial", number, "--provider", carrier, "--json", "-q", env=sandbox.ready["env"])
    assert ran.code == 0
    placed = [event for event in sandbox.history() if event["type"] == "call.placed"]
    assert len(placed) == 1
    assert (placed[0]["peer"], placed[0]["to"]) == (carrier, number)
    assert ran.json["carrier_call_id"] in {placed[0]["carrier_call_id"], *ran.json["carrier_ids"].values()}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_via_ultravox(run_uvcall, carrier):
    ran = run_uvcall(
        "dial", NUMBER, "--provider", carrier, "--via", "ultravox", "--sandbox", "--speed", "4", "--json", "-q"
    )
    assert (ran.code, ran.json["outcome"]) == (0, "completed")
    assert ran.json["carrier_call_id"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_via_ultravox_busy(run_uvcall, carrier):
    ran = run_uvcall(
        "dial", "+12025550101", "--provider", carrier, "--via", "ultravox", "--sandbox", "--speed", "4", "--json", "-q"
    )
    assert (ran.code, ran.json["outcome"]) == (10, "busy")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_save_keeps_both_sides(run_uvcall, tmp_path, carrier):
    ran = run_uvcall("dial", NUMBER, "--provider", carrier, "--sandbox", "--save", str(tmp_path), "--json", "-q")
    record = ran.json
    assert record["outcome"] == "completed"
    with wave.open(record["recording"]) as recording:
        assert recording.getnchannels() == 2
        assert recording.getnframes() / recording.getframerate() > 1.5
        frames = memoryview(recording.readframes(recording.getnframes())).cast("h")
    for side in (frames[0::2], frames[1::2]):
        loud = sum(1 for sample in side if abs(sample) > 1000)
        assert loud > 2000
    stem = tmp_path / record["attempt_id"]
    lines = [json.loads(line) for line in stem.with_suffix(".jsonl").read_text().splitlines()]
    assert lines == record["transcript"]
    assert stem.with_suffix(".txt").read_text().splitlines()[0].startswith(f"{lines[0]['role']}: ")
    assert sorted(path.suffix for path in tmp_path.glob(f"{record['attempt_id']}*")) == [".jsonl", ".txt", ".wav"]


def test_plain_lines_on_stderr_and_one_result_on_stdout(run_uvcall):
    ran = run_uvcall("dial", NUMBER, "--provider", "telnyx", "--sandbox", "--speed", "4")
    assert ran.code == 0
    assert ran.stdout.count("\n") == 1
    assert ran.stdout.startswith("completed: +12025550100, via telnyx, ")
    said = ran.stderr.splitlines()
    events = [line for line in said if ": " not in line]
    # Ringing and the moment before the agent's first word are short: a look may come too late for either.
    assert [line for line in events if line not in {"ringing", "answered"}] == ["dialing", "talking", "over"]
    assert set(events) <= {"dialing", "ringing", "answered", "talking", "over"}
    assert any(line.startswith("agent: ") for line in said)
    assert any(line.startswith("user: ") for line in said)


def test_a_phone_that_rings_long_enough_is_seen_to_ring(run_uvcall):
    ran = run_uvcall("dial", "+12025550102", "--provider", "telnyx", "--sandbox", "--speed", "10")
    assert [line for line in ran.stderr.splitlines() if ": " not in line] == ["dialing", "ringing", "over"]


def test_faults_tell_the_seed_that_repeats_them(run_uvcall):
    dial = ("dial", "+12025550101", "--provider", "twilio", "--sandbox", "--speed", "20",
            "--faults", "twilio.rate-limit=0.5,ultravox.server-error=0.5")  # fmt: skip
    first = run_uvcall(*dial)
    seed = first.stderr.partition("sandbox: seed ")[2].partition("\n")[0]
    assert seed.isdigit()
    again = run_uvcall(*dial, "--seed", seed)

    def ordering(ran):
        return [line.partition(": ")[0] for line in ran.stderr.partition("placed")[0].splitlines()]

    assert ordering(again) == ordering(first)
    assert again.code == first.code
    assert "seed" not in run_uvcall(*dial[:-2]).stderr


def test_expect_and_ok_codes(run_uvcall):
    base = ("dial", "+12025550101", "--provider", "twilio", "--sandbox", "--speed", "10", "-q")
    assert run_uvcall(*base, "--expect", "busy,no_answer").code == 0
    assert run_uvcall(*base, "--expect", "completed").code == 10
    assert run_uvcall(*base, "--ok-codes", "10,11").code == 0
    assert run_uvcall(*base, "--expect", "buzy").code == 2
    answered = ("dial", NUMBER, "--provider", "twilio", "--sandbox", "--speed", "10", "-q")
    assert run_uvcall(*answered, "--expect", "busy").code == 32


@pytest.mark.parametrize("carrier", CARRIERS)
def test_dry_run_contacts_nobody_and_shows_no_secret(run_uvcall, sandbox, carrier):
    ran = run_uvcall("dial", NUMBER, "--provider", carrier, "--dry-run", "--json", env=sandbox.ready["env"])
    assert ran.code == 0
    shown = ran.json
    assert shown["ultravox"]["body"]["firstSpeakerSettings"]["user"]["fallback"]["delay"] == "4s"
    assert shown["ultravox"]["body"]["joinTimeout"] == "95s"
    assert "firstSpeaker" not in shown["ultravox"]["body"]
    carriers_words = json.dumps(shown["carrier"])
    assert {"telnyx": "both_tracks", "twilio": "<Connect>", "plivo": "answer_url"}[carrier] in carriers_words
    for name, value in sandbox.ready["env"].items():
        if "KEY" in name or "TOKEN" in name:
            assert value not in ran.stdout + ran.stderr
    assert "ws://" not in ran.stdout
    assert "wss://" not in ran.stdout
    assert [event for event in sandbox.history() if event["type"] == "request"] == []


@pytest.mark.parametrize("carrier", ["telnyx", "plivo"])
def test_detach_leaves_the_call_alone(run_uvcall, sandbox, carrier):
    ran = run_uvcall("dial", NUMBER, "--provider", carrier, "--detach", "--json", "-q", env=sandbox.ready["env"])
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (0, "accepted", "yes")
    deadline = time.monotonic() + 10
    while not (ended := [e for e in sandbox.history() if (e["peer"], e["type"]) == (carrier, "call.ended")]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [event["cause"] for event in ended] == ["normal"]


def test_timeout_leaves_the_call_alone(run_uvcall):
    ran = run_uvcall(
        "dial",
        "+12025550102",
        "--provider",
        "twilio",
        "--sandbox",
        "--timeout",
        "1s",
        "--ring-timeout",
        "30s",
        "--json",
    )
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (21, "unobserved", "yes")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_signal_hangs_up_both_sides(start_uvcall, sandbox, carrier, signum, code):
    process = start_uvcall("dial", "+12025550102", "--provider", carrier, "--ring-timeout", "600s", "--json",
                           env=sandbox.ready["env"])  # fmt: skip
    for line in process.stderr:
        if line.startswith("ringing"):
            break
    started = time.monotonic()
    process.send_signal(signum)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    record = json.loads(out)
    assert (process.returncode, record["outcome"], record["exit_code"]) == (code, "interrupted", code)
    assert (record["placed"], record["end_reason"]) == ("yes", "hung up")
    assert [event["type"] for event in sandbox.history()].count("call.ended") == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_before_anybody_is_called_has_its_record(home, signum, code):
    from conftest import clean_environment

    process = subprocess.Popen(
        [sys.executable, "-m", "uvcall", "dial", NUMBER, "--provider", "twilio", "--prompt", "-", "--sandbox", "--json", "-v"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(home), cwd=home,
    )  # fmt: skip
    assert process.stderr.readline().startswith(b"sandbox: seed")  # and now the prompt is waited for
    process.send_signal(signum)
    out, _ = process.communicate(timeout=30)
    record = json.loads(out)
    assert (process.returncode, record["outcome"], record["exit_code"]) == (code, "interrupted", code)
    assert (record["placed"], record["retry_safe"], record["error"]["code"]) == ("no", True, "interrupted")


def test_a_terminal_that_goes_away_ends_no_call(home, sandbox):
    from conftest import clean_environment

    main, other = pty.openpty()
    env = {**clean_environment(home), **sandbox.ready["env"], "TERM": "xterm", "COLUMNS": "90"}
    # Not the process's own terminal, so that no SIGHUP comes: as under nohup.
    process = subprocess.Popen(
        [sys.executable, "-m", "uvcall", "dial", "+12025550102", "--provider", "twilio"],
        stdin=other, stdout=other, stderr=other, env=env, cwd=home,
    )  # fmt: skip
    os.close(other)
    screen = b""
    while b"ringing" not in screen:
        screen += os.read(main, 65536)
    os.close(main)
    assert process.wait(40) == 11


def test_a_terminal_sees_a_live_line_and_the_transcript(home, sandbox):
    from conftest import clean_environment

    main, other = pty.openpty()
    env = {**clean_environment(home), **sandbox.ready["env"], "TERM": "xterm", "COLUMNS": "90"}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvcall", "dial", NUMBER, "--provider", "telnyx"],
        stdin=other, stdout=other, stderr=other, env=env, cwd=home,
    )  # fmt: skip
    os.close(other)
    screen = b""
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        screen += chunk
    os.close(main)
    assert process.wait(20) == 0
    text = screen.decode()
    assert "+12025550100 via telnyx" in text
    assert "agent" in text
    assert "completed: +12025550100, via telnyx" in text


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "TO is missing"),
        (["2025550100"], 2, "+12025550100"),
        (["+1 202 555 0100"], 2, "did you mean +12025550100?"),
        (["+１２０２５５５０１００"], 2, "E.164"),
        (["911"], 3, "emergency"),
        (["+19005550100"], 3, "premium"),
        ([NUMBER, "--provider", "vonage"], 2, "vonage"),
        ([NUMBER, "--from", NUMBER], 2, "caller number"),
        ([NUMBER, "--ring-timeout", "1h"], 2, "--ring-timeout"),
        ([NUMBER, "--max-duration", "soon"], 2, "--max-duration"),
        ([NUMBER, "--temperature", "7"], 2, "temperature"),
        ([NUMBER, "--prompt", "@/nonexistent"], 2, "/nonexistent"),
        ([NUMBER, "--prompt", "@/dev/zero"], 2, "/dev/zero"),
        ([NUMBER, "--prompt", "Hi {{name}}"], 2, "name"),
        ([NUMBER, "--var", "name"], 2, "NAME=VALUE"),
        ([NUMBER, "--call", '{"systemPromt": "x"}'], 2, "systemPrompt"),
        ([NUMBER, "--call", "[" * 100000], 2, "--call"),
        ([NUMBER, "--agent", "a", "--prompt", "b"], 2, "--prompt"),
        ([NUMBER, "--scenario", "bussy"], 2, "busy"),
        ([NUMBER, "--speed", "0"], 2, "--speed"),
        ([NUMBER, "--faults", "nonsense"], 2, "nonsense"),
        ([NUMBER, "--answer-url", "https://x.example"], 2, "Plivo"),
        ([NUMBER, "--save", "/proc/nowhere"], 7, "/proc/nowhere"),
        ([NUMBER, "--frobnicate"], 2, "--frobnicate"),
    ],
)
def test_what_is_wrong_before_anybody_is_contacted(run_uvcall, sandbox, argv, code, words):
    world = ["--sandbox"] if {"--scenario", "--speed", "--faults"} & {*argv} else []
    carrier = [] if "--provider" in argv else ["--provider", "telnyx"]
    ran = run_uvcall("dial", *argv, *carrier, *world, env=sandbox.ready["env"])
    assert sandbox.history() == []
    assert ran.code == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("option", "words"), [("tmeout_secs=3", "did you mean 'timeout_secs'?"), ("stream_url=wss://x", "'stream_url'")]
)
def test_a_carrier_option_that_is_none_is_refused_before_the_carrier_is_asked(run_uvcall, sandbox, option, words):
    ran = run_uvcall("dial", NUMBER, "--provider", "telnyx", "--carrier-option", option, env=sandbox.ready["env"])
    assert {event["peer"] for event in sandbox.history()} <= {"ultravox"}
    assert (ran.code, ran.stdout) == (2, "")
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("env", "code", "words"),
    [
        ({}, 6, "no carrier is configured"),
        ({"UVCALL_PROVIDER": "twilio"}, 6, "twilio.from"),
        ({"UVCALL_PROVIDER": "twilio", "UVCALL_TWILIO_FROM": "+12025550199"}, 4, "ultravox.api_key"),
        ({"UVCALL_PROVIDER": "twilio", "UVCALL_TWILIO_FROM": "202"}, 6, "twilio.from"),
        ({"UVCALL_TWILO_FROM": "+12025550199"}, 6, "UVCALL_TWILIO_FROM"),
        (
            {"UVCALL_PROVIDER": "twilio", "UVCALL_TWILIO_FROM": "+12025550199", "ULTRAVOX_API_KEY": "abc\ndef"},
            4,
            "ultravox.api_key",
        ),
        (
            {"UVCALL_PROVIDER": "twilio", "UVCALL_TWILIO_FROM": "+12025550199", "ULTRAVOX_API_KEY": "k" * 41},
            4,
            "twilio.account_sid",
        ),
        (
            {
                "PLIVO_AUTH_ID": "MAXXXXXXXXXXXXXXXXXX",
                "PLIVO_AUTH_TOKEN": "t" * 40,
                "UVCALL_PLIVO_FROM": "+12025550199",
                "ULTRAVOX_API_KEY": "k" * 41,
            },
            6,
            "--via ultravox",
        ),
        ({"UVCALL_ULTRAVOX_BASE_URL": "http://ultravox.example"}, 6, "https"),
    ],
)
def test_what_is_missing_or_wrong_in_the_settings(run_uvcall, env, code, words):
    if "UVCALL_ULTRAVOX_BASE_URL" in env:
        env = {**env, "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t" * 32,
               "UVCALL_TWILIO_FROM": "+12025550199", "ULTRAVOX_API_KEY": "k" * 41}  # fmt: skip
    ran = run_uvcall("dial", NUMBER, env=env)
    assert ran.code == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    record = run_uvcall("dial", NUMBER, "--json", env=env)
    assert (record.code, record.json["exit_code"], record.json["placed"]) == (code, code, "no")
    for name, value in env.items():
        if "KEY" in name or "TOKEN" in name:
            assert value not in ran.stderr + record.stdout + record.stderr


def test_a_closed_stdout_does_not_change_the_outcome(start_uvcall):
    process = start_uvcall("dial", "+12025550101", "--provider", "twilio", "--sandbox", "--speed", "10", "--json")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(20) == 10
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_a_full_disk_at_stdout_does_not_change_the_outcome(home):
    from conftest import clean_environment

    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "uvcall", "dial", "+12025550101", "--provider", "twilio", "--sandbox", "--speed", "10"],
            stdout=full, stderr=subprocess.PIPE, env=clean_environment(home), cwd=home, check=False, timeout=30,
        )  # fmt: skip
    assert done.returncode == 10
    assert b"Traceback" not in done.stderr


def test_a_second_run_with_the_same_key_reports_the_first(run_uvcall, sandbox):
    dial = ("dial", "+12025550101", "--provider", "twilio", "--idempotency-key", "nightly", "--json")
    first = run_uvcall(*dial, env=sandbox.ready["env"])
    second = run_uvcall(*dial, env=sandbox.ready["env"])
    assert (first.code, second.code) == (10, 10)
    assert second.json["attempt_id"] == first.json["attempt_id"]
    assert second.json["carrier_call_id"] == first.json["carrier_call_id"]
    assert first.json["attempt_id"] in second.stderr
    assert len([event for event in sandbox.history() if event["type"] == "call.placed"]) == 1
    other = run_uvcall(*dial, "--voice", "Mark", env=sandbox.ready["env"])
    assert (other.code, other.json["outcome"]) == (2, "usage")


def test_two_processes_with_one_key_give_one_call(start_uvcall, sandbox):
    dial = ("dial", NUMBER, "--provider", "twilio", "--idempotency-key", "once", "--json", "-q")
    both = [start_uvcall(*dial, env=sandbox.ready["env"]) for _ in range(2)]
    records = [json.loads(process.communicate(timeout=40)[0]) for process in both]
    assert len([event for event in sandbox.history() if event["type"] == "call.placed"]) == 1
    assert {record["exit_code"] for record in records} <= {0, 3}
    assert 0 in {record["exit_code"] for record in records}
    called = next(record for record in records if record["exit_code"] == 0)
    for record in records:
        assert called["attempt_id"] in json.dumps(record)


def test_one_number_is_not_rung_by_two_processes(start_uvcall, sandbox):
    dial = ("dial", NUMBER, "--provider", "twilio", "--json", "-q")
    both = [start_uvcall(*dial, env=sandbox.ready["env"]) for _ in range(2)]
    codes = sorted(json.loads(process.communicate(timeout=40)[0])["exit_code"] for process in both)
    placed = [event for event in sandbox.history() if event["type"] == "call.placed"]
    assert codes in ([0, 3], [0, 0])  # the second may begin when the first is over
    assert len(placed) == codes.count(0)


def test_the_next_carrier_is_asked_only_after_a_refusal(run_uvcall, sandbox):
    wrong = {**sandbox.ready["env"], "TELNYX_API_KEY": "KEY_sandbox_wrong_0000"}
    ran = run_uvcall("dial", NUMBER, "--provider", "telnyx,twilio", "--json", env=wrong)
    assert (ran.code, ran.json["provider"], ran.json["outcome"]) == (0, "twilio", "completed")
    assert [event["peer"] for event in sandbox.history() if event["type"] == "call.placed"] == ["twilio"]
    assert "trying twilio" in ran.stderr


def test_a_lost_reply_stops_the_fail_over(run_uvcall, sandbox):
    ran = run_uvcall(
        "dial", "+12025550108", "--provider", "twilio,plivo", "--settle", "0s", "--json", env=sandbox.ready["env"]
    )
    assert ran.json["outcome"] in {"completed", "unknown"}
    assert len([event for event in sandbox.history() if event["type"] == "call.placed"]) == 1


def test_nobody_is_dialed_when_the_journal_cannot_be_written(run_uvcall, sandbox, home):
    state = home / "uvcall"
    state.mkdir(mode=0o700)
    (state / "journal.db").write_text("this is no journal")
    (state / "journal.db").chmod(0o600)
    ran = run_uvcall("dial", NUMBER, "--provider", "twilio", "--json", env=sandbox.ready["env"])
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (7, "local_error", "no")
    assert not [event for event in sandbox.history() if event["type"] in {"call.created", "call.placed"}]
