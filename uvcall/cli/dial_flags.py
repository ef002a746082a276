"""The command line of `dial`, as given."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from uvcall.cli import options as opt


class Via(StrEnum):
    """Who places the phone leg."""

    SDK = "sdk"
    ULTRAVOX = "ultravox"


class Voicemail(StrEnum):
    """What to do when a machine answers."""

    HANGUP = "hangup"
    LEAVE = "leave"
    IGNORE = "ignore"


class DialFlags(NamedTuple):
    """The command line of `dial`, as given."""

    to: str
    provider: str | None
    from_: str | None
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
    greeting_delay: str | None
    ring_timeout: str | None
    max_duration: str | None
    voicemail: Voicemail
    carrier_option: list[str] | None
    via: Via
    answer_url: str | None
    answer_port: int | None
    answer_host: str
    detach: bool
    timeout: str | None
    settle: str
    idempotency_key: str | None
    expect: str | None
    ok_codes: str | None
    dry_run: bool
    save: str | None
    sandbox: bool
    scenario: str | None
    speed: float
    faults: str
    seed: int | None
    callee_audio: str | None
    agent_script: str | None
