"""One conversation with an agent, without a socket, a device or a clock: what comes in becomes what is to be done.

The transport is not known here: WebSocket and WebRTC carry the same messages and the same sound.
https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.core.model import Line
from uvcall.core.wire import ultravox as uv
from uvcall.core.wire.events import WireError
from uvcall.core.wire.ultravox_messages import Medium, Urgency
from uvcall.errors import ContractBroken, ProviderRefused, UvcallError
from uvcall.softphone.state import Happening, Phase, step
from uvcall.softphone.transcript import TranscriptBook, Utterance

#: So many messages that cannot be read are put up with; then it is not Ultravox's protocol that is spoken there.
MOST_UNREADABLE: Final = 20
#: Tools that run at the same time; an agent that calls more is told so.
MOST_TOOLS: Final = 16


@dataclass(frozen=True, slots=True)
class Send:
    """Send this data message."""

    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """Play this PCM after what waits already."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class DropPlayback:
    """Drop what has not been played."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run the client's tool and answer with `tool_done`."""

    invocation: uv.ToolInvocation


@dataclass(frozen=True, slots=True)
class Spoken:
    """The utterance as it stands now."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class AgentState:
    """What the agent does: idle, listening, thinking, speaking."""

    state: str


@dataclass(frozen=True, slots=True)
class Started:
    """The agent is there."""

    call_id: str


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A ping came back after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line; `detail`: only for those who want to know everything."""

    text: str
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Give:
    """Give the conversation up: the other side is not what it should be."""

    error: UvcallError


Effect = Send | Play | DropPlayback | RunTool | Spoken | AgentState | Started | RoundTrip | Note | Give


@dataclass(slots=True)
class Session:
    """The state of one conversation. Its methods append to `out`; the driver carries that out and empties it.

    Times are seconds of the driver's own clock, which never jumps.
    """

    tools: Collection[str] = ()
    phase: Phase = Phase.IDLE
    out: list[Effect] = field(default_factory=list)
    call_id: str | None = None
    agent: str = ""  #: the agent's last state
    opened_at: float | None = None
    book: TranscriptBook = field(default_factory=TranscriptBook)
    _unreadable: int = 0
    _odd: bool = False
    _running: set[str] = field(default_factory=set)

    # -- what the driver does -----------------------------------------------------------------------------------------

    def dial(self) -> None:
        """Begin to connect."""
        self.phase = step(self.phase, Happening.DIAL)

    def opened(self, now: float) -> None:
        """Note that the transport stands."""
        self.phase = step(self.phase, Happening.OPENED)
        self.opened_at = now

    def closed(self) -> None:
        """Note that the transport is gone."""
        self.phase = step(self.phase, Happening.CLOSED)

    def hang_up(self, farewell: str = "") -> None:
        """End the conversation: ask the other side to, if there is one."""
        before, self.phase = self.phase, step(self.phase, Happening.HANG_UP)
        if self.phase is Phase.LEAVING and before is not Phase.LEAVING:
            self._send(uv.HangUp(farewell))

    def say(self, text: str, *, urgency: Urgency = "immediate") -> None:
        """Say something in writing."""
        self._send(uv.UserText(text, urgency))

    def set_output(self, medium: Medium) -> None:
        """Ask the agent to speak, or to write."""
        self._send(uv.SetOutputMedium(medium))

    def ping(self, now: float) -> None:
        """Ask for a sign of life."""
        self._send(uv.Ping(round(now, 3)))

    def tool_done(self, result: uv.ToolResult) -> None:
        """Answer an invocation; a result that no message can hold becomes a failure that the agent is told of."""
        self._running.discard(result.invocation_id)
        try:
            self._send(result)
        except WireError as error:
            self._fail(result.invocation_id, "implementation-error", str(error))

    # -- what the transport brings ------------------------------------------------------------------------------------

    def heard_audio(self, samples: bytes) -> None:
        """Take the agent's voice: 16-bit little-endian mono."""
        self.phase = step(self.phase, Happening.HEARD)
        if len(samples) % 2:
            if not self._odd:
                self._note("the agent's audio has an odd number of bytes; the last one is dropped")
            self._odd = True
            samples = samples[:-1]
        if samples:
            self.out.append(Play(samples))

    def heard_data(self, text: str, now: float) -> None:
        """Take a data message: one that cannot be read is noted and passed over, one of an unknown type just so."""
        first = self.phase is Phase.OPEN
        self.phase = step(self.phase, Happening.HEARD)
        try:
            message = uv.decode(text)
        except WireError as error:
            self._unreadable += 1
            self._note(f"a message of Ultravox's cannot be read: {error}", detail=self._unreadable > 1)
            if self._unreadable == MOST_UNREADABLE:
                words = f"{MOST_UNREADABLE} messages cannot be read: the join URL does not lead to Ultravox's protocol"
                self.out.append(Give(ContractBroken(words, hint="take a fresh join URL", peer="ultravox")))
            return
        take = _TAKERS.get(type(message))
        if first and isinstance(message, uv.Other) and message.type == "room_info":
            words = "the join URL is of a WebRTC call: it names a room"
            self.out.append(Give(ProviderRefused(words, hint="--medium webrtc joins it", peer="ultravox")))
        elif take is None:
            kind = message.type if isinstance(message, uv.Other) else type(message).__name__
            self._note(f"Ultravox says {kind[:64]}", detail=True)
        else:
            take(self, message, now)

    def lines(self) -> tuple[Line, ...]:
        """Return the transcript so far."""
        return self.book.lines()

    # -- one function for each message --------------------------------------------------------------------------------

    def take_started(self, message: uv.CallStarted, _now: float) -> None:
        """Note the call's id."""
        self.call_id = message.call_id
        self.out.append(Started(message.call_id))

    def take_state(self, message: uv.State, _now: float) -> None:
        """Note what the agent does."""
        self.agent = message.state[:32]
        self.out.append(AgentState(self.agent))

    def take_transcript(self, message: uv.Transcript, now: float) -> None:
        """Write down what was said."""
        since = now - self.opened_at if self.opened_at is not None else 0.0
        utterance = self.book.take(message, max(0.0, since))
        if utterance is not None:
            self.out.append(Spoken(utterance))

    def take_invoked(self, message: uv.ToolInvocation, _now: float) -> None:
        """Have a tool run, or say why not."""
        wanted, name = message.invocation_id, message.tool_name
        if wanted in self._running:
            return
        if isinstance(message, uv.DataConnectionToolInvocation):
            self._note(f"the agent calls {name[:64]!r}, a tool of a data connection, which is not here", detail=True)
        elif name not in self.tools:
            self._note(f"the agent calls the tool {name[:64]!r}, which is not here: --client-tool gives it one")
            self._fail(wanted, "undefined", f"there is no client tool {name[:64]}")
        elif len(self._running) >= MOST_TOOLS:
            self._fail(wanted, "implementation-error", f"{MOST_TOOLS} tools are running already")
        else:
            self._running.add(wanted)
            self.out.append(RunTool(message))

    def take_cleared(self, _message: uv.PlaybackClearBuffer, _now: float) -> None:
        """Drop what has not been played."""
        self.out.append(DropPlayback())

    def take_pong(self, message: uv.Pong, now: float) -> None:
        """Measure the round trip."""
        self.out.append(RoundTrip(max(0.0, now - message.timestamp)))

    def take_debug(self, message: uv.Debug, _now: float) -> None:
        """Pass on a line for developers."""
        self._note(f"debug: {message.message[:300]}", detail=True)

    def _send(self, message: uv.DataMessage) -> None:
        self.out.append(Send(uv.encode(message)))

    def _fail(self, invocation_id: str, kind: str, words: str) -> None:
        self._send(uv.ToolResult(invocation_id, error_type=kind, error_message=words))

    def _note(self, text: str, *, detail: bool = False) -> None:
        self.out.append(Note(text, detail))


_TAKERS: Final[Mapping[type, Callable[[Session, Any, float], None]]] = {
    uv.CallStarted: Session.take_started,
    uv.State: Session.take_state,
    uv.Transcript: Session.take_transcript,
    uv.ToolInvocation: Session.take_invoked,
    uv.DataConnectionToolInvocation: Session.take_invoked,
    uv.PlaybackClearBuffer: Session.take_cleared,
    uv.Pong: Session.take_pong,
    uv.Debug: Session.take_debug,
}
