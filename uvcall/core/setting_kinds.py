"""The kinds of settings: one function each, from what a flag, a variable or a file gave to a typed value.

Each raises `ValueError` with the right form in its text, and never quotes a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from uvcall.core.duration import FORM, format_duration, parse_duration
from uvcall.core.phone import is_e164
from uvcall.core.secret import LOOPBACK_HOSTS, Secret

_LONGEST_SECRET: Final = 512
_LONGEST_TEXT: Final = 200_000
# Patterns, not compiled ones: a command uses few of them, and `re` keeps those.
_IDENT: Final = r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
_PUBLIC: Final = r"[!-~]{1,512}"
_COUNTRY: Final = r"[A-Z]{2}"
_WINDOW: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
_BOOLS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_BREAKS: Final = frozenset("\r\n")
_LONGEST_QUOTE: Final = 40


class Key(NamedTuple):
    """A setting. `kind` is a name in `KINDS`; `low` and `high` bound numbers and seconds."""

    name: str
    kind: str = "text"
    default: Any = None
    help: str = ""
    choices: tuple[str, ...] = ()
    vendor_env: tuple[str, ...] = ()  #: the vendor's own environment variables
    credential: bool = False  #: without it, the vendor lets nobody in
    low: float = 0
    high: float = 0

    @property
    def secret(self) -> bool:
        """Say whether the value must never be shown."""
        return self.kind == "secret"

    @property
    def env(self) -> str:
        """Return uvcall's own environment variable: `telnyx.api_key` → `UVCALL_TELNYX_API_KEY`."""
        return "UVCALL_" + self.name.replace(".", "_").upper()


class SecretError(ValueError):
    """A secret that no HTTP header may carry. The text says what is wrong with it, never what it is."""


def _text(value: object, _: Key) -> str:
    text = _string(value)
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"is longer than {_LONGEST_TEXT:,} characters")
    return text


def _secret(value: object, _: Key) -> Secret:
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        raise SecretError("is not a text")
    if _BREAKS & set(text):
        raise SecretError("holds a line break; copy the key again, without what surrounds it")
    if not text.isascii() or any(char <= " " or char == "\x7f" for char in text):
        raise SecretError("holds a blank or a character that is not ASCII; copy the key again")
    if len(text) > _LONGEST_SECRET:
        raise SecretError(f"is longer than {_LONGEST_SECRET} characters; that is not a key")
    return Secret(text)


def _token(value: object, _: Key) -> str:
    text = _string(value)
    if not re.fullmatch(_PUBLIC, text):
        raise ValueError("must be up to 512 ASCII characters without blanks")
    return text


def _ident(value: object, _: Key) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _string(value)
    if not re.fullmatch(_IDENT, text):
        raise ValueError("must be up to 128 ASCII letters, digits, dots, colons, dashes and underscores")
    return text


def _phone(value: object, _: Key) -> str:
    text = _string(value)
    if not is_e164(text):
        raise ValueError(f"{_quoted(text)} is not an E.164 number such as +12025550100")
    return text


def _url(value: object, _: Key) -> str:
    text = _string(value)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not text.isascii() or not host or port == 0 or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in text):
        raise ValueError("is not a URL such as https://example.com")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must be a URL without user information, query and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise ValueError("must begin with https:// (http:// only to 127.0.0.1, ::1 or localhost)")
    return text.rstrip("/")


def _duration(value: object, key: Key) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"must be a duration: {FORM}")  # noqa: TRY004 - one kind of error for every bad value
    try:
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
    except ValueError as error:
        raise ValueError(f"{_quoted(value)} is not a duration; write {FORM}") from error
    if not key.low <= seconds <= key.high:
        raise ValueError(f"must be from {format_duration(key.low)} to {format_duration(key.high)}")
    return seconds


def _choice(value: object, key: Key) -> str:
    text = _string(value)
    if text not in key.choices:
        raise ValueError(f"{_quoted(text)} is not one of {', '.join(key.choices)}")
    return text


def _int(value: object, key: Key) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError("must be a whole number")
    number = int(text)
    if not key.low <= number <= key.high:
        raise ValueError(f"must be from {key.low:g} to {key.high:g}")
    return number


def _bool(value: object, _: Key) -> bool:
    if isinstance(value, bool):
        return value
    known = _BOOLS.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise ValueError("must be true or false")
    return known


def _window(value: object, _: Key) -> str:
    text = _string(value)
    start, dash, end = text.partition("-")
    if not re.fullmatch(_WINDOW, text) or not dash or start >= end:
        raise ValueError(f"{_quoted(text)} is not a part of a day such as 09:00-20:00")
    return text


def _phones(value: object, key: Key) -> tuple[str, ...]:
    return tuple(_phone(item, key) for item in _items(value))


def _countries(value: object, _: Key) -> tuple[str, ...]:
    codes = tuple(_string(item) for item in _items(value))
    for code in codes:
        if not re.fullmatch(_COUNTRY, code):
            raise ValueError(f"{_quoted(code)} is not an ISO 3166 country code such as US or DE")
    return codes


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError("must be a list, or one text with commas")


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")  # noqa: TRY004 - one kind of error for every bad value
    return value


def _quoted(value: object) -> str:
    text = str(value)
    return ascii(text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "...")


KINDS: Final[Mapping[str, Callable[[object, Key], Any]]] = {
    "text": _text,
    "secret": _secret,
    "token": _token,
    "ident": _ident,
    "phone": _phone,
    "url": _url,
    "duration": _duration,
    "choice": _choice,
    "int": _int,
    "bool": _bool,
    "window": _window,
    "phones": _phones,
    "countries": _countries,
}
