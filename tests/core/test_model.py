"""Join URLs lead to Ultravox or nowhere, and secrets do not show."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.model import CreatedCall, LegOrder
from uvcall.core.secret import JoinUrl, Secret, parse_join_url
from uvcall.errors import ContractBroken

GOOD = [
    "wss://voice.ultravox.ai/calls/0b7c/telephony",
    "wss://ultravox.ai/x",
    "wss://a.b.ultravox.ai:443/x?y=z",
    "WSS://VOICE.ULTRAVOX.AI/x",
]
LOOPBACK = ["ws://127.0.0.1:8080/x", "ws://localhost/x", "ws://[::1]:9/x", "wss://127.0.0.1/x"]
HOSTILE = [
    "wss://evil.com\\@api.ultravox.ai/",
    "wss://evil.com\\.ultravox.ai/",
    "wss://user@voice.ultravox.ai/",
    "wss://user:pw@voice.ultravox.ai/",
    "wss://voice.ultravox.ai@evil.com/",
    "wss://@voice.ultravox.ai/",
    "wss://voice.ultravox.ai:8443/",
    "wss://voice.ultravox.ai:0/",
    "wss://voice.ultravox.ai:99999/",
    "wss://voice.ultravox.ai:x/",
    "wss://evilultravox.ai/",
    "wss://ultravox.ai.evil.com/",
    "wss://voice.ultravox.ai./",
    "wss://voice-ultravox.ai/",
    "wss://ultravox.ai%2eevil.com/",
    "wss://evil.com#.ultravox.ai/",
    "wss://evil.com/?x=.ultravox.ai",
    "wss://evil.com;.ultravox.ai/ x",
    "wss://voice.ultravox.ai/#fragment",
    "wss://voice.ultrav\u043ex.ai/",
    "wss://voice\u3002ultravox\u3002ai/",
    "wss://voice.ultravox.ai/\u200b",
    "ws://voice.ultravox.ai/",
    "https://voice.ultravox.ai/",
    "javascript://voice.ultravox.ai/",
    "//voice.ultravox.ai/",
    "voice.ultravox.ai",
    "wss:voice.ultravox.ai",
    "wss://",
    "wss:///x",
    " wss://voice.ultravox.ai/",
    "wss://voice.ultravox.ai/ ",
    "wss://voice.ultravox.ai/\nHost: evil",
    "wss://voice.ultravox.ai/\x00",
    "wss://voice.ultravox.ai/\x7f",
    'wss://voice.ultravox.ai/"><Dial/>',
    "wss://[::1/",
    "wss://[voice.ultravox.ai]/",
    "wss://voice.ultravox.ai/" + "a" * 2048,
]


@pytest.mark.parametrize("url", GOOD)
@pytest.mark.parametrize("loopback", [False, True])
def test_ultravoxs_own(url: str, loopback: bool) -> None:
    assert parse_join_url(url, loopback=loopback).reveal() == url


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_only_where_allowed(url: str) -> None:
    assert parse_join_url(url, loopback=True).reveal() == url
    with pytest.raises(ContractBroken):
        parse_join_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1.evil.com/",
        "ws://evil.com/",
        "http://127.0.0.1/",
        "ws://u@127.0.0.1/",
        "ws://127.0.0.1\\@evil.com/",
        "ws://0.0.0.0/",
        "ws://10.0.0.1/",
    ],
)
def test_loopback_means_loopback(url: str) -> None:
    with pytest.raises(ContractBroken):
        parse_join_url(url, loopback=True)


@pytest.mark.parametrize("url", HOSTILE)
@pytest.mark.parametrize("loopback", [False, True])
def test_hostile(url: str, loopback: bool) -> None:
    with pytest.raises(ContractBroken) as caught:
        parse_join_url(url, loopback=loopback)
    told = caught.value.message + caught.value.hint
    assert url not in caught.value.message
    assert "evil" not in told
    assert caught.value.hint
    assert caught.value.peer == "ultravox"


@pytest.mark.parametrize(
    "value", [None, "", 0, 5, [], ["wss://voice.ultravox.ai/"], {"a": 1}, b"wss://voice.ultravox.ai/"]
)
def test_not_even_text(value: object) -> None:
    with pytest.raises(ContractBroken):
        parse_join_url(value)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.sampled_from(["wss://{}.ultravox.ai/", "wss://{}ultravox.ai/", "wss://{}", "{}"]))
def test_whatever_is_taken_leads_to_ultravox(text: str, shape: str) -> None:
    try:
        url = parse_join_url(shape.format(text)).reveal()
    except ContractBroken:
        return
    host = url.partition("://")[2].partition("/")[0].partition("?")[0].lower().removesuffix(":443")
    assert url.lower().startswith("wss://")
    assert host == "ultravox.ai" or host.endswith(".ultravox.ai")
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_~!$&'()*+,;=%:[]")


@dataclass
class Holder:
    key: Secret
    url: JoinUrl


def test_secrets_and_join_urls_do_not_show() -> None:
    key = Secret("Zk5wabcdefgh.SECRETSECRETSECRET7777")
    url = parse_join_url("wss://voice.ultravox.ai/calls/hidden-id/telephony")
    order = LegOrder("+12025550100", "+12025550199", "id", 35, 600, join_url=url)
    holder = Holder(key, url)
    shown = [
        *(f(value) for f in (str, repr, ascii, "{}".format, "{!r}".format, "%s".__mod__) for value in (key, url)),
        f"{key} {url} {key!r} {url!r}",
        repr(holder),
        repr([key, url]),
        str({"key": key, "url": url}),
        repr(order),
        repr(order._replace(to="+12025550101")),
        repr(CreatedCall("c", url)),
        json.dumps({"key": key, "url": url}, default=str),
    ]
    for text in shown:
        assert "SECRET" not in text
        assert "Zk5w" not in text
        assert "hidden-id" not in text
        assert "wss://" not in text
    assert key.reveal().startswith("Zk5w")
    assert str(key) == "set (…7777)"


@pytest.mark.parametrize("value", ["", "a", "abcd", "elevenchars"])
def test_short_secrets_show_nothing_at_all(value: str) -> None:
    assert str(Secret(value)) == "set"
    assert repr(Secret(value)) == "Secret(set)"


def test_values_compare_and_freeze() -> None:
    assert Secret("a") == Secret("a")
    assert len({JoinUrl("x"), JoinUrl("x"), JoinUrl("y")}) == 2
    with pytest.raises(AttributeError):
        Secret("a").value = "b"  # type: ignore[misc]  # that it cannot be set is the point
