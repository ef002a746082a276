"""What a carrier's API was asked for: one phone leg, what to do when it is answered, and how to look for a machine."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.sandbox.world import StreamSpec


def _telnyx_id() -> str:
    return (
        "v3:" + base64.urlsafe_b64encode(uuid.uuid4().bytes + uuid.uuid4().bytes + uuid.uuid4().bytes[:8]).decode()[:54]
    )


_NEW_ID: Final[Mapping[Provider, Callable[[], str]]] = {
    Provider.TELNYX: _telnyx_id,
    Provider.TWILIO: lambda: f"CA{uuid.uuid4().hex}",
    Provider.PLIVO: lambda: str(uuid.uuid4()),
}


def new_leg_id(provider: Provider) -> str:
    """Return the id of a new leg, in the carrier's form."""
    return _NEW_ID[provider]()


def child_ids(parent: str, ids: Mapping[str, str]) -> dict[str, str]:
    """Return the further ids of a leg that another one dials: of the same session, with names of its own."""
    own = {name: str(uuid.uuid4()) for name in ("call_leg_id", "request_uuid") if name in ids}
    return {**ids, **own, "parent": parent}


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
    halt: asyncio.Event = field(default_factory=asyncio.Event)  #: set when what the leg does now is to stop
    busy: int = 0  #: commands of the API that are at work
    commands: int = 0  #: of the API, ever
