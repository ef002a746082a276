"""Telnyx's numbers and the applications that they lead to, as its SDK sees them.

https://developers.telnyx.com/api-reference/phone-number-configurations/list-phone-numbers ·
https://developers.telnyx.com/api-reference/texml-applications/creates-a-texml-application ·
https://developers.telnyx.com/api-reference/call-control-applications/create-a-call-control-application
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.lines import UNUSED, Webhook
from uvcall.sandbox.rest import common_error, is_web_url, iso, json_object
from uvcall.sandbox.rest.telnyx import authorise
from uvcall.sandbox.rest.telnyx_fields import bad
from uvcall.sandbox.rest.telnyx_lists import deep_object, listing
from uvcall.sandbox.world import World

_COMMON: Final[Mapping[str, Any]] = {
    "active": True,
    "anchorsite_override": "Latency",
    "call_cost_in_webhooks": False,
    "dtmf_type": "RFC 2833",
    "first_command_timeout": False,
    "first_command_timeout_secs": 30,
    "inbound": {"shaken_stir_enabled": False, "sip_subdomain_receive_settings": "from_anyone"},
    "outbound": {},
    "tags": [],
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of application: what its fields are called, and what they are when nobody says."""

    record_type: str
    name: str  #: the field with its name
    url: str  #: the field with the address that is told of a call
    urls: tuple[str, ...]  #: every field that holds an address
    choices: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, Any]


#: Defaults and choices: Telnyx's OpenAPI document, the requests that create each kind.
TEXML: Final = Kind(
    "texml_application",
    "friendly_name",
    "voice_url",
    ("voice_url", "voice_fallback_url", "status_callback"),
    {"voice_method": ("get", "post"), "status_callback_method": ("get", "post")},
    {
        **_COMMON,
        "voice_fallback_url": "",
        "voice_method": "post",
        "status_callback": "",
        "status_callback_method": "post",
    },
)
CALL_CONTROL: Final = Kind(
    "call_control_application",
    "application_name",
    "webhook_event_url",
    ("webhook_event_url", "webhook_event_failover_url"),
    {"webhook_api_version": ("1", "2")},
    {
        **_COMMON,
        "redact_dtmf_debug_logging": False,
        "webhook_api_version": "1",
        "webhook_event_failover_url": "",
        "webhook_timeout_secs": None,
    },
)
_KINDS: Final = {kind.record_type: kind for kind in (TEXML, CALL_CONTROL)}
#: What a number's own request may change. https://developers.telnyx.com/api-reference/phone-number-configurations
_CHANGEABLE: Final = ("connection_id", "customer_reference", "external_pin", "billing_group_id", "tags")


class Book:
    """The account's applications and numbers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.applications: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, dict[str, Any]] = {}
        self._last = 0
        self.begin()
        world.on_reset.append(self.begin)

    def begin(self) -> None:
        """Set all as it is in a new sandbox."""
        self.applications.clear()
        self._last = int(credentials.TELNYX_PROFILE_ID)
        outbound = {"outbound_voice_profile_id": credentials.TELNYX_PROFILE_ID}
        theirs = {"outbound": outbound, "webhook_api_version": "2"}
        self.add(CALL_CONTROL, {"application_name": "uvcall sandbox", "webhook_event_url": UNUSED, **theirs}, "1")
        self.add(TEXML, {"friendly_name": "uvcall sandbox", "voice_url": UNUSED, "outbound": outbound}, "2")
        self.numbers = {
            f"20000000000000000{index:02d}": {
                "phone_number": number,
                "connection_id": credentials.TELNYX_CONNECTION_ID,
                "customer_reference": None,
                "external_pin": None,
                "billing_group_id": None,
                "tags": [],
            }
            for index, number in enumerate(credentials.OWNED_NUMBERS)
        }

    def moment(self) -> str:
        """Return the time as Telnyx writes it."""
        return iso(self.world.pace.now()) or ""

    def add(self, kind: Kind, fields: Mapping[str, Any], digit: str = "") -> dict[str, Any]:
        """Add an application; those that are there from the beginning have ids of their own."""
        self._last += 1
        name = credentials.TELNYX_CONNECTION_ID[:-1] + digit if digit else str(self._last)
        made = {"id": name, "record_type": kind.record_type, "created_at": self.moment(), "updated_at": self.moment()}
        self.applications[name] = made | dict(kind.defaults) | _known(kind, fields)
        return self.applications[name]

    def webhook(self, number: str) -> Webhook | None:
        """Return where the calls of a number go."""
        connection = next((one["connection_id"] for one in self.numbers.values() if one["phone_number"] == number), "")
        found = self.applications.get(connection or "")
        if found is None:
            return None
        if found["record_type"] == CALL_CONTROL.record_type:
            failover = found["webhook_event_failover_url"] or ""
            return Webhook(found["webhook_event_url"], failover, "", "POST", call_control=True)
        method = str(found["voice_method"]).upper()
        return Webhook(found["voice_url"], found["voice_fallback_url"], found["status_callback"], method)


def _known(kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the kind has; others are ignored."""
    return {name: value for name, value in fields.items() if name in kind.defaults or name in {kind.name, kind.url}}


def _checked(kind: Kind, fields: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return an application's fields.

    Raises:
        Refusal: One is missing or wrong. Both requests, to make and to change, need the name and the address.
    """
    given = fields or {}
    for name in (kind.name, kind.url):
        if not given.get(name):
            raise bad("10004", "Missing required parameter", f"The '{name}' parameter is required.", name)
    for name in kind.urls:
        if given.get(name) and not (isinstance(given[name], str) and is_web_url(given[name])):
            raise bad("10015", "Bad Request", f"{name} is not a web address.", name)
    for name, choices in kind.choices.items():
        if name in given and given[name] not in choices:
            raise bad("10015", "Bad Request", f"{name} must be one of {', '.join(choices)}.", name)
    return given


class Numbers:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.book = exchange.world.rooms[Book] = Book(exchange.world)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v2/connections", self.connections),
            web.get("/v2/connections/{id}", self.connection),
            web.get("/v2/phone_numbers", self.phone_numbers),
            web.get("/v2/phone_numbers/{id}", self.phone_number),
            web.patch("/v2/phone_numbers/{id}", self.change_number),
            *self._crud("texml_applications", TEXML),
            *self._crud("call_control_applications", CALL_CONTROL),
        ]

    def _crud(self, path: str, kind: Kind) -> Iterable[web.RouteDef]:
        def handler(
            work: Callable[[web.Request, Kind], Awaitable[web.Response]],
        ) -> Callable[[web.Request], Awaitable[web.Response]]:
            async def handle(request: web.Request) -> web.Response:
                authorise(request)
                return await work(request, kind)

            return handle

        return (
            web.get(f"/v2/{path}", handler(self._list)),
            web.post(f"/v2/{path}", handler(self._create)),
            web.get(f"/v2/{path}/{{id}}", handler(self._show)),
            web.patch(f"/v2/{path}/{{id}}", handler(self._change)),
            web.delete(f"/v2/{path}/{{id}}", handler(self._delete)),
        )

    def _found(self, request: web.Request, kind: Kind) -> dict[str, Any]:
        found = self.book.applications.get(request.match_info["id"])
        if found is None or found["record_type"] != kind.record_type:
            raise common_error("telnyx", 404)
        return found

    async def _list(self, request: web.Request, kind: Kind) -> web.Response:
        """List the applications of a kind; `filter[friendly_name]` and its like narrow."""
        wanted = deep_object(request.query, "filter").get((kind.name, "eq"), "").lower()
        mine = [one for one in self.book.applications.values() if one["record_type"] == kind.record_type]
        return listing([one for one in reversed(mine) if wanted in one[kind.name].lower()], request.query)

    async def _create(self, request: web.Request, kind: Kind) -> web.Response:
        made = self.book.add(kind, _checked(kind, await json_object(request)))
        return web.json_response({"data": made}, status=201)

    async def _show(self, request: web.Request, kind: Kind) -> web.Response:
        return web.json_response({"data": self._found(request, kind)})

    async def _change(self, request: web.Request, kind: Kind) -> web.Response:
        found = self._found(request, kind)
        found |= _known(kind, _checked(kind, await json_object(request)))
        found["updated_at"] = self.book.moment()
        return web.json_response({"data": found})

    async def _delete(self, request: web.Request, kind: Kind) -> web.Response:
        found = self._found(request, kind)
        if any(one["connection_id"] == found["id"] for one in self.book.numbers.values()):
            raise bad("10027", "Unprocessable", "The application still has phone numbers.", "id")
        del self.book.applications[found["id"]]
        return web.json_response({"data": found})

    def _as_connection(self, one: Mapping[str, Any]) -> dict[str, Any]:
        kind = _KINDS[one["record_type"]]
        profile = one["outbound"].get("outbound_voice_profile_id")
        return {
            **({"outbound_voice_profile_id": profile} if profile else {}),
            "id": one["id"],
            "record_type": one["record_type"],
            "active": one["active"],
            "anchorsite_override": one["anchorsite_override"],
            "connection_name": one[kind.name],
            "created_at": one["created_at"],
            "updated_at": one["updated_at"],
            "tags": one["tags"],
            "webhook_api_version": one.get("webhook_api_version", "1"),
            "webhook_event_url": one[kind.url],
            "webhook_event_failover_url": one.get("webhook_event_failover_url", ""),
        }

    async def connections(self, request: web.Request) -> web.Response:
        """List the connections: the applications, of whatever kind."""
        authorise(request)
        return listing([self._as_connection(one) for one in self.book.applications.values()], request.query)

    async def connection(self, request: web.Request) -> web.Response:
        """Show a connection."""
        authorise(request)
        found = self.book.applications.get(request.match_info["id"])
        if found is None:
            raise common_error("telnyx", 404)
        return web.json_response({"data": self._as_connection(found)})

    def _as_number(self, name: str) -> dict[str, Any]:
        one = self.book.numbers[name]
        application = self.book.applications.get(one["connection_id"] or "")
        label = application[_KINDS[application["record_type"]].name] if application else None
        return {
            "id": name,
            "record_type": "phone_number",
            "country_iso_alpha2": "US",
            "status": "active",
            "connection_name": label,
            "phone_number_type": "local",
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
            "purchased_at": self.book.moment(),
            "created_at": self.book.moment(),
            "updated_at": self.book.moment(),
            **one,
        }

    async def phone_numbers(self, request: web.Request) -> web.Response:
        """List the account's numbers; `filter[phone_number]` and `filter[connection_id]` narrow."""
        authorise(request)
        filters = deep_object(request.query, "filter")
        wanted = filters.get(("phone_number", "eq"), "").removeprefix("+")
        connection = filters.get(("connection_id", "eq"))
        found = [
            self._as_number(name)
            for name, one in self.book.numbers.items()
            if wanted in one["phone_number"] and connection in {None, one["connection_id"]}
        ]
        return listing(found, request.query)

    def _number(self, request: web.Request) -> str:
        authorise(request)
        name = request.match_info["id"]
        if name not in self.book.numbers:
            raise common_error("telnyx", 404)
        return name

    async def phone_number(self, request: web.Request) -> web.Response:
        """Show a number."""
        return web.json_response({"data": self._as_number(self._number(request))})

    async def change_number(self, request: web.Request) -> web.Response:
        """Change a number; an empty connection takes it from the one it had."""
        name = self._number(request)
        given = await json_object(request) or {}
        connection = given.get("connection_id")
        if connection and connection not in self.book.applications:
            raise bad("85004", "Invalid connection", "The connection_id is no connection of yours.", "connection_id")
        known = {key: value for key, value in given.items() if key in _CHANGEABLE}
        if "connection_id" in known:
            known["connection_id"] = connection or None
        self.book.numbers[name] |= known
        return web.json_response({"data": self._as_number(name)})
