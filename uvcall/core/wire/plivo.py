"""Plivo's wire formats: Plivo XML here; callbacks and audio streaming in the two modules beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.wire import later, speech
from uvcall.core.wire.attributes import HTTP_URL, METHOD, TRUTH, StreamAttributes, Values, printable
from uvcall.core.wire.xml import document, element
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.core.wire.plivo_media import decode, encode
    from uvcall.core.wire.plivo_webhook import parse_webhook, sign, verify

__all__ = ["answer_xml", "decode", "encode", "fallback_xml", "parse_webhook", "reject_xml", "sign", "verify"]

_ELSEWHERE: Final = MappingProxyType(
    {
        "decode": "plivo_media",
        "encode": "plivo_media",
        "parse_webhook": "plivo_webhook",
        "sign": "plivo_webhook",
        "verify": "plivo_webhook",
    }
)

#: Codec → `contentType`. https://docs.plivo.com/docs/voice/xml/audiostream
CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"L16": "audio/x-l16;rate=16000", "PCMU": "audio/x-mulaw;rate=8000"}
)

# https://docs.plivo.com/docs/voice/xml/audiostream
_STREAM: Final = StreamAttributes(
    "Plivo",
    free=MappingProxyType(
        {
            # A two-way stream must not ask for outbound or both.
            "audioTrack": Values(re.compile("inbound"), "two-way streams have the inbound track only"),
            "streamTimeout": Values(re.compile("[1-9][0-9]{0,5}"), "it takes whole seconds"),
            "statusCallbackUrl": HTTP_URL,
            "statusCallbackMethod": METHOD,
            "extraHeaders": Values(
                re.compile(r"(?=.{3,512}\Z)[A-Za-z0-9_-]+=[A-Za-z0-9]+(?:[,;][A-Za-z0-9_-]+=[A-Za-z0-9]+)*"),
                "it takes k=v,k2=v2 of letters and digits, 512 bytes in all",
            ),
            "noiseCancellation": TRUTH,
            "noiseCancellationLevel": Values(re.compile("[6-9][0-9]|100"), "it takes a whole number from 60 to 100"),
        }
    ),
    fixed=MappingProxyType(
        {
            "url": "it is the join URL, which Plivo reads from the element's text",
            "bidirectional": "without it the agent is never heard",
            "keepCallAlive": "without it the call ends at once",
            "contentType": "set plivo.codec to L16 or PCMU",
        }
    ),
)


def answer_xml(join_url: JoinUrl, stream: StreamOptions, *, attributes: dict[str, str] | None = None) -> str:
    """Return the XML that connects the call to the agent.

    The URL is the element's text. `keepCallAlive` holds back what follows until the stream is over, so the closing
    `<Hangup/>` says outright what the end of the document would do, as with the other carriers.
    https://docs.ultravox.ai/telephony/telephony-platforms and https://docs.plivo.com/docs/voice/xml/audiostream

    Raises:
        UsageError: Something that Plivo's two-way streams do not have.
    """
    codec = stream.codec or "L16"
    if codec not in CONTENT_TYPES:
        raise _cannot("codec", codec, f"Ultravox and Plivo share {' and '.join(CONTENT_TYPES)}")
    if stream.target_legs is not None:
        raise _cannot("target_legs", stream.target_legs, "only Telnyx has target legs")
    recipe = {"keepCallAlive": "true", "contentType": CONTENT_TYPES[codec], "bidirectional": "true"}
    if stream.track is not None:
        recipe["audioTrack"] = _track(stream.track)
    merged = _STREAM.merge(recipe, attributes)
    return document(element("Stream", merged, text=join_url.reveal()) + "<Hangup/>")


def fallback_xml(*, say: str, forward_to: str | None = None, language: str = "en-US") -> str:
    """Return the XML for when no agent can be had: forward to a human, else say sorry and hang up.

    Nothing is said after `<Dial>`: what follows it runs also when the human has talked and hung up.
    https://docs.plivo.com/docs/voice/xml/dial and https://docs.plivo.com/docs/voice/xml/speak

    Raises:
        UsageError: The number or the language is not one, or the text cannot stand in XML.
    """
    if forward_to is not None:
        number = element("Number", text=speech.forwarded(forward_to))
        return document(element("Dial", speech.DIAL, children=number) + "<Hangup/>")
    words = speech.sentence(say)
    said = element("Speak", {"language": speech.spoken(language)}, text=words) if words else ""
    return document(f"{said}<Hangup/>")


def reject_xml(*, busy: bool) -> str:
    """Return the XML that turns a caller away unanswered.

    As the first element, `<Hangup>` with a reason refuses the call. https://docs.plivo.com/docs/voice/xml/hangup
    """
    return document(element("Hangup", {"reason": "busy" if busy else "rejected"}))


def _track(value: str) -> str:
    """Return Plivo's word for the track; Telnyx's and Twilio's word for the same one is understood."""
    if value in {"inbound", "inbound_track"}:
        return "inbound"
    raise _cannot("track", value, "two-way streams have the inbound track only")


def _cannot(option: str, value: str, hint: str) -> UsageError:
    return UsageError(f"Plivo's two-way <Stream> cannot take {option}={printable(value)}", hint=hint)


def __getattr__(name: str) -> Any:
    """Import the halves for webhooks and media when first asked for: rendering a document needs neither."""
    return later(globals(), _ELSEWHERE, name)
