"""Ultravox's requests and answers as values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core import ultravox_api as api
from uvcall.core.secret import JoinUrl
from uvcall.core.transcripts import Message
from uvcall.core.ultravox_api import answers, failures
from uvcall.core.webhook import HttpResponse
from uvcall.errors import AuthError, ContractBroken, FateUnknown, ProviderRefused, Temporary, UvcallError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "5a2c1b60-0000-4000-8000-0242ac110002"
JOIN = "wss://voice.ultravox.ai/calls/5a2c/telephony"


def says(status: int, body: object, **headers: str) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), raw)


def created(response: HttpResponse, *, loopback: bool = False, rings: bool = False):
    return answers.read_created(response, loopback=loopback, rings=rings, now=NOW)


@pytest.mark.parametrize(
    ("given_url", "base"),
    [
        ("https://api.ultravox.ai", "https://api.ultravox.ai/api"),
        ("https://api.ultravox.ai/", "https://api.ultravox.ai/api"),
        ("https://api.ultravox.ai/api", "https://api.ultravox.ai/api"),
        ("https://api.ultravox.ai/api/", "https://api.ultravox.ai/api"),
        ("http://127.0.0.1:8000/ultravox", "http://127.0.0.1:8000/ultravox/api"),
    ],
)
def test_base(given_url, base):
    assert api.base(given_url) == base


def test_requests_are_those_of_the_vendors_document():
    file = Path(__file__).parents[3] / "shared" / "specs" / "ultravox.openapi.json"
    if not file.exists():
        pytest.skip("the vendor's OpenAPI document is not beside the project")
    paths = json.loads(file.read_text())["paths"]
    requests = [
        api.create_call("/api/calls", {}),
        api.create_call(f"/api/agents/{ID}/calls", {}),
        api.get_call(ID),
        api.delete_call(ID),
        api.list_calls({"uvcall_attempt": "a"}, cursor="c"),
        api.messages(ID, cursor="c"),
        api.events(ID, severity="debug", kind="media", cursor="c"),
        api.recording(ID),
        api.hang_up(ID),
        api.account_me(),
        api.agents(cursor="c"),
        api.voices(cursor="c"),
        api.models(cursor="c"),
    ]
    for request in requests:
        path = "/api" + request.path
        path = path.replace(ID, "{agent_id}" if "/agents/" in path else "{call_id}")
        operation = paths[path][request.method.lower()]
        known = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert {name for name in request.query if not name.startswith("metadata.")} <= known, path


def test_ids_cannot_leave_their_place_in_the_path():
    assert api.get_call("../accounts/me?x").path == "/calls/..%2Faccounts%2Fme%3Fx"


def test_data_messages():
    assert api.hang_up(ID).body == {"type": "hang_up"}
    assert api.hang_up(ID, "Bye.").body == {"type": "hang_up", "message": "Bye."}
    assert api.agent_says(ID, "Hi").body == {"type": "forced_agent_message", "content": "Hi", "urgency": "immediate"}
    assert api.user_says(ID, "Hi").body == {"type": "user_text_message", "text": "Hi"}
    assert api.user_says(ID, "Hi", urgency="later").body["urgency"] == "later"
    forced = api.agent_says(ID, "Hi", urgency="soon", uninterruptible=True).body
    assert (forced["urgency"], forced["uninterruptible"]) == ("soon", True)


def test_created():
    found = created(says(201, {"callId": ID, "joinUrl": JOIN}))
    assert (found.call_id, found.join_url) == (ID, JoinUrl(JOIN))
    assert created(says(201, {"callId": ID, "joinUrl": None}), rings=True).join_url is None
    local = created(says(201, {"callId": ID, "joinUrl": "ws://127.0.0.1:9/j"}), loopback=True)
    assert local.join_url == JoinUrl("ws://127.0.0.1:9/j")


BROKEN = [
    (201, {"callId": ID}),
    (201, {"callId": ID, "joinUrl": 7}),
    (201, {"callId": ID, "joinUrl": "ws://127.0.0.1:9/j"}),
    (201, {"callId": ID, "joinUrl": "wss://evil.example/j"}),
    (201, {"callId": ID, "joinUrl": "wss://evil.example\\@api.ultravox.ai/"}),
    (201, {"callId": ID, "joinUrl": "wss://voice.ultravox.ai/" + "x" * 100_000}),
    (201, {"callId": "x", "joinUrl": JOIN}),
    (201, {"callId": ID + "\n", "joinUrl": JOIN}),
    (201, {"callId": 7, "joinUrl": JOIN}),
    (201, {"joinUrl": JOIN}),
    (201, [ID]),
    (201, b"<html>"),
    (201, b""),
    (201, b'{"callId":'),
    (201, b"[" * 90_000),
    (201, b'"' + b"x" * (failures.LIMIT + 1) + b'"'),
    (200, {"callId": ID, "joinUrl": JOIN}),
    (204, b""),
]


@pytest.mark.parametrize(("status", "body"), BROKEN)
def test_a_success_that_breaks_the_contract(status, body):
    with pytest.raises(ContractBroken) as caught:
        created(says(status, body))
    assert "evil" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("status", "body"), BROKEN[6:])
def test_a_success_that_breaks_the_contract_may_ring(status, body):
    with pytest.raises(FateUnknown):
        created(says(status, body), rings=True)


@pytest.mark.parametrize(
    ("status", "body", "kind", "ringing"),
    [
        (401, {"detail": "Invalid key"}, AuthError, AuthError),
        (401, b"", AuthError, AuthError),
        (403, {"detail": "No"}, AuthError, AuthError),
        (403, b"<html>", Temporary, FateUnknown),
        (400, {"voice": ["unknown"]}, ProviderRefused, ProviderRefused),
        (402, {"detail": "quota"}, ProviderRefused, ProviderRefused),
        (404, {"detail": "Not found."}, ProviderRefused, ProviderRefused),
        (422, {"detail": "bad"}, ProviderRefused, ProviderRefused),
        (409, {"detail": "conflict"}, ProviderRefused, FateUnknown),
        (400, b"<html>", Temporary, FateUnknown),
        (404, b"", Temporary, FateUnknown),
        (429, {"detail": "slow"}, Temporary, Temporary),
        (429, b"<html>", Temporary, Temporary),
        (503, {"detail": "full"}, Temporary, FateUnknown),
        (500, b"<html>", Temporary, FateUnknown),
        (502, {"detail": "x"}, Temporary, FateUnknown),
        (301, b"", Temporary, FateUnknown),
        (307, {"detail": "x"}, Temporary, FateUnknown),
        (408, {"detail": "x"}, Temporary, FateUnknown),
        (418, {"detail": "x"}, Temporary, FateUnknown),
    ],
)
def test_failures(status, body, kind, ringing):
    for rings, expected in ((False, kind), (True, ringing)):
        with pytest.raises(UvcallError) as caught:
            created(says(status, body), rings=rings)
        assert type(caught.value) is expected
        assert caught.value.status == status
        assert caught.value.peer == "ultravox"
        assert caught.value.hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Not found."}, "Not found."),
        ({"voice": ["Unknown voice."]}, "voice: Unknown voice."),
        ({"non_field_errors": ["Pick one."]}, "Pick one."),
        ({"medium": {"telnyx": {"outgoing": ["Not set up."]}}}, "medium.telnyx.outgoing: Not set up."),
        ({"voice": ["A"], "model": ["B", "C"]}, "voice: A; model: B; model: C"),
        ({"x": "see\nwss://voice.ultravox.ai/calls/secret"}, "x: see [join URL]"),
        ({"x": None, "y": 3, "z": []}, ""),
        ({}, ""),
        (["x"], ""),
        (b"<html>", ""),
    ],
)
def test_complaints_are_one_line_that_names_the_field(body, words):
    assert failures.complaint(says(400, body).body) == words


def test_complaints_are_short():
    assert len(failures.complaint(json.dumps({f"f{n}": ["word " * 99] for n in range(99)}).encode())) <= 200


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=30
    )
)
@settings(max_examples=80)
def test_no_error_body_breaks_the_reader(body):
    words = failures.complaint(json.dumps(body).encode())
    assert "\n" not in words
    assert len(words) <= 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ((NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90.0),
        ((NOW - timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after(text, seconds):
    with pytest.raises(Temporary) as caught:
        created(says(429, {"detail": "x"}, Retry_After=text))
    assert caught.value.retry_after == seconds


def test_read_call():
    body = {
        "callId": ID,
        "created": "2026-03-01T11:59:00.123456789Z",
        "joined": "2026-03-01T11:59:05Z",
        "ended": None,
        "endReason": None,
        "metadata": {"uvcall_attempt": "a"},
        "joinUrl": None,
    }
    call = answers.read_call(says(200, body), now=NOW)
    assert call.joined_at == datetime(2026, 3, 1, 11, 59, 5, tzinfo=UTC)
    assert (call.ended_at, call.end_reason, dict(call.metadata)) == (None, None, {"uvcall_attempt": "a"})


@pytest.mark.parametrize(
    "change", [{"callId": None}, {"joined": 5}, {"joined": "yesterday"}, {"endReason": 7}, {"metadata": [1]}]
)
def test_a_call_of_other_types_breaks_the_contract(change):
    with pytest.raises(ContractBroken):
        answers.read_call(says(200, {"callId": ID, **change}), now=NOW)


def test_read_messages_and_the_cursor_alone_of_next():
    page = {
        "results": [
            {
                "role": "MESSAGE_ROLE_AGENT",
                "text": "Hello.",
                "timespan": {"start": "1.2s", "end": "2s"},
                "callStageId": "s",
            },
            {"role": "MESSAGE_ROLE_USER", "text": "Hi.", "timespan": "soon"},
            {"role": "MESSAGE_ROLE_TOOL_CALL", "text": "{}", "toolName": "hangUp"},
            {"role": "MESSAGE_ROLE_TOOL_RESULT", "text": None, "toolName": 3, "errorDetails": "no such day"},
            {"role": "MESSAGE_ROLE_UNSPECIFIED", "text": "?"},
            {"text": "?"},
        ],
        "next": "https://evil.example/api/calls?cursor=abc%3D&pageSize=1",
        "previous": None,
        "total": 6,
    }
    messages, cursor = answers.read_messages(says(200, page), now=NOW)
    assert messages == (
        Message("agent", "Hello.", 1.2, 2.0, "s"),
        Message("user", "Hi."),
        Message("tool_call", "{}", tool="hangUp"),
        Message("tool_result", "", error="no such day"),
    )
    assert cursor == "abc="
    assert answers.read_messages(says(200, {"results": [], "next": None}), now=NOW) == ((), None)


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": [1]}, {"results": {}}])
def test_a_list_without_results_breaks_the_contract(body):
    with pytest.raises(ContractBroken):
        answers.read_messages(says(200, body), now=NOW)


def test_read_named():
    page = {
        "results": [
            {"voiceId": "v", "name": "Mark", "description": "calm", "primaryLanguage": "en-US", "provider": "lmnt"},
            {"name": "ultravox-v0.7"},
            {"agentId": "a", "name": "Ada", "callTemplate": {"model": "ultravox-v0.7"}},
            {"agentId": "b", "callTemplate": None},
        ]
    }
    entries, _ = answers.read_named(says(200, page), now=NOW)
    assert [(entry.id, entry.name, entry.detail) for entry in entries] == [
        ("v", "Mark", "calm"),
        ("ultravox-v0.7",) * 2 + ("",),
        ("a", "Ada", "ultravox-v0.7"),
        ("b", "b", ""),
    ]
    assert entries[0][3:] == ("en-US", "lmnt")
    with pytest.raises(ContractBroken):
        answers.read_named(says(200, {"results": [{"id": 1}]}), now=NOW)


def test_read_account():
    info = answers.read_account(
        says(200, {"name": "Ada", "activeCalls": 1, "allowedConcurrentCalls": None, "subscriptionTier": "PAYGO"}),
        now=NOW,
    )
    assert info == answers.AccountInfo("Ada", "PAYGO", 1, None)
    with pytest.raises(ContractBroken):
        answers.read_account(says(200, {}), now=NOW)


@pytest.mark.parametrize(("status", "answer"), [(204, True), (200, True), (422, False), (404, False)])
def test_hang_up_of_what_is_over_is_no_error(status, answer):
    assert answers.read_hung_up(says(status, b""), now=NOW) is answer


def test_a_page_of_somebody_elses_is_no_success():
    with pytest.raises(ContractBroken):
        answers.read_hung_up(says(200, b"<html>sign in to this network</html>"), now=NOW)
    with pytest.raises(FateUnknown):
        answers.read_done(says(200, b"<html>"), now=NOW, once=True)


def test_hang_up_can_fail():
    with pytest.raises(Temporary):
        answers.read_hung_up(says(500, b""), now=NOW)


@pytest.mark.parametrize(
    ("text", "value"), [("1.5s", 1.5), ("0s", 0.0), ("60", None), ("1h", None), (None, None), ("1.5s\n", None)]
)
def test_seconds(text, value):
    assert answers.seconds(text) == value
