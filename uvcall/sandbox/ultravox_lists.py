"""Lists in Ultravox's REST API: what a query asks for, in what order, and page by page.

https://docs.ultravox.ai/api-reference/calls/calls-list
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from uvcall.sandbox.ultravox_calls import SandboxCall, stamp
from uvcall.sandbox.ultravox_schema import seconds

_PAGE: Final = 10
_LARGEST_PAGE: Final = 100
_SORTS: Final[Mapping[str, Callable[[SandboxCall], Any]]] = {
    "created": lambda call: call.created,
    "joined": lambda call: call.joined or datetime.min.replace(tzinfo=UTC),
    "ended": lambda call: call.ended or datetime.min.replace(tzinfo=UTC),
}


class Refused(Exception):
    """An error answer of the API: `{"detail": …}` unless there is a body of its own."""

    def __init__(self, status: int, detail: str, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.body = body or {"detail": detail}


def wanted(request: web.Request, found: Iterable[SandboxCall]) -> list[SandboxCall]:
    """Return the calls that the query asks for, newest first unless it says otherwise."""
    sort = request.query.get("sort") or "-created"
    key = _SORTS.get(sort.removeprefix("-"))
    if key is None:
        raise Refused(400, "", {"sort": ["Not a valid choice."]})
    tests = _filters(request)
    passing = [call for call in found if all(passes(call) for passes in tests)]
    return sorted(passing, key=key, reverse=sort.startswith("-"))


def searched(request: web.Request, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items whose name holds the query's `search`."""
    words = request.query.get("search", "").lower()
    return [item for item in items if words in item["name"].lower()]


def chosen_voices(request: web.Request, voices: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the voices that the query's filters let pass; those of the very language wanted come first.

    https://docs.ultravox.ai/api-reference/voices/voices-list
    """
    query = request.query
    providers = query.getall("provider", [])
    language = query.get("primaryLanguage", "").lower()
    billing = {"VOICE_BILLING_STYLE_INCLUDED", "VOICE_BILLING_STYLE_EXTERNAL"}
    for name, allowed in (("ownership", {"public", "private"}), ("billingStyle", billing)):
        if name in query and query[name] not in allowed:
            raise Refused(400, "", {name: [f'"{query[name][:40]}" is not a valid choice.']})
    passing = [
        voice
        for voice in voices
        if all(query.get(name, voice[name]) == voice[name] for name in ("ownership", "billingStyle"))
        and (not providers or voice["provider"] in providers)
        and (not language or voice["primaryLanguage"].lower().partition("-")[0] == language.partition("-")[0])
    ]
    return sorted(passing, key=lambda voice: voice["primaryLanguage"].lower() != language)


def _filters(request: web.Request) -> list[Callable[[SandboxCall], bool]]:
    """Return what the query asks of a call; each is passed a call and says whether it is wanted."""
    tests: list[Callable[[SandboxCall], bool]] = []
    query = request.query
    agents = {*query.getall("agentIds", []), *([request.match_info["agent_id"]] if request.match_info else [])}
    if agents:
        tests.append(lambda call: (call.agent or {}).get("agentId") in agents)
    for name, value in query.items():
        if name.startswith("metadata."):
            tests.append(_has_metadata(name.removeprefix("metadata."), value))
    if "voiceId" in query:
        tests.append(lambda call: call.settings.get("voice") == query["voiceId"])
    if "search" in query:
        words = query["search"].lower()
        tests.append(lambda call: words in _searchable(call))
    try:
        if "fromDate" in query:
            first = _moment(query["fromDate"], time.min)
            tests.append(lambda call: call.created >= first)
        if "toDate" in query:
            last = _moment(query["toDate"], time.max)
            tests.append(lambda call: call.created <= last)
        if "durationMin" in query:
            least = seconds(query["durationMin"])
            tests.append(lambda call: _length(call) >= least)
        if "durationMax" in query:
            most = seconds(query["durationMax"])
            tests.append(lambda call: _length(call) <= most)
    except ValueError as error:
        raise Refused(400, "Enter a valid date or duration.") from error
    return tests


def _has_metadata(key: str, value: str) -> Callable[[SandboxCall], bool]:
    return lambda call: call.settings["metadata"].get(key) == value


def _moment(text: str, default: time) -> datetime:
    moment = datetime.fromisoformat(text)
    if "T" not in text and " " not in text:
        moment = datetime.combine(moment.date(), default)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _length(call: SandboxCall) -> float:
    return (call.ended - call.joined).total_seconds() if call.ended and call.joined else 0.0


def _searchable(call: SandboxCall) -> str:
    words = [line.text for line in call.transcript] + list(call.settings["metadata"].values())
    return " ".join([*words, call.settings.get("systemPrompt") or "", stamp(call.created) or ""]).lower()


def page(request: web.Request, items: Sequence[Any], shown: Callable[[Any], dict[str, Any]] = dict) -> dict[str, Any]:
    """Return one page with absolute links to its neighbours, as Django REST framework's cursors do."""
    start = _cursor(request.query.get("cursor"))
    asked = request.query.get("pageSize", "")
    size = min(int(asked), _LARGEST_PAGE) if asked.isascii() and asked.isdigit() and int(asked[:6]) > 0 else _PAGE

    def link(at: int) -> str:
        query = [(k, v) for k, v in parse_qsl(request.query_string, keep_blank_values=True) if k != "cursor"]
        cursor = base64.urlsafe_b64encode(f"o={at}".encode()).decode()
        return f"{request.url.origin()}{request.path}?{urlencode([*query, ('cursor', cursor)])}"

    return {
        "next": link(start + size) if start + size < len(items) else None,
        "previous": link(max(0, start - size)) if start > 0 else None,
        "results": [shown(item) for item in items[start : start + size]],
        "total": len(items),
    }


def _cursor(text: str | None) -> int:
    if not text:
        return 0
    try:
        key, _, at = base64.urlsafe_b64decode(text.encode()).decode().partition("=")
        if key == "o" and len(at) < 10:
            return max(0, int(at))
    except ValueError:
        pass
    raise Refused(404, "Invalid cursor")
