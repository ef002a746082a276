"""JSON text messages, read strictly: the pieces that the media protocols of all carriers share.

Every function raises `WireError` with the name of the field at fault, and never with its content.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Literal, NoReturn

from uvcall.core.wire.events import Audio, Media, Side, Unknown, WireError

#: How each message is written and read, by who sends it and what it is.
Writers = Mapping[tuple[Side, type], Callable[[Any], str]]
Readers = Mapping[tuple[Side, str], Callable[[Mapping[str, Any]], Media]]

_LONGEST_TEXT: Final = 1024
_LONGEST_NUMBER: Final = 18
_LONGEST_NAME: Final = 64
_MOST_PAIRS: Final = 64
#: The sixteen keys of DTMF. https://www.itu.int/rec/T-REC-Q.23
KEYS: Final = frozenset("0123456789*#ABCD")


def _no_constant(_: str) -> NoReturn:
    raise WireError("the message holds NaN or Infinity, which JSON does not have")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

#: A text in JSON without any escape, and a number as a string, as parts of the patterns of a common form.
PLAIN: Final = r"([ !#-\[\]-~]{0,1024})"
DIGITS: Final = rf"([0-9]{{1,{_LONGEST_NUMBER}}})"
INTEGER: Final = rf"(0|[1-9][0-9]{{0,{_LONGEST_NUMBER - 1}}})"

#: Return the text as a JSON string, quotes included, ASCII only.
quote = encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class CommonForm:
    """How audio messages look nearly always: what stands before and after the payload, and how the whole is read."""

    head: re.Pattern[str]
    tail: re.Pattern[str]
    build: Callable[[bytes, re.Match[str], re.Match[str]], Audio]


def read_common(form: CommonForm, text: str, limit: int) -> Audio | None:
    """Return the audio if the message has the common form, else None: then `read` says what it is.

    Fifty of these a second and call: this takes half of the time of `read`, and never gives another answer.
    """
    head = form.head.match(text)
    if head is None or len(text) > limit:
        return None
    end = text.find('"', head.end())
    tail = form.tail.fullmatch(text, end) if end > 0 else None
    if tail is None:
        return None
    try:
        return form.build(_sound(text[head.end() : end]), head, tail)
    except WireError:
        return None  # an escape may stand for what is missing


def write(carrier: str, writers: Writers, side: Side, event: Media, limit: int) -> str:
    """Return the event as `side` sends it."""
    writer = writers.get((side, type(event)))
    if writer is None:
        raise WireError(f"{carrier} has no message by which the {side} says {type(event).__name__}")
    text = writer(event)
    if len(text) > limit:
        raise WireError(f"the message is longer than {limit:,} bytes")
    return text


def read(readers: Readers, side: Side, text: str, limit: int) -> Media:
    """Return the event that `side` has sent; one that the vocabulary has no word for is `Unknown`."""
    message = load(text, limit)
    word = string(message, "event")
    reader = readers.get((side, word))
    if reader is not None:
        return reader(message)
    if not word or len(word) > _LONGEST_NAME:
        raise WireError("event is empty or too long")
    return Unknown(word, message)


def write_unknown(readers: Readers, side: Side) -> Callable[[Unknown], str]:
    """Return the writer of messages that the vocabulary has no word for: `raw` under the event's name."""

    def writer(event: Unknown) -> str:
        if not event.name or len(event.name) > _LONGEST_NAME or (side, event.name) in readers:
            raise WireError("an unknown message needs a name that the protocol does not use")
        return dump({**event.raw, "event": event.name})

    return writer


def load(text: str, limit: int) -> dict[str, Any]:
    """Return the JSON object. `limit` is in bytes of UTF-8."""
    if len(text) > limit or (not text.isascii() and len(text.encode("utf-8", errors="surrogatepass")) > limit):
        raise WireError(f"the message is longer than {limit:,} bytes")
    try:
        message = _DECODER.decode(text)
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("the message is not a JSON object")
    return message


def dump(message: Mapping[str, Any]) -> str:
    """Return the object as compact JSON text, ASCII only."""
    try:
        return _ENCODER.encode(message)
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError("the message cannot be written as JSON") from error


def part(message: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return the object under the field."""
    value = message.get(field)
    if not isinstance(value, dict):
        raise _wrong(field, "an object", value)
    return value


def string(message: Mapping[str, Any], field: str) -> str:
    """Return a text of at most 1,024 characters, none of them half a surrogate pair."""
    value = message.get(field)
    if not isinstance(value, str):
        raise _wrong(field, "a string", value)
    if len(value) > _LONGEST_TEXT:
        raise WireError(f"{field} is longer than {_LONGEST_TEXT:,} characters")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise WireError(f"{field} holds half a surrogate pair")
    return value


def maybe(message: Mapping[str, Any], field: str) -> str:
    """Return a text, or an empty one when the field is absent or null."""
    return string(message, field) if message.get(field) is not None else ""


def digits(message: Mapping[str, Any], field: str) -> int:
    """Return a number that stands on the wire as a string of ASCII digits."""
    value = message.get(field)
    if not isinstance(value, str):
        raise _wrong(field, "a string of digits", value)
    if not (value.isascii() and value.isdigit()) or len(value) > _LONGEST_NUMBER:
        raise WireError(f"{field} is not a string of digits")
    return int(value)


def integer(message: Mapping[str, Any], field: str) -> int:
    """Return a number that stands on the wire as one, whole and not negative."""
    value = message.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(field, "an integer", value)
    if not 0 <= value < 10**_LONGEST_NUMBER:
        raise WireError(f"{field} is out of range")
    return value


def payload(message: Mapping[str, Any]) -> bytes:
    """Return the audio under `payload`: base64 with nothing before, between or after it."""
    value = message.get("payload")
    if not isinstance(value, str):
        raise _wrong("payload", "a string", value)
    return _sound(value)


def _sound(text: str) -> bytes:
    try:
        audio = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise WireError("payload is not base64") from error
    # Strict mode still takes surplus padding and bits that no byte uses.
    if b2a_base64(audio, newline=False).decode("ascii") != text:
        raise WireError("payload is not canonical base64")
    return audio


def base64(audio: bytes) -> str:
    """Return the audio as base64 text."""
    return b2a_base64(audio, newline=False).decode("ascii")


def strings(message: Mapping[str, Any], field: str) -> dict[str, str]:
    """Return a flat object of strings; empty when the field is absent or null."""
    if message.get(field) is None:
        return {}
    inner = part(message, field)
    if len(inner) > _MOST_PAIRS:
        raise WireError(f"{field} has more than {_MOST_PAIRS} entries")
    return {key: string(inner, key) for key in inner}


def tracks(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the list under `tracks`: inbound, outbound, or both."""
    value = message.get("tracks")
    known = value in (["inbound"], ["outbound"], ["inbound", "outbound"], ["outbound", "inbound"])
    if not isinstance(value, list) or not known:
        raise WireError("tracks is not a list of inbound and outbound")
    return tuple(value)


def track(message: Mapping[str, Any]) -> Literal["inbound", "outbound"]:
    """Return which half of the conversation the audio is."""
    return track_named(message.get("track"))


def track_named(value: object) -> Literal["inbound", "outbound"]:
    """Return the track of that name."""
    if value == "inbound":
        return "inbound"
    if value == "outbound":
        return "outbound"
    raise _wrong("track", "inbound or outbound", value)


def key(digit: str) -> str:
    """Return one key of a telephone, unchanged."""
    if digit not in KEYS:
        raise WireError("digit is not one key of a telephone")
    return digit


def natural(**numbers: int) -> None:
    """Refuse to write a negative or endless number."""
    for field, value in numbers.items():
        if not 0 <= value < 10**_LONGEST_NUMBER:
            raise WireError(f"{field} is out of range")


def _wrong(field: str, wanted: str, value: object) -> WireError:
    return WireError(f"{field} is missing" if value is None else f"{field} is not {wanted}")
