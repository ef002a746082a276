"""What Ultravox keeps of a call: messages, events, tools, stages, the recording.

https://docs.ultravox.ai/api-reference/calls/calls-get
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from aiohttp import web

from uvcall.sandbox import storage
from uvcall.sandbox import ultravox_catalog as catalog
from uvcall.sandbox.ultravox_calls import SandboxCall, as_json, calls, message_json
from uvcall.sandbox.ultravox_lists import Refused, page
from uvcall.sandbox.world import World

_SEVERITIES: Final = ("debug", "info", "warning", "error")

#: Status and JSON body.
Answer = tuple[int, Any]


def wanted_call(world: World, request: web.Request) -> SandboxCall:
    """Return the call that the path names, and, if it names a stage, check that it is the call's."""
    call = calls(world).by_id.get(request.match_info["call_id"])
    if call is None:
        raise Refused(404, "No Call matches the given query.")
    if request.match_info.get("stage_id", call.stage_id) != call.stage_id:
        raise Refused(404, "No CallStage matches the given query.")
    return call


async def messages(world: World, request: web.Request) -> Answer:
    """List the transcript: of a stage, of the last one, or (`in_call`) of all without what was there before."""
    call = wanted_call(world, request)
    mode = request.query.get("mode", "last_stage")
    if mode not in {"last_stage", "in_call"}:
        raise Refused(400, "", {"mode": [f'"{mode[:40]}" is not a valid choice.']})
    said = [message_json(call, index, line) for index, line in enumerate(call.transcript)]
    before = call.settings.get("initialMessages") or [] if mode == "last_stage" else []
    return 200, page(request, [*before, *said])


async def events(world: World, request: web.Request) -> Answer:
    """List the call's event log."""
    call = wanted_call(world, request)
    least = request.query.get("minimum_severity", "info")
    if least not in _SEVERITIES:
        raise Refused(400, "", {"minimum_severity": [f'"{least[:40]}" is not a valid choice.']})
    kind = request.query.get("type")
    floor = _SEVERITIES.index(least)
    shown = [e for e in call.events if _SEVERITIES.index(e["severity"]) >= floor and kind in {None, e["type"]}]
    return 200, page(request, shown)


async def tools(world: World, request: web.Request) -> Answer:
    """List the tools that the call has; this list has no pages."""
    call = wanted_call(world, request)
    selected = call.settings.get("selectedTools") or []
    return 200, [_tool(call, index, one) for index, one in enumerate(selected)]


def _tool(call: SandboxCall, index: int, selected: dict[str, Any]) -> dict[str, Any]:
    known = catalog.find(catalog.TOOLS, "toolId", selected.get("toolId") or selected.get("toolName") or "")
    definition = dict((known or {}).get("definition") or selected.get("temporaryTool") or {})
    name = selected.get("nameOverride") or definition.pop("modelToolName", "")
    definition.pop("modelToolName", None)
    return {
        "callToolId": str(uuid.uuid5(uuid.UUID(call.call_id), str(index))),
        "toolId": known["toolId"] if known else None,
        "name": name,
        "definition": definition,
    }


async def stages(world: World, request: web.Request) -> Answer:
    """List the call's stages: one, since no tool of the sandbox begins another."""
    return 200, page(request, [_stage(wanted_call(world, request))])


async def stage(world: World, request: web.Request) -> Answer:
    """Show one stage."""
    return 200, _stage(wanted_call(world, request))


def _stage(call: SandboxCall) -> dict[str, Any]:
    shown = as_json(call)
    fields = ("callId", "created", "inactivityMessages", "languageHint", "model", "systemPrompt", "temperature")
    more = ("timeExceededMessage", "voice", "experimentalSettings", "initialState")
    return {
        "callStageId": call.stage_id,
        **{name: shown[name] for name in (*fields, *more)},
        "initialTokenCount": None,
        "latestTokenCount": None,
        "errorCount": sum(event["severity"] == "error" for event in call.events),
    }


async def recording(world: World, request: web.Request) -> web.StreamResponse:
    """Say where the recording lies."""
    call = wanted_call(world, request)
    if call.tape is None or call.ended is None:
        raise Refused(404, "There is no recording of this call.")
    return web.Response(status=302, headers={"Location": storage.place(world, call, str(request.url.origin()))})
