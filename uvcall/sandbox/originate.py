"""Phone legs that Ultravox places by itself, with the carrier credentials that its account has imported.

https://docs.ultravox.ai/telephony/telephony-platforms
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.orders import Order, Script
from uvcall.sandbox.rest import Refusal
from uvcall.sandbox.rest.plivo import plivo_orders
from uvcall.sandbox.rest.texml import texml_order
from uvcall.sandbox.rest.twilio import twilio_order
from uvcall.sandbox.world import Leg, PlacementRefused


class Originator:
    """The phone network as Ultravox reaches it: `world.Phones`."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def originate(
        self, provider: Provider, *, to: str, from_: str, join_url: str, parameters: Mapping[str, Any]
    ) -> Leg:
        """Place a leg: TeXML at Telnyx, inline TwiML at Twilio, an internal answer document at Plivo.

        `parameters` (`additionalParams`) are the carrier's create parameters by their REST names; at Telnyx and Twilio
        a small first letter is taken too, as Ultravox's examples write them.

        Raises:
            PlacementRefused: The carrier would answer with an error; nothing was placed.
        """
        try:
            order = _order(provider, to, from_, join_url, parameters)
        except Refusal as refusal:
            raise PlacementRefused(f"{provider.value}: {refusal.status}: {refusal.words}") from refusal
        if self.exchange.refuses_now(provider, order.to):
            raise PlacementRefused(f"{provider.value}: 429: too many requests")
        return self.exchange.place(order)


def _order(provider: Provider, to: str, from_: str, join_url: str, parameters: Mapping[str, Any]) -> Order:
    if provider is Provider.PLIVO:
        document = (
            '<Response><Stream keepCallAlive="true" contentType="audio/x-l16;rate=16000" bidirectional="true">'
            f"{escape(join_url)}</Stream></Response>"
        )
        fields = {**parameters, "to": to, "from": from_}
        return plivo_orders(fields, Script(document=document))[0]
    capital = {name[:1].upper() + name[1:]: value for name, value in parameters.items()}
    ends = {"To": to, "From": from_}
    if provider is Provider.TWILIO:
        document = f"<Response><Connect><Stream url={quoteattr(join_url)}/></Connect></Response>"
        asked = capital | ends | {"Twiml": document}
        lists = {name: value if isinstance(value, list) else [value] for name, value in asked.items()}
        return twilio_order({name: [str(one) for one in values] for name, values in lists.items()})
    stream = (
        f'<Stream url={quoteattr(join_url)} bidirectionalMode="rtp" codec="L16" bidirectionalCodec="L16" '
        'bidirectionalSamplingRate="16000"/>'
    )
    own = {
        "ApplicationSid": credentials.TELNYX_APPLICATION_SID,
        "Texml": f"<Response><Connect>{stream}</Connect></Response>",
    }
    return texml_order(capital | ends | own)
