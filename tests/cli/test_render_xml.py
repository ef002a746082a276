"""`uvcall render-xml`: the document, byte for byte, or a refusal."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from uvcall.cli.app import run
from uvcall.cli.context import Context
from uvcall.cli.output import Output
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.prompt import FALLBACK_SAY
from uvcall.core.secret import JoinUrl
from uvcall.core.wire import wire

ROOT = Path(__file__).parents[2]
URL = "wss://voice.ultravox.ai/calls/5f1c-canary/server_web_socket"


@pytest.fixture
def uvcall(tmp_path):
    """Run uvcall in this process; returns the exit code, stdout, stderr. Stderr may never hold the join URL."""

    def call(*arguments, stdin="", env=None):
        out, err = io.StringIO(), io.StringIO()
        environment = {"UVCALL_CONFIG": str(tmp_path / "none.toml"), **(env or {})}
        context = Context(environment, io.StringIO(stdin), Output(out, err, environment))
        code = run(["render-xml", *arguments], context)
        assert "canary" not in err.getvalue()
        return code, out.getvalue(), err.getvalue()

    return call


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_the_document_is_the_wires_own(uvcall, provider, direction):
    expected = wire(provider).answer_xml(JoinUrl(URL), StreamOptions())
    arguments = ("--provider", provider, "--direction", direction)
    assert uvcall(*arguments, "--join-url", URL) == (0, expected, "")
    assert uvcall(*arguments, "--join-url", "-", stdin=URL + "\n") == (0, expected, "")


@pytest.mark.parametrize(
    ("provider", "env", "stream"),
    [
        (Provider.TELNYX, {"UVCALL_TELNYX_CODEC": "PCMU"}, StreamOptions(codec="PCMU")),
        (Provider.TELNYX, {"UVCALL_TELNYX_STREAM_TRACK": "both_tracks"}, StreamOptions(track="both_tracks")),
        (Provider.PLIVO, {"UVCALL_PLIVO_CODEC": "PCMU"}, StreamOptions(codec="PCMU")),
    ],
)
def test_the_settings_choose_the_stream(uvcall, provider, env, stream):
    expected = wire(provider).answer_xml(JoinUrl(URL), stream)
    assert uvcall("--provider", provider, "--join-url", URL, env=env) == (0, expected, "")


def test_telnyx_gets_the_recipe_of_ultravox():
    xml = wire(Provider.TELNYX).answer_xml(JoinUrl(URL), StreamOptions())
    for part in ('bidirectionalMode="rtp"', 'codec="L16"', 'bidirectionalCodec="L16"', 'SamplingRate="16000"'):
        assert part in xml


def test_attributes(uvcall):
    expected = wire(Provider.TWILIO).answer_xml(JoinUrl(URL), StreamOptions(), attributes={"name": "a<b"})
    assert uvcall("--provider", "twilio", "--join-url", URL, "--option", "name=a<b")[1] == expected
    assert "a&lt;b" in expected
    code, _, err = uvcall("--provider", "twilio", "--join-url", URL, "--option", "nmae=x")
    assert code == 2
    assert "did you mean name?" in err


@pytest.mark.parametrize("provider", Provider)
def test_fallback(uvcall, provider):
    wires = wire(provider)
    assert uvcall("--provider", provider, "--fallback")[1] == wires.fallback_xml(say=FALLBACK_SAY)
    given = ("--say", "Bitte später.", "--language", "de-DE", "--forward-to", "+12025550100")
    expected = wires.fallback_xml(say="Bitte später.", language="de-DE", forward_to="+12025550100")
    assert uvcall("--provider", provider, "--fallback", *given)[1] == expected
    env = {"UVCALL_SERVER_FALLBACK_SAY": "Closed.", "UVCALL_SERVER_FORWARD_TO": "+12025550100"}
    expected = wires.fallback_xml(say="Closed.", forward_to="+12025550100")
    assert uvcall("--provider", provider, "--fallback", env=env)[1] == expected


def test_the_only_configured_carrier_is_taken(uvcall):
    env = {"PLIVO_AUTH_ID": "MA1", "PLIVO_AUTH_TOKEN": "t"}
    assert uvcall("--fallback", env=env)[1] == wire(Provider.PLIVO).fallback_xml(say=FALLBACK_SAY)
    assert uvcall("--fallback")[0] == 6


def test_a_broken_setting_of_another_carrier_is_no_obstacle(uvcall):
    env = {"UVCALL_PLIVO_CODEC": "nonsense", "UVCALL_TELNYX_API_KEY": "a\nb"}
    assert uvcall("--provider", "twilio", "--join-url", URL, env=env)[0] == 0
    assert uvcall("--provider", "plivo", "--join-url", URL, env=env)[0] == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing says what to render"),
        (("--join-url", URL, "--create"), "--join-url and --create exclude each other"),
        (("--join-url", URL, "--fallback"), "--join-url and --fallback exclude each other"),
        (("--create", "--fallback"), "--create and --fallback exclude each other"),
        (("--join-url", URL, "--prompt", "x"), "--prompt goes only with --create"),
        (("--join-url", URL, "--prior-call", "x"), "--prior-call goes only with --create"),
        (("--fallback", "--record"), "--record goes only with --create"),
        (("--fallback", "--option", "a=b"), "--option is about the stream"),
        (("--join-url", URL, "--say", "x"), "--say goes only with --fallback"),
        (("--join-url", URL, "--forward-to", "+12025550100"), "--forward-to goes only with --fallback"),
        (("--join-url", URL, "--language", "en"), "--language says nothing"),
        (("--join-url", URL, "--sandbox"), "--sandbox goes only with --create"),
        (("--fallback", "--forward-to", "2025550100"), "--forward-to"),
        (("--join-url", ""), "the join URL is missing"),
        (("--join-url", "https://voice.ultravox.ai/canary"), "not a wss URL"),
        (("--join-url", "wss://canary.example/x"), "not ultravox.ai"),
        (("--join-url", "wss://voice.ultravox.ai.canary.example/x"), "not ultravox.ai"),
        (("--join-url", "wss://u:canary@voice.ultravox.ai/x"), "user information"),
        (("--join-url", "wss://canary.example\\@voice.ultravox.ai/"), "no URL may hold"),
        (("--join-url", "ws://127.0.0.1:9/canary"), "not a wss URL"),
        (("--join-url", "wss://voice.ultravox.ai/" + "canary" * 500), "longer than 2,048"),
        (("--join-url", URL, "--option", "x"), "not of the form NAME=VALUE"),
        (("--create", "--option", "nope=1"), "has no attribute"),
    ],
)
def test_contradictions_and_bad_join_urls_are_refused(uvcall, arguments, words):
    code, out, err = uvcall("--provider", "twilio", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_stdin_for_the_join_url_is_bounded(uvcall):
    assert uvcall("--provider", "twilio", "--join-url", "-", stdin="x" * 5000)[0] == 2
    assert uvcall("--provider", "twilio", "--join-url", "-", stdin="")[0] == 2


def test_a_loopback_ultravox_may_have_loopback_join_urls(uvcall):
    env = {"UVCALL_ULTRAVOX_BASE_URL": "http://127.0.0.1:8123"}
    code, out, _ = uvcall("--provider", "plivo", "--join-url", "ws://127.0.0.1:8123/x", env=env)
    assert code == 0
    assert "ws://127.0.0.1:8123/x" in out


def test_a_file_of_ones_own(uvcall, tmp_path):
    target = tmp_path / "answer.xml"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o644)
    code, out, err = uvcall("--provider", "twilio", "--join-url", URL, "--output", str(target))
    assert (code, out) == (0, "")
    assert str(target) in err
    assert target.read_text(encoding="utf-8") == wire(Provider.TWILIO).answer_xml(JoinUrl(URL), StreamOptions())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert uvcall("--provider", "twilio", "--join-url", URL, "--output", f"{target}/x")[0] == 7


def test_a_place_that_is_no_file_is_refused_and_left_alone(uvcall, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for where in ("", str(tmp_path), "/", str(pipe), str(tmp_path / "link"), "x" * 5000):
        code, out, err = uvcall("--provider", "twilio", "--join-url", URL, "--output", where)
        assert (code, out) == (2, "")
        assert err.startswith("error: --output: ")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_dash_is_stdout(uvcall, tmp_path):
    arguments = ("--provider", "twilio", "--join-url", URL)
    assert uvcall(*arguments, "--output", "-") == uvcall(*arguments)


def test_json(uvcall, tmp_path):
    out = uvcall("--provider", "twilio", "--join-url", URL, "--json")[1]
    expected = wire(Provider.TWILIO).answer_xml(JoinUrl(URL), StreamOptions())
    assert json.loads(out) == {"provider": "twilio", "xml": expected}


def test_as_a_process_it_loads_nothing_heavy(tmp_path):
    program = (
        "import sys; from uvcall.cli.app import run\n"
        f"code = run(['render-xml', '--provider', 'telnyx', '--join-url', {URL!r}])\n"
        "heavy = {'httpx', 'telnyx', 'twilio', 'plivo', 'phonenumbers', 'rich', 'aiohttp', 'requests', 'asyncio'}\n"
        "print('\\n', sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    env = {"PYTHONPATH": str(ROOT), "UVCALL_CONFIG": str(tmp_path / "none.toml")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=env, timeout=30, check=False)
    assert done.returncode == 0
    assert done.stdout == wire(Provider.TELNYX).answer_xml(JoinUrl(URL), StreamOptions()).encode()
    assert done.stderr.decode().split() == ["[]"]


def test_a_broken_document_is_refused_before_a_call_is_made(run_uvcall, sandbox):
    ran = run_uvcall("render-xml", "--provider", "plivo", "--create", "--option", "x=1", env=sandbox.ready["env"])
    assert (ran.code, ran.stdout) == (2, "")
    assert sandbox.history() == []


@pytest.mark.parametrize(("direction", "speaker"), [("inbound", "agent"), ("outbound", "user")])
def test_create_makes_the_call_and_renders_its_join_url(run_uvcall, sandbox, direction, speaker):
    arguments = ("render-xml", "--provider", "twilio", "--create", "--direction", direction, "--prompt", "Be kind.")
    ran = run_uvcall(*arguments, env=sandbox.ready["env"])
    assert ran.code == 0
    url = ran.stdout.partition('url="')[2].partition('"')[0]
    assert url.startswith("ws://127.0.0.1")
    assert ran.stdout == wire(Provider.TWILIO).answer_xml(JoinUrl(url), StreamOptions())
    assert url not in ran.stderr
    created = [event for event in sandbox.history() if event["type"] == "call.created"]
    assert len(created) == 1
    assert "the join URL must be used within 95 s" in ran.stderr
    call_id = ran.stderr.split()[1].rstrip(":")
    request = urllib.request.Request(
        f"{sandbox.ready['ultravox']}/api/calls/{call_id}",
        headers={"X-API-Key": sandbox.ready["env"]["ULTRAVOX_API_KEY"]},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        call = json.load(answer)
    assert list(call["firstSpeakerSettings"]) == [speaker]
    assert call["systemPrompt"] == "Be kind."


def test_create_without_a_key_is_an_auth_error(run_uvcall):
    ran = run_uvcall("render-xml", "--provider", "twilio", "--create")
    assert (ran.code, ran.stdout) == (4, "")
    assert "ultravox.api_key is not set" in ran.stderr
