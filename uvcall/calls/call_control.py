"""Callers of Telnyx's Call Control: an event is answered at once, and what happens to the call is told by commands.

Telnyx waits about two seconds for the answer to an event, less than Ultravox may take.
https://developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks

    call.initiated → claim, create the Ultravox call → answer      (refused: reject)
    call.answered  → start_streaming to the join URL               (no agent: transfer or speak)
    streaming.stopped, call.speak.ended, the end of the Ultravox call → hangup
    streaming.failed → transfer or speak
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from uvcall.calls.answer import CREATE_S, DONE, Answering, attempt_of
from uvcall.core.carrier import Provider
from uvcall.core.inbound_policy import ADMIT, Step
from uvcall.core.model import LegState
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpResponse
from uvcall.core.wire.events import CallWebhook, WebhookKind
from uvcall.errors import UvcallError
from uvcall.journal.inbound import Claim, Known, Note

_KEY: Final = f"{Provider.TELNYX}:"

#: Gives a command about a call: its id, the command's name and arguments. False when the call is over.
Command = Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]


@dataclass(slots=True)
class CallControl:
    """The use case, beside `Answering`, whose ledger, rules and Ultravox it shares."""

    answering: Answering
    command: Command
    #: From a join URL to the arguments of `start_streaming`.
    streaming: Callable[[JoinUrl], Mapping[str, Any]]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _join_urls: dict[str, JoinUrl] = field(default_factory=dict)

    def take(self, hook: CallWebhook) -> HttpResponse:
        """Take an event and return the answer to it; the rest is done afterwards."""
        event = self._event(hook)
        if hook.kind is WebhookKind.INCOMING:
            self._spawn(self._arrive(hook))
        elif event == "call.answered":
            self._spawn(self._answered(hook.carrier_call_id))
        elif event == "streaming.failed":
            self._spawn(self._console(hook.carrier_call_id))
        elif event in {"streaming.stopped", "call.speak.ended"}:
            self._spawn(self._ours(hook.carrier_call_id, "hangup", {}))
        elif hook.kind is WebhookKind.STATUS and hook.state is LegState.ENDED:
            self._join_urls.pop(hook.carrier_call_id, None)
            self.answering.ended(_KEY + hook.carrier_call_id, hook.status)
        return DONE

    def over(self, key: str) -> None:
        """Hang up: the Ultravox call is over, and Telnyx does not know it."""
        if key.startswith(_KEY + "v"):
            self._join_urls.pop(key.removeprefix(_KEY), None)
            self._spawn(self._do(key.removeprefix(_KEY), "hangup", {}))

    async def _arrive(self, hook: CallWebhook) -> None:
        call_id, key = hook.carrier_call_id, _KEY + hook.carrier_call_id
        now = self.answering.now()
        claimed = await self.answering.ledger.claim(Claim(key, hook.from_, hook.to, now))
        result = "again"
        if not isinstance(claimed, Known):
            if claimed != ADMIT:
                result = ("busy: " if claimed.busy else "rejected: ") + claimed.reason
                await self._do(call_id, "reject", {"cause": "USER_BUSY" if claimed.busy else "CALL_REJECTED"})
            else:
                until = asyncio.get_running_loop().time() + CREATE_S
                created = await self.answering.create(Provider.TELNYX, key, until=until)
                result = "fallback"
                if created is not None and created.join_url is not None:
                    self._join_urls[call_id], result = created.join_url, "connected"
                # Who is not connected is told so, and for that the call must be answered as well.
                await self._do(call_id, "answer", {})
        self.answering.watch(
            "answered",
            carrier=Provider.TELNYX.value,
            call=call_id,
            caller=hook.from_,
            called=hook.to,
            result=result,
            seconds=self.answering.now() - now,
        )

    async def _answered(self, call_id: str) -> None:
        known = await self.answering.ledger.known(_KEY + call_id)
        if known is None or known.step in {Step.REFUSED, Step.ENDED}:
            return
        join_url = self._join_urls.pop(call_id, None)
        if join_url is None and known.step in {Step.CLAIMED, Step.CREATED}:
            until = asyncio.get_running_loop().time() + CREATE_S
            join_url = await self.answering.recover(known, until=until)
        if join_url is not None:
            await self._do(call_id, "start_streaming", self.streaming(join_url))
        elif known.step is not Step.JOINED:
            await self._console(call_id)

    async def _console(self, call_id: str) -> None:
        """Forward the caller to a human, else say sorry; the end of the sentence comes as an event."""
        house = self.answering.house
        if await self.answering.ledger.known(_KEY + call_id) is None:
            return
        self.answering.ledger.note(Note(_KEY + call_id, Step.FALLBACK, self.answering.now(), word="no stream"))
        if house.forward_to is not None:
            await self._do(call_id, "transfer", {"to": house.forward_to, "timeout_secs": 20, "time_limit_secs": 600})
        else:
            words = {"payload": house.say, "voice": "female", "language": house.language}
            await self._do(call_id, "speak", words)

    async def _ours(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        if await self.answering.ledger.known(_KEY + call_id) is not None:
            await self._do(call_id, name, arguments)

    async def _do(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        # Telnyx ignores a command whose id it has seen in the last minute.
        # https://developers.telnyx.com/docs/voice/programmable-voice/command-retries
        marked = {"command_id": f"{attempt_of(call_id)}-{name}", **arguments}
        try:
            await self.command(call_id, name, marked)
        except UvcallError as error:
            self.answering.watch("trouble", carrier=Provider.TELNYX.value, reason=f"{name}: {error.message}")

    def _event(self, hook: CallWebhook) -> str:
        data = hook.raw.get("data")
        return str(data.get("event_type", "")) if isinstance(data, Mapping) else ""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
