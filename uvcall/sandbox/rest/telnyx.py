"""Telnyx's Call Control as its SDK sees it: dial, look, hang up; what is for incoming calls stands beside.

https://developers.telnyx.com/api-reference/call-commands/dial · error codes:
https://developers.telnyx.com/development/api-fundamentals/api-errors
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.notices.telnyx import remember
from uvcall.sandbox.orders import Detection, Order
from uvcall.sandbox.rest import LostReply, common_error, is_web_url, iso, json_object, telnyx_error
from uvcall.sandbox.rest.telnyx_commands import COMMAND_S, Commands
from uvcall.sandbox.rest.telnyx_fields import bad, check_choices, number_of, stream_of
from uvcall.sandbox.world import Leg

KEPT_S: Final = 600  #: an ended call can be looked up so long (of the world's life)
_CONTROL_ID: Final = re.compile(r"v[0-9]:[A-Za-z0-9_-]{10,100}", re.ASCII)


def authorise(request: web.Request) -> None:
    """Let only the sandbox's key in.

    Raises:
        Refusal: 404 with code 10005 without any credential, as Telnyx answers; 401 with 10009 for a wrong one.
    """
    given = request.headers.get("Authorization")
    if not given:
        raise common_error("telnyx", 404)
    if given != f"Bearer {credentials.TELNYX_API_KEY}":
        raise telnyx_error(401, "10009", "Authentication failed", "Could not understand the provided credentials.", "/")


def owned(number: str, name: str = "from") -> str:
    """Return the caller number when the account owns it.

    Raises:
        Refusal: It does not.
    """
    if number not in credentials.OWNED_NUMBERS:
        detail = "D36: the caller id belongs to no number of this account"
        raise telnyx_error(403, "10010", "Not authorised", detail, f"/{name}")
    return number


def _seconds(fields: Mapping[str, Any], name: str, default: int, low: int, high: int, code: str) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise bad(code, f"Invalid value for {name}", f"{name} must be from {low} to {high}.", name)
    return value


def dial_order(fields: Mapping[str, Any]) -> Order:
    """Turn a dial's parameters into an order.

    Raises:
        Refusal: Telnyx would refuse them.
    """
    connection = fields.get("connection_id")
    if not connection:
        raise bad("10004", "Missing required parameter", "The 'connection_id' parameter is required.", "connection_id")
    to, from_ = number_of(fields, "to"), number_of(fields, "from")
    if connection != credentials.TELNYX_CONNECTION_ID:
        raise bad("85004", "Invalid connection", "The connection_id is no Call Control App of yours.", "connection_id")
    owned(from_)
    check_choices(fields)
    state = fields.get("client_state")
    if state is not None and not _is_base64(state):
        raise bad("90017", "Invalid client state", "client_state must be a base64 string.", "client_state")
    if fields.get("webhook_url") and not is_web_url(str(fields["webhook_url"])):
        raise bad("10015", "Bad Request", "webhook_url is not a URL.", "webhook_url")
    mode = str(fields.get("answering_machine_detection") or "disabled")
    return Order(
        provider=Provider.TELNYX,
        to=to,
        from_=from_,
        ring_timeout_s=_seconds(fields, "timeout_secs", 30, 5, 600, "90028"),
        time_limit_s=_seconds(fields, "time_limit_secs", 14400, 30, 14400, "90029"),
        script=stream_of(fields),
        detection=None if mode == "disabled" else Detection(mode=mode, to_the_beep=mode != "detect"),
        ids=new_ids(credentials.TELNYX_CONNECTION_ID, "call_control"),
        options=dict(fields),
    )


def new_ids(connection: str, product: str) -> dict[str, str]:
    """Return the further ids of a new leg."""
    return {
        "call_leg_id": str(uuid.uuid4()),
        "call_session_id": str(uuid.uuid4()),
        "connection_id": connection,
        "product": product,
    }


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return False
    return True


def call_view(leg: Leg) -> dict[str, Any]:
    """Return the call as `GET /calls/{id}` shows it. A dial that has not begun to ring is not alive."""
    ended = leg.ended_at
    view: dict[str, Any] = {
        "record_type": "call",
        "call_control_id": leg.id,
        "call_leg_id": leg.ids["call_leg_id"],
        "call_session_id": leg.ids["call_session_id"],
        "is_alive": ended is None and (leg.ringing_at or leg.answered_at) is not None,
    }
    if leg.options.get("client_state"):
        view["client_state"] = leg.options["client_state"]
    if leg.ringing_at:
        view["start_time"] = iso(leg.ringing_at)
    if ended:
        view["end_time"] = iso(ended)
    if leg.answered_at and ended:
        view["call_duration"] = math.ceil((ended - leg.answered_at).total_seconds())
    return view


class CallControl:
    """The handlers, and the commands they have seen."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world
        self.commands = Commands(exchange)
        self._commands: dict[str, tuple[float, Leg]] = {}
        self.world.on_reset.append(self._commands.clear)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/v2/calls", self.dial),
            web.get("/v2/calls/{id}", self.look),
            web.post("/v2/calls/{id}/actions/{action}", self.act),
        ]

    async def dial(self, request: web.Request) -> web.Response:
        """Place a call: `POST /v2/calls`."""
        authorise(request)
        fields = await json_object(request)
        if fields is None:
            raise telnyx_error(400, "10015", "Bad Request", "The request body is not a JSON object.")
        order = dial_order(fields)
        command = fields.get("command_id")
        now = time.monotonic()
        seen = self._commands.get(str(command)) if command else None
        if seen and now - seen[0] < COMMAND_S:
            return web.json_response({"data": call_view(seen[1]) | {"is_alive": False}})
        if self.exchange.refuses_now(Provider.TELNYX, order.to):
            raise common_error("telnyx", 429)
        leg = self.exchange.place(order)
        if command:
            self._commands[str(command)] = (now, leg)
        if self.exchange.loses_reply(leg):
            raise LostReply
        return web.json_response({"data": call_view(leg)})

    def leg(self, request: web.Request) -> Leg:
        """Return the leg that the path names.

        Raises:
            Refusal: 422 with 90015 for what is no id, 404 for one that is not known (any more).
        """
        name = request.match_info["id"]
        if not _CONTROL_ID.fullmatch(name):
            raise telnyx_error(422, "90015", "Invalid Call Control ID", "The call_control_id is not valid.")
        leg = self.world.legs.get(name)
        if leg is None or leg.provider is not Provider.TELNYX:
            raise common_error("telnyx", 404)
        if leg.ended_at and (self.world.pace.now() - leg.ended_at).total_seconds() > KEPT_S:
            raise common_error("telnyx", 404)
        return leg

    async def look(self, request: web.Request) -> web.Response:
        """Answer `GET /v2/calls/{id}`."""
        authorise(request)
        return web.json_response({"data": call_view(self.leg(request))})

    async def act(self, request: web.Request) -> web.Response:
        """Do a command: `POST /v2/calls/{id}/actions/{hangup,answer,reject,streaming_start,speak,transfer}`."""
        authorise(request)
        action = request.match_info["action"]
        if action != "hangup" and action not in self.commands.known:
            raise common_error("telnyx", 404)
        leg = self.leg(request)
        fields = await json_object(request)
        if fields is None:
            raise telnyx_error(400, "10015", "Bad Request", "The request body is not a JSON object.")
        if leg.ended_at is not None:
            raise telnyx_error(422, "90018", "Call has already ended", "This call is no longer active.")
        command = {"occurred_at": iso(self.world.pace.now()), "command": action, "params": fields}
        remember(leg, f"call.{action}", "command", command)
        if action == "hangup":
            self.exchange.end(leg, Cause.NORMAL if leg.answered_at else Cause.CANCELED, "api")
        elif leg.direction == "outbound" and action in {"answer", "reject"}:
            raise telnyx_error(422, "90053", "Invalid call direction", "The command is for incoming calls.")
        else:
            self.commands.do(leg, action, fields)
        return web.json_response({"data": {"result": "ok"}})
