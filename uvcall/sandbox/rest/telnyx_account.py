"""The rest of a Telnyx account as its SDK sees it: events, active calls, balance.

https://developers.telnyx.com/api-reference/debugging/list-call-events
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.rest import common_error, page_of, telnyx_error
from uvcall.sandbox.rest.telnyx import authorise
from uvcall.sandbox.rest.telnyx_lists import deep_object, listing, page
from uvcall.sandbox.world import Leg, World

_EVENT_FILTERS: Final = frozenset(
    {
        "application_name",
        "application_session_id",
        "connection_id",
        "failed",
        "from",
        "leg_id",
        "name",
        "occurred_at",
        "outbound.outbound_voice_profile_id",
        "product",
        "status",
        "to",
        "type",
    }
)
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _event_fits(leg: Leg, event: Mapping[str, Any], filters: Mapping[tuple[str, str], str]) -> bool:
    moment = str(event["event_timestamp"])
    facts = {
        "leg_id": event["call_leg_id"],
        "application_session_id": event["call_session_id"],
        "connection_id": leg.ids["connection_id"],
        "product": leg.ids["product"],
        "from": leg.from_,
        "to": leg.to,
        "name": event["name"],
        "type": event["type"],
        "status": "completed" if leg.ended_at else "in_progress",
        "outbound.outbound_voice_profile_id": credentials.TELNYX_PROFILE_ID,
        "failed": "false",
    }
    for (name, comparison), value in filters.items():
        if name == "occurred_at":
            if not _COMPARISONS.get(comparison, _COMPARISONS["eq"])(moment, value):
                return False
        elif name == "application_name":
            if value.lower() not in "uvcall sandbox":
                return False
        elif facts[name] != value:
            return False
    return True


class Account:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.world: World = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v2/call_events", self.call_events),
            web.get("/v2/connections/{id}/active_calls", self.active_calls),
            web.get("/v2/balance", self.balance),
        ]

    def _legs(self) -> list[Leg]:
        return [leg for leg in self.world.legs.values() if leg.provider is Provider.TELNYX]

    async def call_events(self, request: web.Request) -> web.Response:
        """List the events of all calls, the newest first."""
        authorise(request)
        filters = deep_object(request.query, "filter")
        unknown = {name for name, _ in filters} - _EVENT_FILTERS
        if unknown:
            name = min(unknown)
            raise telnyx_error(
                422, "10015", "Bad Request", f"There is no filter {name[:40]!r}.", f"/filter/{name[:40]}"
            )
        found = [event for leg in self._legs() for event in leg.events if _event_fits(leg, event, filters)]
        found.sort(key=lambda event: str(event["event_timestamp"]), reverse=True)
        return listing(found, request.query)

    async def active_calls(self, request: web.Request) -> web.Response:
        """List the live calls of a connection."""
        authorise(request)
        connection = request.match_info["id"]
        if connection not in {credentials.TELNYX_CONNECTION_ID, credentials.TELNYX_APPLICATION_SID}:
            raise common_error("telnyx", 404)
        number, size = page(request.query)
        now = self.world.pace.now()
        items = [
            {
                "record_type": "call",
                "call_control_id": leg.id,
                "call_leg_id": leg.ids["call_leg_id"],
                "call_session_id": leg.ids["call_session_id"],
                "client_state": str(leg.options.get("client_state") or ""),
                "call_duration": math.floor((now - (leg.answered_at or now)).total_seconds()),
            }
            for leg in self._legs()
            if leg.ended_at is None and leg.ids["connection_id"] == connection
        ]
        shown = page_of(items, offset=(number - 1) * size, limit=size)
        return web.json_response({"data": shown, "meta": {"cursors": {}, "total_items": len(items)}})

    async def balance(self, request: web.Request) -> web.Response:
        """Show the account's balance, the cheapest read of all."""
        authorise(request)
        data = {
            "record_type": "balance",
            "balance": "100.00",
            "credit_limit": "0.00",
            "available_credit": "100.00",
            "pending": "0.00",
            "currency": "USD",
        }
        return web.json_response({"data": data})
