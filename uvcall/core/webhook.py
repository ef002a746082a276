"""HTTP as plain values, for both directions, so that no room below the sockets knows a web library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

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
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=limit,
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise WebhookInvalid("the body is not form data") from error
    return tuple(pairs)
