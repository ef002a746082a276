"""The rest of a Plivo account as its SDK sees it: the account itself.

https://www.plivo.com/docs/account/api/account
"""

from __future__ import annotations

import uuid

from aiohttp import web

from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.rest.plivo import ROOT, authorise

_URI = f"/v1/Account/{credentials.PLIVO_AUTH_ID}/"


class Account:
    """The handlers. Nothing of the account can be changed."""

    def __init__(self, exchange: Exchange) -> None:
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{ROOT}/", self.account),
        ]

    async def account(self, request: web.Request) -> web.Response:
        """Show the account."""
        authorise(request)
        return web.json_response(
            {
                "account_type": "standard",
                "address": "",
                "api_id": str(uuid.uuid4()),
                "auth_id": credentials.PLIVO_AUTH_ID,
                "auto_recharge": False,
                "billing_mode": "prepaid",
                "cash_credits": "100.00000",
                "city": "",
                "name": "uvcall sandbox",
                "resource_uri": _URI,
                "state": "",
                "timezone": "UTC",
            }
        )
