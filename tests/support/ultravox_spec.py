"""Ultravox's own OpenAPI document, and values held against it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SPEC = Path(__file__).parents[3] / "shared" / "specs" / "ultravox.openapi.json"


def document() -> Any:
    """Return the document, or skip the test where it is not at hand."""
    if not SPEC.is_file():
        pytest.skip("the OpenAPI document of Ultravox is not at ../shared/specs")
    return json.loads(SPEC.read_text())


def _as_json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0's `nullable` into what JSON Schema understands."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _as_json_schema(value) for key, value in node.items()}
    return {"anyOf": [node, {"type": "null"}]} if node.pop("nullable", False) is True else node


@cache
def _schemas() -> Any:
    # The document writes null as an enum of nothing (`NullEnum`), which no value could match.
    return {**_as_json_schema(document()["components"]["schemas"]), "NullEnum": {"type": "null"}}


def assert_fits(value: Any, name: str, *, listed: bool = False) -> None:
    """Hold a value, or with `listed` each item of a bare array, against a schema of the document."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    jsonschema.validate(
        value,
        {**({"type": "array", "items": schema} if listed else schema), "components": {"schemas": _schemas()}},
        format_checker=jsonschema.FormatChecker(),
    )
