"""Telnyx's wire formats: TeXML here; webhooks and media streaming in the two modules beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.wire import later, twiml
from uvcall.core.wire.attributes import HTTP_URL, LABEL, METHOD, TRUTH, StreamAttributes, Values, printable
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.core.wire.telnyx_media import decode, encode
    from uvcall.core.wire.telnyx_webhook import parse_webhook, public_key, sign, verify

__all__ = [
    "answer_xml",
    "decode",
    "encode",
    "fallback_xml",
    "parse_webhook",
    "public_key",
    "reject_xml",
    "sign",
    "verify",
]

_ELSEWHERE: Final = MappingProxyType(
    {
        "decode": "telnyx_media",
        "encode": "telnyx_media",
        "parse_webhook": "telnyx_webhook",
        "public_key": "telnyx_webhook",
        "sign": "telnyx_webhook",
        "verify": "telnyx_webhook",
    }
)

#: Codec → sampling rate. L16 is the wide-band one that Ultravox recommends.
CODECS: Final[Mapping[str, str]] = MappingProxyType({"L16": "16000", "PCMU": "8000", "PCMA": "8000"})

_CODEC_HINT: Final = "set telnyx.codec: the codecs of both directions must be equal, and the rate is theirs"
# https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream
_STREAM: Final = StreamAttributes(
    "Telnyx",
    free=MappingProxyType(
        {
            "track": Values(
                re.compile("inbound_track|outbound_track|both_tracks"),
                "it takes inbound_track, outbound_track or both_tracks",
            ),
            "name": LABEL,
            "statusCallback": HTTP_URL,
            "statusCallbackMethod": METHOD,
            "enableReconnect": TRUTH,
        }
    ),
    fixed=MappingProxyType(
        {
            "url": "it is the join URL",
            "bidirectionalMode": "any other mode than rtp makes the agent silent",
            "codec": _CODEC_HINT,
            "bidirectionalCodec": _CODEC_HINT,
            "bidirectionalSamplingRate": _CODEC_HINT,
        }
    ),
)


def answer_xml(join_url: JoinUrl, stream: StreamOptions, *, attributes: dict[str, str] | None = None) -> str:
    """Return the TeXML that connects the call to the agent.

    `bidirectionalMode` is rtp, without which the agent is never heard, and both codecs are equal, because Telnyx tells
    Ultravox only one of them. https://docs.ultravox.ai/telephony/telephony-platforms

    Raises:
        UsageError: Something that TeXML's stream does not have.
    """
    codec = stream.codec or "L16"
    if codec not in CODECS:
        raise _cannot("codec", codec, f"Ultravox and Telnyx share {', '.join(CODECS)}")
    # TeXML has no attribute for it; `opposite` is what Telnyx does anyway.
    if stream.target_legs not in {None, "opposite"}:
        raise _cannot("target_legs", stream.target_legs or "", "TeXML plays to the opposite leg only")
    recipe = {
        "url": join_url.reveal(),
        "bidirectionalMode": "rtp",
        "codec": codec,
        "bidirectionalCodec": codec,
        "bidirectionalSamplingRate": CODECS[codec],
    }
    if stream.track is not None:
        recipe["track"] = _STREAM.value("track", stream.track)
    return twiml.connect(_STREAM.merge(recipe, attributes))


def fallback_xml(*, say: str, forward_to: str | None = None, language: str = "en-US") -> str:
    """Return the TeXML for when no agent can be had. Raises as `twiml.fallback`."""
    return twiml.fallback(say=say, forward_to=forward_to, language=language)


def reject_xml(*, busy: bool) -> str:
    """Return the TeXML that turns a caller away."""
    return twiml.reject(busy=busy)


def _cannot(option: str, value: str, hint: str) -> UsageError:
    return UsageError(f"Telnyx's two-way <Stream> cannot take {option}={printable(value)}", hint=hint)


def __getattr__(name: str) -> Any:
    """Import the halves for webhooks and media when first asked for: rendering a document needs neither."""
    return later(globals(), _ELSEWHERE, name)
