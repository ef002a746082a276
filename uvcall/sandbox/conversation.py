"""The scripted agent's side of a conversation: sound in, actions out, no socket and no clock.

Time is the time of the audio heard, as Ultravox counts it too: a test can run it as fast as it likes, and a stalled
network makes nobody impatient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from uvcall.core.audio import FRAME_S
from uvcall.sandbox.hearing import TURN_S, Ear
from uvcall.sandbox.speech import AGENT, speech

#: How far ahead of its playing the agent sends its voice.
_AHEAD_S: Final = 0.2
#: After its own line the agent waits so long for an answer before it goes on with its script.
_PATIENCE_S: Final = 0.5
#: When the carrier does not report a line as played, it counts as played this long after its length.
_GRACE_S: Final = 1.0
#: Keys pressed within this time of each other are one message.
_KEYS_S: Final = 0.5
_DROP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Nudge:
    """What to say to a silent user. `then`: empty, or whether to hang up afterwards."""

    after_s: float
    text: str
    then: Literal["", "soft", "strict"] = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the created call asks of the agent. Times are seconds."""

    script: tuple[str, ...]  #: the last line ends the call
    opens_after_s: float | None = 0.0  #: None: only the user opens
    opening: str = ""  #: in place of the script's first line
    interruptible: bool = True  #: the opening
    endpoint_s: float = 0.384
    least_turn_s: float = 0.0
    least_interruption_s: float = 0.09
    nudges: tuple[Nudge, ...] = ()
    digits_text: str | None = "{digits}"  #: None: keys are ignored
    voice: bool = True  #: False: lines are text, which no phone can play
    drops: bool = False  #: the scenario `agent-drop`


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the transcript; `start` and `end` are seconds since the agent joined."""

    role: Literal["user", "agent"]
    text: str
    start: float
    end: float
    voice: bool = True


@dataclass(frozen=True, slots=True)
class Speak:
    """Send this PCM to the carrier."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class AskMark:
    """Ask the carrier to tell when everything so far has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class DropQueued:
    """Tell the carrier to drop what it has not played."""


@dataclass(frozen=True, slots=True)
class Leave:
    """End the call. `reason` is Ultravox's endReason; `abrupt`: the connection just breaks."""

    reason: str
    abrupt: bool = False


Action = Speak | AskMark | DropQueued | Leave


@dataclass(slots=True)
class _Utterance:
    text: str
    sound: bytes
    seconds: float
    mark: str
    ends_with: str = ""  #: an endReason: the call ends after it
    from_script: bool = False
    interruptible: bool = True
    start: float = 0.0
    sent: int = 0
    marked: bool = False


@dataclass(slots=True)
class Conversation:
    """One call's talk, at one sample rate."""

    plan: Plan
    rate: int
    known: Callable[[], str]  #: the sentence that the user is known to have said since last asked, or empty
    transcript: list[Said] = field(default_factory=list)
    out: list[Action] = field(default_factory=list)  #: what the driver is to do, in order; it empties the list
    now: float = 0.0
    over: bool = False
    _ear: Ear = field(init=False)
    _line: int = 0
    _queue: deque[_Utterance] = field(default_factory=deque)
    _current: _Utterance | None = None
    _spoken: int = 0  #: utterances ever, for the names of marks
    _begun: bool = False
    _calm_since: float = 0.0
    _nudge: int = 0
    _keys: str = ""
    _key_at: float = 0.0

    def __post_init__(self) -> None:
        self._ear = Ear(self.plan.endpoint_s, max(self.plan.least_turn_s, TURN_S))

    def hear(self, samples: bytes) -> bytes:
        """Take the next piece of the user's side.

        Returns:
            What the agent's side sounds like during that piece, for a recording.
        """
        seconds = len(samples) / 2 / self.rate
        before = self.now
        self.now += seconds
        turn = self._ear.hear(samples, seconds)
        if self._ear.voiced:
            self._calm_since = self.now
            self._nudge = 0
            self._barge_in()
        if turn is not None:
            text = self.known() or f"[speech, {turn.end - turn.start:.1f} s]"
            self._add(Said("user", text, turn.start, turn.end))
            self._answer()
        self._advance()
        return self._voice_during(before, len(samples))

    def wait(self, seconds: float) -> None:
        """Let time pass without sound: the user's side sends nothing."""
        self.now += seconds
        self._ear.now += seconds
        self._advance()

    def reached(self, mark: str) -> None:
        """Note that the carrier has played everything up to the mark."""
        if self._current is not None and self._current.marked and self._current.mark == mark:
            self._finish()
            self._advance()

    def press(self, digit: str) -> None:
        """Take a key that the user pressed."""
        if self.plan.digits_text is not None:
            self._keys += digit
            self._key_at = self.now

    def tell(self, text: str) -> None:
        """Take a text message of the user."""
        self._add(Said("user", text, self.now, self.now, voice=False))
        self._answer()
        self._advance()

    def force(self, text: str, *, ends_with: str = "") -> None:
        """Say this now, whatever is being said; then end the call if there is a reason."""
        self._cut()
        if text:
            self._say(text, ends_with=ends_with, interruptible=not ends_with)
            self._advance()
        elif ends_with:
            self._leave(Leave(ends_with))

    def close(self) -> None:
        """Write down what was being said when the call ended."""
        self.over = True
        self._note_partly()
        heard = self._ear
        if heard.voiced >= TURN_S:
            self._add(Said("user", f"[speech, {heard.voiced:.1f} s]", heard.start, self.now - heard.quiet))

    def _answer(self) -> None:
        self._begun = True
        if self._current is None and not self._queue:
            self._next_line()

    def _next_line(self) -> None:
        lines = self.plan.script
        at = min(self._line, len(lines) - 1)
        opens = at == 0 and not self._begun
        text = (self.plan.opening if opens else "") or lines[at]
        self._line = at + 1
        self._begun = True
        last = at == len(lines) - 1
        self._say(text, ends_with="agent_hangup" if last else "", from_script=True,
                  interruptible=self.plan.interruptible or not opens)  # fmt: skip

    def _say(self, text: str, *, ends_with: str = "", from_script: bool = False, interruptible: bool = True) -> None:
        sound = speech(text, AGENT, self.rate) if self.plan.voice else None
        self._spoken += 1
        self._queue.append(
            _Utterance(
                text,
                sound.samples if sound else b"",
                sound.seconds if sound else 0.0,
                f"line-{self._spoken}",
                ends_with,
                from_script,
                interruptible,
            )
        )

    def _advance(self) -> None:
        """Do what the time has come for."""
        if self.over:
            return
        if self.plan.drops and self.now >= _DROP_S:
            self._leave(Leave("system_error", abrupt=True))
            return
        if self._keys and self.now - self._key_at >= _KEYS_S:
            text = (self.plan.digits_text or "{digits}").replace("{digits}", self._keys)
            self._keys = ""
            self._add(Said("user", text, self._key_at, self.now, voice=False))
            self._answer()
        speaking = self._current
        if speaking is not None and self.now >= speaking.start + speaking.seconds + _GRACE_S:
            self._finish()
        if self._current is None and not self._queue and not self._ear.voiced:
            self._take_initiative()
        self._pump()

    def _take_initiative(self) -> None:
        calm = self.now - self._calm_since + 1e-9
        nudges = self.plan.nudges
        if self._nudge < len(nudges) and calm >= nudges[self._nudge].after_s:
            nudge = nudges[self._nudge]
            self._nudge += 1
            self._say(nudge.text, ends_with="agent_hangup" if nudge.then else "", interruptible=nudge.then != "strict")
            return
        due = calm - _PATIENCE_S if self._begun else self.now - (self.plan.opens_after_s or 0.0)
        if due + 1e-9 >= 0 and (self._begun or self.plan.opens_after_s is not None):
            self._next_line()

    def _pump(self) -> None:
        if self._current is None and self._queue:
            self._current = self._queue.popleft()
            self._current.start = self.now
        speaking = self._current
        if speaking is None:
            return
        size = int(self.rate * FRAME_S) * 2
        until = (self.now - speaking.start + _AHEAD_S) * self.rate * 2
        while speaking.sent < len(speaking.sound) and speaking.sent < until:
            self.out.append(Speak(speaking.sound[speaking.sent : speaking.sent + size].ljust(size, b"\0")))
            speaking.sent += size
        if speaking.sent >= len(speaking.sound) and not speaking.marked:
            speaking.marked = True
            if self.plan.voice:
                self.out.append(AskMark(speaking.mark))
            else:
                self._finish()

    def _finish(self) -> None:
        speaking, self._current = self._current, None
        if speaking is None:
            return
        self._add(Said("agent", speaking.text, speaking.start, self.now, self.plan.voice))
        self._calm_since = self.now
        if speaking.ends_with:
            self._leave(Leave(speaking.ends_with))

    def _barge_in(self) -> None:
        speaking = self._current
        if speaking is not None and speaking.interruptible and self._ear.voiced >= self.plan.least_interruption_s:
            if speaking.from_script and speaking.ends_with:
                self._line -= 1  # a farewell that was not heard is said again
            self._cut()

    def _cut(self) -> None:
        if self._current is not None:
            self.out.append(DropQueued())
        self._note_partly()
        self._queue.clear()

    def _note_partly(self) -> None:
        speaking, self._current = self._current, None
        if speaking is None:
            return
        words = speaking.text.split()
        share = min(1.0, (self.now - speaking.start) / speaking.seconds) if speaking.seconds else 1.0
        heard = " ".join(words[: int(len(words) * share)])
        if heard:
            self._add(Said("agent", heard, speaking.start, self.now))

    def _voice_during(self, since: float, size: int) -> bytes:
        speaking = self._current
        if speaking is None or speaking.start > since + 1e-9:
            return bytes(size)
        at = int((since - speaking.start) * self.rate + 0.5) * 2
        return speaking.sound[at : at + size].ljust(size, b"\0")

    def _add(self, said: Said) -> None:
        self.transcript.append(said)

    def _leave(self, how: Leave) -> None:
        self.over = True
        self.out.append(how)
