"""Telnyx's lists: filters and pages as the SDK writes them, and the page that is answered."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from uvcall.sandbox.rest import page_of, telnyx_error

_KEY: Final = re.compile(r"(filter|page)\[([a-z_.]+)\](?:\[([a-z]+)\])?")
_LARGEST_PAGE: Final = 250


def deep_object(query: Mapping[str, str], kind: str) -> dict[tuple[str, str], str]:
    """Return `kind[name]` and `kind[name][operator]` of a query, as the SDK nests them."""
    found = {}
    for key, value in query.items():
        match = _KEY.fullmatch(key)
        if match and match[1] == kind:
            found[match[2], match[3] or "eq"] = value
    return found


def page(query: Mapping[str, str]) -> tuple[int, int]:
    """Return page number and size.

    Raises:
        Refusal: One is not a number in its range.
    """
    given = deep_object(query, "page")
    result = []
    for name, default, most in (("number", "1", 10**6), ("size", "20", _LARGEST_PAGE)):
        text = given.get((name, "eq"), default)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise telnyx_error(422, "10015", "Bad Request", f"page[{name}] is out of range.", f"/page/{name}")
        result.append(int(text))
    return result[0], result[1]


def listing(items: list[Any], query: Mapping[str, str]) -> web.Response:
    """Answer the page that was asked for."""
    number, size = page(query)
    meta = {
        "page_number": number,
        "page_size": size,
        "total_pages": math.ceil(len(items) / size),
        "total_results": len(items),
    }
    return web.json_response({"data": page_of(items, offset=(number - 1) * size, limit=size), "meta": meta})
