"""The carriers' answer documents: TwiML, TeXML and Plivo XML, read as strictly as the carrier reads them.

https://www.twilio.com/docs/voice/twiml · https://developers.telnyx.com/docs/voice/programmable-voice/texml-translator ·
https://www.plivo.com/docs/voice/xml/overview
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from xml.etree import ElementTree as ET

from uvcall.core.carrier import Provider
from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.sandbox.answers import (
    Answer,
    Dial,
    DocumentRefused,
    HangUp,
    Pause,
    Redirect,
    Step,
    Stream,
    choice,
    flag,
    number,
    text,
)
from uvcall.sandbox.world import StreamSpec

MAX_BYTES: Final = 100_000  #: https://www.plivo.com/docs/voice/xml/request names 100 KB


@dataclass(frozen=True, slots=True)
class _Dialect:
    """A carrier's document language: its codes and its verbs. A verb without a reader is passed over."""

    broken: str  #: the code for a document that is not XML, or not the carrier's
    invalid: str  #: the code for a value that the carrier refuses
    readers: Mapping[str, Callable[[ET.Element, str], Step]]
    passed_over: frozenset[str]


def read(provider: Provider, source: str) -> Answer:
    """Read a document.

    Raises:
        DocumentRefused: The carrier would end the call over it.
    """
    dialect = _DIALECTS[provider]
    if len(source.encode()) > MAX_BYTES:
        raise DocumentRefused(dialect.broken, "the document is larger than 100 KB")
    if "<!DOCTYPE" in source or "<!ENTITY" in source:
        raise DocumentRefused(dialect.broken, "the document has a document type")
    try:
        root = ET.fromstring(source.strip())  # noqa: S314  # entities are refused above
    except ET.ParseError as error:
        raise DocumentRefused(dialect.broken, f"the document is not well-formed: {error}") from error
    if root.tag != "Response":
        raise DocumentRefused(dialect.broken, "the document's root is not <Response>")
    steps: list[Step] = []
    warnings: list[str] = []
    for element in root:
        if element.tag in dialect.passed_over:
            warnings.append(f"<{element.tag}> is passed over")
            continue
        reader = dialect.readers.get(element.tag)
        if reader is None:
            raise DocumentRefused(dialect.invalid, f"there is no verb <{element.tag}>")
        steps.append(reader(element, dialect.invalid))
    return Answer(tuple(steps), tuple(element.tag for element in root), tuple(warnings))


def stream_url_problem(url: str) -> str:
    """Say why a carrier of the sandbox would not open this stream, or return nothing.

    Real carriers take `wss` only. Here `ws` to loopback is taken too, since that is where the sandbox's agent is.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "the stream URL cannot be parsed"
    if parts.scheme not in {"ws", "wss"} or not host:
        return "the stream URL is not an absolute wss URL"
    if parts.scheme == "ws" and host not in LOOPBACK_HOSTS:
        return "the stream URL is not wss"
    return ""


def _stream_url(url: str, code: str) -> str:
    problem = stream_url_problem(url)
    if problem:
        raise DocumentRefused(code, problem)
    return url


def _parameters(element: ET.Element, code: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in element:
        if child.tag != "Parameter":
            raise DocumentRefused(code, f"<{child.tag}> does not belong into <Stream>")
        found[child.get("name", "")] = child.get("value", "")
    return found


def _nested_stream(element: ET.Element, code: str) -> ET.Element:
    children = list(element)
    if len(children) != 1 or children[0].tag != "Stream":
        raise DocumentRefused(code, f"<{element.tag}> must hold one <Stream>; nothing else of it is known here")
    return children[0]


_TRACKS: Final = {
    "inbound_track": ("inbound",),
    "outbound_track": ("outbound",),
    "both_tracks": ("inbound", "outbound"),
}


def _twilio_stream(element: ET.Element, code: str) -> Stream:
    both_ways = element.tag == "Connect"
    stream = _nested_stream(element, code)
    track = choice(stream, "track", tuple(_TRACKS), "inbound_track", "31941")
    if both_ways and track != "inbound_track":
        # https://www.twilio.com/docs/api/errors/31941: a two-way stream hears the inbound track only.
        raise DocumentRefused("31941", f"a two-way stream cannot have the track {track}")
    # https://www.twilio.com/docs/voice/twiml/stream: the url does not support query strings.
    url = urlunsplit(urlsplit(_stream_url(stream.get("url", ""), "11100"))._replace(query=""))
    spec = StreamSpec(
        url=url,
        encoding="PCMU",
        sample_rate=8000,
        tracks=_TRACKS[track],
        bidirectional=both_ways,
        parameters=_parameters(stream, code),
    )
    return Stream(
        spec,
        holds=both_ways,
        name=stream.get("name", ""),
        status_url=stream.get("statusCallback", ""),
        status_method=choice(stream, "statusCallbackMethod", ("GET", "POST"), "POST", code),
    )


#: Telnyx's codecs that the sandbox can speak, with the rate at which Telnyx streams each.
TELNYX_RATES: Final = {"default": ("PCMU", 8000), "PCMU": ("PCMU", 8000), "PCMA": ("PCMA", 8000), "L16": ("L16", 16000)}


def telnyx_stream(
    url: str, *, track: str, codec: str, mode: str, back_codec: str, back_rate: int, parameters: Mapping[str, str]
) -> StreamSpec:
    """Return the stream that these Telnyx parameters ask for, by Call Control or TeXML.

    The agent is told one codec, the person's. What it sends back is played only in mode `rtp`, and is understood in
    the codec of the way back: where the two differ, the person hears noise or the wrong speed.
    https://docs.ultravox.ai/telephony/telephony-platforms
    """
    encoding, rate = TELNYX_RATES[codec]
    return StreamSpec(
        url=url,
        encoding=encoding,
        sample_rate=rate,
        tracks=_TRACKS[track],
        bidirectional=mode == "rtp",
        parameters=parameters,
        agent_encoding=TELNYX_RATES[back_codec][0],
        agent_sample_rate=back_rate if back_codec == "L16" else 8000,
    )


def _texml_stream(element: ET.Element, code: str) -> Stream:
    stream = _nested_stream(element, code)
    codecs = tuple(TELNYX_RATES)
    spec = telnyx_stream(
        _stream_url(stream.get("url", ""), code),
        track=choice(stream, "track", tuple(_TRACKS), "inbound_track", code),
        codec=choice(stream, "codec", codecs, "default", code),
        mode=choice(stream, "bidirectionalMode", ("mp3", "rtp"), "mp3", code),
        back_codec=choice(stream, "bidirectionalCodec", codecs[1:], "PCMU", code),
        back_rate=int(choice(stream, "bidirectionalSamplingRate", ("8000", "16000", "24000"), "8000", code)),
        parameters=_parameters(stream, code),
    )
    return Stream(
        spec,
        holds=element.tag == "Connect",
        name=stream.get("name", ""),
        status_url=stream.get("statusCallback", ""),
        status_method=choice(stream, "statusCallbackMethod", ("GET", "POST"), "POST", code),
    )


_PLIVO_TYPES: Final = {
    "audio/x-l16;rate=8000": ("L16", 8000),
    "audio/x-l16;rate=16000": ("L16", 16000),
    "audio/x-mulaw;rate=8000": ("PCMU", 8000),
}


def _plivo_stream(element: ET.Element, code: str) -> Stream:
    if list(element):
        raise DocumentRefused(code, "<Stream> holds the URL as text and no elements")
    both_ways = flag(element, "bidirectional", code)
    track = choice(element, "audioTrack", ("inbound", "outbound", "both"), "inbound", code)
    if both_ways and track != "inbound":
        raise DocumentRefused(code, f"a bidirectional stream cannot have the audioTrack {track}")
    kind = choice(element, "contentType", tuple(_PLIVO_TYPES), "audio/x-l16;rate=8000", code)
    number(element, "streamTimeout", 86400, 1, 86400, code)
    encoding, rate = _PLIVO_TYPES[kind]
    pairs = [p.partition("=") for p in element.get("extraHeaders", "").replace(";", ",").split(",") if p.strip()]
    spec = StreamSpec(
        url=_stream_url(text(element), code),
        encoding=encoding,
        sample_rate=rate,
        tracks=("inbound", "outbound") if track == "both" else (track,),
        bidirectional=both_ways,
        parameters={name.strip(): value.strip() for name, _, value in pairs},
    )
    return Stream(
        spec,
        holds=flag(element, "keepCallAlive", code),
        status_url=element.get("statusCallbackUrl", ""),
        status_method=choice(element, "statusCallbackMethod", ("GET", "POST"), "POST", code),
    )


def _say(element: ET.Element, code: str) -> Pause:
    words = text(element)
    if not words:
        raise DocumentRefused(code, f"<{element.tag}> has nothing to say")
    return Pause(len(words) / 15, element.tag)  # fifteen characters a second is a usual speaking rate


def _play(element: ET.Element, code: str) -> Pause:
    if not text(element):
        raise DocumentRefused(code, "<Play> has no URL")
    return Pause(1.0, "Play")


def _pause(element: ET.Element, code: str) -> Pause:
    return Pause(number(element, "length", 1, 1, 600, code), element.tag)


def _dial(element: ET.Element, code: str) -> Dial:
    children = [child for child in element if child.tag == "Number"]
    if len(children) != len(list(element)) or len(children) > 1:
        raise DocumentRefused(code, "<Dial> must hold one number; nothing else of it is known here")
    target = text(children[0]) if children else text(element)
    if not target:
        raise DocumentRefused(code, "<Dial> has no number")
    return Dial(target, element.get("callerId", ""), number(element, "timeout", 30, 1, 600, code))


def _redirect(element: ET.Element, code: str) -> Redirect:
    url = text(element)
    if not url:
        raise DocumentRefused(code, "<Redirect> has no URL")
    return Redirect(url, choice(element, "method", ("GET", "POST"), "POST", code))


def _hangup(element: ET.Element, code: str) -> HangUp:
    return HangUp(choice(element, "reason", ("", "busy", "rejected"), "", code))


def _reject(element: ET.Element, code: str) -> HangUp:
    return HangUp(choice(element, "reason", ("rejected", "busy"), "rejected", code))


_LAML: Final[Mapping[str, Callable[[ET.Element, str], Step]]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Dial": _dial,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
}
_LAML_OTHERS: Final = frozenset({"Gather", "Record", "Enqueue", "Leave", "Refer", "Stop"})

#: Codes: https://www.twilio.com/docs/api/errors (12100, 12200) and https://www.plivo.com/docs/voice/troubleshooting/hangup-causes
#: (8011). Telnyx documents none for TeXML.
_DIALECTS: Final = {
    Provider.TWILIO: _Dialect(
        "12100",
        "12200",
        {**_LAML, "Connect": _twilio_stream, "Start": _twilio_stream},
        _LAML_OTHERS | {"Sms", "Pay", "Prompt"},
    ),
    Provider.TELNYX: _Dialect(
        "texml",
        "texml",
        {**_LAML, "Connect": _texml_stream, "Start": _texml_stream},
        _LAML_OTHERS | {"Suppression", "Siprec", "Transcription"},
    ),
    Provider.PLIVO: _Dialect(
        "8011",
        "8011",
        {
            "Speak": _say,
            "Play": _play,
            "Wait": _pause,
            "Dial": _dial,
            "Redirect": _redirect,
            "Hangup": _hangup,
            "Stream": _plivo_stream,
        },
        frozenset({"GetDigits", "GetInput", "Record", "Conference", "MultiPartyCall", "Message", "DTMF", "PreAnswer"}),
    ),
}
