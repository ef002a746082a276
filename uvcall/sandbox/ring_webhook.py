"""The webhook of a carrier whose number is rung: its body, its signature or the forgery of one, its patience.

https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides ·
https://docs.plivo.com/docs/voice/concepts/callback-configurations ·
https://developers.telnyx.com/docs/development/api-fundamentals/webhooks
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp

from uvcall.core.carrier import Provider
from uvcall.core.webhook import Headers, HttpRequest, HttpResponse, header
from uvcall.core.wire import wire
from uvcall.sandbox.callbacks import Messenger, form_request
from uvcall.sandbox.ring_call import Caller, Knock, Signature, Trouble
from uvcall.sandbox.world import Leg

LATE_S: Final = 0.5  #: of the world's life, from the answer to the duplicates that come late
_EXPIRED_S: Final = 600

#: What beside a signature tells the carrier's requests from others.
_HEADERS: Final[Mapping[Provider, Headers]] = {
    Provider.TELNYX: (("User-Agent", "telnyx-webhooks"), ("Accept", "*/*")),
    Provider.TWILIO: (("User-Agent", "TwilioProxy/1.1"), ("Accept", "*/*")),
    Provider.PLIVO: (("User-Agent", "Plivo"), ("Accept", "*/*")),
}
#: A document of any other type is refused, with the carrier's code. Telnyx documents no rule.
#: https://www.twilio.com/docs/voice/twiml#twilio-understands-mime-types · https://www.plivo.com/docs/voice/xml/request
_TYPES: Final[Mapping[Provider, tuple[frozenset[str], str]]] = {
    Provider.TWILIO: (frozenset({"text/xml", "application/xml", "text/html"}), "12300"),
    Provider.PLIVO: (frozenset({"text/xml", "application/xml"}), "8011"),
}
#: The carriers' codes for an answer that is not 2xx, and for none at all.
#: https://www.twilio.com/docs/api/errors/11200 · https://www.twilio.com/docs/api/errors/11205 ·
#: https://www.plivo.com/docs/voice/troubleshooting/hangup-causes
_CODES: Final = {
    Provider.TELNYX: ("", ""),
    Provider.TWILIO: ("11200", "11205"),
    Provider.PLIVO: ("7011", "7011"),
}


@dataclass(frozen=True, slots=True)
class Tries:
    """How long a carrier waits for an answer when its number is rung, and when it asks once more. Real seconds."""

    connect_s: float
    read_s: float
    total_s: float  #: of all tries at one URL
    again: int
    after: frozenset[str]  #: `ct`, `rt`, `4xx`, `5xx`
    pauses: tuple[float, ...] = (0.0,)


#: Telnyx: as in `callbacks.PATIENCE`. Plivo: 15 s is what its page on answer documents says, 40 s the one on callbacks.
TRIES: Final = {
    Provider.TELNYX: Tries(2.0, 2.0, 60.0, 2, frozenset({"ct", "rt", "4xx", "5xx"}), (0.2, 0.5)),
    Provider.TWILIO: Tries(5.0, 15.0, 15.0, 1, frozenset({"ct"})),
    Provider.PLIVO: Tries(2.0, 15.0, 55.0, 1, frozenset({"ct", "rt"})),
}
#: The longest times and the most tries that a URL's fragment can ask for: `ct`, `rt`, `tt` in ms, `rc`.
_LIMITS: Final = {
    Provider.TWILIO: {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)},
    Provider.PLIVO: {"ct": (100, 10_000), "rt": (100, 40_000), "tt": (100, 55_000), "rc": (0, 5)},
}
_REASONS: Final = frozenset({"ct", "rt", "4xx", "5xx"})


class Unanswered(Exception):
    """The carrier has nothing that it could follow."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.words)
        self.trouble = trouble


def tries(provider: Provider, url: str) -> Tries:
    """Return the carrier's patience with this URL; a fragment such as `#rc=2&rp=5xx` changes Twilio's and Plivo's.

    A value that is out of its range is brought into it.
    """
    usual = TRIES[provider]
    limits = _LIMITS.get(provider)
    asked = dict(parse_qsl(urlsplit(url).fragment))
    if limits is None or not asked:
        return usual
    given = {
        name: min(max(int(asked[name]), low), high)
        for name, (low, high) in limits.items()
        if asked.get(name, "").isdecimal()
    }
    reasons = frozenset(asked["rp"].split(",")) if "rp" in asked else usual.after
    return Tries(
        connect_s=given.get("ct", usual.connect_s * 1000) / 1000,
        read_s=given.get("rt", usual.read_s * 1000) / 1000,
        total_s=given.get("tt", usual.total_s * 1000) / 1000,
        again=given.get("rc", usual.again),
        after=_REASONS if "all" in reasons else reasons & _REASONS,
    )


def form(provider: Provider, url: str, fields: Mapping[str, str]) -> HttpRequest:
    """Return the carrier's form POST, unsigned."""
    request = form_request(url, "POST", fields)
    kind = "application/x-www-form-urlencoded" + "; charset=UTF-8" * (provider is Provider.TWILIO)
    token = (("I-Twilio-Idempotency-Token", str(uuid.uuid4())),) if provider is Provider.TWILIO else ()
    return replace(request, headers=(("Content-Type", kind), *_HEADERS[provider], *token))


def event(url: str, data: Mapping[str, Any], attempt: int) -> HttpRequest:
    """Return Telnyx's JSON POST, unsigned."""
    envelope = {"data": data, "meta": {"attempt": attempt, "delivered_to": url}}
    headers: Headers = (("Content-Type", "application/json"), *_HEADERS[Provider.TELNYX])
    return HttpRequest("POST", url, headers, json.dumps(envelope).encode())


def signed(provider: Provider, request: HttpRequest, how: Signature, key: str, *, now: float) -> HttpRequest:
    """Return the request signed in this way, over its own URL.

    Args:
        provider: The carrier.
        request: What is to be signed.
        how: Rightly, or how not.
        key: The carrier's key; Telnyx: the private seed.
        now: Seconds since the epoch.
    """
    nonce = uuid.uuid4().hex[:20]
    if how is Signature.MISSING:
        return request
    if how is Signature.BAD:
        other = hashlib.sha256(key.encode()).digest()
        key = base64.b64encode(other).decode()
    stamp = now - _EXPIRED_S if how is Signature.EXPIRED else now
    ready = wire(provider).sign(request, key, now=stamp, nonce=nonce)
    return resplit(ready) if how is Signature.RESPLIT else ready


def resplit(request: HttpRequest) -> HttpRequest:
    """Return a signed form cut into other fields: the call's id has swallowed its neighbour.

    Twilio and Plivo sign sorted names and values joined without a mark between them, so the signature stays right: the
    request is valid and its call id is one that was never seen.
    """
    pairs = sorted(parse_qsl(request.body.decode(), keep_blank_values=True))
    at = next(number for number, (name, _) in enumerate(pairs) if name in {"CallSid", "CallUUID"})
    (name, value), (next_name, next_value) = pairs[at : at + 2]
    pairs[at : at + 2] = [(name, value + next_name + next_value)]
    return replace(request, body=urlencode(pairs).encode())


class Visitor:
    """A carrier at the door of one webhook."""

    def __init__(self, messenger: Messenger, leg: Leg, caller: Caller, knocks: list[Knock]) -> None:
        self.messenger = messenger
        self.leg = leg
        self.caller = caller
        self.knocks = knocks
        self.copies: list[asyncio.Task[None]] = []

    @property
    def forges(self) -> bool:
        """Whether it is no carrier that rings, but somebody who pretends to be."""
        return self.caller.signature is not Signature.GOOD

    async def ask(self, url: str, make: Any, kind: str = "first") -> HttpResponse:
        """Send the webhook as often as the carrier would, with its duplicates the first time; return a 2xx answer.

        `make` gives the unsigned request for the number of an attempt.

        Raises:
            Unanswered: There is none.
        """
        provider = self.leg.provider
        # Whoever forges a webhook has one try, and is not answered by the fallback.
        patience = replace(tries(provider, url), again=0) if self.forges else tries(provider, url)
        deadline = time.monotonic() + patience.total_s
        no_success, no_answer = _CODES[provider]
        trouble = Trouble(no_answer, "no time was left to ask")
        for attempt in range(patience.again + 1):
            if attempt:
                await asyncio.sleep(patience.pauses[min(attempt, len(patience.pauses)) - 1])
            left = deadline - time.monotonic()
            if left <= 0:
                break
            request = self._sign(make(attempt + 1))
            wait = {"connect_s": min(patience.connect_s, left), "total_s": min(patience.read_s, left)}
            knock = Knock(url, "retry" if attempt else kind)
            copies = self._copy(request, knock, wait) if kind == "first" and not attempt else None
            answer = await self._knock(request, knock, wait)
            if copies is not None:
                copies.set_result(answer)
            if answer is not None and 200 <= answer.status < 300:
                return answer
            if answer is None:
                reason = "rt" if knock.failure == "timeout" else "ct"
                trouble = Trouble(no_answer, f"the webhook did not answer ({knock.failure})")
            else:
                reason = f"{answer.status // 100}xx"
                trouble = Trouble(no_success, f"the webhook answered HTTP {answer.status}", answer.status)
            if reason not in patience.after:
                break
        raise Unanswered(trouble)

    async def document(self, url: str, fields: Mapping[str, str], kind: str = "first") -> str:
        """Ask for an answer document.

        Raises:
            Unanswered: None could be had, or its type is not one that the carrier takes.
        """
        first = form(self.leg.provider, url, fields)
        answer = await self.ask(url, lambda _attempt: first, kind)
        types, code = _TYPES.get(self.leg.provider, (None, ""))
        given = (header(answer.headers, "Content-Type") or "").partition(";")[0].strip().lower()
        if types is not None and given not in types:
            words = f"the answer's Content-Type is {given[:60] or 'missing'}, not {' or '.join(sorted(types))}"
            raise Unanswered(Trouble(code, words, answer.status))
        try:
            return answer.body.decode()
        except UnicodeDecodeError as error:
            raise Unanswered(Trouble(code or "texml", "the document is not UTF-8", answer.status)) from error

    def _sign(self, request: HttpRequest) -> HttpRequest:
        known = self.messenger.as_known(request)
        key = self.messenger.keys[self.leg.provider.value]
        ready = signed(self.leg.provider, known, self.caller.signature, key, now=time.time())
        return replace(ready, url=request.url)

    async def _knock(self, request: HttpRequest, knock: Knock, wait: Mapping[str, float]) -> HttpResponse | None:
        self.knocks.append(knock)
        began = time.monotonic()
        answer: HttpResponse | None = None
        try:
            answer = await self.messenger.send(request, **wait)
            knock.status = answer.status
        except aiohttp.ServerTimeoutError:
            knock.failure = "connection timeout"
        except TimeoutError:
            knock.failure = "timeout"
        except aiohttp.ClientConnectorError:
            knock.failure = "unreachable"
        except aiohttp.ServerDisconnectedError:
            knock.failure = "disconnected"
        except (aiohttp.ClientError, OSError) as error:
            knock.failure = type(error).__name__
        knock.seconds = round(time.monotonic() - began, 4)
        self.messenger.world.history.record(
            self.leg.provider.value,
            "webhook",
            event=knock.kind,
            url=urlunsplit(urlsplit(knock.url)._replace(query="", fragment="")),
            status=knock.status,
            failure=knock.failure or None,
            seconds=knock.seconds,
            carrier_call_id=self.leg.id,
        )
        return answer

    def _copy(
        self, request: HttpRequest, original: Knock, wait: Mapping[str, float]
    ) -> asyncio.Future[HttpResponse | None]:
        """Send the duplicates: the larger half beside the original, the others when its answer is there for a while."""
        answered: asyncio.Future[HttpResponse | None] = asyncio.get_running_loop().create_future()

        async def send(kind: str) -> None:
            if kind == "late":
                await answered
                await self.messenger.world.pace.sleep(LATE_S)
            knock = Knock(original.url, kind)
            answer = await self._knock(request, knock, wait)
            first = await answered
            knock.same = (answer and (answer.status, answer.body)) == (first and (first.status, first.body))

        copies = self.caller.duplicates
        for number in range(copies):
            kind = "parallel" if number < (copies + 1) // 2 else "late"
            self.copies.append(asyncio.create_task(send(kind), name=f"{kind} duplicate {number}"))
        return answered
