"""Sound between the room and aiortc: 20 ms of PCM on this side, decoded or yet to be encoded Opus frames on that.

aiortc is imported with this module: import it only when somebody joins a room.
"""

from __future__ import annotations

import fractions
from collections.abc import Callable
from typing import Any, Final

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from uvcall.core import audio
from uvcall.sandbox.playout import Beat
from uvcall.sandbox.room_signal import RATE

FRAME_BYTES: Final = audio.frame_bytes("L16", RATE)
_TIME_BASE: Final = fractions.Fraction(1, RATE)


class AgentVoice(MediaStreamTrack):  # type: ignore[misc]  # aiortc is Any where the extra is not installed
    """The agent's track: asks for 20 ms of PCM at each beat of the real clock."""

    kind = "audio"

    def __init__(self, sid: str, play: Callable[[int], bytes]) -> None:
        super().__init__()
        self._sid = sid
        self._play = play
        self._beat = Beat(1.0)
        self._count = 0

    @property
    def id(self) -> str:
        """The track's id, as the room has announced it."""
        return self._sid

    async def recv(self) -> Any:
        """Return the next frame at its time; aiortc calls it and encodes what it gets."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._beat.wait()
        samples = self._play(FRAME_BYTES)
        # aiortc encodes in stereo, and its way from one channel to two takes 3 dB off.
        frame = AudioFrame(format="s16", layout="stereo", samples=FRAME_BYTES // 2)
        frame.planes[0].update(audio.stereo(samples, samples))
        frame.sample_rate = RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._count * (FRAME_BYTES // 2)
        self._count += 1
        return frame


async def listen(track: Any, heard: Callable[[bytes], None]) -> None:
    """Give the sound of a participant's track, mono PCM at `RATE`, until the track ends."""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        heard(mono(frame))


def mono(frame: Any) -> bytes:
    """Return the first channel of a decoded frame; aiortc decodes Opus to 16-bit samples at `RATE`."""
    channels = len(frame.layout.channels)
    samples = bytes(frame.planes[0])[: frame.samples * channels * 2]
    return memoryview(samples).cast("h")[::channels].tobytes()
