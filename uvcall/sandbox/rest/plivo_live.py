"""What Plivo's API changes of a call that is live.

https://docs.plivo.com/docs/voice/api/call/transfer-a-call
"""

from __future__ import annotations

import uuid

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.orders import Script
from uvcall.sandbox.rest import common_error, is_web_url, json_object, plivo_error
from uvcall.sandbox.rest.plivo import ROOT, authorise, state_of


class Live:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.post(f"{ROOT}/Call/{{uuid}}/", self.transfer)]

    async def transfer(self, request: web.Request) -> web.Response:
        """Give a live call the document of another URL."""
        authorise(request)
        leg = self.world.legs.get(request.match_info["uuid"])
        if leg is None or leg.provider is not Provider.PLIVO or state_of(leg) != "live" or leg.answered_at is None:
            raise common_error("plivo", 404)
        fields = await json_object(request)
        if fields is None:
            raise plivo_error(400, "the request body is not a JSON object")
        if fields.get("legs", "aleg") != "aleg":
            raise plivo_error(400, "legs parameter: the sandbox transfers the aleg only")
        url, method = str(fields.get("aleg_url") or ""), str(fields.get("aleg_method") or "POST").upper()
        if not is_web_url(url):
            raise plivo_error(400, "aleg_url parameter is not a valid URL")
        if method not in {"GET", "POST"}:
            raise plivo_error(400, "aleg_method parameter must be GET or POST")
        self.exchange.redirect(leg, Script(url=url, method=method))
        body = {"api_id": str(uuid.uuid4()), "call_uuids": [leg.id], "message": "call transferred"}
        return web.json_response(body, status=202)
