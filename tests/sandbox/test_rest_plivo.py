"""Plivo's REST face through Plivo's own SDK."""

from __future__ import annotations

import httpx
import pytest
import requests
from plivo.exceptions import AuthenticationError, PlivoRestError, ResourceNotFoundError, ValidationError

from uvcall.sandbox import credentials as c

WAIT = "<Response><Wait length='1'/></Response>"
LONG = "<Response><Wait length='100'/></Response>"


@pytest.fixture
def peer(run_sandbox, sdks, mailbox):
    running = run_sandbox()
    mailbox.answers["/answer"] = [(200, WAIT)]
    mailbox.answers["/long"] = [(200, LONG)]
    return running, sdks.plivo(running), mailbox


def create(client, mailbox, to="+12025550100", path="/answer", **more):
    return client.calls.create(from_=c.PLIVO_FROM, to_=to, answer_url=mailbox.url + path, **more)


@pytest.mark.parametrize(
    ("to", "code", "name", "source", "answered"),
    [
        ("+12025550100", 4010, "End Of XML Instructions", "Plivo", True),
        ("+12025550101", 3010, "Busy Line", "Carrier", False),
        ("+12025550102", 6010, "Ring Timeout Reached", "Plivo", False),
        ("+12025550103", 3020, "Rejected", "Carrier", False),
        ("+12025550105", 2010, "Destination Out Of Service", "Carrier", False),
        ("+12025550107", 4000, "Normal Hangup", "Callee", True),
    ],
)
def test_the_record_tells_why_a_call_ended(peer, ended, to, code, name, source, answered):
    running, client, mailbox = peer
    create(client, mailbox, to, "/long" if to.endswith("7") else "/answer", ring_timeout=5)
    call = ended(running)["carrier_call_id"]
    record = client.calls.get(call)
    assert (record.hangup_cause_code, record.hangup_cause_name, record.hangup_source) == (code, name, source)
    assert (record.answer_time is not None) is answered
    assert (record.from_number, record.to_number, record.call_direction) == (c.PLIVO_FROM, to[1:], "outbound")


def test_request_and_call_have_different_ids_and_the_live_call_knows_both(peer, until, ended):
    running, client, mailbox = peer
    placed = create(client, mailbox, path="/long")
    assert placed.message == "call fired"
    calls = until(lambda: client.live_calls.list_ids(to_number="+12025550100").calls)
    live = until(lambda: (one := client.live_calls.get(calls[0])).call_status == "in-progress" and one)
    assert live.request_uuid == placed.request_uuid != live.call_uuid
    assert (live.direction, live.to) == ("outbound", "12025550100")
    with pytest.raises(ResourceNotFoundError):
        client.live_calls.get(placed.request_uuid)
    with pytest.raises(ResourceNotFoundError):
        client.calls.get(live.call_uuid)  # no record before the end
    client.calls.delete(live.call_uuid)
    assert ended(running)["source"] == "api"
    assert client.calls.get(live.call_uuid).hangup_source == "API Request"
    assert client.live_calls.list_ids().calls == []
    with pytest.raises(ResourceNotFoundError):
        client.calls.delete(live.call_uuid)


def test_a_queued_call_is_listed_by_request_and_can_be_cancelled(run_sandbox, sdks, mailbox, ended):
    running = run_sandbox(speed=1.0)
    client = sdks.plivo(running)
    create(client, mailbox)
    second = create(client, mailbox).request_uuid  # two a second: this one waits
    assert second in client.queued_calls.list_ids().calls
    assert client.queued_calls.get(second).call_status == "queued"
    client.calls.cancel(second)
    assert ended(running)["cause"] == "canceled"
    assert second not in client.queued_calls.list_ids().calls
    with pytest.raises(ResourceNotFoundError):
        client.calls.cancel(second)


def test_records_are_found_by_number_time_and_cause(peer, ended):
    running, client, mailbox = peer
    for to in ("+12025550101", "+12025550105"):
        create(client, mailbox, to)
    ended(running, 2)
    assert [one.to_number for one in client.calls.list()] == ["12025550105", "12025550101"]
    assert [one.to_number for one in client.calls.list(to_number="+12025550101")] == ["12025550101"]
    assert [one.to_number for one in client.calls.list(hangup_cause_code=2010)] == ["12025550105"]
    assert len(client.calls.list(from_number=c.PLIVO_FROM, end_time__gt="2020-01-01 00:00:00")) == 2
    assert len(client.calls.list(end_time__lt="2020-01-01 00:00:00")) == 0
    first = client.calls.list(limit=1)
    assert (first.meta.total_count, len(first)) == (2, 1)
    assert "offset=1" in first.meta.next
    with pytest.raises(ValidationError):
        client.calls.list(end_time__lt="yesterday")


@pytest.mark.parametrize(
    "change",
    [
        {"to": ""},
        {"to": "12"},
        {"from": ""},
        {"from": "+13125550100"},
        {"answer_url": ""},
        {"answer_url": "ftp://x/y"},
        {"answer_method": "PUT"},
        {"machine_detection": "maybe"},
        {"ring_timeout": "soon"},
    ],
)
def test_refusals_place_nothing(peer, change):
    running, _, _ = peer
    body = {"from": c.PLIVO_FROM, "to": "+12025550100", "answer_url": "http://127.0.0.1:1/", **change}
    answer = httpx.post(
        f"{running.ready['plivo']}/v1/Account/{c.PLIVO_AUTH_ID}/Call/",
        json=body,
        auth=(c.PLIVO_AUTH_ID, c.PLIVO_AUTH_TOKEN),
    )
    assert answer.status_code == 400
    assert set(answer.json()) == {"api_id", "error"}
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_several_numbers_make_several_calls(peer, ended):
    running, client, mailbox = peer
    placed = create(client, mailbox, "+12025550101<+12025550105")
    assert len(placed.request_uuid) == 2
    ended(running, 2)
    assert {one.to_number for one in client.calls.list()} == {"12025550101", "12025550105"}


def test_credentials_are_checked(peer, sdks):
    running, _, mailbox = peer
    for options in ({"token": "wrong"}, {"account": "MA" + "X" * 18}):
        with pytest.raises(AuthenticationError):
            create(sdks.plivo(running, **options), mailbox)
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_the_account_can_be_read(peer):
    running, client, _ = peer
    assert client.account.get().auth_id == c.PLIVO_AUTH_ID
    assert c.PLIVO_FROM[1:] in {number.number for number in client.numbers.list()}
    assert client.numbers.get(c.PLIVO_FROM).voice_enabled is True
    application = client.applications.list().objects[0]
    assert client.applications.get(application.app_id).app_name == "uvcall sandbox"
    with pytest.raises(ResourceNotFoundError):
        client.numbers.get("+13125550100")
    answer = httpx.get(
        f"{running.ready['plivo']}/v1/Account/{c.PLIVO_AUTH_ID}/Nothing/", auth=(c.PLIVO_AUTH_ID, c.PLIVO_AUTH_TOKEN)
    )
    assert (answer.status_code, set(answer.json())) == (404, {"api_id", "error"})


def test_rate_limited_is_429_once(peer):
    running, client, mailbox = peer
    with pytest.raises(PlivoRestError, match="429"):
        create(client, mailbox, "+12025550109")
    assert create(client, mailbox, "+12025550109").request_uuid
    assert sum(event["type"] == "call.placed" for event in running.history()) == 1


def test_the_lost_reply_rings_all_the_same(peer, ended):
    running, client, mailbox = peer
    with pytest.raises(requests.exceptions.ConnectionError):
        create(client, mailbox, "+12025550108")
    ended(running)
    assert [one.to_number for one in client.calls.list()] == ["12025550108"]


def test_machine_detection_can_hang_up(peer, ended):
    running, client, mailbox = peer
    create(client, mailbox, "+12025550104", "/long", machine_detection="hangup")
    event = ended(running)
    assert event["cause"] == "machine"
    record = client.calls.get(event["carrier_call_id"])
    assert (record.hangup_cause_code, record.hangup_cause_name) == (9100, "Machine Detected")
    assert mailbox.at("/long") == []  # no URL for the verdict: the document is asked for after it


def test_the_time_limit_is_a_scheduled_hangup(peer, ended):
    running, client, mailbox = peer
    create(client, mailbox, path="/long", time_limit=2)
    assert client.calls.get(ended(running)["carrier_call_id"]).hangup_cause_code == 6000


def test_a_stream_reaches_the_agent(peer, join_url, ended):
    running, client, mailbox = peer
    url = join_url(running, "plivo")
    stream = f'<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-l16;rate=16000">{url}</Stream>'
    mailbox.answers["/stream"] = [(200, f"<Response>{stream}</Response>")]
    create(client, mailbox, path="/stream")
    call = ended(running)["carrier_call_id"]
    assert client.calls.get(call).hangup_cause_code == 4010
    begun = next(event for event in running.history() if event["type"] == "media.started")
    assert (begun["encoding"], begun["sample_rate"], begun["bidirectional"]) == ("L16", 16000, True)


def test_a_stream_that_does_not_keep_the_call_alive_ends_with_the_document(peer, join_url, ended):
    running, client, mailbox = peer
    url = join_url(running, "plivo")
    mailbox.answers["/stream"] = [(200, f'<Response><Stream bidirectional="true">{url}</Stream></Response>')]
    create(client, mailbox, path="/stream")
    ended(running)
    kinds = {event["type"] for event in running.history()}
    assert "call.joined" not in kinds


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([(500, "")], 7011),
        ([(200, "<Response><Stream>")], 8011),
        (
            [(200, "<Response><Stream bidirectional='true' audioTrack='both'>ws://127.0.0.1:1</Stream></Response>")],
            8011,
        ),
        ([(200, "<Response><Say>no such verb</Say></Response>")], 8011),
    ],
)
def test_faulty_answers_end_the_call(peer, ended, answers, code):
    running, client, mailbox = peer
    mailbox.answers["/faulty"] = answers
    create(client, mailbox, path="/faulty")
    record = client.calls.get(ended(running)["carrier_call_id"])
    assert (record.hangup_cause_code, record.hangup_source) == (code, "Error")


def test_an_unreachable_answer_url_falls_back(peer, ended):
    running, client, mailbox = peer
    client.calls.create(
        from_=c.PLIVO_FROM,
        to_="+12025550100",
        answer_url="http://127.0.0.1:1/answer",
        fallback_url=f"{mailbox.url}/answer",
        fallback_method="GET",
    )
    assert client.calls.get(ended(running)["carrier_call_id"]).hangup_cause_code == 4010
    assert [mail.method for mail in mailbox.at("/answer")] == ["GET"]


def test_nothing_beyond_this_machine_is_contacted(peer, ended):
    running, client, _ = peer
    client.calls.create(from_=c.PLIVO_FROM, to_="+12025550100", answer_url="https://answer.example.com/xml")
    assert client.calls.get(ended(running)["carrier_call_id"]).hangup_cause_code == 7011
