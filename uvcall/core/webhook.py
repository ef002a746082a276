"""HTTP as plain values, for both directions, so that no room below the sockets knows a web library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from uvcall.errors import UvcallError

Headers = tuple[tuple[str, str], ...]

FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request: `url` is absolute, built on the public base that the carrier was given, query string as received."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""


class HttpResponse(NamedTuple):
    """A response with its whole body."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Lost(Exception):
    """A request has no whole answer.

    Args:
        why: A few words.
        sent: A byte of the request may have arrived.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class SignatureInvalid(UvcallError):
    """A webhook is not signed, not by the right key, or not now."""

    code = "signature_invalid"
    exit_code = 5


class WebhookInvalid(UvcallError):
    """A webhook is signed but does not say what the carrier's documents say it must."""

    code = "webhook_invalid"
    exit_code = 5


def header(headers: Headers, name: str) -> str | None:
    """Return the header's value, or None when it is absent or stands there more than once."""
    wanted = name.lower()
    found = [value for key, value in headers if key.lower() == wanted]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=4)
def form_fields(body: bytes, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
    """Parse a form body strictly. The last few are remembered: who checks a signature and who reads ask alike.

    Raises:
        WebhookInvalid: It is not UTF-8 form data, or has more than `limit` fields.
    """
    if not body:
        return ()
    try:
        pieces = body.decode("ascii").split("&", limit)
        if len(pieces) > limit:
            raise WebhookInvalid("the body has too many fields")
        pairs = [piece.partition("=") for piece in pieces]
        if not all(equals for _, equals, _ in pairs):
            raise WebhookInvalid("a field of the body has no value")
        return tuple((_decoded(name), _decoded(value)) for name, _, value in pairs)
    except ValueError as error:
        raise WebhookInvalid("the body is not form data") from error


def _decoded(text: str) -> str:
    """Return the text without its encoding: https://url.spec.whatwg.org/#urlencoded-parsing."""
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text
