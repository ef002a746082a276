"""What a carrier's answer, or its absence, means for the phone: the tables that all three carriers share.

A failed *create* is one of three things (see `uvcall.errors`): **not sent**, **refused**, **unknown**. Only two facts
decide: had the first byte of the request left, and what came back. A carrier's module adds how its error bodies read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from uvcall.core import NOTHING
from uvcall.core.secret import JoinUrl
from uvcall.errors import AuthError, FateUnknown, ProviderRefused, Temporary, UvcallError

#: Statuses of a create that are a definite refusal, if the body is the carrier's own error. Anything else above 399
#: may have placed the call: 408 and 409 speak of an earlier request, 5xx of a fault after it was taken.
REFUSALS: Final = frozenset({400, 402, 403, 404, 405, 413, 415, 422})
TOO_MANY: Final = 429
#: "The request has not been applied" (RFC 9110, 15.5.2): the one status that proves it whatever the body says.
#: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2
UNAUTHORIZED: Final = 401

LIMIT: Final = 1024 * 1024
"""The largest answer that is read, in bytes."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str] = NOTHING  #: names in lower case
    body: bytes = b""


class AnswerError(Exception):
    """The carrier answered, but not with success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


class AnswerLost(Exception):
    """No usable answer came.

    Args:
        why: In a few words.
        sent: False when not one byte of the request had left.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class Complaint(NamedTuple):
    """The carrier's own error, as its body tells it."""

    words: str
    code: str | None = None


class Manner(NamedTuple):
    """How one carrier complains.

    Attributes:
        peer: The carrier's name in settings and errors.
        title: Its name for people.
        read: The body to the complaint; None when the body is not the carrier's.
        is_auth: Is this complaint about the credentials themselves?
        auth_hint: Where to look when it is.
        hints: What to do, by the carrier's code.
    """

    peer: str
    title: str
    read: Callable[[Any], Complaint | None]
    is_auth: Callable[[int, Complaint], bool]
    auth_hint: str
    hints: Mapping[str, str] = NOTHING


def complaint(manner: Manner, answer: Answer) -> Complaint | None:
    """Return the carrier's error, or None when the body is somebody else's (a proxy's page), broken or empty."""
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    found = manner.read(parsed) if isinstance(parsed, dict) else None
    return Complaint(one_line(found.words), found.code) if found else None


def failed_create(manner: Manner, error: AnswerError | AnswerLost) -> UvcallError:
    """Return what a failed create means: Temporary, ProviderRefused, AuthError or FateUnknown."""
    if isinstance(error, AnswerLost):
        if not error.sent:
            return Temporary(
                f"{manner.title} could not be reached: {error.why}",
                hint="nothing was sent; check the network and run the command again",
                peer=manner.peer,
            )
        return _unknown(manner, error.why, None, None)
    answer, said = error.answer, complaint(manner, error.answer)
    status = answer.status
    if status == TOO_MANY:
        return Temporary(
            f"{manner.title} is being asked too often{_words(said)}",
            hint="nothing was placed; wait, then run the command again",
            vendor_code=said.code if said else None,
            status=status,
            retry_after=retry_after(answer.headers),
            peer=manner.peer,
        )
    if status == UNAUTHORIZED or (status in REFUSALS and said and manner.is_auth(status, said)):
        return _auth(manner, status, said)
    if status in REFUSALS and said:
        return _refused(manner, "refused the call", status, said)
    return _unknown(manner, f"it answered with HTTP {status}", status, said)


def failed_read(manner: Manner, error: AnswerError | AnswerLost, *, strict: bool = False) -> UvcallError:
    """Return what a failed read or hang-up means: Temporary, unless `strict` asks what the credentials are worth."""
    if isinstance(error, AnswerLost):
        return Temporary(
            f"{manner.title} did not answer: {error.why}", hint="the call is not affected", peer=manner.peer
        )
    answer, said = error.answer, complaint(manner, error.answer)
    status = answer.status
    if strict and (status == UNAUTHORIZED or (said and manner.is_auth(status, said))):
        return _auth(manner, status, said)
    if strict and said and status in REFUSALS:
        return _refused(manner, "refused to answer", status, said)
    return Temporary(
        f"{manner.title} answered with HTTP {status}{_words(said)}",
        hint="the call is not affected",
        vendor_code=said.code if said else None,
        status=status,
        retry_after=retry_after(answer.headers),
        peer=manner.peer,
    )


def no_id(manner: Manner, why: str) -> FateUnknown:
    """Return the error for a success that does not say which call it is."""
    return _unknown(manner, why, None, None)


def _auth(manner: Manner, status: int, said: Complaint | None) -> AuthError:
    return AuthError(
        f"{manner.title} does not accept the credentials{_words(said)}",
        hint=manner.auth_hint,
        vendor_code=said.code if said else None,
        status=status,
        peer=manner.peer,
    )


def _refused(manner: Manner, deed: str, status: int, said: Complaint) -> ProviderRefused:
    hint = manner.hints.get(said.code or "", "nothing was placed; mend what it names and run the command again")
    return ProviderRefused(
        f"{manner.title} {deed}{_words(said)}", hint=hint, vendor_code=said.code, status=status, peer=manner.peer
    )


def _unknown(manner: Manner, why: str, status: int | None, said: Complaint | None) -> FateUnknown:
    return FateUnknown(
        f"{manner.title} may have placed the call: {why}{_words(said)}",
        hint="do not dial again before `uvcall reconcile` has settled it",
        vendor_code=said.code if said else None,
        status=status,
        peer=manner.peer,
    )


def _words(said: Complaint | None) -> str:
    if said is None:
        return ""
    return f": {said.words}" + (f" ({said.code})" if said.code else "")


_JOIN_URL = re.compile(r"\bwss?://\S+")


def one_line(text: object, *, limit: int = 200) -> str:
    """Return a peer's words as one short line without any stream URL, which would be a secret."""
    words = " ".join(_JOIN_URL.sub(str(JoinUrl("")), str(text)).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks for, given as seconds or as an HTTP date; None when it does not."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        until = _mail_date(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def _mail_date(text: str) -> datetime:
    """Return a time as mail and HTTP write it. Its parser is imported for it: half of a carrier's import otherwise.

    Raises:
        ValueError: It is none.
    """
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(text)


def credential(title: str, field_name: str, value: str) -> str:
    """Return a credential that every HTTP client can carry in a header.

    Raises:
        AuthError: It is empty, or holds what no header may hold. Nobody was contacted.
    """
    problem = ""
    if not value:
        problem = "is missing"
    elif "\n" in value or "\r" in value:
        problem = "holds a line break"
    elif not value.isascii() or any(c < "!" or c > "~" for c in value):
        problem = "holds a space, a control or a character that is not ASCII"
    if problem:
        raise AuthError(
            f"the {title} {problem}",
            hint=f"set it with `uvcall config set {field_name} -`, or in the environment",
            peer=field_name.partition(".")[0],
        )
    return value


_ID = re.compile(r"[!-~]{1,512}")


def plain_id(value: object, shape: re.Pattern[str] = _ID) -> str:
    """Return an id that a carrier gave, or nothing when it is no id of that shape."""
    return value if isinstance(value, str) and shape.fullmatch(value) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def instant(value: object) -> datetime | None:
    """Return an ISO 8601 or RFC 2822 time, or a datetime, as an aware datetime; naive ones are taken as UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if not isinstance(value, str) or not value:
        return None
    for read in (datetime.fromisoformat, _mail_date):
        try:
            found = read(value)
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


#: How far a carrier's clock may stand from this one, in seconds.
SLACK_S: Final = 10.0


def begun_within(at: datetime, since: float, until: float) -> bool:
    """Say whether a call that began at this moment, by its carrier's clock, is between two others by our own.

    One that begins in our future shows that the two clocks cannot be compared (the sandbox's runs ahead of life), and
    then it is never too late.
    """
    begun = at.timestamp()
    return since - SLACK_S <= begun and (begun <= until + SLACK_S or begun > time.time() + SLACK_S)
