"""One POST over the standard library, for the request of `dial` that everything else waits for.

httpx is imported in three times the time that `http.client` takes, and the callee's phone cannot ring before Ultravox
has answered. So this one request goes without it; httpx serves all the others, and this one too where a proxy stands
in between.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.webhook import HttpResponse
from uvcall.imports import tls_context

CONNECT_S: Final = 5.0
_CHUNK: Final = 65_536


class Broken(Exception):
    """There is no whole answer.

    Args:
        why: A few words.
        sent: A byte of the request may have arrived.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


def direct(url: str) -> bool:
    """Return whether no proxy stands before this URL."""
    host = urlsplit(url).hostname or ""
    if host in LOOPBACK_HOSTS:
        return True
    from urllib.request import getproxies, proxy_bypass

    return not {"https", "all"} & set(getproxies()) or bool(proxy_bypass(host))


def post(
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes,
    timeout_s: float,
    limit: int,
    on_sent: Callable[[], None] = lambda: None,
) -> HttpResponse:
    """Send once and read the whole answer; redirects are answers like any other.

    Args:
        url: Where to; the certificate of https is checked.
        headers: The request's headers.
        content: Its body.
        timeout_s: Seconds of patience in all; a peer that drips its headers is held off by the caller's own deadline.
        limit: The longest body that is read; one byte more is returned for the caller to refuse.
        on_sent: Called when the request has left.

    Raises:
        Broken: There is no whole answer.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + timeout_s
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s)
    sent = False
    try:
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        sent = True
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=content, headers=dict(headers))
        on_sent()
        answer = connection.getresponse()
        body = bytearray()
        while len(body) <= limit:
            chunk = answer.read1(_CHUNK)
            if not chunk:
                break
            body += chunk
            if time.monotonic() > deadline:
                raise Broken("it was not complete in time", sent=True)
        if answer.length and len(body) <= limit:
            raise Broken("the answer broke off", sent=True)
        return HttpResponse(answer.status, tuple(answer.getheaders()), bytes(body))
    except TimeoutError as error:
        raise Broken("no answer in time" if sent else "no connection in time", sent=sent) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Broken("the answer broke off" if sent else "no connection", sent=sent) from error
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None, timeout_s: float) -> http.client.HTTPConnection:
    patience = min(CONNECT_S, timeout_s)
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=patience, context=tls_context(needed=True))
    return http.client.HTTPConnection(host, port, timeout=patience)
