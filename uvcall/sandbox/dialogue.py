"""The agent's talk with a program, whatever carries it: sound 20 ms at a time, data messages both ways.

https://docs.ultravox.ai/apps/datamessages
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.core.audio import FRAME_S
from uvcall.core.wire import ultravox as codec
from uvcall.core.wire.events import WireError
from uvcall.core.wire.ultravox_messages import Medium
from uvcall.sandbox.conversation import Conversation
from uvcall.sandbox.inflow import Inflow
from uvcall.sandbox.plans import plan
from uvcall.sandbox.recording import Recording, sayings
from uvcall.sandbox.script import DropQueued, Invoke, Leave, Mood, Piece, Speak, Word
from uvcall.sandbox.session import obey
from uvcall.sandbox.ultravox_calls import Calls, SandboxCall
from uvcall.sandbox.world import World

#: The flag of `dataMessages` that governs each message, and whether it is sent when nothing is said about it; that of
#: `playbackClearBuffer` depends on the medium. https://docs.ultravox.ai/api-reference/calls/calls-post
_FLAGS: Final[Mapping[type, tuple[str, bool]]] = {
    codec.Pong: ("pong", True),
    codec.State: ("state", True),
    codec.Transcript: ("transcript", True),
    codec.ToolInvocation: ("clientToolInvocation", True),
    codec.PlaybackClearBuffer: ("playbackClearBuffer", False),
    codec.CallStarted: ("callStarted", True),
    codec.Debug: ("debug", False),
}


#: What goes out.
Due = codec.DataMessage | Speak | DropQueued


@dataclass(slots=True)
class Dialogue:
    """One call's conversation, and what its client is to be told; `wants` are the call's `dataMessages`."""

    world: World
    calls: Calls
    call: SandboxCall
    rate: int
    voice_rate: int
    wants: Mapping[str, Any]
    talk: Conversation = field(init=False)
    inflow: Inflow = field(init=False)
    waiting: list[Due] = field(default_factory=list)  #: not sent yet, in the order in which it happened
    leave: Leave | None = None

    def __post_init__(self) -> None:
        call = self.call
        self.inflow = Inflow(self.rate)
        self.talk = Conversation(
            plan(call.settings, self.world.options),
            self.rate,
            lambda: sayings(self.world).heard(call.join_url),
            call.transcript,
            watch=self._watch,
            voice_rate=self.voice_rate,
        )
        if call.settings["recordingEnabled"]:
            call.tape = Recording(self.rate, agent_rate=self.voice_rate)

    def begin(self) -> None:
        """Tell the client that the agent is there."""
        self.say(codec.CallStarted(self.call.call_id))
        self.say(codec.State("listening"))

    def hear(self, sound: bytes) -> None:
        """Take a piece of the client's sound."""
        self.note(self.inflow.add(sound))

    def read(self, text: str) -> None:
        """Take a data message of the client."""
        try:
            said = codec.decode(text)
        except WireError as error:
            self.note(("data_message", f"a message that is not understood: {error}"))
            return
        if isinstance(said, codec.Ping):
            self.say(codec.Pong(said.timestamp))
        elif isinstance(said, codec.Other):
            self.say(codec.Debug(f"a message of the type {said.type[:40]} is passed over"))
        else:
            problem = obey(self.talk, said)
            if problem:
                self.note(("data_message", problem))

    def pass_time(self) -> None:
        """Live through the next 20 ms, with the sound that has come or without any."""
        talk, tape = self.talk, self.call.tape
        heard, missing = self.inflow.take()
        if heard:
            talk.hear(heard)
        if not heard or missing:
            talk.wait(missing)
        if tape is not None:
            # What did not come is not filled up: as the vendor says, such a recording falls out of step.
            tape.add(heard, talk.sounding(FRAME_S))
        self.note(self.inflow.underflow())

    def say(self, message: codec.ServerMessage) -> None:
        """Queue a data message, if the call wants such messages."""
        flag, default = _FLAGS[type(message)]
        wanted = self.wants.get(flag)
        if default if wanted is None else wanted:
            self._gather()
            self.waiting.append(message)

    def due(self) -> tuple[list[Due], Leave | None]:
        """Return what is to be sent now, in the order in which it happened; and how to leave, if so."""
        self._gather()
        items, self.waiting = self.waiting, []
        return items, self.leave

    def _gather(self) -> None:
        """Take what the conversation has done since the last time."""
        actions, self.talk.out = self.talk.out, []
        for action in actions:
            if isinstance(action, Leave):
                self.leave = self.leave or action
            elif isinstance(action, Speak | DropQueued):
                self.waiting.append(action)
            if isinstance(action, DropQueued):
                self.say(codec.PlaybackClearBuffer())

    def note(self, event: tuple[str, str] | None) -> None:
        """Write a warning into the call's event log."""
        if event is not None:
            kind, text = event
            self.calls.note(self.call, "warning", kind, text[:200])
            self.say(codec.Debug(f"{kind}: {text}"[:200]))

    def _watch(self, word: Word) -> None:
        """Tell the client what the conversation tells."""
        if isinstance(word, Mood):
            self.say(codec.State(word.state))
        elif isinstance(word, Invoke):
            self.say(codec.ToolInvocation(word.call.name, word.call.invocation_id, word.call.arguments))
        elif isinstance(word, Piece):
            final = word.text is not None
            delta = None if final else word.delta
            medium: Medium = "voice" if word.voice else "text"
            self.say(codec.Transcript(word.role, medium, word.ordinal, final, word.text, delta))


def wanted(form: Mapping[str, Any], query: Mapping[str, str], **defaults: bool) -> Mapping[str, Any]:
    """Return what the medium's form, and the query of the join URL, say about data messages."""
    wants = {
        **defaults,
        **{flag: value for flag, value in (form.get("dataMessages") or {}).items() if value is not None},
    }
    return {**wants, "debug": True} if query.get("experimentalMessages") == "debug" else wants
