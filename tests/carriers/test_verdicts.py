"""Every way a create can fail, with the real SDKs: the verdict, and that the request left exactly once."""

from __future__ import annotations

import pytest
from support.vendor import (
    drip,
    half,
    huge,
    nothing,
    packed,
    reset,
    says,
    slow,
)

from uvcall.core.carrier import Provider
from uvcall.errors import AuthError, FateUnknown, ProviderRefused, Temporary, UvcallError

ALL = list(Provider)


def complaint(provider: Provider, words: str = "Bad number", code: str = "10016") -> dict[str, object]:
    return {
        Provider.TELNYX: {"errors": [{"code": code, "title": words, "detail": "More.", "source": {"pointer": "/to"}}]},
        Provider.TWILIO: {"code": 21211, "message": words, "more_info": "https://…", "status": 400},
        Provider.PLIVO: {"api_id": "x", "error": words},
    }[provider]


def fails(line, vendor, kind: type[UvcallError]) -> UvcallError:
    with pytest.raises(UvcallError) as caught:
        line.place()
    assert type(caught.value) is kind, caught.value
    assert len(vendor.posts) == 1, [request.path for request in vendor.heard]
    assert len(vendor.heard) == 1
    assert caught.value.peer == line.provider
    assert "\n" not in caught.value.message
    assert len(caught.value.message) <= 300
    return caught.value


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 413, 415, 422])
def test_a_definite_refusal_keeps_the_vendors_words(provider, status, vendor, connect, capfd):
    vendor.will(says(status, complaint(provider)))
    error = fails(connect(provider, vendor.url), vendor, ProviderRefused)
    assert "Bad number" in error.message
    assert error.status == status
    assert error.vendor_code == {"telnyx": "10016", "twilio": "21211", "plivo": None}[provider]
    assert error.hint
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("body", [b"<html>no such host</html>", b"", b'{"errors": [', b"[]", b'"no"', b"[" * 90000])
def test_a_refusal_that_is_not_the_vendors_own_proves_nothing(provider, status, body, vendor, connect):
    vendor.will(says(status, body))
    error = fails(connect(provider, vendor.url), vendor, FateUnknown)
    assert error.placed == "unknown"
    assert "reconcile" in error.hint


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("body", [b"Could not verify your access level", b"", b"{}"])
def test_401_is_about_the_credentials_whoever_says_it(provider, body, vendor, connect):
    vendor.will(says(401, body, kind="text/html"))
    error = fails(connect(provider, vendor.url), vendor, AuthError)
    assert provider.value in error.hint


@pytest.mark.parametrize(
    ("provider", "body", "kind"),
    [
        (Provider.TELNYX, {"errors": [{"code": "10009", "title": "Authentication failed"}]}, AuthError),
        (Provider.TELNYX, {"errors": [{"code": "10010", "title": "Not authorised"}]}, AuthError),
        (
            Provider.TELNYX,
            {"errors": [{"code": "10010", "title": "Dialed number not whitelisted D13"}]},
            ProviderRefused,
        ),
        (Provider.TELNYX, {"errors": [{"code": "10038", "title": "Feature not permitted"}]}, ProviderRefused),
        (Provider.TWILIO, {"code": 20003, "message": "Authenticate", "status": 403}, AuthError),
        (Provider.TWILIO, {"code": 21215, "message": "Geo permission", "status": 403}, ProviderRefused),
        (
            Provider.TWILIO,
            {"type": "https://…", "title": "Forbidden", "detail": "Not here", "status": 403, "code": 20009},
            ProviderRefused,
        ),
        (Provider.PLIVO, {"api_id": "x", "error": "geo permission disabled"}, ProviderRefused),
    ],
)
def test_403_is_about_the_credentials_only_when_it_says_so(provider, body, kind, vendor, connect):
    vendor.will(says(403, body))
    fails(connect(provider, vendor.url), vendor, kind)


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("status", [302, 307, 408, 409, 418, 500, 502, 503, 504])
def test_what_may_have_been_taken_is_unknown(provider, status, vendor, connect, capfd):
    vendor.will(says(status, complaint(provider), headers={"Location": f"{vendor.url}/elsewhere"}))
    error = fails(connect(provider, vendor.url), vendor, FateUnknown)
    assert error.status == status
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize(
    "reply",
    [
        nothing,
        reset,
        half,
        huge,
        packed,
        says(200, "<html>welcome to the hotel</html>", kind="text/html"),
        says(200, "not json"),
        says(200, {}),
        says(200, {"data": None}),
        says(200, {"data": {"call_control_id": 7}, "sid": 7, "request_uuid": 7}),
        says(200, {"data": {"call_control_id": ""}, "sid": "", "request_uuid": ""}),
        says(200, {"data": {"call_control_id": "a b"}, "sid": "CA/../x", "request_uuid": ["a", "b"]}),
        says(200, []),
        says(200, b""),
        says(204),
    ],
    ids=[
        "nothing",
        "reset",
        "half",
        "huge",
        "packed",
        "html",
        "text",
        "empty",
        "null",
        "number",
        "blank",
        "odd",
        "list",
        "void",
        "204",
    ],
)
def test_an_answer_that_cannot_be_read_is_unknown(provider, reply, vendor, connect, capfd):
    vendor.will(reply)
    fails(connect(provider, vendor.url), vendor, FateUnknown)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("provider", ALL)
def test_an_endless_answer_is_left_early(provider, vendor, connect):
    vendor.will(huge)
    assert "larger than 1,048,576 bytes" in fails(connect(provider, vendor.url), vendor, FateUnknown).message


@pytest.mark.parametrize("provider", ALL)
def test_a_compressed_answer_is_not_unpacked(provider, vendor, connect):
    vendor.will(packed)
    assert "compressed" in fails(connect(provider, vendor.url), vendor, FateUnknown).message


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("reply", [slow, drip])
def test_patience_ends(provider, reply, vendor, connect):
    vendor.will(reply)
    error = fails(connect(provider, vendor.url, timeout_s=0.4), vendor, FateUnknown)
    assert "in time" in error.message or "complete after" in error.message


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("soon", None)])
def test_too_many_requests_is_temporary(provider, header, seconds, vendor, connect):
    vendor.will(says(429, complaint(provider, "Slow down"), headers={"Retry-After": header} if header else None))
    error = fails(connect(provider, vendor.url), vendor, Temporary)
    assert error.retry_after == seconds
    assert "Slow down" in error.message


@pytest.mark.parametrize("provider", ALL)
def test_nobody_listening_is_temporary(provider, refused_url, connect):
    with pytest.raises(Temporary, match="no connection"):
        connect(provider, refused_url).place()


@pytest.mark.parametrize("provider", ALL)
def test_a_name_that_does_not_resolve_is_temporary(provider, connect):
    with pytest.raises(Temporary):
        connect(provider, "https://api.carrier.invalid").place()


@pytest.mark.parametrize("provider", ALL)
def test_a_peer_without_tls_is_temporary(provider, vendor, connect):
    with pytest.raises(Temporary):
        connect(provider, vendor.url.replace("http://", "https://")).place()
    assert not vendor.posts


@pytest.mark.parametrize("provider", ALL)
def test_a_failure_after_a_good_request_is_judged_on_its_own(provider, vendor, connect, refused_url):
    """A connection that was used before must not make the next failure look sent, or the other way round."""
    line = connect(provider, vendor.url)
    vendor.will(says(429, complaint(provider)), reset)
    with pytest.raises(Temporary):
        line.place()
    with pytest.raises(FateUnknown):
        line.place()
    assert len(vendor.posts) == 2


@pytest.mark.parametrize("provider", ALL)
def test_no_message_holds_a_secret(provider, vendor, connect):
    words = "cannot stream to wss://voice.ultravox.ai/calls/secret/telephony now\nreally"
    vendor.will(says(422, complaint(provider, words)))
    error = fails(connect(provider, vendor.url), vendor, ProviderRefused)
    assert "secret" not in error.message
    assert "[join URL]" in error.message


@pytest.mark.parametrize("provider", ALL)
def test_a_proxy_that_is_not_there_means_nothing_was_sent(provider, connect, refused_url, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", refused_url)
    monkeypatch.setenv("https_proxy", refused_url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Temporary):
        connect(provider, "https://api.example.com").place()


@pytest.mark.parametrize("provider", ALL)
def test_a_proxy_that_refuses_the_tunnel_means_nothing_was_sent(provider, connect, vendor, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, vendor.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    with pytest.raises(Temporary):
        connect(provider, "https://api.example.com").place()


@pytest.mark.parametrize("provider", ALL)
def test_loopback_is_never_asked_through_a_proxy(provider, connect, vendor, refused_url, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, refused_url)
    vendor.will(says(429, complaint(provider)))
    fails(connect(provider, vendor.url), vendor, Temporary)


@pytest.mark.parametrize("provider", ALL)
def test_no_answer_is_asked_for_compressed(provider, connect, vendor):
    vendor.will(says(400, complaint(provider)))
    fails(connect(provider, vendor.url), vendor, ProviderRefused)
    assert vendor.heard[0].headers["accept-encoding"] == "identity"
