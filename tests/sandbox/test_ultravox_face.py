"""The Ultravox API of the sandbox, held against the vendor's own OpenAPI document where that is at hand."""

import asyncio
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ultravox_spec
from support.stage import api, make_leg, serving
from support.ultravox_spec import assert_fits

from uvcall.core.carrier import Provider
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import ultravox_webhook
from uvcall.sandbox import media, ultravox_catalog
from uvcall.sandbox.fields import Flag, Free, ListOf, Number, Shape, Text
from uvcall.sandbox.ultravox_create import BodyRefused, agent_call_settings, call_settings
from uvcall.sandbox.ultravox_schema import START_AGENT_CALL, START_CALL
from uvcall.sandbox.world import Pace, PlacementRefused, StreamSpec

ASSISTANT, REMINDER = (agent["agentId"] for agent in ultravox_catalog.AGENTS)
FULL = {
    "systemPrompt": "Be kind.",
    "temperature": 0.5,
    "model": "ultravox-v0.6",
    "voice": "jessica",
    "voiceOverrides": {"elevenLabs": {"speed": 1.1}},
    "languageHint": "en-US",
    "initialMessages": [{"role": "MESSAGE_ROLE_USER", "text": "Hi", "medium": "MESSAGE_MEDIUM_TEXT"}],
    "joinTimeout": "95s",
    "maxDuration": "600.5s",
    "timeExceededMessage": "Time is up.",
    "inactivityMessages": [{"duration": "20s", "message": "Hello?", "endBehavior": "END_BEHAVIOR_HANG_UP_SOFT"}],
    "selectedTools": [
        {"toolName": "hangUp"},
        {"toolId": ultravox_catalog.TOOLS[1]["toolId"], "nameOverride": "leave_it"},
        {
            "temporaryTool": {
                "modelToolName": "look_up",
                "description": "Looks something up.",
                "dynamicParameters": [
                    {"name": "q", "location": "PARAMETER_LOCATION_BODY", "schema": {"type": "string"}, "required": True}
                ],
                "staticParameters": [{"name": "v", "location": "PARAMETER_LOCATION_QUERY", "value": [1]}],
                "timeout": "5s",
                "http": {"baseUrlPattern": "https://example.com/look", "httpMethod": "POST"},
            },
            "authTokens": {"key": "x"},
        },
    ],
    "medium": {"telnyx": {"dtmfHandling": {"userTextMessage": {"text": "{digits}", "urgency": "URGENCY_SOON"}}}},
    "recordingEnabled": True,
    "firstSpeakerSettings": {"user": {"fallback": {"delay": "4s", "text": "Anybody there?"}}},
    "firstSpeaker": "FIRST_SPEAKER_USER",
    "transcriptOptional": False,
    "initialOutputMedium": "MESSAGE_MEDIUM_VOICE",
    "vadSettings": {"turnEndpointDelay": "0.5s", "frameActivationThreshold": 0.2},
    "experimentalSettings": {"x": 1},
    "metadata": {"uvcall_attempt": "1"},
    "initialState": {"step": 1},
    "dataConnection": {"websocketUrl": "wss://example.com", "audioConfig": {"sampleRate": 16000}},
    "callbacks": {"ended": {"url": "https://example.com/ended", "secrets": ["s"]}},
    "retentionPolicy": "CALL_RETENTION_POLICY_RETAIN",
    "sharedSecrets": ["0123456789abcdef"],
}


def run(work, **options):
    async def inside():
        async with api(**options) as ultravox:
            return await work(ultravox)

    return asyncio.run(inside())


@pytest.fixture(scope="module")
def document():
    return ultravox_spec.document()


def test_every_answer_is_what_the_vendors_document_says(document):
    async def tour(ultravox):
        call = await ultravox.create(recordingEnabled=True)
        leg = make_leg(ultravox.world, Provider.TWILIO)
        await media.stream(ultravox.world, leg, StreamSpec(call["joinUrl"], "PCMU", 8000))
        ended = await ultravox.ended(call)
        full = (await ultravox.request("POST", "/api/calls", json=FULL))[1]
        with_agent = (await ultravox.request("POST", f"/api/agents/{ASSISTANT}/calls", json={}))[1]
        for one in (call, ended, full, with_agent):
            assert_fits(one, "Call")
        with pytest.raises(jsonschema.ValidationError):
            assert_fits({**call, "created": "yesterday", "metadata": {"a": 1}}, "Call")
        for path, name in [
            ("/api/accounts/me", "Account"),
            ("/api/models", "PaginatedModelAliasList"),
            ("/api/voices", "PaginatedVoiceList"),
            ("/api/tools", "PaginatedToolList"),
            ("/api/agents", "PaginatedAgentList"),
            (f"/api/agents/{ASSISTANT}", "Agent"),
            (f"/api/agents/{ASSISTANT}/calls", "PaginatedCallList"),
            ("/api/calls?pageSize=2", "PaginatedCallList"),
            (f"/api/calls/{call['callId']}", "Call"),
            (f"/api/calls/{call['callId']}/messages", "Paginatedultravox.v1.MessageList"),
            (f"/api/calls/{call['callId']}/events?minimum_severity=debug", "PaginatedCallEventList"),
            (f"/api/calls/{call['callId']}/stages", "PaginatedCallStageList"),
        ]:
            assert_fits(await ultravox.get(path), name)
        return set(ended)

    shown = run(tour, speed=20)
    wanted = set(document["components"]["schemas"]["Call"]["required"])
    assert wanted <= shown


def leaves(kind, path=""):
    """The names of all fields of a table, dotted."""
    if isinstance(kind, ListOf):
        return leaves(kind.item, path)
    if not isinstance(kind, Shape):
        return {path: kind}
    found = {}
    for name, inner in kind.fields.items():
        found |= leaves(inner, f"{path}.{name}".strip("."))
    return found


def spec_leaves(document, name):
    schemas = document["components"]["schemas"]

    def walk(node, path):
        if "allOf" in node:
            node = node["allOf"][0]
        if "$ref" in node:
            node = schemas[node["$ref"].rpartition("/")[2]]
        if node.get("type") == "array":
            return walk(node["items"], path)
        if node.get("properties"):
            found = {}
            for key, inner in node["properties"].items():
                found |= walk(inner, f"{path}.{key}".strip("."))
            return found
        return {path: node}

    return walk(schemas[name], "")


#: Objects that the table does not look into although the document does, and what it leaves free.
FREE_HERE = ("requirements", "sip.incoming", "sip.outgoing")


@pytest.mark.parametrize(
    ("table", "name"),
    [(START_CALL, "ultravox.v1.StartCallRequest"), (START_AGENT_CALL, "ultravox.v1.StartAgentCallRequest")],
)
def test_the_table_has_every_field_of_the_document(document, table, name):
    ours, theirs = leaves(table), spec_leaves(document, name)
    missing = {path for path in theirs if path not in ours and not any(free in path for free in FREE_HERE)}
    assert missing == set()
    assert {path for path in ours if path not in theirs and not any(free in path for free in FREE_HERE)} == set()
    kinds = {"string": Text, "boolean": Flag, "number": Number, "integer": Number, "object": Free}
    for path, node in theirs.items():
        if path in ours and node.get("type"):
            assert isinstance(ours[path], kinds[node["type"]]), path
            if "enum" in node:
                assert ours[path].choices == tuple(node["enum"]) or ours[path].whole, path
            assert bool(node.get("pattern")) <= bool(getattr(ours[path], "whole", None)), path


def test_a_bare_call_gets_the_documented_defaults():
    call = run(lambda ultravox: ultravox.create())
    assert call["joinTimeout"] == "30s"
    assert call["maxDuration"] == "3600s"
    assert call["model"] == "ultravox-v0.7"
    assert call["temperature"] == 0
    assert call["firstSpeakerSettings"] == {"agent": {}}
    assert call["firstSpeaker"] == "FIRST_SPEAKER_AGENT"
    assert call["initialOutputMedium"] == "MESSAGE_MEDIUM_VOICE"
    assert call["recordingEnabled"] is False
    assert call["billingStatus"] == "BILLING_STATUS_PENDING"
    assert call["joinUrl"].startswith("ws://127.0.0.1:")
    assert call["ended"] is call["joined"] is call["endReason"] is None


def test_a_full_body_comes_back_without_its_secrets():
    status, call = run(lambda ultravox: ultravox.request("POST", "/api/calls", json=FULL))
    assert status == 201
    same = set(FULL) - {
        "sharedSecrets",
        "initialMessages",
        "selectedTools",
        "dataConnection",
        "retentionPolicy",
        "voice",
    }
    assert {name: call[name] for name in same} == {name: FULL[name] for name in same}
    assert call["voice"] == ultravox_catalog.VOICES[1]["voiceId"]
    assert call["retentionPolicy"] == "retain"
    assert call["dataConnectionConfig"] == FULL["dataConnection"]
    assert "0123456789abcdef" not in json.dumps(call)


BAD = [
    ({"temperature": 1.1}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"systemPrompt": 5}, "systemPrompt"),
    ({"model": "gpt-4"}, "model"),
    ({"model": "fixie-ai/ultravox-qwen3-32b-preview"}, "model"),
    ({"voice": "Nobody"}, "voice"),
    ({"voice": "Mark", "externalVoice": {"generic": {"url": "https://x"}}}, "externalVoice"),
    ({"externalVoice": {}}, "externalVoice"),
    ({"externalVoice": {"lmnt": {}, "google": {}}}, "externalVoice"),
    ({"externalVoice": {"lmnt": {"voiceId": "x"}}}, "externalVoice"),
    ({"voiceOverrides": {"inworld": {"speakingRate": 1.2}}}, "voiceOverrides"),
    ({"voice": "Mark", "voiceOverrides": {"lmnt": {"speed": 1}}}, "voiceOverrides"),
    ({"languageHint": "x" * 17}, "languageHint"),
    ({"joinTimeout": "30"}, "joinTimeout"),
    ({"joinTimeout": 30}, "joinTimeout"),
    ({"joinTimeout": "1m"}, "joinTimeout"),
    ({"maxDuration": "0030s"}, "maxDuration"),
    ({"maxDuration": "30s\n"}, "maxDuration"),
    ({"inactivityMessages": {}}, "inactivityMessages"),
    ({"inactivityMessages": [{"duration": "x"}]}, "inactivityMessages"),
    ({"inactivityMessages": [{"endBehavior": "HANG_UP"}]}, "inactivityMessages"),
    ({"selectedTools": [{}]}, "selectedTools"),
    ({"selectedTools": [{"toolName": "hangUp", "toolId": "x"}]}, "selectedTools"),
    ({"selectedTools": [{"toolName": "noSuchTool"}]}, "selectedTools"),
    ({"selectedTools": [{"toolName": "hangUp", "nameOverride": "no blanks"}]}, "selectedTools"),
    ({"selectedTools": [{"temporaryTool": {"http": {}, "client": {}}}]}, "selectedTools"),
    ({"medium": {"twilio": {}, "plivo": {}}}, "medium"),
    ({"medium": "twilio"}, "medium"),
    ({"medium": {"serverWebSocket": {}}}, "medium"),
    ({"medium": {"serverWebSocket": {"inputSampleRate": 16000.5}}}, "medium"),
    ({"medium": {"telnyx": {"outgoing": {"to": "+12025550100"}}}}, "medium"),
    ({"medium": {"telnyx": {"dtmfHandling": {"ignore": True, "userTextMessage": {}}}}}, "medium"),
    ({"medium": {"sip": {"incoming": {}}}}, "medium"),
    ({"recordingEnabled": "yes"}, "recordingEnabled"),
    ({"firstSpeaker": "USER"}, "firstSpeaker"),
    ({"firstSpeaker": "FIRST_SPEAKER_AGENT", "firstSpeakerSettings": {"user": {}}}, "firstSpeaker"),
    ({"firstSpeakerSettings": {}}, "firstSpeakerSettings"),
    ({"firstSpeakerSettings": {"user": {}, "agent": {}}}, "firstSpeakerSettings"),
    ({"firstSpeakerSettings": {"agent": {"text": "a", "prompt": "b"}}}, "firstSpeakerSettings"),
    ({"firstSpeakerSettings": {"user": {"fallback": {"delay": 4}}}}, "firstSpeakerSettings"),
    ({"initialOutputMedium": "VOICE"}, "initialOutputMedium"),
    ({"vadSettings": {"frameActivationThreshold": 0.05}}, "vadSettings"),
    ({"vadSettings": []}, "vadSettings"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"metadata": {"ultravox.x": "1"}}, "metadata"),
    ({"callbacks": {"ended": {}}}, "callbacks"),
    ({"sharedSecrets": ["short"]}, "sharedSecrets"),
    ({"retentionPolicy": "RETAIN"}, "retentionPolicy"),
    ({"retentionPolicy": "CALL_RETENTION_POLICY_AUTO_DELETE"}, "retentionPolicy"),
    ({"initialMessages": [{"role": "user"}]}, "initialMessages"),
    ({"dataConnection": {"headers": {"a": 1}}}, "dataConnection"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=[json.dumps(body)[:60] for body, _ in BAD])
def test_a_bad_body_is_refused_by_field(body, field):
    with pytest.raises(BodyRefused) as caught:
        call_settings(body)
    assert list(caught.value.problems) == [field]
    assert all(isinstance(text, str) and text for text in caught.value.problems[field])


def test_refusals_look_like_django_rest_framework():
    async def ask(ultravox):
        return [
            await ultravox.request("POST", "/api/calls", json={"temperature": 2, "metadata": {"a": 1}}),
            await ultravox.request("POST", "/api/calls", data=b"{"),
            await ultravox.request("POST", "/api/calls", data=b"[" * 100_000),
            await ultravox.request("POST", "/api/calls", data=b"[]"),
            await ultravox.request("POST", "/api/calls?enableGreetingPrompt=maybe", json={}),
            await ultravox.request("POST", "/api/calls?priorCallId=0", json={}),
            await ultravox.request("POST", "/api/calls?throttle=x", json={}),
            await ultravox.request("GET", "/api/calls/0"),
            await ultravox.request("GET", "/api/agents/0"),
            await ultravox.request("GET", "/api/calls?cursor=zzz"),
            await ultravox.request("GET", "/api/calls?sort=price"),
        ]

    answers = run(ask)
    assert [status for status, _ in answers] == [400] * 7 + [404] * 3 + [400]
    bodies = [body for _, body in answers]
    assert set(bodies[0]) == {"temperature", "metadata"}
    assert "detail" in bodies[1]
    assert "non_field_errors" in bodies[3]
    assert set(bodies[4]) == {"enableGreetingPrompt"}
    assert "detail" in bodies[7]


@given(st.dictionaries(st.sampled_from(sorted(START_CALL.fields)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8), max_size=4))  # fmt: skip
@settings(max_examples=150)
def test_no_body_brings_the_validation_down(body):
    try:
        found, _ = call_settings(body)
    except BodyRefused:
        return
    assert found["medium"]


def test_unknown_fields_are_passed_over_and_noted():
    async def ask(ultravox):
        await ultravox.create(colour="blue", metadata={"a": "b"}, medium={"twilio": {"shape": 1}}, voice=None)
        return ultravox.world.history.events

    (created,) = run(ask)
    assert created["type"] == "call.created"
    assert sorted(created["ignored_fields"]) == ["colour", "medium.twilio.shape"]
    assert created["medium"] == "twilio"
    assert "joinUrl" not in created


@pytest.mark.parametrize(("headers", "words"), [({}, "not provided"), ({"X-API-Key": "wrong"}, "Invalid")])
def test_every_path_wants_the_key(headers, words):
    async def ask(ultravox):
        import aiohttp

        answers = []
        async with aiohttp.ClientSession(headers=headers) as stranger:
            for method, path in [("GET", "/api/accounts/me"), ("POST", "/api/calls"), ("GET", "/api/calls/0")]:
                async with stranger.request(method, ultravox.world.base_url + path) as answer:
                    answers.append((answer.status, await answer.json()))
        return answers

    for status, body in run(ask):
        assert status == 401
        assert words in body["detail"]


def test_agents_lend_their_template():
    settings_, ignored = agent_call_settings(
        {"templateContext": {"name": "Ada", "day": "Monday"}, "maxDuration": "60s", "systemPrompt": "lost"},
        ultravox_catalog.AGENTS[1],
    )
    assert settings_["systemPrompt"] == "Remind Ada of the appointment on Monday."
    assert settings_["maxDuration"] == "60s"
    assert settings_["joinTimeout"] == "60s"
    assert settings_["firstSpeaker"] == "FIRST_SPEAKER_USER"
    assert ignored == ["systemPrompt"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "templateContext"),
        ({"templateContext": {"name": 5}}, "templateContext"),
        ({"templateContext": {"name": "Ada"}, "toolOverrides": {"removeAll": True, "remove": ["x"]}}, "toolOverrides"),
        ({"templateContext": {"name": "Ada"}, "toolOverrides": {"add": [{"toolName": "nope"}]}}, "toolOverrides"),
        ({"templateContext": {"name": "Ada"}, "voice": "Nobody"}, "voice"),
        ({"templateContext": {"name": "Ada"}, "metadata": {"ultravox.x": ""}}, "metadata"),
    ],
)
def test_an_agents_call_has_rules_too(body, field):
    with pytest.raises(BodyRefused) as caught:
        agent_call_settings(body, ultravox_catalog.AGENTS[1])
    assert list(caught.value.problems) == [field]


def test_calls_are_listed_filtered_and_paged():
    async def ask(ultravox):
        for number in range(25):
            await ultravox.create(metadata={"batch": str(number % 2), "n": str(number)})
        await ultravox.request("POST", f"/api/agents/{ASSISTANT}/calls", json={})
        pages, url = [], "/api/calls?pageSize=10&metadata.batch=1&sort=created"
        while url:
            page = await ultravox.get(url)
            pages.append(page)
            url = page["next"]
        newest = await ultravox.get("/api/calls?pageSize=1")
        back = await ultravox.get(pages[1]["previous"])
        by_agent = await ultravox.get(f"/api/calls?agentIds={ASSISTANT}")
        found = await ultravox.get("/api/calls?search=FRIENDLY")
        none = await ultravox.get("/api/calls?fromDate=2999-01-01")
        wrong = await ultravox.request("GET", "/api/calls?fromDate=yesterday")
        return pages, newest, back, by_agent, found, none, wrong[0]

    pages, newest, back, by_agent, found, none, wrong = run(ask)
    assert [len(page["results"]) for page in pages] == [10, 2]
    assert {page["total"] for page in pages} == {12}
    numbers = [int(call["metadata"]["n"]) for page in pages for call in page["results"]]
    assert numbers == list(range(1, 25, 2))
    assert pages[0]["next"].startswith("http://127.0.0.1:")
    assert pages[0]["previous"] is None
    assert back["results"] == pages[0]["results"]
    assert newest["results"][0]["agentId"] == ASSISTANT
    assert by_agent["total"] == found["total"] == 1
    assert none["total"] == 0
    assert wrong == 400


def test_a_call_inherits_from_a_prior_one():
    async def ask(ultravox):
        first = await ultravox.create(systemPrompt="Be brief.", metadata={"a": "b"})
        path = f"/api/calls?priorCallId={first['callId']}"
        second = await ultravox.request("POST", path, json={"temperature": 0.3})
        refused = await ultravox.request("POST", path, json={"initialMessages": []})
        return second, refused

    (status, second), refused = run(ask)
    assert status == 201
    assert (second["systemPrompt"], second["temperature"]) == ("Be brief.", 0.3)
    assert refused[0] == 400


def test_messages_events_and_recordings_of_a_call_that_nobody_joined():
    async def ask(ultravox):
        messages = [{"role": "MESSAGE_ROLE_AGENT", "text": "before"}]
        call = await ultravox.create(joinTimeout="2s", initialMessages=messages)
        path = f"/api/calls/{call['callId']}"
        early = (await ultravox.request("DELETE", path))[0]
        active = (await ultravox.get("/api/accounts/me"))["activeCalls"]
        now = await ultravox.ended(call)
        statuses = [
            (await ultravox.request("GET", f"{path}/recording"))[0],
            (await ultravox.request("POST", f"{path}/send_data_message", json={"type": "hang_up"}))[0],
            (await ultravox.request("POST", f"{path}/send_data_message", json={"type": "ping"}))[0],
            (await ultravox.request("POST", f"{path}/send_data_message", json={"type": "user_text_message"}))[0],
            (await ultravox.request("GET", f"{path}/messages?mode=all"))[0],
            (await ultravox.request("GET", f"{path}/events?minimum_severity=loud"))[0],
        ]
        last_stage = await ultravox.get(f"{path}/messages")
        in_call = await ultravox.get(f"{path}/messages?mode=in_call")
        statuses += [(await ultravox.request("DELETE", path))[0], (await ultravox.request("GET", path))[0]]
        return early, active, now, statuses, last_stage["total"], in_call["total"]

    early, active, now, statuses, last_stage, in_call = run(ask, speed=20)
    assert early == 400
    assert active == 1
    assert now["endReason"] == "unjoined"
    assert now["billingStatus"] == "BILLING_STATUS_FREE_ZERO_EFFECTIVE_DURATION"
    assert statuses == [404, 422, 400, 400, 400, 400, 204, 404]
    assert (last_stage, in_call) == (1, 0)


def test_webhooks_tell_of_the_end_and_are_signed():
    got = []

    async def take(request):
        got.append((dict(request.headers), await request.read()))
        return web.Response(status=204 if len(got) > 1 else 500)

    async def ask(ultravox):
        async with serving([web.post("/hook", take)]) as base:
            callback = {"url": f"{base}/hook", "secrets": ["first-secret", "second-secret"]}
            world = ultravox.world
            # As after long life at a high speed: the world's clock is no other program's.
            world.pace = world.history.pace = Pace(world.pace.speed, now=datetime.now(UTC) + timedelta(hours=1))
            created = await ultravox.create(joinTimeout="0.5s", callbacks={"ended": callback})
            async with asyncio.timeout(20):
                # The first is answered 500 and comes again half a minute later.
                while len(told := [one for one in world.history.events if one["type"] == "webhook"]) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return created["callId"], told

    call_id, told = run(ask, speed=100)
    assert [(one["event"], one["call_id"], one["attempt"], one["status"]) for one in told] == [
        ("call.ended", call_id, 1, 500),
        ("call.ended", call_id, 2, 204),
    ]
    (first_headers, first), (headers, body) = got
    assert first == body
    message = json.loads(body)
    assert message["event"] == "call.ended"
    assert message["call"]["endReason"] == "unjoined"
    stamp = headers["X-Ultravox-Webhook-Timestamp"]
    wanted = [
        hmac.new(key, body + stamp.encode(), hashlib.sha256).hexdigest() for key in (b"first-secret", b"second-secret")
    ]
    assert headers["X-Ultravox-Webhook-Signature"] == ",".join(wanted)
    assert first_headers["X-Ultravox-Webhook-Timestamp"] < stamp
    request = HttpRequest("POST", "http://127.0.0.1/hook", tuple(headers.items()), body)
    ultravox_webhook.verify(request, ["second-secret"], now=time.time())


class Phones:
    def __init__(self, refuse=False):
        self.refuse, self.orders = refuse, []

    async def originate(self, provider, *, to, from_, join_url, parameters):
        if self.refuse:
            raise PlacementRefused("21211 the number is not valid")
        self.orders.append((provider, to, from_, join_url, parameters))


OUTGOING = {"telnyx": {"outgoing": {"to": "+12025550100", "from": "+12025550199", "additionalParams": {"Timeout": 20}}}}


def test_ultravox_dials_by_itself():
    async def ask(ultravox):
        ultravox.world.phones = Phones()
        return await ultravox.create(medium=OUTGOING), ultravox.world.phones.orders

    call, ((provider, to, from_, join_url, parameters),) = run(ask)
    assert call["joinUrl"] is None
    assert (provider, to, from_) == (Provider.TELNYX, "+12025550100", "+12025550199")
    assert call["callId"] in join_url
    assert parameters == {"Timeout": 20}


@pytest.mark.parametrize("phones", [None, Phones(refuse=True)])
def test_a_leg_that_cannot_be_placed_makes_no_call(phones):
    async def ask(ultravox):
        ultravox.world.phones = phones
        answer = await ultravox.request("POST", "/api/calls", json={"medium": OUTGOING})
        return answer, (await ultravox.get("/api/calls"))["total"]

    (status, body), total = run(ask)
    assert status == 400
    assert list(body) == ["medium"]
    assert total == 0


def test_a_reset_forgets_everything():
    async def ask(ultravox):
        await ultravox.create()
        for empty in ultravox.world.on_reset:
            empty()
        return (await ultravox.get("/api/calls"))["total"]

    assert run(ask) == 0


@pytest.mark.parametrize(("path", "name"), [("voices", "Mark"), ("tools", "hangUp"), ("agents", "Sandbox-Reminder")])
def test_catalogues_can_be_searched(path, name):
    async def ask(ultravox):
        return await ultravox.get(f"/api/{path}"), await ultravox.get(f"/api/{path}?search={name.upper()}")

    everything, found = run(ask)
    assert name in {item["name"] for item in everything["results"]}
    assert [item["name"] for item in found["results"]] == [name]
