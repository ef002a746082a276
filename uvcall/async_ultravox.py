"""The Ultravox API for a server: kept-alive connections, one deadline for each request.

Create Call, which every caller waits for, goes by `uvcall.kept_alive`; everything else, and all of it through a proxy,
by aiohttp. httpx's own pool collapses when hundreds of requests are in flight; see tests/bench/inbound.py.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from uvcall.core import ultravox_api as api
from uvcall.core.model import CreatedCall, UltravoxCall
from uvcall.core.secret import LOOPBACK_HOSTS, JoinUrl, Secret, parse_join_url
from uvcall.core.ultravox_api import answers, failures
from uvcall.core.webhook import HttpResponse, Lost
from uvcall.kept_alive import KeptAlive

CONNECT_S: Final = 3.0


class AsyncUltravox:
    """An asynchronous client. Make it, use it and close it in one running loop.

    Args:
        key: The API key.
        base_url: Where the API is; `/api` is appended unless the path ends with it.
    """

    def __init__(self, key: Secret, *, base_url: str) -> None:
        self._base = api.base(base_url)
        self.loopback = urlsplit(self._base).hostname in LOOPBACK_HOSTS
        self._headers = CIMultiDict(
            {
                "x-api-key": key.reveal(),
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "uvcall",
            }
        )
        self._headers_of_json = self._headers.copy()
        self._headers_of_json["content-type"] = "application/json"
        # Loopback is never asked through a proxy. Asked once: aiohttp would look at the environment for each request.
        self._proxy = None if self.loopback else _proxy_for(self._base)
        self._lines = KeptAlive(self._base, self._headers_of_json, limit=failures.LIMIT)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # The deadline is the caller's, for connecting, sending and reading together.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        )

    async def close(self) -> None:
        """Close the connections."""
        self._lines.close()
        await self._session.close()

    async def create_call(self, path: str, body: bytes, *, within_s: float) -> CreatedCall:
        """Create a call, in one attempt.

        Args:
            path: `/api/calls` or `/api/agents/{id}/calls`, with a query string if there is one.
            body: The body as JSON.
            within_s: Seconds for all of it.

        Raises:
            UvcallError: As `core.ultravox_api.failures` says.
        """
        ask = self._post if self._proxy is None else self._ask_to_post
        response = await ask(path.removeprefix("/api"), body, within_s=within_s)
        return answers.read_created(response, loopback=self.loopback, rings=False, now=_now())

    async def join_url(self, call_id: str, *, within_s: float) -> JoinUrl | None:
        """Return the join URL of a call that waits to be joined, or None when it has been joined or is over."""
        request = api.get_call(call_id)
        response = await self._ask(request.method, request.path, None, within_s=within_s)
        call = answers.read_call(response, now=_now())
        if call.joined_at is not None or call.ended_at is not None:
            return None
        body = failures.parsed(response.body)
        found = body.get("joinUrl") if isinstance(body, dict) else None
        return parse_join_url(found, loopback=self.loopback) if found else None

    async def get_call(self, call_id: str, *, within_s: float) -> UltravoxCall:
        """Ask where the call is."""
        request = api.get_call(call_id)
        return answers.read_call(await self._ask(request.method, request.path, None, within_s=within_s), now=_now())

    async def find(self, attempt: str, *, within_s: float) -> str | None:
        """Return the id of the call whose metadata names this attempt, if there is one."""
        request = api.list_calls({"uvcall_attempt": attempt})
        response = await self._ask(request.method, request.path, None, within_s=within_s, query=dict(request.query))
        calls, _ = answers.read_calls(response, now=_now())
        # The filter is asked for, and not trusted.
        return next((call.call_id for call in calls if call.metadata.get("uvcall_attempt") == attempt), None)

    async def hang_up(self, call_id: str, *, within_s: float) -> bool:
        """End a joined call. Returns False when there is nothing to end."""
        import json

        request = api.hang_up(call_id)
        body = json.dumps(request.body).encode()
        return answers.read_hung_up(await self._ask("POST", request.path, body, within_s=within_s), now=_now())

    async def _post(self, path: str, body: bytes, *, within_s: float) -> HttpResponse:
        try:
            response = await self._lines.post(path, body, within_s=within_s)
        except Lost as error:
            raise failures.lost(error.why, sent=error.sent) from error
        if len(response.body) > failures.LIMIT:
            raise failures.unreadable(f"it is larger than {failures.LIMIT:,} bytes")
        for name, value in response.headers:
            if name.lower() == "content-encoding" and value.lower() not in {"", "identity"}:
                raise failures.unreadable("it is compressed, which was not asked for")
        return response

    async def _ask_to_post(self, path: str, body: bytes, *, within_s: float) -> HttpResponse:
        return await self._ask("POST", path, body, within_s=within_s)

    async def _ask(
        self, method: str, path: str, body: bytes | None, *, within_s: float, query: dict[str, str] | None = None
    ) -> HttpResponse:
        connected = False
        url = URL(self._base + path, encoded=True)
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.request(
                    method,
                    url if query is None else url.update_query(query),
                    data=body,
                    headers=self._headers if body is None else self._headers_of_json,
                    allow_redirects=False,
                    proxy=self._proxy,
                ) as response,
            ):
                connected = True
                if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
                    raise failures.unreadable("it is compressed, which was not asked for")
                content = await _whole(response)
                return HttpResponse(response.status, tuple(response.headers.items()), content)
        except TimeoutError as error:
            raise failures.lost("no answer in time", sent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failures.lost(_why(error, connected=connected), sent=connected) from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    if response.content_length is not None and response.content_length <= failures.LIMIT:
        return await response.read()
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(65536):
        size += len(piece)
        if size > failures.LIMIT:
            raise failures.unreadable(f"it is larger than {failures.LIMIT:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


#: The first that matches gives the words; aiohttp's own text holds addresses.
_WHY: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "its name cannot be resolved"),
    (aiohttp.ClientConnectorSSLError, "no trusted TLS connection"),
    (aiohttp.ClientConnectorCertificateError, "no trusted TLS connection"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "the connection was lost"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.InvalidURL, "the base URL is not valid"),
)


def _why(error: BaseException, *, connected: bool) -> str:
    words: Any = next((text for kind, text in _WHY if isinstance(error, kind)), None)
    return words or ("the answer cannot be read" if connected else "the connection was lost")


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the system's settings name for this address."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _now() -> datetime:
    return datetime.now(UTC)
