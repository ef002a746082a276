"""`uvcall dial` against vendors that answer anything at all: its code, one line that mends, and never a second leg."""

import json
import time

import pytest
from support.vendor import drip, half, huge, nothing, packed, reset, says, serving

NUMBER = "+12025550100"
CREATED = {"callId": "0b6c2f1e-8f3c-4b6e-9f0a-1d2e3f4a5b6c", "joinUrl": "JOIN"}
UGLY = "\x1b[31mred\x1b[0m\nforged: line"


def created(join):
    return says(201, {**CREATED, "joinUrl": join})


@pytest.fixture
def vendors(sandbox):
    """An Ultravox of the test's own, and the sandbox's carriers; returns it with the environment that leads there."""
    with serving() as ultravox:
        env = {**sandbox.ready["env"], "UVCALL_ULTRAVOX_BASE_URL": ultravox.url}
        yield ultravox, env, sandbox


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (says(401, {"detail": "Invalid API key."}), 4),
        (says(403, {"detail": "Not yours."}), 4),
        (says(400, {"voice": ["Unknown voice."]}), 5),
        (says(402, {"detail": "Out of minutes."}), 5),
        (says(400, {"detail": UGLY}), 5),
        (says(404, "<html>nginx</html>", kind="text/html"), 75),
        (says(500, "<html>oops</html>", kind="text/html"), 75),
        (says(200, "", kind="text/html"), 5),
        (says(201, {"callId": "x"}), 5),
        (says(201, "[" * 100_000), 5),
        (says(302, "", headers={"Location": "https://evil.example/"}), 75),
        (created("wss://evil.example/calls/x"), 5),
        (created("https://voice.ultravox.ai/calls/x"), 5),
        (created("wss://voice.ultravox.ai.evil.example/x"), 5),
        (created(f"wss://voice.ultravox.ai/{UGLY}"), 5),
        (nothing, 75),
        (half, 75),
        (reset, 75),
        (huge, 5),
        (packed, 5),
    ],
    ids=[
        "wrong-key",
        "not-yours",
        "bad-field",
        "no-minutes",
        "ugly-words",
        "html-404",
        "html-500",
        "empty",
        "no-join-url",
        "deep-json",
        "redirect",
        "elsewhere",
        "https",
        "suffix-trick",
        "ugly-join-url",
        "nothing",
        "half",
        "reset",
        "huge",
        "packed",
    ],
)
def test_an_ultravox_that_answers_anything(run_uvcall, vendors, reply, code):
    ultravox, env, sandbox = vendors
    ultravox.will(*[reply] * 3)
    ran = run_uvcall("dial", NUMBER, "--provider", "twilio", "--json", env=env)
    assert (ran.code, ran.json["exit_code"], ran.json["placed"]) == (code, code, "no")
    assert ran.json["error"]["message"]
    assert ran.json["error"]["hint"]
    talk = ran.stdout + ran.stderr
    assert "Traceback" not in talk
    assert "\x1b" not in talk
    assert "evil" not in talk
    assert env["ULTRAVOX_API_KEY"] not in talk
    assert not [event for event in sandbox.history() if event["peer"] == "twilio"]


def test_a_peers_words_forge_no_line(run_uvcall, vendors):
    ultravox, env, _ = vendors
    ultravox.will(says(400, {"detail": UGLY}))
    ran = run_uvcall("dial", NUMBER, "--provider", "twilio", env=env)
    assert ran.code == 5
    assert len(ran.stderr.splitlines()) <= 3
    assert "\x1b" not in ran.stderr
    assert not any(line.startswith("forged") for line in ran.stderr.splitlines())


CREATES = {
    "telnyx": ("UVCALL_TELNYX_BASE_URL", "/v2"),
    "twilio": ("UVCALL_TWILIO_BASE_URL", ""),
    "plivo": ("UVCALL_PLIVO_BASE_URL", ""),
}


@pytest.mark.parametrize("carrier", CREATES)
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (says(500, "<html>oops</html>", kind="text/html"), 20),
        (says(302, "", headers={"Location": "https://evil.example/"}), 20),
        (says(200, "", kind="text/html"), 20),
        (nothing, 20),
        (half, 20),
        (reset, 20),
        (huge, 20),
        (packed, 20),
    ],
    ids=["html-500", "redirect", "empty", "nothing", "half", "reset", "huge", "packed"],
)
def test_a_carrier_that_answers_anything_is_asked_once(run_uvcall, sandbox, carrier, reply, code):
    name, path = CREATES[carrier]
    with serving() as vendor:
        vendor.will(reply)
        env = {**sandbox.ready["env"], name: vendor.url + path}
        ran = run_uvcall("dial", NUMBER, "--provider", carrier, "--settle", "0s", "--json", env=env)
        posts = [heard for heard in vendor.heard if heard.method == "POST"]
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (code, "unknown", "unknown")
    assert len(posts) == 1
    assert ran.json["next"].startswith("uvcall reconcile ")
    assert "Traceback" not in ran.stderr
    assert "Fallback" not in ran.stdout


@pytest.mark.parametrize("carrier", CREATES)
def test_a_closed_port_is_not_sent(run_uvcall, sandbox, carrier):
    name, path = CREATES[carrier]
    with serving() as vendor:
        gone = vendor.url
    ran = run_uvcall("dial", NUMBER, "--provider", carrier, "--json", env={**sandbox.ready["env"], name: gone + path})
    assert (ran.code, ran.json["placed"], ran.json["retry_safe"]) == (75, "no", True)


def test_a_peer_that_drips_does_not_hold_the_command(run_uvcall, vendors):
    ultravox, env, _ = vendors
    ultravox.will(*[drip] * 3)
    started = time.monotonic()
    ran = run_uvcall("dial", NUMBER, "--provider", "twilio", "--json", env=env)
    assert ran.code in {5, 75}
    assert time.monotonic() - started < 30


def test_no_secret_anywhere(run_uvcall, sandbox, home):
    """Canaries: every credential of the environment, in every output, the journal and the saved files."""
    env = sandbox.ready["env"]
    for argv in (
        ["dial", NUMBER, "--provider", "plivo", "-v", "--save", str(home / "kept")],
        ["dial", "+12025550101", "--provider", "telnyx", "--json", "-v"],
        ["dial", NUMBER, "--provider", "twilio", "--dry-run"],
        ["config", "list"],
        ["config", "list", "--json"],
        ["calls", "list", "--json"],
    ):
        ran = run_uvcall(*argv, env=env)
        assert ran.code in {0, 10}
    secrets = [env[name] for name in env if name.endswith(("API_KEY", "TOKEN"))]
    assert len(secrets) == 4
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in kept)
    for path in kept:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, path
        assert b"/telephony" not in content, path
    for event in sandbox.history():
        for secret in secrets:
            assert secret not in json.dumps(event)
