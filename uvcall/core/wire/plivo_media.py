"""Plivo audio streaming: the messages on the socket, both directions.

Numbers stand on the wire as integers, timestamps as strings of milliseconds since the epoch. There is no greeting
before `start`, and the end is the socket's closing. Plivo documents no byte order for L16; little-endian, which is
what its public examples use, is assumed here and stays unproven.
https://plivo.com/docs/voice/audio-streaming/concepts/protocol
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from uvcall.core.wire import messages as m
from uvcall.core.wire.events import (
    Audio,
    Clear,
    Cleared,
    Digit,
    Mark,
    Media,
    SendDigits,
    Side,
    Started,
    Stopped,
    Unknown,
    WireError,
)

#: Longest message that Plivo takes, and so the longest read here.
LARGEST_MESSAGE: Final = 1 << 16

_NAMES: Final[Mapping[str, str]] = MappingProxyType({"L16": "audio/x-l16", "PCMU": "audio/x-mulaw"})
_ENCODINGS: Final[Mapping[str, str]] = MappingProxyType({name: encoding for encoding, name in _NAMES.items()})
_FORMATS: Final = frozenset({("L16", 8000), ("L16", 16000), ("PCMU", 8000)})
#: What stands before the payload of `playAudio`, by encoding and rate.
_PLAY: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {
        (encoding, rate): (
            f'{{"event":"playAudio","media":{{"contentType":"{_NAMES[encoding]}","sampleRate":{rate},"payload":"'
        )
        for encoding, rate in _FORMATS
    }
)
_PAIR: Final = re.compile(r"[^=;,]+")
_KEYS: Final = re.compile(r"[0-9*#ABCDabcdwW]{1,64}")


def encode(side: Side, event: Media) -> str:
    """Return the media message as `side` sends it. Plivo says neither `Connected` nor `Stopped`.

    Raises:
        WireError: That side cannot say this, or the message is longer than 64 KiB.
    """
    return m.write("Plivo", _WRITERS, side, event, LARGEST_MESSAGE)


def decode(side: Side, text: str) -> Media:
    """Read a media message that `side` has sent, `stop` included, which tools send though Plivo does not.

    Raises:
        WireError: Plivo's protocol does not allow it.
    """
    return m.read_common(_COMMON[side], text, LARGEST_MESSAGE) or m.read(_READERS, side, text, LARGEST_MESSAGE)


def _write_started(event: Started) -> str:
    if (event.encoding, event.sample_rate) not in _FORMATS:
        raise WireError("Plivo streams L16 at 8000 or 16000 Hz and PCMU at 8000 Hz")
    m.natural(sequence=event.sequence)
    message: dict[str, Any] = {
        "event": "start",
        "sequenceNumber": event.sequence,
        "start": {
            "callId": event.call_id,
            "streamId": event.stream_id,
            "accountId": event.account_id,
            "tracks": list(event.tracks),
            "mediaFormat": {"encoding": _NAMES[event.encoding], "sampleRate": event.sample_rate},
        },
    }
    if event.parameters:
        if not all(map(_PAIR.fullmatch, [*event.parameters, *event.parameters.values()])):
            raise WireError("extra headers cannot hold = ; or , and none may be empty")
        message["extra_headers"] = ";".join(f"{key}={value}" for key, value in event.parameters.items())
    return m.dump(message)


def _write_audio(event: Audio) -> str:
    # Fifty of these a second and call: text put together by hand takes a fraction of json.dumps' time.
    m.natural(sequence=event.sequence, chunk=event.chunk, timestamp=event.timestamp_ms)
    return (
        f'{{"event":"media","sequenceNumber":{event.sequence},"streamId":{m.quote(event.stream_id)},'
        f'"media":{{"track":{m.quote(event.track)},"timestamp":"{event.timestamp_ms}","chunk":{event.chunk},'
        f'"payload":"{m.base64(event.payload)}"}}}}'
    )


def _write_agent_audio(event: Audio) -> str:
    head = _PLAY.get((event.encoding, event.sample_rate))
    if head is None:
        raise WireError("Plivo plays L16 at 8000 or 16000 Hz and PCMU at 8000 Hz, and wants to be told which")
    if event.encoding == "L16" and len(event.payload) % 2:
        raise WireError("L16 audio has an even number of bytes")
    return f'{head}{m.base64(event.payload)}"}}}}'


def _write_digit(event: Digit) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"dtmf","sequenceNumber":{event.sequence},"streamId":{m.quote(event.stream_id)},"dtmf":'
        f'{{"track":"inbound","digit":{m.quote(m.key(event.digit))},"timestamp":{m.quote(event.timestamp)}}}}}'
    )


def _write_mark(event: Mark) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"playedStream","sequenceNumber":{event.sequence},"streamId":{m.quote(event.stream_id)},'
        f'"name":{m.quote(event.name)}}}'
    )


def _write_agent_mark(event: Mark) -> str:
    return f'{{"event":"checkpoint","streamId":{m.quote(event.stream_id)},"name":{m.quote(event.name)}}}'


def _write_clear(event: Clear) -> str:
    return f'{{"event":"clearAudio","streamId":{m.quote(event.stream_id)}}}'


def _write_cleared(event: Cleared) -> str:
    m.natural(sequence=event.sequence)
    return f'{{"event":"clearedAudio","sequenceNumber":{event.sequence},"streamId":{m.quote(event.stream_id)}}}'


def _write_send_digits(event: SendDigits) -> str:
    return f'{{"event":"sendDTMF","dtmf":{m.quote(_keys(event.digits))}}}'


def _read_started(message: Mapping[str, Any]) -> Started:
    start = m.part(message, "start")
    form = m.part(start, "mediaFormat")
    encoding, rate = _format(m.string(form, "encoding"), m.integer(form, "sampleRate"))
    return Started(
        stream_id=m.string(start, "streamId"),
        call_id=m.string(start, "callId"),
        encoding=encoding,
        sample_rate=rate,
        account_id=m.maybe(start, "accountId"),
        tracks=m.tracks(start),
        parameters=_headers(m.maybe(message, "extra_headers")),
        sequence=m.integer(message, "sequenceNumber"),
        raw=message,
    )


def _read_audio(message: Mapping[str, Any]) -> Audio:
    media = m.part(message, "media")
    return Audio(
        payload=m.payload(media),
        stream_id=m.string(message, "streamId"),
        track=m.track(media),
        sequence=m.integer(message, "sequenceNumber"),
        chunk=m.integer(media, "chunk"),
        timestamp_ms=m.digits(media, "timestamp"),
    )


def _read_agent_audio(message: Mapping[str, Any]) -> Audio:
    media = m.part(message, "media")
    # One page of Plivo's shows the rate as a string.
    rate = m.digits(media, "sampleRate") if isinstance(media.get("sampleRate"), str) else m.integer(media, "sampleRate")
    name = m.string(media, "contentType")
    _format(name, rate)
    return _agent_audio(m.payload(media), name, rate)


def _agent_audio(audio: bytes, name: str, rate: int) -> Audio:
    encoding, rate = _format(name, rate)
    if encoding == "L16" and len(audio) % 2:
        raise WireError("L16 audio has an even number of bytes")
    return Audio(audio, encoding=encoding, sample_rate=rate)


def _read_digit(message: Mapping[str, Any]) -> Digit:
    dtmf = m.part(message, "dtmf")
    return Digit(
        digit=m.key(m.string(dtmf, "digit")),
        stream_id=m.string(message, "streamId"),
        sequence=m.integer(message, "sequenceNumber"),
        timestamp=m.maybe(dtmf, "timestamp"),
    )


def _read_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(
        name=m.string(message, "name"),
        stream_id=m.string(message, "streamId"),
        sequence=m.integer(message, "sequenceNumber"),
    )


def _read_agent_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(m.string(message, "name"), m.string(message, "streamId"))


def _read_clear(message: Mapping[str, Any]) -> Clear:
    return Clear(m.string(message, "streamId"))


def _read_cleared(message: Mapping[str, Any]) -> Cleared:
    return Cleared(m.string(message, "streamId"), m.integer(message, "sequenceNumber"))


def _read_send_digits(message: Mapping[str, Any]) -> SendDigits:
    return SendDigits(_keys(m.string(message, "dtmf")))


def _read_stopped(message: Mapping[str, Any]) -> Stopped:
    return Stopped(stream_id=m.maybe(message, "streamId"))


def _format(name: str, rate: int) -> tuple[str, int]:
    found = (_ENCODINGS.get(name, ""), rate)
    if found not in _FORMATS:
        raise WireError("the format is not L16 at 8000 or 16000 Hz, nor mu-law at 8000 Hz")
    return found


def _headers(text: str) -> dict[str, str]:
    """Return the extra headers; one page of Plivo's separates them by semicolons, another by commas."""
    pairs = (pair.partition("=") for pair in re.split("[;,]", text))
    return {key.strip(): value for key, equals, value in pairs if equals}


def _keys(digits: str) -> str:
    if not _KEYS.fullmatch(digits):
        raise WireError("dtmf is not 1 to 64 keys of a telephone")
    return digits


_READERS: Final[m.Readers] = MappingProxyType(
    {
        (Side.CARRIER, "start"): _read_started,
        (Side.CARRIER, "media"): _read_audio,
        (Side.CARRIER, "dtmf"): _read_digit,
        (Side.CARRIER, "playedStream"): _read_mark,
        (Side.CARRIER, "clearedAudio"): _read_cleared,
        (Side.CARRIER, "stop"): _read_stopped,
        (Side.AGENT, "playAudio"): _read_agent_audio,
        (Side.AGENT, "checkpoint"): _read_agent_mark,
        (Side.AGENT, "clearAudio"): _read_clear,
        (Side.AGENT, "sendDTMF"): _read_send_digits,
    }
)
_COMMON: Final[Mapping[Side, m.CommonForm]] = MappingProxyType(
    {
        Side.CARRIER: m.CommonForm(
            re.compile(
                rf'\{{"event":"media","sequenceNumber":{m.INTEGER},"streamId":"{m.PLAIN}","media":\{{'
                rf'"track":"(inbound|outbound)","timestamp":"{m.DIGITS}","chunk":{m.INTEGER},"payload":"'
            ),
            re.compile(r'"\}\}'),
            lambda audio, head, _tail: Audio(
                audio, head[2], m.track_named(head[3]), int(head[1]), int(head[5]), int(head[4])
            ),
        ),
        Side.AGENT: m.CommonForm(
            re.compile(
                r'\{"event":"playAudio","media":\{"contentType":"(audio/x-l16|audio/x-mulaw)",'
                r'"sampleRate":(8000|16000),"payload":"'
            ),
            re.compile(r'"\}\}'),
            lambda audio, head, _tail: _agent_audio(audio, head[1], int(head[2])),
        ),
    }
)
_WRITERS: Final[m.Writers] = MappingProxyType(
    {
        (Side.CARRIER, Started): _write_started,
        (Side.CARRIER, Audio): _write_audio,
        (Side.CARRIER, Digit): _write_digit,
        (Side.CARRIER, Mark): _write_mark,
        (Side.CARRIER, Cleared): _write_cleared,
        (Side.CARRIER, Unknown): m.write_unknown(_READERS, Side.CARRIER),
        (Side.AGENT, Audio): _write_agent_audio,
        (Side.AGENT, Mark): _write_agent_mark,
        (Side.AGENT, Clear): _write_clear,
        (Side.AGENT, SendDigits): _write_send_digits,
        (Side.AGENT, Unknown): m.write_unknown(_READERS, Side.AGENT),
    }
)
