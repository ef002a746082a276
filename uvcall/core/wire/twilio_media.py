"""Twilio Media Streams: the messages on the socket, both directions.

Audio is mu-law at 8 kHz, 160 bytes for 20 ms; numbers stand on the wire as strings.
https://www.twilio.com/docs/voice/media-streams/websocket-messages
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
    Connected,
    Digit,
    Mark,
    Media,
    Side,
    Started,
    Stopped,
    Unknown,
    WireError,
)

LARGEST_MESSAGE: Final = 1 << 20


def encode(side: Side, event: Media) -> str:
    """Return the Media Streams message as `side` sends it.

    https://www.twilio.com/docs/voice/media-streams/websocket-messages

    Raises:
        WireError: That side cannot say this.
    """
    return m.write("Twilio", _WRITERS, side, event, LARGEST_MESSAGE)


def decode(side: Side, text: str) -> Media:
    """Read a Media Streams message that `side` has sent.

    Raises:
        WireError: Twilio's protocol does not allow it.
    """
    return m.read_common(_COMMON[side], text, LARGEST_MESSAGE) or m.read(_READERS, side, text, LARGEST_MESSAGE)


def _write_connected(event: Connected) -> str:
    return f'{{"event":"connected","protocol":"Call","version":{m.quote(event.version)}}}'


def _write_started(event: Started) -> str:
    if (event.encoding, event.sample_rate) != ("PCMU", 8000):
        raise WireError("Twilio streams PCMU at 8000 Hz only")
    m.natural(sequence=event.sequence)
    start = {
        "accountSid": event.account_id,
        "streamSid": event.stream_id,
        "callSid": event.call_id,
        "tracks": list(event.tracks),
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(event.parameters),
    }
    message = {"event": "start", "sequenceNumber": str(event.sequence), "start": start, "streamSid": event.stream_id}
    return m.dump(message)


def _write_audio(event: Audio) -> str:
    # Fifty of these a second and call: text put together by hand takes a fifth of json.dumps' time.
    m.natural(sequence=event.sequence, chunk=event.chunk, timestamp=event.timestamp_ms)
    return (
        f'{{"event":"media","sequenceNumber":"{event.sequence}","media":{{"track":{m.quote(event.track)},'
        f'"chunk":"{event.chunk}","timestamp":"{event.timestamp_ms}","payload":"{m.base64(event.payload)}"}},'
        f'"streamSid":{m.quote(event.stream_id)}}}'
    )


def _write_agent_audio(event: Audio) -> str:
    return (
        f'{{"event":"media","streamSid":{m.quote(event.stream_id)},"media":{{"payload":"{m.base64(event.payload)}"}}}}'
    )


def _write_digit(event: Digit) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"dtmf","streamSid":{m.quote(event.stream_id)},"sequenceNumber":"{event.sequence}",'
        f'"dtmf":{{"track":"inbound_track","digit":{m.quote(m.key(event.digit))}}}}}'
    )


def _write_mark(event: Mark) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"mark","sequenceNumber":"{event.sequence}","streamSid":{m.quote(event.stream_id)},'
        f'"mark":{{"name":{m.quote(event.name)}}}}}'
    )


def _write_agent_mark(event: Mark) -> str:
    return f'{{"event":"mark","streamSid":{m.quote(event.stream_id)},"mark":{{"name":{m.quote(event.name)}}}}}'


def _write_clear(event: Clear) -> str:
    return f'{{"event":"clear","streamSid":{m.quote(event.stream_id)}}}'


def _write_stopped(event: Stopped) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"stop","sequenceNumber":"{event.sequence}","stop":{{"accountSid":{m.quote(event.account_id)},'
        f'"callSid":{m.quote(event.call_id)}}},"streamSid":{m.quote(event.stream_id)}}}'
    )


def _read_connected(message: Mapping[str, Any]) -> Connected:
    return Connected(m.string(message, "version"))


def _read_started(message: Mapping[str, Any]) -> Started:
    start = m.part(message, "start")
    form = m.part(start, "mediaFormat")
    if m.string(form, "encoding") != "audio/x-mulaw" or m.integer(form, "sampleRate") != 8000:
        raise WireError("mediaFormat is not mu-law at 8000 Hz")
    stream = m.string(start, "streamSid")
    if m.string(message, "streamSid") != stream:
        raise WireError("streamSid has two values")
    return Started(
        stream_id=stream,
        call_id=m.string(start, "callSid"),
        encoding="PCMU",
        sample_rate=8000,
        account_id=m.string(start, "accountSid"),
        tracks=m.tracks(start),
        parameters=m.strings(start, "customParameters"),
        sequence=m.digits(message, "sequenceNumber"),
        raw=message,
    )


def _read_audio(message: Mapping[str, Any]) -> Audio:
    media = m.part(message, "media")
    return Audio(
        payload=m.payload(media),
        stream_id=m.string(message, "streamSid"),
        track=m.track(media),
        sequence=m.digits(message, "sequenceNumber"),
        chunk=m.digits(media, "chunk"),
        timestamp_ms=m.digits(media, "timestamp"),
    )


def _read_agent_audio(message: Mapping[str, Any]) -> Audio:
    return Audio(m.payload(m.part(message, "media")), m.string(message, "streamSid"))


def _read_digit(message: Mapping[str, Any]) -> Digit:
    return Digit(
        digit=m.key(m.string(m.part(message, "dtmf"), "digit")),
        stream_id=m.string(message, "streamSid"),
        sequence=m.digits(message, "sequenceNumber"),
    )


def _read_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(
        name=m.string(m.part(message, "mark"), "name"),
        stream_id=m.string(message, "streamSid"),
        sequence=m.digits(message, "sequenceNumber"),
    )


def _read_agent_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(m.string(m.part(message, "mark"), "name"), m.string(message, "streamSid"))


def _read_clear(message: Mapping[str, Any]) -> Clear:
    return Clear(m.string(message, "streamSid"))


def _read_stopped(message: Mapping[str, Any]) -> Stopped:
    stop = m.part(message, "stop")
    return Stopped(
        call_id=m.string(stop, "callSid"),
        account_id=m.string(stop, "accountSid"),
        stream_id=m.string(message, "streamSid"),
        sequence=m.digits(message, "sequenceNumber"),
    )


_READERS: Final[m.Readers] = MappingProxyType(
    {
        (Side.CARRIER, "connected"): _read_connected,
        (Side.CARRIER, "start"): _read_started,
        (Side.CARRIER, "media"): _read_audio,
        (Side.CARRIER, "dtmf"): _read_digit,
        (Side.CARRIER, "mark"): _read_mark,
        (Side.CARRIER, "stop"): _read_stopped,
        (Side.AGENT, "media"): _read_agent_audio,
        (Side.AGENT, "mark"): _read_agent_mark,
        (Side.AGENT, "clear"): _read_clear,
    }
)

_COMMON: Final[Mapping[Side, m.CommonForm]] = MappingProxyType(
    {
        Side.CARRIER: m.CommonForm(
            re.compile(
                rf'\{{"event":"media","sequenceNumber":"{m.DIGITS}","media":\{{"track":"(inbound|outbound)",'
                rf'"chunk":"{m.DIGITS}","timestamp":"{m.DIGITS}","payload":"'
            ),
            re.compile(rf'"\}},"streamSid":"{m.PLAIN}"\}}'),
            lambda audio, head, tail: Audio(
                audio, tail[1], m.track_named(head[2]), int(head[1]), int(head[3]), int(head[4])
            ),
        ),
        Side.AGENT: m.CommonForm(
            re.compile(rf'\{{"event":"media","streamSid":"{m.PLAIN}","media":\{{"payload":"'),
            re.compile(r'"\}\}'),
            lambda audio, head, _tail: Audio(audio, head[1]),
        ),
    }
)

_WRITERS: Final[m.Writers] = MappingProxyType(
    {
        (Side.CARRIER, Connected): _write_connected,
        (Side.CARRIER, Started): _write_started,
        (Side.CARRIER, Audio): _write_audio,
        (Side.CARRIER, Digit): _write_digit,
        (Side.CARRIER, Mark): _write_mark,
        (Side.CARRIER, Stopped): _write_stopped,
        (Side.CARRIER, Unknown): m.write_unknown(_READERS, Side.CARRIER),
        (Side.AGENT, Audio): _write_agent_audio,
        (Side.AGENT, Mark): _write_agent_mark,
        (Side.AGENT, Clear): _write_clear,
        (Side.AGENT, Unknown): m.write_unknown(_READERS, Side.AGENT),
    }
)
