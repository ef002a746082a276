"""Where recordings lie: a file server under another name than the API's, which takes an unguessable URL for a key.

Ultravox answers the question for a recording with the file or with a redirect to storage.
https://docs.ultravox.ai/api-reference/calls/calls-recording-get
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from uvcall.sandbox.ultravox_calls import SandboxCall
from uvcall.sandbox.world import World

_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{1,15})?")


@dataclass(slots=True)
class _Shelf:
    """Files by their secret names, and names by call."""

    files: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget every file."""
        self.files.clear()
        self.names.clear()


def _shelf(world: World) -> _Shelf:
    kept = world.rooms.get(_Shelf)
    if not isinstance(kept, _Shelf):
        kept = world.rooms[_Shelf] = _Shelf()
        world.on_reset.append(kept.clear)
    return kept


def place(world: World, call: SandboxCall, origin: str) -> str:
    """Return the URL of an ended call's recording; its bytes never change from now on.

    The storage's host is not the API's, so that a client shows whether it takes the key along.
    """
    kept = _shelf(world)
    name = kept.names.get(call.call_id)
    if name is None:
        name = kept.names[call.call_id] = secrets.token_urlsafe(24)
        kept.files[name] = call.tape.wav() if call.tape is not None else b""
    parts = urlsplit(origin)
    other = "localhost" if parts.hostname == "127.0.0.1" else "127.0.0.1" if parts.hostname == "localhost" else None
    host = f"{other}:{parts.port}" if other else parts.netloc
    return f"http://{host}/_storage/{name}.wav"


def route(world: World) -> web.RouteDef:
    """Return the storage's route."""

    async def fetch(request: web.Request) -> web.Response:
        data = _shelf(world).files.get(request.match_info["name"])
        key = "X-API-Key" in request.headers
        asked = request.headers.get("Range", "")
        world.history.record("ultravox", "recording.fetched", found=data is not None, range=asked[:60], key_shown=key)
        return web.Response(status=404) if data is None else _answer(request, data, asked)

    return web.get("/_storage/{name}.wav", fetch)


def _answer(request: web.Request, data: bytes, asked: str) -> web.Response:
    """Return the file, or the part of it that is asked for.

    https://www.rfc-editor.org/rfc/rfc9110#section-14
    """
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes"}
    wanted = _RANGE.fullmatch(asked)
    if wanted is None or request.headers.get("If-Range", tag) != tag:
        return web.Response(body=data, content_type="audio/wav", headers=headers)
    first = int(wanted[1])
    last = min(int(wanted[2]) if wanted[2] else len(data), len(data) - 1)
    if first > last:
        return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return web.Response(status=206, body=data[first : last + 1], content_type="audio/wav", headers=headers)
