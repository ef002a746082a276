"""Lists of tools: `selectedTools` of a call, `toolOverrides.add` of an agent's call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from uvcall.core.create_fields import TOOL, check_depth, check_fields, check_tool_name
from uvcall.errors import UsageError

_TOOL_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def select_tools(names: Sequence[str], definitions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return tools as Ultravox takes them: durable ones by name or id, then definitions as given.

    Raises:
        UsageError: A name or definition is malformed, or two tools have the same name.
    """
    for name in names:
        check_tool_name(name, "--tool")
    tools: list[Mapping[str, Any]] = [{"toolId" if _TOOL_ID.fullmatch(name) else "toolName": name} for name in names]
    for index, definition in enumerate(definitions):
        check_depth(definition, "--tools")
        check_fields(definition, TOOL, f"--tools[{index}]")
        tools.append(dict(definition))
    _refuse_twins(tools, "the tools")
    return tools


def has_tool(tools: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Say whether the list has the tool, under whatever name the model knows it by."""
    return any(name in {tool.get("toolName"), _model_name(tool)} for tool in tools)


def _model_name(tool: Mapping[str, Any]) -> str:
    """Return the name by which the model knows the tool, as far as it can be told."""
    temporary = tool.get("temporaryTool", {})
    return str(
        tool.get("nameOverride") or tool.get("toolName") or tool.get("toolId") or temporary.get("modelToolName") or ""
    )


def _refuse_twins(tools: Sequence[Mapping[str, Any]], what: str) -> None:
    names = [name for name in map(_model_name, tools) if name]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{what} have {twice[:64]!a} twice", hint="give one of them a nameOverride")


def join_tools(first: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return both lists as one; a tool of the second takes the place of one with its name in the first.

    Raises:
        UsageError: The first list itself has two tools of one name.
    """
    names = set(map(_model_name, then))
    joined = [*(tool for tool in first if _model_name(tool) not in names or not _model_name(tool)), *then]
    _refuse_twins(joined, "--call's tools")
    return joined
