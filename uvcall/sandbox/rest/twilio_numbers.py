"""Twilio's numbers as its SDK sees them: each holds the addresses that are asked about its calls.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.lines import UNUSED, Webhook
from uvcall.sandbox.rest import form, is_web_url, rfc2822, twilio_error
from uvcall.sandbox.rest.twilio import ROOT, authorise, not_found, number_sid
from uvcall.sandbox.world import World

_PATH: Final = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers"
#: What an update may change, by its parameter. https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
_URLS: Final = {
    "VoiceUrl": "voice_url",
    "VoiceFallbackUrl": "voice_fallback_url",
    "StatusCallback": "status_callback",
    "SmsUrl": "sms_url",
    "SmsFallbackUrl": "sms_fallback_url",
}
_METHODS: Final = {
    "VoiceMethod": "voice_method",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallbackMethod": "status_callback_method",
    "SmsMethod": "sms_method",
    "SmsFallbackMethod": "sms_fallback_method",
}
_SIDS: Final = {
    "VoiceApplicationSid": ("voice_application_sid", "AP"),
    "TrunkSid": ("trunk_sid", "TK"),
    "SmsApplicationSid": ("sms_application_sid", "AP"),
}
#: "Setting a `voice_application_sid` will automatically delete your `trunk_sid` and vice versa."
_RIVALS: Final = {"voice_application_sid": "trunk_sid", "trunk_sid": "voice_application_sid"}
_NOTHING: Final = ("address_sid", "identity_sid", "emergency_address_sid", "bundle_sid")


class Book:
    """What every number has been told."""

    def __init__(self, world: World) -> None:
        self.numbers: dict[str, dict[str, Any]] = {}
        self.begin()
        world.on_reset.append(self.begin)

    def begin(self) -> None:
        """Set all as it is in a new sandbox."""
        self.numbers = {
            number: {
                **dict.fromkeys((*_URLS.values(), *(field for field, _ in _SIDS.values()))),
                **dict.fromkeys(_METHODS.values(), "POST"),
                "voice_url": UNUSED,
                "friendly_name": number,
            }
            for number in credentials.OWNED_NUMBERS
        }

    def webhook(self, number: str) -> Webhook | None:
        """Return where the calls of a number go: to its own address, unless an application or a trunk has it."""
        one = self.numbers.get(number)
        if one is None or not one["voice_url"] or one["voice_application_sid"] or one["trunk_sid"]:
            return None
        further = (one["voice_fallback_url"] or "", one["status_callback"] or "", one["voice_method"])
        return Webhook(one["voice_url"], *further)


def _changes(given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what an update changes. An empty text takes away what was there; unknown parameters are ignored.

    Raises:
        Refusal: A parameter is wrong.
    """
    one = {name: values[0] for name, values in given.items() if values}
    found: dict[str, Any] = {}
    for name, field in _URLS.items():
        if name in one:
            if one[name] and not is_web_url(one[name]):
                raise twilio_error(400, 21205, f"{name} is not a valid URL: {one[name][:80]}")
            found[field] = one[name] or None
    for name, field in _METHODS.items():
        if name in one:
            if one[name].upper() not in {"GET", "POST"}:
                raise twilio_error(400, 20422, f"Invalid Parameter {name}: it must be GET or POST.")
            found[field] = one[name].upper()
    for name, (field, prefix) in _SIDS.items():
        if name in one:
            if one[name] and not re.fullmatch(rf"{prefix}[0-9a-fA-F]{{32}}", one[name]):
                raise twilio_error(400, 20422, f"Invalid Parameter {name}: not a SID that begins with {prefix}.")
            found[field] = one[name] or None
            if one[name] and field in _RIVALS:
                found[_RIVALS[field]] = None
    if one.get("FriendlyName"):
        found["friendly_name"] = one["FriendlyName"][:64]
    return found


class Numbers:
    """The handlers."""

    def __init__(self, exchange: Exchange) -> None:
        self.world = exchange.world
        self.book = self.world.rooms[Book] = Book(self.world)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{_PATH}.json", self.listed),
            web.get(f"{_PATH}/{{sid}}.json", self.show),
            web.post(f"{_PATH}/{{sid}}.json", self.change),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """List the account's numbers; `PhoneNumber` narrows."""
        authorise(request)
        wanted = request.query.get("PhoneNumber", "")
        found = [self._shown(number) for number in self.book.numbers if wanted in number]
        uri = f"{ROOT}/IncomingPhoneNumbers.json?PageSize=50&Page=0"
        return web.json_response(
            {
                "first_page_uri": uri,
                "next_page_uri": None,
                "previous_page_uri": None,
                "uri": uri,
                "page": 0,
                "page_size": 50,
                "start": 0,
                "end": max(0, len(found) - 1),
                "incoming_phone_numbers": found,
            }
        )

    def _number(self, request: web.Request) -> str:
        authorise(request)
        found = next((one for one in self.book.numbers if number_sid(one) == request.match_info["sid"]), None)
        if found is None:
            raise not_found(request)
        return found

    async def show(self, request: web.Request) -> web.Response:
        """Show a number."""
        return web.json_response(self._shown(self._number(request)))

    async def change(self, request: web.Request) -> web.Response:
        """Change a number."""
        number = self._number(request)
        self.book.numbers[number] |= _changes(await form(request))
        return web.json_response(self._shown(number))

    def _shown(self, number: str) -> dict[str, Any]:
        sid = number_sid(number)
        moment = rfc2822(self.world.pace.now())
        return {
            **dict.fromkeys(_NOTHING),
            "sid": sid,
            "account_sid": credentials.TWILIO_ACCOUNT_SID,
            "phone_number": number,
            "address_requirements": "none",
            "api_version": "2010-04-01",
            "beta": False,
            "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
            "date_created": moment,
            "date_updated": moment,
            "origin": "twilio",
            "voice_receive_mode": "voice",
            "voice_caller_id_lookup": False,
            "emergency_status": "Inactive",
            "emergency_address_status": "unregistered",
            "status": "in-use",
            "type": "local",
            "uri": f"{ROOT}/IncomingPhoneNumbers/{sid}.json",
            **self.book.numbers[number],
        }
