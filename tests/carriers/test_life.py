"""Every carrier through its whole life against a vendor that answers as its documents say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.vendor import ATTEMPT, FIELDS, JOIN, Vendor, basic, order, says

from uvcall.carriers import carrier
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.model import Cause, LegState, PlacedCall
from uvcall.errors import AuthError, ConfigError, FateUnknown, ProviderRefused, Temporary, UsageError

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO
ALL = list(Provider)
SINCE = 1767323040.0  # 2026-01-02T03:04:00Z

CONTROL = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg"
LEG, SESSION = "428c31b6-7af4-4bcb-b7f5-5013ef9657c1", "428c31b6-7af4-4bcb-b68e-5013ef9657c1"
SID = "CA" + "1" * 32
UUID = "57a1b60a-5c0b-11e7-9082-ef888d0400e9"
AC = str(FIELDS[TWILIO]["account_sid"])
MA = str(FIELDS[PLIVO]["auth_id"])

TW_CALLS = f"/2010-04-01/Accounts/{AC}/Calls.json"
TW_CALL = f"/2010-04-01/Accounts/{AC}/Calls/{SID}.json"
TW_SUMMARY = f"/v1/Voice/{SID}/Summary"
PL_CALLS = f"/v1/Account/{MA}/Call/"
PL_CALL = f"/v1/Account/{MA}/Call/{UUID}/"
PL_REQUEST = f"/v1/Account/{MA}/Request/{UUID}/"
TX_CALL = f"/v2/calls/{CONTROL}"
TX_ACTIVE = "/v2/connections/2400000001/active_calls"

PLACED = {
    TELNYX: PlacedCall(TELNYX, CONTROL, {"call_leg_id": LEG, "call_session_id": SESSION}),
    TWILIO: PlacedCall(TWILIO, SID),
    PLIVO: PlacedCall(PLIVO, UUID, {"request_uuid": UUID}),
}


def tx_call(**more: Any) -> dict[str, Any]:
    return {
        "data": {
            "call_control_id": CONTROL,
            "call_leg_id": LEG,
            "call_session_id": SESSION,
            "is_alive": False,
            "record_type": "call",
            **more,
        }
    }


def tx_event(name: str, at: str = "2026-01-02T03:04:05.000Z", **payload: Any) -> dict[str, Any]:
    raw = {"call_control_id": CONTROL, "client_state": carrier(TELNYX).client_state(ATTEMPT), **payload}  # type: ignore[attr-defined]  # Telnyx alone has it
    return {
        "record_type": "call_event",
        "type": "webhook",
        "name": name,
        "event_timestamp": at,
        "call_leg_id": LEG,
        "call_session_id": SESSION,
        "metadata": {"event_type": name, "payload": raw},
    }


def tx_events(*events: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": list(events),
        "meta": {"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": len(events)},
    }


def tw_call(status: str = "queued", **more: Any) -> dict[str, Any]:
    return {
        "sid": SID, "account_sid": AC, "status": status, "to": "+12025550101", "from": "+12025550199",
        "date_created": "Fri, 02 Jan 2026 03:04:05 +0000", "start_time": None, "end_time": None, "duration": None,
        "price": None, "price_unit": "USD", "queue_time": "0", "answered_by": None, "direction": "outbound-api", **more,
    }  # fmt: skip


def tw_list(*calls: dict[str, Any]) -> dict[str, Any]:
    return {
        "calls": list(calls),
        "page": 0,
        "page_size": 100,
        "first_page_uri": TW_CALLS,
        "next_page_uri": None,
        "uri": TW_CALLS,
    }


def just_now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S+00:00}"


def pl_live(status: str, **more: Any) -> dict[str, Any]:
    return {
        "api_id": "a",
        "call_uuid": UUID,
        "call_status": status,
        "direction": "outbound",
        "from": "12025550199",
        "to": "12025550101",
        "session_start": "2026-01-02 03:04:05.6+00:00",
        **more,
    }


def pl_record(code: int = 4000, name: str = "Normal Hangup", **more: Any) -> dict[str, Any]:
    return {
        "api_id": "a", "call_uuid": UUID, "call_direction": "outbound", "from_number": "12025550199", "to_number": "12025550101",
        "initiation_time": "2026-01-02 03:04:05+00:00", "answer_time": None, "end_time": "2026-01-02 03:04:25+00:00",
        "bill_duration": 0, "hangup_cause_code": code, "hangup_cause_name": name, "hangup_source": "Callee", "total_amount": "0.00000", **more,
    }  # fmt: skip


def pl_missing() -> Any:
    return says(404, {"api_id": "a", "error": "not found"})


CREATED: dict[Provider, tuple[str, Any]] = {
    TELNYX: ("/v2/calls", says(200, tx_call())),
    TWILIO: (TW_CALLS, says(201, tw_call())),
    PLIVO: (PL_CALLS, says(201, {"api_id": "a", "message": "call fired", "request_uuid": UUID})),
}


@pytest.mark.parametrize("provider", ALL)
def test_place_is_one_authorised_post(provider, vendor, connect, capfd):
    path, reply = CREATED[provider]
    vendor.on("POST", path, reply)
    placed = connect(provider, vendor.url).place()
    assert placed == PLACED[provider]
    (heard,) = vendor.heard
    assert heard.path == path
    keys = {TELNYX: "Bearer KEY0fake", TWILIO: basic(AC, "fake-token"), PLIVO: basic(MA, "fake-token")}
    assert heard.headers["authorization"] == keys[provider]
    assert capfd.readouterr().out == ""


def test_what_telnyx_is_told(vendor, connect):
    vendor.on("POST", *CREATED[TELNYX])
    line = connect(TELNYX, vendor.url + "/v2/")
    line.place(detect_machine=True)
    line.place(stream=StreamOptions(codec="PCMA", track="inbound_track", target_legs="self"), time_limit_s=40)
    first, second = (heard.json for heard in vendor.posts)
    state = first.pop("client_state")
    assert json.loads(__import__("base64").b64decode(state)) == {"uvcall_attempt": ATTEMPT}
    assert first == {
        "connection_id": "2400000001",
        "to": "+12025550101",
        "from": "+12025550199",
        "stream_url": JOIN,
        "stream_track": "both_tracks",
        "stream_bidirectional_mode": "rtp",
        "stream_codec": "L16",
        "stream_bidirectional_codec": "L16",
        "stream_bidirectional_sampling_rate": 16000,
        "stream_bidirectional_target_legs": "opposite",
        "command_id": ATTEMPT,
        "timeout_secs": 35,
        "time_limit_secs": 630,
        "answering_machine_detection": "detect",
    }
    assert second["stream_codec"] == second["stream_bidirectional_codec"] == "PCMA"
    assert second["stream_bidirectional_sampling_rate"] == 8000
    assert second["stream_track"] == "inbound_track"
    assert second["stream_bidirectional_target_legs"] == "self"
    assert second["time_limit_secs"] == 60
    assert "answering_machine_detection" not in second


def test_what_twilio_is_told(vendor, connect):
    vendor.on("POST", *CREATED[TWILIO])
    line = connect(TWILIO, vendor.url)
    line.place()
    line.place(detect_machine=True)
    first, second = (heard.form for heard in vendor.posts)
    twiml = first.pop("Twiml")
    assert f'<Connect><Stream url="{JOIN}"' in twiml.replace("\n", "")
    assert first == {"To": "+12025550101", "From": "+12025550199", "Timeout": "35", "TimeLimit": "630"}
    assert second["MachineDetection"] == "Enable"
    assert second["AsyncAmd"] == "true"


def test_what_plivo_is_told(vendor, connect):
    vendor.on("POST", *CREATED[PLIVO])
    line = connect(PLIVO, vendor.url)
    line.place()
    line.place(detect_machine=True, hang_up_on_machine=True)
    line.place(detect_machine=True, machine_url="https://calls.example.com/m/1")
    bodies = [heard.json for heard in vendor.posts]
    for body in bodies:
        assert body["from"] == "+12025550199"
        assert body["to"] == "+12025550101"
        assert body["answer_url"] == "https://calls.example.com/a/1"
        assert body["answer_method"] == "GET"
        assert (body["ring_timeout"], body["time_limit"]) == (35, 630)
    assert [body.get("machine_detection") for body in bodies] == [None, "hangup", "true"]
    assert bodies[2]["machine_detection_url"] == "https://calls.example.com/m/1"
    with pytest.raises(UsageError, match="answering machine"):
        line.place(detect_machine=True)


@pytest.mark.parametrize("provider", ALL)
def test_status_walks_with_the_call(provider, vendor, connect):
    line, placed = connect(provider, vendor.url), PLACED[provider]
    walk: list[LegState] = []
    for stage in ("queued", "ringing", "answered", "ended"):
        STAGES[provider](vendor, stage)
        walk.append(line.status(placed).state)
    assert walk == [LegState.QUEUED, LegState.RINGING, LegState.ANSWERED, LegState.ENDED]
    last = line.status(placed)
    assert last.cause is Cause.NORMAL
    assert last.answered
    assert last.duration_s == 17
    assert last.raw
    assert last.answered_at is not None
    assert last.ended_at is not None
    assert (last.ended_at - last.answered_at).total_seconds() == 17


def _telnyx_stage(vendor: Vendor, stage: str) -> None:
    events = {
        "queued": [],
        "ringing": [tx_event("call.initiated")],
        "answered": [tx_event("call.answered", "2026-01-02T03:04:10Z"), tx_event("call.initiated")],
    }
    events["ended"] = [
        *events["answered"],
        tx_event("call.hangup", "2026-01-02T03:04:27Z", hangup_cause="normal_clearing"),
    ]
    vendor.on("GET", "/v2/call_events", says(200, tx_events(*events[stage])))
    vendor.on("GET", TX_CALL, says(200, tx_call(is_alive=stage in {"ringing", "answered"})))


def _twilio_stage(vendor: Vendor, stage: str) -> None:
    times = {
        "start_time": "Fri, 02 Jan 2026 03:04:10 +0000",
        "end_time": "Fri, 02 Jan 2026 03:04:27 +0000",
        "duration": "17",
    }
    calls = {
        "queued": tw_call(),
        "ringing": tw_call("ringing"),
        "answered": tw_call("in-progress"),
        "ended": tw_call("completed", **times),
    }
    vendor.on("GET", TW_CALL, says(200, calls[stage]))


def _plivo_stage(vendor: Vendor, stage: str) -> None:
    @dataclass
    class ByList:
        """Plivo has one path for three lists."""

        replies: dict[str, Any]

        def __call__(self, handler: Any) -> None:
            self.replies.get(vendor.heard[-1].query.get("status", "ended"), pl_missing())(handler)

    replies = {
        "queued": {"queued": says(200, {"api_id": "a", "call_uuid": UUID, "status": "QUEUED"})},
        "ringing": {"live": says(200, pl_live("ringing"))},
        "answered": {"live": says(200, pl_live("in-progress"))},
        "ended": {"ended": says(200, pl_record(bill_duration=17, answer_time="2026-01-02 08:34:08+05:30"))},
        "busy": {"ended": says(200, pl_record(3010, "Busy Line"))},
    }
    vendor.on("GET", PL_CALL, ByList(replies[stage]))


STAGES: dict[Provider, Callable[[Vendor, str], None]] = {
    TELNYX: _telnyx_stage,
    TWILIO: _twilio_stage,
    PLIVO: _plivo_stage,
}


@pytest.mark.parametrize(
    ("spoken", "sip", "cause"),
    [
        ("normal_clearing", None, Cause.NORMAL),
        ("user_busy", "486", Cause.BUSY),
        ("call_rejected", "603", Cause.REJECTED),
        ("call_rejected", "403", Cause.FAILED),
        ("no_answer", None, Cause.NO_ANSWER),
        ("timeout", None, Cause.NO_ANSWER),
        ("originator_cancel", "487", Cause.CANCELED),
        ("time_limit", None, Cause.TIME_LIMIT),
        ("not_found", "404", Cause.FAILED),
        ("unspecified", None, Cause.FAILED),
        ("a_new_cause", None, Cause.FAILED),
        ("", None, Cause.UNKNOWN),
    ],
)
@pytest.mark.parametrize("wrapped", ["payload", "data", "bare", "raw"])
def test_telnyx_causes(spoken, sip, cause, wrapped, vendor, connect):
    told = {"hangup_cause": spoken, "sip_hangup_cause": sip}
    event = tx_event("call.hangup")
    event["metadata"] = {
        "payload": {"payload": told},
        "data": {"data": {"event_type": "call.hangup", "payload": told}},
        "bare": told,
        "raw": {"raw_event": {"data": {"payload": told}}, "extra": 1},
    }[wrapped]
    vendor.on("GET", "/v2/call_events", says(200, tx_events(event)))
    found = connect(TELNYX, vendor.url).status(PLACED[TELNYX])
    assert (found.state, found.cause, found.raw) == (LegState.ENDED, cause, spoken)
    assert vendor.heard[0].query["filter[leg_id]"] == LEG


@pytest.mark.parametrize(
    ("name", "result", "machine"),
    [
        ("call.machine.detection.ended", "machine", True),
        ("call.machine.detection.ended", "human", False),
        ("call.machine.detection.ended", "not_sure", None),
        ("call.machine.premium.detection.ended", "fax_detected", True),
        ("call.machine.premium.detection.ended", "human_business", False),
        ("call.machine.premium.detection.ended", "silence", None),
    ],
)
def test_telnyx_machines(name, result, machine, vendor, connect):
    vendor.on("GET", "/v2/call_events", says(200, tx_events(tx_event("call.answered"), tx_event(name, result=result))))
    vendor.on("GET", TX_CALL, says(200, tx_call(is_alive=True)))
    found = connect(TELNYX, vendor.url).status(PLACED[TELNYX])
    assert (found.state, found.machine) == (LegState.ANSWERED, machine)


def test_telnyx_knows_of_an_end_before_its_events_do(vendor, connect):
    line = connect(TELNYX, vendor.url)
    vendor.on("GET", "/v2/call_events", says(200, tx_events(tx_event("call.answered"))))
    vendor.on("GET", TX_CALL, says(200, tx_call(is_alive=False, end_time="2026-01-02T03:04:27Z")))
    found = line.status(PLACED[TELNYX])
    assert (found.state, found.cause, found.answered) == (LegState.ENDED, Cause.UNKNOWN, True)
    vendor.on("GET", TX_CALL, says(404, {"errors": [{"code": "10005", "title": "Not found"}]}))
    assert line.status(PLACED[TELNYX]).cause is Cause.UNKNOWN
    vendor.on("GET", TX_CALL, says(200, {"data": {}}))
    with pytest.raises(Temporary):
        line.status(PLACED[TELNYX])


def test_telnyx_without_a_leg_id_asks_the_call_alone(vendor, connect):
    vendor.on("GET", TX_CALL, says(200, tx_call(is_alive=True)))
    found = connect(TELNYX, vendor.url).status(PlacedCall(TELNYX, CONTROL))
    assert found.state is LegState.RINGING
    assert len(vendor.heard) == 1


@pytest.mark.parametrize(
    ("status", "state", "cause"),
    [
        ("queued", LegState.QUEUED, None),
        ("initiated", LegState.QUEUED, None),
        ("ringing", LegState.RINGING, None),
        ("in-progress", LegState.ANSWERED, None),
        ("completed", LegState.ENDED, Cause.NORMAL),
        ("busy", LegState.ENDED, Cause.BUSY),
        ("failed", LegState.ENDED, Cause.FAILED),
        ("no-answer", LegState.ENDED, Cause.NO_ANSWER),
        ("canceled", LegState.ENDED, Cause.CANCELED),
    ],
)
def test_twilio_statuses(status, state, cause, vendor, connect):
    vendor.on("GET", TW_CALL, says(200, tw_call(status, price="-0.01300")))
    vendor.on("GET", TW_SUMMARY, says(404, {"code": 20404, "message": "none", "status": 404}))
    found = connect(TWILIO, vendor.url).status(PLACED[TWILIO])
    assert (found.state, found.cause, found.raw) == (state, cause, status)
    assert found.cost == "-0.01300 USD"


@pytest.mark.parametrize("status", ["busy", "failed", "no-answer"])
@pytest.mark.parametrize("sip", [603, 607, 608, 486])
@pytest.mark.parametrize("place", ["properties", "carrier_edge"])
def test_twilio_tells_a_declined_call_by_insights(status, sip, place, vendor, connect):
    kept = {"last_sip_response_num": sip}
    summary = {"call_sid": SID, "account_sid": AC, "properties": kept if place == "properties" else {}}
    summary["carrier_edge"] = {"properties": kept} if place == "carrier_edge" else None
    vendor.on("GET", TW_CALL, says(200, tw_call(status)))
    vendor.on("GET", TW_SUMMARY, says(200, summary))
    found = connect(TWILIO, vendor.url).status(PLACED[TWILIO])
    assert (found.cause is Cause.REJECTED) == (sip != 486)
    assert found.raw == status


def test_twilio_asks_insights_once_and_does_not_depend_on_it(vendor, connect):
    vendor.on("GET", TW_CALL, says(200, tw_call("busy")))
    vendor.on("GET", TW_SUMMARY, says(403, "<html>"))
    line = connect(TWILIO, vendor.url)
    assert [line.status(PLACED[TWILIO]).cause for _ in range(2)] == [Cause.BUSY, Cause.BUSY]
    assert [heard.path for heard in vendor.heard].count(TW_SUMMARY) == 1


@pytest.mark.parametrize(
    ("by", "machine"),
    [
        ("human", False),
        ("machine_start", True),
        ("machine_end_beep", True),
        ("fax", True),
        ("unknown", None),
        (None, None),
    ],
)
def test_twilio_machines(by, machine, vendor, connect):
    vendor.on("GET", TW_CALL, says(200, tw_call("in-progress", answered_by=by)))
    assert connect(TWILIO, vendor.url).status(PLACED[TWILIO]).machine is machine


def test_a_status_that_no_document_names_is_not_guessed(vendor, connect):
    vendor.on("GET", TW_CALL, says(200, tw_call("levitating")))
    vendor.on("GET", PL_CALL, says(200, pl_live("levitating")))
    for provider in (TWILIO, PLIVO):
        with pytest.raises(Temporary, match="does not document"):
            connect(provider, vendor.url).status(PLACED[provider])


def test_twilios_queue_is_left_at_once(vendor, connect):
    line = connect(TWILIO, vendor.url)
    vendor.on("POST", TW_CALLS, says(201, tw_call(queue_time="6000"))).on(
        "POST", TW_CALL, says(200, tw_call("canceled"))
    )
    with pytest.raises(Temporary, match="queued") as caught:
        line.place()
    assert caught.value.retry_after == 6
    assert [heard.path for heard in vendor.heard] == [TW_CALLS, TW_CALL]
    assert vendor.heard[1].form == {"Status": "completed"}
    vendor.on("POST", TW_CALL, says(500, "no"))
    with pytest.raises(FateUnknown, match=SID):
        line.place()
    vendor.on("POST", TW_CALLS, says(201, tw_call(queue_time="5000")))
    assert line.place() == PLACED[TWILIO]


@pytest.mark.parametrize(
    ("code", "name", "cause"),
    [
        (0, "Unknown", Cause.UNKNOWN),
        (1000, "Canceled", Cause.CANCELED),
        (1010, "Canceled (Out Of Credits)", Cause.CANCELED),
        (2000, "Invalid Destination Address", Cause.FAILED),
        (3000, "No Answer", Cause.NO_ANSWER),
        (3010, "Busy Line", Cause.BUSY),
        (3020, "Rejected", Cause.REJECTED),
        (3100, "Busy Everywhere", Cause.BUSY),
        (4000, "Normal Hangup", Cause.NORMAL),
        (4010, "End Of XML Instructions", Cause.NORMAL),
        (6000, "Scheduled Hangup", Cause.TIME_LIMIT),
        (6010, "Ring Timeout Reached", Cause.NO_ANSWER),
        (7011, "Error Reaching Answer URL", Cause.FAILED),
        (4000, "Machine Detected", Cause.MACHINE),
        (None, "USER_BUSY", Cause.BUSY),
        (None, "NO_ANSWER", Cause.NO_ANSWER),
        (None, "something new", Cause.FAILED),
    ],
)
def test_plivo_causes(code, name, cause, vendor, connect):
    vendor.will(pl_missing(), pl_missing(), says(200, pl_record(code, name)))
    found = connect(PLIVO, vendor.url).status(PLACED[PLIVO])
    assert (found.state, found.cause, found.raw) == (LegState.ENDED, cause, name)
    assert found.machine is (True if cause is Cause.MACHINE else None)
    assert not found.answered
    assert [heard.query.get("status") for heard in vendor.heard] == ["live", "queued", None]


def test_plivo_between_its_lists(vendor, connect):
    vendor.on("GET", PL_CALL, pl_missing())
    line = connect(PLIVO, vendor.url)
    assert line.status(PLACED[PLIVO]).state is LegState.QUEUED
    vendor.will(says(200, pl_live("ringing")))
    assert line.status(PLACED[PLIVO]).ids == {"call_uuid": UUID}
    ended = line.status(PLACED[PLIVO])
    assert (ended.state, ended.cause) == (LegState.ENDED, Cause.UNKNOWN)
    known = PlacedCall(PLIVO, "r-1", {"request_uuid": "r-1", "call_uuid": UUID})
    assert connect(PLIVO, vendor.url).status(known).state is LegState.ENDED


def test_plivo_finds_a_call_whose_uuid_is_not_the_requests(vendor, connect):
    vendor.on("POST", PL_CALLS, says(201, {"api_id": "a", "message": "call fired", "request_uuid": "r-1"}))
    line = connect(PLIVO, vendor.url)
    placed = line.place()
    vendor.on("GET", PL_CALL, says(200, pl_live("in-progress", session_start=just_now())))

    def lists(handler: Any) -> None:
        wanted = vendor.heard[-1].query.get("status")
        body = (
            {"api_id": "a", "calls": [UUID] if wanted == "live" else []}
            if wanted
            else {"api_id": "a", "meta": {}, "objects": []}
        )
        says(200, body)(handler)

    vendor.on("GET", PL_CALLS, lists)
    found = line.status(placed)
    assert (found.state, found.ids) == (LegState.ANSWERED, {"call_uuid": UUID})


@pytest.mark.parametrize(("earlier", "own"), [("live", "live"), ("ended", "live"), ("ended", "ended")])
def test_plivo_takes_no_earlier_call_to_the_number_for_its_own(vendor, connect, earlier, own):
    before = UUID.replace("57a1", "46b0")
    vendor.on("POST", PL_CALLS, says(201, {"api_id": "a", "message": "call fired", "request_uuid": "r-1"}))
    line = connect(PLIVO, vendor.url)
    placed = line.place()
    states = {UUID: (own, "r-1"), before: (earlier, "r-0")}
    later = just_now()

    def lists(handler: Any) -> None:
        wanted = vendor.heard[-1].query.get("status")
        here = [uuid for uuid, (state, _) in states.items() if state == (wanted or "ended")]
        records = [pl_record(call_uuid=uuid, initiation_time=later) for uuid in here]
        says(200, {"api_id": "a", "calls": here} if wanted else {"api_id": "a", "meta": {}, "objects": records})(
            handler
        )

    def shows(uuid: str) -> Any:
        def show(handler: Any) -> None:
            state, request = states[uuid]
            wanted = vendor.heard[-1].query.get("status") or "ended"
            live = pl_live("ringing", call_uuid=uuid, request_uuid=request, session_start=later)
            found = says(200, live if state == "live" else pl_record(call_uuid=uuid))
            (found if wanted == state else pl_missing())(handler)

        return show

    vendor.on("GET", PL_CALLS, lists)
    for uuid in states:
        vendor.on("GET", f"{PL_CALLS}{uuid}/", shows(uuid))
    vendor.on("GET", f"{PL_CALLS}r-1/", pl_missing())
    assert line.status(placed).ids == {"call_uuid": UUID}


def test_plivo_guesses_no_call_that_it_has_not_placed_itself(vendor, connect):
    line = connect(PLIVO, vendor.url)
    queued = says(200, {"request_uuid": "r-1", "from": "12025550199", "to": "12025550101"})
    records: list[Any] = []

    def lists(handler: Any) -> None:
        wanted = vendor.heard[-1].query.get("status")
        calls = ["r-1"] if wanted == "queued" and not records else []
        says(200, {"api_id": "a", "meta": {}, "calls": calls, "objects": records})(handler)

    vendor.on("GET", PL_CALLS, lists).on("GET", f"{PL_CALLS}r-1/", queued).on("GET", PL_CALL, pl_missing())
    (placed,) = line.find(since=time.time())
    records += [pl_record(call_uuid=uuid, initiation_time=just_now()) for uuid in (UUID, "another")]
    vendor.on("GET", f"{PL_CALLS}r-1/", pl_missing())
    assert line.status(placed).state is LegState.QUEUED
    del records[1]
    _plivo_stage(vendor, "busy")
    assert line.status(placed).carrier_call_id == UUID


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize(
    "reply", [says(500, "no"), says(429, "{}"), says(200, "<html>"), says(200, "[]"), says(302), says(401, "{}")]
)
def test_an_unreadable_status_is_temporary(provider, reply, vendor, connect):
    vendor.will(reply, reply, reply, reply)
    with pytest.raises(Temporary):
        connect(provider, vendor.url).status(PLACED[provider])


ENDING: dict[Provider, tuple[str, str, Any, Any]] = {
    TELNYX: (
        "POST",
        f"{TX_CALL}/actions/hangup",
        says(200, {"data": {"result": "ok"}}),
        says(422, {"errors": [{"code": "90018", "title": "Call has already ended"}]}),
    ),
    TWILIO: (
        "POST",
        TW_CALL,
        says(200, tw_call("completed")),
        says(404, {"code": 20404, "message": "gone", "status": 404}),
    ),
    PLIVO: ("DELETE", PL_CALL, says(204), pl_missing()),
}


@pytest.mark.parametrize("provider", ALL)
def test_hang_up(provider, vendor, connect):
    method, path, done, over = ENDING[provider]
    line, placed = connect(provider, vendor.url), PLACED[provider]
    vendor.on(method, path, done)
    assert line.hang_up(placed) is True
    assert [(heard.method, heard.path) for heard in vendor.heard] == [(method, path)]
    vendor.on(method, path, over)
    vendor.on("DELETE", PL_REQUEST, over)
    assert line.hang_up(placed) is False
    for reply in (says(500, "no"), says(400, "{}"), says(200, "x" * (1 << 20) + "y")):
        vendor.on(method, path, reply)
        with pytest.raises(Temporary):
            line.hang_up(placed)


def test_twilio_hang_up_of_a_call_that_is_over_by_its_state(vendor, connect):
    vendor.on("POST", TW_CALL, says(400, {"code": 21220, "message": "not in-progress", "status": 400}))
    assert connect(TWILIO, vendor.url).hang_up(PLACED[TWILIO]) is False


def test_plivo_takes_back_a_request_that_has_not_started(vendor, connect):
    vendor.on("DELETE", PL_CALL, pl_missing()).on("DELETE", PL_REQUEST, says(204))
    assert connect(PLIVO, vendor.url).hang_up(PLACED[PLIVO]) is True


def test_find_at_telnyx_is_by_the_attempts_mark(vendor, connect):
    line = connect(TELNYX, vendor.url)
    mark = line.module.client_state(ATTEMPT)
    active = {
        "call_control_id": CONTROL,
        "call_leg_id": LEG,
        "call_session_id": SESSION,
        "client_state": mark,
        "call_duration": 1,
        "record_type": "call",
    }
    other = {**active, "call_control_id": "v3:other", "client_state": "b3RoZXI="}
    second = {**active, "call_control_id": "v3:second"}
    vendor.will(
        says(200, {"data": [other], "meta": {"page_number": 1, "total_pages": 2}}),
        says(200, {"data": [active], "meta": {"page_number": 2, "total_pages": 2}}),
        says(200, tx_events(tx_event("call.initiated"), tx_event("call.initiated", call_control_id="v3:x", client_state="eA=="),
                            tx_event("call.initiated", "2026-01-01T00:00:00Z", call_control_id="v3:old"))),
    )  # fmt: skip
    assert line.find(since=SINCE) == (PLACED[TELNYX],)
    assert [heard.path for heard in vendor.heard] == [TX_ACTIVE, TX_ACTIVE, "/v2/call_events"]
    asked = vendor.heard[2].query
    assert (asked["filter[to]"], asked["filter[from]"]) == ("+12025550101", "+12025550199")
    assert asked["filter[occurred_at][gte]"].startswith("2026-01-02T03:03:50")
    vendor.will(says(200, {"data": []}), says(200, tx_events(tx_event("call.hangup", call_control_id="v3:second"))))
    assert [found.carrier_call_id for found in line.find(since=SINCE)] == ["v3:second"]
    assert second["client_state"] == mark


def test_find_at_twilio_is_by_numbers_and_time(vendor, connect):
    line = connect(TWILIO, vendor.url)
    early = tw_call(sid="CA" + "2" * 32, date_created="Fri, 02 Jan 2026 03:03:00 +0000")
    elsewhere = tw_call(sid="CA" + "3" * 32, to="+12025550102")
    vendor.on("GET", TW_CALLS, says(200, tw_list(tw_call("failed"), early, elsewhere)))
    assert line.find(since=SINCE) == (PLACED[TWILIO],)
    asked = vendor.heard[0].query
    assert (asked["To"], asked["From"]) == ("+12025550101", "+12025550199")
    assert not any("StartTime" in name for name in asked)


def test_find_at_plivo_is_by_numbers_and_time_in_all_three_lists(vendor, connect):
    queued, old, gone = "q-1", "e-old", "l-gone"
    line = connect(PLIVO, vendor.url)

    def lists(handler: Any) -> None:
        asked = vendor.heard[-1].query
        bodies = {
            "live": {"api_id": "a", "calls": [UUID, gone]},
            "queued": {"api_id": "a", "calls": [queued, "q-other"]},
            None: {
                "api_id": "a",
                "meta": {},
                "objects": [pl_record(), pl_record(call_uuid=old, initiation_time="2026-01-02 03:00:00+00:00")],
            },
        }
        says(200, bodies[asked.get("status")])(handler)

    vendor.on("GET", PL_CALLS, lists).on("GET", PL_CALL, says(200, pl_live("ringing", request_uuid="r-1")))
    vendor.on(
        "GET", f"{PL_CALLS}{queued}/", says(200, {"call_uuid": queued, "from": "12025550199", "to": "12025550101"})
    )
    vendor.on(
        "GET", f"{PL_CALLS}q-other/", says(200, {"call_uuid": "q-other", "from": "12025550199", "to": "33612345678"})
    )
    vendor.on("GET", f"{PL_CALLS}{gone}/", pl_missing())
    found = line.find(since=SINCE)
    assert [call.carrier_call_id for call in found] == [UUID, queued]
    assert found[0].ids == {"call_uuid": UUID, "request_uuid": "r-1"}


@pytest.mark.parametrize("own", [{}, {"call_uuid": UUID}])
def test_a_queued_plivo_call_is_listed_under_its_request_and_followed_under_its_own_id(own, vendor, connect):
    request_uuid, listed = "r-1", {"queued": ["r-1"]}
    line = connect(PLIVO, vendor.url)
    ended: list[Any] = []

    def lists(handler: Any) -> None:
        state = vendor.heard[-1].query.get("status")
        says(200, {"api_id": "a", "meta": {}, "calls": listed.get(state, []), "objects": list(ended)})(handler)

    numbers = {"from": "12025550199", "to": "12025550101"}
    vendor.on("GET", PL_CALLS, lists).on("GET", PL_CALL, pl_missing())
    vendor.on(
        "GET", f"{PL_CALLS}r-1/", says(200, {"call_status": "queued", "request_uuid": request_uuid, **numbers, **own})
    )
    (placed,) = line.find(since=SINCE)
    assert (placed.carrier_call_id, placed.ids) == (own.get("call_uuid", "r-1"), {**own, "request_uuid": request_uuid})
    listed.clear()
    ended.append(pl_record(3010, "Busy Line"))
    vendor.on("GET", f"{PL_CALLS}r-1/", pl_missing())
    _plivo_stage(vendor, "busy")
    status = line.status(placed)
    assert (status.state, status.cause, status.carrier_call_id) == (LegState.ENDED, Cause.BUSY, UUID)


@pytest.mark.parametrize("carrier", ALL)
def test_a_call_that_began_long_after_is_another(carrier, vendor, connect):
    vendor.on("GET", TX_ACTIVE, says(200, {"data": [], "meta": {"total_pages": 0}}))
    vendor.on("GET", "/v2/call_events", says(200, tx_events(tx_event("call.initiated", client_state=None))))
    vendor.on("GET", TW_CALLS, says(200, tw_list(tw_call("busy"))))
    bodies = {"live": {"api_id": "a", "calls": [UUID]}, "queued": {"api_id": "a", "calls": []}}

    def lists(handler: Any) -> None:
        wanted = vendor.heard[-1].query.get("status", "")
        says(200, bodies.get(wanted, {"api_id": "a", "meta": {}, "objects": [pl_record(call_uuid="e-1")]}))(handler)

    vendor.on("GET", PL_CALLS, lists).on("GET", PL_CALL, says(200, pl_live("ringing")))
    line = connect(carrier, vendor.url)
    # What the vendors show began five seconds after SINCE; their clocks may stand ten seconds from ours.
    begun = SINCE + 5
    assert len(line.find(since=begun - 60, until=begun - 9, ours=False)) == (2 if carrier is PLIVO else 1)
    assert line.find(since=begun - 60, until=begun - 11, ours=False) == ()


def test_a_clock_that_runs_ahead_is_told_by_a_call_from_the_future(vendor, connect):
    moment = datetime.now(UTC) + timedelta(hours=1)
    vendor.on("GET", TW_CALLS, says(200, tw_list(tw_call("busy", date_created=format_datetime(moment)))))
    line = connect(TWILIO, vendor.url)
    assert line.find(since=SINCE, until=time.time() - 60) == (PLACED[TWILIO],)


def test_a_call_with_the_attempts_mark_is_the_attempts_whenever_it_began(vendor, connect):
    vendor.on("GET", TX_ACTIVE, says(200, {"data": [], "meta": {"total_pages": 0}}))
    vendor.on("GET", "/v2/call_events", says(200, tx_events(tx_event("call.initiated"))))
    assert connect(TELNYX, vendor.url).find(since=SINCE - 60, until=SINCE - 30) == (PLACED[TELNYX],)


@pytest.mark.parametrize("provider", ALL)
def test_find_of_nothing_is_nothing(provider, vendor, connect):
    vendor.on("GET", TX_ACTIVE, says(200, {"data": [], "meta": {"total_pages": 0}})).on(
        "GET", "/v2/call_events", says(200, tx_events())
    )
    vendor.on("GET", TW_CALLS, says(200, tw_list()))
    vendor.on("GET", PL_CALLS, says(200, {"api_id": "a", "meta": {}, "objects": [], "calls": []}))
    assert tuple(connect(provider, vendor.url).find(since=SINCE)) == ()


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize(
    "reply",
    [
        says(500, "no"),
        says(401, "{}"),
        says(403, "{}"),
        says(404, "{}"),
        says(200, "<html>"),
        says(200, "{}"),
        says(200, "[]"),
        says(204),
    ],
)
def test_a_list_that_cannot_be_read_is_temporary(provider, reply, vendor, connect):
    vendor.will(reply, reply, reply)
    with pytest.raises(Temporary):
        connect(provider, vendor.url).find(since=SINCE)


@pytest.mark.parametrize(
    ("provider", "path", "body", "words"),
    [
        (
            TELNYX,
            "/v2/call_control_applications/2400000001",
            {"data": {"id": "2400000001", "application_name": "calls"}},
            "application calls",
        ),
        (
            TWILIO,
            f"/2010-04-01/Accounts/{AC}.json",
            {"sid": AC, "friendly_name": "Ada", "status": "active"},
            "account Ada (active)",
        ),
        (
            PLIVO,
            f"/v1/Account/{MA}/",
            {"api_id": "a", "name": "Ada", "cash_credits": "12.5"},
            "account Ada, credit 12.5",
        ),
    ],
)
def test_check(provider, path, body, words, vendor, connect):
    vendor.on("GET", path, says(200, body))
    line = connect(provider, vendor.url)
    assert line.check() == words
    assert len(vendor.heard) == 1
    vendor.on("GET", path, says(401, {}))
    with pytest.raises(AuthError):
        line.check()
    vendor.on(
        "GET", path, says(400, {"errors": [{"code": "1", "title": "bad"}], "code": 1, "message": "bad", "error": "bad"})
    )
    with pytest.raises(ProviderRefused):
        line.check()
    vendor.on("GET", path, says(503, ""))
    with pytest.raises(Temporary):
        line.check()


def test_telnyx_check_without_and_with_a_wrong_connection(vendor, connect):
    vendor.on("GET", "/v2/balance", says(200, {"data": {"balance": "12.00", "currency": "USD"}}))
    assert connect(TELNYX, vendor.url, connection_id="").check() == "balance 12.00 USD"
    with pytest.raises(ConfigError, match="2400000001"):
        connect(TELNYX, vendor.url).check()


BAD_KEYS = [
    ("api_key", TELNYX),
    ("account_sid", TWILIO),
    ("auth_token", TWILIO),
    ("auth_id", PLIVO),
    ("auth_token", PLIVO),
]


@pytest.mark.parametrize(("name", "provider"), BAD_KEYS)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "missing"),
        ("k\ney", "line break"),
        ("k\rey", "line break"),
        ("kéy", "ASCII"),
        ("k ey", "space"),
        ("key\x7f", "control"),
    ],
)
def test_a_credential_that_no_header_can_hold_is_refused_before_any_client_sees_it(
    name, provider, value, problem, connect
):
    with pytest.raises(AuthError, match=problem) as caught:
        connect(provider, "http://127.0.0.1:9", **{name: value})
    assert f"{provider}.{name}" in caught.value.hint
    assert not value or value not in caught.value.message


@pytest.mark.parametrize(
    ("provider", "name", "value"),
    [(TWILIO, "account_sid", "AC/../.."), (PLIVO, "auth_id", "XX"), (PLIVO, "auth_id", "MA" + "x" * 40)],
)
def test_an_account_id_that_is_none_is_refused(provider, name, value, connect):
    with pytest.raises(AuthError, match="is not one"):
        connect(provider, "http://127.0.0.1:9", **{name: value})


SPECS = Path(__file__).parents[3] / "shared" / "specs"


def _schema(provider: Provider) -> tuple[dict[str, Any], dict[str, Any]]:
    name, path, kind = {
        TELNYX: ("telnyx.calls.openapi.json", "/calls", "application/json"),
        TWILIO: (
            "twilio.calls.openapi.json",
            "/2010-04-01/Accounts/{AccountSid}/Calls.json",
            "application/x-www-form-urlencoded",
        ),
    }[provider]
    file = SPECS / name
    if not file.exists():
        pytest.skip(f"the vendor's OpenAPI document {name} is not beside the project")
    document = json.loads(file.read_text())
    return document, document["paths"][path]["post"]["requestBody"]["content"][kind]["schema"]


def test_telnyx_request_follows_the_vendors_document(vendor, connect):
    import jsonschema

    document, schema = _schema(TELNYX)
    vendor.on("POST", *CREATED[TELNYX])
    connect(TELNYX, vendor.url).place(detect_machine=True)
    body = vendor.posts[0].json
    resolver_root = {"$defs": {}, **schema, "components": document["components"]}
    jsonschema.validate(body, resolver_root)
    properties = (
        document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["properties"]
        if "$ref" in schema
        else schema["properties"]
    )
    assert body.keys() <= properties.keys()


def test_twilio_request_follows_the_vendors_document(vendor, connect):
    _, schema = _schema(TWILIO)
    vendor.on("POST", *CREATED[TWILIO])
    connect(TWILIO, vendor.url).place(detect_machine=True)
    form = vendor.posts[0].form
    assert set(schema["required"]) <= form.keys() <= schema["properties"].keys()
    for name, value in form.items():
        if schema["properties"][name].get("type") == "integer":
            assert int(value)


@pytest.mark.parametrize("provider", ALL)
def test_what_is_missing_is_named(provider, connect):
    missing = {"answer_url": None} if provider is PLIVO else {"join_url": None}
    with pytest.raises(UsageError):
        connect(provider, "http://127.0.0.1:9").place(**missing)


def test_telnyx_needs_a_connection(connect):
    with pytest.raises(ConfigError, match="connection_id"):
        connect(TELNYX, "http://127.0.0.1:9", connection_id="").place()


def test_plivo_refuses_to_call_itself(connect):
    with pytest.raises(UsageError, match="overlap"):
        connect(PLIVO, "http://127.0.0.1:9").place(from_="+12025550101")


def test_request_is_what_place_sends(vendor, connect):
    for provider in ALL:
        line = connect(provider, vendor.url)
        arguments = line.module.request(line.account, order(provider))
        assert arguments["from_"] == "+12025550199"
        assert not vendor.heard


def test_find_at_telnyx_of_a_leg_that_ultravox_placed_is_by_numbers_and_time(vendor, connect):
    line = connect(TELNYX, vendor.url)
    theirs = tx_event("call.initiated", call_control_id="v3:texml", client_state=None)
    old = tx_event("call.initiated", "2026-01-01T00:00:00Z", call_control_id="v3:old", client_state=None)
    vendor.on("GET", TX_ACTIVE, says(200, {"data": [], "meta": {"total_pages": 0}}))
    vendor.on("GET", "/v2/call_events", says(200, tx_events(theirs, old)))
    assert line.find(since=SINCE) == ()
    assert [call.carrier_call_id for call in line.find(since=SINCE, ours=False)] == ["v3:texml"]
