"""Why a carrier's signature does not match: most often the public URL is not the one that the carrier calls.

What is tried here is for words only. The configured address stays the only one that a signature is good for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from uvcall.core.carrier import Provider
from uvcall.core.webhook import HttpRequest, SignatureInvalid, header
from uvcall.core.wire import wire

#: Headers in which a proxy may tell the host that the carrier called.
_HOSTS: Final = ("Host", "X-Forwarded-Host", "X-Original-Host")
_MOST: Final = 64


def signed_url(provider: Provider, request: HttpRequest, key: str, *, now: float) -> str | None:
    """Return the URL that the carrier has signed, if it is one of the usual mistakes; without its query string."""
    if provider is Provider.TELNYX:  # its signature does not cover the URL
        return None
    for number, url in enumerate(_candidates(request)):
        if number >= _MOST:
            break
        try:
            wire(provider).verify(replace(request, url=url), key, now=now)
        except SignatureInvalid:
            continue
        return url.partition("?")[0]
    return None


def _candidates(request: HttpRequest) -> Iterator[str]:
    """Yield the request's URL with another scheme, host, port, path, or a slash more or less."""
    parts = urlsplit(request.url)
    told = [parts.netloc, *(header(request.headers, name) or "" for name in _HOSTS)]
    hosts = dict.fromkeys(one for host in told for one in (host, host.partition(":")[0]) if one and len(one) < 256)
    tail = parts.path.rstrip("/")
    last = "/" + tail.rpartition("/")[2] if not tail.endswith("/status") else "/".join(["", *tail.split("/")[-2:]])
    paths = dict.fromkeys((tail, tail + "/", last, last + "/", "/"))
    query = f"?{parts.query}" if parts.query else ""
    for host in hosts:
        for scheme in ("https", "http"):
            for path in paths:
                url = f"{scheme}://{host}{path}{query}"
                if url != request.url:
                    yield url
