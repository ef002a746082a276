"""The agent behind the join URL, met by a carrier of somebody else's making; and by the sandbox's own carriers."""

import asyncio
import audioop
import base64
import contextlib
import json

import pytest
from support.stage import api, goertzel, loudest, make_leg, on_wire, pcm, tone, tone_wav

from uvcall.core.audio import level, read_wav
from uvcall.core.carrier import Provider
from uvcall.sandbox import media
from uvcall.sandbox.recording import tapes
from uvcall.sandbox.speech import FAREWELL, GREETING, HELLO
from uvcall.sandbox.world import StreamSpec

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO
SPECS = [
    (TELNYX, "L16", 16000),
    (TELNYX, "PCMU", 8000),
    (TELNYX, "PCMA", 8000),
    (TWILIO, "PCMU", 8000),
    (PLIVO, "L16", 16000),
    (PLIVO, "PCMU", 8000),
]
USER_FIRST = {"firstSpeakerSettings": {"user": {"fallback": {"delay": "1s", "text": "Is anybody there?"}}}}
STREAM = "MZ" + "a" * 32


class TwilioLine:
    """A Twilio-like client, written from Twilio's page: sends frames in step with what it plays."""

    def __init__(self, socket):
        self.socket = socket
        self.chunk = self.cleared = 0
        self.buffer, self.waiting, self.heard = b"", [], b""
        self.closed = None

    async def start(self):
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start = {"accountSid": "AC" + "0" * 32, "streamSid": STREAM, "callSid": "CA" + "0" * 32,
                 "tracks": ["inbound"], "mediaFormat": form, "customParameters": {}}  # fmt: skip
        await self.send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": STREAM})

    async def send(self, event):
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(json.dumps(event))

    async def say(self, samples):
        """Send the sound in frames, playing what comes back meanwhile."""
        for at in range(0, len(samples), 320):
            if self.closed is not None:
                return
            self.chunk += 1
            payload = base64.b64encode(on_wire("PCMU", samples[at : at + 320])).decode()
            frame = {
                "track": "inbound",
                "chunk": str(self.chunk),
                "timestamp": str(self.chunk * 20),
                "payload": payload,
            }
            await self.send(
                {"event": "media", "sequenceNumber": str(self.chunk + 1), "media": frame, "streamSid": STREAM}
            )
            await self.listen()
            self.heard += pcm("PCMU", self.buffer[:160].ljust(160, b"\xff"))
            self.buffer = self.buffer[160:]
            while self.waiting and not self.buffer:
                await self.send({"event": "mark", "sequenceNumber": "1", "streamSid": STREAM,
                                 "mark": {"name": self.waiting.pop(0)}})  # fmt: skip

    async def listen(self):
        """Take what is there; a frame's answer needs a moment of the loop."""
        while self.closed is None:
            try:
                message = await self.socket.receive(0.002)
            except TimeoutError:
                return
            if message.type.name != "TEXT":
                self.closed = message.data if message.type.name == "CLOSE" else 1006
                return
            event = json.loads(message.data)
            assert event["streamSid"] == STREAM
            if event["event"] == "media":
                self.buffer += base64.b64decode(event["media"]["payload"])
            elif event["event"] == "mark":
                self.waiting.append(event["mark"]["name"])
            elif event["event"] == "clear":
                self.cleared += 1
                self.buffer = b""

    async def silence(self, seconds):
        await self.say(bytes(int(seconds * 8000) * 2))


@contextlib.asynccontextmanager
async def twilio_call(body=None, **options):
    async with api(**options) as ultravox:
        call = await ultravox.create(**(body or USER_FIRST))
        async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
            line = TwilioLine(socket)
            await line.start()
            yield ultravox, call, line


def test_a_whole_conversation_with_a_stranger():
    async def talk():
        async with twilio_call({**USER_FIRST, "recordingEnabled": True}) as (ultravox, call, line):
            await line.silence(0.2)
            await line.say(tone(440, 0.8, 8000))
            await line.silence(6)
            now = await ultravox.ended(call)
            recording = (await ultravox.request("GET", f"/api/calls/{call['callId']}/recording"))[1]
            return line, now, await ultravox.lines(call), recording, ultravox.world

    line, now, lines, recording, world = asyncio.run(talk())
    assert lines == [("user", "[speech, 0.8 s]"), ("agent", GREETING), ("agent", FAREWELL)]
    assert now["endReason"] == "agent_hangup"
    assert now["joined"] < now["ended"]
    assert line.closed == 1000
    assert level(loudest(line.heard, 8000)) > 1000
    sound = read_wav(recording)
    assert sound.rate == 8000
    channels = int.from_bytes(recording[22:24], "little")
    assert channels == 2
    stereo = recording[44:]
    left, right = audioop.tomono(stereo, 2, 1, 0), audioop.tomono(stereo, 2, 0, 1)
    assert goertzel(loudest(left, 8000), 8000, 440) > 0.9
    assert level(loudest(right, 8000)) > 1000
    kinds = [event["type"] for event in world.history.events]
    assert kinds == ["call.created", "call.joined", "call.ended", "recording.fetched"]


def test_a_silent_callee_hears_the_fallback():
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.9)
            early = line.heard
            await line.silence(5)
            await ultravox.ended(call)
            return early, await ultravox.lines(call)

    early, lines = asyncio.run(talk())
    assert level(early) <= 8
    assert lines == [("agent", "Is anybody there?"), ("agent", FAREWELL)]


def test_lines_of_a_custom_script_come_in_order():
    script = ("First line.", "Second line.", "Third line.")

    async def talk():
        async with twilio_call({"firstSpeakerSettings": {"agent": {}}}, agent_script=script) as (ultravox, call, line):
            await line.silence(6)
            await ultravox.ended(call)
            return await ultravox.lines(call)

    assert asyncio.run(talk()) == [("agent", text) for text in script]


def test_who_interrupts_makes_the_carrier_drop_the_rest():
    async def talk():
        script = ("This line is so long that somebody will surely interrupt it somewhere.", "Bye.")
        async with twilio_call({"firstSpeakerSettings": {"agent": {}}}, agent_script=script) as (ultravox, call, line):
            await line.silence(0.8)
            await line.say(tone(440, 0.5, 8000))
            await line.listen()
            cleared, left = line.cleared, line.buffer
            await line.silence(3)
            await ultravox.ended(call)
            return cleared, left, await ultravox.lines(call), script

    cleared, left, lines, script = asyncio.run(talk())
    assert cleared == 1
    assert left == b""
    assert script[0].startswith(lines[0][1])
    assert lines[0][1] != script[0]
    assert lines[1][0] == "user"


@pytest.mark.parametrize(
    ("message", "reason", "last"),
    [
        ({"type": "hang_up"}, "agent_hangup", None),
        ({"type": "hang_up", "message": "I must go."}, "agent_hangup", ("agent", "I must go.")),
    ],
)
def test_hanging_up_by_the_api(message, reason, last):
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.2)
            path = f"/api/calls/{call['callId']}/send_data_message"
            status, _ = await ultravox.request("POST", path, json=message)
            await line.silence(4)
            now = await ultravox.ended(call)
            again = (await ultravox.request("POST", path, json=message))[0]
            return status, again, now, await ultravox.lines(call)

    status, again, now, lines = asyncio.run(talk())
    assert (status, again) == (204, 422)
    assert now["endReason"] == reason
    assert lines == ([last] if last else [])


def test_messages_that_are_said_and_read():
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.2)
            path = f"/api/calls/{call['callId']}/send_data_message"
            await ultravox.request("POST", path, json={"type": "forced_agent_message", "content": "Attention."})
            await line.silence(1.2)
            await ultravox.request("POST", path, json={"type": "user_text_message", "text": "written"})
            await line.silence(4)
            await ultravox.ended(call)
            return await ultravox.lines(call)

    lines = asyncio.run(talk())
    assert lines[0] == ("agent", "Attention.")
    assert ("user", "written") in lines


def test_the_callers_keys_become_a_message():
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.2)
            for digit in "12":
                await line.send({"event": "dtmf", "streamSid": STREAM, "sequenceNumber": "9",
                                 "dtmf": {"track": "inbound_track", "digit": digit}})  # fmt: skip
            await line.silence(5)
            await ultravox.ended(call)
            return await ultravox.lines(call)

    assert asyncio.run(talk())[0] == ("user", "12")


@pytest.mark.parametrize(("how", "reason"), [("close", "hangup"), ("stop", "hangup"), ("abort", "connection_error")])
def test_how_the_carriers_side_ends(how, reason):
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.3)
            if how == "close":
                await line.socket.close()
            elif how == "stop":
                await line.send({"event": "stop", "sequenceNumber": "9", "streamSid": STREAM,
                                 "stop": {"accountSid": "AC" + "0" * 32, "callSid": "CA" + "0" * 32}})  # fmt: skip
            else:
                line.socket._response.connection.transport.abort()
            return await ultravox.ended(call)

    assert asyncio.run(talk())["endReason"] == reason


def test_a_call_that_is_too_long():
    async def talk():
        body = {**USER_FIRST, "maxDuration": "2s", "timeExceededMessage": "Time is up."}
        async with twilio_call(body, speed=20) as (ultravox, call, line):
            await asyncio.sleep(0.12)
            await line.silence(3)
            return await ultravox.ended(call), await ultravox.lines(call)

    now, lines = asyncio.run(talk())
    assert now["endReason"] == "timeout"
    assert lines[-1] == ("agent", "Time is up.")


def test_a_silent_user_is_nudged():
    async def talk():
        nudge = {"duration": "2s", "message": "Hello?", "endBehavior": "END_BEHAVIOR_HANG_UP_STRICT"}
        body = {"firstSpeakerSettings": {"user": {}}, "inactivityMessages": [nudge]}
        async with twilio_call(body) as (ultravox, call, line):
            await line.silence(4)
            return await ultravox.ended(call), await ultravox.lines(call)

    now, lines = asyncio.run(talk())
    assert now["endReason"] == "agent_hangup"
    assert lines == [("agent", "Hello?")]


def test_a_carrier_that_sends_nothing_is_noticed():
    async def talk():
        async with twilio_call(speed=50) as (ultravox, call, _):
            async with asyncio.timeout(5):
                now = await ultravox.ended(call)
            events = await ultravox.get(f"/api/calls/{call['callId']}/events?minimum_severity=warning")
            return now, await ultravox.lines(call), events["results"]

    now, lines, events = asyncio.run(talk())
    assert now["endReason"] == "agent_hangup"
    assert lines[0] == ("agent", "Is anybody there?")
    assert events[0]["type"] == "audio_underflow"


def test_the_agents_side_breaks():
    async def talk():
        async with twilio_call(scenario="agent-drop") as (ultravox, call, line):
            await line.silence(3)
            return await ultravox.ended(call), line.closed

    now, closed = asyncio.run(talk())
    assert now["endReason"] == "system_error"
    assert closed == 1006


@pytest.mark.parametrize(
    "first",
    [
        "{",
        '{"event":"media"}',
        json.dumps({"event": "mark", "streamSid": STREAM, "sequenceNumber": "1", "mark": {"name": "x"}}),
    ],
)
def test_a_stream_that_begins_with_nonsense(first):
    async def talk():
        async with api() as ultravox:
            call = await ultravox.create()
            async with ultravox.http.ws_connect(call["joinUrl"]) as socket:
                await socket.send_str(first)
                return await ultravox.ended(call)

    assert asyncio.run(talk())["endReason"] == "connection_error"


def test_nonsense_in_mid_call_is_noted_and_passed_over():
    async def talk():
        async with twilio_call() as (ultravox, call, line):
            await line.silence(0.2)
            await line.socket.send_str("{")
            await line.silence(6)
            now = await ultravox.ended(call)
            return now, (await ultravox.get(f"/api/calls/{call['callId']}/events"))["results"]

    now, events = asyncio.run(talk())
    assert now["endReason"] == "agent_hangup"
    assert "media" in {event["type"] for event in events}


async def knock(ultravox, url):
    status, _ = await ultravox.request("GET", url.replace("ws:", "http:"), headers={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})  # fmt: skip
    return status


def test_only_one_may_join_and_only_in_time():
    async def talk():
        async with twilio_call(speed=20) as (ultravox, call, line):
            second = await knock(ultravox, call["joinUrl"])
            await line.silence(6)
            await ultravox.ended(call)
            after = await knock(ultravox, call["joinUrl"])
            late = await ultravox.create(joinTimeout="1s")
            now = await ultravox.ended(late)
            too_late = await knock(ultravox, late["joinUrl"])
            unknown = await knock(ultravox, call["joinUrl"].replace(call["callId"], "0"))
            return second, after, too_late, unknown, now

    second, after, too_late, unknown, now = asyncio.run(talk())
    assert (second, after, too_late, unknown) == (409, 410, 410, 404)
    assert now["endReason"] == "unjoined"
    assert now["joined"] is None


def test_who_leaves_before_the_start_may_come_again():
    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(**USER_FIRST)
            async with ultravox.http.ws_connect(call["joinUrl"]):
                pass
            async with asyncio.timeout(2):
                while await knock(ultravox, call["joinUrl"]) == 409:  # noqa: ASYNC110  # a poll, from outside
                    await asyncio.sleep(0.01)
            return await ultravox.get(f"/api/calls/{call['callId']}")

    assert asyncio.run(talk())["joined"] is None


def test_a_medium_that_the_sandbox_does_not_serve():
    async def talk():
        async with api() as ultravox:
            call = await ultravox.create(medium={"exotel": {}})
            return await knock(ultravox, call["joinUrl"])

    assert asyncio.run(talk()) == 501


def test_the_agent_that_never_joins():
    async def talk():
        async with api(scenario="no-join") as ultravox:
            call = await ultravox.create()
            return await knock(ultravox, call["joinUrl"]), await ultravox.get(f"/api/calls/{call['callId']}")

    status, now = asyncio.run(talk())
    assert status == 503
    assert now["ended"] is None


async def both_ends(provider, encoding, rate, *, scenario="answer", tracks=("inbound",), body=None, **options):
    """Put the sandbox's own carrier and agent on one line."""
    async with api(speed=options.pop("speed", 20), **options) as ultravox:
        call = await ultravox.create(medium={provider.value: {}}, **(body or USER_FIRST))
        leg = make_leg(ultravox.world, provider, scenario)
        end = await media.stream(ultravox.world, leg, StreamSpec(call["joinUrl"], encoding, rate, tracks))
        now = await ultravox.ended(call)
        return end, now, await ultravox.lines(call), tapes(ultravox.world).legs[leg.id], ultravox.world


@pytest.mark.parametrize(("provider", "encoding", "rate"), SPECS)
def test_the_sandboxs_own_ends_understand_each_other(provider, encoding, rate):
    end, now, lines, tape, world = asyncio.run(both_ends(provider, encoding, rate))
    assert end.how == "agent"
    assert now["endReason"] == "agent_hangup"
    assert lines == [("user", HELLO), ("agent", GREETING), ("agent", FAREWELL)]
    assert level(loudest(bytes(tape.person), rate)) > 1000
    assert level(loudest(bytes(tape.agent), rate)) > 1000
    started, stopped = (event for event in world.history.events if event["type"].startswith("media."))
    assert (started["encoding"], started["sample_rate"]) == (encoding, rate)
    assert stopped["frames_sent"] * 0.02 == pytest.approx(3.2, abs=0.5)
    assert stopped["frames_played"] > 50


def test_a_default_call_lasts_about_three_seconds_of_life():
    *_, world = asyncio.run(both_ends(TWILIO, "PCMU", 8000, speed=4))
    events = {event["type"]: event for event in world.history.events}
    assert events["media.stopped"]["frames_sent"] * 0.02 == pytest.approx(3.2, abs=0.4)


def test_both_tracks_do_not_make_the_agent_hear_itself():
    _, _, lines, _, _ = asyncio.run(both_ends(TELNYX, "L16", 16000, tracks=("inbound", "outbound")))
    assert [role for role, _ in lines] == ["user", "agent", "agent"]


def test_an_agent_that_speaks_first_is_not_talked_over():
    body = {"firstSpeakerSettings": {"agent": {}}}
    _, _, lines, _, _ = asyncio.run(both_ends(TWILIO, "PCMU", 8000, body=body))
    assert lines == [("agent", GREETING), ("user", HELLO), ("agent", FAREWELL)]


@pytest.mark.parametrize(
    ("scenario", "roles"), [("mute", {"agent"}), ("voicemail", {"user", "agent"}), ("hangup-early", {"user"})]
)
def test_scenarios(scenario, roles):
    _, now, lines, _, _ = asyncio.run(both_ends(PLIVO, "L16", 16000, scenario=scenario))
    assert {role for role, _ in lines} == roles
    assert now["endReason"] == ("hangup" if scenario == "hangup-early" else "agent_hangup")


def test_speech_of_the_users_own_file_is_measured_not_invented():
    _, _, lines, tape, _ = asyncio.run(both_ends(TELNYX, "PCMA", 8000, callee_audio=tone_wav(440, 0.6)))
    assert lines[0] == ("user", "[speech, 0.6 s]")
    assert goertzel(loudest(bytes(tape.person), 8000), 8000, 440) > 0.9


def test_pressed_keys_reach_the_transcript():
    _, _, lines, _, _ = asyncio.run(both_ends(PLIVO, "PCMU", 8000, scenario="mute", digits="7",
                                              body={"firstSpeakerSettings": {"user": {}}}))  # fmt: skip
    assert lines[0] == ("user", "7")
