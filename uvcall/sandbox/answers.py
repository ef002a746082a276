"""What an answer document can tell a carrier to do, and how the attributes of its elements are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from uvcall.sandbox.world import StreamSpec

MAX_BYTES: Final = 100_000  #: https://www.plivo.com/docs/voice/xml/request names 100 KB


class DocumentRefused(Exception):
    """The carrier ends the call over this document.

    Args:
        code: The carrier's own code for it, as its debugger or hang-up cause shows it.
        reason: What is wrong, one line.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stream:
    """Connect the call to a WebSocket. `holds`: the next verb waits until the stream ends."""

    spec: StreamSpec
    holds: bool = True
    name: str = ""
    status_url: str = ""
    status_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing the agent could hear for so many seconds: silence, or speech that the sandbox does not synthesise."""

    seconds: float
    verb: str = "Pause"


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring another number and connect it."""

    number: str
    caller_id: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Fetch the next document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call; `reason` is `busy` or `rejected` when it is to be turned away."""

    reason: str = ""


Step = Stream | Pause | Dial | Redirect | HangUp


@dataclass(frozen=True, slots=True)
class Answer:
    """What a document tells the carrier to do, in order, and what it passes over with a warning."""

    steps: tuple[Step, ...]
    verbs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def choice(element: ET.Element, name: str, allowed: tuple[str, ...], default: str, code: str) -> str:
    """Return an attribute that has one of a few values; an absent one has its default."""
    value = element.get(name, default)
    if value not in allowed:
        raise DocumentRefused(code, f"<{element.tag} {name}> is {value[:40]!r}, not one of {', '.join(allowed)}")
    return value


def number(element: ET.Element, name: str, default: float, low: float, high: float, code: str) -> float:
    """Return an attribute that is a whole number within bounds."""
    text = element.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise DocumentRefused(code, f"<{element.tag} {name}> is not a whole number from {low:g} to {high:g}")
    return float(text)


def flag(element: ET.Element, name: str, code: str) -> bool:
    """Return an attribute that is `true` or `false`; absent: false."""
    return choice(element, name, ("true", "false"), "false", code) == "true"


def text(element: ET.Element) -> str:
    """Return the element's text, stripped."""
    return "".join(element.itertext()).strip()
