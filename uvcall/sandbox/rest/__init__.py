"""The carriers' REST faces, as their SDKs see them: one module for calls, one for the rest of each account.

Here stands what the faces share: each peer's way of saying no, and reading a request's fields.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.sandbox.faults import RETRY_AFTER_S

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class LostReply(Exception):
    """The work is done and its reply must not arrive: the connection closes."""


class Refusal(Exception):
    """What a face answers instead of doing the work: status, JSON body, headers."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    @property
    def words(self) -> str:
        """What it says, in a few words."""
        errors = self.body.get("errors")
        body = errors[0] if errors else self.body
        return str(body.get("detail") or body.get("message") or body.get("error") or "")[:200]

    def response(self) -> web.Response:
        """Return the answer itself."""
        return web.json_response(self.body, status=self.status, headers=self.headers)


def telnyx_error(
    status: int, code: str, title: str, detail: str, pointer: str = "", headers: Mapping[str, str] | None = None
) -> Refusal:
    """Build Telnyx's error answer.

    https://developers.telnyx.com/development/api-fundamentals/api-errors
    """
    error: dict[str, Any] = {
        "code": code,
        "title": title,
        "detail": detail,
        "meta": {"url": f"https://developers.telnyx.com/docs/overview/errors/{code}"},
    }
    if pointer:
        error["source"] = {"pointer": pointer}
    return Refusal(status, {"errors": [error]}, headers)


def twilio_error(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Build Twilio's error answer.

    https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions
    """
    return Refusal(
        status,
        {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
        headers,
    )


def plivo_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Build Plivo's error answer.

    https://www.plivo.com/docs/voice/api/response
    """
    return Refusal(status, {"api_id": str(uuid.uuid4()), "error": message}, headers)


def ultravox_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Build the answer that Ultravox's framework gives where its documents are silent."""
    return Refusal(status, {"detail": message}, headers)


@dataclass(frozen=True, slots=True)
class _Words:
    telnyx: tuple[str, str]
    twilio: int
    text: str


#: The refusals that every peer knows, in each one's code. Sources: the vendors' error pages named above.
_COMMON: Final = {
    404: _Words(("10005", "Resource not found"), 20404, "The requested resource was not found."),
    405: _Words(("10007", "Method not allowed"), 20004, "The method is not allowed here."),
    413: _Words(("10015", "Bad Request"), 20001, "The request body is larger than 1 MiB."),
    429: _Words(("10011", "Too many requests"), 20429, "Too many requests."),
    500: _Words(("10007", "Unexpected error"), 20500, "An internal server error has occurred."),
    503: _Words(("10037", "Service unavailable"), 20503, "The service is unavailable."),
}


def common_error(peer: str, status: int) -> Refusal:
    """Build the peer's answer of that status where nothing more is to be said."""
    words = _COMMON[status]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in {429, 503} else {}
    if peer == "telnyx":
        if status == 429:
            headers |= {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(RETRY_AFTER_S)}
        return telnyx_error(status, *words.telnyx, words.text, headers=headers)
    if peer == "twilio":
        return twilio_error(status, words.twilio, words.text, headers)
    if peer == "plivo":
        return plivo_error(status, words.text, headers)
    return ultravox_error(status, words.text, headers)


def basic_credentials(request: web.Request) -> tuple[str, str] | None:
    """Return the user and password of HTTP Basic, or None."""
    from aiohttp import BasicAuth

    try:
        auth = BasicAuth.decode(request.headers.get("Authorization", ""), encoding="utf-8")
    except ValueError:
        return None
    return auth.login, auth.password


async def json_object(request: web.Request) -> dict[str, Any] | None:
    """Return the request's JSON object, or None when the body is something else; an empty body is empty."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def form(request: web.Request) -> dict[str, list[str]]:
    """Return the request's form fields, each with all its values."""
    posted = await request.post()
    return {key: [str(value) for value in posted.getall(key)] for key in posted}


def is_web_url(text: str) -> bool:
    """Say whether the text is an absolute http or https URL with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def is_loopback(url: str) -> bool:
    """Say whether the URL leads to this machine: the sandbox contacts no other."""
    try:
        return (urlsplit(url).hostname or "") in LOOPBACK_HOSTS
    except ValueError:
        return False


def page_of(items: Iterable[Any], *, offset: int, limit: int) -> list[Any]:
    """Return one page."""
    return list(items)[offset : offset + limit]


def iso(moment: datetime | None) -> str | None:
    """Return the moment as ISO 8601 in UTC with microseconds and `Z`, as Telnyx writes it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc2822(moment: datetime | None) -> str | None:
    """Return the moment as RFC 2822, as Twilio and TeXML write it."""
    return None if moment is None else format_datetime(moment.astimezone(UTC))
