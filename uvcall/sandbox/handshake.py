"""How a carrier opens a media stream, and what its streams do differently from another's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from uvcall.core.carrier import Provider
from uvcall.sandbox import credentials
from uvcall.sandbox.upgrade import HandshakeFailed, connect
from uvcall.sandbox.websocket import Channel
from uvcall.sandbox.world import StreamEnd, StreamSpec

_Result = TypeVar("_Result")

_HANDSHAKE_S: Final = 10.0
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


async def shake_hands(spec: StreamSpec, manners: Manners) -> Channel | StreamEnd:
    """Open the stream's socket as often as the carrier tries; return it, or how it was refused."""
    detail = ""
    for _ in range(manners.attempts):
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                return await connect(spec.url, spec.headers, _LARGEST_MESSAGE)
        except HandshakeFailed as failed:
            detail = str(failed)
        except (OSError, TimeoutError, ValueError) as error:
            detail = type(error).__name__
    return StreamEnd("refused", detail)


async def unless_over(end: asyncio.Event, work: Coroutine[Any, Any, _Result]) -> _Result | None:
    """Return the work's result, or None when the end came first."""
    task = asyncio.ensure_future(work)
    over = asyncio.ensure_future(end.wait())
    try:
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        over.cancel()
