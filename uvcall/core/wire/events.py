"""One vocabulary for what carriers say: signaling by webhook, media by WebSocket.

Each carrier's module turns its own wire format into these values and back. Numbers keep the meaning that the carrier
gives them; `raw` holds the message as it came, for what the vocabulary has no word for, and takes no part in equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.core.model import LegState


class Side(StrEnum):
    """Who sends a media message."""

    CARRIER = "carrier"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket is open (Telnyx, Twilio; Plivo has no such message)."""

    version: str = "1.0.0"


@dataclass(frozen=True, slots=True)
class Started:
    """The stream begins. `encoding` is `PCMU`, `PCMA` or `L16`, whatever the carrier calls it on the wire."""

    stream_id: str
    call_id: str  #: Twilio callSid, Telnyx call_control_id, Plivo callId
    encoding: str
    sample_rate: int
    account_id: str = ""  #: Twilio accountSid, Telnyx user_id, Plivo accountId
    tracks: tuple[str, ...] = ("inbound",)
    parameters: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    sequence: int = 1
    session_id: str = ""  #: Telnyx call_session_id
    from_: str = ""  #: Telnyx
    to: str = ""  #: Telnyx
    client_state: str = ""  #: Telnyx
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING, compare=False, repr=False)


class Audio(NamedTuple):
    """Audio in the stream's encoding, without any header. A tuple, since a call makes a hundred of these a second.

    From the carrier it has a track, a chunk number and a time; from the agent only the payload matters (Plivo also
    wants encoding and rate with each message).
    """

    payload: bytes
    stream_id: str = ""
    track: Literal["inbound", "outbound"] = "inbound"
    sequence: int = 0
    chunk: int = 0
    timestamp_ms: int = 0  #: Twilio and Telnyx: since the stream's start; Plivo: since the epoch
    encoding: str = ""  #: Plivo, from the agent
    sample_rate: int = 0  #: Plivo, from the agent


@dataclass(frozen=True, slots=True)
class Digit:
    """The person pressed a key."""

    digit: str
    stream_id: str = ""
    sequence: int = 0
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """The agent asks to be told when everything sent so far has been played; the carrier tells.

    Plivo's words are `checkpoint` and `playedStream`.
    """

    name: str
    stream_id: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Clear:
    """The agent drops what has not been played yet."""

    stream_id: str = ""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The carrier has dropped it (Plivo only)."""

    stream_id: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class SendDigits:
    """The agent presses keys (Plivo only)."""

    digits: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over (Telnyx, Twilio; Plivo just closes the socket, though tools send it)."""

    call_id: str = ""
    account_id: str = ""
    stream_id: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class StreamError:
    """The carrier rejects what the agent sent (Telnyx only)."""

    code: int
    title: str
    detail: str = ""
    stream_id: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed message that the vocabulary has no word for."""

    name: str
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING, compare=False)


Media = Connected | Started | Audio | Digit | Mark | Clear | Cleared | SendDigits | Stopped | StreamError | Unknown


class WireError(ValueError):
    """A media message that the carrier's protocol does not allow. The text never quotes the payload."""


class WebhookKind(StrEnum):
    """What a carrier's webhook reports."""

    INCOMING = "incoming"  #: someone rings the number
    STATUS = "status"  #: the leg moved on
    STREAM = "stream"  #: the media stream started, stopped or failed
    MACHINE = "machine"  #: answering-machine verdict
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CallWebhook:
    """A carrier's webhook after every field used has been matched whole."""

    provider: Provider
    kind: WebhookKind
    carrier_call_id: str
    from_: str = ""  #: E.164, or empty for a withheld or unknown caller
    to: str = ""
    direction: Literal["inbound", "outbound", ""] = ""
    state: LegState | None = None
    status: str = ""  #: the carrier's word
    event_id: str = ""  #: Telnyx data.id; empty elsewhere
    machine: bool | None = None
    ids: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING, compare=False, repr=False)
