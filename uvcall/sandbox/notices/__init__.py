"""What a carrier tells about a leg, in its own words: webhooks as they are sent, and what its API lists later."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvcall.core.carrier import Provider
from uvcall.sandbox.world import Leg

if TYPE_CHECKING:
    from uvcall.sandbox.exchange import Exchange


class Notices(Protocol):
    """What every carrier's module in `notices` offers."""

    def tell(self, network: Exchange, leg: Leg, what: str, details: Mapping[str, Any]) -> None:
        """Tell the user that something happened to a leg, as the carrier would; keep what its API lists later.

        `what` is `initiated`, `ringing`, `answered`, `machine`, `beep`, `stream_started`, `stream_stopped`,
        `stream_failed` (these three with `stream`, a step of the answer document, and `stream_id`), or `ended`.
        """

    def document_fields(self, network: Exchange, leg: Leg) -> dict[str, str]:
        """Return what the carrier sends along when it asks for an answer document."""


def notices(provider: Provider) -> Notices:
    """Return the carrier's notices."""
    return cast("Notices", import_module(f"uvcall.sandbox.notices.{provider.value}"))
