import math
import struct
import wave
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import goertzel, tone

from uvcall.core import audio
from uvcall.errors import UsageError


def wav(samples: bytes, *, rate=16000, width=2, channels=1) -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA", "L16"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_tone_keeps_its_frequency_through_each_codec(encoding, rate):
    there = audio.encode(encoding, tone(440, 0.5, rate))
    back = audio.decode(encoding, there)
    assert len(there) == int(0.5 * rate) * audio.SAMPLE_BYTES[encoding]
    assert goertzel(back, rate, 440) > 0.95
    assert goertzel(back, rate, 700) < 0.05


@given(st.binary(max_size=400))
@settings(max_examples=50)
def test_g711_bytes_survive_both_ways(payload):
    # 0x7F and 0xFF of mu-law both mean zero: the one that comes back may be the other.
    again = audio.encode("PCMU", audio.decode("PCMU", payload))
    assert again.replace(b"\x7f", b"\xff") == payload.replace(b"\x7f", b"\xff")
    assert audio.encode("PCMA", audio.decode("PCMA", payload)) == payload


@given(st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2]))
@settings(max_examples=50)
def test_l16_is_little_endian_unless_asked_otherwise(samples):
    assert audio.decode("L16", samples) == samples
    swapped = audio.encode("L16", samples, big_endian=True)
    assert struct.unpack(f">{len(samples) // 2}h", swapped) == struct.unpack(f"<{len(samples) // 2}h", samples)
    assert audio.decode("L16", swapped, big_endian=True) == samples


def test_half_a_sample_is_dropped():
    assert audio.decode("L16", b"\1\2\3") == b"\1\2"


@pytest.mark.parametrize(
    ("encoding", "rate", "size"), [("PCMU", 8000, 160), ("PCMA", 8000, 160), ("L16", 8000, 320), ("L16", 16000, 640)]
)
def test_frames_have_the_carriers_size(encoding, rate, size):
    assert audio.frame_bytes(encoding, rate) == size
    assert audio.level(audio.decode(encoding, audio.silence(encoding, size))) <= 8


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 16000), (16000, 8000), (44100, 8000), (22050, 16000)])
def test_resampling_in_pieces_equals_resampling_at_once(from_rate, to_rate):
    sound = tone(440, 0.4, from_rate)
    whole, _ = audio.resample(sound, audio.Resampling(from_rate, to_rate))
    at = audio.Resampling(from_rate, to_rate)
    pieces = []
    for piece in audio.frames(sound[: len(sound) // 640 * 640], 640):
        out, at = audio.resample(piece, at)
        pieces.append(out)
    joined = b"".join(pieces)
    assert joined == whole[: len(joined)]
    assert len(whole) == pytest.approx(0.4 * to_rate * 2, abs=8)
    assert goertzel(whole, to_rate, 440) > 0.95


def test_the_resampler_softens_what_the_lower_rate_cannot_hold():
    # 7 kHz folds down to 1 kHz when every second sample is just left out.
    sound = tone(7000, 0.2, 16000)
    softened = audio.at_rate(audio.Pcm(sound, 16000), 8000)
    plain = b"".join(sound[at : at + 2] for at in range(0, len(sound), 4))
    assert audio.level(softened.samples) < 0.5 * audio.level(plain)


def test_level_mix_and_stereo():
    loud = struct.pack("<4h", 1000, -1000, 1000, -1000)
    assert audio.level(loud) == 1000
    assert audio.level(b"") == 0
    assert audio.mix(loud, loud) == struct.pack("<4h", 2000, -2000, 2000, -2000)
    assert audio.mix(struct.pack("<h", 32000), struct.pack("<h", 32000)) == struct.pack("<h", 32767)
    assert struct.unpack("<6h", audio.stereo(struct.pack("<3h", 1, 2, 3), struct.pack("<1h", 9))) == (1, 9, 2, 0, 3, 0)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_every_integer_wav_is_read(width, channels, rate):
    values = [int(0.3 * (1 << (8 * width - 1)) * math.sin(2 * math.pi * 440 * n / rate)) for n in range(rate // 5)]
    raw = b"".join(
        ((value + 128).to_bytes(1, "little") if width == 1 else value.to_bytes(width, "little", signed=True)) * channels
        for value in values
    )
    sound = audio.read_wav(wav(raw, rate=rate, width=width, channels=channels))
    assert sound.rate == rate
    assert sound.seconds == pytest.approx(0.2, abs=0.001)
    assert goertzel(sound.samples, rate, 440) > 0.9
    assert audio.level(sound.samples) == pytest.approx(0.3 * 32768 / math.sqrt(2), rel=0.05)


def test_a_written_wav_is_read_back():
    sound = tone(300, 0.1, 8000)
    assert audio.read_wav(audio.write_wav(sound, 8000)) == audio.Pcm(sound, 8000)


def test_a_wav_from_a_pipe_has_no_true_size():
    data = bytearray(wav(tone(300, 0.1, 8000), rate=8000))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    assert audio.read_wav(bytes(data)).seconds == pytest.approx(0.1)


def float_wav() -> bytes:
    data = struct.pack("<100f", *(0.1,) * 100)
    form = struct.pack("<HHIIHH", 3, 1, 8000, 32000, 4, 32)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + \
        struct.pack("<I", len(data)) + data  # fmt: skip


GOOD = wav(tone(300, 0.1, 8000), rate=8000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"ID3\x04" + b"\0" * 100, "but an MP3"),
        (b"\xff\xfb\x90\x00" + b"\0" * 100, "but an MP3"),
        (b"OggS" + b"\0" * 100, "but an Ogg"),
        (b"fLaC" + b"\0" * 100, "but a FLAC"),
        (b"\0\0\0\x20ftypM4A ", "but an MP4"),
        (b"hello", "not a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "damaged or cut short"),
        (GOOD[:30], "damaged or cut short"),
        (GOOD[:500], "cut short"),
        (wav(b""), "holds no sound"),
        (wav(b"\0\0" * 30, channels=3), "3 channels"),
        (wav(b"\0\0" * 30, rate=100), "at 100 Hz"),
        (float_wav(), "floating-point or compressed"),
    ],
)
def test_what_is_not_a_readable_wav_is_refused_in_one_line(data, words):
    with pytest.raises(UsageError) as caught:
        audio.read_wav(data)
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@given(st.binary(max_size=120), st.integers(0, 60))
@settings(max_examples=150)
def test_no_file_brings_the_reader_down(noise, at):
    for data in (noise, b"RIFF" + noise, GOOD[:at] + noise + GOOD[at + len(noise) :]):
        try:
            sound = audio.read_wav(data)
        except UsageError:
            continue
        assert sound.samples
