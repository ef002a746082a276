"""Ultravox's data messages and the signature of its webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.webhook import HttpRequest, SignatureInvalid
from uvcall.core.wire import ultravox as uv
from uvcall.core.wire.events import WireError
from uvcall.errors import ConfigError

# https://docs.ultravox.ai/apps/datamessages
GOLDEN: dict[str, uv.DataMessage] = {
    '{"type":"ping","timestamp":1.5}': uv.Ping(1.5),
    '{"type":"user_text_message","text":"hi","urgency":"immediate"}': uv.UserText("hi", "immediate"),
    '{"type":"user_text_message","text":"hi"}': uv.UserText("hi"),
    '{"type":"user_text_message","text":"hi","threadId":"t1"}': uv.UserText("hi", thread_id="t1"),
    '{"type":"input_text_message","text":"hi","deferResponse":true}': uv.InputText("hi", defer_response=True),
    '{"type":"set_output_medium","medium":"text"}': uv.SetOutputMedium("text"),
    '{"type":"forced_agent_message","content":"Bye.","toolCalls":[{"name":"hangUp","arguments":{}}],'
    '"uninterruptible":true,"urgency":"soon"}': uv.ForcedAgentMessage(
        "Bye.", ({"name": "hangUp", "arguments": {}},), uninterruptible=True, urgency="soon"
    ),
    '{"type":"hang_up","message":"Bye."}': uv.HangUp("Bye."),
    '{"type":"hang_up"}': uv.HangUp(),
    '{"type":"client_tool_result","invocationId":"1","result":"","responseType":"tool-response"}': uv.ToolResult(
        "1", ""
    ),
    '{"type":"client_tool_result","invocationId":"1","responseType":"tool-response",'
    '"errorType":"undefined","errorMessage":"no such tool"}': uv.ToolResult(
        "1", error_type="undefined", error_message="no such tool"
    ),
    '{"type":"call_started","callId":"c"}': uv.CallStarted("c"),
    '{"type":"state","state":"listening"}': uv.State("listening"),
    '{"type":"transcript","role":"agent","medium":"voice","ordinal":0,"final":false,"delta":"Hel"}': uv.Transcript(
        "agent", "voice", 0, delta="Hel"
    ),
    '{"type":"transcript","role":"user","medium":"voice","ordinal":1,"final":true,"text":"Hello."}': uv.Transcript(
        "user", "voice", 1, final=True, text="Hello."
    ),
    '{"type":"client_tool_invocation","toolName":"t","invocationId":"1","parameters":{"a":[1]}}': uv.ToolInvocation(
        "t", "1", {"a": [1]}
    ),
    '{"type":"data_connection_tool_invocation","toolName":"t","invocationId":"1","parameters":{}}': (
        uv.DataConnectionToolInvocation("t", "1", {})
    ),
    '{"type":"data_connection_tool_result","invocationId":"1","result":"{}","responseType":"send-to-thread",'
    '"agentReaction":"listens","updateCallState":{"seen":true}}': uv.DataConnectionToolResult(
        "1", "{}", "send-to-thread", "listens", update_call_state={"seen": True}
    ),
    '{"type":"forced_agent_message","toolCalls":[{"id":"1","name":"hangUp","arguments":{}}],'
    '"knownToolResults":[{"invocationId":"1","responseType":"hang-up"}],"threadId":"UI"}': uv.ForcedAgentMessage(
        tool_calls=({"id": "1", "name": "hangUp", "arguments": {}},),
        known_tool_results=({"invocationId": "1", "responseType": "hang-up"},),
        thread_id="UI",
    ),
    '{"type":"spawn_thread","newThreadId":"t1","parentThreadId":"UI","ifExists":"reject",'
    '"additionalMessages":[{"type":"user_text_message","text":"Look it up."}],'
    '"toolFilter":{"allowedTools":["find"]},"limits":{"generationLimit":5}}': uv.SpawnThread(
        "t1",
        "UI",
        "reject",
        ({"type": "user_text_message", "text": "Look it up."},),
        {"allowedTools": ["find"]},
        {"generationLimit": 5},
    ),
    '{"type":"playback_clear_buffer"}': uv.PlaybackClearBuffer(),
    '{"type":"pong","timestamp":2}': uv.Pong(2),
    '{"type":"debug","message":"x"}': uv.Debug("x"),
    '{"a":1,"type":"thread_spawned"}': uv.Other("thread_spawned", {"a": 1}),
}


@pytest.mark.parametrize(
    ("text", "message"), GOLDEN.items(), ids=[type(message).__name__ for message in GOLDEN.values()]
)
def test_golden_messages(text: str, message: uv.DataMessage) -> None:
    assert uv.decode(text) == message
    assert uv.encode(message) == text
    if not isinstance(message, uv.Other):
        assert uv.from_object({**json.loads(text), "new": 1}) == message


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
OBJECTS = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.lists(TEXT, max_size=2)), max_size=3)
TIMES = st.floats(allow_nan=False, allow_infinity=False)
MAYBE = st.none() | TEXT
LISTS = st.lists(OBJECTS, max_size=2).map(tuple)
MESSAGES = st.one_of(
    st.builds(uv.Ping, TIMES),
    st.builds(uv.UserText, TEXT, st.sampled_from(["immediate", "soon", "later"]), MAYBE),
    st.builds(uv.InputText, TEXT, st.booleans()),
    st.builds(uv.SetOutputMedium, st.sampled_from(["voice", "text"])),
    st.builds(
        uv.ForcedAgentMessage,
        TEXT,
        LISTS,
        st.booleans(),
        st.sampled_from([None, "immediate", "soon"]),
        LISTS,
        MAYBE,
    ),
    st.builds(uv.SpawnThread, MAYBE, MAYBE, MAYBE, LISTS, st.none() | OBJECTS, st.none() | OBJECTS),
    st.builds(uv.HangUp, TEXT),
    *(
        st.builds(kind, TEXT, MAYBE, TEXT.filter(bool), MAYBE, MAYBE, MAYBE, st.none() | OBJECTS)
        for kind in (uv.ToolResult, uv.DataConnectionToolResult)
    ),
    st.builds(uv.CallStarted, TEXT),
    st.builds(uv.State, TEXT),
    st.builds(
        lambda replaces, words, *rest: uv.Transcript(*rest, **{"text" if replaces else "delta": words}),
        st.booleans(),
        TEXT,
        st.sampled_from(["user", "agent"]),
        st.sampled_from(["voice", "text"]),
        st.integers(0, 10**6),
        st.booleans(),
    ),
    st.builds(uv.ToolInvocation, TEXT, TEXT, OBJECTS),
    st.builds(uv.DataConnectionToolInvocation, TEXT, TEXT, OBJECTS),
    st.just(uv.PlaybackClearBuffer()),
    st.builds(uv.Pong, TIMES),
    st.builds(uv.Debug, TEXT),
    st.builds(
        uv.Other, TEXT.filter(lambda kind: kind and kind not in uv._READERS), OBJECTS.filter(lambda o: "type" not in o)
    ),
)


@settings(max_examples=250, deadline=None)
@given(MESSAGES)
def test_what_is_written_is_read(message: uv.DataMessage) -> None:
    assert uv.decode(uv.encode(message)) == message


def test_an_empty_text_beside_a_delta_means_none() -> None:
    both = {"type": "transcript", "role": "agent", "medium": "voice", "ordinal": 3, "final": False}
    assert uv.from_object({**both, "text": "", "delta": "a"}) == uv.Transcript("agent", "voice", 3, delta="a")
    assert uv.from_object({**both, "text": "a", "delta": ""}) == uv.Transcript("agent", "voice", 3, text="a")
    assert uv.from_object({**both, "text": None, "delta": "a"}) == uv.Transcript("agent", "voice", 3, delta="a")


def test_a_transcript_without_a_medium_was_spoken() -> None:
    """https://docs.ultravox.ai/apps/datamessages#transcript gives the default."""
    said = {"type": "transcript", "role": "user", "ordinal": 0, "final": True, "text": "Hi."}
    assert uv.from_object(said) == uv.Transcript("user", "voice", 0, final=True, text="Hi.")


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": ""},
        {"type": 1},
        {"type": "ping"},
        {"type": "ping", "timestamp": "1"},
        {"type": "ping", "timestamp": True},
        {"type": "user_text_message"},
        {"type": "user_text_message", "text": "x", "urgency": "now"},
        {"type": "input_text_message", "text": "x", "deferResponse": 1},
        {"type": "set_output_medium", "medium": "smoke"},
        {"type": "forced_agent_message", "toolCalls": [1]},
        {"type": "forced_agent_message", "knownToolResults": {"a": 1}},
        {"type": "spawn_thread", "limits": []},
        {"type": "client_tool_result", "invocationId": "1", "updateCallState": "x"},
        {"type": "client_tool_result"},
        {"type": "call_started", "callId": None},
        {"type": "transcript", "role": "agent", "medium": "voice", "ordinal": 0},
        {"type": "transcript", "role": "agent", "medium": "voice", "ordinal": 0, "text": "a", "delta": "b"},
        {"type": "transcript", "role": "agent", "medium": "voice", "ordinal": "0", "text": "a"},
        {"type": "transcript", "role": "tool", "medium": "voice", "ordinal": 0, "text": "a"},
        {"type": "client_tool_invocation", "toolName": "t", "invocationId": "1", "parameters": []},
        {"type": "debug", "message": 1},
    ],
    ids=json.dumps,
)
def test_messages_that_are_none(message: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        uv.decode(json.dumps(message))


@pytest.mark.parametrize(
    "message",
    [
        uv.Ping(float("nan")),
        uv.Transcript("user", "voice", 0),
        uv.Transcript("user", "voice", 0, text="a", delta="b"),
        uv.Other("ping"),
        uv.Other(""),
        uv.Other("x", {"a": {1}}),
        uv.Debug("x" * (1 << 20)),
    ],
    ids=range(7),
)
def test_what_cannot_be_said(message: uv.DataMessage) -> None:
    with pytest.raises(WireError):
        uv.encode(message)


# --- webhooks. https://docs.ultravox.ai/webhooks/securing-webhooks

BODY = b'{"event":"call.ended","call":{"callId":"c"}}'
STAMP = "2026-11-22T12:00:00.000000+00:00"
NOW = 1_795_348_800.0


def webhook(signature: str, stamp: str = STAMP, body: bytes = BODY) -> HttpRequest:
    headers = (("X-Ultravox-Webhook-Timestamp", stamp), ("X-Ultravox-Webhook-Signature", signature))
    return HttpRequest("POST", "https://x/ultravox", headers, body)


def test_signature_is_body_then_timestamp() -> None:
    expected = hmac.new(b"secret", BODY + STAMP.encode(), hashlib.sha256).hexdigest()
    assert uv.sign(BODY, "secret", STAMP) == expected
    uv.verify(webhook(expected), ["secret"], now=NOW)
    uv.verify(webhook(f"00,{expected}"), ["old", "secret"], now=NOW)
    uv.verify(webhook(f"{expected}, 00"), ["secret"], now=NOW + 60)


@pytest.mark.parametrize("stamp", ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "2026-11-22T13:00:00+01:00"])
def test_spellings_of_the_time(stamp: str) -> None:
    uv.verify(webhook(uv.sign(BODY, "s", stamp), stamp), ["s"], now=NOW)


@pytest.mark.parametrize("drift", [-61.0, 61.0, float("nan")])
def test_not_of_now(drift: float) -> None:
    request = webhook(uv.sign(BODY, "s", STAMP))
    with pytest.raises(SignatureInvalid):
        uv.verify(request, ["s"], now=NOW + drift)
    if math.isfinite(drift):
        uv.verify(request, ["s"], now=NOW + drift, tolerance_s=3600)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_altered_byte_fails(data: st.DataObject) -> None:
    parts = {"body": BODY, "signature": uv.sign(BODY, "s", STAMP).encode(), "stamp": STAMP.encode()}
    where = data.draw(st.sampled_from(sorted(parts)))
    old = parts[where]
    index = data.draw(st.integers(0, len(old) - 1))
    parts[where] = (
        old[:index] + bytes([data.draw(st.integers(33, 126).filter(lambda b: b != old[index]))]) + old[index + 1 :]
    )
    request = webhook(parts["signature"].decode(), parts["stamp"].decode(), parts["body"])
    with pytest.raises(SignatureInvalid):
        uv.verify(request, ["s"], now=NOW, tolerance_s=1e12)


def test_missing_doubled_and_foreign() -> None:
    good = webhook(uv.sign(BODY, "s", STAMP))
    for headers in (
        good.headers[:1],
        good.headers[1:],
        (*good.headers, good.headers[0]),
        (*good.headers, good.headers[1]),
    ):
        with pytest.raises(SignatureInvalid):
            uv.verify(replace(good, headers=headers), ["s"], now=NOW)
    for signature, stamp in (
        ("", STAMP),
        ("é", STAMP),
        (uv.sign(BODY, "s", STAMP).upper(), STAMP),
        ("00", "yesterday"),
    ):
        with pytest.raises(SignatureInvalid):
            uv.verify(webhook(signature, stamp), ["s"], now=NOW)
    with pytest.raises(SignatureInvalid):
        uv.verify(good, ["other"], now=NOW)
    for secrets in ([], [""]):
        with pytest.raises(ConfigError):
            uv.verify(good, secrets, now=NOW)
