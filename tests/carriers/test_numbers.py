"""Numbers at carriers that fail in every way, with the real SDKs: one request each, and what is made of the answer."""

from __future__ import annotations

from typing import Any

import pytest
from support.vendor import Handler, Line, half, nothing, reset, says

from uvcall.carriers.numbers import numbers
from uvcall.core.carrier import Provider
from uvcall.core.number import Here, NumberSetup
from uvcall.errors import AuthError, ConfigError, ContractBroken, ProviderRefused, Temporary

ALL = list(Provider)
NUMBER = "+12025550199"
HERE = Here("https://here.example.com/x", "https://here.example.com/x/status", "uvcall-12025550199-abc")
FIELDS = {
    Provider.TELNYX: {"connection_id": ""},
    Provider.TWILIO: dict.fromkeys(numbers(Provider.TWILIO).FIELDS, ""),  # type: ignore[attr-defined]  # Twilio alone has them
    Provider.PLIVO: {"app_id": ""},
}
#: A list of the account's numbers in which this one is not, though the filter was given it.
OTHERS: dict[Provider, Any] = {
    Provider.TELNYX: {"data": [{"id": "1", "phone_number": NUMBER + "0"}], "meta": {}},
    Provider.TWILIO: {"incoming_phone_numbers": [{"sid": "PN" + "1" * 32, "phone_number": NUMBER + "0"}]},
    Provider.PLIVO: {"number": NUMBER[1:] + "0", "application": None},
}


@pytest.fixture(autouse=True)
def patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telnyx's numbers are changed by PATCH."""
    monkeypatch.setattr(Handler, "do_PATCH", Handler.do_POST, raising=False)


def setup(provider: Provider, **fields: str) -> NumberSetup:
    return NumberSetup(NUMBER, "PN1", {**FIELDS[provider], **fields})


def changed(provider: Provider) -> NumberSetup:
    return setup(provider, **{next(iter(FIELDS[provider])): "https://there.example.com/"})


def ask(line: Line, what: str) -> Any:
    room = numbers(line.provider)
    if what == "read":
        return room.read(line.client, line.account, NUMBER)
    if what == "write":
        return room.write(line.client, line.account, setup(line.provider), changed(line.provider))
    return room.clear(line.client, line.account, HERE.tag)


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("what", ["read", "write"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (says(401, b"who are you?"), AuthError),
        (says(429, b"slow down"), Temporary),
        (says(500, b"<html>"), Temporary),
        (says(503, {}), Temporary),
        (says(302, b"", headers={"Location": "https://elsewhere.example.com/"}), Temporary),
        (says(404, b"<html>nobody</html>"), ConfigError),
        (nothing, Temporary),
        (reset, Temporary),
        (half, Temporary),
    ],
)
def test_what_is_made_of_a_failure(provider, what, reply, kind, vendor, connect, capfd):
    vendor.will(reply)
    if kind is ConfigError and what == "read" and provider is not Provider.PLIVO:
        kind = Temporary  # what is asked for is a list, and that there is none says nothing of the number
    with pytest.raises(kind) as caught:
        ask(connect(provider, vendor.url), what)
    assert type(caught.value) is kind
    assert len(vendor.heard) == 1, "one attempt"
    assert caught.value.peer == provider.value
    assert caught.value.hint
    assert "the call is not affected" not in caught.value.hint
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("provider", ALL)
def test_a_refusal_keeps_the_carriers_words(provider, vendor, connect):
    said = {
        Provider.TELNYX: {"errors": [{"code": "85004", "title": "Bad connection"}]},
        Provider.TWILIO: {"code": 21404, "message": "Bad connection", "status": 400},
        Provider.PLIVO: {"error": "Bad connection"},
    }
    vendor.will(says(400, said[provider]))
    with pytest.raises(ProviderRefused, match="Bad connection") as caught:
        ask(connect(provider, vendor.url), "write")
    assert caught.value.vendor_code == {"telnyx": "85004", "twilio": "21404", "plivo": None}[provider]


@pytest.mark.parametrize("provider", ALL)
def test_another_number_that_the_filter_lets_through_is_not_taken_for_it(provider, vendor, connect):
    vendor.will(says(200, OTHERS[provider]))
    with pytest.raises(ConfigError, match="knows no number"):
        ask(connect(provider, vendor.url), "read")


@pytest.mark.parametrize("provider", [Provider.TELNYX, Provider.PLIVO])
@pytest.mark.parametrize("body", [{}, {"data": None, "objects": None}, {"data": "x", "objects": "x"}, b"<html>", b"[]"])
def test_what_was_made_is_not_said_to_be_gone_without_a_list(provider, body, vendor, connect):
    vendor.will(says(200, body))
    with pytest.raises(Temporary):
        ask(connect(provider, vendor.url), "clear")


@pytest.mark.parametrize("provider", [Provider.TELNYX, Provider.PLIVO])
def test_an_application_without_an_id_is_not_gone_on_with(provider, vendor, connect):
    empty = {"data": [], "objects": [], "meta": {}}
    vendor.will(says(200, empty), says(201, {"data": {}, "message": "created"}))
    line = (
        connect(provider, vendor.url, connection_id="")
        if provider is Provider.TELNYX
        else connect(provider, vendor.url)
    )
    with pytest.raises(ContractBroken, match="does not say which application"):
        numbers(provider).aim(line.client, line.account, setup(provider), HERE)


def test_nothing_is_asked_where_nothing_differs(vendor, connect):
    for provider in ALL:
        line = connect(provider, vendor.url)
        numbers(provider).write(line.client, line.account, setup(provider), setup(provider))
    assert vendor.heard == []


def test_twilio_is_asked_to_change_what_differs_and_no_more(vendor, connect):
    vendor.will(says(200, {}))
    line = connect(Provider.TWILIO, vendor.url)
    before = setup(Provider.TWILIO, voice_url="https://a.example.com/", voice_method="GET", trunk_sid="TK" + "1" * 32)
    room = numbers(Provider.TWILIO)
    room.write(line.client, line.account, before, room.aim(line.client, line.account, before, HERE))
    assert vendor.heard[0].form == {
        "VoiceUrl": HERE.answer_url,
        "VoiceMethod": "POST",
        "StatusCallback": HERE.status_url,
        "StatusCallbackMethod": "POST",
        "TrunkSid": "",
    }
