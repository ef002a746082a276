"""What every carrier's fallback document may say and whom it may ring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from uvcall.errors import UsageError

#: Twenty seconds of ringing leave the caller less time to give up than a carrier's default; ten minutes bound the cost.
DIAL: Final[Mapping[str, str]] = MappingProxyType({"timeout": "20", "timeLimit": "600"})

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")
_LONGEST: Final = 1000


def sentence(text: str) -> str:
    """Return the text to be spoken, without blanks around it.

    Raises:
        UsageError: It is longer than 1,000 characters: the whole document must stay below 4,000.
    """
    words = text.strip()
    if len(words) > _LONGEST:
        raise UsageError(
            f"the fallback text has {len(words):,} characters", hint=f"say it in {_LONGEST:,} characters or fewer"
        )
    return words


def spoken(language: str) -> str:
    """Return the language tag, unchanged.

    Raises:
        UsageError: It is not a language tag such as en-US.
    """
    if not _LANGUAGE.fullmatch(language):
        raise UsageError("the fallback's language is not a language tag", hint="a language looks like en-US or de-DE")
    return language


def forwarded(number: str) -> str:
    """Return the number to forward to, unchanged.

    Raises:
        UsageError: It is not E.164.
    """
    from uvcall.core.phone import require_e164

    return require_e164(number, "the number to forward to")
