"""A conversation as text, JSON lines, SubRip (SRT) or WebVTT: messages in, a document out.

Whatever was said, a terminal can be given the document, and a reader of its format finds exactly the cues that were
written: https://www.w3.org/TR/webvtt1/ and, for SubRip, which nobody has specified, what players agree on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from uvcall.core.model import Line
from uvcall.core.printable import UNSAFE, clean

Role = Literal["user", "agent", "tool_call", "tool_result"]

_PEOPLE: Final[tuple[Literal["user", "agent"], ...]] = ("user", "agent")
#: How fast people read, characters a second, for a cue whose end nobody knows; and how long one stands at least.
_READ_PER_S: Final = 15.0
_SHORTEST_MS: Final = 1000
#: The last time that a cue may have: hours have any number of digits, players have not.
_LONGEST_MS: Final = 1_000 * 3_600_000 - 1


class Format(StrEnum):
    """How a transcript is written."""

    TEXT = "text"
    JSONL = "jsonl"
    SRT = "srt"
    VTT = "vtt"


class Message(NamedTuple):
    """One message of a call. Times are seconds from the agent's joining."""

    role: Role
    text: str
    start_s: float | None = None
    end_s: float | None = None
    stage: str = ""  #: the call stage's id
    tool: str = ""  #: the tool's name, for what tools were asked and what they answered
    error: str = ""  #: why a tool failed, as the model is not told


class _Cue(NamedTuple):
    start_ms: int
    end_ms: int
    message: Message


def line_of(message: Message) -> Line | None:
    """Return the message as a line of the record's transcript; None for a tool's, or for an empty one."""
    if not _spoken(message):
        return None
    return next((Line(role, message.text, message.start_s) for role in _PEOPLE if role == message.role), None)


def message_of(line: Line) -> Message:
    """Return a line of the record's transcript as a message."""
    return Message(line.role, line.text, line.at_s)


def as_json(message: Message) -> dict[str, Any]:
    """Return the message as a JSON object: who, what and when, and the rest where it is known."""
    more = {"end_s": message.end_s, "stage": message.stage, "tool": message.tool, "error": message.error}
    return {
        "role": message.role,
        "text": message.text,
        "at_s": message.start_s,
        **{name: value for name, value in more.items() if value not in {None, ""}},
    }


def render(messages: Iterable[Message], form: Format) -> str:
    """Return the document; an empty one for no messages, but that WebVTT has its first line. It ends with a newline."""
    return "".join(_WRITERS[form](list(messages)))


def _text(messages: list[Message]) -> Iterator[str]:
    for message in filter(_spoken, messages):
        yield f"{_speaker(message)}: {clean(_one_line(message.text))}\n"


def _jsonl(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        # Readable in every script, and what a terminal would obey is spelled out: it can only stand inside strings.
        yield re.sub(UNSAFE, lambda found: f"\\u{ord(found.group()):04x}", _dumped(as_json(message))) + "\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _srt(messages: list[Message]) -> Iterator[str]:
    for number, cue in enumerate(_cues(messages), start=1):
        # No escape exists; an arrow inside a text would look like the times of another cue.
        words = clean(_one_line(cue.message.text)).replace("-->", "-- >")
        yield f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        yield f"{_speaker(cue.message)}: {words}\n\n"


def _vtt(messages: list[Message]) -> Iterator[str]:
    yield "WEBVTT\n"
    for cue in _cues(messages):
        words = clean(_one_line(cue.message.text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        voice = re.sub(r"[&<>]", "_", _speaker(cue.message))
        yield f"\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n<v {voice}>{words}\n"


_WRITERS: Final[Mapping[Format, Callable[[list[Message]], Iterator[str]]]] = {
    Format.TEXT: _text,
    Format.JSONL: _jsonl,
    Format.SRT: _srt,
    Format.VTT: _vtt,
}


def _spoken(message: Message) -> bool:
    return bool(message.text.strip())


def _speaker(message: Message) -> str:
    return f"{message.role} {clean(_one_line(message.tool))}" if message.tool else message.role


def _one_line(text: str) -> str:
    """Return the words with single blanks between them: a blank line would end a cue."""
    return " ".join(text.split())


def _cues(messages: list[Message]) -> Iterator[_Cue]:
    """Give every message a time, none before its forerunner's, and an end after its start.

    A message without a time follows the one before it; one without an end stands for as long as it takes to read.
    """
    earliest = 0
    latest = 0
    for message in filter(_spoken, messages):
        start = latest if message.start_s is None else _ms(message.start_s)
        start = max(earliest, start)
        shown = max(_SHORTEST_MS, round(len(message.text) / _READ_PER_S * 1000))
        end = start + shown if message.end_s is None else _ms(message.end_s)
        earliest = start = min(start, _LONGEST_MS - 1)
        end = min(max(end, start + 1), _LONGEST_MS)
        latest = max(latest, end)
        yield _Cue(start, end, message)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"
