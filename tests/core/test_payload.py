"""The Create Call body: sections, refusals, and the vendor's own schema as the judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core import create_fields
from uvcall.core.payload import CallSpec, create_call
from uvcall.core.prompt import DEFAULT_GREETING_PROMPT, DEFAULT_PROMPT, fill
from uvcall.errors import UsageError

SPEC = Path(__file__).parents[3] / "shared" / "specs" / "ultravox.openapi.json"
needs_spec = pytest.mark.skipif(not SPEC.exists(), reason="the vendor's OpenAPI document is not at ../shared/specs")

TELNYX = CallSpec(medium={"telnyx": {}})
AGENT = "9a2b3c4d-0000-4000-8000-000000000001"
TOOL_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def document():
    return json.loads(SPEC.read_text(encoding="utf-8"))


def validate(document, created):
    import jsonschema

    name = "StartCallRequest" if created.path == "/api/calls" else "StartAgentCallRequest"
    schema = {"$ref": f"#/components/schemas/ultravox.v1.{name}", "components": document["components"]}
    jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(created.body)))


def refused(spec):
    with pytest.raises(UsageError) as caught:
        create_call(spec)
    error = caught.value
    assert "\n" not in error.message
    assert len(error.message) <= 300
    return f"{error.message} | {error.hint}"


# ---- the whole body


def test_a_plain_outbound_call():
    created = create_call(
        TELNYX._replace(
            prompt="Remind {{ name }} of {{time}}.",
            variables={"name": "Ada", "time": "3 pm"},
            voice="Mark",
            model="ultravox-v0.7",
            language="en-US",
            temperature=0.25,
            tools=("lookUp", TOOL_ID),
            metadata={"order": "7"},
            record=True,
            first_speaker="user",
            greeting="Hello {{name}}!",
            max_duration_s=600,
            join_timeout_s=95.0,
            attempt_id="an-attempt",
        )
    )
    assert created.path == "/api/calls"
    assert created.query == {}
    assert created.body == {
        "systemPrompt": "Remind Ada of 3 pm.",
        "voice": "Mark",
        "model": "ultravox-v0.7",
        "languageHint": "en-US",
        "temperature": 0.25,
        "selectedTools": [{"toolName": "lookUp"}, {"toolId": TOOL_ID}, {"toolName": "hangUp"}],
        "metadata": {"order": "7", "uvcall_attempt": "an-attempt"},
        "recordingEnabled": True,
        "firstSpeakerSettings": {"user": {"fallback": {"delay": "4s", "text": "Hello Ada!"}}},
        "maxDuration": "600s",
        "joinTimeout": "95s",
        "medium": {"telnyx": {}},
        "inactivityMessages": [
            {"duration": "30s", "message": "Are you still there?"},
            {
                "duration": "15s",
                "message": "I cannot hear you, so I will hang up now. Goodbye.",
                "endBehavior": "END_BEHAVIOR_HANG_UP_SOFT",
            },
        ],
    }


def test_a_plain_agent_call():
    created = create_call(
        TELNYX._replace(
            agent=AGENT,
            variables={"name": "Ada"},
            tools=("lookUp",),
            voice="Mark",
            first_speaker="agent",
            greeting="Hello.",
            greeting_delay_s=0.5,
            leave_voicemail=True,
            throttle="slow",
        )
    )
    assert created.path == f"/api/agents/{AGENT}/calls"
    assert created.query == {"throttle": "slow"}
    assert created.body == {
        "templateContext": {"name": "Ada"},
        "toolOverrides": {"add": [{"toolName": "lookUp"}, {"toolName": "leaveVoicemail"}]},
        "voice": "Mark",
        "firstSpeakerSettings": {"agent": {"text": "Hello.", "delay": "0.5s"}},
        "medium": {"telnyx": {}},
    }


def test_nothing_given_still_makes_an_honest_agent():
    body = create_call(TELNYX).body
    assert body["systemPrompt"] == DEFAULT_PROMPT
    assert "AI assistant" in DEFAULT_PROMPT
    assert body["selectedTools"] == [{"toolName": "hangUp"}]
    assert "firstSpeakerSettings" not in body


def test_a_continued_call_inherits_everything():
    created = create_call(TELNYX._replace(prior_call_id=TOOL_ID, enable_greeting_prompt=False))
    assert created.body == {"medium": {"telnyx": {}}}
    assert created.query == {"priorCallId": TOOL_ID, "enableGreetingPrompt": "false"}


@pytest.mark.parametrize(
    "medium",
    [
        {"webRtc": {}},
        {"webRtc": {"dataMessages": {"debug": True}}},
        {"serverWebSocket": {"inputSampleRate": 16000, "clientBufferSizeMs": 30000, "mediaIdleTimeout": "30s"}},
        {"twilio": {}},
        {"telnyx": {}},
        {"plivo": {"dtmfHandling": {"ignore": True}}},
        {"twilio": {"outgoing": {"to": "+12025550100", "from": "+12025550199", "additionalParams": {"Timeout": 35}}}},
        {"telnyx": {"outgoing": {"to": "+12025550100", "from": "+12025550199"}}},
        {"plivo": {"outgoing": {"to": "+12025550100", "from": "+12025550199"}}},
        {"sip": {"outgoing": {"to": "sip:a@example.com", "from": "b"}}},
        {"exotel": {"dtmfHandling": {"userTextMessage": {"text": "{digits}", "urgency": "URGENCY_SOON"}}}},
    ],
    ids=lambda medium: next(iter(medium)),
)
@needs_spec
def test_every_medium_is_as_the_vendor_wants_it(medium, document):
    created = create_call(CallSpec(medium=medium))
    assert created.body["medium"] == medium
    validate(document, created)


@pytest.mark.parametrize(
    ("medium", "words"),
    [
        ({"telnix": {}}, "did you mean telnyx?"),
        ({}, "exactly one of"),
        ({"twilio": {}, "telnyx": {}}, "it has twilio and telnyx"),
        ({"serverWebSocket": {}}, "needs inputSampleRate"),
        ({"telnyx": {"outgoing": {"too": "x"}}}, "did you mean to?"),
        ({"serverWebSocket": {"inputSampleRate": True}}, "must be a whole number"),
        ({"sip": {}}, "exactly one of incoming, outgoing; it has none"),
    ],
)
def test_a_wrong_medium_is_refused(medium, words):
    assert words in refused(CallSpec(medium=medium))


# ---- the base


def test_flags_win_over_the_base():
    base = {
        "systemPrompt": "old",
        "voice": "old",
        "temperature": 1,
        "metadata": {"a": "old", "b": "kept"},
        "medium": {"telnyx": {"dtmfHandling": {"ignore": True}}},
        "vadSettings": {"turnEndpointDelay": "0.5s"},
        "maxDuration": "60s",
        "joinTimeout": "200s",
        "recordingEnabled": True,
        "initialOutputMedium": "MESSAGE_MEDIUM_TEXT",
    }
    body = create_call(
        TELNYX._replace(
            base=base,
            prompt="new",
            voice="new",
            temperature=0.0,
            metadata={"a": "new"},
            record=False,
            max_duration_s=30,
            join_timeout_s=95,
        )
    ).body
    assert body["systemPrompt"] == "new"
    assert body["voice"] == "new"
    assert body["temperature"] == 0.0
    assert body["metadata"] == {"a": "new", "b": "kept"}
    assert body["medium"] == base["medium"]
    assert body["vadSettings"] == base["vadSettings"]
    assert body["maxDuration"] == "30s"
    assert body["joinTimeout"] == "200s", "a longer one than ringing needs stays"
    assert body["recordingEnabled"] is False
    assert body["initialOutputMedium"] == "MESSAGE_MEDIUM_TEXT"


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ({"sistemPrompt": "x"}, "--call has no field 'sistemPrompt' | did you mean systemPrompt?"),
        ({"systemPrompt": 7}, "--call.systemPrompt must be a text"),
        ({"maxDuration": "1h"}, "--call.maxDuration must be seconds in Ultravox's form"),
        ({"maxDuration": "0030s"}, "--call.maxDuration"),
        ({"maxDuration": "-5s"}, "--call.maxDuration"),
        ({"recordingEnabled": "yes"}, "must be a true or false"),
        ({"metadata": {"a": 1}}, "--call.metadata.'a' must be a text"),
        ({"metadata": {"ultravox.x": "1"}}, "cannot be a metadata key"),
        ({"metadata": {"uvcall_attempt": "1"}}, "uvcall's own"),
        ({"initialMessages": [{"role": "USER"}]}, "--call.initialMessages[0].role must be one of"),
        ({"inactivityMessages": {"duration": "3s"}}, "must be a list"),
        ({"voice": "a", "externalVoice": {"lmnt": {}}}, "exclude each other"),
        ({"externalVoice": {"lmnt": {}, "google": {}}}, "exactly one of"),
        ({"voiceOverrides": {"lmnt": {}}}, "without a voice"),
        ({"temperature": 1.5}, "from 0 to 1"),
        ({"languageHint": "e" * 17}, "16 characters"),
        ({"templateContext": {}}, "--call has templateContext"),
        ({"toolOverrides": {}}, "selectedTools lists the tools"),
        ({"agentId": AGENT}, "name the agent with --agent"),
        ({"medium": {"twilio": {}}}, "--call has the medium twilio; this call goes through telnyx"),
        ({"medium": {"telnyx": {"outgoing": {"to": "+12025550100"}}}}, "--via ultravox"),
        ({"firstSpeaker": "AGENT"}, "firstSpeakerSettings replaces it"),
        ({"firstSpeaker": "FIRST_SPEAKER_USER", "firstSpeakerSettings": {"agent": {}}}, "they differ"),
        ({"firstSpeakerSettings": {}}, "exactly one of user, agent"),
        ({"selectedTools": [{"toolName": "a", "toolId": "b"}]}, "exactly one of toolId"),
        ({"selectedTools": [{"toolName": "a"}, {"toolName": "a"}]}, "twice"),
    ],
)
def test_a_wrong_base_is_refused_by_name(base, words):
    assert words in refused(TELNYX._replace(base=base))


def test_a_deeply_nested_base_is_refused():
    deep: dict = {}
    for _ in range(100):
        deep = {"a": deep}
    assert "nested deeper than 64" in refused(TELNYX._replace(base={"experimentalSettings": deep}))
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested deeper than 64" in refused(TELNYX._replace(base={"experimentalSettings": {"a": deep}}))


AGENT_ONLY_ELSEWHERE = sorted(set(create_fields.CALL.known) - set(create_fields.AGENT_CALL.known) - {"firstSpeaker"})


@pytest.mark.parametrize("name", AGENT_ONLY_ELSEWHERE)
def test_a_field_that_the_agent_endpoint_does_not_take_is_refused_by_name(name):
    text = refused(TELNYX._replace(agent=AGENT, base={name: "x"}))
    assert f"--call has {name}," in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "x"}, "--prompt and --agent exclude each other"),
        ({"model": "x"}, "--model cannot be given with --agent"),
        ({"language": "en"}, "--language cannot"),
        ({"temperature": 0.0}, "--temperature cannot"),
        ({"prior_call_id": TOOL_ID}, "priorCallId"),
        ({"enable_greeting_prompt": True}, "enableGreetingPrompt"),
        ({"agent": "../calls"}, "--agent is not an agent's id"),
        ({"base": {"agentId": TOOL_ID}}, "another agentId"),
        ({"base": {"selectedTools": []}}, "toolOverrides.add"),
        ({"base": {"toolOverrides": {"remove": ["a"], "removeAll": True}}}, "exclude each other"),
    ],
)
def test_contradictions_with_an_agent_are_refused(changes, words):
    assert words in refused(TELNYX._replace(**{"agent": AGENT, **changes}))


# ---- who speaks first


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"first_speaker": "user"}, {"user": {"fallback": {"delay": "4s", "prompt": DEFAULT_GREETING_PROMPT}}}),
        ({"first_speaker": "agent"}, {"agent": {}}),
        ({"greeting": "Hi"}, {"agent": {"text": "Hi"}}),
        (
            {"first_speaker": "user", "greeting": "Hi", "greeting_delay_s": 2.5},
            {"user": {"fallback": {"delay": "2.5s", "text": "Hi"}}},
        ),
        ({"base": {"firstSpeaker": "FIRST_SPEAKER_AGENT"}}, {"agent": {}}),
        (
            {"base": {"firstSpeaker": "FIRST_SPEAKER_USER"}},
            {"user": {"fallback": {"delay": "4s", "prompt": DEFAULT_GREETING_PROMPT}}},
        ),
        (
            {"base": {"firstSpeakerSettings": {"agent": {"uninterruptible": True, "prompt": "p"}}}, "greeting": "Hi"},
            {"agent": {"uninterruptible": True, "text": "Hi"}},
        ),
        (
            {"base": {"firstSpeakerSettings": {"agent": {"text": "old"}}}, "first_speaker": "user", "greeting": "Hi"},
            {"user": {"fallback": {"delay": "4s", "text": "Hi"}}},
        ),
        (
            {
                "base": {"firstSpeakerSettings": {"user": {"fallback": {"delay": "9s", "prompt": "p"}}}},
                "first_speaker": "user",
            },
            {"user": {"fallback": {"delay": "9s", "prompt": "p"}}},
        ),
    ],
)
def test_first_speaker_settings(changes, expected):
    for agent in (None, AGENT):
        body = create_call(TELNYX._replace(agent=agent, **changes)).body
        assert body["firstSpeakerSettings"] == expected
        assert "firstSpeaker" not in body


# ---- tools, silence


def test_own_tools_keep_their_place_and_hang_up_is_there_once():
    mine = {"temporaryTool": {"modelToolName": "weather"}}
    base = {"selectedTools": [{"toolName": "hangUp", "descriptionOverride": "later"}, {"toolName": "weather"}]}
    body = create_call(TELNYX._replace(base=base, tool_definitions=(mine,))).body
    assert body["selectedTools"] == [base["selectedTools"][0], mine]
    body = create_call(TELNYX._replace(tools=("hangUp",), leave_voicemail=True)).body
    assert body["selectedTools"] == [{"toolName": "hangUp"}, {"toolName": "leaveVoicemail"}]
    assert "leaveVoicemail" in body["systemPrompt"]
    renamed = {"toolName": "hangUp", "nameOverride": "bye"}
    assert create_call(TELNYX._replace(tool_definitions=(renamed,))).body["selectedTools"] == [renamed]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tools": ("a b",)}, "--tool: a tool's name"),
        ({"tools": ("a", "a")}, "'a' twice"),
        ({"tool_definitions": ({"toolNam": "a"},)}, "--tools[0] has no field 'toolNam' | did you mean toolName?"),
        ({"tool_definitions": ({"nameOverride": "a"},)}, "exactly one of toolId"),
        ({"metadata": {"k": "v" * 2001}}, "longer than 2000"),
        ({"metadata": {f"k{i}": "v" for i in range(51)}}, "more than 50"),
        ({"max_duration_s": float("inf")}, "out of range"),
        ({"prompt": "a\ud800"}, "half a character"),
        ({"prompt": "x" * 200_001}, "longer than 200,000"),
        ({"greeting": "a\x00"}, "the greeting holds a NUL"),
        ({"voice": "v", "base": {"externalVoice": {"lmnt": {}}}}, "--voice and --call's externalVoice"),
        ({"prior_call_id": TOOL_ID, "base": {"initialMessages": []}}, "initialMessages"),
    ],
)
def test_wrong_flags_are_refused(changes, words):
    assert words in refused(TELNYX._replace(**changes))


def test_silence_speaks_the_language_of_the_call_and_only_on_phones():
    german = create_call(TELNYX._replace(language="de-AT")).body["inactivityMessages"]
    assert german[0]["message"] == "Sind Sie noch da?"
    assert "inactivityMessages" not in create_call(TELNYX._replace(language="ja")).body
    assert "inactivityMessages" not in create_call(CallSpec(medium={"webRtc": {}})).body
    assert create_call(TELNYX._replace(base={"inactivityMessages": []})).body["inactivityMessages"] == []


# ---- variables


@pytest.mark.parametrize(
    ("prompt", "variables", "words"),
    [
        ("Hi {{name}}", {}, "needs the variable name | add --var name=VALUE"),
        ("Hi {{nmae}}", {"name": "x", "nmae2": "y"}, "is not used"),
        ("Hi {{name}}", {"name": "x", "other": "y"}, "--var other is not used"),
        ("{{#if name}}x", {"name": "x"}, "--var name is not used"),
        ("{{#if name}}{{name}}", {"name": "x"}, "which is not a variable"),
        ("{{ name | upper }} {{name}}", {"name": "x"}, "which is not a variable"),
        ("{{name}}", {"name": "x" * 501}, "longer than 500"),
        ("{{name}}", {"name": "x\x1b[2J"}, "control character"),
        ("{{name}}", {"na me": "x"}, "is not a name"),
    ],
)
def test_variables_are_refused(prompt, variables, words):
    assert words in refused(TELNYX._replace(prompt=prompt, variables=variables))


def test_missing_and_misspelt_variable_is_named():
    with pytest.raises(UsageError) as caught:
        fill("Hi {{nmae}}", {"name": "x"}, "the prompt")
    assert caught.value.hint == "did you mean name?"


@given(value=st.text(max_size=60), rest=st.text(alphabet="abc {}\n", max_size=20).filter(lambda t: "{{" not in t))
def test_a_value_is_never_looked_at_again(value, rest):
    assert fill("{{a}}|{{ a }}", {"a": value, "b": "no"}, "t") == f"{value}|{value}"
    assert fill(rest, {}, "t") == rest


# ---- the vendor's document as the judge


def _table_and_schema(document, table, schema, path):
    while "$ref" in schema or "allOf" in schema:
        reference = schema.get("$ref") or schema["allOf"][0]["$ref"]
        schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    match table:
        case create_fields.Fields():
            assert set(table.known) == set(schema.get("properties", {})), path
            for name, shape in table.known.items():
                _table_and_schema(document, shape, schema["properties"][name], f"{path}.{name}")
        case create_fields.ListOf():
            assert schema["type"] == "array", path
            _table_and_schema(document, table.item, schema["items"], f"{path}[]")
        case create_fields.MapOf():
            assert schema["type"] == "object", path
            _table_and_schema(document, table.value, schema["additionalProperties"], f"{path}.*")
        case create_fields.OneOf():
            extra = set(schema["enum"]) - set(table.words)
            assert set(table.words) <= set(schema["enum"]), path
            assert all(word.endswith("_UNSPECIFIED") for word in extra), path
        case _:
            wanted = {"text": "string", "duration": "string", "number": "number", "whole number": "integer"}
            wanted |= {"true or false": "boolean", "object": "object"}
            assert schema["type"] == wanted[table], path
            assert ("pattern" in schema) == (table == create_fields.DURATION), path


@needs_spec
@pytest.mark.parametrize(("table", "name"), [("CALL", "StartCallRequest"), ("AGENT_CALL", "StartAgentCallRequest")])
def test_the_table_of_fields_is_the_vendors(document, table, name):
    schema = document["components"]["schemas"][f"ultravox.v1.{name}"]
    _table_and_schema(document, getattr(create_fields, table), schema, name)


WORDS = st.text(alphabet="abcdefghij ", min_size=1, max_size=12)


def _spec(**given: Any) -> CallSpec:
    """Hide the named tuple's signature: hypothesis would make up every field that it sees."""
    return CallSpec(**given)


SPECS = st.builds(
    _spec,
    medium=st.sampled_from([{"telnyx": {}}, {"twilio": {}}, {"plivo": {}}, {"webRtc": {}}]),
    prompt=st.none() | WORDS,
    voice=st.none() | WORDS,
    model=st.none() | WORDS,
    language=st.none() | st.sampled_from(["en", "de-DE", "ja"]),
    temperature=st.none() | st.floats(0, 1),
    tools=st.lists(st.sampled_from(["a", "b", "hangUp", TOOL_ID]), unique=True, max_size=3).map(tuple),
    metadata=st.dictionaries(st.sampled_from(["a", "b"]), WORDS, max_size=2),
    record=st.none() | st.booleans(),
    first_speaker=st.sampled_from([None, "user", "agent"]),
    greeting=st.none() | WORDS,
    greeting_delay_s=st.none() | st.floats(0, 60),
    max_duration_s=st.none() | st.floats(0, 14400),
    join_timeout_s=st.none() | st.floats(0, 700),
    attempt_id=st.none() | st.uuids().map(str),
    leave_voicemail=st.booleans(),
)


@needs_spec
@given(spec=SPECS, as_agent=st.booleans())
@settings(max_examples=120, deadline=None)
def test_every_body_passes_the_vendors_schema(document, spec, as_agent):
    if as_agent:
        spec = spec._replace(agent=AGENT, prompt=None, model=None, language=None, temperature=None)
    created = create_call(spec)
    validate(document, created)
    # A body is a fixed point: started from, it gives itself again.
    body = {name: value for name, value in created.body.items() if name != "metadata"}
    again = create_call(CallSpec(medium=spec.medium, agent=spec.agent, base=body))
    assert again.body == body
