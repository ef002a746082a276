"""Microphone and speaker, through PortAudio: https://python-sounddevice.readthedocs.io/en/latest/api/raw-streams.html.

The package is an extra and the library the system's: what is missing says how to get it.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Final, NamedTuple

from uvcall.core.audio import Resampling, resample
from uvcall.errors import LocalError
from uvcall.softphone.devices import Pull
from uvcall.softphone.playback import piece_bytes

#: A sound card that has called for nothing so long is gone: unplugged, or taken by the system.
GONE_S: Final = 2.0
#: Seconds between two calls of the card.
_BLOCK_S: Final = 0.01
#: The card's clock is not ours: so much of the microphone's sound waits at least before it is used, and at most.
_LEAST_S: Final = 0.03
_MOST_S: Final = 0.12

_LIBRARY: Final = {
    "linux": "install the system's PortAudio: sudo apt install libportaudio2 (or portaudio, in dnf and pacman)",
    "darwin": "install PortAudio: brew install portaudio",
}
_OTHERWISE: Final = "or go without a sound card: --input FILE.wav --output FILE.wav, or --text"


class Device:
    """One device of this machine's sound system. `name` is a part of its name, or its number; None: the default."""

    def __init__(self, name: str | None, rate: int) -> None:
        self._name = int(name) if name is not None and name.isdigit() else name
        self._wanted = rate
        self._stream: Any = None
        self._called_at = time.monotonic()

    def _begin(self, kind: str, what: str, flag: str, callback: Any) -> int:
        """Open a stream at the call's rate, else at the device's own; return its rate."""
        sd = load()
        stream = getattr(sd, f"Raw{kind.capitalize()}Stream")
        try:
            rates = (self._wanted, int(sd.query_devices(self._name, kind)["default_samplerate"]))
        except (sd.PortAudioError, ValueError) as error:
            raise _missing(what, flag, str(error)) from error
        for rate in dict.fromkeys(rates):
            try:
                self._stream = stream(
                    samplerate=rate,
                    blocksize=int(rate * _BLOCK_S),
                    device=self._name,
                    channels=1,
                    dtype="int16",
                    latency="low",
                    callback=callback,
                )
                self._stream.start()
            except (sd.PortAudioError, ValueError) as error:
                self.close()
                trouble = error
            else:
                self._called_at = time.monotonic()
                return rate
        raise _missing(what, flag, str(trouble)) from trouble

    def _check(self, what: str) -> None:
        """Find out whether the card still calls.

        Raises:
            LocalError: It does not.
        """
        if time.monotonic() - self._called_at > GONE_S:
            raise LocalError(f"the {what} is gone: unplugged, or taken by the system", hint=f"plug it in; {_OTHERWISE}")

    def close(self) -> None:
        """Stop. Safe to repeat."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class Microphone(Device):
    """The person's voice."""

    live = True

    def __init__(self, name: str | None, rate: int) -> None:
        super().__init__(name, rate)
        self._rates = Resampling(rate, rate)
        self._kept = bytearray()
        self._flowing = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin to listen."""
        actual = self._begin("input", "microphone", "--input mic:NAME", self._heard)
        self._rates = Resampling(actual, self._wanted)

    def read(self, size: int) -> bytes | None:
        """Return the next piece; silence until enough is in store."""
        self._check("microphone")
        with self._lock:
            if not self._flowing and len(self._kept) < piece_bytes(self._wanted, _LEAST_S):
                return bytes(size)
            self._flowing = len(self._kept) >= size
            piece = bytes(self._kept[:size])
            del self._kept[:size]
            over = len(self._kept) - piece_bytes(self._wanted, _MOST_S)
            if over > 0:
                del self._kept[: over + over % 2]
        return piece.ljust(size, b"\0")

    def _heard(self, samples: Any, _frames: int, _time: Any, _status: Any) -> None:
        """Take what the card brings, in its own thread."""
        self._called_at = time.monotonic()
        with self._lock:
            out, self._rates = resample(bytes(samples), self._rates)
            self._kept += out


class Speaker(Device):
    """The agent's voice in the room."""

    live = True

    def __init__(self, name: str | None, rate: int) -> None:
        super().__init__(name, rate)
        self._rates = Resampling(rate, rate)
        self._pull: Pull = bytes
        self._kept = b""

    def open(self, pull: Pull) -> None:
        """Begin to play."""
        self._pull = pull
        actual = self._begin("output", "speaker", "--output speaker:NAME", self._wants)
        self._rates = Resampling(self._wanted, actual)

    def tick(self, size: int) -> None:
        """See that it still plays; the card fetches its sound itself."""
        del size
        self._check("speaker")

    def _wants(self, out: Any, _frames: int, _time: Any, _status: Any) -> None:
        """Give the card what it is to play, in its own thread."""
        self._called_at = time.monotonic()
        size = len(out)
        while len(self._kept) < size:
            piece, self._rates = resample(self._pull(piece_bytes(self._wanted, _BLOCK_S)), self._rates)
            self._kept += piece
        out[:], self._kept = self._kept[:size], self._kept[size:]


class Listed(NamedTuple):
    """A device as it is listed. `number` and `name` both name it."""

    number: int
    name: str
    inputs: int
    outputs: int
    default: bool


def devices() -> list[Listed]:
    """Return this machine's devices.

    Raises:
        LocalError: The extra or PortAudio is missing.
    """
    sd = load()
    chosen = set(sd.default.device)
    return [
        Listed(number, str(found["name"]), found["max_input_channels"], found["max_output_channels"], number in chosen)
        for number, found in enumerate(sd.query_devices())
    ]


def load() -> Any:
    """Return the sounddevice package.

    Raises:
        LocalError: It, or PortAudio under it, is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise LocalError(
            "microphone and speaker need the audio extra", hint=f"pip install 'uvcall[audio]'; {_OTHERWISE}"
        ) from error
    except OSError as error:
        hint = _LIBRARY.get(sys.platform, "install PortAudio: http://www.portaudio.com")
        raise LocalError("the PortAudio library is not installed", hint=f"{hint}; {_OTHERWISE}") from error
    return sounddevice


def _missing(what: str, flag: str, words: str) -> LocalError:
    return LocalError(
        f"no {what} can be used: {' '.join(words.split())[:160]}",
        hint=f"uvcall talk --devices lists them, {flag} chooses one; {_OTHERWISE}",
    )
