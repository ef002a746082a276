"""The command line of `serve-inbound`, as given."""

from __future__ import annotations

from typing import NamedTuple

from uvcall.cli import options as opt
from uvcall.core.carrier import Provider

Numbers = list[str] | None


class ServeFlags(NamedTuple):
    """The command line of `serve-inbound`, as given."""

    provider: list[Provider] | None
    host: str | None
    port: int | None
    public_url: str | None
    metrics_port: int | None
    workers: int
    number: Numbers
    allow_from: Numbers
    deny_from: Numbers
    allow_unknown: bool
    max_concurrent: int | None
    calls_per_caller: int
    calls_per_hour: int
    daily_minutes: float
    forward_to: str | None
    fallback_say: str | None
    insecure_skip_signature: bool
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
    configure_number: Numbers
    restore: bool
    ring: bool
    sandbox: bool
    speed: float
    faults: str
    seed: int | None
