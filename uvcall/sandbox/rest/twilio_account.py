"""The rest of a Twilio account as its SDK sees it: the account, and Voice Insights' summary.

https://www.twilio.com/docs/iam/api/account ·
https://www.twilio.com/docs/voice/voice-insights/api/call/call-summary-resource
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.notices.twilio import answered_by, seconds, sip_response, status
from uvcall.sandbox.rest import common_error, iso, rfc2822
from uvcall.sandbox.rest.twilio import ROOT, authorise, not_found
from uvcall.sandbox.world import Leg

#: Voice Insights has its own words for a call's end.
_STATES: Final = {"no-answer": "noanswer", "failed": "fail", "in-progress": "answered", "queued": "undialed"}


class Account:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.world = exchange.world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/2010-04-01/Accounts/{account:AC[0-9a-f]+}.json", self.account),
            web.get("/v1/Voice/{sid}/Summary", self.summary),
        ]

    def _moment(self) -> str | None:
        return rfc2822(self.world.pace.now())

    async def account(self, request: web.Request) -> web.Response:
        """Show the account. The token is masked, unlike Twilio's."""
        authorise(request)
        parts = ("calls", "incoming_phone_numbers", "recordings", "conferences")
        return web.json_response(
            {
                "sid": credentials.TWILIO_ACCOUNT_SID,
                "friendly_name": "uvcall sandbox",
                "auth_token": None,
                "date_created": self._moment(),
                "date_updated": self._moment(),
                "owner_account_sid": credentials.TWILIO_ACCOUNT_SID,
                "status": "active",
                "type": "Full",
                "subresource_uris": {part: f"{ROOT}/{part.title().replace('_', '')}.json" for part in parts},
                "uri": f"{ROOT}.json",
            }
        )

    async def summary(self, request: web.Request) -> web.Response:
        """Show Voice Insights' summary of a call: the only place where Twilio tells 603 from 486 without a callback."""
        authorise(request)
        leg = self.world.legs.get(request.match_info["sid"])
        if leg is None or leg.provider is not Provider.TWILIO:
            raise not_found(request)
        if leg.ended_at is None:
            raise common_error("twilio", 404)
        word = status(leg)
        return web.json_response(
            {
                "call_sid": leg.id,
                "account_sid": credentials.TWILIO_ACCOUNT_SID,
                "call_type": "carrier",
                "call_state": _STATES.get(word, word),
                "answered_by": answered_by(leg),
                "processing_state": "partial",
                "created_time": _second(leg, "created_at"),
                "start_time": _second(leg, "created_at"),
                "end_time": _second(leg, "ended_at"),
                "duration": round((leg.ended_at - leg.created_at).total_seconds()),
                "connect_duration": seconds(leg),
                "from": {"caller": leg.from_, "callee": leg.to, "connection": "pstn", "country_code": "US"},
                "to": {"caller": leg.from_, "callee": leg.to, "connection": "pstn", "country_code": "US"},
                "carrier_edge": None,
                "client_edge": None,
                "sdk_edge": None,
                "sip_edge": None,
                "tags": [],
                "url": f"{self.world.base_url}{request.path}",
                "attributes": {"conference_participant": False},
                "properties": {
                    "direction": "outbound_api",
                    "disconnected_by": leg.end_source if leg.end_source in {"caller", "callee"} else "twilio",
                    "last_sip_response_num": sip_response(leg),
                    "pdd_ms": 100,
                    "queue_time": 0,
                },
                "trust": None,
                "annotation": None,
            }
        )


def _second(leg: Leg, name: str) -> str | None:
    text = iso(getattr(leg, name))
    return text and f"{text[:19]}Z"
