"""The subset of Ultravox's REST API that uvcall uses, as aiohttp routes.

https://docs.ultravox.ai/api-reference/introduction
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.core.wire import ultravox as codec
from uvcall.core.wire.events import WireError
from uvcall.sandbox import storage
from uvcall.sandbox import ultravox_catalog as catalog
from uvcall.sandbox import ultravox_records as records
from uvcall.sandbox.credentials import ULTRAVOX_API_KEY
from uvcall.sandbox.ultravox_calls import SandboxCall, as_json, calls
from uvcall.sandbox.ultravox_create import BodyRefused, agent_call_settings, call_settings
from uvcall.sandbox.ultravox_lists import Refused, chosen_voices, page, searched, wanted
from uvcall.sandbox.ultravox_records import wanted_call
from uvcall.sandbox.world import PlacementRefused, World

_DATA_MESSAGES: Final[Mapping[str, str]] = {
    # What the endpoint takes, and the field that holds the words. https://docs.ultravox.ai/apps/datamessages
    "hang_up": "message",
    "forced_agent_message": "content",
    "user_text_message": "text",
}

_Answer = records.Answer
_Work = Callable[[World, web.Request], Awaitable[_Answer | web.StreamResponse]]


def routes(world: World) -> list[web.RouteDef]:
    """Return the routes: those of the API, each behind the key, and the storage of recordings, which knows no key."""
    api = [web.route(method, path, _guarded(world, work)) for method, path, work in _ROUTES]
    return [*api, storage.route(world)]


def _guarded(world: World, work: _Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        key = request.headers.get("X-API-Key", "")
        if not hmac.compare_digest(key.encode(), ULTRAVOX_API_KEY.encode()):
            missing = "Authentication credentials were not provided." if not key else "Invalid API key."
            return web.json_response({"detail": missing}, status=401)
        try:
            answer = await work(world, request)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)
        if isinstance(answer, web.StreamResponse):
            return answer
        status, body = answer
        return web.json_response(body, status=status) if body is not None else web.Response(status=status)

    return handle


async def _account(world: World, _: web.Request) -> _Answer:
    active = sum(call.ended is None for call in calls(world).by_id.values())
    unlimited = dict.fromkeys(("allowedConcurrentCalls", "allowedVoices", "allowedCorpora"))
    subscription = ("Tier", "Cadence", "Expiration", "ScheduledUpdate", "Renewal")
    return 200, {
        "accountId": catalog.ACCOUNT_ID,
        "name": "uvcall sandbox (not a real account)",
        "billingUrl": "https://sandbox.invalid/billing",
        "freeTimeUsed": "0s",
        "freeTimeRemaining": "1800s",
        "hasActiveSubscription": False,
        **dict.fromkeys(f"subscription{name}" for name in subscription),
        "activeCalls": active,
        **unlimited,
    }


async def _models(_: World, request: web.Request) -> _Answer:
    return 200, page(request, [{"name": name} for name in catalog.MODELS])


async def _voices(_: World, request: web.Request) -> _Answer:
    return 200, page(request, chosen_voices(request, searched(request, catalog.VOICES)))


async def _voice(_: World, request: web.Request) -> _Answer:
    for voice in catalog.VOICES:
        if voice["voiceId"] == request.match_info["voice_id"]:
            return 200, voice
    raise Refused(404, "No Voice matches the given query.")


async def _tools(_: World, request: web.Request) -> _Answer:
    return 200, page(request, searched(request, catalog.TOOLS))


async def _agents(world: World, request: web.Request) -> _Answer:
    return 200, page(request, [_counted(world, agent) for agent in searched(request, catalog.AGENTS)])


async def _agent(world: World, request: web.Request) -> _Answer:
    return 200, _counted(world, _wanted_agent(request))


async def _create(world: World, request: web.Request) -> _Answer:
    kept = calls(world)
    body = await _body(request)
    agent = _wanted_agent(request) if "agent_id" in request.match_info else None
    prior_id = request.query.get("priorCallId") if agent is None else None
    prior = kept.by_id.get(prior_id) if prior_id else None
    problems: dict[str, list[str]] = {}
    if prior_id and prior is None:
        problems["priorCallId"] = ["No such call."]
    if "throttle" in request.query:
        problems["throttle"] = ["No such call throttle."]
    if request.query.get("enableGreetingPrompt", "true").lower() not in {"true", "false"}:
        problems["enableGreetingPrompt"] = ["Must be a valid boolean."]
    try:
        if agent is not None:
            settings, ignored = agent_call_settings(body, agent)
        else:
            settings, ignored = call_settings(body, prior.settings if prior else None)
    except BodyRefused as refused:
        problems = refused.problems | problems
    if problems:
        raise Refused(400, "", problems)
    origin = world.base_url or str(request.url.origin())
    named = {"agentId": agent["agentId"], "name": agent["name"]} if agent else None
    call = kept.create(settings, origin, named)
    world.history.record("ultravox", "call.created", call_id=call.call_id, medium=call.medium,
                         agent_id=named["agentId"] if named else None, ignored_fields=ignored)  # fmt: skip
    await _dial(world, call)
    return 201, as_json(call)


async def _dial(world: World, call: SandboxCall) -> None:
    """Let Ultravox place the phone leg itself, if the medium says so."""
    outgoing = call.settings["medium"][call.medium].get("outgoing") if call.provider else None
    if outgoing is None or call.provider is None:
        return
    call.shows_join_url = False
    problem = "No telephony configuration for this provider."
    if world.phones is not None:
        try:
            await world.phones.originate(
                call.provider,
                to=outgoing["to"],
                from_=outgoing["from"],
                join_url=call.join_url,
                parameters=outgoing.get("additionalParams") or {},
            )
        except PlacementRefused as refused:
            problem = f"The provider refused the call: {refused}"[:300]
        else:
            return
    kept = calls(world)
    kept.end(call, "system_error")
    del kept.by_id[call.call_id]
    raise Refused(400, "", {"medium": [problem]})


async def _list_calls(world: World, request: web.Request) -> _Answer:
    found = wanted(request, calls(world).by_id.values())
    return 200, page(request, found, as_json)


async def _get(world: World, request: web.Request) -> _Answer:
    return 200, as_json(wanted_call(world, request))


async def _delete(world: World, request: web.Request) -> _Answer:
    call = wanted_call(world, request)
    if call.ended is None:
        raise Refused(400, "Cannot delete an ongoing call.")
    del calls(world).by_id[call.call_id]
    return 204, None


async def _send_data_message(world: World, request: web.Request) -> _Answer:
    call = wanted_call(world, request)
    body = await _body(request)
    field = _DATA_MESSAGES.get(str(body.get("type")))
    if field is None:
        raise Refused(400, "", {"type": ["Not a data message that this endpoint takes."]})
    try:
        message = codec.from_object(body)
    except WireError as error:
        raise Refused(400, "", {"non_field_errors": [str(error)]}) from error
    if not body.get(field) and not body.get("toolCalls") and not isinstance(message, codec.HangUp):
        raise Refused(400, "", {field: ["This field is required."]})
    if call.control is None:
        raise Refused(422, "The call is not active.")
    call.control(message)
    return 204, None


def _wanted_agent(request: web.Request) -> dict[str, Any]:
    for agent in catalog.AGENTS:
        if agent["agentId"] == request.match_info["agent_id"]:
            return agent
    raise Refused(404, "No Agent matches the given query.")


def _counted(world: World, agent: dict[str, Any]) -> dict[str, Any]:
    made = sum((call.agent or {}).get("agentId") == agent["agentId"] for call in calls(world).by_id.values())
    return {**agent, "statistics": {"calls": made}}


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused(400, "JSON parse error") from error
    if not isinstance(body, dict):
        raise Refused(400, "", {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return body


_ROUTES: Final[tuple[tuple[str, str, _Work], ...]] = (
    ("GET", "/api/accounts/me", _account),
    ("GET", "/api/models", _models),
    ("GET", "/api/voices", _voices),
    ("GET", "/api/voices/{voice_id}", _voice),
    ("GET", "/api/tools", _tools),
    ("GET", "/api/agents", _agents),
    ("GET", "/api/agents/{agent_id}", _agent),
    ("GET", "/api/agents/{agent_id}/calls", _list_calls),
    ("POST", "/api/agents/{agent_id}/calls", _create),
    ("GET", "/api/calls", _list_calls),
    ("POST", "/api/calls", _create),
    ("GET", "/api/calls/{call_id}", _get),
    ("DELETE", "/api/calls/{call_id}", _delete),
    ("GET", "/api/calls/{call_id}/messages", records.messages),
    ("GET", "/api/calls/{call_id}/events", records.events),
    ("GET", "/api/calls/{call_id}/tools", records.tools),
    ("GET", "/api/calls/{call_id}/stages", records.stages),
    ("GET", "/api/calls/{call_id}/stages/{stage_id}", records.stage),
    ("GET", "/api/calls/{call_id}/stages/{stage_id}/messages", records.messages),
    ("GET", "/api/calls/{call_id}/stages/{stage_id}/tools", records.tools),
    ("GET", "/api/calls/{call_id}/recording", records.recording),
    ("POST", "/api/calls/{call_id}/send_data_message", _send_data_message),
)
