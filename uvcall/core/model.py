"""The values that the rooms hand to each other.

They are named tuples: a frozen dataclass takes five times as long to define, and every run pays for it. `Failure` is
not, since it stands in facts that become JSON, where a tuple would be a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.errors import Placed


class Outcome(StrEnum):
    """How a command ended, as in the record's `outcome`. Exit codes: `core.outcome`."""

    COMPLETED = "completed"
    ACCEPTED = "accepted"
    INTERNAL_ERROR = "internal_error"
    USAGE = "usage"
    POLICY_REFUSED = "policy_refused"
    AUTH_ERROR = "auth_error"
    PROVIDER_REFUSED = "provider_refused"
    CONFIG_ERROR = "config_error"
    LOCAL_ERROR = "local_error"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    VOICEMAIL = "voicemail"
    REJECTED = "rejected"
    SILENT = "silent"
    AGENT_FAILED = "agent_failed"
    MAX_DURATION = "max_duration"
    UNKNOWN = "unknown"
    UNOBSERVED = "unobserved"
    TEMPORARY = "temporary"
    INTERRUPTED = "interrupted"


class LegOrder(NamedTuple):
    """What a carrier needs to place one phone leg. Durations are whole seconds."""

    to: str
    from_: str
    attempt_id: str  #: a UUID; travels to the vendors so that the leg can be found again
    ring_timeout_s: int
    time_limit_s: int
    join_url: JoinUrl | None = None  #: Telnyx and Twilio: inline
    answer_url: str | None = None  #: Plivo: where it fetches the XML
    machine_url: str | None = None  #: Plivo: where it reports an answering machine
    detect_machine: bool = False
    hang_up_on_machine: bool = False
    stream: StreamOptions = StreamOptions()
    options: Mapping[str, Any] = NOTHING  #: `--carrier-option`, passed on as is
    ours: bool = True  #: False: Ultravox places the leg, so it carries no mark of ours and is found by its numbers


class PlacedCall(NamedTuple):
    """A phone leg that the carrier says exists."""

    provider: Provider
    carrier_call_id: str  #: what the carrier's own console shows
    ids: Mapping[str, str] = NOTHING  #: the carrier's further ids by its own names


class LegState(StrEnum):
    """Where a phone leg is in its life."""

    QUEUED = "queued"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Cause(StrEnum):
    """Why a phone leg ended, in one vocabulary for all carriers."""

    NORMAL = "normal"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    MACHINE = "machine"
    TIME_LIMIT = "time_limit"
    UNKNOWN = "unknown"


class LegStatus(NamedTuple):
    """What the carrier says of a leg now.

    `cause` is set when the leg has ended; `Cause.UNKNOWN` there means "ended, the reason not (yet) told".
    """

    state: LegState
    cause: Cause | None = None
    raw: str = ""  #: the carrier's own words, verbatim, for the record's `end_reason`
    answered: bool = False  #: it was answered at some time, even when it has ended since
    machine: bool | None = None  #: True: an answering machine; None: not asked or not known yet
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None  #: seconds of conversation, as the carrier counts them
    ids: Mapping[str, str] = NOTHING  #: ids learned only now (Plivo's CallUUID)
    carrier_call_id: str = ""  #: the id that the carrier's console shows, where it is learned only now
    cost: str | None = None


class UltravoxCall(NamedTuple):
    """An Ultravox call as the API shows it."""

    call_id: str
    created_at: datetime | None = None
    joined_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None  #: unjoined, hangup, agent_hangup, timeout, connection_error, system_error
    metadata: Mapping[str, str] = NOTHING
    recorded: bool | None = None  #: a recording was asked for; None: not told


class CreatedCall(NamedTuple):
    """The answer to a Create Call: the id, and the join URL unless Ultravox dials by itself."""

    call_id: str
    join_url: JoinUrl | None


class Line(NamedTuple):
    """One line of the transcript. `at_s` counts from the agent's joining."""

    role: Literal["user", "agent"]
    text: str
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The record's `error`."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    vendor_code: str | None = None
    status: int | None = None


class CallRecord(NamedTuple):
    """What `dial` knows at its end; `as_json` in `core.outcome` gives the contract's object."""

    outcome: Outcome
    exit_code: int
    placed: Placed
    provider: str
    to: str
    from_: str
    attempt_id: str | None = None
    ultravox_call_id: str | None = None
    carrier_call_id: str | None = None
    created_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    end_reason: str | None = None
    transcript: tuple[Line, ...] = ()
    recording: str | None = None
    cost: str | None = None
    error: Failure | None = None
    next: str | None = None
    retry_safe: bool = False
    carrier_ids: Mapping[str, str] = NOTHING
