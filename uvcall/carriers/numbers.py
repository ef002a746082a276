"""Where a number's calls go: one module for each carrier, one shape for all. A module is the instance of the Protocol.

Twilio's numbers hold the addresses themselves. Those of Telnyx and Plivo lead to an application that holds them; there
uvcall makes an application of its own for each number, so that no other number is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar, cast

from uvcall.carriers import Account
from uvcall.carriers._errors import AnswerError, AnswerLost, Manner, failed_read
from uvcall.core.carrier import Provider
from uvcall.core.number import Here, NumberSetup
from uvcall.errors import ConfigError, Temporary, UvcallError

T = TypeVar("T")

_LATER: Final = "run it again later; where a number was led before is kept"


class Numbers(Protocol):
    """What every carrier's module of numbers offers. `client` is what the carrier's own `connect` returned.

    All of them raise `Temporary`, `AuthError` or `ProviderRefused` as the carrier answers; one attempt each.
    """

    def read(self, client: Any, account: Account, number: str) -> NumberSetup:
        """Return where the number's calls go.

        Raises:
            ConfigError: It is not a number of the account.
        """

    def aim(self, client: Any, account: Account, before: NumberSetup, here: Here) -> NumberSetup:
        """Return the setup that leads here, and make what it needs at the carrier; the number is not changed.

        `before` is what answered until now: it goes on to answer when nothing does here. Safe to repeat.
        """

    def write(self, client: Any, account: Account, before: NumberSetup, after: NumberSetup) -> None:
        """Change the number, in the fields that differ."""

    def clear(self, client: Any, account: Account, tag: str) -> None:
        """Take away what `aim` has made under this name. Safe to repeat."""


def numbers(provider: Provider) -> Numbers:
    """Return the carrier's module; its SDK is imported only when it is used."""
    return cast("Numbers", import_module(f"uvcall.carriers.{provider.value}_numbers"))


def asking(manner: Manner, call: Callable[[], T]) -> T | None:
    """Make one SDK call about a number; return None when the carrier has no such thing (404).

    Raises:
        Temporary, AuthError, ProviderRefused: What came of it.
    """
    try:
        return call()
    except AnswerError as error:
        if error.answer.status == 404:
            return None
        raise _told(failed_read(manner, error, strict=True)) from error
    except AnswerLost as error:
        raise _told(failed_read(manner, error)) from error


def _told(trouble: UvcallError) -> UvcallError:
    """Say of a number what was written for calls."""
    if isinstance(trouble, Temporary):
        trouble.hint = _LATER
    return trouble


def entries(manner: Manner, found: Any) -> list[Any]:
    """Return a list's entries.

    Raises:
        Temporary: It is no list: absence would prove nothing.
    """
    if isinstance(found, list):
        return found
    raise Temporary(f"{manner.title} answered without a list", hint=_LATER, peer=manner.peer)


def not_ours(manner: Manner, number: str) -> ConfigError:
    """Return the error for a number that the account does not have."""
    return ConfigError(
        f"{manner.title} knows no number {number} of this account",
        hint=f"check the number, and whether {manner.peer}'s credentials are those of its account",
        peer=manner.peer,
    )
