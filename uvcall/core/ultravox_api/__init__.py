"""The Ultravox REST API without a socket: its requests here, its `answers`, and what its `failures` mean.

https://docs.ultravox.ai/api-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from uvcall.core import NOTHING


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request; `path` is below the API's base and `body` becomes JSON."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    body: Mapping[str, Any] | None = None


def base(url: str) -> str:
    """Return the API's base: `/api` is appended unless the URL's path ends with it."""
    trimmed = url.rstrip("/")
    return trimmed if urlsplit(trimmed).path.endswith("/api") else f"{trimmed}/api"


def create_call(path: str, body: Mapping[str, Any], query: Mapping[str, str] = NOTHING) -> ApiRequest:
    """Create a call; `path` is `/api/calls` or `/api/agents/{id}/calls`."""
    return ApiRequest("POST", path.removeprefix("/api"), query, body)


def get_call(call_id: str) -> ApiRequest:
    """Ask for a call."""
    return ApiRequest("GET", f"/calls/{_part(call_id)}")


def delete_call(call_id: str) -> ApiRequest:
    """Delete a call that has ended, with its messages and recording. It is no hang-up."""
    return ApiRequest("DELETE", f"/calls/{_part(call_id)}")


def list_calls(metadata: Mapping[str, str] = NOTHING, *, cursor: str | None = None) -> ApiRequest:
    """List calls, newest first, whose metadata has these values.

    https://docs.ultravox.ai/api-reference/calls/calls-list
    """
    wanted = {f"metadata.{name}": value for name, value in metadata.items()}
    return ApiRequest("GET", "/calls", {"sort": "-created", **wanted, **_at(cursor)})


def messages(call_id: str, *, cursor: str | None = None) -> ApiRequest:
    """Ask for what was said. `in_call` is the whole conversation; the default would be its last stage only."""
    return ApiRequest("GET", f"/calls/{_part(call_id)}/messages", {"mode": "in_call", **_at(cursor)})


def events(call_id: str, *, severity: str = "info", cursor: str | None = None) -> ApiRequest:
    """Ask for a call's events of at least this severity (debug, info, warning, error)."""
    # The one parameter of the API in snake case.
    return ApiRequest("GET", f"/calls/{_part(call_id)}/events", {"minimum_severity": severity, **_at(cursor)})


def recording(call_id: str) -> ApiRequest:
    """Ask for a call's recording: WAV, or a redirect to it."""
    return ApiRequest("GET", f"/calls/{_part(call_id)}/recording")


def hang_up(call_id: str, message: str = "") -> ApiRequest:
    """End a joined call, after the agent has said `message`, if any.

    https://docs.ultravox.ai/api-reference/calls/calls-send-data-message-post
    """
    return _data_message(call_id, {"type": "hang_up"} | ({"message": message} if message else {}))


def agent_says(call_id: str, text: str) -> ApiRequest:
    """Make the agent say this now."""
    return _data_message(call_id, {"type": "forced_agent_message", "content": text, "urgency": "immediate"})


def user_says(call_id: str, text: str) -> ApiRequest:
    """Tell the agent this as if the person had said it."""
    return _data_message(call_id, {"type": "user_text_message", "text": text})


def account_me() -> ApiRequest:
    """Ask whose key it is: the cheapest proof of one."""
    return ApiRequest("GET", "/accounts/me")


def agents(*, cursor: str | None = None) -> ApiRequest:
    """List the account's agents."""
    return ApiRequest("GET", "/agents", _at(cursor))


def voices(*, cursor: str | None = None) -> ApiRequest:
    """List the voices."""
    return ApiRequest("GET", "/voices", _at(cursor))


def models(*, cursor: str | None = None) -> ApiRequest:
    """List the models."""
    return ApiRequest("GET", "/models", _at(cursor))


def _data_message(call_id: str, body: Mapping[str, Any]) -> ApiRequest:
    return ApiRequest("POST", f"/calls/{_part(call_id)}/send_data_message", body=body)


def _part(call_id: str) -> str:
    return quote(call_id, safe="")


def _at(cursor: str | None) -> Mapping[str, str]:
    return {"cursor": cursor} if cursor else {}
