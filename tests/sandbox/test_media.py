"""The carrier's side of a stream, met by an agent of somebody else's making over real sockets."""

import asyncio
import base64
import json
import time

import pytest
from aiohttp import web
from support.stage import Desk, goertzel, loudest, make_leg, make_world, on_wire, serving, tone, tone_wav

from uvcall.core.audio import frame_bytes, level
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import media
from uvcall.sandbox.recording import tapes
from uvcall.sandbox.world import StreamSpec

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO
CODECS = [
    (TELNYX, "L16", 16000),
    (TELNYX, "PCMU", 8000),
    (TELNYX, "PCMA", 8000),
    (TWILIO, "PCMU", 8000),
    (PLIVO, "L16", 16000),
    (PLIVO, "L16", 8000),
    (PLIVO, "PCMU", 8000),
]
EACH = [(TELNYX, "L16", 16000), (TWILIO, "PCMU", 8000), (PLIVO, "L16", 16000)]


def play(provider, encoding, rate, samples, stream_id):
    payload = base64.b64encode(on_wire(encoding, samples)).decode()
    if provider is PLIVO:
        kind = {"L16": "audio/x-l16", "PCMU": "audio/x-mulaw"}[encoding]
        return json.dumps(
            {"event": "playAudio", "media": {"contentType": kind, "sampleRate": rate, "payload": payload}}
        )
    more = {"streamSid": stream_id} if provider is TWILIO else {}
    return json.dumps({"event": "media", **more, "media": {"payload": payload}})


def mark(provider, name, stream_id):
    if provider is PLIVO:
        return json.dumps({"event": "checkpoint", "streamId": stream_id, "name": name})
    more = {"streamSid": stream_id} if provider is TWILIO else {}
    return json.dumps({"event": "mark", **more, "mark": {"name": name}})


def clear(provider, stream_id):
    event = {TELNYX: {"event": "clear"}, TWILIO: {"event": "clear", "streamSid": stream_id}}
    return json.dumps(event.get(provider, {"event": "clearAudio", "streamId": stream_id}))


def stream_id_of(event):
    return event.get("stream_id") or event.get("streamSid") or event["start"].get("streamId")


def marks(desk):
    return [m["name"] if m["event"] == "playedStream" else m["mark"]["name"]
            for m in desk.messages if m["event"] in {"mark", "playedStream"}]  # fmt: skip


def on_start(action):
    """Do something once, when the stream has started."""

    async def behave(desk, socket, event):
        if event["event"] == "start":
            await action(desk, socket, stream_id_of(event))

    return behave


async def carry(provider, encoding, rate, desk, *, seconds, scenario="mute", tracks=("inbound",), spec=None, **options):
    """Hold a stream open until so many seconds of sound have come, then end the leg."""
    world = make_world(speed=options.pop("speed", 20), **options)
    leg = make_leg(world, provider, scenario)
    desk.enough_frames = round(seconds * 50) * len(tracks)
    async with serving(desk.routes()) as base:
        more = spec or {}
        order = StreamSpec(base.replace("http", "ws") + "/agent", encoding, rate, tracks, **more)
        running = asyncio.create_task(media.stream(world, leg, order))
        enough = asyncio.create_task(desk.enough.wait())
        await asyncio.wait({running, enough}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        leg.over.set()
        end = await running
        if desk.headers:
            await asyncio.wait_for(desk.ended.wait(), 2)
    return world, leg, end


def run(*args, **kwargs):
    return asyncio.run(carry(*args, **kwargs))


@pytest.mark.parametrize(("provider", "encoding", "rate"), CODECS)
def test_frames_are_twenty_milliseconds_and_carry_the_callees_tone(provider, encoding, rate):
    desk = Desk()
    run(provider, encoding, rate, desk, seconds=2, scenario="answer", callee_audio=tone_wav(440, 0.8))
    frames = desk.named("media")
    assert len(frames) > 70
    assert {len(base64.b64decode(frame["media"]["payload"])) for frame in frames} == {frame_bytes(encoding, rate)}
    heard = loudest(desk.sound(encoding), rate)
    assert goertzel(heard, rate, 440) > 0.9
    assert goertzel(heard, rate, 660) < 0.05


@pytest.mark.parametrize(("provider", "encoding", "rate"), CODECS)
def test_the_person_hears_the_agents_tone(provider, encoding, rate):
    async def speak(desk, socket, stream_id):
        await socket.send_str(play(provider, encoding, rate, tone(660, 0.6, rate), stream_id))

    world, leg, _ = run(provider, encoding, rate, Desk(on_start(speak)), seconds=1.5)
    tape = tapes(world).legs[leg.id]
    assert goertzel(loudest(bytes(tape.agent), rate), rate, 660) > 0.9
    assert level(bytes(tape.person)) <= 8
    (stopped,) = [event for event in world.history.events if event["type"] == "media.stopped"]
    assert stopped["frames_played"] == 30
    assert stopped["messages_received"] == 1


def test_twilio_messages_have_strings_for_numbers():
    desk = Desk()
    _, leg, _ = run(TWILIO, "PCMU", 8000, desk, seconds=0.5, spec={"parameters": {"k": "v"}})
    connected, start, *frames, stop = desk.messages
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["callSid"] == leg.id
    assert start["start"]["tracks"] == ["inbound"]
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert start["start"]["customParameters"] == {"k": "v"}
    assert start["streamSid"] == start["start"]["streamSid"]
    assert start["streamSid"].startswith("MZ")
    assert [frame["media"]["chunk"] for frame in frames] == [str(n + 1) for n in range(len(frames))]
    assert [frame["media"]["timestamp"] for frame in frames] == [str(20 * n) for n in range(len(frames))]
    assert [frame["sequenceNumber"] for frame in frames] == [str(n + 2) for n in range(len(frames))]
    assert stop["event"] == "stop"
    assert stop["stop"]["callSid"] == leg.id


def test_telnyx_says_who_called_whom():
    desk = Desk()
    _, leg, _ = run(TELNYX, "L16", 16000, desk, seconds=0.5)
    connected, start, *frames, stop = desk.messages
    assert connected["event"] == "connected"
    assert start["start"]["call_control_id"] == leg.id
    assert start["start"]["call_session_id"] == "session-1"
    assert (start["start"]["from"], start["start"]["to"]) == (leg.from_, leg.to)
    assert start["start"]["media_format"] == {"encoding": "L16", "sample_rate": 16000, "channels": 1}
    assert {frame["stream_id"] for frame in frames} == {start["stream_id"]}
    assert isinstance(frames[0]["media"]["chunk"], str)
    assert stop["event"] == "stop"


def test_plivo_has_integers_and_neither_connected_nor_stop():
    desk = Desk()
    before = time.time()
    _, leg, _ = run(PLIVO, "L16", 16000, desk, seconds=0.5)
    start, *frames = desk.messages
    assert start["event"] == "start"
    assert start["start"]["callId"] == leg.id
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-l16", "sampleRate": 16000}
    assert {frame["event"] for frame in frames} == {"media"}
    assert [frame["media"]["chunk"] for frame in frames] == list(range(1, len(frames) + 1))
    assert abs(int(frames[0]["media"]["timestamp"]) / 1000 - before) < 30
    assert desk.close_code == 1000


def test_both_tracks_send_the_agents_voice_back():
    async def speak(desk, socket, stream_id):
        await socket.send_str(play(TELNYX, "L16", 16000, tone(660, 0.5, 16000), stream_id))

    desk = Desk(on_start(speak))
    run(TELNYX, "L16", 16000, desk, seconds=2, scenario="answer", tracks=("inbound", "outbound"),
        callee_audio=tone_wav(440, 0.4))  # fmt: skip
    tracks = [frame["media"]["track"] for frame in desk.named("media")]
    assert tracks[:4] == ["inbound", "outbound"] * 2
    assert goertzel(loudest(desk.sound("L16", "outbound"), 16000), 16000, 660) > 0.9
    assert goertzel(loudest(desk.sound("L16", "inbound"), 16000), 16000, 440) > 0.9


@pytest.mark.parametrize("speed", [1, 4])
def test_fifty_frames_a_second(speed):
    desk = Desk()
    run(TWILIO, "PCMU", 8000, desk, seconds=1.3, speed=speed)
    times = [at for at, message in zip(desk.times, desk.messages, strict=True) if message["event"] == "media"]
    assert (len(times) - 1) / ((times[-1] - times[0]) * speed) == pytest.approx(50, rel=0.08)


def test_a_stall_is_followed_by_no_burst():
    stalled = 0.0

    async def stall(desk, socket, event):
        nonlocal stalled
        if len(desk.messages) == 20:
            time.sleep(0.3)  # noqa: ASYNC251  # the whole process hangs, as in a garbage collection
            stalled = desk.times[-1] + 0.3

    desk = Desk(stall)
    run(TWILIO, "PCMU", 8000, desk, seconds=1.2, speed=1)
    soon = [at for at in desk.times if stalled <= at < stalled + 0.05]
    later = [at for at in desk.times if at >= stalled + 0.05]
    assert len(soon) <= 6
    assert len(later) > 15


@pytest.mark.parametrize(("provider", "encoding", "rate"), EACH)
def test_a_mark_comes_back_when_it_is_played_and_not_before(provider, encoding, rate):
    frames_before = {}

    async def behave(desk, socket, event):
        if event["event"] == "start":
            stream_id = stream_id_of(event)
            await socket.send_str(mark(provider, "nothing before me", stream_id))
            await socket.send_str(play(provider, encoding, rate, tone(500, 0.5, rate), stream_id))
            await socket.send_str(mark(provider, "half", stream_id))
            await socket.send_str(play(provider, encoding, rate, tone(500, 0.5, rate), stream_id))
            await socket.send_str(mark(provider, "whole", stream_id))
        for name in marks(desk):
            frames_before.setdefault(name, len(desk.named("media")))

    desk = Desk(behave)
    run(provider, encoding, rate, desk, seconds=2)
    assert marks(desk) == ["nothing before me", "half", "whole"]
    assert frames_before["nothing before me"] <= 5
    assert 25 <= frames_before["half"] <= 32
    assert frames_before["whole"] - frames_before["half"] == 25


@pytest.mark.parametrize(("provider", "encoding", "rate"), EACH)
def test_clear_drops_what_was_not_played(provider, encoding, rate):
    async def behave(desk, socket, event):
        if event["event"] == "start":
            desk.stream = stream_id_of(event)
            for _ in range(3):  # Plivo takes no message of more than 64 KB
                await socket.send_str(play(provider, encoding, rate, tone(500, 1, rate), desk.stream))
            await socket.send_str(mark(provider, "end", desk.stream))
        if event["event"] == "media" and len(desk.named("media")) == 15:
            await socket.send_str(clear(provider, desk.stream))

    desk = Desk(behave)
    world, leg, _ = run(provider, encoding, rate, desk, seconds=1.5)
    heard = bytes(tapes(world).legs[leg.id].agent)
    assert level(heard[: rate // 5]) > 2000
    assert level(heard[-rate:]) == 0
    if provider is PLIVO:
        assert marks(desk) == []
        assert len(desk.named("clearedAudio")) == 1
    else:
        assert marks(desk) == ["end"]
        assert len(desk.named("media")) > 40


def test_plivo_audio_says_its_own_format():
    async def speak(desk, socket, stream_id):
        await socket.send_str(play(PLIVO, "PCMU", 8000, tone(660, 0.5, 8000), stream_id))

    world, leg, _ = run(PLIVO, "L16", 16000, Desk(on_start(speak)), seconds=1)
    assert goertzel(loudest(bytes(tapes(world).legs[leg.id].agent), 16000), 16000, 660) > 0.9


def test_telnyx_takes_the_agents_voice_in_the_codec_that_the_order_named():
    async def speak(desk, socket, stream_id):
        await socket.send_str(play(TELNYX, "PCMU", 8000, tone(660, 0.5, 8000), stream_id))

    spec = {"agent_encoding": "PCMU", "agent_sample_rate": 8000}
    world, leg, _ = run(TELNYX, "L16", 16000, Desk(on_start(speak)), seconds=1, spec=spec)
    assert goertzel(loudest(bytes(tapes(world).legs[leg.id].agent), 16000), 16000, 660) > 0.9
    world, leg, _ = run(TELNYX, "L16", 16000, Desk(on_start(speak)), seconds=1)
    noise = loudest(bytes(tapes(world).legs[leg.id].agent), 16000, 0.1)
    assert goertzel(noise, 16000, 660) < 0.3


def test_plivos_buffer_has_an_end():
    async def flood(desk, socket, stream_id):
        for _ in range(90):
            await socket.send_str(play(PLIVO, "PCMU", 8000, tone(500, 0.5, 8000), stream_id))

    world, _, _ = run(PLIVO, "PCMU", 8000, Desk(on_start(flood)), seconds=0.2, speed=1)
    overflows = [event for event in world.history.events if event["type"] == "media.overflow"]
    assert 8 <= len(overflows) <= 10
    assert overflows[0]["buffered_s"] > 39


def test_twilio_closes_on_nonsense():
    for nonsense in ("{", "[]", '{"event":"media","streamSid":"MZ00","media":{"payload":"!"}}', '{"no":"event"}'):
        desk = Desk(on_start(lambda _, socket, __, text=nonsense: socket.send_str(text)))
        _, _, end = run(TWILIO, "PCMU", 8000, desk, seconds=20)
        assert (end.how, end.detail) == ("broken", "31951")
    desk = Desk(on_start(lambda _, socket, __: socket.send_str(play(TWILIO, "PCMU", 8000, b"", "MZ" + "f" * 32))))
    assert run(TWILIO, "PCMU", 8000, desk, seconds=20)[2].detail == "31951"


@pytest.mark.parametrize(
    ("nonsense", "code", "title"),
    [
        ("{", 100003, "malformed_frame"),
        ('{"event":1}', 100003, "malformed_frame"),
        ('{"event":"media","media":{"payload":"?"}}', 100004, "invalid_media"),
    ],
)
def test_telnyx_answers_nonsense_and_goes_on(nonsense, code, title):
    desk = Desk(on_start(lambda _, socket, __: socket.send_str(nonsense)))
    _, _, end = run(TELNYX, "PCMU", 8000, desk, seconds=0.6)
    (error,) = desk.named("error")
    assert (error["payload"]["code"], error["payload"]["title"]) == (code, title)
    assert end.how == "leg"


def test_telnyx_plays_nothing_in_one_way_mode_and_limits_the_rate():
    async def flood(desk, socket, stream_id):
        for _ in range(3):
            await socket.send_str(play(TELNYX, "PCMU", 8000, tone(500, 0.1, 8000), stream_id))

    desk = Desk(on_start(flood))
    world, leg, _ = run(TELNYX, "PCMU", 8000, desk, seconds=0.6, spec={"bidirectional": False})
    assert [error["payload"]["code"] for error in desk.named("error")] == [100005, 100005]
    assert level(bytes(tapes(world).legs[leg.id].agent)) == 0


@pytest.mark.parametrize(("provider", "encoding", "rate"), EACH)
def test_keys_are_reported(provider, encoding, rate):
    desk = Desk()
    run(provider, encoding, rate, desk, seconds=2, digits="4#")
    assert [event["dtmf"]["digit"] for event in desk.named("dtmf")] == ["4", "#"]


@pytest.mark.parametrize(("provider", "encoding", "rate"), EACH)
def test_the_agent_may_close(provider, encoding, rate):
    _, leg, end = run(provider, encoding, rate, Desk(on_start(lambda _, socket, __: socket.close())), seconds=60)
    assert end.how == "agent"
    assert leg.cause is None


def test_a_lost_socket_is_broken():
    async def abort(desk, socket, stream_id):
        desk.transport.abort()

    _, _, end = run(TWILIO, "PCMU", 8000, Desk(on_start(abort)), seconds=60)
    assert end.how == "broken"


@pytest.mark.parametrize(("provider", "attempts"), [(TELNYX, 1), (TWILIO, 1), (PLIVO, 3)])
def test_a_refused_handshake(provider, attempts):
    desk = Desk(refuse=503)
    world, _, end = run(provider, "PCMU", 8000, desk, seconds=60)
    assert (end.how, end.detail) == ("refused", "HTTP 503")
    assert desk.attempts == attempts
    assert [event["type"] for event in world.history.events] == ["media.refused"]


def test_a_redirected_handshake_is_not_followed():
    async def dial_elsewhere():
        world, desk = make_world(speed=20), Desk()

        async def elsewhere(request):
            raise web.HTTPFound("/agent")

        async with serving([*desk.routes(), web.get("/old", elsewhere)]) as base:
            spec = StreamSpec(base.replace("http", "ws") + "/old", "PCMU", 8000)
            return await media.stream(world, make_leg(world, TWILIO), spec), desk

    end, desk = asyncio.run(dial_elsewhere())
    assert end.how == "refused"
    assert desk.attempts == 0


def test_nobody_listens_there():
    async def dial_nowhere():
        world = make_world(speed=20)
        return await media.stream(world, make_leg(world, TWILIO), StreamSpec("ws://127.0.0.1:9/agent", "PCMU", 8000))

    assert asyncio.run(dial_nowhere()).how == "refused"


def test_a_leg_that_is_over_opens_nothing():
    async def dial_late():
        world = make_world(speed=20)
        leg = make_leg(world, TWILIO)
        leg.over.set()
        return await media.stream(world, leg, StreamSpec("ws://127.0.0.1:9/agent", "PCMU", 8000))

    assert asyncio.run(dial_late()).how in {"leg", "refused"}


def test_the_callee_hangs_up_by_itself():
    world, leg, end = run(TWILIO, "PCMU", 8000, Desk(), seconds=60, scenario="hangup-early")
    assert end.how == "leg"
    assert (leg.cause, leg.end_source) == (Cause.NORMAL, "callee")
    assert world.pace.elapsed() < 10


def test_the_handshake_carries_the_carriers_headers_and_word_of_it_gets_out():
    desk, opened = Desk(), []
    run(TWILIO, "PCMU", 8000, desk, seconds=0.2,
        spec={"headers": {"X-Twilio-Signature": "abc="}, "opened": lambda: opened.append(True),
              "stream_id": "MZ" + "1" * 32})  # fmt: skip
    assert desk.named("start")[0]["streamSid"] == "MZ" + "1" * 32
    assert desk.headers["X-Twilio-Signature"] == "abc="
    assert opened == [True]


def test_cancelling_closes_the_socket():
    async def cancel():
        world, desk = make_world(speed=20), Desk()
        async with serving(desk.routes()) as base:
            spec = StreamSpec(base.replace("http", "ws") + "/agent", "PCMU", 8000)
            running = asyncio.create_task(media.stream(world, make_leg(world, TWILIO), spec))
            await asyncio.wait({running}, timeout=0.05)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            await asyncio.wait_for(desk.ended.wait(), 2)
        assert len(desk.messages) > 5
        return world

    world = asyncio.run(cancel())
    assert [event["type"] for event in world.history.events] == ["media.started", "media.stopped"]
