"""Twilio's REST face through Twilio's own SDK, and against its OpenAPI document."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException

from uvcall.sandbox import credentials as c

PAUSE = "<Response><Pause length='1'/></Response>"
LONG = "<Response><Pause length='60'/></Response>"
CALLS = "/2010-04-01/Accounts/{AccountSid}/Calls.json"


@pytest.fixture
def peer(run_sandbox, sdks):
    running = run_sandbox()
    return running, sdks.twilio(running)


def create(client, to="+12025550100", twiml=PAUSE, **more):
    return client.calls.create(to=to, from_=c.TWILIO_FROM, twiml=twiml, **more)


def raw(running, path):
    return httpx.get(
        running.ready["twilio"] + path, auth=(c.TWILIO_ACCOUNT_SID, c.TWILIO_AUTH_TOKEN), follow_redirects=False
    )


def post(running, **fields):
    return httpx.post(
        f"{running.ready['twilio']}/2010-04-01/Accounts/{c.TWILIO_ACCOUNT_SID}/Calls.json",
        auth=(c.TWILIO_ACCOUNT_SID, c.TWILIO_AUTH_TOKEN),
        data=fields,
    )


@pytest.mark.parametrize(
    ("to", "status", "sip", "state"),
    [
        ("+12025550100", "completed", 200, "completed"),
        ("+12025550101", "busy", 486, "busy"),
        ("+12025550102", "no-answer", 487, "noanswer"),
        ("+12025550103", "busy", 603, "busy"),
        ("+12025550105", "failed", 404, "fail"),
        ("+12025550107", "completed", 200, "completed"),
        ("+13125550147", "completed", 200, "completed"),
    ],
)
def test_statuses_and_what_voice_insights_adds(peer, ended, to, status, sip, state):
    running, client = peer
    call = create(client, to, twiml=LONG if to.endswith("7") and to != "+13125550147" else PAUSE, timeout=5)
    assert call.status == "queued"
    ended(running)
    over = client.calls(call.sid).fetch()
    assert (over.status, over.direction, over.to, over.answered_by) == (status, "outbound-api", to, None)
    summary = client.insights.v1.calls(call.sid).summary().fetch()
    assert (summary.properties["last_sip_response_num"], summary.call_state) == (sip, state)


def test_a_call_goes_through_its_statuses(peer, until):
    _, client = peer
    sid = create(client).sid
    seen = []

    def done():
        status = client.calls(sid).fetch().status
        if not seen or seen[-1] != status:
            seen.append(status)
        return status == "completed"

    until(done)
    assert seen[-1] == "completed"
    assert "in-progress" in seen
    assert seen == [word for word in ("queued", "ringing", "in-progress", "completed") if word in seen]
    over = client.calls(sid).fetch()
    assert over.duration == "2"
    assert over.start_time <= over.end_time


def test_bodies_conform_to_the_openapi_document(peer, conforms, ended):
    running, client = peer
    created = post(running, To="+12025550100", From=c.TWILIO_FROM, Twiml=PAUSE)
    assert created.status_code == 201
    conforms(created.json(), "twilio", CALLS, "post", "201")
    ended(running)
    root = f"/2010-04-01/Accounts/{c.TWILIO_ACCOUNT_SID}"
    one = raw(running, created.json()["uri"]).json()
    conforms(one, "twilio", "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json", "get", "200")
    conforms(raw(running, f"{root}/Calls.json").json(), "twilio", CALLS, "get", "200")
    conforms(raw(running, f"{root}.json").json(), "twilio", "/2010-04-01/Accounts/{Sid}.json", "get", "200")
    numbers = raw(running, f"{root}/IncomingPhoneNumbers.json").json()
    conforms(numbers, "twilio", "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json", "get", "200")
    assert client.api.accounts(c.TWILIO_ACCOUNT_SID).fetch().status == "active"
    owned = client.incoming_phone_numbers.list(phone_number=c.TWILIO_FROM)
    assert [number.phone_number for number in owned] == [c.TWILIO_FROM]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21201),
        ({"To": "2025550100"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"From": ""}, 21213),
        ({"From": "x"}, 21212),
        ({"From": "+13125550100"}, 21210),
        ({"Twiml": ""}, 21205),
        ({"Url": "ftp://example.com/x"}, 21205),
        ({"Twiml": "<Response><Say>" + "a" * 4000 + "</Say></Response>"}, 32018),
        ({"StatusCallback": "nonsense"}, 21205),
        ({"StatusCallbackEvent": "answered finished"}, 21626),
        ({"MachineDetection": "Yes"}, 20422),
        ({"Timeout": "soon"}, 20422),
        ({"ApplicationSid": "AP" + "0" * 32}, 21218),
    ],
)
def test_refusals_place_nothing(peer, change, code):
    running, _ = peer
    answer = post(running, **{"To": "+12025550100", "From": c.TWILIO_FROM, "Twiml": PAUSE, **change})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["status"]) == (code, 400)
    assert body["more_info"].endswith(f"/{code}")
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_unknown_fields_are_ignored(peer):
    running, _ = peer
    answer = post(running, To="+12025550100", From=c.TWILIO_FROM, Twiml=PAUSE, Colour="blue")
    assert answer.status_code == 201


def test_credentials_are_checked(peer, sdks):
    running, _ = peer
    for options in ({"token": "wrong"}, {"account": "AC" + "0" * 32}):
        with pytest.raises(TwilioRestException) as caught:
            create(sdks.twilio(running, **options))
        assert (caught.value.status, caught.value.code) == (401, 20003)
    other = httpx.get(
        f"{running.ready['twilio']}/2010-04-01/Accounts/AC{'0' * 32}/Calls.json",
        auth=(c.TWILIO_ACCOUNT_SID, c.TWILIO_AUTH_TOKEN),
    )
    assert (other.status_code, other.json()["code"]) == (404, 20404)
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_unknown_calls_and_paths_are_20404(peer):
    running, client = peer
    with pytest.raises(TwilioRestException) as caught:
        client.calls("CA" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert raw(running, "/2010-04-01/Nothing.json").json()["code"] == 20404
    assert raw(running, "/v1/Voice/CA0/Nothing").json()["code"] == 20404


def test_hanging_up(peer, until, ended):
    running, client = peer
    ringing = create(client, "+12025550102").sid
    until(lambda: client.calls(ringing).fetch().status == "ringing")
    assert client.calls(ringing).update(status="canceled").status == "canceled"
    with pytest.raises(TwilioRestException) as caught:
        client.calls(ringing).update(status="completed")
    assert caught.value.code == 21220
    talking = create(client, twiml=LONG).sid
    until(lambda: client.calls(talking).fetch().status == "in-progress")
    assert client.calls(talking).update(status="canceled").status == "in-progress"
    assert client.calls(talking).update(status="completed").status == "completed"
    assert ended(running, 2)["source"] == "api"


def test_calls_are_found_by_number_status_and_day(peer, ended):
    running, client = peer
    first = create(client, "+12025550101").sid
    second = create(client, "+12025550105").sid
    ended(running, 2)
    now = datetime.now(UTC)
    assert {call.sid for call in client.calls.list(limit=10)} == {first, second}
    assert [call.sid for call in client.calls.list(to="+12025550101")] == [first]
    assert [call.sid for call in client.calls.list(from_=c.TWILIO_FROM, status="failed")] == [second]
    assert [call.sid for call in client.calls.list(from_="+13125550100")] == []
    assert len(client.calls.list(start_time_after=now - timedelta(minutes=5))) == 2
    assert client.calls.list(start_time_after=now + timedelta(days=2)) == []
    assert len(client.calls.list(page_size=1)) == 2


def test_more_than_one_call_a_second_waits_in_the_queue(peer, until):
    _, client = peer
    sids = [create(client, "+12025550101").sid for _ in range(3)]
    waits = sorted(int(client.calls(sid).fetch().queue_time) for sid in sids)
    assert waits[0] < 100
    assert 900 < waits[2] < 2100


def test_rate_limited_is_429_once_with_retry_after(peer):
    running, client = peer
    answer = post(running, To="+12025550109", From=c.TWILIO_FROM, Twiml=PAUSE)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, 20429, "1")
    assert create(client, "+12025550109").sid
    with pytest.raises(TwilioException):
        create(client, "+12025550109")
    assert sum(event["type"] == "call.placed" for event in running.history()) == 1


def test_the_lost_reply_rings_all_the_same(peer):
    running, client = peer
    with pytest.raises(requests.exceptions.ConnectionError):
        create(client, "+12025550108")
    assert [call.to for call in client.calls.list()] == ["+12025550108"]
    assert sum(event["type"] == "call.placed" for event in running.history()) == 1


def test_machine_detection_waits_for_the_verdict_unless_asynchronous(peer, ended):
    running, client = peer
    waits = create(client, "+12025550104", machine_detection="Enable").sid
    ended(running)
    beside = create(client, "+12025550104", machine_detection="DetectMessageEnd", async_amd="true", twiml=LONG).sid
    human = create(client, "+12025550100", machine_detection="Enable").sid
    time.sleep(0.3)
    assert client.calls(waits).fetch().answered_by == "machine_start"
    assert client.calls(beside).fetch().answered_by == "machine_end_beep"
    ended(running, 2)
    assert client.calls(human).fetch().answered_by == "human"
    events = [(e["type"], e["carrier_call_id"]) for e in running.history() if "carrier_call_id" in e]
    assert events.index(("document", waits)) > events.index(("call.answered", waits))


def test_a_stream_reaches_the_agent(peer, join_url, ended):
    running, client = peer
    url = join_url(running, "twilio")
    call = create(client, twiml=f'<Response><Connect><Stream url="{url}?token=stripped"/></Connect></Response>')
    event = ended(running)
    assert (event["carrier_call_id"], event["cause"]) == (call.sid, "normal")
    kinds = [e["type"] for e in running.history() if e["peer"] == "twilio" and e["type"] != "request"]
    assert kinds[-3:] == ["media.started", "media.stopped", "call.ended"]


@pytest.mark.parametrize(
    ("twiml", "code"),
    [
        ("<Response><Connect><Stream url='ws://127.0.0.1:1/x' track='both_tracks'/></Connect></Response>", "31941"),
        ("<Response><Connect><Stream url='ws://voice.ultravox.ai/x'/></Connect></Response>", "11100"),
        ("<Response><Say>", "12100"),
        ("<Answer/>", "12100"),
        ("<Response><Shout/></Response>", "12200"),
    ],
)
def test_faulty_twiml_ends_an_answered_call(peer, ended, twiml, code):
    running, client = peer
    call = create(client, twiml=twiml)
    ended(running)
    assert next(e for e in running.history() if e["type"] == "document")["code"] == code
    assert client.calls(call.sid).fetch().status == "completed"
