"""The rest of a Telnyx account as its SDK sees it: events, active calls, connections, numbers, balance.

https://developers.telnyx.com/api-reference/debugging/list-call-events
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.rest import common_error, iso, page_of, telnyx_error
from uvcall.sandbox.rest.telnyx import authorise
from uvcall.sandbox.world import Leg, World

_KEY: Final = re.compile(r"(filter|page)\[([a-z_.]+)\](?:\[([a-z]+)\])?")
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
_LARGEST_PAGE: Final = 250
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _deep_object(query: Mapping[str, str], kind: str) -> dict[tuple[str, str], str]:
    """Return `kind[name]` and `kind[name][operator]` of a query, as the SDK nests them."""
    found = {}
    for key, value in query.items():
        match = _KEY.fullmatch(key)
        if match and match[1] == kind:
            found[match[2], match[3] or "eq"] = value
    return found


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    """Return page number and size.

    Raises:
        Refusal: One is not a number in its range.
    """
    given = _deep_object(query, "page")
    result = []
    for name, default, most in (("number", "1", 10**6), ("size", "20", _LARGEST_PAGE)):
        text = given.get((name, "eq"), default)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise telnyx_error(422, "10015", "Bad Request", f"page[{name}] is out of range.", f"/page/{name}")
        result.append(int(text))
    return result[0], result[1]


def _listing(items: list[Any], query: Mapping[str, str]) -> web.Response:
    number, size = _page(query)
    meta = {
        "page_number": number,
        "page_size": size,
        "total_pages": math.ceil(len(items) / size),
        "total_results": len(items),
    }
    return web.json_response({"data": page_of(items, offset=(number - 1) * size, limit=size), "meta": meta})


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
            web.get("/v2/connections", self.connections),
            web.get("/v2/connections/{id}", self.connection),
            web.get("/v2/connections/{id}/active_calls", self.active_calls),
            web.get("/v2/call_control_applications", self.applications),
            web.get("/v2/call_control_applications/{id}", self.application),
            web.get("/v2/phone_numbers", self.phone_numbers),
            web.get("/v2/balance", self.balance),
        ]

    def _legs(self) -> list[Leg]:
        return [leg for leg in self.world.legs.values() if leg.provider is Provider.TELNYX]

    async def call_events(self, request: web.Request) -> web.Response:
        """List the events of all calls, the newest first."""
        authorise(request)
        filters = _deep_object(request.query, "filter")
        unknown = {name for name, _ in filters} - _EVENT_FILTERS
        if unknown:
            name = min(unknown)
            raise telnyx_error(
                422, "10015", "Bad Request", f"There is no filter {name[:40]!r}.", f"/filter/{name[:40]}"
            )
        found = [event for leg in self._legs() for event in leg.events if _event_fits(leg, event, filters)]
        found.sort(key=lambda event: str(event["event_timestamp"]), reverse=True)
        return _listing(found, request.query)

    async def active_calls(self, request: web.Request) -> web.Response:
        """List the live calls of a connection."""
        authorise(request)
        connection = request.match_info["id"]
        if connection not in {credentials.TELNYX_CONNECTION_ID, credentials.TELNYX_APPLICATION_SID}:
            raise common_error("telnyx", 404)
        number, size = _page(request.query)
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

    def _moment(self) -> str:
        return iso(self.world.pace.now()) or ""

    def _connection(self) -> dict[str, Any]:
        return {
            "id": credentials.TELNYX_CONNECTION_ID,
            "record_type": "call_control_application",
            "active": True,
            "anchorsite_override": "Latency",
            "connection_name": "uvcall sandbox",
            "created_at": self._moment(),
            "updated_at": self._moment(),
            "outbound_voice_profile_id": credentials.TELNYX_PROFILE_ID,
            "tags": [],
            "webhook_api_version": "2",
            "webhook_event_url": None,
            "webhook_event_failover_url": "",
        }

    async def connections(self, request: web.Request) -> web.Response:
        """List the connections."""
        authorise(request)
        return _listing([self._connection()], request.query)

    async def connection(self, request: web.Request) -> web.Response:
        """Show the connection."""
        authorise(request)
        self._only(request)
        return web.json_response({"data": self._connection()})

    def _application(self) -> dict[str, Any]:
        return {
            "id": credentials.TELNYX_CONNECTION_ID,
            "record_type": "call_control_application",
            "active": True,
            "anchorsite_override": "Latency",
            "application_name": "uvcall sandbox",
            "call_cost_in_webhooks": False,
            "created_at": self._moment(),
            "updated_at": self._moment(),
            "dtmf_type": "RFC 2833",
            "first_command_timeout": False,
            "first_command_timeout_secs": 30,
            "inbound": {"shaken_stir_enabled": False, "sip_subdomain_receive_settings": "from_anyone"},
            "outbound": {"outbound_voice_profile_id": credentials.TELNYX_PROFILE_ID},
            "redact_dtmf_debug_logging": False,
            "tags": [],
            "webhook_api_version": "2",
            "webhook_event_failover_url": "",
            "webhook_event_url": "https://example.com/unused",
            "webhook_timeout_secs": None,
        }

    async def applications(self, request: web.Request) -> web.Response:
        """List the Call Control applications."""
        authorise(request)
        return _listing([self._application()], request.query)

    async def application(self, request: web.Request) -> web.Response:
        """Show the Call Control application."""
        authorise(request)
        self._only(request)
        return web.json_response({"data": self._application()})

    @staticmethod
    def _only(request: web.Request) -> None:
        if request.match_info["id"] != credentials.TELNYX_CONNECTION_ID:
            raise common_error("telnyx", 404)

    async def phone_numbers(self, request: web.Request) -> web.Response:
        """List the account's numbers; `filter[phone_number]` and `filter[connection_id]` narrow."""
        authorise(request)
        filters = _deep_object(request.query, "filter")
        wanted = filters.get(("phone_number", "eq"), "").removeprefix("+")
        connection = filters.get(("connection_id", "eq"), credentials.TELNYX_CONNECTION_ID)
        items: list[dict[str, Any]] = [
            {
                "id": f"20000000000000000{index:02d}",
                "record_type": "phone_number",
                "phone_number": number,
                "country_iso_alpha2": "US",
                "status": "active",
                "connection_id": credentials.TELNYX_CONNECTION_ID,
                "connection_name": "uvcall sandbox",
                "external_pin": None,
                "tags": [],
                "customer_reference": None,
                "phone_number_type": "local",
                "billing_group_id": None,
                "emergency_enabled": False,
                "emergency_address_id": None,
                "call_forwarding_enabled": False,
                "cnam_listing_enabled": False,
                "caller_id_name_enabled": False,
                "call_recording_enabled": False,
                "t38_fax_gateway_enabled": False,
                "deletion_lock_enabled": False,
                "messaging_profile_id": None,
                "messaging_profile_name": None,
                "inbound_call_screening": "disabled",
                "hd_voice_enabled": False,
                "source_type": "number_order",
                "purchased_at": self._moment(),
                "created_at": self._moment(),
                "updated_at": self._moment(),
            }
            for index, number in enumerate(credentials.OWNED_NUMBERS)
            if wanted in number and connection == credentials.TELNYX_CONNECTION_ID
        ]
        return _listing(items, request.query)

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
