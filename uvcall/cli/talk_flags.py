"""The command line of `talk`, as given."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from uvcall.cli import options as opt


class Medium(StrEnum):
    """The media that `talk` has."""

    WEBSOCKET = "websocket"
    WEBRTC = "webrtc"


class TalkFlags(NamedTuple):
    """The command line of `talk`, as given."""

    join_url: str | None
    medium: Medium | None
    web: bool
    open_: bool
    input_: str | None
    output: str | None
    text: bool
    mute: bool
    push_to_talk: bool
    half_duplex: bool
    linger: str | None
    client_tool: list[str] | None
    tool_timeout: str
    input_rate: int | None
    output_rate: int | None
    client_buffer: str | None
    media_idle_timeout: str | None
    data_message: list[str] | None
    agent: str | None
    prompt: str | None
    var: list[str] | None
    voice: str | None
    model: str | None
    language: str | None
    temperature: float | None
    tool: list[str] | None
    tools: str | None
    metadata: list[str] | None
    record: bool | None
    call: str | None
    throttle: str | None
    prior_call: str | None
    first_speaker: opt.Speaker | None
    greeting: str | None
    max_duration: str | None
    expect: str | None
    ok_codes: str | None
    dry_run: bool
    save: str | None
    devices: bool
    sandbox: bool
    scenario: str | None
    faults: str
    seed: int | None
    agent_script: str | None
    # What steers the sandbox elsewhere and says nothing here: a conversation is held in real time, by a real caller.
    speed: float = 1.0
    callee_audio: str | None = None


#: What says something about a call that is to be created, so nothing with --join-url.
CREATES: tuple[str, ...] = (
    "agent", "prompt", "var", "voice", "model", "language", "temperature", "tool", "tools", "metadata", "record",
    "call", "throttle", "prior_call", "first_speaker", "greeting", "max_duration", "client_buffer",
    "media_idle_timeout", "data_message", "dry_run",
)  # fmt: skip

#: What is about a conversation held by this process, so nothing with --web; and what it is when nobody says anything.
HOLDS: Mapping[str, object] = {
    "join_url": None, "input_": None, "output": None, "text": False, "mute": False, "push_to_talk": False,
    "half_duplex": False, "linger": None, "client_tool": None, "tool_timeout": "30s", "input_rate": None,
    "output_rate": None,
}  # fmt: skip
