"""What it means when Ultravox refuses, is not there, or does not make sense: one table for all its endpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpResponse, header
from uvcall.errors import AuthError, ContractBroken, FateUnknown, ProviderRefused, Temporary, UvcallError

LIMIT: Final = 1024 * 1024
"""The largest JSON answer that is read, in bytes."""

PEER: Final = "ultravox"
AUTH_HINT: Final = "check ultravox.api_key: app.ultravox.ai → Settings → API keys"

#: A definite no, when the body is the API's own. Of a call that rings, some of them may speak of an earlier request.
_REFUSALS: Final = frozenset({400, 402, 403, 404, 405, 409, 413, 415, 422, 425})
_UNSURE: Final = frozenset({409, 425})
_LATER: Final = frozenset({429, 503})
_HINTS: Final[Mapping[int, str]] = {
    402: "see the plan and the minutes left: app.ultravox.ai → Settings → Billing",
    404: "check the id, and that it belongs to this account",
}


def failure(response: HttpResponse, *, now: datetime, rings: bool = False) -> UvcallError:
    """Return what an answer other than 2xx means; `rings` as in `read_created`."""
    status = response.status
    said = complaint(response.body)
    words = f": {said}" if said else ""
    if status == 401 or (status == 403 and said):
        return AuthError(f"Ultravox does not accept the key{words}", hint=AUTH_HINT, status=status, peer=PEER)
    if status == 429 or (status in _LATER and not rings):
        return Temporary(
            f"Ultravox has no room for this now (HTTP {status}){words}",
            hint="wait, then run the command again",
            status=status,
            retry_after=retry_after(response, now=now),
            peer=PEER,
        )
    if status in _REFUSALS and said and not (rings and status in _UNSURE):
        hint = _HINTS.get(status, "mend what it names and run the command again")
        return ProviderRefused(f"Ultravox refuses{words}", hint=hint, status=status, peer=PEER)
    return lost(f"it answered with HTTP {status}{words}", sent=True, rings=rings, status=status)


def lost(why: str, *, sent: bool, rings: bool = False, status: int | None = None) -> UvcallError:
    """Return what a request without a usable answer means.

    A call that Ultravox does not dial itself rings nobody, so a lost answer to its creation is only temporary.
    """
    if sent and rings:
        return FateUnknown(
            f"Ultravox may have dialed: {why}",
            hint="do not dial again before `uvcall reconcile` has settled it",
            status=status,
            peer=PEER,
        )
    return Temporary(
        f"Ultravox gave no usable answer: {why}",
        hint="check ultravox.base_url and the network, then run the command again",
        status=status,
        peer=PEER,
    )


def unreadable(why: str, *, rings: bool = False) -> UvcallError:
    """Return what a success means that does not say what the documents promise."""
    if rings:
        return lost(why, sent=True, rings=True)
    return ContractBroken(
        f"Ultravox's answer cannot be used: {why}",
        hint="check ultravox.base_url: something else may answer there",
        peer=PEER,
    )


def complaint(body: bytes) -> str:
    """Return the API's own words of an error body in one line, the field first; empty when the body is not its own.

    Bodies are those of Django REST: `{"field": ["msg"]}`, nested as the request was, `{"detail": "msg"}`,
    `{"non_field_errors": ["msg"]}`.
    """
    errors = parsed(body)
    if not isinstance(errors, dict):
        return ""
    found: list[str] = []
    pending: list[tuple[str, Any]] = [("", errors)]
    while pending and len(found) < 5:
        path, value = pending.pop(0)
        if isinstance(value, dict):
            pending = [(_below(path, str(name)), inner) for name, inner in list(value.items())[:20]] + pending
        elif isinstance(value, list):
            pending = [(path, inner) for inner in value[:20]] + pending
        elif isinstance(value, str) and value.strip():
            found.append(f"{path}: {value}" if path else value)
    return _one_line("; ".join(found))


_NAMELESS: Final = frozenset({"detail", "non_field_errors", "error", "message"})
_JOIN_URL = re.compile(r"\bwss?://\S+")


def _below(path: str, name: str) -> str:
    if name in _NAMELESS:
        return path
    return f"{path}.{name}" if path else name


def _one_line(text: str, limit: int = 200) -> str:
    words = " ".join(_JOIN_URL.sub(str(JoinUrl("")), text).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def retry_after(response: HttpResponse, *, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, given as seconds or as an HTTP date; None when it does not."""
    text = (header(response.headers, "retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    from email.utils import parsedate_to_datetime  # slow to import, and seldom needed

    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds())


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body, or None when it is none or too large."""
    if len(body) > LIMIT:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
