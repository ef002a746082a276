"""What is said in the sandbox, as sound: shipped clips where there are any, else a babble of syllables.

The clips in `clips/` were synthesised for this project with espeak-ng (voices `en-us+f3` for the person and `en-gb+m3`
for the agent) and shortened with sox. A line that has no clip is babbled: one voiced syllable for each vowel group of
its text, so that it is as long as speech, is heard as speech by an energy detector, and is the same every time.
"""

from __future__ import annotations

import math
import re
from array import array
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from uvcall.core.audio import Pcm, at_rate, read_wav

HELLO: Final = "Hello, who is this?"
MACHINE: Final = "Nobody is at home. Please leave a message after the tone."
GREETING: Final = "Hello, this is a test call."
FAREWELL: Final = "Thank you, bye."

#: What the agent says when nobody gives it a script: greeting, farewell.
DEFAULT_SCRIPT: Final = (GREETING, FAREWELL)


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: the pitch of the babble in Hz, and the clips of what that person is known to say."""

    name: str
    pitch: float
    clips: tuple[tuple[str, str], ...]


AGENT: Final = Voice("agent", 110.0, ((GREETING, "agent-greeting.wav"), (FAREWELL, "agent-farewell.wav")))
CALLEE: Final = Voice("callee", 205.0, ((HELLO, "callee-hello.wav"), (MACHINE, "callee-machine.wav")))

#: The first two formants of each vowel, Hz, rounded from textbook tables; anything else hums like an `e`.
_FORMANTS: Final = {"a": (730, 1090), "e": (530, 1840), "i": (300, 2200), "o": (570, 840), "u": (320, 870)}
_VOWELS: Final = re.compile(r"[aeiouy]+")
_WORDS: Final = re.compile(r"\w+|[.,;:!?]")
_SYLLABLE_S: Final = 0.13
_GAP_S: Final = 0.03
_PAUSE_S: Final = 0.12
_LOUD: Final = 7000.0


def speech(text: str, voice: Voice, rate: int) -> Pcm:
    """Return the text as that voice says it, at `rate` samples per second."""
    return _said(text, voice, rate)


def tone(frequency: float, seconds: float, rate: int) -> Pcm:
    """Return a plain tone: an answering machine's beep."""
    step = 2 * math.pi * frequency / rate
    return _pcm([_LOUD * math.sin(step * n) for n in range(int(seconds * rate))], rate)


@lru_cache(maxsize=64)
def _said(text: str, voice: Voice, rate: int) -> Pcm:
    file = dict(voice.clips).get(text)
    return at_rate(_clip(file), rate) if file else _babble(text, voice, rate)


@cache
def _clip(file: str) -> Pcm:
    return read_wav(resources.files("uvcall.sandbox").joinpath("clips", file).read_bytes())


def _babble(text: str, voice: Voice, rate: int) -> Pcm:
    pieces: list[bytes] = []
    for word in _WORDS.findall(text.lower()):
        if not word[0].isalnum():
            pieces.append(_quiet(_PAUSE_S, rate))
            continue
        # A number or a word of another script has no vowels that are known here: two of its signs make a syllable.
        vowels = _VOWELS.findall(word) or ["e"] * max(1, len(word) // 2)
        pieces.extend(_syllable(vowel[0], voice.pitch, rate) for vowel in vowels)
        pieces.append(_quiet(_GAP_S, rate))
    return Pcm(b"".join(pieces) or _syllable("e", voice.pitch, rate), rate)


@cache
def _syllable(vowel: str, pitch: float, rate: int) -> bytes:
    """Sum the harmonics of the pitch that lie near the vowel's formants, swelling and fading."""
    formants = _FORMANTS.get(vowel, _FORMANTS["e"])
    harmonics = [
        (k * pitch, sum(math.exp(-(((k * pitch - f) / 180) ** 2)) for f in formants) + 0.25 / k)
        for k in range(1, int(min(3000, rate / 2.2) / pitch))
    ]
    total = sum(weight for _, weight in harmonics)
    count = int(_SYLLABLE_S * rate)
    samples = []
    for n in range(count):
        swell = math.sin(math.pi * n / count) ** 0.5
        wave = sum(weight * math.sin(2 * math.pi * frequency * n / rate) for frequency, weight in harmonics)
        samples.append(_LOUD * 2 * swell * wave / total)
    return _pcm(samples, rate).samples


def _quiet(seconds: float, rate: int) -> bytes:
    return bytes(2 * int(seconds * rate))


def _pcm(samples: list[float], rate: int) -> Pcm:
    words = array("h", (max(-32768, min(32767, int(sample))) for sample in samples))
    if words.itemsize == 2 and array("h", [1]).tobytes() != b"\x01\x00":
        words.byteswap()
    return Pcm(words.tobytes(), rate)
