"""The Ultravox API over HTTP: effects around `core.ultravox_api`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar
from urllib.parse import urlencode

from uvcall import first_request
from uvcall.core import ultravox_api as api
from uvcall.core.model import CreatedCall, Line, UltravoxCall
from uvcall.core.payload import CreateCall
from uvcall.core.secret import Secret, is_loopback
from uvcall.core.ultravox_api import answers, failures
from uvcall.core.webhook import HttpResponse, Lost, header
from uvcall.errors import AuthError
from uvcall.imports import httpx_words, load_httpx, quiet, tls_context

if TYPE_CHECKING:
    from uvcall.core.transcripts import Message
    from uvcall.download import Fetched

T = TypeVar("T")

CONNECT_S: Final = 5.0
PAGES: Final = 50

_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "uvcall"}


def _unseen(_got: int, _total: int | None) -> None:
    """Take note of nothing."""


class Ultravox:
    """A synchronous client. Safe to share between threads.

    Args:
        key: The API key.
        base_url: Where the API is; `/api` is appended unless the path ends with it.
        timeout_s: Seconds of patience for one request, in all.
        proxied: False where it is known that this system names no proxy: then it is not looked for.

    Raises:
        AuthError: The key is empty, or no header can hold it.
    """

    def __init__(self, key: Secret, *, base_url: str, timeout_s: float = 20.0, proxied: bool = True) -> None:
        self._base = api.base(base_url)
        self._key = _checked(key)
        self._timeout_s = timeout_s
        self._client: Any = None
        self._opening = threading.Lock()
        self._proxied = proxied
        self.loopback = is_loopback(self._base)

    def load(self) -> None:
        """Import httpx and make the client. Slow the first time, contacts nobody."""
        with self._opening:
            if self._client is None:
                httpx = load_httpx()
                quiet("httpx", "httpcore")
                self._client = httpx.Client(
                    verify=tls_context(needed=self._base.startswith("https:")),
                    timeout=httpx.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
                    headers=_HEADERS,
                    follow_redirects=False,
                    # Loopback is never asked through a proxy.
                    trust_env=not self.loopback,
                )

    def close(self) -> None:
        """Close the connections, if any."""
        if self._client is not None:
            self._client.close()

    def create_call(
        self, create: CreateCall, *, rings: bool = False, sent: Callable[[], None] | None = None
    ) -> CreatedCall:
        """Create the call, in one attempt.

        Args:
            create: The request.
            rings: Ultravox itself will dial, so that a lost answer is `FateUnknown`.
            sent: Called when the request has left and only the answer is waited for.
        """
        request = api.create_call(create.path, create.body, create.query)
        if not self._proxied or first_request.direct(self._base):
            response = self._post(request, rings=rings, on_sent=sent or _nothing)
        else:
            response = self._ask(request, rings=rings, on_sent=sent)
        return answers.read_created(response, loopback=self.loopback, rings=rings, now=_now())

    def get_call(self, call_id: str) -> UltravoxCall:
        """Ask where the call is."""
        return answers.read_call(self._ask(api.get_call(call_id)), now=_now())

    def messages(self, call_id: str) -> tuple[Message, ...]:
        """Return what has been said and done so far, in all stages, oldest first."""
        return self._all(lambda cursor: api.messages(call_id, cursor=cursor), answers.read_messages)

    def transcript(self, call_id: str) -> tuple[Line, ...]:
        """Return what has been said so far, oldest first."""
        from uvcall.core.transcripts import line_of

        return tuple(line for message in self.messages(call_id) if (line := line_of(message)) is not None)

    def hang_up(self, call_id: str, message: str = "") -> bool:
        """End a joined call. Returns False when there is nothing to end."""
        return answers.read_hung_up(self._ask(api.hang_up(call_id, message)), now=_now())

    def agent_says(self, call_id: str, text: str, *, urgency: str = "immediate", uninterruptible: bool = False) -> None:
        """Make the agent say this.

        Raises:
            FateUnknown: It may be said or not: the answer is lost.
        """
        self._say(api.agent_says(call_id, text, urgency=urgency, uninterruptible=uninterruptible))

    def user_says(self, call_id: str, text: str, *, urgency: str | None = None) -> None:
        """Tell the agent this as if the person had said it.

        Raises:
            FateUnknown: The agent may hear it or not: the answer is lost.
        """
        self._say(api.user_says(call_id, text, urgency=urgency))

    def delete_call(self, call_id: str) -> None:
        """Delete a call that has ended."""
        answers.read_done(self._ask(api.delete_call(call_id)), now=_now())

    def calls_by_metadata(self, key: str, value: str) -> tuple[UltravoxCall, ...]:
        """Return the calls whose metadata has this value, newest first."""
        return self._all(lambda cursor: api.list_calls({key: value}, cursor=cursor), answers.read_calls)

    def events(self, call_id: str, *, severity: str = "info", kind: str | None = None) -> tuple[Mapping[str, Any], ...]:
        """Return the call's events of at least this severity, oldest first."""
        return self._all(
            lambda cursor: api.events(call_id, severity=severity, kind=kind, cursor=cursor), answers.read_events
        )

    def account(self) -> answers.AccountInfo:
        """Ask whose key it is."""
        return answers.read_account(self._ask(api.account_me()), now=_now())

    def agents(self) -> tuple[answers.Named, ...]:
        """Return the account's agents."""
        return self._all(lambda cursor: api.agents(cursor=cursor), answers.read_named)

    def voices(self) -> tuple[answers.Named, ...]:
        """Return the voices."""
        return self._all(lambda cursor: api.voices(cursor=cursor), answers.read_named)

    def models(self) -> tuple[answers.Named, ...]:
        """Return the models."""
        return self._all(lambda cursor: api.models(cursor=cursor), answers.read_named)

    def download_recording(
        self, call_id: str, sink: BinaryIO, watch: Callable[[int, int | None], None] = _unseen
    ) -> Fetched:
        """Write the call's recording (WAV) to `sink`; redirects are followed without the key, breaks are mended.

        Args:
            call_id: The call.
            sink: Where the bytes go.
            watch: Is told the bytes so far and those in all, None when nobody has said.

        Raises:
            ProviderRefused: There is none, or not yet.
            ContractBroken: It is no WAV file, too large, or a redirect leads nowhere safe.
            Temporary: It cannot be had now; LocalError: it cannot be written.
        """
        from uvcall.download import Download

        url, key = self._url(api.recording(call_id)), {"x-api-key": self._key}
        return Download(self._stream, url, key, self.loopback, sink, watch).run()

    def _say(self, request: api.ApiRequest) -> None:
        """Send words once: whoever cannot know whether they were heard does not send them again."""
        answers.read_done(self._ask(request, rings=True), now=_now(), once=True)

    def _all(
        self,
        page: Callable[[str | None], api.ApiRequest],
        read: Callable[..., tuple[tuple[T, ...], str | None]],
    ) -> tuple[T, ...]:
        found: list[T] = []
        cursor: str | None = None
        for _ in range(PAGES):
            items, following = read(self._ask(page(cursor)), now=_now())
            found.extend(items)
            if following is None:
                return tuple(found)
            if following == cursor:
                break
            cursor = following
        raise failures.unreadable("the list has no end")

    def _url(self, request: api.ApiRequest) -> str:
        return self._base + request.path

    def _ask(
        self, request: api.ApiRequest, *, rings: bool = False, on_sent: Callable[[], None] | None = None
    ) -> HttpResponse:
        """Send once and read the whole answer, at most `LIMIT` bytes of it."""
        headers = {"x-api-key": self._key}
        content = None
        if request.body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(request.body).encode()
        options = {"params": dict(request.query) or None, "headers": headers, "content": content}
        deadline = time.monotonic() + self._timeout_s
        url = self._url(request)
        with self._stream(request.method, url, rings=rings, on_sent=on_sent, **options) as (response, chunks):
            body = b"".join(_at_most(chunks, failures.LIMIT, rings=rings, deadline=deadline))
            return HttpResponse(response.status_code, tuple(response.headers.multi_items()), body)

    def _post(self, request: api.ApiRequest, *, rings: bool, on_sent: Callable[[], None]) -> HttpResponse:
        """Send the one request that `dial` waits for, without httpx."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {**_HEADERS, "x-api-key": self._key, "content-type": "application/json"}
        try:
            response = first_request.post(
                self._url(request) + query,
                headers=headers,
                content=json.dumps(request.body).encode(),
                timeout_s=self._timeout_s,
                limit=failures.LIMIT,
                on_sent=on_sent,
            )
        except Lost as error:
            raise failures.lost(error.why, sent=error.sent, rings=rings) from error
        if (header(response.headers, "content-encoding") or "identity").strip().lower() not in {"", "identity"}:
            raise failures.unreadable("it is compressed, which was not asked for", rings=rings)
        list(_at_most(iter([response.body]), failures.LIMIT, rings=rings))
        return response

    @contextmanager
    def _stream(
        self,
        method: str,
        url: str,
        *,
        rings: bool = False,
        on_sent: Callable[[], None] | None = None,
        **options: Any,
    ) -> Iterator[tuple[Any, Iterator[bytes]]]:
        """Open one request; whatever breaks it becomes the error that it means."""
        self.load()
        httpx = load_httpx()
        sent = False

        def watch(event: str, info: dict[str, Any]) -> None:
            nonlocal sent
            # A proxy's CONNECT is a request too, but not ours.
            if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
                sent = True
            if event.endswith("send_request_body.complete") and on_sent is not None:
                on_sent()

        try:
            with self._client.stream(method, url, extensions={"trace": watch}, **options) as response:
                if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
                    raise failures.unreadable("it is compressed, which was not asked for", rings=rings)
                yield response, response.iter_raw()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise failures.lost(httpx_words(error) or type(error).__name__, sent=sent, rings=rings) from error


def _nothing() -> None:
    """Take note of nothing."""


def _at_most(
    chunks: Iterator[bytes], limit: int, *, rings: bool = False, deadline: float | None = None
) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise failures.unreadable(f"it is larger than {limit:,} bytes", rings=rings)
        if deadline is not None and time.monotonic() > deadline:
            raise failures.lost("it was not complete in time", sent=True, rings=rings)
        yield chunk


def _checked(key: Secret) -> str:
    value = key.reveal()
    problem = ""
    if not value:
        problem = "is missing"
    elif "\n" in value or "\r" in value:
        problem = "holds a line break"
    elif any(c < "!" or c > "~" for c in value):
        problem = "holds a space, a control or a character that is not ASCII"
    if problem:
        raise AuthError(f"the Ultravox API key {problem}", hint=failures.AUTH_HINT, peer=failures.PEER)
    return value


def _now() -> datetime:
    return datetime.now(UTC)
