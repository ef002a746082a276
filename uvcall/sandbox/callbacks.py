"""How the carriers reach the user's own web server: signed, retried, and on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from uvcall.core.carrier import Provider
from uvcall.core.webhook import FORM, Headers, HttpRequest
from uvcall.core.wire import wire
from uvcall.sandbox.credentials import SIGNING_KEYS
from uvcall.sandbox.documents import MAX_BYTES
from uvcall.sandbox.rest import is_loopback
from uvcall.sandbox.world import Leg, World


class FetchFailed(Exception):
    """No document could be had from the user's server; the text says why in a few words."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a carrier waits for the user's server and how often it asks again.

    Seconds of real time, since the user's server does not live in the sandbox's; `pauses` before each further attempt.
    """

    connect_s: float
    total_s: float
    pauses: tuple[float, ...]
    again_on_status: bool  #: an answer that is not 2xx is asked for again, not only a failed connection


#: https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks ·
#: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides · https://www.plivo.com/docs/voice/concepts/callbacks
#: Telnyx's documents give no number of retries and no pauses.
PATIENCE: Final = {
    Provider.TELNYX: Patience(2.0, 2.0, (0.2, 0.5), again_on_status=True),
    Provider.TWILIO: Patience(5.0, 15.0, (0.0,), again_on_status=False),
    Provider.PLIVO: Patience(2.0, 40.0, (0.0,), again_on_status=False),
}


def signed(provider: Provider, request: HttpRequest) -> HttpRequest:
    """Return the request with the carrier's signature, made now and with the sandbox's keys."""
    key = SIGNING_KEYS[provider.value]
    return wire(provider).sign(request, key, now=time.time(), nonce=uuid.uuid4().hex[:20])


def handshake_headers(provider: Provider, url: str) -> dict[str, str]:
    """Return the signature headers with which the carrier opens a media stream (Telnyx documents none)."""
    if provider is Provider.TELNYX:
        return {}
    return dict(signed(provider, HttpRequest("GET", url)).headers)


class Messenger:
    """The carriers' own HTTP client. One for a sandbox; `close` it with the loop still running."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def tell(
        self,
        leg: Leg,
        event: str,
        url: str,
        *,
        method: str = "POST",
        fields: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Send a webhook in the background: `fields` as a form (or query), `data` as Telnyx's JSON envelope."""
        if url:
            self.world.spawn(self._deliver(leg, event, url, method, fields, data), f"webhook {event}")

    async def fetch(self, leg: Leg, url: str, method: str, fields: Mapping[str, str]) -> str:
        """Ask the user's server for an answer document.

        Raises:
            FetchFailed: It cannot be reached, does not answer 2xx in time, or the document is no text of 100 KB.
        """
        request = _form_request(url, method, fields)
        failure = ""
        for attempt, pause in enumerate((0.0, *PATIENCE[leg.provider].pauses), 1):
            await asyncio.sleep(pause)
            try:
                status, body = await self._send(leg.provider, request)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = type(error).__name__
                self._note(leg, "document", url, attempt, None, failure)
                continue
            self._note(leg, "document", url, attempt, status, "")
            if not 200 <= status < 300:
                raise FetchFailed(f"HTTP {status}")
            try:
                return body.decode()
            except UnicodeDecodeError as error:
                raise FetchFailed("the document is not UTF-8") from error
        raise FetchFailed(failure)

    async def _deliver(
        self,
        leg: Leg,
        event: str,
        url: str,
        method: str,
        fields: Mapping[str, str] | None,
        data: Mapping[str, Any] | None,
    ) -> None:
        patience = PATIENCE[leg.provider]
        for attempt, pause in enumerate((0.0, *patience.pauses), 1):
            await asyncio.sleep(pause)
            if data is not None:
                envelope = {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
                headers: Headers = (("Content-Type", "application/json"),)
                request = HttpRequest("POST", url, headers, json.dumps(envelope).encode())
            else:
                request = _form_request(url, method, fields or {})
            try:
                status, _ = await self._send(leg.provider, request)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._note(leg, event, url, attempt, None, type(error).__name__)
                continue
            self._note(leg, event, url, attempt, status, "")
            if 200 <= status < 300 or not patience.again_on_status:
                return

    async def _send(self, provider: Provider, request: HttpRequest) -> tuple[int, bytes]:
        if not is_loopback(request.url):
            raise aiohttp.ClientConnectionError("the sandbox contacts this machine only")
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        patience = PATIENCE[provider]
        ready = signed(provider, request)
        parts = urlsplit(ready.url)
        async with self._session.request(
            ready.method,
            URL(urlunsplit(parts._replace(fragment="")), encoded=True),
            headers=dict(ready.headers),
            data=ready.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=patience.total_s, connect=patience.connect_s),
        ) as response:
            body = b""
            with contextlib.suppress(aiohttp.ClientPayloadError):
                body = await response.content.read(MAX_BYTES + 1)
            return response.status, body

    def _note(self, leg: Leg, event: str, url: str, attempt: int, status: int | None, failure: str) -> None:
        shown = urlunsplit(urlsplit(url)._replace(query="", fragment=""))
        self.world.history.record(
            leg.provider.value,
            "webhook",
            event=event,
            url=shown,
            attempt=attempt,
            status=status,
            failure=failure or None,
            carrier_call_id=leg.id,
        )


def _form_request(url: str, method: str, fields: Mapping[str, str]) -> HttpRequest:
    """Return the request with the fields where the method puts them: in the query or in a form."""
    if method == "GET":
        parts = urlsplit(url)
        query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
        return HttpRequest("GET", urlunsplit(parts._replace(query=query)))
    return HttpRequest(method, url, (("Content-Type", FORM),), urlencode(fields).encode())
