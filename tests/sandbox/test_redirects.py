"""What the vendors' SDKs can change of a call that is under way: other instructions, and Telnyx's commands."""

from __future__ import annotations

import pytest
import telnyx
from plivo.exceptions import PlivoRestError
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from uvcall.sandbox import credentials as c

LONG = "<Response><Pause length='600'/></Response>"
SAY = "<Response><Say>Goodbye</Say></Response>"
PLIVO_LONG = "<Response><Wait length='600'/></Response>"
PLIVO_SAY = "<Response><Speak>Goodbye</Speak></Response>"


def documents(running):
    return [event["verbs"] for event in running.history() if event["type"] == "document"]


def under_way(running, until):
    """Wait until a call follows its first document."""
    until(lambda: documents(running), 20)


def create(client, twiml, to="+12025550100"):
    return client.calls.create(to=to, from_=c.TWILIO_FROM, twiml=twiml)


@pytest.fixture
def twilio(run_sandbox, sdks):
    running = run_sandbox()
    return running, sdks.twilio(running)


# ---- Twilio: https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource


def test_twilio_gives_a_running_call_other_twiml(twilio, until, ended):
    running, client = twilio
    call = create(client, LONG)
    under_way(running, until)
    assert client.calls(call.sid).update(twiml=SAY).status == "in-progress"
    assert ended(running)["cause"] == "normal"
    assert documents(running) == [["Pause"], ["Say"]]
    assert client.calls(call.sid).fetch().status == "completed"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_twilio_asks_another_url(twilio, mailbox, until, ended, method):
    running, client = twilio
    mailbox.answers["/next"] = [(200, SAY)]
    call = create(client, LONG)
    under_way(running, until)
    client.calls(call.sid).update(url=f"{mailbox.url}/next?at=1", method=method)
    ended(running)
    (mail,) = mailbox.at("/next")
    assert (mail.method, mail.fields["CallSid"], mail.fields["CallStatus"]) == (method, call.sid, "in-progress")
    form = mail.fields if method == "POST" else {}
    signature = mail.headers["X-Twilio-Signature"]
    assert RequestValidator(c.TWILIO_AUTH_TOKEN).validate(mail.url, form, signature)
    assert documents(running) == [["Pause"], ["Say"]]


def test_a_new_document_ends_the_stream_and_the_agents_call(run_sandbox, sdks, join_url, until, ended):
    running = run_sandbox(speed=10.0, agent_script=("This line is so long that it is still being said " * 20, "Bye."))
    client = sdks.twilio(running)
    call = create(
        client,
        f'<Response><Connect><Stream url="{join_url(running, "twilio", joinTimeout="600s")}"/></Connect>{SAY[10:]}',
    )
    until(lambda: [e for e in running.history() if e["type"] == "media.started"], 20)
    client.calls(call.sid).update(twiml="<Response><Pause length='1'/></Response>")
    over = until(lambda: [e for e in running.history() if e["peer"] == "ultravox" and e["type"] == "call.ended"], 20)
    assert over[0]["end_reason"] == "hangup"
    assert ended(running)["cause"] == "normal"
    # What stood behind the stream is not done.
    assert documents(running) == [["Connect", "Say"], ["Pause"]]
    assert until(lambda: [e for e in running.history() if e["type"] == "media.stopped"], 20)[0]["how"] == "leg"


def test_a_stream_beside_the_call_goes_on(run_sandbox, sdks, join_url, until, ended):
    running = run_sandbox(speed=10.0, agent_script=("One.", "Bye. " * 200))
    client = sdks.twilio(running)
    start = f'<Start><Stream url="{join_url(running, "twilio", joinTimeout="600s")}"/></Start>'
    call = create(client, f"<Response>{start}<Pause length='600'/></Response>")
    until(lambda: [e for e in running.history() if e["type"] == "media.started"], 20)
    client.calls(call.sid).update(twiml="<Response><Pause length='2'/></Response>")
    until(lambda: len(documents(running)) == 2, 20)
    ended(running)
    until(lambda: [e for e in running.history() if e["type"] == "media.stopped"], 20)
    kinds = [e["type"] for e in running.history() if e["type"] in {"document", "media.stopped", "call.ended"}]
    assert kinds.index("media.stopped") > kinds.index("document", kinds.index("document") + 1)


def test_a_transfer_takes_the_call_from_the_one_that_is_dialed(twilio, until, ended):
    running, client = twilio
    call = create(client, "<Response><Dial timeLimit='600'>+12025550102</Dial></Response>")
    until(lambda: len([e for e in running.history() if e["type"] == "call.ringing"]) == 2, 20)
    client.calls(call.sid).update(twiml=SAY)
    first, second = ended(running, 1), ended(running, 2)
    assert {first["cause"], second["cause"]} == {"normal"}
    assert (second["carrier_call_id"], documents(running)) == (call.sid, [["Dial"], ["Say"]])


def test_one_redirect_after_another(twilio, until, ended):
    running, client = twilio
    call = create(client, LONG)
    under_way(running, until)
    for _ in range(3):
        client.calls(call.sid).update(twiml=LONG)
    client.calls(call.sid).update(twiml=SAY)
    ended(running)
    assert documents(running)[-1] == ["Say"]


def test_twilio_redirects_no_call_that_is_not_under_way(run_sandbox, sdks, until):
    running = run_sandbox(speed=1.0)
    client = sdks.twilio(running)
    call = create(client, LONG, "+12025550102")
    for change, code in (({"twiml": SAY}, 21220), ({}, 21205), ({"status": "ringing"}, 20422)):
        with pytest.raises(TwilioRestException) as refused:
            client.calls(call.sid).update(**change)
        assert (refused.value.status, refused.value.code) == (400, code)
    client.calls(call.sid).update(status="canceled")
    with pytest.raises(TwilioRestException) as refused:
        client.calls(call.sid).update(twiml=SAY)
    assert refused.value.code == 21220
    assert documents(running) == []


def test_a_url_that_does_not_answer_ends_the_call_unless_there_is_another(twilio, mailbox, until, ended):
    running, client = twilio
    mailbox.answers["/broken"] = [(500, "")]
    mailbox.answers["/spare"] = [(200, SAY)]
    call = create(client, LONG)
    under_way(running, until)
    client.calls(call.sid).update(url=f"{mailbox.url}/broken", fallback_url=f"{mailbox.url}/spare")
    ended(running)
    assert documents(running) == [["Pause"], ["Say"]]


# ---- Telnyx


def test_texml_gives_a_running_call_other_instructions(run_sandbox, sdks, mailbox, until, ended):
    running = run_sandbox()
    client = sdks.telnyx(running)
    mailbox.answers["/next"] = [(200, SAY)]
    calls = client.texml.accounts.calls
    order = {"ApplicationSid": c.TELNYX_APPLICATION_SID, "To": "+12025550102", "From": c.TELNYX_FROM, "Texml": LONG}
    calls.calls(c.TELNYX_ACCOUNT_SID, body=order)
    sid = until(lambda: [e for e in running.history() if e["type"] == "call.ringing"], 20)[0]["carrier_call_id"]
    with pytest.raises(telnyx.UnprocessableEntityError) as refused:
        calls.update(sid, account_sid=c.TELNYX_ACCOUNT_SID, texml=SAY)
    assert refused.value.body["errors"][0]["code"] == "90034"
    calls.calls(c.TELNYX_ACCOUNT_SID, body={**order, "To": "+12025550100"})
    under_way(running, until)
    sid = next(e["carrier_call_id"] for e in running.history() if e["type"] == "call.answered")
    assert calls.update(sid, account_sid=c.TELNYX_ACCOUNT_SID, texml=LONG).status == "in-progress"
    until(lambda: len(documents(running)) == 2, 20)
    calls.update(sid, account_sid=c.TELNYX_ACCOUNT_SID, url=f"{mailbox.url}/next", method="GET")
    until(lambda: [e for e in running.history() if e["type"] == "call.ended" and e.get("carrier_call_id") == sid], 20)
    assert [mail.method for mail in mailbox.at("/next")] == ["GET"]
    assert documents(running) == [["Pause"], ["Pause"], ["Say"]]


def test_telnyx_takes_commands_for_a_call_that_was_dialed(run_sandbox, sdks, join_url, until):
    # The agent speaks for more seconds than a person waits on a line on which nothing happens: ten.
    running = run_sandbox(speed=10.0, agent_script=("So long that it takes longer than ten seconds. " * 6, "Bye."))
    client = sdks.telnyx(running)
    act = client.calls.actions

    def dial(to):
        order = {"connection_id": c.TELNYX_CONNECTION_ID, "from_": c.TELNYX_FROM, "timeout_secs": 600}
        return client.calls.dial(to=to, **order).data.call_control_id

    with pytest.raises(telnyx.UnprocessableEntityError) as refused:
        act.speak(dial("+12025550102"), payload="Hello", voice="female")
    assert refused.value.body["errors"][0]["code"] == "90034"
    call = dial("+12025550106")
    until(lambda: [e for e in running.history() if e["type"] == "call.answered"], 20)
    with pytest.raises(telnyx.UnprocessableEntityError) as refused:
        act.answer(call)
    assert refused.value.body["errors"][0]["code"] == "90053"
    act.speak(call, payload="Hello", voice="female")
    act.start_streaming(
        call,
        stream_url=join_url(running, "telnyx", joinTimeout="600s"),
        stream_bidirectional_mode="rtp",
        stream_codec="PCMU",
        stream_bidirectional_codec="PCMU",
    )
    stop = until(lambda: [e for e in running.history() if e["type"] == "media.stopped"], 40)[0]
    assert stop["how"] == "agent"
    assert stop["frames_sent"] > 600
    until(lambda: [e for e in running.history() if e["type"] == "call.ended" and e.get("carrier_call_id") == call], 20)


# ---- Plivo: https://docs.plivo.com/docs/voice/api/call/transfer-a-call


def test_plivo_transfers_a_live_call(run_sandbox, sdks, mailbox, until, ended):
    running = run_sandbox()
    client = sdks.plivo(running)
    mailbox.answers.update({"/long": [(200, PLIVO_LONG)], "/next": [(200, PLIVO_SAY)]})
    client.calls.create(from_=c.PLIVO_FROM, to_="+12025550100", answer_url=f"{mailbox.url}/long")
    under_way(running, until)
    (call,) = client.live_calls.list_ids().calls
    for wrong in ({"aleg_url": "nonsense"}, {"legs": "bleg", "bleg_url": mailbox.url}, {"legs": "both"}):
        with pytest.raises(PlivoRestError):
            client.calls.update(call, **wrong)
    answer = client.calls.update(call, legs="aleg", aleg_url=f"{mailbox.url}/next", aleg_method="POST")
    assert answer.message == "call transferred"
    ended(running)
    (mail,) = mailbox.at("/next")
    assert mail.fields["CallUUID"] == call
    assert documents(running) == [["Wait"], ["Speak"]]
    with pytest.raises(PlivoRestError):
        client.calls.update(call, legs="aleg", aleg_url=f"{mailbox.url}/next")
