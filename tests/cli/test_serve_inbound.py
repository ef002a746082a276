"""`uvcall serve-inbound` as a process: what it refuses, that it answers, and how it leaves."""

import asyncio
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support import callers

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials

KEYS = {
    "ULTRAVOX_API_KEY": "abcdefgh." + "0123456789abcdef" * 2,
    "TWILIO_ACCOUNT_SID": credentials.TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": "canary-twilio-token",
}


@pytest.mark.parametrize(
    ("argv", "env", "code", "words"),
    [
        ([], {}, 6, "no carrier is configured"),
        (["--provider", "twilio"], {}, 4, "twilio.auth_token is not set"),
        (["--provider", "telnyx"], {}, 6, "telnyx.public_key is not set"),
        (["--provider", "plivo"], KEYS, 4, "plivo.auth_token is not set"),
        ([], KEYS | {"ULTRAVOX_API_KEY": ""}, 4, "ultravox.api_key is not set"),
        (["--host", "0.0.0.0"], KEYS, 6, "server.public_url is not set"),
        (["--insecure-skip-signature", "--host", "0.0.0.0", "--public-url", "https://x.example"], KEYS, 2, "loopback"),
        (["--insecure-skip-signature", "--public-url", "https://x.example"], KEYS, 2, "loopback"),
        (["--public-url", "http://x.example"], KEYS, 2, "https"),
        (["--public-url", "https://x.example/?a=b"], KEYS, 2, "query"),
        (["--number", "555"], KEYS, 2, "E.164"),
        (["--allow-from", "+1202555O123"], KEYS, 2, "E.164"),
        (["--max-concurrent", "0"], KEYS, 2, "max-concurrent"),
        (["--prompt", "Hi {{name}}"], KEYS, 2, "name"),
        (["--sandbox", "--workers", "2"], {}, 2, "--workers"),
        (["--forward-to", "911"], KEYS, 2, "E.164"),
    ],
)
def test_it_does_not_start_where_it_would_be_open_or_useless(argv, env, code, words, run_uvcall):
    ran = run_uvcall("serve-inbound", "--port", "0", *argv, env=env, timeout=20)
    assert (ran.code, ran.stdout) == (code, "")
    assert words in ran.stderr
    assert "canary" not in ran.stderr


def test_a_port_that_is_taken_is_said(run_uvcall):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run_uvcall("serve-inbound", "--port", str(taken.getsockname()[1]), env=KEYS)
    assert (ran.code, ran.stdout) == (7, "")
    assert "cannot be listened on" in ran.stderr


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def ready_of(process):
    return json.loads(process.stdout.readline())


def test_in_the_sandbox_it_answers_a_whole_call_and_leaves_with_zero(start_uvcall, run_uvcall):
    process = start_uvcall("serve-inbound", "--sandbox", "--port", "0")
    ready = ready_of(process)
    assert ready["ready"] is True
    assert set(ready["routes"]) == {
        "telnyx", "telnyx_status", "twilio", "twilio_status", "plivo", "plivo_status", "ultravox", "healthz", "readyz",
    }  # fmt: skip
    assert get(ready["routes"]["healthz"]) == (200, "ok\n")
    assert get(ready["routes"]["readyz"]) == (200, "ok\n")
    base = ready["listening"]
    port = int(base.rpartition(":")[2])
    for provider in (Provider.TWILIO, Provider.PLIVO):
        status, body = asyncio.run(callers.ask(port, callers.raw(callers.ring(provider, base, 1))))
        assert status == 200
        assert b"<Stream" in body
    assert "uvcall_active_calls 2.0" in get(ready["metrics"])[1]
    second = run_uvcall("serve-inbound", "--sandbox", "--port", "0")
    assert second.code == 7
    assert "another serve-inbound" in second.stderr
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=15)
    assert (process.returncode, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines if line["event"] != "event"] == [
        "answered",
        "answered",
        "draining",
        "stopped",
    ]
    assert "ws://" not in err


def test_workers_share_a_port_and_a_ledger_and_leave_together(start_uvcall):
    with callers.ultravox(0.1) as up:
        env = KEYS | {
            "UVCALL_ULTRAVOX_BASE_URL": f"http://127.0.0.1:{up}",
            "TWILIO_AUTH_TOKEN": credentials.TWILIO_AUTH_TOKEN,
        }
        process = start_uvcall(
            "serve-inbound", "--provider", "twilio", "--port", "0", "--workers", "2", "--max-concurrent", "50",
            "--calls-per-caller", "100", "--calls-per-hour", "100", env=env,
        )  # fmt: skip
        ready = ready_of(process)
        assert ready["workers"] == 2
        base = ready["listening"]

        async def duplicates():
            port = int(base.rpartition(":")[2])
            for number in range(5):
                data = callers.raw(callers.ring(Provider.TWILIO, base, number))
                answers = await asyncio.gather(*(callers.ask(port, data) for _ in range(8)))
                assert {status for status, _ in answers} == {200}
                assert len(set(answers)) == 1
            assert set((await callers.creates(up)).values()) == {1}

        asyncio.run(duplicates())
        # One address tells what both have counted; what they share is not counted twice.
        counts = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in get(ready["metrics"])[1].splitlines())
            if not name.startswith("#")
        }
        answered = {name: value for name, value in counts.items() if name.startswith("uvcall_webhooks_total")}
        assert sum(answered.values()) == 40
        assert counts["uvcall_ultravox_create_seconds_count"] == 5
        assert counts['uvcall_ultravox_create_seconds_bucket{le="+Inf"}'] == 5
        assert counts["uvcall_active_calls"] == 5
        # As a terminal does at Ctrl-C: all of them hear it.
        family = [
            process.pid,
            *(int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()),
        ]
        for pid in family:
            os.kill(pid, signal.SIGINT)
        process.communicate(timeout=15)
        assert process.returncode == 0


def test_a_kill_and_a_restart_create_nothing_twice(start_uvcall):
    with callers.ultravox(0.3) as up:
        port = callers.free_port()
        env = KEYS | {
            "UVCALL_ULTRAVOX_BASE_URL": f"http://127.0.0.1:{up}",
            "TWILIO_AUTH_TOKEN": credentials.TWILIO_AUTH_TOKEN,
        }
        argv = (
            "serve-inbound", "--provider", "twilio", "--port", str(port), "--max-concurrent", "50", "--calls-per-caller",
            "100", "--calls-per-hour", "100",
        )  # fmt: skip
        process = start_uvcall(*argv, env=env)
        base = ready_of(process)["listening"]
        rings = [callers.raw(callers.ring(Provider.TWILIO, base, number)) for number in range(20)]

        async def killed():
            waiting = [asyncio.ensure_future(callers.ask(port, data)) for data in rings]
            await asyncio.sleep(0.2)
            process.kill()
            return await asyncio.gather(*waiting, return_exceptions=True)

        assert all(isinstance(one, ConnectionError) for one in asyncio.run(killed()))
        process.wait(5)
        start = time.perf_counter()
        ready_of(start_uvcall(*argv, env=env))
        assert time.perf_counter() - start < 10

        async def again():
            answers = await asyncio.gather(*(callers.ask(port, data) for data in rings))
            assert {status for status, _ in answers} == {200}
            assert all(b"<Stream" in body for _, body in answers), "each is found again at Ultravox"
            return await callers.creates(up)

        counts = asyncio.run(again())
        assert len(counts) == 20
        assert set(counts.values()) == {1}
