"""The softphone against a peer that does what it is told: every ending, every message, sound both ways."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import sys
import threading
import time
import wave
from pathlib import Path

import pytest
from aiohttp import web

from uvcall.core.audio import Pcm, level
from uvcall.core.talked import Parting
from uvcall.errors import ContractBroken, LocalError, ProviderRefused, Temporary
from uvcall.softphone import session as s
from uvcall.softphone.devices import Nowhere, Silence, WavSink, WavSource
from uvcall.softphone.tape import Tape
from uvcall.softphone.tools import client_tools

RATE = 16_000
PATIENCE_S = 30.0


def tone(seconds, hertz=440.0, rate=RATE, loud=8000):
    """Return a tone as PCM."""
    count = int(seconds * rate)
    return struct.pack(f"<{count}h", *(int(loud * math.sin(2 * math.pi * hertz * i / rate)) for i in range(count)))


def wait_for(wanted, what="it"):
    """Wait until it is so."""
    until = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < until, f"{what} has not come"
        time.sleep(0.005)


async def answered(it, number):
    """Ask for a tool that is not there and wait for the word: all that was sent before has been taken."""
    await it.say(type="client_tool_invocation", toolName="none", invocationId=str(number))
    await it.until(lambda it: len(it.of("client_tool_result")) == number)


async def frames(it, count):
    """Wait for so many frames of the client's."""
    have = len(it.heard)
    await it.until(lambda it: len(it.heard) >= have + count * 640)


def notes(call):
    return [news.text for news in call.news if isinstance(news, s.Note)]


def test_a_conversation_from_beginning_to_end(peer, ring, tmp_path):
    """The person's WAV arrives whole and in time, the agent's voice is in the file, the transcript is merged."""
    voice = tone(0.5)

    async def script(it):
        await it.start()
        await it.say(type="state", state="speaking")
        for start in range(0, len(voice), 640):
            await it.socket.send_bytes(voice[start : start + 640])
        for delta in ("Hello", ", who", " is there?"):
            await it.say(type="transcript", role="agent", medium="voice", ordinal=0, delta=delta, final=False, text="")
        await it.say(type="transcript", role="agent", medium="voice", ordinal=0, delta="", final=True)
        await it.say(type="state", state="listening")
        await it.until(lambda it: len(it.heard) >= RATE * 2)
        await it.say(type="transcript", role="user", medium="voice", ordinal=1, text="It is me.", final=True)
        await it.say(type="something_new", whatever=1)
        await it.socket.close()

    mine, out = tone(0.6, 660.0), tmp_path / "reply.wav"
    tape = Tape(RATE, RATE)
    call = ring(peer.plays(script), WavSource(Pcm(mine, RATE), RATE), WavSink(out, RATE), tape=tape)
    talked = call.result()
    assert (talked.parting, talked.error, talked.call_id) == (Parting.AGENT, None, "call-1")
    assert [(line.role, line.text) for line in talked.lines] == [
        ("agent", "Hello, who is there?"),
        ("user", "It is me."),
    ]
    assert talked.joined_at < talked.ended_at
    heard = bytes(peer.peers[0].heard)
    assert heard[: len(mine)] == mine
    assert level(heard[len(mine) :]) == 0
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert voice in file.readframes(file.getnframes())
    poured = io.BytesIO()
    tape.pour(poured)
    poured.seek(0)
    with wave.open(poured) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        both = file.readframes(file.getnframes())
    left = b"".join(both[at : at + 2] for at in range(0, len(both), 4))
    right = b"".join(both[at + 2 : at + 4] for at in range(0, len(both), 4))
    assert mine in left
    assert level(right) > 100
    assert notes(call) == ["Ultravox says something_new"]
    tape.close()


def test_hanging_up_says_so_and_leaves(peer, ring):
    async def script(it):
        await it.start()
        await it.until(lambda it: it.of("hang_up"))
        await it.socket.close()

    call = ring(peer.plays(script), leave_s=PATIENCE_S)
    wait_for(lambda: any(isinstance(news, s.Started) for news in call.news))
    call.phone.hang_up()
    talked = call.result()
    assert (talked.parting, talked.error) == (Parting.USER, None)


def test_a_peer_that_ignores_the_hang_up_is_left(peer, ring):
    async def script(it):
        await it.start()
        await it.until_gone()

    call = ring(peer.plays(script))
    wait_for(lambda: any(isinstance(news, s.Started) for news in call.news))
    call.phone.hang_up()
    assert call.result().parting is Parting.USER
    assert peer.peers[0].of("hang_up")


def test_hung_up_before_it_began(ring, peer):
    gate = threading.Event()

    async def never(_request):
        await asyncio.get_running_loop().run_in_executor(None, gate.wait, PATIENCE_S)
        return web.Response(status=404)

    call = ring(peer.answers(never))
    call.phone.hang_up()
    talked = call.result()
    gate.set()
    assert (talked.parting, talked.joined_at, talked.error) == (Parting.USER, None, None)


def test_clearing_drops_what_was_not_played(peer, ring):
    """The agent sends ten seconds at once; after the clear nothing of them is heard."""

    class Ear(Nowhere):
        def __init__(self):
            super().__init__()
            self.levels = []

        def tick(self, size):
            self.levels.append(level(self._pull(size)))

    ear, cleared = Ear(), threading.Event()

    async def script(it):
        await it.start()
        await it.socket.send_bytes(tone(10.0))
        await answered(it, 1)  # the client has it all
        await frames(it, 10)
        await it.say(type="playback_clear_buffer")
        await answered(it, 2)
        cleared.set()
        await frames(it, 20)
        await it.socket.close()

    talked = ring(peer.plays(script), sink=ear).result()
    assert cleared.is_set()
    assert talked.parting is Parting.AGENT
    loud = [index for index, one in enumerate(ear.levels) if one > 1000]
    assert 15 < len(loud) < 900  # of a thousand pieces
    assert max(loud) < len(ear.levels) - 30


def test_the_last_words_are_heard_although_the_socket_is_closed(peer, ring, tmp_path):
    voice = tone(0.8)

    async def script(it):
        await it.start()
        await it.socket.send_bytes(voice)
        await it.socket.close()

    out = tmp_path / "reply.wav"
    ring(peer.plays(script), sink=WavSink(out, RATE)).result()
    with wave.open(str(out)) as file:
        assert voice in file.readframes(file.getnframes())


def test_typed_words_reach_the_agent_also_those_typed_too_early(peer, ring):
    async def script(it):
        await it.start()
        await it.until(lambda it: len(it.of("user_text_message")) == 2)
        await it.socket.close()

    call = ring(peer.plays(script), writes=True)
    call.phone.say("first")
    call.phone.say("second")
    assert call.result().parting is Parting.AGENT
    messages = [message for message in peer.peers[0].messages if message["type"] != "ping"]
    assert [message["type"] for message in messages] == ["set_output_medium", "user_text_message", "user_text_message"]
    assert [message["text"] for message in messages[1:]] == ["first", "second"]


@pytest.mark.parametrize("half_duplex", [False, True])
def test_the_microphone_is_shut_when_it_is_to_be(peer, ring, half_duplex):
    class Noise(Silence):
        def read(self, size):
            return b"\x00\x20" * (size // 2)

    async def script(it):
        await it.start()
        if half_duplex:
            await it.socket.send_bytes(tone(20.0))
        await answered(it, 1)  # what comes after this answer was sent when the agent's sound was there
        it.heard.clear()
        await frames(it, 20)
        await it.socket.close(code=4000)

    ring(peer.plays(script), source=Noise(), half_duplex=half_duplex, muted=not half_duplex).result()
    heard = bytes(peer.peers[0].heard)
    assert len(heard) >= 20 * 640
    assert level(heard) == 0


def test_the_input_ends_and_so_does_the_call(peer, ring):
    async def script(it):
        await it.start()
        await it.until_gone()

    talked = ring(peer.plays(script), WavSource(Pcm(tone(0.1), RATE), RATE), linger_s=0.3).result()
    assert (talked.parting, talked.error) == (Parting.USER, None)


def test_tools_are_run_and_their_failures_told(peer, ring):
    async def script(it):
        await it.start()
        for number, name in enumerate(("echo", "fails", "unknown")):
            await it.say(type="client_tool_invocation", toolName=name, invocationId=str(number), parameters={"a": "ü"})
        await it.until(lambda it: len(it.of("client_tool_result")) == 3)
        await it.socket.close()

    echo = f"echo={sys.executable} -c 'import sys; print(sys.stdin.read())'"
    fails = f"fails={sys.executable} -c 'import sys; sys.exit(\"no luck\")'"
    call = ring(peer.plays(script), tools=client_tools([echo, fails]), tool_limit_s=PATIENCE_S)
    assert call.result().parting is Parting.AGENT
    results = {message["invocationId"]: message for message in peer.peers[0].of("client_tool_result")}
    assert results["0"]["result"] == '{"a": "ü"}'
    assert (results["1"]["errorType"], results["1"]["errorMessage"]) == (
        "implementation-error",
        "fails: ended with exit code 1",
    )
    assert results["2"]["errorType"] == "undefined"
    assert "the tool fails ended with exit code 1: no luck" in notes(call)


def test_a_recording_that_fails_ends_alone(peer, ring):
    class Full(Tape):
        def sent(self, samples):
            raise OSError(28, "No space left on device")

    async def script(it):
        await it.start()
        await frames(it, 3)
        await it.socket.close()

    tape = Full(RATE, RATE)
    call = ring(peer.plays(script), tape=tape)
    assert call.result().parting is Parting.AGENT
    assert notes(call) == ["the recording ends here: No space left on device"]
    tape.close()


def test_a_machine_that_stood_still_goes_on_from_now(peer, ring):
    """A lid was closed: what was not said meanwhile is not said afterwards."""

    class Lid(Silence):
        reads = 0

        def read(self, size):
            self.reads += 1
            if self.reads == 5:
                time.sleep(1.3)  # the whole process stands still
            return bytes(size)

    async def script(it):
        await it.start()
        await frames(it, 20)
        await it.socket.close()

    call = ring(peer.plays(script), source=Lid())
    call.result()
    assert any("stood still" in note for note in notes(call))


# -- peers as they should not be


STATUSES = {400: ProviderRefused, 401: ProviderRefused, 404: ProviderRefused, 409: ProviderRefused,
            410: ProviderRefused, 200: ProviderRefused, 429: Temporary, 503: Temporary}  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_a_join_url_that_is_refused(peer, ring, status, kind):
    async def refuse(_request):
        return web.Response(status=status, text="no")

    url = peer.answers(refuse)
    talked = ring(url).result()
    assert type(talked.error) is kind
    assert talked.error.status == status
    assert talked.error.hint
    assert talked.joined_at is None
    assert url.reveal() not in talked.error.message + talked.error.hint


def test_a_redirect_is_not_followed(peer, ring):
    async def elsewhere(_request):
        raise web.HTTPFound("http://127.0.0.1:1/elsewhere")

    talked = ring(peer.answers(elsewhere)).result()
    assert isinstance(talked.error, ProviderRefused)
    assert "redirect" in talked.error.message


def test_nobody_listens_there(peer, ring):
    url = peer.url
    peer.close()
    talked = ring(url).result()
    assert isinstance(talked.error, Temporary)
    assert "cannot be reached" in talked.error.message


def test_closed_before_it_began(peer, ring):
    async def script(it):
        await it.socket.close(code=4001, message=b"expired")

    talked = ring(peer.plays(script)).result()
    assert isinstance(talked.error, ProviderRefused)
    assert "code 4001: expired" in talked.error.message


def test_nothing_ever_comes(peer, ring):
    async def script(it):
        await it.until_gone()

    talked = ring(peer.plays(script), silent_s=0.3).result()
    assert (talked.parting, talked.error) == (Parting.SILENT, None)


SAID = {"type": "transcript", "role": "agent", "medium": "voice", "ordinal": 0, "text": "Hello.", "final": True}


async def _garbage(it):
    for _ in range(30):
        await it.socket.send_str("}{")
    await it.until_gone()


async def _too_large(it):
    await it.socket.send_bytes(bytes((1 << 22) + 2))
    await it.until_gone()


async def _not_utf8(it):
    it.request.transport.write(b"\x81\x02\xff\xff")
    await it.until_gone()


async def _cut(it):
    it.request.transport.abort()


async def _bad_code(it):
    await it.socket.close(code=1011, message=b"server trouble")


async def _odd(it):
    await it.socket.send_bytes(b"\x01\x02\x03")
    await it.socket.send_bytes(b"\x01")
    await it.socket.send_bytes(b"")
    await it.socket.close()


BAD = {
    _garbage: (ContractBroken, Parting.USER, "20 messages cannot be read"),
    _too_large: (None, Parting.BROKEN, "larger than"),
    _not_utf8: (None, Parting.BROKEN, "not WebSocket"),
    _cut: (None, Parting.BROKEN, "lost"),
    _bad_code: (None, Parting.BROKEN, "code 1011: server trouble"),
    _odd: (None, Parting.AGENT, "code 1000"),
}


@pytest.mark.parametrize(("does", "expected"), BAD.items(), ids=lambda case: getattr(case, "__name__", ""))
def test_what_was_said_is_kept_whatever_comes(peer, ring, does, expected):
    async def script(it):
        await it.start()
        await it.say(**SAID)
        await does(it)

    talked = ring(peer.plays(script)).result()
    kind, parting, words = expected
    assert (type(talked.error) if talked.error else None, talked.parting) == (kind, parting)
    assert words in (talked.error.message if talked.error else talked.words)
    assert [line.text for line in talked.lines] == ["Hello."]


def test_a_socket_that_stops_is_noticed(peer, ring):
    """The peer's process lives and its loop does not: not even a pong comes."""
    woken = threading.Event()

    async def script(it):
        await it.start()
        await it.say(**SAID)
        await it.until(lambda it: it.heard)
        woken.wait(PATIENCE_S)  # blocks the peer's loop on purpose

    call = ring(peer.plays(script), heartbeat_s=0.8)
    talked = call.result()
    woken.set()
    assert (talked.parting, talked.words) == (Parting.BROKEN, "the socket has gone silent")
    assert [line.text for line in talked.lines] == ["Hello."]


@pytest.mark.parametrize("where", ["source", "sink"])
def test_a_device_that_vanishes_ends_the_call_and_keeps_the_words(peer, ring, where):
    class Gone(Nowhere if where == "sink" else Silence):
        ticks = 0

        def _one(self, size):
            self.ticks += 1
            if self.ticks > 20:
                raise LocalError("the microphone is gone", hint="plug it in")
            return bytes(size)

        tick = read = _one

    async def script(it):
        await it.start()
        await it.say(**SAID)
        await it.until_gone()

    talked = ring(peer.plays(script), **{where: Gone()}).result()
    assert isinstance(talked.error, LocalError)
    assert [line.text for line in talked.lines] == ["Hello."]
    assert talked.joined_at is not None


def test_a_device_that_is_not_there_joins_nothing(peer, ring):
    class Missing(Silence):
        def open(self):
            raise LocalError("no microphone", hint="plug one in")

    async def script(it):
        await it.until_gone()

    talked = ring(peer.plays(script), Missing()).result()
    assert isinstance(talked.error, LocalError)
    assert peer.peers == []


def test_a_flood_of_sound_is_bounded(peer, ring):
    async def script(it):
        await it.start()
        for _ in range(60):
            await it.socket.send_bytes(bytes(RATE * 2 * 4))
        await it.socket.close(code=4000)

    call = ring(peer.plays(script), buffer_s=0.1)
    assert call.result().parting is Parting.BROKEN
    assert any("more of the agent's voice" in note for note in notes(call))


def test_the_file_cannot_be_written(ring, peer, tmp_path):
    async def script(it):
        await it.until_gone()

    talked = ring(peer.plays(script), sink=WavSink(tmp_path / "no" / "such.wav", RATE)).result()
    assert isinstance(talked.error, LocalError)
    assert Path(tmp_path / "no").exists() is False
