"""How Telnyx's SDK reaches the network: an `httpx` client that reads with a limit and notes what was sent.

Made of httpx's own seams (event hooks, the `trace` extension), so that proxies and certificates from the environment
work as they always do. https://www.python-httpx.org/advanced/event-hooks/
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from uvcall.carriers._errors import LIMIT, AnswerLost
from uvcall.core.secret import is_loopback
from uvcall.imports import httpx_words, load_httpx, tls_context

CONNECT_S = 5.0


class Sending(threading.local):
    """Whether this thread's last request has begun to leave."""

    begun = False


def client(base_url: str, timeout_s: float) -> tuple[Any, Sending]:
    """Return an `httpx.Client` that follows no redirect, and its note of what was sent.

    Args:
        base_url: Where it will be used; a loopback base is never asked through a proxy.
        timeout_s: Seconds of patience for one request, in all.
    """
    httpx = load_httpx()
    sending = Sending()

    def watch(event: str, info: dict[str, Any]) -> None:
        # A proxy's CONNECT is a request too, but not ours.
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            sending.begun = True

    def before(request: Any) -> None:
        sending.begun = False
        request.extensions = {**request.extensions, "trace": watch, "uvcall.deadline": time.monotonic() + timeout_s}

    def after(response: Any) -> None:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in {"", "identity"}:
            raise AnswerLost("the answer is compressed, which was not asked for", sent=True)
        deadline = response.request.extensions["uvcall.deadline"]
        response.stream = _limited(httpx, response.stream, deadline, timeout_s)

    made = httpx.Client(
        base_url=base_url,
        verify=tls_context(needed=base_url.startswith("https:")),
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        headers={"accept-encoding": "identity"},
        follow_redirects=False,
        trust_env=not is_loopback(base_url),
        event_hooks={"request": [before], "response": [after]},
    )
    return made, sending


def _limited(httpx: Any, inner: Any, deadline: float, timeout_s: float) -> Any:
    class Limited(httpx.SyncByteStream):  # type: ignore[misc]  # httpx is imported only when needed
        """The answer's bytes: at most `LIMIT`, and no later than the deadline."""

        def __iter__(self) -> Iterator[bytes]:
            total = 0
            for chunk in inner:
                total += len(chunk)
                if total > LIMIT:
                    raise AnswerLost(f"the answer is larger than {LIMIT:,} bytes", sent=True)
                if time.monotonic() > deadline:
                    raise AnswerLost(f"the answer was not complete after {timeout_s:g} s", sent=True)
                yield chunk

        def close(self) -> None:
            inner.close()

    return Limited()


def why(error: BaseException) -> str:
    """Return in a few words why a request of this client failed."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, AnswerLost):
            return link.why
        if words := httpx_words(link):
            return words
        link = link.__cause__ or link.__context__
    return f"its answer cannot be read ({type(error).__name__})"
