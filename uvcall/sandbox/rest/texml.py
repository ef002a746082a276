"""Telnyx's TeXML calls as its SDK sees them: create, list, show, end.

https://developers.telnyx.com/api-reference/texml-rest-commands/initiate-an-outbound-call
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.notices.telnyx import texml_status
from uvcall.sandbox.orders import Detection, Order, Script
from uvcall.sandbox.rest import (
    LostReply,
    Refusal,
    common_error,
    form,
    is_web_url,
    json_object,
    page_of,
    rfc2822,
    telnyx_error,
)
from uvcall.sandbox.rest.telnyx import authorise, new_ids, owned
from uvcall.sandbox.rest.telnyx_fields import bad, number_of
from uvcall.sandbox.world import Leg

_PATH: Final = "/v2/texml/Accounts/{account}/Calls"
_LISTED: Final = frozenset({"canceled", "completed", "failed", "busy", "no-answer"})


def _seconds(fields: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    text = str(fields.get(name) or default)
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise bad("10015", "Bad Request", f"{name} must be from {low} to {high}.", name)
    return int(text)


def texml_script(fields: Mapping[str, Any], method: str) -> Script:
    """Return what the parameters of a create or an update tell the call to do; `method` names that of `Url`.

    Raises:
        Refusal: Telnyx would refuse them.
    """
    if fields.get("Url") and fields.get("Texml"):
        raise bad("10015", "Bad Request", "Url and Texml exclude each other.", "Texml")
    if not fields.get("Url") and not fields.get("Texml"):
        raise bad("10015", "Bad Request", "The application has no voice URL: Url or Texml is required.", "Url")
    for name in ("Url", "FallbackUrl", "StatusCallback"):
        if fields.get(name) and not is_web_url(str(fields[name])):
            raise bad("10015", "Bad Request", f"{name} is not a URL.", name)
    return Script(
        document=str(fields["Texml"]) if fields.get("Texml") else None,
        url=str(fields.get("Url") or ""),
        method=str(fields.get(method) or "POST"),
        fallback_url=str(fields.get("FallbackUrl") or ""),
    )


def texml_order(fields: Mapping[str, Any]) -> Order:
    """Turn a TeXML call's parameters into an order.

    Raises:
        Refusal: Telnyx would refuse them.
    """
    to, from_ = number_of(fields, "To"), number_of(fields, "From")
    if fields.get("ApplicationSid") != credentials.TELNYX_APPLICATION_SID:
        raise bad("10015", "Bad Request", "ApplicationSid is no TeXML application of yours.", "ApplicationSid")
    owned(from_, "From")
    script = texml_script(fields, "UrlMethod")
    machine = str(fields.get("MachineDetection") or "Disable")
    if machine not in {"Enable", "Disable", "DetectMessageEnd"}:
        raise bad(
            "10015", "Bad Request", "MachineDetection must be Enable, Disable or DetectMessageEnd.", "MachineDetection"
        )
    waits = str(fields.get("AsyncAmd") or "false").lower() != "true"
    return Order(
        provider=Provider.TELNYX,
        to=to,
        from_=from_,
        ring_timeout_s=_seconds(fields, "Timeout", 30, 5, 120),
        time_limit_s=_seconds(fields, "TimeLimit", 14400, 30, 14400),
        script=script,
        detection=None
        if machine == "Disable"
        else Detection(waits=waits, to_the_beep=machine == "DetectMessageEnd", mode="detect"),
        ids=new_ids(credentials.TELNYX_APPLICATION_SID, "texml"),
        options=dict(fields),
    )


def _view(leg: Leg) -> dict[str, Any]:
    view: dict[str, Any] = {
        "account_sid": credentials.TELNYX_ACCOUNT_SID,
        "sid": leg.id,
        "from": leg.from_,
        "from_formatted": leg.from_,
        "to": leg.to,
        "to_formatted": leg.to,
        "caller_name": leg.from_,
        "direction": leg.direction,
        "status": texml_status(leg).replace("queued", "ringing"),  # the schema has no word for a queued call
        "date_created": rfc2822(leg.created_at),
        "date_updated": rfc2822(leg.ended_at or leg.answered_at or leg.created_at),
        "start_time": rfc2822(leg.answered_at or leg.created_at),
        "price": "0.00",
        "price_unit": "USD",
        "uri": f"/v2/texml/Accounts/{credentials.TELNYX_ACCOUNT_SID}/Calls/{leg.id}.json",
    }
    if leg.machine is not None:
        view["answered_by"] = "machine" if leg.machine else "human"
    if leg.ended_at is not None:
        talked = (leg.ended_at - leg.answered_at).total_seconds() if leg.answered_at else 0
        view |= {"end_time": rfc2822(leg.ended_at), "duration": str(math.ceil(talked))}
    return view


class Texml:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post(_PATH, self.create),
            web.get(_PATH, self.list),
            web.get(_PATH + "/{sid}", self.show),
            web.post(_PATH + "/{sid}", self.update),
        ]

    @staticmethod
    def _enter(request: web.Request) -> None:
        authorise(request)
        if request.match_info["account"] != credentials.TELNYX_ACCOUNT_SID:
            raise common_error("telnyx", 404)

    def _leg(self, request: web.Request) -> Leg:
        leg = self.world.legs.get(request.match_info["sid"])
        if leg is None or leg.ids.get("product") != "texml":
            raise Refusal(404, {"errors": [{"detail": "Resource not found"}]})
        return leg

    async def create(self, request: web.Request) -> web.Response:
        """Place a call. The answer has no sid: the schema of Telnyx names none."""
        self._enter(request)
        fields = await json_object(request)
        if fields is None:
            raise telnyx_error(400, "10015", "Bad Request", "The request body is not a JSON object.")
        order = texml_order(fields)
        if self.exchange.refuses_now(Provider.TELNYX, order.to):
            raise common_error("telnyx", 429)
        leg = self.exchange.place(order)
        if self.exchange.loses_reply(leg):
            raise LostReply
        return web.json_response({"from": leg.from_, "to": leg.to, "status": "queued"})

    async def list(self, request: web.Request) -> web.Response:
        """List the calls, the newest first."""
        self._enter(request)
        query = request.query
        if query.get("Status", "completed") not in _LISTED:
            raise bad("10015", "Bad Request", f"Status must be one of {', '.join(sorted(_LISTED))}.", "Status")
        found = [
            leg
            for leg in self.world.legs.values()
            if leg.ids.get("product") == "texml"
            and query.get("To", leg.to) == leg.to
            and query.get("From", leg.from_) == leg.from_
            and query.get("Status", texml_status(leg)) == texml_status(leg)
            and _day_fits(leg.created_at, query, "StartTime")
            and (leg.ended_at is None or _day_fits(leg.ended_at, query, "EndTime"))
        ]
        page, size = _number(query, "Page", 0), _number(query, "PageSize", 20)
        shown = page_of(reversed(found), offset=page * size, limit=size)
        uri = f"/v2/texml/Accounts/{credentials.TELNYX_ACCOUNT_SID}/Calls.json"
        body = {
            "calls": [_view(leg) for leg in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(0, len(shown) - 1),
            "uri": f"{uri}?Page={page}&PageSize={size}",
            "first_page_uri": f"{uri}?Page=0&PageSize={size}",
        }
        if (page + 1) * size < len(found):
            body["next_page_uri"] = f"{uri}?Page={page + 1}&PageSize={size}"
        return web.json_response(body)

    async def show(self, request: web.Request) -> web.Response:
        """Show a call."""
        self._enter(request)
        return web.json_response(_view(self._leg(request)))

    async def update(self, request: web.Request) -> web.Response:
        """End a call: `Status=completed`; or give it other TeXML: `Url` or `Texml`."""
        self._enter(request)
        leg = self._leg(request)
        # A form by the document, JSON by the SDK.
        given = await json_object(request) if request.content_type == "application/json" else await form(request)
        fields = {name: value[0] if isinstance(value, list) else value for name, value in (given or {}).items()}
        if fields.get("Status") not in {None, "completed", "canceled"}:
            raise bad("10015", "Bad Request", "Status must be completed or canceled.", "Status")
        script = None if fields.get("Status") else texml_script(fields, "Method")
        if leg.ended_at is not None:
            raise telnyx_error(422, "90018", "Call has already ended", "This call is no longer active.")
        if script is None:
            self.exchange.end(leg, Cause.NORMAL if leg.answered_at else Cause.CANCELED, "api")
        elif leg.answered_at is None:
            raise telnyx_error(422, "90034", "Call not answered yet", "This call can't receive this command yet.")
        else:
            self.exchange.redirect(leg, script)
        return web.json_response(_view(leg))


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):
        raise bad("10015", "Bad Request", f"{name} is out of range.", name)
    return int(text)


def _day_fits(moment: datetime, query: Mapping[str, str], name: str) -> bool:
    """Compare days, as the API does."""
    day = moment.date().isoformat()
    return (
        query.get(name, day)[:10] == day
        and day >= query.get(f"{name}_gt", day)[:10]
        and day <= query.get(f"{name}_lt", day)[:10]
    )
