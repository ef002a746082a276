"""Plivo's calls as its SDK sees them: make, list, show (queued, live, ended), hang up, cancel.

https://www.plivo.com/docs/voice/api/call · https://www.plivo.com/docs/voice/api/response

Plivo has two ids: making a call answers a `request_uuid`; callbacks, live calls and records name a `call_uuid`. They
may be equal in life. Here they never are, so that a program which mixes them up is found out.
"""

from __future__ import annotations

import operator
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.notices.plivo import ending, live_status, seconds, stamp
from uvcall.sandbox.orders import Detection, Order, Script
from uvcall.sandbox.rest import (
    LostReply,
    basic_credentials,
    common_error,
    is_web_url,
    json_object,
    page_of,
    plivo_error,
)
from uvcall.sandbox.world import Leg

ROOT: Final = "/v1/Account/{account}"
_NUMBER: Final = re.compile(r"\+?[1-9][0-9]{6,14}", re.ASCII)
_URLS: Final = ("answer_url", "ring_url", "hangup_url", "fallback_url", "machine_detection_url")
MOST_LISTED: Final = 20
_RATE: Final = 0.0085  #: dollars a minute, for records that look like records


def authorise(request: web.Request) -> None:
    """Let only the sandbox's account in, by its token.

    Raises:
        Refusal: 401; 404 for another account's path.
    """
    if basic_credentials(request) != (credentials.PLIVO_AUTH_ID, credentials.PLIVO_AUTH_TOKEN):
        text = "Could not verify your access level for that URL. You have to login with proper credentials."
        raise plivo_error(401, text, {"WWW-Authenticate": 'Basic realm="Login Required"'})
    if request.match_info["account"] != credentials.PLIVO_AUTH_ID:
        raise common_error("plivo", 404)


def _whole(fields: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    text = str(fields.get(name, default))
    if not (text.isascii() and text.isdigit() and int(text) >= low):
        raise plivo_error(400, f"{name} is not a whole number from {low}")
    return min(int(text), high)


def _number(fields: Mapping[str, Any], name: str) -> str:
    value = str(fields.get(name) or "")
    if not value:
        raise plivo_error(400, f"{name} is a mandatory parameter")
    for one in value.split("<"):
        if not _NUMBER.fullmatch(one):
            raise plivo_error(400, f"{name} parameter is invalid: {one[:40]} is not an E.164 number")
    return value


def plivo_orders(fields: Mapping[str, Any], script: Script | None = None) -> list[Order]:
    """Turn a call's parameters into orders, one for each number in `to`. Unknown parameters are ignored.

    Args:
        fields: The parameters.
        script: What to do when answered, in place of `answer_url`.

    Raises:
        Refusal: Plivo would refuse them.
    """
    from_, to = _number(fields, "from"), _number(fields, "to")
    caller = f"+{from_.removeprefix('+')}"
    if script is None and not fields.get("answer_url"):
        raise plivo_error(400, "answer_url is a mandatory parameter")
    for name in _URLS:
        if fields.get(name) and not is_web_url(str(fields[name])):
            raise plivo_error(400, f"{name} parameter is not a valid URL")
        method = name.replace("_url", "_method")
        if str(fields.get(method, "POST")).upper() not in {"GET", "POST"}:
            raise plivo_error(400, f"{method} parameter must be GET or POST")
    if caller not in credentials.OWNED_NUMBERS:
        raise plivo_error(400, "from parameter is invalid: the number belongs to no number of this account")
    detection = str(fields.get("machine_detection") or "").lower()
    if detection not in {"", "false", "true", "hangup"}:
        raise plivo_error(400, "machine_detection parameter must be true or hangup")
    return [
        Order(
            provider=Provider.PLIVO,
            to=f"+{one.removeprefix('+')}",
            from_=caller,
            ring_timeout_s=_whole(fields, "ring_timeout", 120, 0, 600),
            time_limit_s=_whole(fields, "time_limit", 14400, 1, 86400),
            script=script
            or Script(
                url=str(fields["answer_url"]),
                method=str(fields.get("answer_method") or "POST").upper(),
                fallback_url=str(fields.get("fallback_url") or ""),
                fallback_method=str(fields.get("fallback_method") or "POST").upper(),
            ),
            # With a URL for the verdict the detection runs beside the call, without one before it.
            detection=Detection(
                waits=not fields.get("machine_detection_url"), hangs_up=detection == "hangup", mode=detection
            )
            if detection in {"true", "hangup"}
            else None,
            ids={"request_uuid": str(uuid.uuid4()), "api_id": str(uuid.uuid4())},
            options=dict(fields),
        )
        for one in to.split("<")
    ]


def live_view(leg: Leg) -> dict[str, Any]:
    """Return a live call."""
    return {
        "api_id": str(uuid.uuid4()),
        "call_status": live_status(leg),
        "call_uuid": leg.id,
        "caller_name": "",
        "direction": leg.direction,
        "from": leg.from_,
        "to": leg.to.removeprefix("+"),
        "request_uuid": leg.ids.get("request_uuid", ""),
        "session_start": leg.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "stir_verification": "Not Applicable",
    }


def record_view(exchange: Exchange, leg: Leg) -> dict[str, Any]:
    """Return an ended call's detail record."""
    how, source = ending(exchange, leg)
    talked = seconds(leg)
    billed = -(-talked // 60) * 60
    return {
        "answer_time": stamp(leg.answered_at),
        "bill_duration": talked,
        "billed_duration": billed,
        "call_direction": leg.direction,
        "call_duration": talked,
        "call_state": "ANSWER" if leg.answered_at else "RINGING" if leg.ringing_at else "INITIATED",
        "call_uuid": leg.id,
        "conference_uuid": None,
        "end_time": stamp(leg.ended_at),
        "from_number": leg.from_,
        "hangup_cause_code": how.code,
        "hangup_cause_name": how.name,
        "hangup_source": source,
        "initiation_time": stamp(leg.created_at),
        "parent_call_uuid": leg.ids.get("parent"),
        "resource_uri": f"/v1/Account/{credentials.PLIVO_AUTH_ID}/Call/{leg.id}/",
        "stir_attestation": "",
        "stir_verification": "Not Applicable",
        "to_number": leg.to.removeprefix("+"),
        "total_amount": f"{billed / 60 * _RATE:.5f}",
        "total_rate": f"{_RATE:.5f}",
        "voice_network_group": "USA All Networks",
    }


class Calls:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post(f"{ROOT}/Call/", self.create),
            web.get(f"{ROOT}/Call/", self.list),
            web.get(f"{ROOT}/Call/{{uuid}}/", self.show),
            web.delete(f"{ROOT}/Call/{{uuid}}/", self.hang_up),
            web.delete(f"{ROOT}/Request/{{uuid}}/", self.cancel),
        ]

    def _legs(self, *states: str) -> list[Leg]:
        return [leg for leg in self.world.legs.values() if leg.provider is Provider.PLIVO and state_of(leg) in states]

    async def create(self, request: web.Request) -> web.Response:
        """Make a call, or several."""
        authorise(request)
        fields = await json_object(request)
        if fields is None:
            raise plivo_error(400, "the request body is not a JSON object")
        orders = plivo_orders(fields)
        if any(self.exchange.refuses_now(Provider.PLIVO, order.to) for order in orders):
            raise common_error("plivo", 429)
        legs = [self.exchange.place(order) for order in orders]
        if any(self.exchange.loses_reply(leg) for leg in legs):
            raise LostReply
        ids = [leg.ids["request_uuid"] for leg in legs]
        body = {
            "api_id": legs[0].ids["api_id"],
            "message": "call fired" if len(ids) == 1 else "calls fired",
            "request_uuid": ids[0] if len(ids) == 1 else ids,
        }
        return web.json_response(body, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """List queued or live calls by id, or the records of ended ones, the newest first."""
        authorise(request)
        query = request.query
        limit, offset = _whole(query, "limit", 20, 1, 10**6), _whole(query, "offset", 0, 0, 10**6)
        if limit > MOST_LISTED:
            raise plivo_error(400, f"limit must be from 1 to {MOST_LISTED}")
        state = query.get("status", "")
        if state not in {"", "live", "queued"}:
            raise plivo_error(400, "status parameter must be live or queued")
        if state == "queued":
            queued = [leg.ids["request_uuid"] for leg in self._legs("queued")]
            shown = page_of(reversed(queued), offset=offset, limit=limit)
            return web.json_response({"api_id": str(uuid.uuid4()), "calls": shown})
        fitting = [leg for leg in self._legs(state or "ended") if _fits(self.exchange, leg, query)]
        page = page_of(reversed(fitting), offset=offset, limit=limit)
        if state == "live":
            return web.json_response({"api_id": str(uuid.uuid4()), "calls": [leg.id for leg in page]})

        def uri(start: int) -> str:
            kept = {name: value for name, value in query.items() if name not in {"limit", "offset"}}
            path = f"/v1/Account/{credentials.PLIVO_AUTH_ID}/Call/"
            return f"{path}?{urlencode(kept | {'limit': limit, 'offset': start})}"

        meta = {
            "limit": limit,
            "offset": offset,
            "total_count": len(fitting),
            "next": uri(offset + limit) if offset + limit < len(fitting) else None,
            "previous": uri(max(0, offset - limit)) if offset else None,
        }
        objects = [record_view(self.exchange, leg) for leg in page]
        return web.json_response({"api_id": str(uuid.uuid4()), "meta": meta, "objects": objects})

    async def show(self, request: web.Request) -> web.Response:
        """Show one call in the state that `status` names: queued (by request), live, or ended."""
        authorise(request)
        name, state = request.match_info["uuid"], request.query.get("status", "")
        for leg in self._legs(state or "ended"):
            if name != (leg.ids["request_uuid"] if state == "queued" else leg.id):
                continue
            if state:
                view = live_view(leg) | ({"call_status": "queued"} if state == "queued" else {})
                return web.json_response(view)
            return web.json_response(record_view(self.exchange, leg) | {"api_id": str(uuid.uuid4())})
        raise common_error("plivo", 404)

    async def hang_up(self, request: web.Request) -> web.Response:
        """Hang up a call that rings or talks."""
        authorise(request)
        leg = self.world.legs.get(request.match_info["uuid"])
        if leg is None or leg.provider is not Provider.PLIVO or state_of(leg) != "live":
            raise plivo_error(404, "call not found")
        self.exchange.end(leg, Cause.NORMAL if leg.answered_at else Cause.CANCELED, "api")
        return web.Response(status=204)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a request whose call has not been answered."""
        authorise(request)
        for leg in self._legs("queued", "live"):
            if leg.ids["request_uuid"] == request.match_info["uuid"] and not leg.answered_at:
                self.exchange.end(leg, Cause.CANCELED, "api")
                return web.Response(status=204)
        raise plivo_error(404, "request not found")


def state_of(leg: Leg) -> str:
    """Return the leg's place in Plivo's lists: `queued`, `live` or `ended`."""
    if leg.ended_at is not None:
        return "ended"
    return "live" if leg.ringing_at or leg.answered_at else "queued"


def _fits(exchange: Exchange, leg: Leg, query: Mapping[str, str]) -> bool:
    def same(name: str, number: str) -> bool:
        wanted = query.get(name)
        return wanted is None or wanted.removeprefix("+") == number.removeprefix("+")

    if not (same("from_number", leg.from_) and same("to_number", leg.to)):
        return False
    if query.get("call_direction", leg.direction) != leg.direction:
        return False
    if query.get("parent_call_uuid", leg.ids.get("parent", "")) != leg.ids.get("parent", ""):
        return False
    if leg.ended_at is None:
        return True
    how, source = ending(exchange, leg)
    if query.get("hangup_cause_code", str(how.code)) != str(how.code):
        return False
    if query.get("hangup_source", source).lower() != source.lower():
        return False
    return _time_fits(leg.ended_at, query)


_COMPARISONS: Final[Mapping[str, Callable[[datetime, datetime], bool]]] = {
    "": operator.eq,
    "__gt": operator.gt,
    "__gte": operator.ge,
    "__lt": operator.lt,
    "__lte": operator.le,
}


def _time_fits(moment: datetime, query: Mapping[str, str]) -> bool:
    """Compare with `end_time`, `end_time__gt`, …: `YYYY-MM-DD HH:MM[:ss[.uuuuuu]]`, UTC."""
    for mark, holds in _COMPARISONS.items():
        text = query.get(f"end_time{mark}")
        if text is None:
            continue
        try:
            limit = datetime.fromisoformat(text)
        except ValueError as error:
            raise plivo_error(400, f"end_time{mark} parameter is not a time") from error
        if not holds(moment, limit if limit.tzinfo else limit.replace(tzinfo=UTC)):
            return False
    return True
