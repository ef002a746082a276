"""The web site that carriers call: paths to `calls.answer`, and back to HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from uvcall.calls import agent_news
from uvcall.calls.answer import FORBIDDEN, Answering
from uvcall.core.carrier import Provider
from uvcall.core.phone import mask
from uvcall.core.webhook import HttpRequest, HttpResponse
from uvcall.core.wire import plivo_webhook, telnyx_webhook, twilio_webhook, ultravox_webhook
from uvcall.server.diagnosis import signed_url
from uvcall.server.door import body_of, refusal
from uvcall.server.metrics import TYPE, Metrics
from uvcall.server.tally import Tally, Untold

#: Without one of these the body is not even read.
_SIGNED_BY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        peer: tuple(name.lower() for name in names)
        for peer, names in {
            Provider.TELNYX: (telnyx_webhook.SIGNATURE,),
            Provider.TWILIO: (twilio_webhook.SIGNATURE,),
            Provider.PLIVO: (plivo_webhook.SIGNATURE, plivo_webhook.MAIN_SIGNATURE),
            "ultravox": (ultravox_webhook.SIGNATURE,),
        }.items()
    }
)
_NOT_FOUND: Final = refusal(404, "no such address")
_METHOD: Final = HttpResponse(405, (("Content-Type", "text/plain"), ("Allow", "POST")), b"POST only\n")
_OK: Final = HttpResponse(200, (("Content-Type", "text/plain"),), b"ok\n")

Log = Callable[[Mapping[str, Any]], None]


class Journal:
    """Structured lines and counters of what happens. Numbers are masked; what repeats is told once in a while."""

    def __init__(self, log: Log, now: Callable[[], float] = time.time) -> None:
        self._log = log
        self._now = now
        self._last: dict[tuple[str, str, str], tuple[float, int]] = {}
        self.metrics: Metrics | None = None
        self.diagnose: Callable[[str, HttpRequest], Mapping[str, Any]] | None = None

    def watch(self, event: str, /, **facts: Any) -> None:
        """Take down what a use case tells."""
        if self.metrics is not None:
            self.metrics.take(event, facts)
        request = facts.pop("request", None)
        if event in {"created", "duplicate"}:
            return
        for name in ("caller", "called"):
            if name in facts:
                facts[name] = mask(facts[name]) if facts[name] else "withheld"
        if "seconds" in facts:
            facts["ms"] = round(facts.pop("seconds") * 1000, 1)
        if event not in {"answered", "event"}:
            skipped = self._skipped((event, facts.get("carrier", ""), facts.get("reason", "")), 10.0)
            if skipped is None:
                return
            facts |= {"more": skipped} if skipped else {}
        if request is not None and self.diagnose is not None:
            facts |= self.diagnose(facts.get("carrier", ""), request)
        self.write(event, **facts)

    def write(self, event: str, /, **facts: Any) -> None:
        """Write one line."""
        self._log({"at": _stamp(int(self._now())), "event": event, **facts})

    def stop(self) -> None:
        """Write the last lines."""
        self.rest()
        self.write("stopped")

    def rest(self) -> None:
        """Say how often what was left out since it was last told."""
        for (event, carrier, reason), (_, skipped) in self._last.items():
            if skipped:
                self.write(event, carrier=carrier, reason=reason, more=skipped)
        self._last.clear()

    def _skipped(self, about: tuple[str, str, str], every_s: float) -> int | None:
        """Return how often this was left out since it was last told, or None when it is left out again."""
        now = self._now()
        last, skipped = self._last.get(about, (-every_s, 0))
        if now - last < every_s:
            self._last[about] = (last, skipped + 1)
            return None
        if len(self._last) > 200:
            self.rest()
        self._last[about] = (now, 0)
        return skipped


@lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


@dataclass(slots=True)
class Site:
    """All addresses. `base` is the public URL: what carriers sign, whatever a proxy in between says."""

    answering: Answering
    journal: Journal
    base: str
    secret: str  #: of Ultravox's webhooks
    ready: Callable[[], str]  #: why callers should be sent elsewhere; empty when they should not
    draining: bool = False
    in_progress: int = 0
    _prefix: str = ""
    _routes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._prefix = urlsplit(self.base).path.rstrip("/")
        for provider in self.answering.house.lines:
            self._routes[f"/{provider}"] = (provider.value, "")
            self._routes[f"/{provider}/status"] = (provider.value, "status")
        self._routes["/ultravox"] = ("ultravox", "")
        self.journal.diagnose = self.diagnose

    def routes(self) -> dict[str, str]:
        """Return every address, for the ready line."""
        named = {path.strip("/").replace("/", "_"): self.base + path for path in self._routes}
        return named | {name: f"{self.base}/{name}" for name in ("healthz", "readyz")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. https://asgi.readthedocs.io/en/latest/specs/www.html."""
        self.in_progress += 1
        try:
            answer = await self._answer(Request(scope, receive))
            response = Response(answer.body, answer.status, dict(answer.headers))
            if self.draining or answer.status in {413, 415}:
                response.headers["Connection"] = "close"
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            self.in_progress -= 1

    async def _answer(self, request: Request) -> HttpResponse:
        raw: str = request.scope["raw_path"].decode("latin-1")
        path = (raw.removeprefix(self._prefix) if self._prefix else raw).rstrip("/")
        found = self._routes.get(path)
        if found is None:
            return self._health(request.method, path)
        if request.method != "POST":
            return _METHOD
        peer, kind = found
        checked = peer == "ultravox" or self.answering.house.lines[Provider(peer)].key is not None
        headers = tuple(request.headers.items())
        if checked and not any(name in _SIGNED_BY[peer] for name, _ in headers):
            self.journal.watch("forged", carrier=peer, reason="the signature is missing")
            return FORBIDDEN
        body = await body_of(request)
        if isinstance(body, HttpResponse):
            return body
        query = request.scope["query_string"].decode("latin-1")
        asked = HttpRequest("POST", self.base + path + ("?" + query if query else ""), headers, body)
        try:
            if peer == "ultravox":
                return await agent_news.webhook(self.answering, asked, self.secret)
            return await self.answering.webhook(Provider(peer), asked, status_only=bool(kind))
        except Exception as bug:  # noqa: BLE001 - a caller waits: whatever broke, they hear a sentence
            self.journal.watch("bug", carrier=peer, reason=where(bug))
            return refusal(500, "internal error") if peer == "ultravox" else self.answering.fallback(Provider(peer))

    def _health(self, method: str, path: str) -> HttpResponse:
        if path not in {"/healthz", "/readyz"}:
            return _NOT_FOUND
        if method not in {"GET", "HEAD"}:
            return HttpResponse(405, (("Content-Type", "text/plain"), ("Allow", "GET, HEAD")), b"GET only\n")
        why = self.ready() if path == "/readyz" else ""
        return refusal(503, why) if why else _OK

    def diagnose(self, peer: str, request: HttpRequest) -> dict[str, Any]:
        """Say which URL was signed, and which one is configured."""
        configured = {"configured": request.url.partition("?")[0]}
        if peer not in set(Provider):
            return configured
        key = self.answering.house.lines[Provider(peer)].key
        found = signed_url(Provider(peer), request, key, now=self.answering.now()) if key else None
        if found is None:
            return configured
        return {**configured, "signed": found, "mend": "set --public-url to what the carrier calls, without the route"}


def both(site: Site, tally: Tally, metrics_at: tuple[str, int]) -> ASGIApp:
    """Return the application behind two sockets: the site, and `GET /metrics` at an address of its own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["server"] != metrics_at:
            await site(scope, receive, send)
        elif scope["path"] == "/metrics" and scope["method"] == "GET":
            try:
                answer = Response(await tally.text(), headers={"Content-Type": TYPE})
            except Untold:
                answer = Response("a worker does not answer\n", 503, media_type="text/plain")
            await answer(scope, receive, send)
        else:
            await Response("GET /metrics\n", 404, media_type="text/plain")(scope, receive, send)

    return app


def where(bug: BaseException) -> str:
    """Return a bug's class and place; its words may hold anything."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace is not None else ""
    return type(bug).__name__ + place
