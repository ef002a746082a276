"""What can be asked about a call: recording, tools, stages, events; and the lists that a flag needs."""

import asyncio
import hashlib

from support.stage import api
from support.ultravox_spec import assert_fits

from uvcall.core.audio import read_wav
from uvcall.sandbox.recording import Recording
from uvcall.sandbox.ultravox_calls import calls

CLIENT_TOOL = {"temporaryTool": {"modelToolName": "weather", "description": "Tells it.", "client": {}, "timeout": "4s"}}


def run(work, **options):
    async def stage():
        async with api(**options) as ultravox:
            return await work(ultravox)

    return asyncio.run(stage())


async def recorded(ultravox):
    """Make a call that has ended and has a recording, without waiting for one."""
    call = await ultravox.create(recordingEnabled=True)
    kept = calls(ultravox.world)
    one = kept.by_id[call["callId"]]
    one.tape = Recording(8000, person=bytearray(b"\1\0" * 4000), agent=bytearray(b"\2\0" * 4000))
    kept.join(one)
    kept.end(one, "hangup")
    return call


def test_a_recording_lies_elsewhere_and_needs_no_key_there():
    import aiohttp

    async def ask(ultravox):
        call = await recorded(ultravox)
        path = f"/api/calls/{call['callId']}/recording"
        async with ultravox.http.get(ultravox.world.base_url + path, allow_redirects=False) as answer:
            status, place = answer.status, answer.headers["Location"]
        async with ultravox.http.get(ultravox.world.base_url + path, allow_redirects=False) as answer:
            again = answer.headers["Location"]
        async with aiohttp.ClientSession() as stranger, stranger.get(place) as answer:
            sound = await answer.read()
            kind, tag = answer.content_type, answer.headers["ETag"]
        async with aiohttp.ClientSession() as stranger, stranger.get(place.replace(".wav", "x.wav")) as answer:
            unknown = answer.status
        return status, place, again, sound, kind, tag, unknown, ultravox.world

    status, place, again, sound, kind, tag, unknown, world = run(ask)
    assert status == 302
    assert place == again
    assert place.startswith("http://localhost:")
    assert read_wav(sound).rate == 8000
    assert (kind, unknown) == ("audio/wav", 404)
    assert tag.startswith('"')
    fetched = [event for event in world.history.events if event["type"] == "recording.fetched"]
    assert [event["key_shown"] for event in fetched] == [False, False]
    assert [event["found"] for event in fetched] == [True, False]


def test_parts_of_a_recording():
    async def ask(ultravox):
        path = f"/api/calls/{(await recorded(ultravox))['callId']}/recording"
        answers = []
        _, whole = await ultravox.request("GET", path)
        tag = f'"{hashlib.sha256(whole).hexdigest()[:32]}"'
        for headers in (
            {"Range": "bytes=100-"},
            {"Range": "bytes=10-19", "If-Range": tag},
            {"Range": "bytes=10-19", "If-Range": '"another"'},
            {"Range": f"bytes={len(whole)}-"},
            {"Range": "bytes=-5"},
            {"Range": "lines=1-2"},
        ):
            async with ultravox.http.get(ultravox.world.base_url + path, headers=headers) as answer:
                answers.append((answer.status, await answer.read(), answer.headers.get("Content-Range")))
        return whole, answers

    whole, answers = run(ask)
    size = len(whole)
    assert answers[0] == (206, whole[100:], f"bytes 100-{size - 1}/{size}")
    assert answers[1] == (206, whole[10:20], f"bytes 10-19/{size}")
    assert answers[2][:2] == (200, whole)
    assert (answers[3][0], answers[3][2]) == (416, f"bytes */{size}")
    assert answers[4][:2] == answers[5][:2] == (200, whole)


def test_a_call_that_lives_or_was_not_recorded_has_no_recording():
    async def ask(ultravox):
        live = await ultravox.create(recordingEnabled=True)
        return (await ultravox.request("GET", f"/api/calls/{live['callId']}/recording"))[0]

    assert run(ask) == 404


def test_stages_and_tools():
    async def ask(ultravox):
        tools = [{"toolName": "hangUp"}, CLIENT_TOOL, {"toolName": "queryCorpus", "nameOverride": "look"}]
        call = await ultravox.create(selectedTools=tools, initialMessages=[{"role": "MESSAGE_ROLE_USER", "text": "x"}])
        path = f"/api/calls/{call['callId']}"
        (stage,) = (await ultravox.get(f"{path}/stages"))["results"]
        at = f"{path}/stages/{stage['callStageId']}"
        wrong = (await ultravox.request("GET", f"{path}/stages/{call['callId']}"))[0]
        return (
            stage,
            await ultravox.get(at),
            await ultravox.get(f"{path}/tools"),
            await ultravox.get(f"{at}/tools"),
            await ultravox.get(f"{at}/messages"),
            wrong,
        )

    stage, same, tools, stage_tools, messages, wrong = run(ask)
    assert stage == same
    assert tools == stage_tools
    assert [tool["name"] for tool in tools] == ["hangUp", "weather", "look"]
    assert tools[1]["definition"]["client"] == {}
    assert tools[1]["toolId"] is None
    assert [message["text"] for message in messages["results"]] == ["x"]
    assert wrong == 404
    assert_fits(stage, "CallStage")
    assert_fits(tools, "CallTool", listed=True)
    assert_fits(messages, "Paginatedultravox.v1.MessageList")


def test_the_lines_of_a_tool_are_messages():
    from uvcall.sandbox.script import Said

    async def ask(ultravox):
        call = await ultravox.create()
        kept = calls(ultravox.world).by_id[call["callId"]]
        kept.transcript += [
            Said("tool_call", '{"a": 1}', 1.0, 1.0, voice=False, tool="weather", invocation_id="one"),
            Said("tool_result", "rain", 2.0, 2.0, voice=False, tool="weather", invocation_id="one"),
        ]
        calls(ultravox.world).note(kept, "warning", "audio_underflow", "no audio came")
        path = f"/api/calls/{call['callId']}"
        return await ultravox.get(f"{path}/messages?mode=in_call"), await ultravox.get(
            f"{path}/events?type=audio_underflow"
        )

    messages, events = run(ask)
    roles = [(one["role"], one["toolName"], one["invocationId"]) for one in messages["results"]]
    assert roles == [("MESSAGE_ROLE_TOOL_CALL", "weather", "one"), ("MESSAGE_ROLE_TOOL_RESULT", "weather", "one")]
    assert events["total"] == 1
    assert_fits(messages, "Paginatedultravox.v1.MessageList")
    assert_fits(events, "PaginatedCallEventList")


def test_voices_are_filtered_and_shown():
    async def ask(ultravox):
        found = {}
        for query in ("primaryLanguage=de", "primaryLanguage=EN-us", "provider=cartesia&provider=inworld",
                      "ownership=private", "ownership=shared", "billingStyle=VOICE_BILLING_STYLE_INCLUDED&pageSize=2"):  # fmt: skip
            found[query] = await ultravox.request("GET", f"/api/voices?{query}")
        one = found["primaryLanguage=de"][1]["results"][0]
        return (
            found,
            one,
            await ultravox.get(f"/api/voices/{one['voiceId']}"),
            await ultravox.request("GET", "/api/voices/0"),
        )

    found, one, same, unknown = run(ask)
    names = [[voice["name"] for voice in body.get("results", [])] for _, body in found.values()]
    assert names == [["Susi-German"], ["Mark", "Jessica"], ["Mark", "Susi-German"], [], [], ["Mark", "Jessica"]]
    assert [status for status, _ in found.values()] == [200, 200, 200, 200, 400, 200]
    assert list(found.values())[-1][1]["next"]
    assert one == same
    assert unknown[0] == 404
    assert_fits(one, "Voice")


def test_the_event_log_of_a_hostile_call_ends():
    async def ask(ultravox):
        call = await ultravox.create()
        kept = calls(ultravox.world)
        for number in range(1500):
            kept.note(kept.by_id[call["callId"]], "warning", "data_message", str(number))
        return (await ultravox.get(f"/api/calls/{call['callId']}/events"))["total"]

    assert run(ask) == 1000
