"""How a carrier opens a media stream, and what its streams do differently from another's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.world import StreamEnd, StreamSpec

_HANDSHAKE_S: Final = 10.0
_CLOSE_S: Final = 2.0
_LARGEST_MESSAGE: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manners:
    """What one carrier's streams do differently from another's."""

    account_id: str
    greets: bool = True  #: `connected` before `start`, `stop` at the end
    attempts: int = 1  #: how often the handshake is tried
    epoch: bool = False  #: media timestamps count from 1970, not from the stream's start
    clears_marks: bool = False  #: `clear` says `clearedAudio` and forgets the marks, in place of returning them
    buffer_s: float = float("inf")  #: what is more is dropped
    closes_on_nonsense: str = ""  #: the code under which an invalid message ends the stream
    stream_prefix: str = ""  #: before 32 hexadecimal digits; empty: a UUID


MANNERS: Final = {
    Provider.TELNYX: Manners(credentials.TELNYX_ACCOUNT_SID),
    # https://www.twilio.com/docs/api/errors/31951
    Provider.TWILIO: Manners(credentials.TWILIO_ACCOUNT_SID, closes_on_nonsense="31951", stream_prefix="MZ"),
    Provider.PLIVO: Manners(
        credentials.PLIVO_AUTH_ID, greets=False, attempts=3, epoch=True, clears_marks=True, buffer_s=40.0
    ),
}


def new_session() -> aiohttp.ClientSession:
    """Return an HTTP client that follows no redirects."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(trace_configs=[tracing])


async def _refuse_redirect(*_: object) -> None:
    # A WebSocket handshake that is redirected has failed: RFC 6455 leaves following to the client, and carriers do not.
    raise aiohttp.ClientConnectionError("redirected")


async def shake_hands(
    session: aiohttp.ClientSession, spec: StreamSpec, manners: Manners
) -> aiohttp.ClientWebSocketResponse | StreamEnd:
    """Open the stream's socket as often as the carrier tries; return it, or how it was refused."""
    detail = ""
    for _ in range(manners.attempts):
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                return await session.ws_connect(
                    spec.url,
                    headers=dict(spec.headers),
                    max_msg_size=_LARGEST_MESSAGE,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                )
        except aiohttp.WSServerHandshakeError as error:
            detail = f"HTTP {error.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            detail = type(error).__name__
    return StreamEnd("refused", detail)
