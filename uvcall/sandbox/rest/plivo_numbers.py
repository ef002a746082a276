"""Plivo's numbers and the applications that they lead to, as its SDK sees them.

https://www.plivo.com/docs/numbers/api/account-phone-number · https://www.plivo.com/docs/account/api/application
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.lines import UNUSED, Webhook
from uvcall.sandbox.rest import common_error, is_web_url, json_object, page_of, plivo_error
from uvcall.sandbox.rest.plivo import MOST_LISTED, ROOT, authorise
from uvcall.sandbox.world import World

_URI: Final = f"/v1/Account/{credentials.PLIVO_AUTH_ID}/"
_FIRST: Final = 30000000000000001
_URLS: Final = ("answer_url", "fallback_answer_url", "hangup_url", "message_url")
_METHODS: Final = ("answer_method", "fallback_method", "hangup_method", "message_method")
_DEFAULTS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_URLS, ""),
    **dict.fromkeys(_METHODS, "POST"),
    "default_app": False,
    "default_endpoint_app": False,
    "enabled": True,
    "log_incoming_messages": True,
    "public_uri": False,
    "sub_account": None,
}
_FLAGS: Final = ("default_endpoint_app", "log_incoming_messages", "public_uri")
_NAME: Final = re.compile(r"[\w -]{1,64}", re.ASCII)


class Book:
    """The account's applications, and which of them each number has."""

    def __init__(self, world: World) -> None:
        self.applications: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, str | None] = {}
        self._next = _FIRST
        self.begin()
        world.on_reset.append(self.begin)

    def begin(self) -> None:
        """Set all as it is in a new sandbox."""
        self.applications.clear()
        self._next = _FIRST
        first = self.add({"app_name": "uvcall sandbox", "answer_url": UNUSED}) | {"default_app": True}
        self.applications[first["app_id"]] = first
        self.numbers = dict.fromkeys(credentials.OWNED_NUMBERS, first["app_id"])

    def add(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Add an application."""
        name, self._next = str(self._next), self._next + 1
        made = {"app_id": name, "resource_uri": f"{_URI}Application/{name}/", "sip_uri": f"sip:{name}@app.example.com"}
        self.applications[name] = {**_DEFAULTS, **made, **fields}
        return self.applications[name]

    def webhook(self, number: str) -> Webhook | None:
        """Return where the calls of a number go."""
        found = self.applications.get(self.numbers.get(number) or "")
        if found is None or not found["answer_url"]:
            return None
        further = (found["fallback_answer_url"], found["hangup_url"], found["answer_method"])
        return Webhook(found["answer_url"], *further)


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an application's fields; unknown ones are ignored.

    Raises:
        Refusal: One is wrong.
    """
    found = {}
    for name in _URLS:
        if name in given:
            if given[name] and not is_web_url(str(given[name])):
                raise plivo_error(400, f"{name} parameter is invalid")
            found[name] = str(given[name] or "")
    for name in _METHODS:
        if name in given:
            if str(given[name]).upper() not in {"GET", "POST"}:
                raise plivo_error(400, f"{name} parameter is invalid: GET or POST")
            found[name] = str(given[name]).upper()
    return found | {name: given[name] is True for name in _FLAGS if name in given}


def _listing(objects: list[dict[str, Any]], request: web.Request) -> web.Response:
    """Answer the page that was asked for, twenty at the most."""
    given = {}
    for name, default in (("limit", MOST_LISTED), ("offset", 0)):
        text = request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()):
            raise plivo_error(400, f"{name} is not a whole number")
        given[name] = int(text)
    given["limit"] = min(max(given["limit"], 1), MOST_LISTED)
    meta = {**given, "total_count": len(objects), "next": None, "previous": None}
    return web.json_response({"api_id": str(uuid.uuid4()), "meta": meta, "objects": page_of(objects, **given)})


def _said(status: int, **words: Any) -> web.Response:
    return web.json_response({"api_id": str(uuid.uuid4()), **words}, status=status)


class Numbers:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.book = exchange.world.rooms[Book] = Book(exchange.world)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        one = f"{ROOT}/Application/{{id}}/"
        return [
            web.get(f"{ROOT}/Number/", self.numbers),
            web.get(f"{ROOT}/Number/{{number}}/", self.number),
            web.post(f"{ROOT}/Number/{{number}}/", self.change_number),
            web.get(f"{ROOT}/Application/", self.applications),
            web.post(f"{ROOT}/Application/", self.create),
            web.get(one, self.application),
            web.post(one, self.change),
            web.delete(one, self.delete),
        ]

    def _found(self, request: web.Request) -> dict[str, Any]:
        authorise(request)
        found = self.book.applications.get(request.match_info["id"])
        if found is None:
            raise common_error("plivo", 404)
        return found

    async def applications(self, request: web.Request) -> web.Response:
        """List the applications; `app_name` narrows."""
        authorise(request)
        wanted = request.query.get("app_name", "").lower()
        mine = self.book.applications.values()
        return _listing([one for one in mine if wanted in one["app_name"].lower()], request)

    async def create(self, request: web.Request) -> web.Response:
        """Make an application."""
        authorise(request)
        given = await json_object(request) or {}
        name = given.get("app_name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise plivo_error(400, "app_name parameter is invalid")
        if any(one["app_name"] == name for one in self.book.applications.values()):
            raise plivo_error(400, "an application of this name exists already")
        made = self.book.add({"app_name": name, **_checked(given)})
        return _said(201, message="created", app_id=made["app_id"])

    async def application(self, request: web.Request) -> web.Response:
        """Show an application."""
        return _said(200, **self._found(request))

    async def change(self, request: web.Request) -> web.Response:
        """Change an application."""
        found = self._found(request)
        found |= _checked(await json_object(request) or {})
        return _said(202, message="changed")

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an application that no number has."""
        found = self._found(request)
        if found["default_app"] or found["app_id"] in self.book.numbers.values():
            raise plivo_error(400, "the application is in use")
        del self.book.applications[found["app_id"]]
        return web.Response(status=204)

    def _shown(self, number: str) -> dict[str, Any]:
        digits = number.removeprefix("+")
        application = self.book.numbers[number]
        return {
            "active": True,
            "added_on": "2025-01-01",
            "alias": "uvcall sandbox",
            "application": f"{_URI}Application/{application}/" if application else None,
            "carrier": "Plivo",
            "city": "Washington",
            "country": "United States",
            "mms_enabled": False,
            "monthly_rental_rate": "0.80000",
            "number": digits,
            "number_type": "local",
            "region": "DC, UNITED STATES",
            "renewal_date": "2099-01-01",
            "resource_uri": f"{_URI}Number/{digits}/",
            "sms_enabled": False,
            "sms_rate": "0.00000",
            "sub_account": None,
            "type": "local",
            "voice_enabled": True,
            "voice_rate": "0.00850",
        }

    def _number(self, request: web.Request) -> str:
        authorise(request)
        wanted = f"+{request.match_info['number'].removeprefix('+')}"
        if wanted not in self.book.numbers:
            raise common_error("plivo", 404)
        return wanted

    async def numbers(self, request: web.Request) -> web.Response:
        """List the numbers; `number_startswith` narrows."""
        authorise(request)
        begins = "+" + request.query.get("number_startswith", "")
        return _listing([self._shown(one) for one in self.book.numbers if one.startswith(begins)], request)

    async def number(self, request: web.Request) -> web.Response:
        """Show a number."""
        return _said(200, **self._shown(self._number(request)))

    async def change_number(self, request: web.Request) -> web.Response:
        """Give a number another application; without one it gets the account's default."""
        number = self._number(request)
        application = str((await json_object(request) or {}).get("app_id") or "")
        if application and application not in self.book.applications:
            raise plivo_error(400, "app_id parameter is invalid")
        default = next(name for name, one in self.book.applications.items() if one["default_app"])
        self.book.numbers[number] = application or default
        return _said(202, message="changed")
