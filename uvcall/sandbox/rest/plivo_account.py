"""The rest of a Plivo account as its SDK sees it: the account, its numbers and applications.

https://www.plivo.com/docs/account/api/account · https://www.plivo.com/docs/numbers/api/account-phone-number ·
https://www.plivo.com/docs/account/api/application
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.rest import common_error
from uvcall.sandbox.rest.plivo import ROOT, authorise

_URI = f"/v1/Account/{credentials.PLIVO_AUTH_ID}/"


def _listing(objects: list[dict[str, Any]]) -> web.Response:
    meta = {"limit": 20, "offset": 0, "total_count": len(objects), "next": None, "previous": None}
    return web.json_response({"api_id": str(uuid.uuid4()), "meta": meta, "objects": objects})


def _number(number: str) -> dict[str, Any]:
    digits = number.removeprefix("+")
    return {
        "active": True,
        "added_on": "2025-01-01",
        "alias": "uvcall sandbox",
        "application": f"{_URI}Application/30000000000000001/",
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


_APPLICATION: dict[str, Any] = {
    "app_id": "30000000000000001",
    "app_name": "uvcall sandbox",
    "answer_method": "POST",
    "answer_url": "",
    "default_app": True,
    "default_endpoint_app": False,
    "enabled": True,
    "fallback_answer_url": "",
    "fallback_method": "POST",
    "hangup_method": "POST",
    "hangup_url": "",
    "log_incoming_messages": True,
    "message_method": "POST",
    "message_url": "",
    "public_uri": False,
    "resource_uri": f"{_URI}Application/30000000000000001/",
    "sip_uri": "sip:30000000000000001@app.example.com",
    "sub_account": None,
}


class Account:
    """The handlers. Nothing of the account can be changed."""

    def __init__(self, exchange: Exchange) -> None:
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{ROOT}/", self.account),
            web.get(f"{ROOT}/Number/", self.numbers),
            web.get(f"{ROOT}/Number/{{number}}/", self.number),
            web.get(f"{ROOT}/Application/", self.applications),
            web.get(f"{ROOT}/Application/{{id}}/", self.application),
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

    async def numbers(self, request: web.Request) -> web.Response:
        """List the numbers."""
        authorise(request)
        return _listing([_number(number) for number in credentials.OWNED_NUMBERS])

    async def number(self, request: web.Request) -> web.Response:
        """Show a number."""
        authorise(request)
        wanted = f"+{request.match_info['number'].removeprefix('+')}"
        if wanted not in credentials.OWNED_NUMBERS:
            raise common_error("plivo", 404)
        return web.json_response({"api_id": str(uuid.uuid4()), **_number(wanted)})

    async def applications(self, request: web.Request) -> web.Response:
        """List the applications."""
        authorise(request)
        return _listing([_APPLICATION])

    async def application(self, request: web.Request) -> web.Response:
        """Show an application."""
        authorise(request)
        if request.match_info["id"] != _APPLICATION["app_id"]:
            raise common_error("plivo", 404)
        return web.json_response({"api_id": str(uuid.uuid4()), **_APPLICATION})
