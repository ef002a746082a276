"""Twilio's calls as its SDK sees them: create, list, show, end.

https://www.twilio.com/docs/voice/api/call-resource · error codes: https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.notices.twilio import answered_by, seconds, status
from uvcall.sandbox.orders import Detection, Order, Script
from uvcall.sandbox.rest import (
    E164,
    LostReply,
    basic_credentials,
    common_error,
    form,
    is_web_url,
    page_of,
    rfc2822,
    twilio_error,
)
from uvcall.sandbox.world import Leg

ROOT: Final = f"/2010-04-01/Accounts/{credentials.TWILIO_ACCOUNT_SID}"
LONGEST_TWIML: Final = 4000  #: characters of the parameter `Twiml`; error 32018
_EVENTS: Final = frozenset({"initiated", "ringing", "answered", "completed"})
_PARTS: Final = (
    "notifications",
    "recordings",
    "payments",
    "events",
    "siprec",
    "streams",
    "transcriptions",
    "user_defined_message_subscriptions",
    "user_defined_messages",
)


def authorise(request: web.Request) -> None:
    """Let only the sandbox's account in, by its token.

    Raises:
        Refusal: 401 with 20003; 404 for another account's path.
    """
    if basic_credentials(request) != (credentials.TWILIO_ACCOUNT_SID, credentials.TWILIO_AUTH_TOKEN):
        raise twilio_error(401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'})
    if request.match_info.get("account", credentials.TWILIO_ACCOUNT_SID) != credentials.TWILIO_ACCOUNT_SID:
        raise not_found(request)


def not_found(request: web.Request) -> Exception:
    """Build Twilio's 404, which names the path."""
    return twilio_error(404, 20404, f"The requested resource {request.path} was not found")


def _phone(fields: Mapping[str, list[str]], name: str, missing: int, wrong: int) -> str:
    value = (fields.get(name) or [""])[0]
    if not value:
        raise twilio_error(400, missing, f"'{name}' phone number is required.")
    if not E164.fullmatch(value):
        raise twilio_error(400, wrong, f"The '{name}' number {value[:40]} is not a valid phone number.")
    return value


def _whole(fields: Mapping[str, list[str]], name: str, default: int, low: int, high: int) -> int:
    text = (fields.get(name) or [str(default)])[0]
    if not (text.isascii() and text.isdigit() and low <= int(text)):
        raise twilio_error(400, 20422, f"Invalid Parameter {name}: not a whole number from {low}.")
    return min(int(text), high)


def twilio_script(one: Mapping[str, str]) -> Script:
    """Return what the parameters of a create or an update tell the call to do.

    Raises:
        Refusal: Twilio would refuse them.
    """
    url, document = one.get("Url", ""), one.get("Twiml", "")
    if not url and not document:
        raise twilio_error(400, 21205, "Url parameter is required.")
    if url and not is_web_url(url):
        raise twilio_error(400, 21205, f"Url is not a valid URL: {url[:80]}")
    if len(document) > LONGEST_TWIML:
        raise twilio_error(400, 32018, f"Twiml is longer than {LONGEST_TWIML} characters.")
    for name in ("StatusCallback", "FallbackUrl", "AsyncAmdStatusCallback"):
        if one.get(name) and not is_web_url(one[name]):
            raise twilio_error(400, 21205, f"{name} is not a valid URL: {one[name][:80]}")
    for name in ("Method", "FallbackMethod", "StatusCallbackMethod", "AsyncAmdStatusCallbackMethod"):
        if one.get(name, "POST").upper() not in {"GET", "POST"}:
            raise twilio_error(400, 20422, f"Invalid Parameter {name}: it must be GET or POST.")
    return Script(
        document=None if url else document,  # Twiml is ignored when there is a Url
        url=url,
        method=one.get("Method", "POST").upper(),
        fallback_url=one.get("FallbackUrl", ""),
        fallback_method=one.get("FallbackMethod", "POST").upper(),
    )


def twilio_order(fields: Mapping[str, list[str]]) -> Order:
    """Turn a create's form into an order. Unknown fields are ignored, as Twilio ignores them.

    Raises:
        Refusal: Twilio would refuse it.
    """
    to = _phone(fields, "To", 21201, 21211)
    from_ = _phone(fields, "From", 21213, 21212)
    if from_ not in credentials.OWNED_NUMBERS:
        raise twilio_error(
            400, 21210, f"The source phone number provided, {from_}, is not yet verified for your account."
        )
    one = {name: values[0] for name, values in fields.items() if values}
    if one.get("ApplicationSid"):
        raise twilio_error(400, 21218, "Invalid ApplicationSid: the sandbox has no applications.")
    script = twilio_script(one)
    machine = one.get("MachineDetection", "")
    if machine not in {"", "Enable", "DetectMessageEnd"}:
        raise twilio_error(400, 20422, "Invalid Parameter MachineDetection: Enable or DetectMessageEnd.")
    events = [event for value in fields.get("StatusCallbackEvent", ["completed"]) for event in value.split()]
    wrong = " ".join(sorted(set(events) - _EVENTS))
    if wrong:
        raise twilio_error(400, 21626, f"Invalid status callback events: {wrong[:80]}")
    return Order(
        provider=Provider.TWILIO,
        to=to,
        from_=from_,
        ring_timeout_s=_whole(fields, "Timeout", 60, 1, 600),
        time_limit_s=_whole(fields, "TimeLimit", 14400, 1, 86400),
        script=script,
        detection=Detection(
            waits=one.get("AsyncAmd") != "true", to_the_beep=machine == "DetectMessageEnd", mode=machine
        )
        if machine and not one.get("SendDigits")  # sending digits switches the detection off
        else None,
        options=one | {"StatusCallbackEvent": events},
    )


def call_view(exchange: Exchange, leg: Leg) -> dict[str, Any]:
    """Return the call as the API shows it."""
    uri = f"{ROOT}/Calls/{leg.id}"
    run = exchange.runs.get(leg.id)
    ended = leg.ended_at
    return {
        "sid": leg.id,
        "date_created": rfc2822(leg.created_at),
        "date_updated": rfc2822(ended or leg.answered_at or leg.created_at),
        "parent_call_sid": leg.ids.get("parent"),
        "account_sid": credentials.TWILIO_ACCOUNT_SID,
        "to": leg.to,
        "to_formatted": _formatted(leg.to),
        "from": leg.from_,
        "from_formatted": _formatted(leg.from_),
        "phone_number_sid": number_sid(leg.from_),
        "status": status(leg),
        "start_time": rfc2822(leg.answered_at or (ended and (leg.ringing_at or leg.created_at))),
        "end_time": rfc2822(ended),
        "duration": str(seconds(leg)) if ended else None,
        "price": None,
        "price_unit": "USD",
        "direction": "inbound"
        if leg.direction == "inbound"
        else "outbound-dial"
        if leg.ids.get("parent")
        else "outbound-api",
        "answered_by": answered_by(leg),
        "api_version": "2010-04-01",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(math.floor(run.queued_s * 1000) if run else 0),
        "trunk_sid": None,
        "uri": f"{uri}.json",
        "subresource_uris": {part: f"{uri}/{_camel(part)}.json" for part in _PARTS},
    }


def number_sid(number: str) -> str | None:
    """Return the sid of a number that the account owns."""
    if number not in credentials.OWNED_NUMBERS:
        return None
    return f"PN{credentials.OWNED_NUMBERS.index(number) + 1:032x}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _formatted(number: str) -> str:
    if not number.startswith("+1"):
        return number
    return f"({number[2:5]}) {number[5:8]}-{number[8:]}"


class Calls:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        path = "/2010-04-01/Accounts/{account}/Calls"
        return [
            web.post(path + ".json", self.create),
            web.get(path + ".json", self.list),
            web.get(path + "/{sid:CA[0-9a-f]+}.json", self.show),
            web.post(path + "/{sid:CA[0-9a-f]+}.json", self.update),
        ]

    def _leg(self, request: web.Request) -> Leg:
        leg = self.world.legs.get(request.match_info["sid"])
        if leg is None or leg.provider is not Provider.TWILIO:
            raise not_found(request)
        return leg

    async def create(self, request: web.Request) -> web.Response:
        """Place a call."""
        authorise(request)
        order = twilio_order(await form(request))
        if self.exchange.refuses_now(Provider.TWILIO, order.to):
            raise common_error("twilio", 429)
        leg = self.exchange.place(order)
        if self.exchange.loses_reply(leg):
            raise LostReply
        return web.json_response(call_view(self.exchange, leg), status=201)

    async def show(self, request: web.Request) -> web.Response:
        """Show a call."""
        authorise(request)
        return web.json_response(call_view(self.exchange, self._leg(request)))

    async def update(self, request: web.Request) -> web.Response:
        """End a call: `Status=completed`, or `canceled` before the answer; or give it other TwiML: `Url` or `Twiml`."""
        authorise(request)
        leg = self._leg(request)
        one = {name: values[0] for name, values in (await form(request)).items() if values}
        wanted = one.get("Status", "")
        if wanted not in {"", "completed", "canceled"}:
            raise twilio_error(400, 20422, "Invalid Parameter Status: completed or canceled.")
        script = None if wanted else twilio_script(one)
        if leg.ended_at is not None or (script is not None and leg.answered_at is None):
            raise twilio_error(400, 21220, "Call is not in-progress. Cannot redirect.")
        if script is not None:
            self.exchange.redirect(leg, script)
        elif not leg.answered_at:
            self.exchange.end(leg, Cause.CANCELED, "api")
        elif wanted == "completed":
            self.exchange.end(leg, Cause.NORMAL, "api")
        # `canceled` leaves an answered call alone: https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource
        return web.json_response(call_view(self.exchange, leg))

    async def list(self, request: web.Request) -> web.Response:
        """List the calls, the newest first. StartTime and EndTime have the grain of a day, as documented."""
        authorise(request)
        query = request.query
        found = [
            leg
            for leg in self.world.legs.values()
            if leg.provider is Provider.TWILIO
            and query.get("To", leg.to) == leg.to
            and query.get("From", leg.from_) == leg.from_
            and query.get("Status", status(leg)) == status(leg)
            and query.get("ParentCallSid", leg.ids.get("parent", "")) == leg.ids.get("parent", "")
            and _day_fits(leg.created_at, query, "StartTime")
            and (_day_fits(leg.ended_at, query, "EndTime") if leg.ended_at else not _asks(query, "EndTime"))
        ]
        page, size = _page(query, "Page", 0), min(max(_page(query, "PageSize", 50), 1), 1000)
        shown = page_of(reversed(found), offset=page * size, limit=size)
        more = (page + 1) * size < len(found)

        def uri(number: int) -> str:
            kept = {name: value for name, value in query.items() if name not in {"Page", "PageSize"}}
            return f"{ROOT}/Calls.json?{urlencode(kept | {'PageSize': size, 'Page': number})}"

        return web.json_response(
            {
                "first_page_uri": uri(0),
                "next_page_uri": uri(page + 1) if more else None,
                "previous_page_uri": uri(page - 1) if page else None,
                "uri": uri(page),
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(0, len(shown) - 1),
                "calls": [call_view(self.exchange, leg) for leg in shown],
            }
        )


def _page(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise twilio_error(400, 20006, f"{name} is not a whole number.")
    return int(text)


def _asks(query: Mapping[str, str], name: str) -> bool:
    return any(key in query for key in (name, f"{name}<", f"{name}>"))


def _day_fits(moment: datetime, query: Mapping[str, str], name: str) -> bool:
    """Compare days. `StartTime>=X` comes as the key `StartTime>`."""
    day = moment.date()
    try:
        limits = {mark: date.fromisoformat(query[name + mark][:10]) for mark in ("", "<", ">") if name + mark in query}
    except ValueError as error:
        raise twilio_error(400, 20001, f"{name} is not a date.") from error
    return limits.get("", day) == day and day <= limits.get("<", day) and day >= limits.get(">", day)
