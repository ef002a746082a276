"""Answer a carrier's webhook: verify, decide, create the Ultravox call, reply with the carrier's document.

One paid call for each caller: a call id is claimed in the ledger before Ultravox is asked, whoever asks again with the
same id gets the very same bytes, and nothing once the call is over. Whatever breaks, the caller hears a sentence.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.calls.inbound_ports import Agents, House, Ledger, Watch, silent
from uvcall.core.carrier import Provider
from uvcall.core.inbound_policy import ADMIT, Circuit, Step, Verdict
from uvcall.core.model import CreatedCall, LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpRequest, HttpResponse, SignatureInvalid, WebhookInvalid
from uvcall.core.wire import Wire, wire
from uvcall.core.wire.events import CallWebhook, WebhookKind
from uvcall.errors import AuthError, ProviderRefused, Temporary, UvcallError
from uvcall.journal.inbound import Claim, Known, Note

#: Seconds: Ultravox's share of the carrier's patience (Twilio and Plivo: 15), and what a second attempt needs.
CREATE_S: Final = 6.0
RETRY_S: Final = 3.0
#: Seconds by which the caller gets an answer, whatever happens.
ANSWER_S: Final = 8.0
#: Answers kept in memory; older ones are made again from the ledger and Ultravox.
KEPT: Final = 2048

FORBIDDEN: Final = HttpResponse(403, (("Content-Type", "text/plain"),), b"not signed\n")
MALFORMED: Final = HttpResponse(400, (("Content-Type", "text/plain"),), b"not understood\n")
DONE: Final = HttpResponse(204)
_XML: Final = (("Content-Type", "application/xml"), ("Cache-Control", "no-store"))
EMPTY: Final = HttpResponse(200, _XML, b'<?xml version="1.0" encoding="UTF-8"?>\n<Response></Response>\n')


def attempt_of(key: str) -> str:
    """Return the attempt's id of a call: the same in every process, so that its Ultravox call can be found again."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Answering:
    """The use case, for one process. Everything runs in one event loop."""

    house: House
    agents: Agents
    ledger: Ledger
    watch: Watch = silent
    now: Callable[[], float] = time.time
    #: Takes events of Telnyx's Call Control, which are answered by commands instead of a document.
    call_control: Callable[[CallWebhook], HttpResponse] | None = None
    #: Is told of calls that are over.
    on_end: Callable[[str], None] | None = None
    circuit: Circuit = field(default_factory=Circuit)
    #: Why Ultravox refuses all calls, as long as it does; empty otherwise.
    refusal: str = ""
    #: Calls whose end is not known, by key: the Ultravox call.
    open: dict[str, str] = field(default_factory=dict)
    _flights: dict[str, asyncio.Future[HttpResponse]] = field(default_factory=dict)
    _answers: dict[str, HttpResponse] = field(default_factory=dict)
    _joined: set[str] = field(default_factory=set)
    _wires: dict[Provider, Wire] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wires = {provider: wire(provider) for provider in self.house.lines}
        self._fallbacks = {
            provider: _document(
                one.fallback_xml(say=self.house.say, forward_to=self.house.forward_to, language=self.house.language)
            )
            for provider, one in self._wires.items()
        }
        self._rejects = {
            (provider, busy): _document(one.reject_xml(busy=busy))
            for provider, one in self._wires.items()
            for busy in (True, False)
        }

    _fallbacks: dict[Provider, HttpResponse] = field(init=False)
    _rejects: dict[tuple[Provider, bool], HttpResponse] = field(init=False)

    def fallback(self, provider: Provider) -> HttpResponse:
        """Return what a caller hears when no agent can be had."""
        return self._fallbacks[provider]

    @property
    def busy(self) -> int:
        """How many callers wait for their answer."""
        return len(self._flights)

    async def webhook(self, provider: Provider, request: HttpRequest, *, status_only: bool = False) -> HttpResponse:
        """Answer a carrier's webhook. `status_only`: at this address no call arrives."""
        line = self.house.lines[provider]
        one = self._wires[provider]
        if line.key is not None:
            try:
                one.verify(request, line.key, now=self.now())
            except SignatureInvalid as error:
                self.watch("forged", carrier=provider.value, reason=error.message, request=request)
                return FORBIDDEN
        try:
            hook = one.parse_webhook(request)
        except WebhookInvalid as error:
            self.watch("malformed", carrier=provider.value, reason=error.message)
            return MALFORMED
        if hook.event_id:
            return self.call_control(hook) if self.call_control is not None else DONE
        if hook.kind is WebhookKind.INCOMING:
            return EMPTY if status_only else await self.incoming(hook)
        if hook.kind is WebhookKind.STATUS and hook.state is LegState.ENDED:
            self.ended(f"{provider}:{hook.carrier_call_id}", hook.status)
        return EMPTY

    async def incoming(self, hook: CallWebhook) -> HttpResponse:
        """Return the document for a caller: made once, the same for whoever asks again."""
        key = f"{hook.provider}:{hook.carrier_call_id}"
        answer = self._answers.get(key)
        if answer is not None:
            self.watch("duplicate", carrier=hook.provider.value)
            return answer
        flight = self._flights.get(key)
        if flight is not None:
            self.watch("duplicate", carrier=hook.provider.value)
            return await asyncio.shield(flight)
        if len(self._flights) >= self.house.rules.max_concurrent + 256:
            self.watch("shed", carrier=hook.provider.value)
            return self._rejects[hook.provider, True]
        self._flights[key] = asyncio.get_running_loop().create_future()
        return await self._answer(hook, key)

    def ended(self, key: str, word: str) -> None:
        """Take down that a call is over."""
        self.open.pop(key, None)
        self._joined.discard(key)
        if key in self._answers:
            self._answers[key] = EMPTY
        self.ledger.note(Note(key, Step.ENDED, self.now(), word=word))
        if self.on_end is not None:
            self.on_end(key)

    def joined(self, key: str) -> None:
        """Take down that caller and agent are connected."""
        if key in self._joined:
            return
        self._joined.add(key)
        self.ledger.note(Note(key, Step.JOINED, self.now()))

    async def create(self, provider: Provider, key: str, *, until: float) -> CreatedCall | None:
        """Create the Ultravox call of a claimed key, or return None: then the caller gets the fallback.

        Args:
            provider: The carrier.
            key: The call.
            until: The deadline, on the loop's clock.
        """
        line = self.house.lines[provider]
        body = attempt_of(key).encode().join(line.body)
        if not self.circuit.admits(self.now()):
            self._none(provider, key, "circuit open")
            return None
        started = time.perf_counter()
        created: CreatedCall | None = None
        why = "no time left"
        for again in (True, False):
            left = until - asyncio.get_running_loop().time()
            try:
                created = await self.agents.create_call(line.path, body, within_s=max(0.0, left))
                break
            except Temporary as error:
                why = "rate limit" if error.status == 429 else "unavailable"
                if error.status != 429:
                    self.circuit.failed(self.now())
                self.watch("trouble", carrier=provider.value, reason=error.message)
                wait = (error.retry_after if error.retry_after is not None else ANSWER_S) if error.status == 429 else 0
                if not again or until - asyncio.get_running_loop().time() - wait < RETRY_S:
                    break
                await asyncio.sleep(wait)
            except UvcallError as error:
                self.circuit.failed(self.now())
                why = "refused" if isinstance(error, AuthError) or type(error) is ProviderRefused else "broken answer"
                self.refusal = error.message if why == "refused" else self.refusal
                self.watch("trouble", carrier=provider.value, reason=error.message)
                break
        if created is None or created.join_url is None:
            self._none(provider, key, why)
            return None
        self.circuit.succeeded()
        self.refusal = ""
        self.open[key] = created.call_id
        self.ledger.note(Note(key, Step.CREATED, self.now(), created.call_id))
        self.watch("created", carrier=provider.value, seconds=time.perf_counter() - started)
        return created

    async def recover(self, known: Known, *, until: float) -> JoinUrl | None:
        """Return the join URL of a call that another process has claimed, or None when there is none to be had.

        Never creates one: the other process, alive or killed, may have asked Ultravox just before.
        """
        loop = asyncio.get_running_loop()
        found: Known | None = known
        asked = 0.0
        while found is not None and found.step is Step.CLAIMED and loop.time() < until:
            if loop.time() - asked > 1.0:
                asked = loop.time()
                call_id = await self._quiet(self.agents.find(attempt_of(known.key), within_s=until - asked))
                if call_id is not None:
                    self.ledger.note(Note(known.key, Step.CREATED, self.now(), call_id))
                    found = Known(known.key, Step.CREATED, self.now(), call_id)
                    break
            await asyncio.sleep(0.05)
            found = await self.ledger.known(known.key)
        if found is None or not found.ultravox_id or found.step in {Step.ENDED, Step.FALLBACK}:
            return None
        self.open.setdefault(known.key, found.ultravox_id)
        left = max(0.5, until - loop.time())
        join_url: JoinUrl | None = await self._quiet(self.agents.join_url(found.ultravox_id, within_s=left))
        return join_url

    async def _answer(self, hook: CallWebhook, key: str) -> HttpResponse:
        """Decide, create, and keep what is answered."""
        started = time.perf_counter()
        answer, result = self._fallbacks[hook.provider], "fallback"
        try:
            until = asyncio.get_running_loop().time() + CREATE_S
            answer, result = await self._decide(hook, key, until)
        finally:
            # Also when this was broken off: whoever waits for the same answer, or asks again, gets one.
            self._flights.pop(key).set_result(answer)
            self._keep(key, answer)
            self.watch(
                "answered",
                carrier=hook.provider.value,
                call=hook.carrier_call_id,
                caller=hook.from_,
                called=hook.to,
                result=result,
                seconds=time.perf_counter() - started,
            )
        return answer

    async def _decide(self, hook: CallWebhook, key: str, until: float) -> tuple[HttpResponse, str]:
        provider = hook.provider
        claimed = await self.ledger.claim(Claim(key, hook.from_, hook.to, self.now()))
        if isinstance(claimed, Known):
            return await self._again(provider, claimed, until)
        if claimed != ADMIT:
            return self._rejects[provider, claimed.busy], _word(claimed)
        created = await self.create(provider, key, until=until)
        if created is None or created.join_url is None:
            return self._fallbacks[provider], "fallback"
        return self._connect(provider, created.join_url), "connected"

    async def _again(self, provider: Provider, known: Known, until: float) -> tuple[HttpResponse, str]:
        """Answer for a call that is in the ledger already, by another process or long ago."""
        if known.step is Step.REFUSED:
            return self._rejects[provider, known.word.startswith("busy")], "refused before"
        if known.step in {Step.ENDED, Step.JOINED}:
            return EMPTY, "over"
        if known.step is Step.FALLBACK:
            return self._fallbacks[provider], "fallback"
        join_url = await self.recover(known, until=until)
        if join_url is not None:
            return self._connect(provider, join_url), "connected before"
        latest = await self.ledger.known(known.key)
        if latest is None or latest.step in {Step.CLAIMED, Step.FALLBACK}:
            if latest is not None and latest.step is Step.CLAIMED:
                self._none(provider, known.key, "lost by another process")
            return self._fallbacks[provider], "fallback"
        return EMPTY, "over"

    def _connect(self, provider: Provider, join_url: JoinUrl) -> HttpResponse:
        return _document(self._wires[provider].answer_xml(join_url, self.house.lines[provider].stream))

    def _none(self, provider: Provider, key: str, why: str) -> None:
        self.ledger.note(Note(key, Step.FALLBACK, self.now(), word=why))
        self.watch("fallback", carrier=provider.value, reason=why)

    def _keep(self, key: str, answer: HttpResponse) -> None:
        self._answers[key] = answer
        if len(self._answers) > KEPT:
            del self._answers[next(iter(self._answers))]

    async def _quiet(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except UvcallError as error:
            self.watch("trouble", carrier="ultravox", reason=error.message)
            return None


def _document(xml: str) -> HttpResponse:
    return HttpResponse(200, _XML, xml.encode())


def _word(verdict: Verdict) -> str:
    return ("busy: " if verdict.busy else "rejected: ") + verdict.reason
