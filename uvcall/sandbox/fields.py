"""Kinds of fields that a request body may hold, and the walk that checks a body against a table of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Problem = tuple[str, str]  #: the dotted path, and what is wrong there


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    longest: int | None = None
    shortest: int = 0
    whole: re.Pattern[str] | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or a whole one."""

    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Free:
    """An object that nobody looks into; with `strings`, all of its values are strings."""

    strings: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array."""

    item: Kind


@dataclass(frozen=True, slots=True)
class Shape:
    """An object with named fields. `one_of`: exactly one of these; `one_at_most`: or none."""

    fields: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    one_at_most: tuple[str, ...] = ()


Kind = Text | Number | Flag | Free | Anything | ListOf | Shape


@dataclass(slots=True)
class Findings:
    """What reading a body brought to light."""

    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  #: fields that the API does not know and passes over


def check(shape: Shape, body: Mapping[str, Any]) -> Findings:
    """Check a body against a table. Null counts as absent, as in every JSON form of protocol buffers."""
    found = Findings()
    _walk(shape, body, "", found)
    return found


def _walk(kind: Kind, value: Any, path: str, found: Findings) -> None:
    if isinstance(kind, Shape):
        if not isinstance(value, dict):
            found.problems.append((path, "Expected an object."))
            return
        _walk_shape(kind, value, path, found)
    elif isinstance(kind, ListOf):
        if not isinstance(value, list):
            found.problems.append((path, "Expected a list of items."))
            return
        for index, item in enumerate(value):
            _walk(kind.item, item, f"{path}.{index}", found)
    else:
        problem = _SIMPLE[type(kind)](kind, value)
        if problem:
            found.problems.append((path, problem))


def _walk_shape(shape: Shape, value: Mapping[str, Any], path: str, found: Findings) -> None:
    given = {name: item for name, item in value.items() if item is not None}
    dot = f"{path}." if path else ""
    for name, item in given.items():
        if name in shape.fields:
            _walk(shape.fields[name], item, dot + name, found)
        else:
            found.ignored.append(dot + name)
    found.problems += [(dot + name, "This field is required.") for name in shape.required if name not in given]
    if shape.one_of and sum(name in given for name in shape.one_of) != 1:
        found.problems.append((path, f"Exactly one of {', '.join(shape.one_of)} must be set."))
    if shape.one_at_most and sum(name in given for name in shape.one_at_most) > 1:
        found.problems.append((path, f"At most one of {', '.join(shape.one_at_most)} may be set."))


def _text(kind: Text, value: Any) -> str:
    if not isinstance(value, str):
        return "Not a valid string."
    if kind.choices and value not in kind.choices:
        return "Not a valid choice."
    if kind.longest is not None and len(value) > kind.longest:
        return f"Ensure this field has no more than {kind.longest} characters."
    if len(value) < kind.shortest:
        return f"Ensure this field has at least {kind.shortest} characters."
    return "This value does not match the required pattern." if kind.whole and not kind.whole.fullmatch(value) else ""


def _number(kind: Number, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (kind.whole and value != int(value)):
        return "A valid integer is required." if kind.whole else "A valid number is required."
    if kind.low is not None and value < kind.low:
        return f"Ensure this value is greater than or equal to {kind.low:g}."
    return f"Ensure this value is less than or equal to {kind.high:g}." if kind.high and value > kind.high else ""


def _flag(_: Flag, value: Any) -> str:
    return "" if isinstance(value, bool) else "Must be a valid boolean."


def _free(kind: Free, value: Any) -> str:
    if not isinstance(value, dict):
        return "Expected an object."
    return "All values must be strings." if kind.strings and not all(isinstance(v, str) for v in value.values()) else ""


_SIMPLE: Final[Mapping[type, Callable[[Any, Any], str]]] = {
    Text: _text,
    Number: _number,
    Flag: _flag,
    Free: _free,
    Anything: lambda _kind, _value: "",
}


def schema_problems(schema: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[str]:
    """Say how a template context breaks an agent's `contextSchema`: required, types, no others."""
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in context:
            yield f"'{name}' is a required property"
    for name, value in context.items():
        wanted = properties.get(name, {}).get("type")
        if name not in properties and schema.get("additionalProperties") is False:
            yield f"'{name}' was unexpected"
        elif wanted in _JSON_TYPES and not _JSON_TYPES[wanted](value):
            yield f"'{name}' is not of type '{wanted}'"


_JSON_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
