"""What Ultravox says of inbound calls: its webhooks, and its answers when asked about calls that nobody heard of."""

from __future__ import annotations

from typing import Any, Final, Protocol

from uvcall.calls.answer import DONE, FORBIDDEN, MALFORMED, Answering
from uvcall.core.model import UltravoxCall
from uvcall.core.webhook import HttpRequest, HttpResponse, SignatureInvalid, WebhookInvalid
from uvcall.core.wire import fields, ultravox_webhook
from uvcall.errors import ProviderRefused, UvcallError

#: Ultravox repeats a delivery half a minute later, and may not sign it anew.
TOLERANCE_S: Final = 300.0
_EVENT: Final = fields.one_of(("call.started", "call.joined", "call.ended", "call.billed"))


class Asked(Protocol):
    """Ultravox, as far as it is asked here."""

    async def get_call(self, call_id: str, *, within_s: float) -> UltravoxCall:
        """Ask where the call is."""


async def webhook(answering: Answering, request: HttpRequest, secret: str) -> HttpResponse:
    """Take an Ultravox webhook: https://docs.ultravox.ai/webhooks/overview."""
    try:
        ultravox_webhook.verify(request, [secret], now=answering.now(), tolerance_s=TOLERANCE_S)
    except SignatureInvalid as error:
        answering.watch("forged", carrier="ultravox", reason=error.message, request=request)
        return FORBIDDEN
    try:
        event, call_id, reason = _read(request)
    except WebhookInvalid as error:
        answering.watch("malformed", carrier="ultravox", reason=error.message)
        return MALFORMED
    key = await answering.ledger.key_of(call_id)
    answering.watch("event", carrier="ultravox", said=event, reason=reason, known=key is not None)
    if key is not None:
        if event == "call.joined":
            answering.joined(key)
        elif event in {"call.ended", "call.billed"}:
            answering.ended(key, reason or event)
    return DONE


async def ask(answering: Answering, agents: Asked, key: str, call_id: str) -> None:
    """Ask Ultravox about one call whose end is not known."""
    try:
        call = await agents.get_call(call_id, within_s=5.0)
    except ProviderRefused as error:
        if error.status == 404:
            answering.ended(key, "gone")
        return
    except UvcallError:
        return
    if call.ended_at is not None:
        answering.ended(key, call.end_reason or "ended")
    elif call.joined_at is not None:
        answering.joined(key)


def _read(request: HttpRequest) -> tuple[str, str, str]:
    envelope = fields.json_object(request.body)
    event = fields.need(fields.members(envelope), "event", _EVENT)
    call: Any = envelope.get("call")
    if not isinstance(call, dict):
        raise WebhookInvalid("the webhook has no call")
    members = fields.members(call)
    return event, fields.need(members, "callId", fields.UUID), fields.may(members, "endReason", fields.WORD)
