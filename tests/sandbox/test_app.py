"""The sandbox as one server: where it listens, what it says, what it forgets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from uvcall.errors import LocalError, UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.app import start
from uvcall.sandbox.gate import creates, peer_of
from uvcall.sandbox.world import Options

ROOT = Path(__file__).parents[2]


def test_the_ready_line_has_every_setting(run_sandbox):
    ready = run_sandbox(seed=42).ready
    assert ready["ready"] is True
    assert ready["seed"] == 42
    root = ready["ultravox"]
    assert root.startswith("http://127.0.0.1:")
    assert (ready["telnyx"], ready["twilio"], ready["plivo"]) == (f"{root}/v2", root, root)
    assert set(ready["env"]) == {
        "UVCALL_ULTRAVOX_BASE_URL",
        "ULTRAVOX_API_KEY",
        "UVCALL_TELNYX_BASE_URL",
        "TELNYX_BASE_URL",
        "TELNYX_API_KEY",
        "TELNYX_PUBLIC_KEY",
        "UVCALL_TELNYX_CONNECTION_ID",
        "UVCALL_TELNYX_FROM",
        "UVCALL_TWILIO_BASE_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "UVCALL_TWILIO_FROM",
        "UVCALL_PLIVO_BASE_URL",
        "PLIVO_AUTH_ID",
        "PLIVO_AUTH_TOKEN",
        "UVCALL_PLIVO_FROM",
    }
    json.dumps(ready)


def test_it_starts_and_ends_quickly():
    begun = time.monotonic()
    running = start(Options())
    ready = time.monotonic()
    running.close()
    running.close()
    assert ready - begun < 0.15
    assert time.monotonic() - ready < 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.ready["ultravox"])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com"])
def test_it_listens_on_loopback_only(host):
    with pytest.raises(LocalError) as caught:
        start(Options(host=host))
    assert "127.0.0.1" in caught.value.hint


def test_a_taken_port_is_a_local_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LocalError) as caught:
            start(Options(port=taken.getsockname()[1]))
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("options", [{"scenario": "nonsense"}, {"faults": "nonsense=1"}, {"speed": 0.0}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        start(Options(**options))


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v2/nothing", {"errors"}),
        ("/2010-04-01/nothing", {"code", "message", "more_info", "status"}),
        ("/v1/Account/nothing", {"api_id", "error"}),
        ("/v1/Voice/x/nothing", {"code", "message", "more_info", "status"}),
        ("/api/nothing", {"detail"}),
    ],
)
def test_an_unknown_path_is_each_peers_own_404(run_sandbox, path, keys):
    running = run_sandbox()
    answer = httpx.get(running.ready["ultravox"] + path)
    assert (answer.status_code, set(answer.json())) == (404, keys)


def test_a_wrong_method_is_405(run_sandbox):
    answer = httpx.put(f"{run_sandbox().ready['telnyx']}/calls")
    assert (answer.status_code, set(answer.json())) == (405, {"errors"})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_more_than_a_mebibyte_is_413(run_sandbox, chunked):
    running = run_sandbox()
    body = b"x" * (1 << 20) + b"y"
    answer = httpx.post(
        f"{running.ready['telnyx']}/calls",
        content=iter([body]) if chunked else body,
        headers={"Authorization": f"Bearer {c.TELNYX_API_KEY}"},
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "10015")


def test_a_request_that_is_no_http_is_400_and_no_word_in_the_log(run_sandbox, caplog):
    port = httpx.URL(run_sandbox().ready["ultravox"]).port
    for request in (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(request)
            assert client.recv(12).startswith(b"HTTP/1.")
    assert caplog.records == []


def test_the_history_has_requests_without_credentials(run_sandbox, sdks):
    running = run_sandbox()
    sdks.telnyx(running).balance.retrieve()
    sdks.twilio(running).calls.list(to="+12025550100")
    url = f"{running.ready['ultravox']}/_sandbox/history"
    events = httpx.get(url).json()
    assert [(e["peer"], e["type"], e["method"], e["status"]) for e in events] == [
        ("telnyx", "request", "GET", 200),
        ("twilio", "request", "GET", 200),
    ]
    assert all(set(e) == {"at", "peer", "type", "method", "path", "status"} for e in events)
    text = json.dumps(events)
    assert not any(secret in text for secret in (c.TELNYX_API_KEY, c.TWILIO_AUTH_TOKEN))
    assert len(httpx.get(f"{url}?peer=twilio").json()) == 1
    assert httpx.get(f"{running.ready['telnyx']}/_sandbox/history?type=call.placed").json() == []


def test_reset_forgets_everything(run_sandbox, sdks, until):
    running = run_sandbox()
    client = sdks.telnyx(running)
    call = client.calls.dial(connection_id=c.TELNYX_CONNECTION_ID, to="+12025550102", from_=c.TELNYX_FROM).data
    until(lambda: client.calls.retrieve_status(call.call_control_id).data.is_alive)
    assert httpx.post(f"{running.ready['ultravox']}/_sandbox/reset").json() == {"reset": True}
    assert running.history() == []
    assert client.call_events.list().data == []
    time.sleep(0.1)
    assert [event["type"] for event in running.history()] == ["request"]


def test_join_urls_stay_out_of_the_history(run_sandbox, sdks, join_url, ended):
    running = run_sandbox()
    url = join_url(running, "twilio")
    twiml = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
    sdks.twilio(running).calls.create(to="+12025550100", from_=c.TWILIO_FROM, twiml=twiml)
    ended(running)
    assert url.split("/", 3)[3] not in json.dumps(running.history())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_alone_ends_with_a_signal_and_prints_nothing_else(number):
    code = (
        "import json; from uvcall.sandbox.app import serve; from uvcall.sandbox.world import Options\n"
        "serve(Options(), lambda ready: print(json.dumps(ready), flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    ready = json.loads(process.stdout.readline())
    assert httpx.get(f"{ready['ultravox']}/_sandbox/history").json() == []
    assert httpx.get(f"{ready['telnyx']}/balance").status_code == 404
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("path", "peer"),
    [
        ("/api/calls", "ultravox"),
        ("/v2/calls", "telnyx"),
        ("/v2/_sandbox/history", ""),
        ("/2010-04-01/Accounts.json", "twilio"),
        ("/v1/Voice/CA/Summary", "twilio"),
        ("/v1/Account/MA/Call/", "plivo"),
        ("/calls/1/telephony", ""),
        ("/_sandbox/reset", ""),
    ],
)
def test_whose_face_a_path_is(path, peer):
    assert peer_of(path) == peer


def test_what_creates_a_call():
    assert creates("telnyx", "POST", "/v2/calls")
    assert creates("telnyx", "POST", "/v2/texml/Accounts/1/Calls")
    assert creates("twilio", "POST", "/2010-04-01/Accounts/AC/Calls.json")
    assert creates("plivo", "POST", "/v1/Account/MA/Call/")
    assert creates("ultravox", "POST", "/api/agents/1/calls")
    assert not creates("telnyx", "POST", "/v2/calls/1/actions/hangup")
    assert not creates("twilio", "GET", "/2010-04-01/Accounts/AC/Calls.json")
