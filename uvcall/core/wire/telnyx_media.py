"""Telnyx media streaming: the messages on the socket, both directions.

Numbers stand on the wire as strings, those of `media_format` and `error` aside. The payload is that of an RTP packet
without its header. Telnyx documents no byte order for L16; little-endian, which is what public implementations use, is
assumed here and stays unproven. https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
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
    StreamError,
    Unknown,
    WireError,
)

LARGEST_MESSAGE: Final = 1 << 20
_ENCODINGS: Final = frozenset({"PCMU", "PCMA", "L16"})


def encode(side: Side, event: Media) -> str:
    """Return the media message as `side` sends it. The agent's messages name no stream; the socket is the stream.

    `Started.tracks` is not said on this wire.

    Raises:
        WireError: That side cannot say this.
    """
    return m.write("Telnyx", _WRITERS, side, event, LARGEST_MESSAGE)


def decode(side: Side, text: str) -> Media:
    """Read a media message that `side` has sent.

    Raises:
        WireError: Telnyx's protocol does not allow it, or its encoding is not PCMU, PCMA or L16.
    """
    return m.read_common(_COMMON[side], text, LARGEST_MESSAGE) or m.read(_READERS, side, text, LARGEST_MESSAGE)


def _write_connected(event: Connected) -> str:
    return f'{{"event":"connected","version":{m.quote(event.version)}}}'


def _write_started(event: Started) -> str:
    if event.encoding not in _ENCODINGS:
        raise WireError("the encoding is not PCMU, PCMA or L16")
    m.natural(sequence=event.sequence, sample_rate=event.sample_rate)
    start: dict[str, Any] = {
        "user_id": event.account_id,
        "call_control_id": event.call_id,
        "call_session_id": event.session_id,
        "from": event.from_,
        "to": event.to,
    }
    if event.client_state:
        start["client_state"] = event.client_state
    if event.parameters:
        # That they come is documented, their place in the message is not.
        start["custom_parameters"] = dict(event.parameters)
    start["media_format"] = {"encoding": event.encoding, "sample_rate": event.sample_rate, "channels": 1}
    return m.dump(
        {
            "event": "start",
            "sequence_number": str(event.sequence),
            "start": start,
            "stream_id": event.stream_id,
        }
    )


def _write_audio(event: Audio) -> str:
    # Fifty of these a second and call: text put together by hand takes a fraction of json.dumps' time.
    m.natural(sequence=event.sequence, chunk=event.chunk, timestamp=event.timestamp_ms)
    return (
        f'{{"event":"media","sequence_number":"{event.sequence}","media":{{"track":{m.quote(event.track)},'
        f'"chunk":"{event.chunk}","timestamp":"{event.timestamp_ms}","payload":"{m.base64(event.payload)}"}},'
        f'"stream_id":{m.quote(event.stream_id)}}}'
    )


def _write_agent_audio(event: Audio) -> str:
    return f'{{"event":"media","media":{{"payload":"{m.base64(event.payload)}"}}}}'


def _write_digit(event: Digit) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"dtmf","stream_id":{m.quote(event.stream_id)},"occurred_at":{m.quote(event.timestamp)},'
        f'"sequence_number":"{event.sequence}","dtmf":{{"digit":{m.quote(m.key(event.digit))}}}}}'
    )


def _write_mark(event: Mark) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"mark","stream_id":{m.quote(event.stream_id)},"sequence_number":"{event.sequence}",'
        f'"mark":{{"name":{m.quote(event.name)}}}}}'
    )


def _write_agent_mark(event: Mark) -> str:
    return f'{{"event":"mark","mark":{{"name":{m.quote(event.name)}}}}}'


def _write_clear(_: Clear) -> str:
    return '{"event":"clear"}'


def _write_stopped(event: Stopped) -> str:
    m.natural(sequence=event.sequence)
    return (
        f'{{"event":"stop","sequence_number":"{event.sequence}","stop":{{"user_id":{m.quote(event.account_id)},'
        f'"call_control_id":{m.quote(event.call_id)}}},"stream_id":{m.quote(event.stream_id)}}}'
    )


def _write_error(event: StreamError) -> str:
    m.natural(code=event.code)
    return (
        f'{{"event":"error","payload":{{"code":{event.code},"title":{m.quote(event.title)},'
        f'"detail":{m.quote(event.detail)}}},"stream_id":{m.quote(event.stream_id)}}}'
    )


def _read_connected(message: Mapping[str, Any]) -> Connected:
    return Connected(m.string(message, "version"))


def _read_started(message: Mapping[str, Any]) -> Started:
    start = m.part(message, "start")
    form = m.part(start, "media_format")
    encoding = m.string(form, "encoding")
    if encoding not in _ENCODINGS:
        raise WireError("the encoding is not PCMU, PCMA or L16")
    return Started(
        stream_id=m.string(message, "stream_id"),
        call_id=m.string(start, "call_control_id"),
        encoding=encoding,
        sample_rate=m.integer(form, "sample_rate"),
        account_id=m.maybe(start, "user_id"),
        parameters=m.strings(start, "custom_parameters"),
        sequence=m.digits(message, "sequence_number"),
        session_id=m.maybe(start, "call_session_id"),
        from_=m.maybe(start, "from"),
        to=m.maybe(start, "to"),
        client_state=m.maybe(start, "client_state"),
        raw=message,
    )


def _read_audio(message: Mapping[str, Any]) -> Audio:
    media = m.part(message, "media")
    return Audio(
        payload=m.payload(media),
        stream_id=m.string(message, "stream_id"),
        track=m.track(media),
        sequence=m.digits(message, "sequence_number"),
        chunk=m.digits(media, "chunk"),
        timestamp_ms=m.digits(media, "timestamp"),
    )


def _read_agent_audio(message: Mapping[str, Any]) -> Audio:
    return Audio(m.payload(m.part(message, "media")))


def _read_digit(message: Mapping[str, Any]) -> Digit:
    return Digit(
        digit=m.key(m.string(m.part(message, "dtmf"), "digit")),
        stream_id=m.string(message, "stream_id"),
        sequence=m.digits(message, "sequence_number"),
        timestamp=m.maybe(message, "occurred_at"),
    )


def _read_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(
        name=m.string(m.part(message, "mark"), "name"),
        stream_id=m.string(message, "stream_id"),
        sequence=m.digits(message, "sequence_number"),
    )


def _read_agent_mark(message: Mapping[str, Any]) -> Mark:
    return Mark(m.string(m.part(message, "mark"), "name"))


def _read_clear(_: Mapping[str, Any]) -> Clear:
    return Clear()


def _read_stopped(message: Mapping[str, Any]) -> Stopped:
    stop = m.part(message, "stop")
    return Stopped(
        call_id=m.string(stop, "call_control_id"),
        account_id=m.maybe(stop, "user_id"),
        stream_id=m.string(message, "stream_id"),
        sequence=m.digits(message, "sequence_number"),
    )


def _read_error(message: Mapping[str, Any]) -> StreamError:
    payload = m.part(message, "payload")
    return StreamError(
        code=m.integer(payload, "code"),
        title=m.string(payload, "title"),
        detail=m.maybe(payload, "detail"),
        stream_id=m.maybe(message, "stream_id"),
    )


_READERS: Final[m.Readers] = MappingProxyType(
    {
        (Side.CARRIER, "connected"): _read_connected,
        (Side.CARRIER, "start"): _read_started,
        (Side.CARRIER, "media"): _read_audio,
        (Side.CARRIER, "dtmf"): _read_digit,
        (Side.CARRIER, "mark"): _read_mark,
        (Side.CARRIER, "stop"): _read_stopped,
        (Side.CARRIER, "error"): _read_error,
        (Side.AGENT, "media"): _read_agent_audio,
        (Side.AGENT, "mark"): _read_agent_mark,
        (Side.AGENT, "clear"): _read_clear,
    }
)
_COMMON: Final[Mapping[Side, m.CommonForm]] = MappingProxyType(
    {
        Side.CARRIER: m.CommonForm(
            re.compile(
                rf'\{{"event":"media","sequence_number":"{m.DIGITS}","media":\{{"track":"(inbound|outbound)",'
                rf'"chunk":"{m.DIGITS}","timestamp":"{m.DIGITS}","payload":"'
            ),
            re.compile(rf'"\}},"stream_id":"{m.PLAIN}"\}}'),
            lambda audio, head, tail: Audio(
                audio, tail[1], m.track_named(head[2]), int(head[1]), int(head[3]), int(head[4])
            ),
        ),
        Side.AGENT: m.CommonForm(
            re.compile(r'\{"event":"media","media":\{"payload":"'),
            re.compile(r'"\}\}'),
            lambda audio, _head, _tail: Audio(audio),
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
        (Side.CARRIER, StreamError): _write_error,
        (Side.CARRIER, Unknown): m.write_unknown(_READERS, Side.CARRIER),
        (Side.AGENT, Audio): _write_agent_audio,
        (Side.AGENT, Mark): _write_agent_mark,
        (Side.AGENT, Clear): _write_clear,
        (Side.AGENT, Unknown): m.write_unknown(_READERS, Side.AGENT),
    }
)
