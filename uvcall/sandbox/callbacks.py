"""How the carriers reach the user's own web server: signed, retried, and on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from uvcall.core.carrier import Provider
from uvcall.core.webhook import FORM, Headers, HttpRequest, HttpResponse
from uvcall.core.wire import wire
from uvcall.sandbox.credentials import SIGNING_KEYS
from uvcall.sandbox.documents import MAX_BYTES
from uvcall.sandbox.faults import LATE_S, strike
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


def signed(provider: Provider, request: HttpRequest, keys: Mapping[str, str] = SIGNING_KEYS) -> HttpRequest:
    """Return the request with the carrier's signature, made now; with the sandbox's keys unless others are given."""
    key = keys[provider.value]
    return wire(provider).sign(request, key, now=time.time(), nonce=uuid.uuid4().hex[:20])


def handshake_headers(provider: Provider, url: str, keys: Mapping[str, str] = SIGNING_KEYS) -> dict[str, str]:
    """Return the signature headers with which the carrier opens a media stream (Telnyx documents none)."""
    if provider is Provider.TELNYX:
        return {}
    return dict(signed(provider, HttpRequest("GET", url), keys).headers)


class Messenger:
    """The carriers' own HTTP client. One for a sandbox; `close` it with the loop still running.

    `keys` sign, by the carrier's name. With a `public_base` the user's server is known to the carriers by that address,
    and it is what they sign, while the requests go to this machine.
    """

    def __init__(self, world: World, keys: Mapping[str, str] = SIGNING_KEYS, public_base: str = "") -> None:
        self.world = world
        self.keys = keys
        self.public_base = public_base.rstrip("/")
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
            fault = strike(self.world, leg.provider.value, "webhook", event=event, carrier_call_id=leg.id)
            for _ in range(2 if fault == "duplicate-webhook" else 1):
                pause = LATE_S if fault == "late-webhook" else 0.0
                self.world.spawn(
                    self._deliver(leg, event, url, method, fields, data, pause), f"webhook {event} of {leg.id}"
                )

    async def fetch(self, leg: Leg, url: str, method: str, fields: Mapping[str, str]) -> str:
        """Ask the user's server for an answer document.

        Raises:
            FetchFailed: It cannot be reached, does not answer 2xx in time, or the document is no text of 100 KB.
        """
        request = form_request(url, method, fields)
        failure = ""
        twice = strike(self.world, leg.provider.value, "webhook", event="document", carrier_call_id=leg.id)
        if twice == "late-webhook":
            await self.world.pace.sleep(LATE_S)
        for attempt, pause in enumerate((0.0, *PATIENCE[leg.provider].pauses), 1):
            await asyncio.sleep(pause)
            try:
                status, body = await self._send(leg.provider, request)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = type(error).__name__
                self._note(leg, "document", url, attempt, None, failure)
                continue
            self._note(leg, "document", url, attempt, status, "")
            if twice == "duplicate-webhook":
                # The second answer comes too late to matter: the first one's document is being carried out.
                self.world.spawn(self._deliver(leg, "document", url, method, fields, None, 0.0), "document again")
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
        late_s: float,
    ) -> None:
        await self.world.pace.sleep(late_s)
        patience = PATIENCE[leg.provider]
        for attempt, pause in enumerate((0.0, *patience.pauses), 1):
            await asyncio.sleep(pause)
            if data is not None:
                envelope = {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
                headers: Headers = (("Content-Type", "application/json"),)
                request = HttpRequest("POST", url, headers, json.dumps(envelope).encode())
            else:
                request = form_request(url, method, fields or {})
            try:
                status, _ = await self._send(leg.provider, request)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._note(leg, event, url, attempt, None, type(error).__name__)
                continue
            self._note(leg, event, url, attempt, status, "")
            if 200 <= status < 300 or not patience.again_on_status:
                return

    def sign(self, provider: Provider, request: HttpRequest) -> HttpRequest:
        """Return the request signed over the address by which the carrier knows the user's server."""
        return replace(signed(provider, self.as_known(request), self.keys), url=request.url)

    def as_known(self, request: HttpRequest) -> HttpRequest:
        """Return the request with the URL by which the carrier knows the user's server."""
        if not self.public_base:
            return request
        rest = urlsplit(request.url)._replace(scheme="", netloc="")
        return replace(request, url=self.public_base + urlunsplit(rest))

    async def send(self, request: HttpRequest, *, connect_s: float, total_s: float) -> HttpResponse:
        """Send a request as it is, to this machine only, and return the answer: at most `MAX_BYTES` and one of it.

        Raises:
            aiohttp.ClientError: It cannot be delivered; TimeoutError: not in time; OSError likewise.
        """
        if not is_loopback(request.url):
            raise aiohttp.ClientConnectionError("the sandbox contacts this machine only")
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, connector=aiohttp.TCPConnector(limit=0))
        parts = urlsplit(request.url)
        async with self._session.request(
            request.method,
            URL(urlunsplit(parts._replace(fragment="")), encoded=True),
            headers=dict(request.headers),
            data=request.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_s, connect=connect_s),
        ) as response:
            body = b""
            with contextlib.suppress(aiohttp.ClientPayloadError):
                while len(body) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES + 1 - len(body))):
                    body += more
            return HttpResponse(response.status, tuple(response.headers.items()), body)

    async def _send(self, provider: Provider, request: HttpRequest) -> tuple[int, bytes]:
        patience = PATIENCE[provider]
        ready = self.sign(provider, request)
        answer = await self.send(ready, connect_s=patience.connect_s, total_s=patience.total_s)
        return answer.status, answer.body

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


def form_request(url: str, method: str, fields: Mapping[str, str]) -> HttpRequest:
    """Return the request with the fields where the method puts them: in the query or in a form."""
    if method == "GET":
        parts = urlsplit(url)
        query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
        return HttpRequest("GET", urlunsplit(parts._replace(query=query)))
    return HttpRequest(method, url, (("Content-Type", FORM),), urlencode(fields).encode())
