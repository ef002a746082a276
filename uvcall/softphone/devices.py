"""Where the person's voice comes from and where the agent's goes: devices of one shape.

A source is asked for 20 ms at a time, by a clock that is not its own; a sink fetches what it plays. What has a clock
itself, as a sound card does, keeps a little in store (`softphone.soundcard`).
"""

from __future__ import annotations

import os
import select
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Protocol

from uvcall.core.audio import Pcm, at_rate
from uvcall.errors import LocalError
from uvcall.softphone.playback import piece_bytes

#: Returns so many bytes of what is to be played now.
Pull = Callable[[int], bytes]

#: Seconds of a pipe that are read ahead; of a live one, it hears so much later.
_AHEAD_S: Final = 0.2


class Source(Protocol):
    """What is said to the agent: 16-bit little-endian mono."""

    live: bool  #: somebody speaks here, now: it has no end, and may hear the agent's own voice

    def open(self) -> None:
        """Begin.

        Raises:
            LocalError: There is no such device, or it cannot be used.
        """

    def read(self, size: int) -> bytes | None:
        """Return the next `size` bytes, silence where there is nothing yet; None after the end. Never waits.

        Raises:
            LocalError: The device is gone.
        """

    def close(self) -> None:
        """End. Safe to repeat."""


class Sink(Protocol):
    """Where the agent is heard."""

    live: bool  #: it is heard in a room, perhaps by the microphone

    def open(self, pull: Pull) -> None:
        """Begin to play what `pull` returns. Raises as `Source.open`."""

    def tick(self, size: int) -> None:
        """Play `size` bytes, for a sink without a clock of its own.

        Raises:
            LocalError: The device is gone.
        """

    def close(self) -> None:
        """End; a file is complete after this. Safe to repeat."""


class Silence:
    """Nobody speaks: for those who type, or only listen."""

    live = False

    def open(self) -> None:
        """Begin."""

    def read(self, size: int) -> bytes | None:
        """Return silence, for ever."""
        return bytes(size)

    def close(self) -> None:
        """End."""


class Nowhere:
    """Nobody listens; what the agent says is used up all the same, in its time."""

    live = False

    def __init__(self) -> None:
        self._pull: Pull = bytes

    def open(self, pull: Pull) -> None:
        """Begin."""
        self._pull = pull

    def tick(self, size: int) -> None:
        """Drop it."""
        self._pull(size)

    def close(self) -> None:
        """End."""


class WavSource:
    """A sound that was read as a whole, at any rate."""

    live = False

    def __init__(self, sound: Pcm, rate: int) -> None:
        self._samples = at_rate(sound, rate).samples
        self._at = 0

    def open(self) -> None:
        """Begin."""

    def read(self, size: int) -> bytes | None:
        """Return the next piece; the last one is filled up with silence."""
        if self._at >= len(self._samples):
            return None
        piece = self._samples[self._at : self._at + size]
        self._at += size
        return piece.ljust(size, b"\0")

    def close(self) -> None:
        """End."""


class WavSink:
    """A WAV file that grows by the second, with a true header at every time: whatever happens, it can be played."""

    live = False

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._pull: Pull = bytes
        self._stream: IO[bytes] | None = None
        self._file: wave.Wave_write | None = None
        self._waiting = bytearray()

    def open(self, pull: Pull) -> None:
        """Create the file."""
        self._pull = pull
        try:
            self._stream = self._path.open("wb")
        except OSError as error:
            raise self._lost(error) from error
        self._file = wave.open(self._stream, "wb")  # noqa: SIM115 - it is closed in `close`, after the conversation
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(self._rate)

    def tick(self, size: int) -> None:
        """Play the next piece."""
        self._waiting += self._pull(size)
        if len(self._waiting) >= piece_bytes(self._rate, 1.0):
            self._write()

    def close(self) -> None:
        """Write what waits and close."""
        self._write()
        if (error := self._shut()) is not None:
            raise self._lost(error) from error

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            self._file.writeframes(self._waiting)
        except OSError as error:
            self._shut()
            raise self._lost(error) from error
        self._waiting.clear()

    def _shut(self) -> OSError | None:
        """Close both layers, whatever the first one says; return what it said."""
        said = None
        for layer in (self._file, self._stream):
            try:
                if layer is not None:
                    layer.close()
            except OSError as error:
                said = said or error
        self._file = self._stream = None
        return said

    def _lost(self, error: OSError) -> LocalError:
        return LocalError(
            f"--output {self._path}: {error.strerror or error}", hint="name a file that you can write to, with room"
        )


class PipeSource:
    """Raw PCM from a pipe, at the call's rate. It is read ahead in a thread, so that a slow writer means silence."""

    live = False

    def __init__(self, stream: IO[bytes], rate: int) -> None:
        self._stream = stream
        self._most = piece_bytes(rate, _AHEAD_S)
        self._kept = bytearray()
        self._ended = False
        self._closed = False
        self._room = threading.Condition()

    def open(self) -> None:
        """Begin to read."""
        try:
            # The thread's own: the number of a stream that somebody closes is soon that of another file.
            descriptor = os.dup(self._stream.fileno())
        except (OSError, ValueError):
            self._ended = True
            return
        threading.Thread(target=self._fill, args=(descriptor,), daemon=True, name="uvcall-pipe").start()

    def read(self, size: int) -> bytes | None:
        """Return the next piece; the odd byte of a pipe that was cut in the middle of a sample is dropped."""
        with self._room:
            if self._ended and len(self._kept) < 2:
                return None
            piece = bytes(self._kept[: min(size, len(self._kept) // 2 * 2)])
            del self._kept[: len(piece)]
            self._room.notify()
        return piece.ljust(size, b"\0")

    def close(self) -> None:
        """Let the reading thread go."""
        with self._room:
            self._closed = True
            self._room.notify()

    def _fill(self, descriptor: int) -> None:
        try:
            while not self._closed:
                # The thread must not sit in a read that never returns when the program ends.
                if not select.select([descriptor], [], [], 0.5)[0]:
                    continue
                piece = os.read(descriptor, 8192)
                if not piece:
                    break
                self._keep(piece)
        except (OSError, ValueError):
            pass  # a pipe that breaks has ended
        os.close(descriptor)
        with self._room:
            self._ended = True

    def _keep(self, piece: bytes) -> None:
        with self._room:
            self._room.wait_for(lambda: self._closed or len(self._kept) < self._most)
            self._kept += piece


class PipeSink:
    """Raw PCM into a pipe, at the call's rate."""

    live = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._pull: Pull = bytes

    def open(self, pull: Pull) -> None:
        """Begin."""
        self._pull = pull

    def tick(self, size: int) -> None:
        """Write the next piece."""
        try:
            self._stream.write(self._pull(size))
            self._stream.flush()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is closed"
            raise LocalError(f"--output -: {why}", hint="whatever reads it must stay until the call is over") from error

    def close(self) -> None:
        """Leave the stream to whom it belongs."""
