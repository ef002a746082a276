"""The WebSocket transport: PCM in binary messages, data messages in text messages.

https://docs.ultravox.ai/apps/websockets
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from uvcall.core.secret import JoinUrl, is_loopback
from uvcall.errors import ProviderRefused, Temporary, UvcallError
from uvcall.softphone.transport import Arrival, AudioIn, DataIn, Ended

#: Seconds until the socket stands, name lookup and TLS included.
CONNECT_S: Final = 12.0
#: Seconds between two pings of the socket itself; half as long is waited for the answer. What stops is found out so.
HEARTBEAT_S: Final = 10.0
#: Half a minute of 48,000 Hz is 2.9 MB, and nobody sends as much in one message.
LARGEST_MESSAGE: Final = 4 * 1024 * 1024
_CLOSE_S: Final = 1.0

_PEER: Final = "ultravox"
_FRESH: Final = "a join URL is used once and not kept for long: take a fresh one"

#: What the status of a refused handshake means. Ultravox does not document it: the words say no more than HTTP does.
_REFUSALS: Final = {
    400: "does not take this join URL",
    401: "does not let this join URL in",
    403: "does not let this join URL in",
    404: "knows no call of this join URL",
    409: "says that somebody has joined this call already",
    410: "says that this call is over",
    426: "does not speak WebSocket there",
}


class Elsewhere(Exception):
    """The URL was answered with a redirect. A bearer URL is shown to nobody else."""


async def _no_redirects(*_: Any) -> None:
    raise Elsewhere


def new_session(url: str) -> aiohttp.ClientSession:
    """Return an HTTP client for one URL, which raises `Elsewhere` where others would follow a redirect."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_no_redirects)
    # Loopback is never asked through a proxy.
    return aiohttp.ClientSession(
        trust_env=not is_loopback(url), trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar()
    )


class WebSocketTransport:
    """One socket to an agent.

    Args:
        url: The join URL.
        heartbeat_s: Seconds between two pings of the socket.
    """

    def __init__(self, url: JoinUrl, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._url = url
        self._heartbeat_s = heartbeat_s
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> None:
        """Open the socket. Raises as `Transport.connect`."""
        self._http = new_session(self._url.reveal())
        try:
            async with asyncio.timeout(CONNECT_S):
                self._socket = await self._http.ws_connect(
                    self._url.reveal(),
                    heartbeat=self._heartbeat_s,
                    max_msg_size=LARGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, Elsewhere) as error:
            await self.close()
            raise refusal(error) from None  # the chain would hold the join URL

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield what comes."""
        socket = self._socket
        if socket is None:
            raise RuntimeError("the socket is not open")
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                yield AudioIn(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                yield DataIn(message.data)
            else:
                yield _ended(socket, message)
                return

    async def send_audio(self, samples: bytes) -> None:
        """Send a frame."""
        if self._socket is not None and not self._socket.closed:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_bytes(samples)

    async def send_data(self, text: str) -> None:
        """Send a data message."""
        if self._socket is not None and not self._socket.closed:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_str(text)

    async def close(self) -> None:
        """Close the socket and everything under it."""
        socket, http, self._http = self._socket, self._http, None
        if socket is not None and not socket.closed:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
                await socket.close()
        if http is not None:
            await http.close()


def _ended(socket: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage) -> Ended:
    code = socket.close_code
    if message.type is aiohttp.WSMsgType.CLOSE:
        reason = " ".join(str(message.extra or "").split())[:120]
        said = f"the socket was closed with code {code}" + (f": {reason}" if reason else "")
        # 1000 normal, 1001 going away, 1005 no code. https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
        return Ended(code in {1000, 1001, 1005}, said)
    words = "the socket was lost"
    if isinstance(message.data, aiohttp.WebSocketError):
        words = "the socket brought what is not WebSocket"
        if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            words = f"the socket brought a message larger than {LARGEST_MESSAGE:,} bytes"
    elif isinstance(message.data, TimeoutError):
        words = "the socket has gone silent"
    return Ended(in_order=False, words=words)


def refusal(error: Exception) -> UvcallError:
    """Return what a failed handshake means, without the join URL."""
    if isinstance(error, Elsewhere):
        return ProviderRefused("the join URL is answered with a redirect, which is not followed", hint=_FRESH)
    if isinstance(error, aiohttp.WSServerHandshakeError):
        status = error.status
        if status >= 500 or status in {408, 429}:
            return Temporary(
                f"Ultravox does not take the call now: status {status}",
                hint="run it again in a moment",
                status=status,
                peer=_PEER,
            )
        words = _REFUSALS.get(status, "does not open a WebSocket there")
        return ProviderRefused(f"Ultravox {words}: status {status}", hint=_FRESH, status=status, peer=_PEER)
    if isinstance(error, TimeoutError):
        return Temporary(
            f"the join URL's host has not answered within {CONNECT_S:g} s",
            hint="check the network, and run it again",
            peer=_PEER,
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return Temporary(
            "no trusted connection to the join URL's host can be made: its certificate is not accepted",
            hint="check this machine's clock and certificates, and whether a proxy stands between",
            peer=_PEER,
        )
    if isinstance(error, aiohttp.ClientConnectorError | OSError):
        return Temporary(
            f"the join URL's host cannot be reached: {_why(error)}",
            hint="check the network, and run it again",
            peer=_PEER,
        )
    return ProviderRefused("what answers at the join URL does not speak WebSocket", hint=_FRESH, peer=_PEER)


def _why(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    words = getattr(cause, "strerror", None)
    return str(words) if words else type(cause).__name__
