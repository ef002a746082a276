"""Both sides of a conversation as they were sent and played, for `--save`: the person left, the agent right."""

from __future__ import annotations

import struct
import tempfile
import threading
from pathlib import Path
from typing import IO, Final

from uvcall.core.audio import Resampling, resample, stereo
from uvcall.errors import LocalError

#: RIFF, fmt and data chunks of a 16-bit stereo WAV file. http://soundfile.sapp.org/doc/WaveFormat
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_COPY: Final = 1 << 20


class Tape:
    """A recording that grows on disk, at the person's rate. Its file has no name and goes with the process.

    Args:
        rate: Samples per second of the person's side.
        agent_rate: Samples per second of the agent's.
        directory: On whose disk it grows; None: that of temporary files.

    Raises:
        LocalError: There is no room for it.
    """

    def __init__(self, rate: int, agent_rate: int, directory: Path | None = None) -> None:
        self.rate = rate
        self._rates = Resampling(agent_rate, rate)
        self._agent = bytearray()
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - it lives as long as the tape
        except OSError as error:
            raise LocalError(
                f"the recording cannot begin: {error.strerror or error}", hint="choose another --save directory"
            ) from error
        self._size = 0
        self._lock = threading.Lock()  # a sound card fetches what it plays in a thread of its own

    def played(self, samples: bytes) -> None:
        """Add what was played, at the agent's rate."""
        with self._lock:
            out, self._rates = resample(samples, self._rates)
            self._agent += out

    def sent(self, samples: bytes) -> None:
        """Add what was sent; time on the tape is the time of this side.

        Raises:
            OSError: The disk is full.
        """
        with self._lock:
            agent = bytes(self._agent[: len(samples)]).ljust(len(samples), b"\0")
            del self._agent[: len(samples)]
        self._size += self._file.write(stereo(samples, agent))

    def pour(self, sink: IO[bytes]) -> None:
        """Write the recording as a WAV file."""
        self._file.flush()
        self._file.seek(0)
        size, rate = min(self._size, 0xFFFF_FFFF - 36), self.rate
        sink.write(_HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16, b"data", size))
        while piece := self._file.read(_COPY):
            sink.write(piece)

    def close(self) -> None:
        """Forget it. Safe to repeat."""
        self._file.close()
