"""A caller who rings a webhook: the carrier asks it what to do, does that, and somebody sees what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import answers, credentials, documents
from uvcall.sandbox.exchange import MAX_DOCUMENTS, Exchange
from uvcall.sandbox.notices import notices
from uvcall.sandbox.notices.telnyx import event_data
from uvcall.sandbox.orders import Order, Script
from uvcall.sandbox.rest.telnyx import new_ids
from uvcall.sandbox.ring_call import ANONYMOUS, Caller, Rung, Trouble
from uvcall.sandbox.ring_webhook import Unanswered, Visitor, event
from uvcall.sandbox.world import Leg

#: Seconds of the world's life.
PATIENCE_S: Final = 60.0  #: a caller listens to the ringing so long
LONGEST_S: Final = 14400.0  #: every carrier's longest call
#: How long the last callbacks may take, in real seconds, before the report is made without them.
_CALLBACKS_S: Final = 20.0

#: What stands in a webhook whose caller hides the number.
_WITHHELD: Final = {Provider.TELNYX: "anonymous", Provider.TWILIO: "+266696687", Provider.PLIVO: "anonymous"}

#: Where each carrier is told to send its word of a call's end.
_STATUS_OPTION: Final = {
    Provider.TELNYX: "StatusCallback",
    Provider.TWILIO: "StatusCallback",
    Provider.PLIVO: "hangup_url",
}


async def ring_in(exchange: Exchange, caller: Caller) -> Rung:
    """Ring a webhook from a world that runs already; return once the call is over and its callbacks are sent."""
    world = exchange.world
    leg, run = exchange.receive(_order(caller), caller.scenario)
    rung = Rung(leg)
    visitor = Visitor(exchange.messenger, leg, caller, rung.knocks)
    timers = [world.spawn(_give_up(exchange, leg), "the caller gives up")]
    if caller.hang_up_after_s is not None:
        timers.append(world.spawn(_hang_up(exchange, leg, caller.hang_up_after_s), "the caller hangs up"))
    try:
        try:
            if caller.call_control:
                await _announce(exchange, leg, visitor)
            else:
                document = await _first_document(exchange, leg, visitor)
                if document is not None and leg.ended_at is None:
                    run.order = replace(run.order, script=Script(document=document, url=caller.to))
                    await exchange.talk(leg, run)
        except Unanswered as unanswered:
            rung.trouble = unanswered.trouble
            run.fault = unanswered.trouble.code
            if not caller.call_control:
                exchange.end(leg, Cause.FAILED, "carrier")
        await leg.over.wait()
    finally:
        for timer in timers:
            timer.cancel()
        exchange.end(leg, Cause.NORMAL if leg.answered_at else Cause.CANCELED, "caller")
        await _settle(exchange, visitor)
    return _told(exchange, rung)


def _order(caller: Caller) -> Order:
    provider = caller.provider
    ids: dict[str, str] = {}
    options: dict[str, Any] = {}
    if provider is Provider.TELNYX:
        product = "call_control" if caller.call_control else "texml"
        connection = credentials.TELNYX_CONNECTION_ID if caller.call_control else credentials.TELNYX_APPLICATION_SID
        ids = new_ids(connection, product)
    if caller.call_control:
        options["webhook_url"] = caller.to
    elif caller.status_url:
        options[_STATUS_OPTION[provider]] = caller.status_url
    from_ = _WITHHELD[provider] if caller.from_ == ANONYMOUS else caller.from_
    return Order(provider, caller.called, from_, PATIENCE_S, LONGEST_S, ids=ids, options=options)


async def _hang_up(exchange: Exchange, leg: Leg, seconds: float) -> None:
    await exchange.world.pace.sleep(seconds)
    exchange.end(leg, Cause.NORMAL if leg.answered_at else Cause.CANCELED, "caller")


async def _give_up(exchange: Exchange, leg: Leg) -> None:
    await exchange.world.pace.sleep(PATIENCE_S)
    if leg.answered_at is None:
        exchange.end(leg, Cause.CANCELED, "caller")


async def _announce(exchange: Exchange, leg: Leg, visitor: Visitor) -> None:
    """Tell a Call Control application that somebody rings; what it does about it comes by its own requests."""
    data = event_data(exchange, leg, "initiated", {})
    url, fallback = visitor.caller.to, visitor.caller.fallback_url
    try:
        await visitor.ask(url, lambda attempt: event(url, data or {}, attempt))
    except Unanswered:
        if not fallback or visitor.forges:
            raise
        await visitor.ask(fallback, lambda attempt: event(fallback, data or {}, attempt), "fallback")


async def _first_document(exchange: Exchange, leg: Leg, visitor: Visitor) -> str | None:
    """Ask for the document that says whether the call is answered; None when it has turned the caller away.

    Raises:
        Unanswered: There is none, or it is not one.
    """
    caller = visitor.caller
    fields = _fields(exchange, leg)
    try:
        document = await visitor.document(caller.to, fields)
        return await _before_answer(exchange, leg, visitor, document)
    except Unanswered as unanswered:
        if not caller.fallback_url or visitor.forges:
            raise
        if leg.provider is Provider.TWILIO:
            # https://www.twilio.com/docs/usage/webhooks/voice-webhooks
            fields |= {"ErrorCode": unanswered.trouble.code, "ErrorUrl": caller.to}
        document = await visitor.document(caller.fallback_url, fields, "fallback")
        return await _before_answer(exchange, leg, visitor, document)


async def _before_answer(exchange: Exchange, leg: Leg, visitor: Visitor, document: str) -> str | None:
    """Follow what a document says while the phone still rings: a redirect, a pause, a rejection.

    Everything else answers the call. https://www.twilio.com/docs/voice/twiml/reject ·
    https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/reject
    """
    for _ in range(MAX_DOCUMENTS):
        try:
            answer = documents.read(leg.provider, document)
        except answers.DocumentRefused as refused:
            exchange.world.history.record(
                leg.provider.value, "document", carrier_call_id=leg.id, problem=refused.reason, code=refused.code
            )
            raise Unanswered(Trouble(refused.code, refused.reason, 200)) from refused
        first = answer.steps[0] if answer.steps else None
        if isinstance(first, answers.HangUp) and first.reason:
            await exchange.perform(leg, answer)
            return None
        if not isinstance(first, answers.Redirect):
            return document
        document = await visitor.document(first.url, _fields(exchange, leg), "redirect")
    raise Unanswered(Trouble("redirects", "the documents redirect without end", 200))


def _fields(exchange: Exchange, leg: Leg) -> dict[str, str]:
    """Return the fields of the webhook: those of every request of the carrier, and those of an incoming call."""
    fields = dict(notices(leg.provider).document_fields(exchange, leg))
    more: Mapping[str, str] = {}
    if leg.provider is Provider.TWILIO:
        # https://www.twilio.com/docs/voice/twiml#request-parameters
        more = {"StirVerstat": "TN-Validation-Passed-A"}
    elif leg.provider is Provider.TELNYX:
        # https://developers.telnyx.com/docs/voice/programmable-voice/texml-instruction-fetching
        more = {
            "CallerId": leg.from_,
            "CallingPartyType": "pstn",
            "FromSipUri": f"{leg.from_}@sip.telnyx.com",
            "ToSipUri": f"{leg.to}@sip.telnyx.com",
        }
    else:
        # https://docs.plivo.com/docs/voice/xml/request: an incoming call's request is the call itself.
        more = {
            "RequestUUID": leg.id,
            "ALegRequestUUID": leg.id,
            "CallerName": leg.from_.removeprefix("+"),
            "STIRVerification": "Verified",
        }
    return fields | more


async def _settle(exchange: Exchange, visitor: Visitor) -> None:
    """Wait for the duplicates and for the callbacks that the end of the call has caused."""
    await asyncio.sleep(0)
    mine = f" of {visitor.leg.id}"
    callbacks = {task for task in exchange.world.tasks if task.get_name().endswith(mine)}
    waiting = callbacks | set(visitor.copies)
    if waiting:
        await asyncio.wait(waiting, timeout=_CALLBACKS_S)
    for task in visitor.copies:
        task.cancel()
    await asyncio.gather(*visitor.copies, return_exceptions=True)


def _told(exchange: Exchange, rung: Rung) -> Rung:
    """Read from the history what came of the call."""
    mine = [one for one in exchange.world.history.events if one.get("carrier_call_id") == rung.leg.id]
    rung.verbs = tuple(verb for one in mine if one["type"] == "document" for verb in one.get("verbs", ()))
    rung.joined = any(one["type"] == "media.started" for one in mine)
    ends = [one for one in mine if one["type"] in {"media.stopped", "media.refused"}]
    if ends:
        rung.stream_end = ends[-1].get("how", "refused")
    problems = [one for one in mine if one["type"] == "document" and one.get("problem")]
    if problems and rung.trouble is None:
        rung.trouble = Trouble(problems[-1]["code"], problems[-1]["problem"], 200)
    return rung
