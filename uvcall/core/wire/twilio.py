"""Twilio's wire formats: TwiML here; webhooks and Media Streams in the two modules beside it.

Media Streams carry mu-law at 8 kHz and nothing else. https://www.twilio.com/docs/voice/media-streams
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.wire import later, twiml
from uvcall.core.wire.attributes import HTTP_URL, LABEL, METHOD, StreamAttributes, Values, printable
from uvcall.errors import ContractBroken, UsageError

if TYPE_CHECKING:
    from uvcall.core.wire.twilio_media import decode, encode
    from uvcall.core.wire.twilio_webhook import parse_webhook, sign, verify

__all__ = ["answer_xml", "decode", "encode", "fallback_xml", "parse_webhook", "reject_xml", "sign", "verify"]

_ELSEWHERE: Final = MappingProxyType(
    {
        "decode": "twilio_media",
        "encode": "twilio_media",
        "parse_webhook": "twilio_webhook",
        "sign": "twilio_webhook",
        "verify": "twilio_webhook",
    }
)

#: Longest TwiML that Twilio takes inline; error 32018. https://www.twilio.com/docs/voice/api/call-resource
LONGEST_TWIML: Final = 4000

# https://www.twilio.com/docs/voice/twiml/stream
_STREAM: Final = StreamAttributes(
    "Twilio",
    free=MappingProxyType(
        {
            "name": LABEL,
            # A two-way stream that asks for another track is refused with error 31941.
            "track": Values(re.compile("inbound_track"), "two-way streams have inbound_track only"),
            "statusCallback": HTTP_URL,
            "statusCallbackMethod": METHOD,
        }
    ),
    fixed=MappingProxyType(
        {
            "url": "it is the join URL",
            "connectorName": "it names a stream connector in place of the join URL",
            "audioFormat": "Ultravox and Twilio speak mu-law at 8 kHz; there is nothing to choose",
            "sampleRate": "Ultravox and Twilio speak mu-law at 8 kHz; there is nothing to choose",
        }
    ),
)


def answer_xml(join_url: JoinUrl, stream: StreamOptions, *, attributes: dict[str, str] | None = None) -> str:
    """Return the TwiML that connects the call to the agent.

    https://docs.ultravox.ai/telephony/telephony-platforms and https://www.twilio.com/docs/voice/twiml/stream

    Raises:
        ContractBroken: The join URL has a query string, which Twilio strips.
        UsageError: Something that Twilio's two-way streams do not have, or more than 4,000 characters in all.
    """
    url = join_url.reveal()
    if "?" in url:
        raise ContractBroken(
            "the join URL has a query string, and Twilio strips those",
            hint="nobody was called; use another carrier for this call",
            peer="ultravox",
        )
    recipe = {"url": url}
    if stream.codec not in {None, "PCMU"}:
        raise _cannot("codec", stream.codec, "Twilio streams mu-law at 8 kHz; there is nothing to choose")
    if stream.target_legs is not None:
        raise _cannot("target_legs", stream.target_legs, "only Telnyx has target legs")
    if stream.track is not None:
        recipe["track"] = _STREAM.value("track", stream.track)
    text = twiml.connect(_STREAM.merge(recipe, attributes))
    if len(text) > LONGEST_TWIML:
        raise UsageError(
            f"the TwiML has {len(text):,} characters", hint=f"Twilio takes {LONGEST_TWIML:,}; shorten the attributes"
        )
    return text


def fallback_xml(*, say: str, forward_to: str | None = None, language: str = "en-US") -> str:
    """Return the TwiML for when no agent can be had. Raises as `twiml.fallback`."""
    return twiml.fallback(say=say, forward_to=forward_to, language=language)


def reject_xml(*, busy: bool) -> str:
    """Return the TwiML that turns a caller away unanswered and unbilled."""
    return twiml.reject(busy=busy)


def _cannot(option: str, value: str | None, hint: str) -> UsageError:
    return UsageError(f"Twilio's two-way <Stream> cannot take {option}={printable(value or '')}", hint=hint)


def __getattr__(name: str) -> Any:
    """Import the halves for webhooks and media when first asked for: rendering a document needs neither."""
    return later(globals(), _ELSEWHERE, name)
