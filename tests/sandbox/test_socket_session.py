"""The agent on Ultravox's own WebSocket, met by a client written from Ultravox's pages and nothing else."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import api, loudest, tone

from uvcall.core.audio import level, read_wav
from uvcall.sandbox.inflow import Inflow
from uvcall.sandbox.speech import FAREWELL, GREETING

RATE = 16000
AGENT_FIRST = {"firstSpeakerSettings": {"agent": {}}}
USER_FIRST = {"firstSpeakerSettings": {"user": {}}}
WEATHER = {
    "temporaryTool": {
        "modelToolName": "weather",
        "description": "Tells the weather.",
        "client": {},
        "timeout": "1.5s",
    }
}


class Client:
    """A program on the socket: sends a frame each 20 ms of the sandbox's life, keeps everything that comes."""

    def __init__(self, socket, rate, speed):
        self.socket, self.rate, self.speed = socket, rate, speed
        self.sound, self.messages, self.pieces = b"", [], []
        self.to_say = b""
        self.closed = None
        self.answers = {}
        self._tasks = [asyncio.create_task(self._read())]

    def talk(self):
        """Begin to send sound without end."""
        self._tasks.append(asyncio.create_task(self._speak()))

    async def _speak(self):
        loop, size = asyncio.get_running_loop(), int(self.rate * 0.02) * 2
        due = loop.time()
        while self.closed is None:
            frame, self.to_say = self.to_say[:size], self.to_say[size:]
            try:
                await self.socket.send_bytes(frame.ljust(size, b"\0"))
            except ConnectionError:
                return
            due += 0.02 / self.speed
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _read(self):
        while True:
            message = await self.socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                self.sound += message.data
                self.pieces.append(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                said = json.loads(message.data)
                self.messages.append(said)
                answer = self.answers.get(said["type"])
                if answer is not None:
                    await self.send(**answer(said))
            else:
                self.closed = self.socket.close_code or 1006
                return

    async def send(self, **message):
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(json.dumps(message))

    def named(self, kind):
        return [message for message in self.messages if message["type"] == kind]

    async def until(self, what, within=20.0):
        """Wait for a condition, with bounds that a busy machine keeps."""
        async with asyncio.timeout(within):
            while not what():  # noqa: ASYNC110  # a poll, from outside
                await asyncio.sleep(0.002)

    async def over(self):
        await self.until(lambda: self.closed is not None)

    def close(self):
        for task in self._tasks:
            task.cancel()


def written(client):
    """Return what a client has that reads the deltas only, as Pipecat's and LiveKit's do, by ordinal."""
    found = {}
    for piece in client.named("transcript"):
        if not piece["final"]:
            found[piece["ordinal"]] = found.get(piece["ordinal"], "") + piece["delta"]
    return found


def medium(rate=RATE, **more):
    return {"medium": {"serverWebSocket": {"inputSampleRate": rate, **more}}}


@contextlib.asynccontextmanager
async def joined(body=None, *, rate=RATE, speed=10, form=None, query="", **options):
    async with api(speed=speed, **options) as ultravox:
        call = await ultravox.create(**{**AGENT_FIRST, **medium(rate, **(form or {})), **(body or {})})
        async with ultravox.http.ws_connect(call["joinUrl"] + query, max_msg_size=0) as socket:
            client = Client(socket, rate, speed)
            try:
                yield ultravox, call, client
            finally:
                client.close()


async def warnings(ultravox, call):
    page = await ultravox.get(f"/api/calls/{call['callId']}/events?minimum_severity=warning&pageSize=100")
    return [event["type"] for event in page["results"]]


def test_a_whole_conversation():
    async def talk():
        async with joined({**USER_FIRST, "recordingEnabled": True}) as (ultravox, call, client):
            client.talk()
            await client.until(lambda: client.named("call_started"))
            client.to_say = tone(440, 0.8, RATE)
            await client.over()
            now = await ultravox.ended(call)
            wav = (await ultravox.request("GET", f"/api/calls/{call['callId']}/recording"))[1]
            return call, client, now, await ultravox.lines(call), wav

    call, client, now, lines, wav = asyncio.run(talk())
    assert now["endReason"] == "agent_hangup"
    assert now["joined"] < now["ended"]
    assert client.closed == 1000
    assert client.messages[0] == {"type": "call_started", "callId": call["callId"]}
    assert [role for role, _ in lines] == ["user", "agent", "agent"]
    assert [text for _, text in lines[1:]] == [GREETING, FAREWELL]
    assert lines[0][1].startswith("[speech, 0.")
    assert level(loudest(client.sound, RATE)) > 1000
    assert read_wav(wav).rate == RATE
    states = [message["state"] for message in client.named("state")]
    assert states[:3] == ["listening", "thinking", "speaking"]
    assert states[-1] in {"listening", "speaking"}


def test_transcripts_grow_by_deltas_and_end_with_their_text():
    async def talk():
        async with joined() as (_, _, client):
            client.talk()
            await client.over()
            return client.named("transcript")

    said = asyncio.run(talk())
    for ordinal, text in enumerate((GREETING, FAREWELL)):
        pieces = [piece for piece in said if piece["ordinal"] == ordinal]
        assert all(piece["role"] == "agent" and piece["medium"] == "voice" for piece in pieces)
        assert [piece["final"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert all(("text" in piece) != ("delta" in piece) for piece in pieces)
        assert pieces[-1]["text"] == text
        assert len(pieces) > 2
        assert "".join(piece["delta"] for piece in pieces[:-1]) == text


@pytest.mark.parametrize(("rate", "out"), [(8000, None), (16000, 48000), (48000, 8000), (44100, 24000), (11025, 11025)])
def test_rates_are_those_that_were_agreed(rate, out):
    async def talk():
        form = {} if out is None else {"outputSampleRate": out}
        body = {**USER_FIRST, "recordingEnabled": True}
        async with joined(body, rate=rate, form=form, agent_script=("Only one line.",)) as (ultravox, call, client):
            client.talk()
            client.to_say = tone(440, 0.6, rate)
            await client.over()
            await ultravox.ended(call)
            wav = (await ultravox.request("GET", f"/api/calls/{call['callId']}/recording"))[1]
            return client, wav, (await ultravox.lines(call))[0][1]

    client, wav, first = asyncio.run(talk())
    heard = out or rate
    assert {len(piece) for piece in client.pieces} == {int(heard * 0.02) * 2}
    assert read_wav(wav).rate == rate
    assert first == "[speech, 0.6 s]"
    seconds = len(client.sound) / 2 / heard
    assert seconds == pytest.approx(0.02 * round(seconds / 0.02), abs=0.02)
    assert 0.4 < seconds < 2.5


@pytest.mark.parametrize(("buffer_ms", "ahead"), [(None, 0.06), (200, 0.2), (30000, 30)])
def test_the_clients_buffer_is_filled_and_not_more(buffer_ms, ahead):
    text = "This is one rather long line, so that there is something to be sent ahead of its time."

    async def talk():
        form = {} if buffer_ms is None else {"clientBufferSizeMs": buffer_ms}
        async with joined(form=form, speed=1, agent_script=(text,)) as (_, _, client):
            await client.until(lambda: client.pieces)
            began = asyncio.get_running_loop().time()
            await client.until(lambda: len(client.sound) / 2 / RATE >= min(ahead, 1))
            early = asyncio.get_running_loop().time() - began
            await client.until(lambda: len(client.sound) / 2 / RATE >= 1)
            return early, asyncio.get_running_loop().time() - began

    early, whole_second = asyncio.run(talk())
    assert early < 1.5  # at once, on whatever machine
    if ahead < 1:
        assert whole_second > 0.7  # what is more than the buffer holds comes in its time


def test_who_speaks_over_the_agent_clears_the_buffer():
    # So long that it goes on even where the machine stands still for a while.
    script = (" ".join(["This line is so long that somebody will surely interrupt it."] * 12), "Bye.")

    async def talk():
        async with joined(form={"clientBufferSizeMs": 30000}, agent_script=script) as (ultravox, call, client):
            client.talk()
            await client.until(lambda: len(client.named("transcript")) >= 3)
            client.to_say = tone(440, 0.6, RATE)
            await client.until(lambda: client.named("playback_clear_buffer"))
            order = [message["type"] for message in client.messages]
            await client.over()
            return order, client, await ultravox.lines(call)

    order, client, lines = asyncio.run(talk())
    assert order.count("playback_clear_buffer") == 1
    # Pipecat's and LiveKit's clients take the interruption first, then the end of what was said.
    after = [
        message for message in client.messages[order.index("playback_clear_buffer") + 1 :] if "delta" not in message
    ]
    assert after[0]["type"] == "transcript"
    assert after[0]["text"] == lines[0][1]
    assert after[1] == {"type": "state", "state": "listening"}
    assert written(client)[0] == lines[0][1]
    assert script[0].startswith(lines[0][1])
    assert lines[0][1] != script[0]
    assert lines[1][0] == "user"
    final = next(piece for piece in client.named("transcript") if piece["final"])
    assert final["text"] == lines[0][1]
    assert lines[-1] == ("agent", "Bye.")


def test_an_uninterruptible_greeting_is_not_cleared():
    body = {"firstSpeakerSettings": {"agent": {"uninterruptible": True, "text": "You cannot stop me from saying it."}}}

    async def talk():
        async with joined(body) as (ultravox, call, client):
            client.talk()
            await client.until(lambda: client.named("transcript"))
            client.to_say = tone(440, 0.3, RATE)
            await client.over()
            return client, await ultravox.lines(call)

    client, lines = asyncio.run(talk())
    assert ("agent", "You cannot stop me from saying it.") in lines
    assert not client.named("playback_clear_buffer")


def test_typing_instead_of_speaking():
    async def talk():
        body = {**USER_FIRST, "initialOutputMedium": "MESSAGE_MEDIUM_TEXT"}
        async with joined(body, agent_script=("One.", "Two.", "Three.")) as (ultravox, call, client):
            await client.send(type="user_text_message", text="hello")
            await client.until(lambda: len(client.named("transcript")) >= 2)
            await client.send(type="input_text_message", text="in the old form")
            await client.over()
            return client, await ultravox.lines(call)

    client, lines = asyncio.run(talk())
    assert lines == [("user", "hello"), ("agent", "One."), ("user", "in the old form"),
                     ("agent", "Two."), ("agent", "Three.")]  # fmt: skip
    assert client.sound == b""
    assert {piece["medium"] for piece in client.named("transcript")} == {"text"}
    finals = [piece for piece in client.named("transcript") if piece["final"]]
    assert [piece["ordinal"] for piece in finals] == [0, 1, 2, 3, 4]
    assert written(client) == {1: "One.", 3: "Two.", 4: "Three."}


def test_a_forced_message_waits_for_its_turn_unless_it_is_immediate():
    script = ("This line is so long that there is time enough for two messages in it.", "Bye.")

    async def talk(**urgency):
        async with joined(agent_script=script) as (ultravox, call, client):
            await client.until(lambda: client.named("transcript"))
            await client.send(type="forced_agent_message", content="Word for word.", **urgency)
            await client.over()
            return len(client.named("playback_clear_buffer")), await ultravox.lines(call)

    # Without a word about it: "soon". https://docs.ultravox.ai/apps/datamessages
    for urgency in ({}, {"urgency": "soon"}):
        assert asyncio.run(talk(**urgency)) == (
            0,
            [("agent", script[0]), ("agent", "Word for word."), ("agent", "Bye.")],
        )
    cleared, lines = asyncio.run(talk(urgency="immediate"))
    assert cleared == 1
    assert [text for _, text in lines][-2:] == ["Word for word.", "Bye."]
    assert script[0] not in [text for _, text in lines]


def test_urgency_says_whether_the_agent_is_interrupted():
    script = ("This line is so long that there is time enough for three messages in it.", "Then this one.", "Bye.")

    async def talk():
        async with joined(agent_script=script) as (ultravox, call, client):
            await client.until(lambda: len(client.named("transcript")) >= 2)
            await client.send(type="user_text_message", text="later", urgency="later")
            await client.send(type="user_text_message", text="soon")
            await client.until(lambda: len([p for p in client.named("transcript") if p["role"] == "user"]) == 2)
            cleared = len(client.named("playback_clear_buffer"))
            await client.send(type="user_text_message", text="now", urgency="immediate")
            await client.until(lambda: client.named("playback_clear_buffer"))
            await client.over()
            return cleared, await ultravox.lines(call)

    cleared, lines = asyncio.run(talk())
    assert cleared == 0
    assert [text for role, text in lines if role == "user"] == ["later", "soon", "now"]
    assert [text for role, text in lines if role == "agent"][-2:] == list(script[1:])


def test_the_agent_can_be_made_to_write_and_to_speak_again():
    async def talk():
        async with joined(USER_FIRST, agent_script=("One.", "Two.", "Three.")) as (_, _, client):
            await client.send(type="set_output_medium", medium="text")
            await client.send(type="user_text_message", text="a")
            await client.until(lambda: len(client.named("transcript")) >= 2)
            silent = client.sound
            await client.send(type="set_output_medium", medium="voice")
            await client.send(type="user_text_message", text="b")
            await client.over()
            return silent, client

    silent, client = asyncio.run(talk())
    assert silent == b""
    finals = [piece for piece in client.named("transcript") if piece["final"] and piece["role"] == "agent"]
    assert [piece["medium"] for piece in finals] == ["text", "voice", "voice"]
    assert level(client.sound) > 200


def test_forced_messages_pings_and_hanging_up():
    async def talk():
        async with joined(USER_FIRST) as (ultravox, call, client):
            await client.send(type="ping", timestamp=12.5)
            await client.send(type="forced_agent_message", content="Attention.", uninterruptible=True)
            await client.until(lambda: any(p.get("text") == "Attention." for p in client.named("transcript")))
            await client.send(type="hang_up", message="I must go.")
            await client.over()
            return client, await ultravox.ended(call), await ultravox.lines(call)

    client, now, lines = asyncio.run(talk())
    assert client.named("pong") == [{"type": "pong", "timestamp": 12.5}]
    assert lines == [("agent", "Attention."), ("agent", "I must go.")]
    assert now["endReason"] == "agent_hangup"


def result_of(invocation, **more):
    return {"type": "client_tool_result", "invocationId": invocation["invocationId"], **more}


def test_a_client_tool_is_called_and_its_result_is_spoken_of():
    script = ("Let me look.", '!weather {"city": "Oslo"}', "Bye.")

    async def talk():
        async with joined({"selectedTools": [WEATHER]}, agent_script=script) as (ultravox, call, client):
            client.answers["client_tool_invocation"] = lambda said: result_of(said, result="It rains.")
            await client.over()
            page = await ultravox.get(f"/api/calls/{call['callId']}/messages?mode=in_call")
            return client.named("client_tool_invocation"), page["results"], await ultravox.lines(call)

    (invocation,), messages, lines = asyncio.run(talk())
    assert (invocation["toolName"], invocation["parameters"]) == ("weather", {"city": "Oslo"})
    assert [role for role, _ in lines] == ["agent", "tool_call", "tool_result", "agent", "agent"]
    assert lines[3] == ("agent", "The tool weather says: It rains.")
    assert messages[1]["toolName"] == messages[2]["toolName"] == "weather"
    assert messages[1]["invocationId"] == messages[2]["invocationId"] == invocation["invocationId"]
    assert json.loads(messages[1]["text"]) == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ({"result": "x", "agentReaction": "listens"}, [("tool_result", "x"), ("agent", FAREWELL)]),
        (
            {"errorType": "implementation-error", "errorMessage": "broken"},
            [("tool_result", "broken"), ("agent", "The tool weather failed."), ("agent", FAREWELL)],
        ),
        ({"result": "x", "responseType": "hang-up"}, [("tool_result", "x")]),
        (
            None,
            [
                ("tool_result", "The tool weather took too long."),
                ("agent", "The tool weather took too long."),
                ("agent", FAREWELL),
            ],
        ),
    ],
)
def test_what_a_result_can_say(answer, after):
    async def talk():
        async with joined({"selectedTools": [WEATHER]}) as (ultravox, call, client):
            if answer is not None:
                client.answers["client_tool_invocation"] = lambda said: result_of(said, **answer)
            await client.over()
            return await ultravox.lines(call), (await ultravox.ended(call))["endReason"]

    lines, reason = asyncio.run(talk())
    assert lines == [("agent", GREETING), ("tool_call", "{}"), *after]
    assert reason == "agent_hangup"


def test_a_result_that_nobody_waits_for_and_forced_tool_calls():
    async def talk():
        async with joined({**USER_FIRST, "selectedTools": [WEATHER]}) as (ultravox, call, client):
            await client.send(type="client_tool_result", invocationId="nothing", result="x")
            calls = [{"id": "mine", "name": "weather", "arguments": {"a": 1}}, {"name": "unknown"}]
            await client.send(type="forced_agent_message", toolCalls=calls)
            await client.until(lambda: client.named("client_tool_invocation"))
            await client.send(type="client_tool_result", invocationId="mine", result="Fine.", agentReaction="listens")
            await client.send(type="hang_up")
            await client.over()
            return client.named("client_tool_invocation"), await ultravox.lines(call), await warnings(ultravox, call)

    invocations, lines, noted = asyncio.run(talk())
    assert [(one["invocationId"], one["parameters"]) for one in invocations] == [("mine", {"a": 1})]
    assert ("tool_result", "There is no such tool.") in lines
    assert ("tool_result", "Fine.") in lines
    assert "data_message" in noted


def test_a_phone_has_no_client_tools():
    from uvcall.sandbox.plans import plan
    from uvcall.sandbox.ultravox_create import call_settings
    from uvcall.sandbox.world import Options

    for form, count in (({"twilio": {}}, 0), ({"serverWebSocket": {"inputSampleRate": 8000}}, 1)):
        settings_, _ = call_settings({"medium": form, "selectedTools": [WEATHER]})
        made = plan(settings_, Options())
        assert (len(made.tools), len(made.script)) == (count, 2 + count)


@pytest.mark.parametrize("flag", ["state", "transcript", "pong", "callStarted", "playbackClearBuffer"])
def test_messages_can_be_turned_off(flag):
    names = {"callStarted": "call_started", "playbackClearBuffer": "playback_clear_buffer"}
    script = ("This line is so long that it can be interrupted by somebody who writes.", "Bye.")

    async def talk():
        async with joined(form={"dataMessages": {flag: False}}, agent_script=script) as (_, _, client):
            await client.until(lambda: len(client.pieces) > 5)
            await client.send(type="ping", timestamp=1)
            await client.send(type="user_text_message", text="stop", urgency="immediate")
            await client.over()
            return {message["type"] for message in client.messages}

    kinds = asyncio.run(talk())
    assert kinds == {"state", "transcript", "pong", "call_started", "playback_clear_buffer"} - {names.get(flag, flag)}


@pytest.mark.parametrize(
    ("form", "query"), [({"dataMessages": {"debug": True}}, ""), ({}, "?experimentalMessages=debug")]
)
def test_debug_messages_come_when_asked_for(form, query):
    async def talk():
        async with joined(USER_FIRST, form=form, query=query) as (_, _, client):
            await client.send(type="something_new", x=1)
            await client.until(lambda: client.named("debug"))
            return client.named("debug")

    assert "something_new" in asyncio.run(talk())[0]["message"]


def test_nonsense_is_noted_and_passed_over():
    nonsense = ["{", "[]", '{"no":"type"}', '{"type":"ping","timestamp":"x"}', '{"type":"state","state":"idle"}',
                '{"event":"connected","protocol":"Call","version":"1.0.0"}', "\x00", "9" * 1000]  # fmt: skip

    async def talk():
        async with joined(USER_FIRST) as (ultravox, call, client):
            for text in nonsense:
                await client.socket.send_str(text)
            await client.socket.send_bytes(b"")
            await client.socket.send_bytes(b"\0")
            await client.send(type="ping", timestamp=1)
            await client.until(lambda: client.named("pong"))
            noted = await warnings(ultravox, call)
            await client.send(type="hang_up")
            await client.over()
            return noted

    assert asyncio.run(talk()).count("data_message") == len(nonsense)


def test_a_message_of_two_megabytes_ends_the_call():
    async def talk():
        async with joined() as (ultravox, call, client):
            with contextlib.suppress(ConnectionError):
                await client.socket.send_bytes(bytes(2 << 20))
            await client.over()
            return client.closed, await ultravox.ended(call)

    code, now = asyncio.run(talk())
    assert code in {1006, 1009}
    assert now["endReason"] == "connection_error"


def test_a_client_that_floods_is_warned_and_what_is_too_much_is_dropped():
    async def talk():
        async with joined(USER_FIRST, speed=1) as (ultravox, call, client):
            for _ in range(40):
                await client.socket.send_bytes(bytes(RATE))  # half a second each
            await client.send(type="ping", timestamp=1)
            await client.until(lambda: client.named("pong"))
            return await warnings(ultravox, call)

    assert asyncio.run(talk()).count("audio_overflow") == 1


def test_a_client_that_falls_silent_is_noted_once_each_time():
    async def talk():
        async with joined(USER_FIRST, speed=4) as (ultravox, call, client):
            for round_ in range(2):
                for _ in range(5):
                    await client.socket.send_bytes(bytes(640))
                async with asyncio.timeout(20):
                    while (await warnings(ultravox, call)).count("audio_underflow") <= round_:  # noqa: ASYNC110  # a poll, as clients do
                        await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            return await warnings(ultravox, call)

    assert asyncio.run(talk()) == ["audio_underflow"] * 2


def test_too_long_without_audio_ends_the_call():
    async def talk():
        async with joined(USER_FIRST, speed=100, form={"mediaIdleTimeout": "5s"}) as (ultravox, call, client):
            await client.send(type="user_text_message", text="x", urgency="later")
            await client.over()
            return await ultravox.ended(call), await warnings(ultravox, call)

    now, noted = asyncio.run(talk())
    assert now["endReason"] == "connection_error"
    assert noted[-1] == "media_idle"


def test_a_client_that_stops_reading_is_given_up(monkeypatch):
    monkeypatch.setattr("uvcall.sandbox.socket_session._SEND_S", 0.2)
    script = ("This line goes on for a while, so that there is much to send to somebody who does not read.",) * 60

    async def talk():
        form = {"clientBufferSizeMs": 30000, "outputSampleRate": 48000}
        async with api(speed=100, agent_script=script) as ultravox:
            call = await ultravox.create(**AGENT_FIRST, **medium(RATE, **form))
            async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
                transport = socket._response.connection.transport
                transport.pause_reading()
                now = await ultravox.ended(call, within=20)
                transport.abort()
                return now

    assert asyncio.run(talk())["endReason"] == "connection_error"


@pytest.mark.parametrize(("how", "reason"), [("close", "hangup"), ("abort", "connection_error")])
def test_how_the_clients_side_ends(how, reason):
    async def talk():
        async with joined() as (ultravox, call, client):
            await client.until(lambda: len(client.named("transcript")) >= 2)
            if how == "close":
                client.close()
                await client.socket.close()
            else:
                client.socket._response.connection.transport.abort()
            return await ultravox.ended(call), await ultravox.lines(call)

    now, lines = asyncio.run(talk())
    assert now["endReason"] == reason
    assert GREETING.startswith(lines[0][1])


def test_the_time_limit_and_the_agents_side_that_breaks():
    async def too_long():
        body = {**USER_FIRST, "maxDuration": "2s", "timeExceededMessage": "Time is up."}
        async with joined(body) as (ultravox, call, client):
            await client.over()
            return await ultravox.ended(call), await ultravox.lines(call)

    async def breaks():
        async with joined(scenario="agent-drop") as (ultravox, call, client):
            await client.over()
            return await ultravox.ended(call), client.closed

    now, lines = asyncio.run(too_long())
    assert (now["endReason"], lines) == ("timeout", [("agent", "Time is up.")])
    now, code = asyncio.run(breaks())
    assert (now["endReason"], code) == ("system_error", 1006)


async def knock(ultravox, url):
    status, _ = await ultravox.request("GET", url.replace("ws:", "http:"), headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})  # fmt: skip
    return status


def test_one_client_only_and_only_in_time_and_only_there():
    async def talk():
        async with joined() as (ultravox, call, client):
            url = call["joinUrl"]
            second = await knock(ultravox, url)
            await client.send(type="hang_up")
            await client.over()
            await ultravox.ended(call)
            late = await ultravox.create(joinTimeout="1s", **medium())
            now = await ultravox.ended(late)
            statuses = [second, await knock(ultravox, url), await knock(ultravox, late["joinUrl"])]
            fresh = (await ultravox.create(**medium()))["joinUrl"]
            elsewhere = fresh.replace("server_web_socket", "telephony")
            return [
                *statuses,
                await knock(ultravox, elsewhere),
                await knock(ultravox, fresh.replace("calls/", "calls/0")),
            ], now

    statuses, now = asyncio.run(talk())
    assert statuses == [409, 410, 410, 404, 404]
    assert now["endReason"] == "unjoined"


def test_a_call_is_told_things_by_the_rest_api_too():
    async def talk():
        async with joined(USER_FIRST) as (ultravox, call, client):
            path = f"/api/calls/{call['callId']}/send_data_message"
            await client.until(lambda: client.named("call_started"))
            said = {"type": "forced_agent_message", "content": "Listen.", "uninterruptible": True}
            one = (await ultravox.request("POST", path, json=said))[0]
            await client.until(lambda: any(piece.get("text") == "Listen." for piece in client.named("transcript")))
            bad = (await ultravox.request("POST", path, json={**said, "urgency": "never"}))[0]
            two = (await ultravox.request("POST", path, json={"type": "hang_up"}))[0]
            await client.over()
            return one, bad, two, await ultravox.lines(call)

    assert asyncio.run(talk()) == (204, 400, 204, [("agent", "Listen.")])


@given(st.lists(st.binary(max_size=900), max_size=30), st.sampled_from([8000, 11025, 16000, 44100]))
@settings(max_examples=60)
def test_what_flows_in_comes_out_in_order_and_in_time(pieces, rate):
    inflow, out, missing, beats = Inflow(rate), b"", 0.0, 200
    for piece in pieces:
        inflow.add(piece)
    for _ in range(beats):
        sound, lacking = inflow.take()
        out += sound
        missing += lacking
    whole = b"".join(pieces)
    even = whole[: len(whole) & ~1]
    assert out == (even if len(even) / 2 / rate >= 0.04 else b"")
    assert len(out) / 2 / rate + missing == pytest.approx(beats * 0.02, abs=0.03)
