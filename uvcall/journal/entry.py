"""The values that the journal keeps, and the door at which each is looked at before it is written.

Identifiers are refused when they are not what they should be; prose (a peer's words, a command line) is cut to one
line of 300 characters, and what looks like a credential or a join URL in it is replaced.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, TypedDict
from uuid import UUID

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.core.model import Failure, Outcome
from uvcall.core.phone import require_e164
from uvcall.errors import Placed, UsageError
from uvcall.journal.owner import Owner, Probe
from uvcall.journal.states import FATE, MAY_TELL, MUST_TELL, VERDICTS, IllegalStep, State, Step, advance

Via = Literal["sdk", "ultravox"]

#: What nobody may find here: socket URLs (a join URL is a bearer token), and keys of a recognizable shape. Telnyx's are
#: told by their hexadecimal digits too: its call control ids are random letters, and one in 30,000 has a "key" in it.
SECRET: Final = re.compile(
    r"wss?(?::|%3a)(?:/|\\|%2f|%5c)+\S*|\b\w{8}\.\w{32}\b|(?-i:\bKEY[0-9A-Fa-f]{16,}_\w+)|\b(?:bearer|basic)\s+\S{8,}",
    re.IGNORECASE,
)
#: How long after its death date an attempt's remote objects may still be winding up.
GRACE: Final = timedelta(minutes=10)

_WORD: Final = re.compile(r"[!-~]{1,200}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 300


class Facts(TypedDict, total=False):
    """What a step tells. Which step may tell what: `states.MAY_TELL`."""

    provider: str
    from_: str
    ring_timeout_s: int
    time_limit_s: int
    death_at: datetime
    ultravox_call_id: str | None
    carrier_call_id: str | None
    carrier_ids: Mapping[str, str]
    outcome: str
    exit_code: int
    placed: Placed
    answered_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    end_reason: str | None
    cost: str | None
    error: Failure | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What is committed before any byte leaves."""

    attempt_id: str  #: a UUID
    provider: str
    to: str
    from_: str
    created_at: datetime
    death_at: datetime  #: when everything remote is surely over, whatever happens to uvcall
    digest: str  #: `digest_of` the arguments
    key: str | None = None  #: `--idempotency-key`
    via: Via = "sdk"
    owner: Owner | None = None
    command: str = ""  #: the command line, for whoever reads the trail


@dataclass(frozen=True, slots=True)
class Entry(Intent):
    """An attempt as the journal knows it now."""

    state: State = State.INTENT
    placed: Placed = "no"
    leg_at: datetime | None = None  #: when the last request to a carrier was about to leave
    ring_timeout_s: int | None = None
    time_limit_s: int | None = None
    ultravox_call_id: str | None = None
    carrier_call_id: str | None = None
    carrier_ids: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    outcome: Outcome | None = None
    exit_code: int | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    end_reason: str | None = None
    cost: str | None = None
    error: Failure | None = None
    reason: str | None = None
    assumed_by: str | None = None  #: who said that it was not placed, when no carrier did
    updated_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Say whether the attempt still waits for its end, and so blocks its number."""
        return self.state is not State.ENDED

    @property
    def spent(self) -> bool:
        """Say whether it spends its idempotency key: not when it has ended with nothing placed."""
        return self.open or self.placed != "no"

    def owner_alive(self, probe: Probe) -> bool:
        """Say whether the process that made the attempt still lives."""
        return self.owner is not None and probe(self.owner.pid, self.owner.start)

    def stale(self, now: datetime) -> bool:
        """Say whether it is open although everything remote must be over."""
        return self.open and now >= self.death_at + GRACE


class Taken(NamedTuple):
    """One line of an attempt's history. `facts` are as stored: JSON values."""

    at: datetime
    step: str  #: a `Step`, or `intent` for the first
    state: State  #: after it
    facts: Mapping[str, Any]


def digest_of(arguments: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the arguments in canonical JSON: equal for equal arguments in whatever order."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def prose(text: object) -> str:
    """Return words for the journal: one line, short, nothing secret, storable as UTF-8."""
    plain = SECRET.sub("[secret]", str(text)).encode("utf-8", "backslashreplace").decode()
    return " ".join(plain.replace("\0", " ").split())[:_LONGEST]


def word(text: object) -> str:
    """Return an identifier unchanged.

    Raises:
        ValueError: It is not 1 to 200 visible ASCII characters, or looks like a secret. The message never holds it.
    """
    # `str` exactly: a Secret or a JoinUrl is no identifier.
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise ValueError("an identifier is 1 to 200 visible ASCII characters")
    if SECRET.search(text):
        raise ValueError("an identifier that looks like a secret has no place in the journal")
    return text


def instant(moment: datetime) -> datetime:
    """Return the instant in UTC.

    Raises:
        ValueError: It has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("the journal takes instants with a time zone only")
    return moment.astimezone(UTC)


def _placed(text: object) -> object:
    if text not in {"yes", "no", "unknown"}:
        raise ValueError("placed is yes, no or unknown")
    return text


def _ids(ids: Mapping[str, str]) -> Mapping[str, str]:
    return {word(name): word(value) for name, value in ids.items()}


def _error(error: Failure) -> Failure:
    vendor_code = None if error.vendor_code is None else prose(error.vendor_code)
    return replace(error, message=prose(error.message), hint=prose(error.hint), vendor_code=vendor_code)


#: How each fact is looked at. `None` passes for a fact that may be missing.
_DOOR: Final[Mapping[str, Callable[[Any], object]]] = {
    "provider": lambda text: Provider(text).value,
    "from_": lambda text: require_e164(text, "the caller's number"),
    "ring_timeout_s": int,
    "time_limit_s": int,
    "death_at": instant,
    "ultravox_call_id": word,
    "carrier_call_id": word,
    "carrier_ids": _ids,
    "outcome": Outcome,
    "exit_code": int,
    "placed": _placed,
    "answered_at": instant,
    "ended_at": instant,
    "duration_s": float,
    "end_reason": prose,
    "cost": prose,
    "error": _error,
    "reason": prose,
    "by": prose,
}


def admit(intent: Intent) -> Entry:
    """Return the first entry of an attempt, checked.

    Raises:
        UsageError: The number is not E.164, or the idempotency key not printable, or too long.
        ValueError: Anything else is not what it should be: a bug.
    """
    if intent.via not in {"sdk", "ultravox"}:
        raise ValueError("via is sdk or ultravox")
    if not _DIGEST.fullmatch(intent.digest):
        raise ValueError("the digest is not a SHA-256 in hex")
    if intent.key is not None and (
        not intent.key.isprintable() or not 1 <= len(intent.key) <= 200 or SECRET.search(intent.key)
    ):
        raise UsageError(
            "the idempotency key must be 1 to 200 printable characters, and no secret",
            hint="name what the call is for: --idempotency-key invoice-4711-reminder",
        )
    return Entry(
        attempt_id=str(UUID(intent.attempt_id)),
        provider=Provider(intent.provider).value,
        to=require_e164(intent.to, "the number to call"),
        from_=require_e164(intent.from_, "the caller's number"),
        created_at=instant(intent.created_at),
        death_at=instant(intent.death_at),
        digest=intent.digest,
        key=intent.key,
        via=intent.via,
        owner=intent.owner,
        command=prose(intent.command),
        updated_at=instant(intent.created_at),
    )


def look_at(step: Step, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a step, checked and cleaned; `None` means "not known" and is dropped.

    Raises:
        ValueError: The step tells no such thing, leaves out what it must tell, or a fact is not what it should be.
    """
    told = {name: fact for name, fact in facts.items() if fact is not None}
    if strange := told.keys() - MAY_TELL[step]:
        raise ValueError(f"{step} does not tell {', '.join(sorted(strange))}")
    if missing := MUST_TELL.get(step, frozenset()) - told.keys():
        raise ValueError(f"{step} must tell {', '.join(sorted(missing))}")
    return {name: _DOOR[name](fact) for name, fact in told.items()}


def follow(entry: Entry, step: Step, at: datetime, facts: Mapping[str, Any]) -> Entry:
    """Return the entry after a step whose facts have been looked at. Pure.

    Raises:
        IllegalStep: It cannot follow, or it says of the leg what the state rules out.
    """
    state = advance(entry.state, step, entry.attempt_id)
    told = dict(facts)
    placed = told.pop("placed", entry.placed)
    by = told.pop("by", None)
    told["carrier_ids"] = {**entry.carrier_ids, **told.get("carrier_ids", {})}
    known, new = entry.carrier_call_id, told.get("carrier_call_id")
    if known is not None and new is not None and known != new:
        raise IllegalStep(
            f"attempt {entry.attempt_id} has the leg {known}: {new} cannot be it too",
            hint="look at both at the carrier: uvcall places one leg for an attempt",
        )
    if step is Step.ENDED and placed != VERDICTS[entry.state]:
        raise IllegalStep(
            f"attempt {entry.attempt_id} is {entry.state}: it cannot end with placed={placed}",
            hint=f"uvcall calls show {entry.attempt_id} tells its steps",
        )
    if state is not State.ENDED:
        placed = FATE[state]
    if state is not entry.state:  # an earlier command's outcome ("unknown", "accepted") is history now
        told = {"outcome": None, "exit_code": None, "end_reason": None, "error": None, "reason": None, **told}
    if step is Step.LEG_INTENT:  # a new leg: the ids of one that was refused are history
        told |= {"leg_at": at, "carrier_call_id": None, "carrier_ids": NOTHING}
    if step is Step.ASSUMED_NOT_PLACED:
        placed = "no"
        told |= {"outcome": Outcome.UNKNOWN, "exit_code": 20, "assumed_by": by}
    return replace(entry, state=state, placed=placed, updated_at=at, **told)


def stamp(moment: datetime | None) -> str | None:
    """Return an instant as the journal writes it: fixed width, so that text order is time order."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str | None) -> datetime | None:
    """Return a stored instant."""
    return None if text is None else datetime.fromisoformat(text)


def plain(fact: object) -> object:
    """Return a fact as a JSON value."""
    if isinstance(fact, datetime):
        return stamp(fact)
    return asdict(fact) if isinstance(fact, Failure) else fact
