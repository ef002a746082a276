"""The scripted agent's side of a conversation: sound in, actions out, no socket and no clock.

Time is the time of the audio heard, as Ultravox counts it too: a test can run it as fast as it likes, and a stalled
network makes nobody impatient.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from uvcall.core.audio import FRAME_S
from uvcall.core.wire.ultravox_messages import ToolResult, Urgency
from uvcall.sandbox.hearing import TURN_S, Ear
from uvcall.sandbox.script import (
    Action,
    AskMark,
    DropQueued,
    Invoke,
    Leave,
    Mood,
    Piece,
    Plan,
    Said,
    Speak,
    State,
    ToolCall,
    Word,
)
from uvcall.sandbox.speech import AGENT, speech
from uvcall.sandbox.tool_calls import Outcome, Toolbox

#: When the carrier does not report a line as played, it counts as played this long after its length.
_GRACE_S: Final = 1.0
#: Keys pressed within this time of each other are one message.
_KEYS_S: Final = 0.5
_DROP_S: Final = 1.0
_WORD: Final = re.compile(r"\S+")


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
    ordinal: int = -1
    told: int = 0  #: characters of it that the data channel has


@dataclass(slots=True)
class Conversation:
    """One call's talk. What it hears has one sample rate, and what it says may have another (`voice_rate`)."""

    plan: Plan
    rate: int  #: of what is heard
    known: Callable[[], str]  #: the sentence that the user is known to have said since last asked, or empty
    transcript: list[Said] = field(default_factory=list)
    out: list[Action] = field(default_factory=list)  #: what the driver is to do, in order; it empties the list
    watch: Callable[[Word], None] | None = None  #: told what a data channel tells
    voice_rate: int = 0
    now: float = 0.0
    over: bool = False
    voice: bool = field(init=False)  #: False: the agent writes
    _ear: Ear = field(init=False)
    _toolbox: Toolbox = field(init=False)
    _line: int = 0
    _queue: deque[_Utterance] = field(default_factory=deque)
    _current: _Utterance | None = None
    _spoken: int = 0  #: utterances ever, for the names of marks
    _ordinal: int = 0
    _mood: State = "listening"
    _begun: bool = False
    _calm_since: float = 0.0
    _nudge: int = 0
    _keys: str = ""
    _key_at: float = 0.0

    def __post_init__(self) -> None:
        self._ear = Ear(self.plan.endpoint_s, max(self.plan.least_turn_s, TURN_S))
        self._toolbox = Toolbox(self.plan.tools)
        self.voice = self.plan.voice
        self.voice_rate = self.voice_rate or self.rate

    def hear(self, samples: bytes) -> None:
        """Take the next piece of the user's side."""
        seconds = len(samples) / 2 / self.rate
        self.now += seconds
        turn = self._ear.hear(samples, seconds)
        if self._ear.voiced:
            self._calm_since = self.now
            self._nudge = 0
            self._barge_in()
        if turn is not None:
            self._take_turn(self.known() or f"[speech, {turn.end - turn.start:.1f} s]", turn.start, turn.end)
            self._answer()
        self._advance()

    def wait(self, seconds: float) -> None:
        """Let time pass without sound: the user's side sends nothing."""
        self.now += seconds
        self._ear.now += seconds
        self._advance()

    def sounding(self, seconds: float) -> bytes:
        """Return what the agent's side sounded like during the last so many seconds, for a recording."""
        since, size = self.now - seconds, int(seconds * self.voice_rate + 0.5) * 2
        speaking = self._current
        if speaking is None or speaking.start > since + 1e-9:
            return bytes(size)
        at = int((since - speaking.start) * self.voice_rate + 0.5) * 2
        return speaking.sound[at : at + size].ljust(size, b"\0")

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

    def tell(self, text: str, urgency: Urgency = "soon") -> None:
        """Take a text message of the user. Only an immediate one interrupts the agent, a later one waits for a turn."""
        if urgency == "immediate":
            self._cut()
        self._take_turn(text, self.now, self.now, voice=False)
        if urgency != "later":
            self._answer()
        self._advance()

    def force(self, text: str, *, ends_with: str = "", uninterruptible: bool = False, soon: bool = False) -> None:
        """Say this now (or `soon`: after what is being said); then end the call if there is a reason."""
        if not soon:
            self._cut()
        if text:
            self._say(text, ends_with=ends_with, interruptible=not (ends_with or uninterruptible))
            self._advance()
        elif ends_with:
            self._leave(Leave(ends_with))

    def invoke(self, call: ToolCall) -> None:
        """Call a tool of the client and stand still until its result is there or its time is over."""
        begun = self._toolbox.begin(call, self.now)
        named = begun or call
        arguments = json.dumps(dict(call.arguments))
        self._add_tool_line("tool_call", arguments, named.name, named.invocation_id)
        if begun is None:
            self._note_result(Outcome(call.name, call.invocation_id, "There is no such tool."))
            return
        self._feel("thinking")
        self._tell(Invoke(begun))

    def answer(self, result: ToolResult) -> bool:
        """Take the result of a tool; say whether anybody waited for it."""
        outcome = self._toolbox.take(result)
        if outcome is not None:
            self._note_result(outcome)
            self._advance()
        return outcome is not None

    def close(self) -> None:
        """Write down what was being said when the call ended."""
        self.over = True
        self._note_partly()
        heard = self._ear
        if heard.voiced >= TURN_S:
            self._take_turn(f"[speech, {heard.voiced:.1f} s]", heard.start, self.now - heard.quiet)

    def _take_turn(self, text: str, start: float, end: float, *, voice: bool = True) -> None:
        self.transcript.append(Said("user", text, start, end, voice))
        self._tell(Piece("user", self._next_ordinal(), voice, text=text))

    def _note_result(self, outcome: Outcome) -> None:
        self._add_tool_line("tool_result", outcome.text, outcome.tool, outcome.invocation_id)
        self._calm_since = self.now
        if outcome.hangs_up:
            self._leave(Leave("agent_hangup"))
        elif outcome.says:
            self._say(outcome.says)
        elif not self._toolbox.busy:
            self._feel("listening")

    def _answer(self) -> None:
        self._begun = True
        if self._current is None and not self._queue and not self._toolbox.busy:
            self._feel("thinking")
            self._next_line()

    def _next_line(self) -> None:
        lines = self.plan.script
        at = min(self._line, len(lines) - 1)
        opens = at == 0 and not self._begun
        line = (self.plan.opening if opens else "") or lines[at]
        self._line = at + 1
        self._begun = True
        if isinstance(line, ToolCall):
            self.invoke(line)
            return
        last = at == len(lines) - 1
        self._say(line, ends_with="agent_hangup" if last else "", from_script=True,
                  interruptible=self.plan.interruptible or not opens)  # fmt: skip

    def _say(self, text: str, *, ends_with: str = "", from_script: bool = False, interruptible: bool = True) -> None:
        sound = speech(text, AGENT, self.voice_rate) if self.voice else None
        self._spoken += 1
        samples, seconds = (sound.samples, sound.seconds) if sound else (b"", 0.0)
        mark = f"line-{self._spoken}"
        self._queue.append(_Utterance(text, samples, seconds, mark, ends_with, from_script, interruptible))

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
            self._take_turn(text, self._key_at, self.now, voice=False)
            self._answer()
        if self._toolbox.busy:
            for outcome in self._toolbox.late(self.now):
                self._note_result(outcome)
        speaking = self._current
        if speaking is not None:
            played = speaking.start + speaking.seconds
            if self.now + 1e-9 >= (played + _GRACE_S if self.plan.reports else played):
                self._finish()
        elif not self._queue and not self._ear.voiced and not self._toolbox.busy:
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
        due = calm - self.plan.patience_s if self._begun else self.now - (self.plan.opens_after_s or 0.0)
        if due + 1e-9 >= 0 and (self._begun or self.plan.opens_after_s is not None):
            self._next_line()

    def _pump(self) -> None:
        if self._current is None and self._queue:
            self._current = self._queue.popleft()
            self._current.start = self.now
            self._current.ordinal = self._next_ordinal()
            self._feel("speaking")
        speaking = self._current
        if speaking is None:
            return
        if self.watch is not None:
            self._tell_more(speaking, self._heard_of(speaking))
        size = int(self.voice_rate * FRAME_S) * 2
        until = (self.now - speaking.start + self.plan.ahead_s) * self.voice_rate * 2
        while speaking.sent < len(speaking.sound) and speaking.sent < until:
            self.out.append(Speak(speaking.sound[speaking.sent : speaking.sent + size].ljust(size, b"\0")))
            speaking.sent += size
        if speaking.sent >= len(speaking.sound) and not speaking.marked:
            speaking.marked = True
            if not speaking.sound:
                self._finish()
            elif self.plan.reports:
                self.out.append(AskMark(speaking.mark))

    def _tell_more(self, speaking: _Utterance, heard: str) -> None:
        """Tell what of it has been said since the last time: all pieces together are its text."""
        if len(heard) > speaking.told:
            self._tell(Piece("agent", speaking.ordinal, bool(speaking.sound), delta=heard[speaking.told :]))
            speaking.told = len(heard)

    def _heard_of(self, speaking: _Utterance) -> str:
        """Return the words of it that have been heard by now."""
        share = min(1.0, (self.now - speaking.start) / speaking.seconds) if speaking.seconds else 1.0
        ends = [0, *(word.end() for word in _WORD.finditer(speaking.text))]
        return speaking.text[: ends[int((len(ends) - 1) * share)]]

    def _finish(self) -> None:
        speaking, self._current = self._current, None
        if speaking is None:
            return
        voice = bool(speaking.sound)
        self.transcript.append(Said("agent", speaking.text, speaking.start, self.now, voice))
        self._tell_more(speaking, speaking.text)
        self._tell(Piece("agent", speaking.ordinal, voice, text=speaking.text))
        self._calm_since = self.now
        if speaking.ends_with:
            self._leave(Leave(speaking.ends_with))
        elif not self._queue:
            self._feel("listening")

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
        self._feel("listening")

    def _note_partly(self) -> None:
        speaking, self._current = self._current, None
        if speaking is None:
            return
        if heard := self._heard_of(speaking):
            self._tell_more(speaking, heard)
            self.transcript.append(Said("agent", heard, speaking.start, self.now))
            self._tell(Piece("agent", speaking.ordinal, voice=True, text=heard))

    def _add_tool_line(self, role: Literal["tool_call", "tool_result"], text: str, tool: str, name: str) -> None:
        self.transcript.append(Said(role, text, self.now, self.now, voice=False, tool=tool, invocation_id=name))

    def _next_ordinal(self) -> int:
        self._ordinal += 1
        return self._ordinal - 1

    def _feel(self, state: State) -> None:
        if state != self._mood:
            self._mood = state
            self._tell(Mood(state))

    def _tell(self, word: Word) -> None:
        if self.watch is not None:
            self.watch(word)

    def _leave(self, how: Leave) -> None:
        self.over = True
        self.out.append(how)
