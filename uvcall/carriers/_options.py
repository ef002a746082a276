"""`--carrier-option k=v` against the SDK call that it is meant for, and the ranges that carriers document."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from uvcall.core.carrier import StreamOptions
from uvcall.errors import UsageError


def merge(
    title: str,
    sdk_call: Callable[[], Callable[..., Any]],
    own: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    barred: Collection[str] = (),
) -> dict[str, Any]:
    """Return the SDK call's arguments: uvcall's own and the user's.

    Args:
        title: The carrier's name for people.
        sdk_call: Imports and returns the SDK's method, whose signature says what there is and of which type; called
            only where there are options, since importing is slow.
        own: What uvcall sets.
        options: What the user gives; strings are read as the signature's types.
        barred: Parameters that would undo what uvcall promises.

    Raises:
        UsageError: An option is unknown, uvcall's own, barred, or not of its type.
    """
    if not options:
        return dict(own)
    call = sdk_call()
    known = {name: p for name, p in inspect.signature(call).parameters.items() if name != "self"}
    merged = dict(own)
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, [n for n in known if n not in barred], n=1)
            raise UsageError(
                f"{title} has no call option {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"the options are those of the SDK's {call.__name__}()",
                peer=title.lower(),
            )
        if name in own or name in barred:
            raise UsageError(
                f"the {title} option {name!r} is uvcall's own and cannot be given",
                hint="use the command's own options and settings for it",
                peer=title.lower(),
            )
        merged[name] = _typed(title, name, value, known[name])
    return merged


_BOOLS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def _text(value: str) -> str:
    return value


def _bool(value: str) -> bool:
    return _BOOLS[value.lower()]


def _int(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,12}", value):
        raise ValueError(value)
    return int(value)


def _words(value: str) -> Any:
    return json.loads(value) if value.startswith("[") else [value]


#: What an annotation says → what it wants to be called → how a string becomes it. The first that matches.
_KINDS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    (r"^(Union\[)?(str\b|Literal)", "text", _text),
    (r"\bbool\b", "true or false", _bool),
    (r"\bint\b", "a whole number", _int),
    (r"^(Union\[)?List\[str\]", "a word or a JSON list", _words),
    (r"\b(List|Dict|Iterable|Sequence|Mapping)\b|Config\b|Param\b", "JSON", json.loads),
    (r"", "text", _text),
)


def _typed(title: str, name: str, value: Any, parameter: inspect.Parameter) -> Any:
    """Read a string as the parameter's annotation, or else its default, has it."""
    if not isinstance(value, str):
        return value
    spoken = parameter.annotation if isinstance(parameter.annotation, str) else str(parameter.annotation)
    if parameter.annotation is inspect.Parameter.empty:
        spoken = "str" if parameter.default is None else type(parameter.default).__name__
    spoken = spoken.replace("typing.", "")
    for pattern, kind, read in _KINDS:
        if re.search(pattern, spoken):
            try:
                return read(value)
            except (ValueError, KeyError, RecursionError):
                raise UsageError(
                    f"the {title} option {name!r} must be {kind}",
                    hint=f"write --carrier-option {name}=…",
                    peer=title.lower(),
                ) from None
    return value


def in_range(title: str, what: str, value: int, low: int, high: int, hint: str) -> int:
    """Return the value, or refuse it by name.

    Raises:
        UsageError: The carrier documents another range.
    """
    if not low <= value <= high:
        raise UsageError(
            f"{title} takes a {what} of {low} to {high} seconds, not {value}", hint=hint, peer=title.lower()
        )
    return value


def only(title: str, stream: StreamOptions, allowed: Mapping[str, Collection[str]]) -> None:
    """Refuse stream options that the carrier cannot express.

    Args:
        title: The carrier's name for people.
        stream: What is asked for.
        allowed: By field of `StreamOptions`, the values that exist; a field that is absent takes none.

    Raises:
        UsageError: The option, by name.
    """
    for name in ("codec", "track", "target_legs"):
        value = getattr(stream, name)
        choices = allowed.get(name, ())
        if value is not None and value not in choices:
            raise UsageError(
                f"{title} cannot stream with {name} {value!r}",
                hint=f"choose one of {', '.join(choices)}" if choices else f"leave {name} out for {title}",
                peer=title.lower(),
            )
