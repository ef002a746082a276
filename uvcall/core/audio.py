"""Sound as values: G.711 and L16 to and from PCM, resampling, 20 ms frames, levels, WAV files.

PCM in this project is 16-bit signed, little-endian, mono, in `bytes`. Nothing here keeps state of its own: a
resampler's state is a value that goes in and comes out.
"""

from __future__ import annotations

import audioop
import io
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from uvcall.errors import UsageError

#: Seconds of one frame. Carriers stream 20 ms at a time: 160 bytes of G.711, 640 bytes of L16 at 16,000 Hz.
#: https://www.twilio.com/docs/voice/media-streams/websocket-messages
FRAME_S: Final = 0.02

#: Bytes of one sample on the wire.
SAMPLE_BYTES: Final = {"PCMU": 1, "PCMA": 1, "L16": 2}

#: What "nothing is said" looks like on the wire, one byte.
_SILENCE: Final = {"PCMU": b"\xff", "PCMA": b"\xd5", "L16": b"\x00"}

_BIG_ENDIAN: Final = struct.pack("=H", 1) == b"\0\1"

_WAV_HINT: Final = "convert it, for example: sox input -r 16000 -b 16 -c 1 output.wav"
_MAX_RATE: Final = 192_000

#: A program that writes a WAV into a pipe cannot know its size, and claims about 2 or 4 GB.
_UNKNOWN_SIZE: Final = 0x7FFF_0000


@dataclass(frozen=True, slots=True)
class Pcm:
    """A piece of sound: 16-bit little-endian mono samples, at `rate` samples per second."""

    samples: bytes
    rate: int

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return len(self.samples) / 2 / self.rate


def frame_bytes(encoding: str, rate: int) -> int:
    """Return the size of one 20 ms frame on the wire."""
    return int(rate * FRAME_S) * SAMPLE_BYTES[encoding]


def silence(encoding: str, count: int) -> bytes:
    """Return `count` bytes of silence as they look on the wire."""
    return _SILENCE[encoding] * count


def decode(encoding: str, payload: bytes, *, big_endian: bool = False) -> bytes:
    """Return the PCM of what stood on the wire. An odd last byte of L16 is dropped.

    `big_endian` concerns L16 only: RFC 3551 has it in network order, the carriers' JSON streams as a rule have not.
    https://www.rfc-editor.org/rfc/rfc3551#section-4.5.11
    """
    if encoding == "PCMU":
        return _little(audioop.ulaw2lin(payload, 2))
    if encoding == "PCMA":
        return _little(audioop.alaw2lin(payload, 2))
    even = payload if len(payload) % 2 == 0 else payload[:-1]
    return swap(even) if big_endian else even


def encode(encoding: str, samples: bytes, *, big_endian: bool = False) -> bytes:
    """Return PCM as it stands on the wire; the other way of `decode`."""
    if encoding == "PCMU":
        return _bytes(audioop.lin2ulaw(_little(samples), 2))
    if encoding == "PCMA":
        return _bytes(audioop.lin2alaw(_little(samples), 2))
    return swap(samples) if big_endian else samples


def swap(samples: bytes) -> bytes:
    """Exchange the two bytes of every sample."""
    return _bytes(audioop.byteswap(samples, 2))


def level(samples: bytes) -> int:
    """Return the loudness: the root mean square of the samples, 0 to 32,768."""
    return int(audioop.rms(_little(samples), 2))


def mix(one: bytes, other: bytes) -> bytes:
    """Return both sounds at once, clipped where they are too loud together. Both have the same length."""
    return _little(audioop.add(_little(one), _little(other), 2))


def stereo(left: bytes, right: bytes) -> bytes:
    """Interleave two channels; the shorter one is filled up with silence."""
    size = max(len(left), len(right))
    one = audioop.tostereo(_little(left.ljust(size, b"\0")), 2, 1, 0)
    other = audioop.tostereo(_little(right.ljust(size, b"\0")), 2, 0, 1)
    return _little(audioop.add(one, other, 2))


def frames(samples: bytes, size: int) -> Iterator[bytes]:
    """Cut a sound into pieces of `size` bytes; the last one is filled up with zeros."""
    for start in range(0, len(samples), size):
        yield samples[start : start + size].ljust(size, b"\0")


@dataclass(frozen=True, slots=True)
class Resampling:
    """Where a streaming resampler stands between two pieces of one sound."""

    from_rate: int
    to_rate: int
    state: Any = None  #: audioop's own; opaque


def resample(samples: bytes, at: Resampling) -> tuple[bytes, Resampling]:
    """Change the sample rate of the next piece of a stream.

    When the rate falls, the new sample is averaged with the last one first: a mild low-pass that takes the edge off
    aliasing and costs nothing.

    Returns:
        The piece at the new rate, and the state for the piece after it.
    """
    if at.from_rate == at.to_rate or not samples:
        return samples, at
    weight_b = 1 if at.to_rate < at.from_rate else 0
    out, state = audioop.ratecv(_little(samples), 2, 1, at.from_rate, at.to_rate, at.state, 1, weight_b)
    return _little(out), Resampling(at.from_rate, at.to_rate, state)


def at_rate(sound: Pcm, rate: int) -> Pcm:
    """Return a whole sound at another rate."""
    out, _ = resample(sound.samples, Resampling(sound.rate, rate))
    return Pcm(out, rate)


def read_wav(data: bytes) -> Pcm:
    """Read a WAV file: 8, 16, 24 or 32-bit integers, one or two channels (mixed to one), any rate.

    Raises:
        UsageError: It is not such a file, or is cut short or empty.
    """
    if not data:
        raise UsageError("the audio file is empty (0 bytes)", hint=_WAV_HINT)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise UsageError(f"the audio file is not a WAV file{_looks_like(data)}", hint=_WAV_HINT)
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate, promised = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
                file.getnframes(),
            )
            samples = file.readframes(promised)
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        # The module says "unknown format: 3" for floating point and "unknown format: 6" for compressed WAVs.
        what = "floating-point or compressed" if "unknown format" in str(error) else "damaged or cut short"
        raise UsageError(f"the WAV file is {what}, which cannot be read", hint=_WAV_HINT) from error
    if width not in {1, 2, 3, 4} or channels not in {1, 2} or not 1000 <= rate <= _MAX_RATE:
        raise UsageError(
            f"the WAV file has {channels} channels of {8 * width} bits at {rate} Hz; 1 or 2 of 8 to 32 bits are read",
            hint=_WAV_HINT,
        )
    size = promised * channels * width
    if len(samples) < size < _UNKNOWN_SIZE:
        raise UsageError("the WAV file is cut short", hint=_WAV_HINT)
    if not samples:
        raise UsageError("the WAV file holds no sound", hint=_WAV_HINT)
    if width == 1:
        samples = audioop.bias(samples, 1, -128)  # 8-bit WAVs are unsigned
    if width != 2:
        samples = audioop.lin2lin(samples, width, 2)
    if channels == 2:
        samples = audioop.tomono(samples, 2, 0.5, 0.5)
    return Pcm(_little(samples), rate)


def write_wav(samples: bytes, rate: int, *, channels: int = 1) -> bytes:
    """Return a 16-bit WAV file's bytes. For two channels the samples are interleaved (see `stereo`)."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(_little(samples))
    return out.getvalue()


def _looks_like(data: bytes) -> str:
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return " but an MP3"
    for magic, name in ((b"OggS", "an Ogg"), (b"fLaC", "a FLAC"), (b"\x1aE\xdf\xa3", "a WebM")):
        if data.startswith(magic):
            return f" but {name}"
    return " but an MP4" if data[4:8] == b"ftyp" else ""


def _bytes(out: Any) -> bytes:
    return bytes(out)


def _little(samples: Any) -> bytes:
    # audioop computes in the machine's own order; on little-endian machines (nearly all) this is a no-op.
    return bytes(audioop.byteswap(samples, 2)) if _BIG_ENDIAN else samples
