"""The person at the phone: says a sentence after answering, listens, presses keys, hangs up. Frame by frame.

A phone line carries sound all the time, so `say` gives a frame for every 20 ms, of silence when nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from uvcall.core.audio import FRAME_S, Pcm, at_rate, frames, read_wav
from uvcall.sandbox.hearing import Ear
from uvcall.sandbox.scenarios import Scenario
from uvcall.sandbox.speech import CALLEE, HELLO, MACHINE, speech, tone

#: People bring the phone to the ear before they speak; if somebody talks already, they let them finish.
_REACTION_S = 0.12
_MANNERS_S = 0.25
#: An answering machine does not listen.
_MACHINE_PAUSE_S = 0.3
_BEEP = (1000.0, 0.35)
_KEY_GAP_S = 0.2


@dataclass(slots=True)
class Person:
    """Somebody on a call, at one sample rate. `sentence` is set once they begin to say something that is known."""

    scenario: Scenario
    rate: int
    lines: list[tuple[str, Pcm]]  #: what to say, each with its text, empty where it is not known
    digits: str = ""
    sentence: str = ""
    key: str = ""  #: pressed in this frame
    hung_up: bool = False
    age: float = 0.0
    _ear: Ear = field(default_factory=Ear)
    _saying: Iterator[bytes] | None = None
    _key_at: float = 0.5
    _silence: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._silence = bytes(int(self.rate * FRAME_S) * 2)

    def say(self, heard: bytes) -> bytes:
        """Live through the next 20 ms: hear what the agent's side plays, return what the phone picks up."""
        self.sentence = self.key = ""
        self.age += FRAME_S
        self._ear.hear(heard, FRAME_S)
        limit = self.scenario.hang_up_after_s
        self.hung_up = limit is not None and self.age >= limit
        if self._saying is None and self.lines and self._may_speak():
            self.sentence, sound = self.lines.pop(0)
            self._saying = frames(sound.samples, len(self._silence))
        if self._saying is not None:
            frame = next(self._saying, None)
            if frame is not None:
                return frame
            self._saying = None
            self._key_at = self.age + _KEY_GAP_S
        if self.digits and not self.lines and self.age >= self._key_at:
            self.key, self.digits = self.digits[0], self.digits[1:]
            self._key_at = self.age + _KEY_GAP_S
        return self._silence

    def _may_speak(self) -> bool:
        if self.scenario.machine:
            return self.age >= _MACHINE_PAUSE_S
        somebody_talked = self._ear.quiet < self._ear.now - FRAME_S / 2
        return self.age >= _REACTION_S and self._ear.quiet >= (_MANNERS_S if somebody_talked else _REACTION_S)


def pick_up(scenario: Scenario, rate: int, audio: bytes | None = None, digits: str = "") -> Person:
    """Return whoever answers in this scenario.

    Args:
        scenario: How they behave.
        rate: Samples per second of the line.
        audio: A WAV file to play instead of the shipped sentence.
        digits: Keys to press after the last sentence.

    Raises:
        UsageError: The WAV file cannot be read.
    """
    lines: list[tuple[str, Pcm]] = []
    if scenario.machine:
        lines = [(MACHINE, speech(MACHINE, CALLEE, rate)), ("", tone(*_BEEP, rate))]
    elif scenario.speaks:
        known = audio is None
        lines = [(HELLO if known else "", speech(HELLO, CALLEE, rate) if known else _recorded(audio or b"", rate))]
    return Person(scenario, rate, lines, digits)


@lru_cache(maxsize=4)
def _recorded(audio: bytes, rate: int) -> Pcm:
    return at_rate(read_wav(audio), rate)
