"""What `dial` and `talk` would send, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uvcall.calls.attempt import DialOrder
from uvcall.calls.ports import CarrierLine
from uvcall.core.payload import CreateCall
from uvcall.core.secret import JoinUrl

_STAND_IN: Final = "wss://voice.ultravox.ai/JOIN-URL"


def preview(order: DialOrder, line: CarrierLine | None) -> dict[str, Any]:
    """Return both requests, the join URL replaced by a word. Contacts nobody.

    Raises:
        UsageError: A carrier option that cannot be.
    """
    carrier: dict[str, Any] | None = None
    if line is not None and order.via == "sdk":
        carrier = _plain(line.module.request(line.account, order.leg._replace(join_url=JoinUrl(_STAND_IN))))
    return {"ultravox": preview_create(order.create), "carrier": carrier}


def preview_create(create: CreateCall) -> dict[str, Any]:
    """Return the Create Call."""
    return {"path": create.path, "query": dict(create.query), "body": _plain(create.body)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.replace(_STAND_IN, "[join URL]")
    return value if isinstance(value, int | float | bool | None) else str(value)
