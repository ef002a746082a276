"""What must never be shown: credentials, and the join URL, which is one."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from uvcall.errors import ContractBroken


class _Hidden:
    """Text that only `reveal()` gives. No dataclass, which every run would pay for, and no tuple, which JSON shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Hidden) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Secret(_Hidden):
    """A credential. `str()` and `repr()` show its last four characters at most; `reveal()` gives it."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"set (…{self._text[-4:]})" if len(self._text) >= 12 else "set"

    def __repr__(self) -> str:
        return f"Secret({self})"


#: What no URL may hold: controls, blanks, RFC 3986's unwise characters, and all beyond ASCII. As text, so that `re`
#: compiles it when a join URL is first looked at.
_NO_URL: Final = r"""[^!-~]|[\\"<>^`{|}]"""
#: Join URLs as Ultravox writes them, and as its stand-in on this machine does: nothing in them needs a second look.
_USUAL: Final = r"wss://(?:[a-z0-9-]{1,63}\.){0,4}ultravox\.ai/[A-Za-z0-9/._~?=&-]*"
_USUAL_HERE: Final = r"wss?://127\.0\.0\.1:[0-9]{1,4}/[A-Za-z0-9/._~?=&-]*"
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(url: str) -> bool:
    """Say whether the URL leads to this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK_HOSTS


class JoinUrl(_Hidden):
    """The bearer URL under which the carrier's media stream meets the agent. Never printed, never logged."""

    __slots__ = ()

    def __str__(self) -> str:
        return "[join URL]"

    def __repr__(self) -> str:
        return "JoinUrl([join URL])"


def parse_join_url(text: object, *, loopback: bool = False) -> JoinUrl:
    """Accept a join URL only where Ultravox would host it.

    Args:
        text: What the vendor's answer, or the user, gave.
        loopback: True when the Ultravox base URL is itself loopback; only then may the URL be `ws` to loopback.

    Raises:
        ContractBroken: It is not an absolute `wss` URL of `ultravox.ai`, or has user info, a port, spaces, controls
            or a backslash. The message never holds the URL.
    """
    problem = "is missing" if not text else "is not a string"
    if isinstance(text, str) and text:
        problem = _join_url_problem(text, loopback=loopback)
    if problem:
        raise ContractBroken(
            f"the join URL {problem}",
            hint="a join URL is a wss URL on a host of ultravox.ai; nobody was called",
            peer="ultravox",
        )
    return JoinUrl(str(text))


def _join_url_problem(text: str, *, loopback: bool) -> str:
    if len(text) > 2048:
        return "is longer than 2,048 characters"
    if re.fullmatch(_USUAL, text) or (loopback and re.fullmatch(_USUAL_HERE, text)):
        return ""
    if re.search(_NO_URL, text):
        return "holds characters that no URL may hold"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "cannot be parsed"
    if "@" in parts.netloc:
        return "holds user information"
    if parts.fragment:
        return "holds a fragment"
    if loopback and host in LOOPBACK_HOSTS:
        return "" if parts.scheme in {"ws", "wss"} else "is not a ws or wss URL"
    if parts.scheme != "wss":
        return "is not a wss URL"
    if host != "ultravox.ai" and not host.endswith(".ultravox.ai"):
        return "leads to a host that is not ultravox.ai"
    if port not in {None, 443}:
        return "names a port other than 443"
    return ""
