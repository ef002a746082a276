"""`uvcall sandbox ring` as a process: exit code, the record, what it says, and what it keeps to itself."""

import http.server
import socket
import threading

import httpx
import pytest

from uvcall.core.carrier import Provider
from uvcall.core.model import CallRecord, Outcome
from uvcall.core.outcome import as_json
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import wire
from uvcall.sandbox import credentials

CARRIERS = ("telnyx", "twilio", "plivo")
KEYS = {
    "telnyx": credentials.TELNYX_PUBLIC_KEY,
    "twilio": credentials.TWILIO_AUTH_TOKEN,
    "plivo": credentials.PLIVO_AUTH_TOKEN,
}


@pytest.fixture
def webhook(sandbox):
    """A webhook that verifies, makes an Ultravox call in the sandbox, and answers its XML; `says` is said in its place."""

    class Webhook:
        url = ""
        says = None
        created = 0
        key = None

        def answer(self, carrier, request):
            from time import time

            from uvcall.errors import UvcallError

            try:
                wire(Provider(carrier)).verify(request, self.key or KEYS[carrier], now=time())
                wire(Provider(carrier)).parse_webhook(request)
            except UvcallError:
                return 403, ""
            if self.says is not None:
                return self.says
            self.created += 1
            made = httpx.post(
                f"{sandbox.ready['ultravox']}/api/calls",
                headers={"X-API-Key": credentials.ULTRAVOX_API_KEY},
                json={"systemPrompt": "You are a test.", "medium": {carrier: {}}},
            )
            from uvcall.core.carrier import StreamOptions
            from uvcall.core.secret import JoinUrl

            options = StreamOptions(codec="L16") if carrier != "twilio" else StreamOptions()
            return 200, wire(Provider(carrier)).answer_xml(JoinUrl(made.json()["joinUrl"]), options)

    one = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = HttpRequest("POST", one.url + self.path, tuple(self.headers.items()), body)
            status, document = one.answer(self.path.strip("/"), request)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(document.encode())))
            self.end_headers()
            self.wfile.write(document.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ring(run_uvcall, webhook):
    """Ring the webhook as a carrier, eight times faster than life."""

    def run(carrier, *options, **given):
        to = f"{webhook.url}/{carrier}"
        return run_uvcall("sandbox", "ring", "--provider", carrier, "--to", to, "--speed", "8", *options, **given)

    return run


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_whole_call_and_its_record(ring, webhook, carrier):
    ran = ring(carrier, "--json", "-q")
    record = ran.json
    assert (ran.code, record["outcome"], record["exit_code"], record["error"]) == (0, "completed", 0, None)
    empty = as_json(CallRecord(Outcome.COMPLETED, 0, "yes", "", "", ""))
    assert set(record) == {*empty, "webhooks"}
    assert (record["placed"], record["provider"], record["from"]) == ("yes", carrier, "+12025550100")
    assert record["end_reason"] == "agent_hangup"
    assert record["duration_s"] > 1
    assert [(one["kind"], one["status"], one["same"]) for one in record["webhooks"]] == [("first", 200, None)]
    assert (ran.stderr, webhook.created) == ("", 1)
    assert "ws://" not in ran.stdout


def test_it_tells_what_happens(ring, webhook):
    ran = ring("twilio", "--from", "+12025550123", "--called", "+12025550199")
    said = [line.split(":")[0].split(" (")[0] for line in ran.stderr.splitlines()]
    assert said == ["ringing", "webhook", "answered", "document", "talking", "the stream is over", "over"]
    assert ran.stdout.startswith("completed: +12025550123 → +12025550199, via twilio, ")


ENDINGS = {
    "rejected": ("<Response><Reject/></Response>", 14, "rejected"),
    "busy": ('<Response><Reject reason="busy"/></Response>', 10, "busy"),
    "sorry": ("<Response><Say>Sorry.</Say><Hangup/></Response>", 15, "silent"),
    "empty": ("<Response/>", 15, "silent"),
    "forward": ("<Response><Dial>+12025550100</Dial></Response>", 15, "silent"),
    "nobody there": ('<Response><Connect><Stream url="ws://127.0.0.1:9/x"/></Connect></Response>', 15, "silent"),
    "broken": ("<Response><Connect>", 12, "failed"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_outcome_is_the_exit_code(ring, webhook, name):
    document, code, outcome = ENDINGS[name]
    webhook.says = (200, document)
    ran = ring("twilio", "--json")
    assert (ran.code, ran.json["outcome"], ran.json["exit_code"]) == (code, outcome, code)
    if name == "broken":
        assert (ran.json["error"]["code"], ran.json["error"]["vendor_code"]) == ("webhook_invalid", "12100")
        assert "  mend: " in ran.stderr


def test_an_agent_whose_side_breaks(ring, run_uvcall, webhook, sandbox):
    """The agent's socket is lost in the middle of the call."""
    import asyncio

    from aiohttp import WSMsgType, web

    ready = threading.Event()
    port = []

    def serve():
        async def join(request):
            socket_ = web.WebSocketResponse()
            await socket_.prepare(request)
            async for message in socket_:
                if message.type is WSMsgType.TEXT and '"media"' in message.data:
                    request.transport.abort()
                    break
            return socket_

        async def main():
            app = web.Application()
            app.add_routes([web.get("/join", join)])
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port.append(runner.addresses[0][1])
            ready.set()
            await asyncio.sleep(8)
            await runner.cleanup()

        asyncio.run(main())

    threading.Thread(target=serve, daemon=True).start()
    assert ready.wait(5)
    webhook.says = (200, f'<Response><Connect><Stream url="ws://127.0.0.1:{port[0]}/join"/></Connect></Response>')
    ran = ring("twilio", "--json", "-q")
    assert (ran.code, ran.json["outcome"], ran.json["end_reason"]) == (16, "agent_failed", "connection_error")


@pytest.mark.parametrize(
    ("carrier", "signature"),
    [("telnyx", "bad"), ("telnyx", "expired"), ("twilio", "missing"), ("twilio", "resplit"), ("plivo", "resplit")],
)
def test_a_forgery_is_turned_away(ring, webhook, carrier, signature):
    ran = ring(carrier, "--signature", signature, "--json")
    assert (ran.code, ran.json["error"]["status"], ran.json["error"]["code"]) == (12, 403, "webhook_refused")
    assert len(ran.json["webhooks"]) == 1
    assert webhook.created == 0
    assert "forged" not in ran.stderr


def test_a_forgery_that_is_taken_gets_a_warning(ring, webhook):
    webhook.answer = lambda carrier, request: (200, "<Response/>")
    ran = ring("twilio", "--signature", "missing")
    assert "warning: the webhook has taken a request with a forged signature (missing)\n" in ran.stderr


def test_duplicates_that_differ_get_a_warning(ring, webhook):
    ran = ring("twilio", "--duplicate", "3", "--json")  # this webhook makes a call for each
    assert webhook.created == 4
    assert [one["same"] for one in ran.json["webhooks"] if one["kind"] != "first"] == [False] * 3
    assert "warning: 3 of 3 duplicates were answered in another way than the original\n" in ran.stderr


def test_a_key_comes_from_the_environment_only(ring, webhook):
    webhook.key, webhook.says = "another token of mine", (200, "<Response><Reject/></Response>")
    ran = ring("twilio", "--key-env", "MY_TOKEN", env={"MY_TOKEN": "another token of mine"})
    assert ran.code == 14
    assert "another token" not in ran.stdout + ran.stderr
    missing = ring("twilio", "--key-env", "MY_TOKEN")
    assert (missing.code, missing.stdout) == (6, "")
    assert "MY_TOKEN" in missing.stderr
    wrong = ring("telnyx", "--key-env", "MY_TOKEN", env={"MY_TOKEN": "no seed, my own"})
    assert wrong.code == 6
    assert "no seed, my own" not in wrong.stderr


def test_nobody_listens(run_uvcall):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = run_uvcall("sandbox", "ring", "--provider", "plivo", "--to", f"http://127.0.0.1:{port}/x", "--json")
    assert (ran.code, ran.json["outcome"], ran.json["error"]["vendor_code"]) == (12, "failed", "7011")


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "https://hooks.example.com/in"),
        ("--to", "nonsense"),
        ("--from", "911"),
        ("--scenario", "busy"),
        ("--signature", "expired"),
        ("--signature", "resplit", "--provider", "telnyx"),
        ("--duplicate", "-1"),
        ("--speed", "0"),
        ("--call-control",),
        ("--callee-audio", "missing.wav"),
        ("--public-url", "nonsense"),
    ],
)
def test_nonsense_is_refused(ring, webhook, options):
    ran = ring("twilio", *options)
    assert (ran.code, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr
    assert webhook.created == 0


def test_the_caller_plays_a_file(ring, tmp_path):
    import wave

    path = tmp_path / "hello.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\x00\x10" * 8000)
    ran = ring("plivo", "--callee-audio", str(path), "--json", "-q")
    assert ran.code == 0


def test_a_caller_inside_a_running_sandbox(run_uvcall, webhook, sandbox):
    to = f"{webhook.url}/plivo"
    at = sandbox.ready["ultravox"]
    ran = run_uvcall("sandbox", "ring", "--provider", "plivo", "--to", to, "--at", at, "--json")
    assert (ran.code, ran.json["outcome"]) == (0, "completed")
    assert "talking (L16 at 16000)\n" in ran.stderr
    assert [e["type"] for e in sandbox.history() if e["type"] == "call.incoming"] == ["call.incoming"]
    faster = run_uvcall("sandbox", "ring", "--provider", "plivo", "--to", to, "--at", at, "--speed", "2")
    assert (faster.code, faster.stdout) == (2, "")
    nobody = run_uvcall("sandbox", "ring", "--provider", "plivo", "--to", to, "--at", "http://127.0.0.1:9")
    assert (nobody.code, nobody.stdout) == (7, "")


def test_an_interrupt_hangs_up(start_uvcall, webhook):
    """The caller puts the phone down, and the carrier still sends word of it."""
    import signal

    paths = []
    usual = webhook.answer
    webhook.answer = lambda carrier, request: paths.append(carrier) or usual("twilio", request)
    webhook.says = (200, '<Response><Pause length="60"/></Response>')
    process = start_uvcall(
        "sandbox", "ring", "--provider", "twilio", "--to", f"{webhook.url}/twilio", "--status-url", f"{webhook.url}/end"
    )
    for line in process.stderr:
        if line.startswith("answered"):
            break
    process.send_signal(signal.SIGINT)
    said, talk = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, "")
    assert "over: normal, by the caller\n" in talk
    assert "Traceback" not in talk
    assert paths == ["twilio", "end"]
