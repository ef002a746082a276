"""Ultravox's answers, read into values; what does not say what the documents promise is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from uvcall.core.model import CreatedCall, UltravoxCall
from uvcall.core.secret import parse_join_url
from uvcall.core.ultravox_api.failures import failure, parsed, unreadable
from uvcall.core.webhook import HttpResponse

if TYPE_CHECKING:
    from uvcall.core.transcripts import Message, Role


class AccountInfo(NamedTuple):
    """What the account says of itself.

    https://docs.ultravox.ai/api-reference/accounts/accounts-me-get
    """

    name: str
    tier: str = ""
    active_calls: int | None = None
    allowed_concurrent_calls: int | None = None  #: None: no cap


class Named(NamedTuple):
    """An entry of a list to choose from: an agent, a voice, a model (whose id is its name)."""

    id: str
    name: str
    detail: str = ""
    language: str = ""  #: BCP 47, of a voice
    provider: str = ""  #: who speaks it, of a voice


def read_created(response: HttpResponse, *, loopback: bool, rings: bool, now: datetime) -> CreatedCall:
    """Read the answer to a Create Call.

    Args:
        response: The whole answer.
        loopback: True when the API itself is on loopback: only then may the join URL be.
        rings: True when Ultravox dials by itself; there may be no join URL then, and a doubt means that it rings.
        now: For a Retry-After that is a date.
    """
    body = _json(response, 201, rings=rings, now=now)
    call_id = body.get("callId")
    if not isinstance(call_id, str) or not _UUID.fullmatch(call_id):
        raise unreadable("the new call has no valid callId", rings=rings)
    if rings:
        return CreatedCall(call_id, None)
    return CreatedCall(call_id, parse_join_url(body.get("joinUrl"), loopback=loopback))


def read_call(response: HttpResponse, *, now: datetime) -> UltravoxCall:
    """Read a call."""
    return _call(_json(response, 200, now=now))


def read_calls(response: HttpResponse, *, now: datetime) -> tuple[tuple[UltravoxCall, ...], str | None]:
    """Read a page of calls and the next page's cursor."""
    results, cursor = _page(response, now)
    return tuple(_call(item) for item in results), cursor


def read_messages(response: HttpResponse, *, now: datetime) -> tuple[tuple[Message, ...], str | None]:
    """Read a page of what was said and done, and the next page's cursor. Roles that nobody has documented are left out.

    https://docs.ultravox.ai/api-reference/calls/calls-messages-list
    """
    results, cursor = _page(response, now)
    return tuple(found for item in results if (found := _message(item)) is not None), cursor


def _message(item: Mapping[str, Any]) -> Message | None:
    from uvcall.core.transcripts import Message

    role, text = _ROLES.get(str(item.get("role"))), item.get("text")
    if role is None:
        return None
    span = item.get("timespan")
    start, end = (seconds(span.get("start")), seconds(span.get("end"))) if isinstance(span, dict) else (None, None)
    stage, tool, error = (_word(item.get(name)) for name in ("callStageId", "toolName", "errorDetails"))
    return Message(role, _word(text), start, end, stage, tool, error)


def read_events(response: HttpResponse, *, now: datetime) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """Read a page of events and the next page's cursor."""
    return _page(response, now)


def read_named(response: HttpResponse, *, now: datetime) -> tuple[tuple[Named, ...], str | None]:
    """Read a page of agents, voices or models and the next page's cursor."""
    results, cursor = _page(response, now)
    entries = []
    for item in results:
        found = item.get("agentId") or item.get("voiceId") or item.get("name")
        if not isinstance(found, str):
            raise unreadable("an entry of the list has neither id nor name")
        template = item.get("callTemplate")
        detail = item.get("description") or (template.get("model") if isinstance(template, dict) else "")
        rest = (detail, item.get("primaryLanguage"), item.get("provider"))
        name = item.get("name")
        entries.append(Named(found, name if isinstance(name, str) else found, *(_word(word) for word in rest)))
    return tuple(entries), cursor


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def read_account(response: HttpResponse, *, now: datetime) -> AccountInfo:
    """Read the account."""
    body = _json(response, 200, now=now)
    name, active, allowed = body.get("name"), body.get("activeCalls"), body.get("allowedConcurrentCalls")
    if not isinstance(name, str):
        raise unreadable("the account has no name")
    return AccountInfo(
        name,
        str(body.get("subscriptionTier") or ""),
        active if isinstance(active, int) else None,
        allowed if isinstance(allowed, int) else None,
    )


def read_hung_up(response: HttpResponse, *, now: datetime) -> bool:
    """Read the answer to `hang_up`: False when the call has not been joined, is over, or is not known."""
    if response.status in {404, 422}:
        return False
    read_done(response, now=now)
    return True


def read_done(response: HttpResponse, *, now: datetime, once: bool = False) -> None:
    """Read an answer that says nothing but success (2xx); `once`: a doubt means that it may have been done."""
    if not 200 <= response.status < 300:
        raise failure(response, now=now, rings=once)
    if response.body.strip() and parsed(response.body) is None:
        raise unreadable("it is no JSON", rings=once)  # a page of whoever stands in between


_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ROLES: Final[Mapping[str, Role]] = {
    "MESSAGE_ROLE_USER": "user",
    "MESSAGE_ROLE_AGENT": "agent",
    "MESSAGE_ROLE_TOOL_CALL": "tool_call",
    "MESSAGE_ROLE_TOOL_RESULT": "tool_result",
}


def seconds(duration: object) -> float | None:
    """Return a duration such as `"1.5s"` in seconds, or None when it is none."""
    if isinstance(duration, str) and re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s", duration):
        return float(duration[:-1])
    return None


def _call(body: Mapping[str, Any]) -> UltravoxCall:
    call_id, reason, metadata = body.get("callId"), body.get("endReason"), body.get("metadata") or {}
    if not isinstance(call_id, str) or not _UUID.fullmatch(call_id):
        raise unreadable("a call has no valid callId")
    if not isinstance(reason, str | None) or not isinstance(metadata, dict):
        raise unreadable("a call's endReason or metadata is of another type")
    return UltravoxCall(
        call_id,
        created_at=_instant(body, "created"),
        joined_at=_instant(body, "joined"),
        ended_at=_instant(body, "ended"),
        end_reason=reason,
        metadata={str(name): str(value) for name, value in metadata.items()},
        recorded=body.get("recordingEnabled") if isinstance(body.get("recordingEnabled"), bool) else None,
    )


def _instant(body: Mapping[str, Any], name: str) -> datetime | None:
    text = body.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise unreadable(f"a call's {name} is no time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _page(response: HttpResponse, now: datetime) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    body = _json(response, 200, now=now)
    results, following = body.get("results"), body.get("next")
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise unreadable("a list has no results")
    # Only the cursor of `next` is used, never its host: the key goes to one place.
    cursor = parse_qs(urlsplit(following).query).get("cursor") if isinstance(following, str) else None
    return tuple(results), cursor[0] if cursor else None


def _json(response: HttpResponse, status: int, *, now: datetime, rings: bool = False) -> Mapping[str, Any]:
    if not 200 <= response.status < 300:
        raise failure(response, now=now, rings=rings)
    if response.status != status:
        raise unreadable(f"HTTP {response.status} where {status} is documented", rings=rings)
    body = parsed(response.body)
    if not isinstance(body, dict):
        raise unreadable("the answer is not a JSON object", rings=rings)
    return body
