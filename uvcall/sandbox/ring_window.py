"""Callers inside a sandbox that runs already: `POST /_sandbox/ring`, and whoever asks it.

There the caller, the carriers' APIs and Ultravox are of one world: a Call Control application finds the call where its
own settings lead, and Ultravox knows what the caller says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final

import aiohttp
from aiohttp import web

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.errors import ContractBroken, LocalError, UsageError
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.lines import UNUSED, Book
from uvcall.sandbox.rest import is_loopback, is_web_url, json_object, plivo_numbers, telnyx_numbers, twilio_numbers
from uvcall.sandbox.ring_call import Caller, Knock, Rung, Signature, Trouble, checked
from uvcall.sandbox.ring_life import ring_in
from uvcall.sandbox.world import Leg, World

_PATH: Final = "/_sandbox/ring"
#: No call of a test is longer, and no carrier's may be.
_LONGEST_S: Final = 14_500.0
_INSTANTS: Final = ("created_at", "answered_at", "ended_at")


def as_mapping(rung: Rung, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what came of a call as JSON can hold it, with the events of its history."""
    leg = rung.leg
    return {
        "leg": {
            "provider": leg.provider.value,
            "id": leg.id,
            "from_": leg.from_,
            "to": leg.to,
            "scenario": leg.scenario,
            "ids": dict(leg.ids),
            "cause": leg.cause.value if leg.cause else None,
            "end_source": leg.end_source,
            **{name: moment.isoformat() if (moment := getattr(leg, name)) else None for name in _INSTANTS},
        },
        "knocks": [asdict(knock) for knock in rung.knocks],
        "trouble": asdict(rung.trouble) if rung.trouble else None,
        "verbs": list(rung.verbs),
        "joined": rung.joined,
        "stream_end": rung.stream_end,
        "events": events,
    }


def from_mapping(told: Mapping[str, Any]) -> Rung:
    """Read what `as_mapping` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    given = told["leg"]
    created_at, answered_at, ended_at = (
        datetime.fromisoformat(text) if (text := given[name]) else None for name in _INSTANTS
    )
    if created_at is None:
        raise ValueError("a call that never began")
    leg = Leg(
        provider=Provider(given["provider"]),
        id=given["id"],
        from_=given["from_"],
        to=given["to"],
        direction="inbound",
        scenario=given["scenario"],
        created_at=created_at,
        ids=dict(given["ids"]),
        answered_at=answered_at,
        ended_at=ended_at,
        cause=Cause(given["cause"]) if given["cause"] else None,
        end_source=given["end_source"],
    )
    return Rung(
        leg,
        knocks=[Knock(**knock) for knock in told["knocks"]],
        trouble=Trouble(**told["trouble"]) if told["trouble"] else None,
        verbs=tuple(told["verbs"]),
        joined=told["joined"],
        stream_end=told["stream_end"],
    )


_BOOKS: Final[Mapping[Provider, type[Book]]] = {
    Provider.TELNYX: telnyx_numbers.Book,
    Provider.TWILIO: twilio_numbers.Book,
    Provider.PLIVO: plivo_numbers.Book,
}


def routed(world: World, caller: Caller) -> Caller:
    """Return the caller, who rings what the number leads to where nothing else was said.

    Raises:
        UsageError: It is not the account's, or leads nowhere that could be asked.
    """
    if caller.to:
        return caller
    name = caller.provider.value
    leads = world.rooms[_BOOKS[caller.provider]].webhook(caller.called)
    if leads is None or leads.url == UNUSED:
        raise UsageError(
            f"the number {caller.called} leads to no webhook at {name}",
            hint=f"uvcall serve-inbound --configure-number {name}:{caller.called}, or say --to URL",
        )
    if leads.method != "POST":
        raise UsageError(
            f"the number {caller.called} leads to a webhook by {leads.method}", hint="here callers ring by POST only"
        )
    fallback, status = ("", "") if caller.signature is not Signature.GOOD else (leads.fallback_url, leads.status_url)
    return checked(
        replace(
            caller,
            to=leads.url,
            fallback_url=caller.fallback_url or ("" if fallback == UNUSED else fallback),
            status_url=caller.status_url or status,
            call_control=leads.call_control,
        )
    )


def caller_of(world: World, given: Mapping[str, Any]) -> Caller:
    """Read a caller from JSON.

    Raises:
        UsageError: It is not one.
    """
    known = {one.name for one in fields(Caller)}
    try:
        words: dict[str, Any] = {name: value for name, value in given.items() if name in known}
        words["provider"] = Provider(words["provider"])
        words["signature"] = Signature(words.get("signature", Signature.GOOD))
        words.setdefault("to", "")
        caller = checked(Caller(**words), routed=True)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        hint = f"send JSON with {', '.join(sorted(known))}; provider is needed"
        raise UsageError("that is no caller", hint=hint) from error
    return routed(world, caller)


class Doorbell:
    """The route by which somebody has a caller ring from inside this sandbox."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """Return the route, at the root and under the base URL of Telnyx, as the sandbox's other own routes."""
        return [web.post(f"{root}{_PATH}", self.ring) for root in ("", "/v2")]

    async def ring(self, request: web.Request) -> web.Response:
        """Ring, and answer when the call is over: what came of it."""
        world = self.exchange.world
        try:
            caller = caller_of(world, await json_object(request) or {})
        except UsageError as error:
            return web.json_response({"error": error.message, "hint": error.hint}, status=400)
        before = len(world.history.events)
        work = world.spawn(ring_in(self.exchange, caller), "ring")
        await asyncio.wait({work})
        if work.cancelled():
            return web.json_response({"error": "the sandbox was reset", "hint": "ring again"}, status=409)
        rung: Rung = work.result()
        mine = {rung.leg.id, *(leg.id for leg in world.legs.values() if leg.ids.get("parent") == rung.leg.id)}
        events = [one for one in world.history.events[before:] if one.get("carrier_call_id") in mine]
        return web.json_response(as_mapping(rung, events))


def ring_at(url: str, caller: Caller, listener: Callable[[dict[str, Any]], None] | None = None) -> Rung:
    """Have a caller ring from inside the sandbox at `url`; `listener` is told of every event once it is over.

    Raises:
        UsageError: Something that makes no sense, or a URL that leads elsewhere than to this machine.
        LocalError: No sandbox answers there.
        ContractBroken: What answers is none.
    """
    if not is_web_url(url) or not is_loopback(url):
        raise UsageError("--at: not the address of a sandbox on this machine", hint="--at http://127.0.0.1:8123")
    caller = checked(caller, routed=True)
    status, told = asyncio.run(_post(url.rstrip("/") + _PATH, asdict(caller)))
    if status in {400, 409} and isinstance(told.get("error"), str):
        raise UsageError(told["error"][:200], hint=str(told.get("hint", ""))[:200])
    try:
        rung = from_mapping(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContractBroken(
            f"what answers at --at is no sandbox of this version (HTTP {status})",
            hint="start one with: uvcall sandbox serve --port 8123",
        ) from error
    for event in told.get("events", ()):
        if listener is not None:
            listener(event)
    return rung


async def _post(url: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    try:
        async with (
            aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=_LONGEST_S)) as session,
            session.post(url, json=body, allow_redirects=False) as answer,
        ):
            told = await answer.json(content_type=None)
            return answer.status, told if isinstance(told, dict) else {}
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise LocalError(
            "no sandbox answers at --at", hint="start one with: uvcall sandbox serve --port 8123"
        ) from error
    except ValueError:
        return 0, {}
