"""Just enough XML to answer a carrier: elements, attributes, text, escaped, and nothing that XML 1.0 cannot hold.

Python's own writers let NUL, ESC, U+FFFE and lone surrogates through, and the document then does not parse at the
carrier's end, with the caller on the line. Here they are refused before anyone is called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from uvcall.errors import UsageError

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'

# What the production Char leaves out, written as what it is: the same set as a complement takes twelve times as long
# to compile. https://www.w3.org/TR/xml/#charsets
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

# Attribute values are normalised by parsers: a literal tab or line break would come out as a space.
# https://www.w3.org/TR/xml/#AVNormalize
_IN_ATTRIBUTE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
# A literal carriage return in text would come out as a line feed. https://www.w3.org/TR/xml/#sec-line-ends
_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def escape_attribute(value: str) -> str:
    """Return the value as it stands between double quotes.

    Raises:
        UsageError: It has a character that XML 1.0 cannot hold.
    """
    return _checked(value).translate(_IN_ATTRIBUTE)


def escape_text(value: str) -> str:
    """Return the value as it stands between tags.

    Raises:
        UsageError: It has a character that XML 1.0 cannot hold.
    """
    return _checked(value).translate(_IN_TEXT)


def element(name: str, attributes: Mapping[str, str] | None = None, *, text: str = "", children: str = "") -> str:
    """Return one element.

    Args:
        name: The element's name; from a table of ours, never from outside.
        attributes: Names, from a table of ours, and values, from anywhere.
        text: Escaped and put first.
        children: Elements already serialised.

    Raises:
        UsageError: A value or the text has a character that XML 1.0 cannot hold.
    """
    opening = name
    for key, value in (attributes or {}).items():
        opening += f' {key}="{escape_attribute(value)}"'
    inside = escape_text(text) + children
    return f"<{opening}>{inside}</{name}>" if inside else f"<{opening}/>"


def document(children: str) -> str:
    """Return the whole document around a carrier's verbs: declaration and `<Response>`."""
    return f"{DECLARATION}<Response>{children}</Response>"


def _checked(value: str) -> str:
    found = _FORBIDDEN.search(value)
    if found is None:
        return value
    raise UsageError(
        f"the character U+{ord(found[0]):04X} at position {found.start() + 1} cannot stand in an XML document",
        hint="remove it from the text, the option or the URL that goes into the carrier's document",
    )
