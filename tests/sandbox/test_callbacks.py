"""What the carriers tell the user's web server: in their words, signed so that the SDKs' own validators agree."""

from __future__ import annotations

import time

import pytest
from plivo.utils import validate_v3_signature
from twilio.request_validator import RequestValidator

from uvcall.core.carrier import Provider
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import wire
from uvcall.core.wire.events import WebhookKind
from uvcall.sandbox import credentials as c
from uvcall.sandbox.callbacks import handshake_headers

PAUSE = "<Response><Pause length='1'/></Response>"
VERIFY_KEYS = {
    Provider.TELNYX: c.TELNYX_PUBLIC_KEY,
    Provider.TWILIO: c.TWILIO_AUTH_TOKEN,
    Provider.PLIVO: c.PLIVO_AUTH_TOKEN,
}


def read(provider, mail):
    """Verify and parse as uvcall's own server does."""
    request = HttpRequest(mail.method, mail.url, tuple(mail.headers.items()), mail.body)
    wire(provider).verify(request, VERIFY_KEYS[provider], now=time.time())
    return wire(provider).parse_webhook(request)


def webhooks(running):
    return [event for event in running.history() if event["type"] == "webhook"]


@pytest.fixture
def telnyx_call(run_sandbox, sdks, mailbox, until):
    running = run_sandbox()
    client = sdks.telnyx(running)

    def call(to="+12025550107", **more):
        given = {"webhook_url": f"{mailbox.url}/hook?x=1", "timeout_secs": 5, **more}
        client.calls.dial(connection_id=c.TELNYX_CONNECTION_ID, to=to, from_=c.TELNYX_FROM, **given)

    return running, client, call


def test_telnyx_events_are_signed_and_in_order(telnyx_call, mailbox, until):
    _, client, call = telnyx_call
    call(client_state="eA==")
    until(lambda: len(mailbox.at("/hook")) == 3)
    events = sorted((mail.data["data"]["occurred_at"], mail.data["data"]["event_type"]) for mail in mailbox.at("/hook"))
    assert [name for _, name in events] == ["call.initiated", "call.answered", "call.hangup"]
    for mail in mailbox.at("/hook"):
        assert client.webhooks.unwrap(mail.body.decode(), headers=mail.headers).data.event_type.startswith("call.")
        seen = read(Provider.TELNYX, mail)
        assert (seen.kind, seen.from_, seen.to) == (WebhookKind.STATUS, c.TELNYX_FROM, "+12025550107")
        assert mail.data["meta"] == {"attempt": 1, "delivered_to": f"{mailbox.url}/hook?x=1"}
        assert mail.data["data"]["payload"]["client_state"] == "eA=="


def test_telnyx_asks_again_when_the_answer_is_not_2xx(telnyx_call, mailbox, until):
    running, _, call = telnyx_call
    mailbox.answers["/hook"] = [(500, ""), (503, ""), (200, "")]
    call("+12025550101")  # busy: call.initiated and call.hangup
    until(lambda: len(webhooks(running)) == 4)
    assert sorted(event["attempt"] for event in webhooks(running)) in ([1, 1, 2, 2], [1, 1, 2, 3])
    ids = [mail.data["data"]["id"] for mail in mailbox.at("/hook")]
    assert len(set(ids)) == 2  # a repeated event keeps its id


def test_telnyx_gives_up_after_its_attempts(telnyx_call, mailbox, until):
    running, _, call = telnyx_call
    call("+12025550101", webhook_url="http://127.0.0.1:1/nobody")
    until(lambda: len(webhooks(running)) == 6)
    assert {event["status"] for event in webhooks(running)} == {None}
    assert max(event["attempt"] for event in webhooks(running)) == 3


def test_the_schema_of_telnyxs_events(telnyx_call, mailbox, until, conforms_to_schema):
    _, _, call = telnyx_call
    call("+12025550104", answering_machine_detection="premium", client_state="eA==")
    names = {
        "call.initiated": "CallInitiatedEvent",
        "call.answered": "CallAnsweredEvent",
        "call.machine.premium.detection.ended": "CallMachinePremiumDetectionEndedEvent",
        "call.machine.premium.greeting.ended": "CallMachinePremiumGreetingEndedEvent",
        "call.hangup": "CallHangupEvent",
    }
    until(lambda: len(mailbox.at("/hook")) == len(names))
    for mail in mailbox.at("/hook"):
        conforms_to_schema(mail.data, "telnyx", names[mail.data["data"]["event_type"]])


def test_texml_calls_back_with_a_signed_form(run_sandbox, sdks, mailbox, until):
    running = run_sandbox()
    sdks.telnyx(running).texml.accounts.calls.calls(
        c.TELNYX_ACCOUNT_SID,
        body={
            "Texml": PAUSE,
            "ApplicationSid": c.TELNYX_APPLICATION_SID,
            "To": "+12025550100",
            "From": c.TELNYX_FROM,
            "StatusCallback": f"{mailbox.url}/texml",
            "StatusCallbackEvent": "initiated ringing answered completed",
        },
    )
    until(lambda: len(mailbox.at("/texml")) == 4)
    seen = {mail.fields["CallStatus"]: read(Provider.TELNYX, mail) for mail in mailbox.at("/texml")}
    assert set(seen) == {"queued", "ringing", "in-progress", "completed"}


def test_twilio_sends_the_progress_that_was_asked_for(run_sandbox, sdks, mailbox, until):
    running = run_sandbox()
    url = f"{mailbox.url}/status?attempt=7"
    call = sdks.twilio(running).calls.create(
        to="+12025550103",
        from_=c.TWILIO_FROM,
        twiml=PAUSE,
        status_callback=url,
        status_callback_event=["initiated", "ringing", "answered", "completed"],
    )
    until(lambda: len(mailbox.at("/status")) == 3)
    mails = sorted(mailbox.at("/status"), key=lambda mail: int(mail.fields["SequenceNumber"]))
    assert [mail.fields["CallStatus"] for mail in mails] == ["initiated", "ringing", "busy"]
    assert mails[-1].fields["SipResponseCode"] == "603"
    validator = RequestValidator(c.TWILIO_AUTH_TOKEN)
    for mail in mails:
        assert validator.validate(url, mail.fields, mail.headers["X-Twilio-Signature"])
        seen = read(Provider.TWILIO, mail)
        assert (seen.kind, seen.carrier_call_id, seen.direction) == (WebhookKind.STATUS, call.sid, "outbound")


def test_twilio_sends_only_the_end_by_default_and_by_get_when_told(run_sandbox, sdks, mailbox, until, ended):
    running = run_sandbox()
    sdks.twilio(running).calls.create(
        to="+12025550100",
        from_=c.TWILIO_FROM,
        twiml=PAUSE,
        status_callback=f"{mailbox.url}/status?attempt=7",
        status_callback_method="GET",
    )
    ended(running)
    (mail,) = until(lambda: mailbox.at("/status"))
    assert mail.method == "GET"
    assert (mail.fields["CallStatus"], mail.fields["attempt"]) == ("completed", "7")
    assert mail.fields["CallDuration"] == "2"
    assert RequestValidator(c.TWILIO_AUTH_TOKEN).validate(mail.url, {}, mail.headers["X-Twilio-Signature"])


def test_twilio_tells_of_machines_and_streams(run_sandbox, sdks, mailbox, until, join_url):
    running = run_sandbox()
    url = join_url(running, "twilio")
    stream = f'<Stream url="{url}" name="uv" statusCallback="{mailbox.url}/stream"/>'
    sdks.twilio(running).calls.create(
        to="+12025550100",
        from_=c.TWILIO_FROM,
        twiml=f"<Response><Connect>{stream}</Connect></Response>",
        machine_detection="Enable",
        async_amd="true",
        async_amd_status_callback=f"{mailbox.url}/amd",
    )
    (mail,) = until(lambda: mailbox.at("/amd"))
    verdict = read(Provider.TWILIO, mail)
    assert (verdict.kind, verdict.machine) == (WebhookKind.MACHINE, False)
    until(lambda: len(mailbox.at("/stream")) == 2)
    seen = [read(Provider.TWILIO, mail) for mail in mailbox.at("/stream")]
    assert {one.status for one in seen} == {"stream-started", "stream-stopped"}
    assert len({one.ids["stream_sid"] for one in seen}) == 1


def test_plivo_asks_for_the_document_and_tells_of_ring_and_hangup(run_sandbox, sdks, mailbox, until):
    running = run_sandbox()
    mailbox.answers["/answer"] = [(200, "<Response><Wait length='1'/></Response>")]
    placed = sdks.plivo(running).calls.create(
        from_=c.PLIVO_FROM,
        to_="+12025550100",
        answer_url=f"{mailbox.url}/answer?attempt=7",
        ring_url=f"{mailbox.url}/ring",
        hangup_url=f"{mailbox.url}/hangup",
        hangup_method="GET",
    )
    until(lambda: mailbox.at("/hangup"))
    (ring,), (answer,), (hangup,) = (mailbox.at(path) for path in ("/ring", "/answer", "/hangup"))
    assert (ring.fields["Event"], answer.fields["Event"], hangup.fields["Event"]) == ("Ring", "StartApp", "Hangup")
    assert answer.fields["CallStatus"] == "in-progress"
    assert hangup.fields["HangupCauseCode"] == "4010"
    for mail in (ring, answer, hangup):
        assert mail.fields["RequestUUID"] == placed.request_uuid != mail.fields["CallUUID"]
        headers = mail.headers
        assert validate_v3_signature(
            mail.method,
            mail.url,
            headers["X-Plivo-Signature-V3-Nonce"],
            c.PLIVO_AUTH_TOKEN,
            headers["X-Plivo-Signature-V3"],
            {} if mail.method == "GET" else mail.fields,
        )
        seen = read(Provider.PLIVO, mail)
        assert (seen.from_, seen.to, seen.direction) == (c.PLIVO_FROM, "+12025550100", "outbound")


def test_plivo_tells_of_a_machine_where_it_was_told_to(run_sandbox, sdks, mailbox, until):
    running = run_sandbox()
    mailbox.answers["/answer"] = [(200, "<Response><Wait length='60'/></Response>")]
    sdks.plivo(running).calls.create(
        from_=c.PLIVO_FROM,
        to_="+12025550104",
        answer_url=f"{mailbox.url}/answer",
        machine_detection="true",
        machine_detection_url=f"{mailbox.url}/machine",
    )
    (mail,) = until(lambda: mailbox.at("/machine"))
    seen = read(Provider.PLIVO, mail)
    assert (mail.fields["Machine"], seen.kind, seen.machine) == ("true", WebhookKind.MACHINE, True)


def test_nothing_beyond_this_machine_is_called_back(run_sandbox, sdks, until):
    running = run_sandbox()
    sdks.twilio(running).calls.create(
        to="+12025550101", from_=c.TWILIO_FROM, twiml=PAUSE, status_callback="https://hooks.example.com/secret?token=1"
    )
    events = until(lambda: len(webhooks(running)) == 2 and webhooks(running))
    assert {(event["status"], event["url"]) for event in events} == {(None, "https://hooks.example.com/secret")}


def test_the_handshake_of_a_stream_is_signed_as_the_carriers_sign_it():
    url = "wss://voice.ultravox.ai/calls/1/telephony"
    twilio = handshake_headers(Provider.TWILIO, url)
    assert RequestValidator(c.TWILIO_AUTH_TOKEN).validate(url, {}, twilio["X-Twilio-Signature"])
    plivo = handshake_headers(Provider.PLIVO, url)
    https = url.replace("wss", "https")  # the SDK's validator takes no wss
    plivo_https = handshake_headers(Provider.PLIVO, https)
    assert set(plivo) == set(plivo_https)
    assert validate_v3_signature(
        "GET", https, plivo_https["X-Plivo-Signature-V3-Nonce"], c.PLIVO_AUTH_TOKEN, plivo_https["X-Plivo-Signature-V3"]
    )
    assert handshake_headers(Provider.TELNYX, url) == {}


def test_the_public_key_belongs_to_the_seed():
    import base64

    from nacl.signing import SigningKey

    key = SigningKey(base64.b64decode(c.TELNYX_SEED)).verify_key
    assert base64.b64encode(bytes(key)).decode() == c.TELNYX_PUBLIC_KEY
