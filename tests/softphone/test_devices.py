"""Devices: files at any rate, pipes that stall, and a sound card that is played by a stand-in for PortAudio."""

from __future__ import annotations

import io
import os
import struct
import sys
import time
import wave
from pathlib import Path

import pytest
from support.sound_card import Card

from uvcall.core.audio import Pcm, level, write_wav
from uvcall.errors import LocalError
from uvcall.softphone import soundcard
from uvcall.softphone.devices import PipeSink, PipeSource, WavSink, WavSource
from uvcall.softphone.soundcard import Microphone, Speaker
from uvcall.softphone.tape import Tape

RATE = 16_000
PATIENCE_S = 30.0


def wait_for(wanted):
    until = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_a_file_at_any_rate_lasts_as_long_as_it_does(rate):
    source = WavSource(Pcm(b"\x00\x10" * rate, rate), RATE)
    pieces = 0
    while source.read(640) is not None:
        pieces += 1
    assert abs(pieces - 50) <= 1
    assert source.read(640) is None


def test_a_file_grows_while_it_is_written_and_can_be_read_at_every_time(tmp_path):
    path = tmp_path / "out.wav"
    sink = WavSink(path, RATE)
    sink.open(lambda size: b"\x01\x02" * (size // 2))
    for _ in range(120):
        sink.tick(320)
    with wave.open(str(path)) as file:
        assert file.getnframes() == RATE
    sink.close()
    sink.close()
    with wave.open(str(path)) as file:
        assert file.readframes(file.getnframes()) == b"\x01\x02" * (120 * 160)


def test_a_full_disk_is_told(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "out.wav").symlink_to(full)
    sink = WavSink(tmp_path / "out.wav", RATE)
    sink.open(bytes)
    with pytest.raises(LocalError, match="--output"):
        sink.tick(RATE * 4)
    sink.close()


def test_a_pipe_is_read_ahead_and_its_stalls_are_silence():
    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream:
        source = PipeSource(stream, RATE)
        source.open()
        assert source.read(640) == bytes(640)
        os.write(into, b"\x01\x01" * 400 + b"\x07")
        wait_for(lambda: len(source._kept) == 801)
        assert source.read(640) == b"\x01\x01" * 320
        assert source.read(640) == b"\x01\x01" * 80 + bytes(480)
        os.close(into)  # in the middle of a sample
        wait_for(lambda: source._ended)
        assert source.read(640) is None
        source.close()


def test_a_pipe_that_is_faster_than_life_is_not_read_at_once():
    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream, os.fdopen(into, "wb") as writer:
        source = PipeSource(stream, RATE)
        source.open()
        os.set_blocking(into, False)
        written = 0
        try:
            while written < 10_000_000:
                written += os.write(writer.fileno(), b"\x01\x01" * 4096)
        except BlockingIOError:
            pass
        assert written < 10_000_000
        assert source.read(640) is not None
        source.close()


def test_a_reader_that_leaves_is_told():
    out, into = os.pipe()
    os.close(out)
    with os.fdopen(into, "wb", buffering=0) as stream:
        sink = PipeSink(stream)
        sink.open(bytes)
        with pytest.raises(LocalError, match="--output -"):
            sink.tick(320)


def test_the_tape_has_both_sides_at_one_rate():
    tape = Tape(8000, RATE)
    for _ in range(50):
        tape.played(b"\x00\x20" * 320)
        tape.sent(b"\x00\x08" * 160)
    sink = io.BytesIO()
    tape.pour(sink)
    tape.close()
    sink.seek(0)
    with wave.open(sink) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 8000)
        samples = file.readframes(8000)
    left, right = (b"".join(samples[at + side : at + side + 2] for at in range(0, len(samples), 4)) for side in (0, 2))
    assert left == b"\x00\x08" * 8000
    assert level(right) == pytest.approx(0x2000, rel=0.02)


# -- the sound card


@pytest.fixture
def card(monkeypatch):
    def plug(**how):
        card = Card(**how)
        monkeypatch.setitem(sys.modules, "sounddevice", card)
        return card

    return plug


@pytest.mark.parametrize("rates", [(RATE,), (48_000,)])
def test_what_the_microphone_hears_is_read_in_time(card, rates):
    it = card(rates=rates)
    microphone = Microphone(None, RATE)
    microphone.open()
    (stream,) = it.streams
    assert (stream.rate, stream.started) == (rates[0], True)
    assert microphone.read(640) == bytes(640)  # nothing is in store yet
    for _ in range(100):
        stream.callback(b"\x00\x10" * stream.block, stream.block, None, None)
        if _ % 2:
            microphone.read(640)
    assert level(microphone.read(640)) == pytest.approx(0x1000, rel=0.05)
    for _ in range(100):  # the card's clock is fast: what is too much is dropped, not heard late
        stream.callback(b"\x00\x10" * stream.block, stream.block, None, None)
    microphone.read(640)
    assert len(microphone._kept) <= RATE * 2 * 0.12
    microphone.close()
    microphone.close()
    assert stream.started is False


@pytest.mark.parametrize("rates", [(RATE,), (48_000,)])
def test_the_speaker_fetches_what_it_plays(card, rates):
    it = card(rates=rates)
    speaker = Speaker("1", RATE)
    asked = []
    speaker.open(lambda size: (asked.append(size), b"\x00\x10" * (size // 2))[1])
    (stream,) = it.streams
    for _ in range(50):
        out = bytearray(stream.block * 2)
        stream.callback(out, stream.block, None, None)
    assert len(out) == stream.block * 2
    assert struct.unpack("<h", out[-2:])[0] == pytest.approx(0x1000, rel=0.05)
    assert sum(asked) / 2 / RATE == pytest.approx(0.5, abs=0.03)
    speaker.tick(640)
    speaker.close()


@pytest.mark.parametrize("device", [Microphone(None, RATE), Speaker(None, RATE)], ids=["microphone", "speaker"])
def test_a_card_that_calls_no_more_is_gone(card, device, monkeypatch):
    card()
    arguments = (bytes,) if isinstance(device, Speaker) else ()
    device.open(*arguments)
    monkeypatch.setattr(soundcard, "GONE_S", -1.0)
    with pytest.raises(LocalError, match="is gone"):
        device.read(640) if isinstance(device, Microphone) else device.tick(640)
    device.close()


@pytest.mark.parametrize("how", [{"missing": True}, {"rates": ()}])
def test_no_device_is_told_with_what_to_do(card, how):
    card(**how)
    with pytest.raises(LocalError, match="no microphone can be used") as caught:
        Microphone("nobody", RATE).open()
    assert "--devices" in caught.value.hint


def test_devices_are_listed(card):
    card()
    assert [(each.name, each.inputs, each.outputs, each.default) for each in soundcard.devices()] == [
        ("Mic", 1, 0, True),
        ("Out", 0, 2, True),
    ]


def test_without_the_extra_and_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(LocalError, match="extra") as caught:
        soundcard.load()
    assert "uvcall[audio]" in caught.value.hint

    class NoLibrary:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(LocalError, match="PortAudio") as caught:
        soundcard.load()
    assert "install" in caught.value.hint


def test_wav_files_are_read_as_they_come():
    """The formats and what is wrong with others: tests/core/test_audio.py."""
    source = WavSource(Pcm(write_wav(b"\x01\x00" * 10, RATE)[44:], RATE), RATE)
    assert source.read(40)[:20] == b"\x01\x00" * 10
