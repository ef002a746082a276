"""Telnyx's REST face through Telnyx's own SDK, and against its OpenAPI document."""

from __future__ import annotations

import base64
import uuid

import httpx
import pytest
import telnyx

from uvcall.sandbox import credentials as c

STATE = base64.b64encode(b'{"uvcall_attempt":"1"}').decode()


def dial(client, to="+12025550100", **more):
    return client.calls.dial(connection_id=c.TELNYX_CONNECTION_ID, to=to, from_=c.TELNYX_FROM, **more).data


def code_of(error):
    return error.body["errors"][0]["code"]


@pytest.fixture
def peer(run_sandbox, sdks):
    running = run_sandbox()
    return running, sdks.telnyx(running)


def test_dial_answers_ids_and_is_not_alive_yet(peer):
    _, client = peer
    call = dial(client, client_state=STATE)
    assert call.call_control_id.startswith("v3:")
    assert uuid.UUID(call.call_leg_id)
    assert uuid.UUID(call.call_session_id)
    assert (call.is_alive, call.record_type, call.client_state) == (False, "call", STATE)


@pytest.mark.parametrize(
    ("to", "answered", "cause", "sip", "source"),
    [
        ("+12025550101", False, "user_busy", "486", "callee"),
        ("+12025550102", False, "timeout", "487", "unknown"),
        ("+12025550103", False, "call_rejected", "603", "callee"),
        ("+12025550105", False, "not_found", "404", "unknown"),
        ("+12025550107", True, "normal_clearing", "200", "callee"),
    ],
)
def test_call_events_tell_why_a_call_ended(peer, ended, conforms, to, answered, cause, sip, source):
    running, client = peer
    call = dial(client, to, timeout_secs=5, client_state=STATE)
    ended(running)
    page = client.call_events.list(filter={"leg_id": call.call_leg_id}, page_size=250)
    by_name = {event.name: event.metadata for event in page.data}
    assert ("call.answered" in by_name) is answered
    payload = by_name["call.hangup"]["payload"]
    assert (payload["hangup_cause"], payload["sip_hangup_cause"], payload["hangup_source"]) == (cause, sip, source)
    assert payload["client_state"] == STATE
    raw = client.get("/call_events", cast_to=httpx.Response).json()
    conforms(raw, "telnyx", "/call_events", "get", "200")


def test_no_answer_rings_as_long_as_the_order_says(peer, ended):
    running, client = peer
    dial(client, "+12025550102", timeout_secs=9)
    ended(running)
    at = {event["type"]: event["at"] for event in running.history()}
    from datetime import datetime

    rang = datetime.fromisoformat(at["call.ended"]) - datetime.fromisoformat(at["call.ringing"])
    assert 8.9 < rang.total_seconds() < 11


def test_bodies_conform_to_the_openapi_document(peer, ended, conforms):
    running, client = peer
    body = {"connection_id": c.TELNYX_CONNECTION_ID, "to": "+12025550107", "from": c.TELNYX_FROM, "client_state": STATE}
    placed = client.post("/calls", body=body, cast_to=httpx.Response)
    conforms(placed.json(), "telnyx", "/calls", "post", "200")
    call = placed.json()["data"]["call_control_id"]
    for path, template in (
        (f"/connections/{c.TELNYX_CONNECTION_ID}/active_calls", "/connections/{connection_id}/active_calls"),
        (f"/connections/{c.TELNYX_CONNECTION_ID}", "/connections/{id}"),
        ("/connections", "/connections"),
        (f"/call_control_applications/{c.TELNYX_CONNECTION_ID}", "/call_control_applications/{id}"),
        ("/call_control_applications", "/call_control_applications"),
        ("/phone_numbers", "/phone_numbers"),
        ("/balance", "/balance"),
    ):
        conforms(client.get(path, cast_to=httpx.Response).json(), "telnyx", template, "get", "200")
    ended(running)
    conforms(
        client.get(f"/calls/{call}", cast_to=httpx.Response).json(), "telnyx", "/calls/{call_control_id}", "get", "200"
    )


def test_status_of_a_call_through_its_life(peer, until, ended):
    running, client = peer
    call = dial(client).call_control_id
    alive = until(lambda: (s := client.calls.retrieve_status(call).data).is_alive and s)
    assert alive.start_time
    assert alive.end_time is None
    client.calls.actions.hangup(call, command_id=str(uuid.uuid4()))
    assert ended(running)["source"] == "api"
    over = client.calls.retrieve_status(call).data
    assert over.is_alive is False
    assert over.end_time


def test_active_calls_find_a_call_by_its_client_state(peer, until):
    _, client = peer
    call = dial(client, client_state=STATE)
    active = until(lambda: client.connections.list_active_calls(c.TELNYX_CONNECTION_ID).data)
    assert [(one.call_control_id, one.client_state) for one in active] == [(call.call_control_id, STATE)]


def test_hanging_up_twice_is_90018(peer, ended):
    running, client = peer
    call = dial(client).call_control_id
    client.calls.actions.hangup(call)
    ended(running)
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        client.calls.actions.hangup(call)
    assert code_of(caught.value) == "90018"


def test_hanging_up_a_ringing_call_cancels_it(peer, until, ended):
    running, client = peer
    call = dial(client, "+12025550102").call_control_id
    until(lambda: client.calls.retrieve_status(call).data.is_alive)
    client.calls.actions.hangup(call)
    assert ended(running)["cause"] == "canceled"


def test_the_same_command_id_places_once(peer):
    running, client = peer
    command = str(uuid.uuid4())
    first, second = (dial(client, command_id=command) for _ in range(2))
    other = dial(client, command_id=str(uuid.uuid4()))
    assert first.call_control_id == second.call_control_id != other.call_control_id
    assert sum(event["type"] == "call.placed" for event in running.history()) == 2


@pytest.mark.parametrize(
    ("change", "status", "code", "pointer"),
    [
        ({"to": None}, 422, "10004", "/to"),
        ({"from": None}, 422, "10004", "/from"),
        ({"connection_id": None}, 422, "10004", "/connection_id"),
        ({"to": "2025550100"}, 422, "10016", "/to"),
        ({"to": "+0123456789"}, 422, "10016", "/to"),
        ({"to": "+١٢٠٢٥٥٥٠١٠٠"}, 422, "10016", "/to"),
        ({"from": "+13125550100"}, 403, "10010", "/from"),
        ({"connection_id": "77"}, 422, "85004", "/connection_id"),
        ({"client_state": "not base64!"}, 422, "90017", "/client_state"),
        ({"timeout_secs": 4}, 422, "90028", "/timeout_secs"),
        ({"timeout_secs": 601}, 422, "90028", "/timeout_secs"),
        ({"time_limit_secs": 14401}, 422, "90029", "/time_limit_secs"),
        ({"stream_url": "https://voice.ultravox.ai/x"}, 422, "90045", "/stream_url"),
        ({"stream_url": "ws://voice.ultravox.ai/x"}, 422, "90045", "/stream_url"),
        ({"stream_track": "inbound"}, 422, "10015", "/stream_track"),
        ({"stream_url": "ws://127.0.0.1:1/x", "stream_codec": "OPUS"}, 422, "10015", "/stream_codec"),
    ],
)
def test_refusals_place_nothing(peer, conforms, change, status, code, pointer):
    running, client = peer
    body = {"connection_id": c.TELNYX_CONNECTION_ID, "to": "+12025550100", "from": c.TELNYX_FROM, **change}
    with pytest.raises(telnyx.APIStatusError) as caught:
        client.post("/calls", body={k: v for k, v in body.items() if v is not None}, cast_to=httpx.Response)
    assert caught.value.status_code == status
    error = caught.value.body["errors"][0]
    assert (error["code"], error["source"]["pointer"]) == (code, pointer)
    conforms(caught.value.body, "telnyx", "/calls", "post", "422")
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_what_is_no_json_object_is_400(peer):
    running, _ = peer
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        answer = httpx.post(
            f"{running.ready['telnyx']}/calls",
            content=body,
            headers={"Authorization": f"Bearer {c.TELNYX_API_KEY}", "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "10015")


def test_credentials_are_checked(peer, sdks):
    running, _ = peer
    with pytest.raises(telnyx.AuthenticationError) as caught:
        dial(sdks.telnyx(running, api_key="KEY0123456789"))
    assert code_of(caught.value) == "10009"
    # Without any credential Telnyx answers 404, as if there were nothing.
    assert httpx.post(f"{running.ready['telnyx']}/calls", json={}).status_code == 404
    assert not any(event["type"] == "call.placed" for event in running.history())


def test_unknown_things_are_404_and_nonsense_ids_422(peer):
    _, client = peer
    with pytest.raises(telnyx.NotFoundError) as caught:
        client.calls.retrieve_status("v3:" + "A" * 54)
    assert code_of(caught.value) == "10005"
    with pytest.raises(telnyx.UnprocessableEntityError) as nonsense:
        client.calls.retrieve_status("nonsense")
    assert code_of(nonsense.value) == "90015"
    with pytest.raises(telnyx.NotFoundError):
        client.get("/no/such/thing", cast_to=httpx.Response)


def test_rate_limited_is_429_once_with_retry_after(peer):
    running, client = peer
    with pytest.raises(telnyx.RateLimitError) as caught:
        dial(client, "+12025550109")
    assert caught.value.response.headers["Retry-After"] == "1"
    assert code_of(caught.value) == "10011"
    assert dial(client, "+12025550109").call_control_id
    assert sum(event["type"] == "call.placed" for event in running.history()) == 1


def test_the_lost_reply_rings_all_the_same_and_the_sdks_retries_ring_again(peer, sdks):
    running, client = peer
    with pytest.raises(telnyx.APIConnectionError) as caught:
        dial(client, "+12025550108")
    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)
    assert sum(event["type"] == "call.placed" for event in running.history()) == 1
    retrying = sdks.telnyx(running, max_retries=1)
    with pytest.raises(telnyx.APIConnectionError):
        dial(retrying, "+12025550108")
    assert sum(event["type"] == "call.placed" for event in running.history()) == 3


def test_events_can_be_filtered_and_paged(peer, ended):
    running, client = peer
    calls = [dial(client, "+12025550101") for _ in range(2)]
    ended(running, 2)
    of_one = client.call_events.list(filter={"leg_id": calls[0].call_leg_id}).data
    assert {event.call_leg_id for event in of_one} == {calls[0].call_leg_id}
    named = client.call_events.list(filter={"name": "call.hangup"}).data
    assert {event.call_leg_id for event in named} == {call.call_leg_id for call in calls}
    assert client.call_events.list(filter={"occurred_at": {"lt": "2020-01-01T00:00:00Z"}}).data == []
    assert len(list(client.call_events.list(page_size=1))) == 4
    with pytest.raises(telnyx.UnprocessableEntityError):
        client.get("/call_events?filter[nonsense]=1", cast_to=httpx.Response)


def test_machine_detection(peer, until):
    _, client = peer
    machine = dial(client, "+12025550104", answering_machine_detection="premium").call_leg_id
    human = dial(client, "+12025550100", answering_machine_detection="detect").call_leg_id

    def results():
        events = client.call_events.list(page_size=250).data
        return {
            (event.call_leg_id, event.name): event.metadata["payload"]["result"]
            for event in events
            if "machine" in event.name
        }

    found = until(lambda: len(r := results()) == 3 and r)
    assert found == {
        (machine, "call.machine.premium.detection.ended"): "machine",
        (machine, "call.machine.premium.greeting.ended"): "beep_detected",
        (human, "call.machine.detection.ended"): "human",
    }


def test_a_stream_reaches_the_agent_both_ways(peer, join_url, ended):
    running, client = peer
    dial(
        client,
        stream_url=join_url(running, "telnyx"),
        stream_track="both_tracks",
        stream_bidirectional_mode="rtp",
        stream_codec="L16",
        stream_bidirectional_codec="L16",
        stream_bidirectional_sampling_rate=16000,
    )
    ended(running)
    begun = next(event for event in running.history() if event["type"] == "media.started")
    assert (begun["encoding"], begun["sample_rate"], begun["tracks"]) == ("L16", 16000, ["inbound", "outbound"])
    assert next(e for e in running.history() if e["type"] == "media.stopped")["frames_played"] > 10
    names = [event.name for event in client.call_events.list(page_size=250).data]
    assert names[::-1] == ["call.initiated", "call.answered", "streaming.started", "streaming.stopped", "call.hangup"]


def test_the_default_mode_plays_nothing_of_the_agent(peer, join_url, until):
    running, client = peer
    call = dial(client, stream_url=join_url(running, "telnyx"), stream_codec="L16").call_control_id
    until(lambda: [e for e in running.history() if e["type"] == "media.started"])
    client.calls.actions.hangup(call)
    stopped = until(lambda: [e for e in running.history() if e["type"] == "media.stopped"])
    assert stopped[0]["frames_played"] == 0


def test_a_stream_that_nobody_accepts_is_told_as_failed(peer, ended):
    running, client = peer
    url = running.ready["ultravox"].replace("http", "ws") + "/calls/nobody/telephony"
    dial(client, stream_url=url, stream_bidirectional_mode="rtp")
    ended(running)
    events = {event.name: event.metadata["payload"] for event in client.call_events.list(page_size=250).data}
    assert events["streaming.failed"]["failure_reason"] == "connection_failed"
    assert "streaming.started" not in events


def test_the_time_limit_ends_the_call(peer, ended):
    running, client = peer
    texml = "<Response><Pause length='40'/></Response>"
    client.texml.accounts.calls.calls(
        c.TELNYX_ACCOUNT_SID,
        body={
            "Texml": texml,
            "ApplicationSid": c.TELNYX_APPLICATION_SID,
            "To": "+12025550100",
            "From": c.TELNYX_FROM,
            "TimeLimit": 30,
        },
    )
    assert ended(running)["cause"] == "time_limit"


class TestTexml:
    def create(self, client, to="+12025550100", texml="<Response><Pause/></Response>", **more):
        body = {"Texml": texml, "ApplicationSid": c.TELNYX_APPLICATION_SID, "To": to, "From": c.TELNYX_FROM, **more}
        return client.texml.accounts.calls.calls(c.TELNYX_ACCOUNT_SID, body=body)

    def test_create_names_no_sid_and_the_list_has_the_call(self, peer, ended, conforms):
        running, client = peer
        created = self.create(client)
        assert (created.status, created.to, getattr(created, "sid", None)) == ("queued", "+12025550100", None)
        ended(running)
        raw = client.get(f"/texml/Accounts/{c.TELNYX_ACCOUNT_SID}/Calls", cast_to=httpx.Response).json()
        conforms(raw, "telnyx", "/texml/Accounts/{account_sid}/Calls", "get", "200")
        calls = client.texml.accounts.calls.retrieve_calls(c.TELNYX_ACCOUNT_SID, to="+12025550100").calls
        assert [(call.status, call.direction) for call in calls] == [("completed", "outbound")]
        sid = calls[0].sid
        one = client.texml.accounts.calls.retrieve(sid, account_sid=c.TELNYX_ACCOUNT_SID)
        assert one.duration in {"1", "2"}
        other = client.texml.accounts.calls.retrieve_calls(c.TELNYX_ACCOUNT_SID, status="busy").calls
        assert other == []

    def test_update_ends_a_call(self, peer, until, ended):
        running, client = peer
        self.create(client, texml="<Response><Pause length='100'/></Response>")
        until(lambda: [e for e in running.history() if e["type"] == "call.answered"])
        sid = client.texml.accounts.calls.retrieve_calls(c.TELNYX_ACCOUNT_SID).calls[0].sid
        over = client.texml.accounts.calls.update(sid, account_sid=c.TELNYX_ACCOUNT_SID, status="completed")
        assert over.status == "completed"
        assert ended(running)["source"] == "api"

    @pytest.mark.parametrize(
        "change", [{"ApplicationSid": "77"}, {"To": "x"}, {"From": "+13125550100"}, {"Timeout": 4}]
    )
    def test_refusals(self, peer, change):
        _, client = peer
        with pytest.raises(telnyx.APIStatusError):
            self.create(client, **change)

    def test_busy_is_busy(self, peer, ended):
        running, client = peer
        self.create(client, "+12025550101")
        ended(running)
        calls = client.texml.accounts.calls.retrieve_calls(c.TELNYX_ACCOUNT_SID, status="busy").calls
        assert [call.status for call in calls] == ["busy"]
