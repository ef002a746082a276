"""What a carrier's API was asked for: one phone leg, what to do when it is answered, and how to look for a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.sandbox.world import StreamSpec


@dataclass(frozen=True, slots=True)
class Script:
    """Where the carrier finds what to do with an answered call: a document, or a URL that gives one."""

    document: str | None = None
    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Detection:
    """How the carrier looks for an answering machine."""

    waits: bool = False  #: the script begins after the verdict
    hangs_up: bool = False  #: the carrier ends the call on a machine
    to_the_beep: bool = False
    mode: str = ""  #: the carrier's own word


@dataclass(frozen=True, slots=True)
class Order:
    """One phone leg, as a carrier's API was asked for it. Times are seconds."""

    provider: Provider
    to: str
    from_: str
    ring_timeout_s: float
    time_limit_s: float
    script: Script | StreamSpec | None = None
    detection: Detection | None = None
    ids: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    options: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    patience_s: float = 10.0  #: how long a person stays on a line on which nothing happens


@dataclass(slots=True)
class Run:
    """What the network remembers of a leg beside the leg itself."""

    order: Order
    fault: str = ""  #: the carrier's code for what was wrong with the instructions
    queued_s: float = 0.0
