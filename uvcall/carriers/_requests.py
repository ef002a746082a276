"""How Twilio's and Plivo's SDKs reach the network: a `requests` adapter that sends once and reads with a limit.

Mounted in a session, it makes sure that a request is sent at most once, that no redirect is followed, that the answer
is neither endless, compressed, slow without end nor cut off, and that the caller can tell whether anything was sent.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from uvcall.carriers._errors import LIMIT, Answer, AnswerError, AnswerLost
from uvcall.core.secret import is_loopback

CONNECT_S = 5.0


class _Sending(threading.local):
    """Whether this thread's request has begun to leave."""

    begun = False


class _Witness:
    """Mixed into urllib3's connections: notes when a byte of a request is handed to the socket."""

    sock: Any
    sending: _Sending

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]  # urllib3's connection stands behind this class
        finally:
            # A proxy's CONNECT and the TLS handshake are not the request.
            self.sending.begun = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sending.begun = True
        super().send(data)  # type: ignore[misc]  # as above


class OneShot(HTTPAdapter):
    """Send once; raise `AnswerError` for anything but 2xx and `AnswerLost` when no whole answer came.

    Args:
        timeout_s: Seconds of patience for one request, in all.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._sending = _Sending()
        super().__init__(max_retries=0)

    @property
    def begun(self) -> bool:
        """Whether this thread's last request has begun to leave."""
        return self._sending.begun

    def forget(self) -> None:
        """Begin anew: nothing of this thread's next request has left."""
        self._sending.begun = False

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait less than usual for the requests made inside."""
        usual, self.timeout_s = self.timeout_s, min(seconds, self.timeout_s)
        try:
            yield
        finally:
            self.timeout_s = usual

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool, whose connections will tell when a request begins to leave."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Witness):
            pool.ConnectionCls = type("Witness", (_Witness, pool.ConnectionCls), {"sending": self._sending})
        return pool

    def send(self, request: requests.PreparedRequest, *_args: Any, **kwargs: Any) -> requests.Response:
        """Send the request and read its whole answer.

        Raises:
            AnswerError: The answer is not 2xx.
            AnswerLost: There is no answer, or not a whole, plain one of at most `LIMIT` bytes in time.
        """
        deadline = time.monotonic() + self.timeout_s
        request.headers["Accept-Encoding"] = "identity"
        settings = {name: kwargs[name] for name in ("verify", "cert", "proxies") if name in kwargs}
        self.forget()
        timeout = (min(CONNECT_S, self.timeout_s), self.timeout_s)
        try:
            response = super().send(request, stream=True, timeout=timeout, **settings)
            body = self._read(response.raw, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise AnswerLost(_why(error), sent=self.begun) from error
        headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
        if not 200 <= response.status_code < 300:
            raise AnswerError(Answer(response.status_code, headers, body))
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(body), headers=response.headers, status=response.status_code, preload_content=False
        )
        return response

    def _read(self, raw: Any, deadline: float) -> bytes:
        encoding = raw.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in {"", "identity"}:
            raw.close()
            raise AnswerLost("the answer is compressed, which was not asked for", sent=True)
        body = bytearray()
        try:
            while chunk := raw.read1(65536, decode_content=False):
                body += chunk
                self._bound(len(body), deadline)
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        return bytes(body)

    def _bound(self, size: int, deadline: float) -> None:
        if size > LIMIT:
            raise AnswerLost(f"the answer is larger than {LIMIT:,} bytes", sent=True)
        if time.monotonic() > deadline:
            raise AnswerLost(f"the answer was not complete after {self.timeout_s:g} s", sent=True)


def ask(adapter: OneShot, call: Callable[[], Any]) -> Any:
    """Make one SDK call.

    Raises:
        AnswerError: The carrier answered, but not with success.
        AnswerLost: It did not, or with something that the SDK cannot read.
    """
    adapter.forget()
    try:
        return call()
    except (AnswerError, AnswerLost):
        raise
    except Exception as error:
        # After a request has left, an SDK that stumbles over the answer must not hide that a phone may ring.
        if not adapter.begun:
            raise
        raise AnswerLost(f"its answer cannot be read ({type(error).__name__})", sent=True) from error


def mount(session: requests.Session, adapter: OneShot, base_url: str) -> None:
    """Make the adapter the session's only way out; a loopback base is never asked through a proxy."""
    session.adapters.clear()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if is_loopback(base_url):
        session.trust_env = False


#: The first that matches the error or what caused it gives the words.
_WHY: tuple[tuple[type[BaseException], str], ...] = (
    (urllib3.exceptions.NameResolutionError, "its name cannot be resolved"),
    (urllib3.exceptions.ProxyError, "the proxy cannot be used"),
    (urllib3.exceptions.SSLError, "no trusted TLS connection"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.NewConnectionError, "no connection"),
    (urllib3.exceptions.ReadTimeoutError, "no answer in time"),
    (urllib3.exceptions.IncompleteRead, "the answer broke off"),
    (urllib3.exceptions.ProtocolError, "the connection was lost"),
    (requests.exceptions.InvalidURL, "its base URL is not valid"),
    (requests.Timeout, "no answer in time"),
    (requests.ConnectionError, "the connection was lost"),
)


def _why(error: BaseException) -> str:
    chain: list[BaseException] = []
    pending: list[Any] = [error]
    while pending and len(chain) < 20:
        current = pending.pop()
        if isinstance(current, BaseException) and current not in chain:
            chain.append(current)
            pending += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
    for kind, words in _WHY:
        if any(isinstance(link, kind) for link in chain):
            return words
    return type(error).__name__
