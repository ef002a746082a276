"""The access token of a room: a JWT as LiveKit's servers take it, good for one participant.

https://docs.livekit.io/home/get-started/authentication/
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

#: Nobody joins a room with a token that is older (seconds).
LIFETIME_S: Final = 3600
_HEADER: Final = {"alg": "HS256", "typ": "JWT"}
_LONGEST: Final = 4096


class TokenRefused(Exception):
    """The token opens no room; the message says why."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom the token lets into which room, until when (seconds since the epoch)."""

    room: str
    identity: str
    expires: int


def issue(claims: Claims, key: bytes) -> str:
    """Return the token."""
    body = {
        "iss": "uvcall-sandbox",
        "sub": claims.identity,
        "exp": claims.expires,
        "nbf": claims.expires - LIFETIME_S,
        "video": {
            "room": claims.room,
            "roomJoin": True,
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
        },
    }
    said = f"{_coded(json.dumps(_HEADER).encode())}.{_coded(json.dumps(body).encode())}"
    return f"{said}.{_coded(_sign(said, key))}"


def check(token: str, key: bytes, now: float) -> Claims:
    """Return what the token says, once its signature stands; `now` in seconds since the epoch.

    Raises:
        TokenRefused: It is no token, not of this server, or expired.
    """
    said, _, signature = token.rpartition(".")
    if len(token) > _LONGEST or not hmac.compare_digest(
        _coded(_sign(said, key)).encode(), signature.encode(errors="replace")
    ):
        raise TokenRefused("invalid token: it is not of this server")
    body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(said.partition(".")[2] + "=="))
    if body["exp"] <= now:
        raise TokenRefused("invalid token: it has expired")
    return Claims(body["video"]["room"], body["sub"], body["exp"])


def _sign(said: str, key: bytes) -> bytes:
    return hmac.new(key, said.encode(errors="replace"), hashlib.sha256).digest()


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
