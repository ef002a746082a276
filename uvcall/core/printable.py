"""Text that a terminal may be given: nothing in it moves a cursor, hides a word, forges a line or turns text around."""

from __future__ import annotations

import re
from typing import Final

#: C0 and C1 controls, DEL, line and paragraph separators, the marks that turn the direction of text around, and halves
#: of characters. As text: `re` compiles and keeps it when something is first printed that needs it.
UNSAFE: Final = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def clean(text: str, *, lines: bool = False) -> str:
    """Return the text with every character spelled out that could move a cursor, hide or forge a line.

    Args:
        text: Anybody's words.
        lines: Keep line breaks and tabs.
    """
    if not lines:
        text = text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return re.sub(UNSAFE, lambda match: match.group().encode("unicode_escape").decode(), text)
