"""`--carrier-option` against the real SDKs' signatures, and what a carrier cannot express."""

from __future__ import annotations

import pytest
from support.vendor import account, order

from uvcall.carriers import carrier
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.errors import UsageError

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO


def asked(provider: Provider, **changes):
    return carrier(provider).request(account(provider, "http://127.0.0.1:9"), order(provider, **changes))


@pytest.mark.parametrize(
    ("provider", "name", "given", "value"),
    [
        (TELNYX, "record_max_length", "60", 60),
        (TELNYX, "send_silence_when_idle", "true", True),
        (TELNYX, "send_silence_when_idle", "no", False),
        (TELNYX, "from_display_name", "12", "12"),
        (TELNYX, "record", "record-from-answer", "record-from-answer"),
        (TELNYX, "preferred_codecs", "[G722]", "[G722]"),
        (TELNYX, "custom_headers", '[{"name":"X-A","value":"1"}]', [{"name": "X-A", "value": "1"}]),
        (TELNYX, "sound_modifications", '{"pitch":0.8}', {"pitch": 0.8}),
        (TELNYX, "answering_machine_detection_config", '{"silence_threshold":512}', {"silence_threshold": 512}),
        (TELNYX, "webhook_urls", '{"call.hangup":["https://e.com"]}', {"call.hangup": ["https://e.com"]}),
        (TELNYX, "answering_machine_detection", "premium", "premium"),
        (TELNYX, "record_max_length", 7, 7),
        (TWILIO, "record", "true", True),
        (TWILIO, "machine_detection_timeout", "30", 30),
        (TWILIO, "status_callback", "https://e.com/s", "https://e.com/s"),
        (TWILIO, "status_callback_event", "answered", ["answered"]),
        (TWILIO, "status_callback_event", '["ringing","answered"]', ["ringing", "answered"]),
        (TWILIO, "send_digits", "1234", "1234"),
        (PLIVO, "machine_detection_time", "4000", 4000),
        (PLIVO, "error_if_parent_not_found", "false", False),
        (PLIVO, "caller_name", "Ada", "Ada"),
    ],
)
def test_a_string_becomes_what_the_sdk_wants(provider, name, given, value):
    found = asked(provider, options={name: given})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("provider", "name", "given", "kind"),
    [
        (TELNYX, "record_max_length", "sixty", "a whole number"),
        (TELNYX, "record_max_length", "1e3", "a whole number"),
        (TELNYX, "send_silence_when_idle", "maybe", "true or false"),
        (TELNYX, "custom_headers", "X-A: 1", "JSON"),
        (TELNYX, "custom_headers", "[" * 90000, "JSON"),
        (TWILIO, "record", "", "true or false"),
        (TWILIO, "status_callback_event", "[ringing", "a word or a JSON list"),
        (PLIVO, "machine_detection_time", "٤", "a whole number"),
    ],
)
def test_a_string_that_is_not_of_its_kind_is_refused(provider, name, given, kind):
    with pytest.raises(UsageError, match=kind):
        asked(provider, options={name: given})


@pytest.mark.parametrize(
    ("provider", "name", "near"),
    [
        (TELNYX, "time_out_secs", "timeout_secs"),
        (TELNYX, "recrod", "record"),
        (TWILIO, "statuscallback", "status_callback"),
        (PLIVO, "hangupurl", "hangup_url"),
        (PLIVO, "self", None),
        (TWILIO, "nonsense", None),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(provider, name, near):
    with pytest.raises(UsageError, match=repr(name)) as caught:
        asked(provider, options={name: "1"})
    assert caught.value.hint == f"did you mean {near!r}?" if near else "did you mean" not in caught.value.hint


OWN = [
    *[(TELNYX, name) for name in ("to", "from_", "stream_url", "stream_track", "command_id", "client_state", "timeout_secs")],
    *[(TELNYX, name) for name in ("extra_headers", "extra_body", "timeout", "assistant")],
    *[(TWILIO, name) for name in ("to", "from_", "twiml", "url", "application_sid", "timeout", "time_limit")],
    *[(PLIVO, name) for name in ("to_", "from_", "answer_url", "answer_method", "ring_timeout", "callback_url")],
]  # fmt: skip


@pytest.mark.parametrize(("provider", "name"), OWN)
def test_what_uvcall_sets_itself_cannot_be_given(provider, name):
    with pytest.raises(UsageError, match="uvcall's own"):
        asked(provider, options={name: "1"})


def test_what_is_set_only_sometimes_is_refused_only_then():
    assert asked(TWILIO, options={"machine_detection": "DetectMessageEnd"})["machine_detection"] == "DetectMessageEnd"
    with pytest.raises(UsageError, match="machine_detection"):
        asked(TWILIO, detect_machine=True, options={"machine_detection": "DetectMessageEnd"})


@pytest.mark.parametrize(
    ("provider", "stream", "name"),
    [
        (TELNYX, StreamOptions(codec="OPUS"), "codec"),
        (TELNYX, StreamOptions(track="all"), "track"),
        (TELNYX, StreamOptions(target_legs="left"), "target_legs"),
        (TWILIO, StreamOptions(codec="L16"), "codec"),
        (TWILIO, StreamOptions(track="both_tracks"), "track"),
        (TWILIO, StreamOptions(target_legs="self"), "target_legs"),
        (PLIVO, StreamOptions(codec="PCMA"), "codec"),
        (PLIVO, StreamOptions(track="both_tracks"), "track"),
        (PLIVO, StreamOptions(target_legs="self"), "target_legs"),
    ],
)
def test_what_a_carrier_cannot_express_is_refused_by_name(provider, stream, name):
    with pytest.raises(UsageError, match=name):
        asked(provider, stream=stream)


@pytest.mark.parametrize(
    ("provider", "changes"),
    [
        (TELNYX, {"ring_timeout_s": 4}),
        (TELNYX, {"ring_timeout_s": 601}),
        (TELNYX, {"time_limit_s": 14401}),
        (TWILIO, {"ring_timeout_s": 601}),
        (TWILIO, {"ring_timeout_s": 0}),
        (PLIVO, {"ring_timeout_s": 0}),
        (PLIVO, {"time_limit_s": 86401}),
    ],
)
def test_what_lies_outside_a_documented_range_is_refused(provider, changes):
    with pytest.raises(UsageError, match="seconds"):
        asked(provider, **changes)
