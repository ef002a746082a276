"""`uvcall sandbox serve` and `env` as processes."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from conftest import clean_environment


@pytest.fixture
def served(start_uvcall):
    process = start_uvcall("sandbox", "serve", "--speed", "20")
    return process, json.loads(process.stdout.readline())


def test_serve_says_in_one_json_line_where_everybody_is(served):
    process, ready = served
    assert ready["ready"] is True
    for peer in ("ultravox", "telnyx", "twilio", "plivo"):
        assert ready[peer].startswith("http://127.0.0.1:")
    with urllib.request.urlopen(f"{ready['ultravox']}/_sandbox/history", timeout=5) as answer:
        assert json.load(answer) == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stdout.read() == ""


def test_env_leads_to_the_one_that_runs(served, home, run_uvcall):
    process, ready = served
    exported = run_uvcall("sandbox", "env")
    assert exported.code == 0
    shell = f"{exported.stdout}\n{sys.executable} -m uvcall dial +12025550100 --provider twilio --json -q"
    done = subprocess.run(
        ["sh", "-c", shell], env=clean_environment(home), cwd=home, capture_output=True, timeout=40, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "completed")
    assert run_uvcall("sandbox", "env", "--json").json == ready["env"]
    process.send_signal(signal.SIGINT)
    assert process.wait(10) in {0, 130}
    gone = run_uvcall("sandbox", "env")
    assert (gone.code, "uvcall sandbox serve" in gone.stderr) == (7, True)


def test_env_of_a_port(run_uvcall):
    ran = run_uvcall("sandbox", "env", "--port", "9999")
    assert "export UVCALL_TWILIO_BASE_URL=http://127.0.0.1:9999\n" in ran.stdout


def test_a_stale_note_is_no_sandbox(run_uvcall, home):
    (home / "uvcall").mkdir(mode=0o700)
    (home / "uvcall" / "sandbox").write_text("4194304 http://127.0.0.1:1\n")
    assert run_uvcall("sandbox", "env").code == 7


def test_a_taken_port(served, run_uvcall):
    _, ready = served
    ran = run_uvcall("sandbox", "serve", "--port", ready["ultravox"].rpartition(":")[2])
    assert (ran.code, ran.stdout) == (7, "")
    assert "Traceback" not in ran.stderr


def test_a_sandbox_that_dies_takes_nothing_with_it(served, run_uvcall):
    process, _ = served
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert run_uvcall("sandbox", "env").code == 7


def test_fidelity_lists_differences(run_uvcall):
    plain = run_uvcall("sandbox", "fidelity")
    rows = run_uvcall("sandbox", "fidelity", "--json").json
    assert plain.code == 0
    assert len(rows) > 20
    assert {"telnyx", "twilio", "plivo", "ultravox"} <= {row["peer"] for row in rows}
    assert all(row["what"] in plain.stdout for row in rows)
