"""The Ultravox REST API without a socket: its requests here, its `answers`, and what its `failures` mean.

https://docs.ultravox.ai/api-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from uvcall.core import NOTHING


class ApiRequest(NamedTuple):
    """A request; `path` is below the API's base and `body` becomes JSON."""

    method: str
    path: str
    query: Mapping[str, str] = NOTHING
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
    return ApiRequest("GET", f"/calls/{_part(call_id)}/messages", {"mode": "in_call", **_page(cursor)})


def events(call_id: str, *, severity: str = "info", kind: str | None = None, cursor: str | None = None) -> ApiRequest:
    """Ask for a call's events of at least this severity (debug, info, warning, error), of all types or of one.

    https://docs.ultravox.ai/api-reference/calls/calls-events-list
    """
    # The one parameter of the API in snake case.
    query = {"minimum_severity": severity, **({"type": kind} if kind else {}), **_page(cursor)}
    return ApiRequest("GET", f"/calls/{_part(call_id)}/events", query)


def recording(call_id: str) -> ApiRequest:
    """Ask for a call's recording: WAV, or a redirect to it."""
    return ApiRequest("GET", f"/calls/{_part(call_id)}/recording")


def hang_up(call_id: str, message: str = "") -> ApiRequest:
    """End a joined call, after the agent has said `message`, if any.

    https://docs.ultravox.ai/api-reference/calls/calls-send-data-message-post
    """
    return _data_message(call_id, {"type": "hang_up"} | ({"message": message} if message else {}))


#: How soon a message is taken up, by whose it is. https://docs.ultravox.ai/apps/datamessages
AGENT_URGENCIES: Final = ("immediate", "soon")
USER_URGENCIES: Final = ("immediate", "soon", "later")

#: The longest text of a data message that is sent, in bytes: larger messages may time out, the documentation says.
#: https://docs.ultravox.ai/sdk-reference/introduction
LONGEST_MESSAGE: Final = 15_000


def agent_says(call_id: str, text: str, *, urgency: str = "immediate", uninterruptible: bool = False) -> ApiRequest:
    """Make the agent say this: now, or when its turn comes; `uninterruptible` says it to its end whoever speaks."""
    message = {"type": "forced_agent_message", "content": text, "urgency": urgency}
    return _data_message(call_id, message | ({"uninterruptible": True} if uninterruptible else {}))


def user_says(call_id: str, text: str, *, urgency: str | None = None) -> ApiRequest:
    """Tell the agent this as if the person had said it; `later` waits until the agent is spoken to anyway."""
    message = {"type": "user_text_message", "text": text}
    return _data_message(call_id, message | ({"urgency": urgency} if urgency else {}))


def account_me() -> ApiRequest:
    """Ask whose key it is: the cheapest proof of one."""
    return ApiRequest("GET", "/accounts/me")


def agents(*, cursor: str | None = None) -> ApiRequest:
    """List the account's agents."""
    return ApiRequest("GET", "/agents", _page(cursor))


def voices(*, cursor: str | None = None) -> ApiRequest:
    """List the voices."""
    return ApiRequest("GET", "/voices", _page(cursor))


def models(*, cursor: str | None = None) -> ApiRequest:
    """List the models."""
    return ApiRequest("GET", "/models", _page(cursor))


def _data_message(call_id: str, body: Mapping[str, Any]) -> ApiRequest:
    return ApiRequest("POST", f"/calls/{_part(call_id)}/send_data_message", body=body)


def _part(call_id: str) -> str:
    return quote(call_id, safe="")


def _page(cursor: str | None) -> Mapping[str, str]:
    """Ask for long pages: the default is ten, and a conversation has hundreds of messages."""
    return {"pageSize": "100", **_at(cursor)}


def _at(cursor: str | None) -> Mapping[str, str]:
    return {"cursor": cursor} if cursor else {}
