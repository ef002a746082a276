"""The Ultravox client over real sockets: what it sends, what it survives, what it never does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.vendor import Vendor, drip, half, huge, nobody, nothing, packed, reset, says, serving, slow

from uvcall.core.model import Line
from uvcall.core.payload import CreateCall
from uvcall.core.secret import JoinUrl, Secret
from uvcall.errors import AuthError, ContractBroken, FateUnknown, ProviderRefused, Temporary
from uvcall.ultravox import Ultravox

ID = "5a2c1b60-0000-4000-8000-0242ac110002"
KEY = Secret("abcdefgh." + "1" * 32)
CREATE = CreateCall("/api/calls", {"systemPrompt": "Say hello."}, {"enableGreetingPrompt": "false"})
CREATED = says(201, {"callId": ID, "joinUrl": "ws://127.0.0.1:9/join"})


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as made:
        yield made


@pytest.fixture
def client(vendor: Vendor) -> Iterator[Ultravox]:
    made = Ultravox(KEY, base_url=vendor.url, timeout_s=5)
    yield made
    made.close()


def test_create(vendor, client):
    vendor.on("POST", "/api/calls", CREATED)
    found = client.create_call(CREATE, rings=False)
    assert (found.call_id, found.join_url) == (ID, JoinUrl("ws://127.0.0.1:9/join"))
    (heard,) = vendor.heard
    assert heard.json == {"systemPrompt": "Say hello."}
    assert heard.query == {"enableGreetingPrompt": "false"}
    assert heard.headers["x-api-key"] == KEY.reveal()
    assert heard.headers["accept-encoding"] == "identity"
    assert heard.headers["content-type"] == "application/json"


@pytest.mark.parametrize("base", ["/api", "/api/", "/"])
def test_the_base_may_name_the_api_or_not(vendor, base):
    vendor.on("POST", "/api/calls", CREATED)
    client = Ultravox(KEY, base_url=vendor.url + base)
    assert client.create_call(CREATE).call_id == ID
    client.close()


@pytest.mark.parametrize("reply", [nothing, reset, slow, drip, half], ids=["nothing", "reset", "slow", "drip", "half"])
def test_a_lost_answer_rings_only_if_ultravox_dials(vendor, reply):
    client = Ultravox(KEY, base_url=vendor.url, timeout_s=0.4)
    vendor.will(reply, reply)
    with pytest.raises(Temporary):
        client.create_call(CREATE, rings=False)
    with pytest.raises(FateUnknown):
        client.create_call(CREATE, rings=True)
    assert len(vendor.posts) == 2
    client.close()


@pytest.mark.parametrize(
    "reply",
    [huge, packed, says(201, "<html>", kind="text/html"), says(201, "")],
    ids=["huge", "packed", "html", "void"],
)
def test_a_success_that_cannot_be_read(vendor, client, reply):
    vendor.will(reply, reply)
    with pytest.raises(ContractBroken):
        client.create_call(CREATE, rings=False)
    with pytest.raises(FateUnknown):
        client.create_call(CREATE, rings=True)
    assert len(vendor.posts) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(vendor, client, status):
    vendor.will(says(status, "", headers={"Location": f"{vendor.url}/api/elsewhere"}))
    with pytest.raises(Temporary, match=str(status)):
        client.create_call(CREATE, rings=False)
    assert len(vendor.heard) == 1


def test_what_was_not_sent_does_not_ring():
    client = Ultravox(KEY, base_url=nobody())
    with pytest.raises(Temporary, match="no connection"):
        client.create_call(CREATE, rings=True)
    client.close()
    unknown = Ultravox(KEY, base_url="https://api.ultravox.invalid")
    with pytest.raises(Temporary):
        unknown.create_call(CREATE, rings=True)
    unknown.close()


def test_a_peer_without_tls_was_not_asked(vendor):
    client = Ultravox(KEY, base_url=vendor.url.replace("http:", "https:"))
    with pytest.raises(Temporary):
        client.create_call(CREATE, rings=True)
    assert not vendor.posts
    client.close()


def test_a_proxy_that_refuses_was_not_ultravox(vendor, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, vendor.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    client = Ultravox(KEY, base_url="https://api.example.com")
    with pytest.raises(Temporary, match="proxy"):
        client.create_call(CREATE, rings=True)
    client.close()


def test_loopback_is_never_asked_through_a_proxy(vendor, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nobody())
    vendor.on("POST", "/api/calls", CREATED)
    client = Ultravox(KEY, base_url=vendor.url)
    assert client.create_call(CREATE).call_id == ID
    client.close()


def test_a_join_url_on_loopback_is_only_for_a_loopback_api():
    assert Ultravox(KEY, base_url="http://127.0.0.1:1").loopback
    assert not Ultravox(KEY, base_url="https://api.ultravox.ai").loopback


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "missing"),
        ("a\nb", "line break"),
        ("a\r", "line break"),
        ("kéy", "ASCII"),
        ("a b", "space"),
        ("a\x00", "control"),
    ],
)
def test_a_key_that_no_header_can_hold(key, problem):
    with pytest.raises(AuthError, match=problem) as caught:
        Ultravox(Secret(key), base_url="https://api.ultravox.ai")
    assert "ultravox.api_key" in caught.value.hint


def test_a_call_from_its_first_to_its_last_word(vendor, client):
    path = f"/api/calls/{ID}"
    vendor.on(
        "GET", path, says(200, {"callId": ID, "joined": "2026-03-01T12:00:00Z", "ended": None, "endReason": None})
    )
    assert client.get_call(ID).joined_at is not None

    def page(handler: Any) -> None:
        cursor = vendor.heard[-1].query.get("cursor")
        first = {
            "results": [{"role": "MESSAGE_ROLE_AGENT", "text": "Hello."}],
            "next": f"{vendor.url}{path}/messages?cursor=2",
        }
        last = {"results": [{"role": "MESSAGE_ROLE_USER", "text": "Hi."}], "next": None}
        says(200, last if cursor == "2" else first)(handler)

    vendor.on("GET", f"{path}/messages", page)
    assert client.transcript(ID) == (Line("agent", "Hello."), Line("user", "Hi."))
    assert vendor.heard[-1].query == {"mode": "in_call", "cursor": "2", "pageSize": "100"}
    vendor.on("POST", f"{path}/send_data_message", says(204))
    assert client.hang_up(ID) is True
    client.agent_says(ID, "One moment.")
    client.user_says(ID, "Hm.")
    assert [heard.json["type"] for heard in vendor.posts] == ["hang_up", "forced_agent_message", "user_text_message"]
    vendor.on("POST", f"{path}/send_data_message", says(422, {"detail": "not active"}))
    assert client.hang_up(ID) is False
    with pytest.raises(ProviderRefused, match="not active"):
        client.agent_says(ID, "Too late.")
    vendor.on("POST", f"{path}/send_data_message", half)
    with pytest.raises(FateUnknown):
        client.user_says(ID, "Perhaps.")
    vendor.on("GET", f"{path}/events", says(200, {"results": [{"type": "x"}], "next": None}))
    assert client.events(ID) == ({"type": "x"},)
    vendor.on("DELETE", path, says(204))
    client.delete_call(ID)


def test_lists(vendor, client):
    vendor.on("GET", "/api/accounts/me", says(200, {"name": "Ada", "activeCalls": 0}))
    assert client.account().name == "Ada"
    for name in ("agents", "voices", "models"):
        vendor.on("GET", f"/api/{name}", says(200, {"results": [{"name": name}], "next": None}))
        assert [entry.name for entry in getattr(client, name)()] == [name]
    vendor.on("GET", "/api/calls", says(200, {"results": [{"callId": ID}], "next": None}))
    assert [call.call_id for call in client.calls_by_metadata("uvcall_attempt", "a-1")] == [ID]
    assert vendor.heard[-1].query == {"sort": "-created", "metadata.uvcall_attempt": "a-1"}


@pytest.mark.parametrize(("following", "requests"), [("?cursor=again", 2), (None, 50)], ids=["a-circle", "endless"])
def test_a_list_that_never_ends_is_left(vendor, client, following, requests):
    def page(handler: Any) -> None:
        after = following or f"?cursor={len(vendor.heard)}"
        says(200, {"results": [{"name": "x"}], "next": after})(handler)

    vendor.on("GET", "/api/agents", page)
    with pytest.raises(ContractBroken, match="no end"):
        client.agents()
    assert len(vendor.heard) == requests


def test_wrong_key(vendor, client):
    vendor.on("GET", "/api/accounts/me", says(401, {"detail": "Invalid key"}))
    with pytest.raises(AuthError, match="Invalid key"):
        client.account()


def test_httpx_comes_without_its_command_line():
    probe = "import sys; from uvcall.imports import load_httpx; httpx = load_httpx(); httpx.Client(); print([n for n in ('rich', 'click', 'httpx._main') if n in sys.modules]); import httpx._main"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("provider", ["telnyx", "twilio", "plivo"])
def test_a_request_is_built_without_any_sdk(provider):
    probe = f"""
import sys
from uvcall.carriers import Account, carrier
from uvcall.core.secret import JoinUrl
from uvcall.core.model import LegOrder
from uvcall.core.carrier import Provider
order = LegOrder("+12025550101", "+12025550199", "a-1", 35, 630, join_url=JoinUrl("wss://voice.ultravox.ai/c/1"), answer_url="https://e.com/a")
carrier(Provider("{provider}")).request(Account({{"connection_id": "24"}}), order)
print([n for n in ("httpx", "requests", "telnyx", "twilio", "plivo") if n in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_the_client_imports_no_http_library():
    probe = "import sys, uvcall.ultravox; print([n for n in ('httpx', 'requests', 'telnyx', 'twilio', 'plivo') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=Path(__file__).parents[1],
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
