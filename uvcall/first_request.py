"""One POST over the standard library, for the request of `dial` that everything else waits for.

httpx is imported in eight times the time that a socket takes, `http.client` in three times, and the callee's phone
cannot ring before Ultravox has answered. So this one request is written by hand, and `http.client` is imported to read
the answer while that is waited for. httpx serves all other requests, and this one too where a proxy stands in between.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.webhook import HttpResponse, Lost
from uvcall.imports import tls_context

CONNECT_S: Final = 5.0
_CHUNK: Final = 65_536


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
        Lost: There is no whole answer.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + timeout_s
    sent = False
    try:
        request = _request(parts, headers, content)
        with _connected(parts, min(CONNECT_S, timeout_s)) as connection:
            connection.settimeout(timeout_s)
            sent = True
            connection.sendall(request)
            on_sent()
            return _answer(connection, deadline, limit)
    except TimeoutError as error:
        raise Lost("no answer in time" if sent else "no connection in time", sent=sent) from error
    except (OSError, ValueError) as error:
        raise Lost("the answer broke off" if sent else "no connection", sent=sent) from error


def _request(parts: SplitResult, headers: Mapping[str, str], content: bytes) -> bytes:
    """Return the request as HTTP/1.1 writes it.

    https://www.rfc-editor.org/rfc/rfc9112

    Raises:
        ValueError: The URL or a header holds what would end its line.
    """
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host if host.isascii() else host.encode("idna").decode()
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": f"{name}:{parts.port}" if parts.port else name, **headers, "Content-Length": str(len(content))}
    if not all("!" <= character <= "~" for character in target + name):
        raise ValueError("the URL holds what no URL may hold")
    lines = [f"POST {target} HTTP/1.1", *(f"{field}: {value}" for field, value in fields.items())]
    if not all(line.isprintable() for line in lines):
        raise ValueError("a header holds what no header may hold")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + content


def _connected(parts: SplitResult, patience_s: float) -> socket.socket:
    host = parts.hostname or ""
    if parts.scheme != "https":
        return socket.create_connection((host, parts.port or 80), patience_s)
    context = tls_context(needed=True)
    connection = socket.create_connection((host, parts.port or 443), patience_s)
    try:
        wrapped: socket.socket = context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
    return wrapped


def _answer(connection: socket.socket, deadline: float, limit: int) -> HttpResponse:
    import http.client

    answer = http.client.HTTPResponse(connection, method="POST")
    try:
        answer.begin()
        body = bytearray()
        while len(body) <= limit:
            chunk = answer.read1(_CHUNK)
            if not chunk:
                break
            body += chunk
            if time.monotonic() > deadline:
                raise Lost("it was not complete in time", sent=True)
        if answer.length and len(body) <= limit:
            raise Lost("the answer broke off", sent=True)
        return HttpResponse(answer.status, tuple(answer.getheaders()), bytes(body))
    except http.client.HTTPException as error:
        raise Lost("the answer broke off", sent=True) from error
    finally:
        answer.close()
