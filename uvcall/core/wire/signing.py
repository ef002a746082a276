"""What the carriers' signatures have in common: headers, keys, and the parameters of a form.

Twilio and Plivo sign names and values joined without any separator, so a signed request can be cut into other fields
with the same signature. A valid signature therefore says "these characters came from the carrier", not "these fields":
`fields` matches every field in use against its whole pattern afterwards.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from urllib.parse import parse_qsl

from uvcall.core.webhook import FORM, Headers, HttpRequest, SignatureInvalid, WebhookInvalid, form_fields, header
from uvcall.errors import ConfigError

_HINT = "check the key in the settings, and that server.public_url is the very address that the carrier calls"


def unsigned(message: str) -> SignatureInvalid:
    """Return the error for a webhook that its carrier has not signed. The text never says what would have matched."""
    return SignatureInvalid(message, hint=_HINT)


def count(headers: Headers, name: str) -> int:
    """Return how often the header stands there."""
    wanted = name.lower()
    return sum(1 for key, _ in headers if key.lower() == wanted)


def sole(headers: Headers, name: str) -> str:
    """Return the one value of a header.

    Raises:
        SignatureInvalid: It is missing, empty, or stands there more than once.
    """
    value = header(headers, name)
    if not value:
        raise unsigned(f"the header {name} is missing or doubled")
    return value


def with_headers(headers: Headers, new: dict[str, str]) -> Headers:
    """Return the headers with these in place of any of the same names."""
    gone = {name.lower() for name in new}
    return (*(pair for pair in headers if pair[0].lower() not in gone), *new.items())


def secret_bytes(key: str, setting: str) -> bytes:
    """Return the secret as the key of an HMAC.

    Raises:
        ConfigError: It is empty: anyone could sign with an empty key.
    """
    if not key:
        raise ConfigError(f"{setting} is not set", hint=f"run: uvcall config set {setting}")
    return key.encode("utf-8")


def key_bytes(key: str, setting: str) -> bytes:
    """Return the 32 bytes of an Ed25519 key given as base64.

    https://www.rfc-editor.org/rfc/rfc8032#section-5.1.5

    Raises:
        ConfigError: It is not that.
    """
    raw = strict_base64(key)
    if raw is None or len(raw) != 32:
        raise ConfigError(
            f"{setting} is not the base64 of 32 bytes", hint="copy it again from Telnyx: Keys & Credentials, Public Key"
        )
    return raw


def strict_base64(text: str) -> bytes | None:
    """Return the bytes, or None unless the text is exactly what an encoder would have written for them."""
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return raw if b2a_base64(raw, newline=False).decode("ascii") == text else None


def is_form(request: HttpRequest) -> bool:
    """Say whether the body is declared as form data."""
    return _declared(request.headers) == FORM


@lru_cache(maxsize=4)
def _declared(headers: Headers) -> str:
    """Return the body's kind. Remembered: who checks a signature and who reads ask alike."""
    return (header(headers, "Content-Type") or "").partition(";")[0].strip().lower()


def signed_form(request: HttpRequest) -> tuple[tuple[str, str], ...]:
    """Return the form's parameters as the carrier signs them.

    Raises:
        SignatureInvalid: The body is not a form that could have been signed, or belongs to a GET.
    """
    if not request.body:
        return ()
    if request.method.upper() == "GET" or not is_form(request):
        raise unsigned("the body is not one that the signature covers")
    try:
        return form_fields(request.body)
    except WebhookInvalid as error:
        raise unsigned("the body is not form data") from error


def bare(url: str) -> str:
    """Return the URL without its fragment, which is never sent and never signed."""
    return url.partition("#")[0]


def query(url: str) -> str:
    """Return the URL's query string, as received."""
    return bare(url).partition("?")[2]


def query_pairs(url: str) -> list[tuple[str, str]]:
    """Return the parameters of the URL's query, decoded as the carriers decode them before signing.

    Raises:
        SignatureInvalid: It is not UTF-8 in percent-encoding, or has more than a hundred parameters.
    """
    text = query(url)
    if not text:  # as nearly all of them are
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError as error:
        raise unsigned("the query string cannot be read") from error
