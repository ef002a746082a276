"""Outbound adapters: one official SDK per module, one shape for all. A module is the instance of the Protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from math import inf
from typing import Any, Final, NamedTuple, Protocol, cast

from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.core.model import LegOrder, LegStatus, PlacedCall
from uvcall.core.secret import Secret

#: How long after the intent to place it a leg begins at the latest, in seconds: a request may take 25 s, and calls have
#: been seen to start 84 s after the request that made them. What begins later is another call.
BEGINS_WITHIN_S: Final = 150.0


class Account(NamedTuple):
    """What a carrier's SDK needs to act for the user.

    Attributes:
        fields: The carrier's settings by key, secrets wrapped: `api_key`, `account_sid`, `connection_id`, …
        base_url: Where the carrier's API is; always set.
        timeout_s: Seconds of patience for one request, in all.
    """

    fields: Mapping[str, str | Secret] = NOTHING
    base_url: str = ""
    timeout_s: float = 20.0

    def text(self, name: str) -> str:
        """Return a field as the SDK wants it, secrets revealed; empty when unset."""
        value = self.fields.get(name, "")
        return value.reveal() if isinstance(value, Secret) else value


class Carrier(Protocol):
    """What every carrier module offers. `client` is whatever its own `connect` returned."""

    def load(self) -> None:
        """Import the SDK. Slow; run it while something else is awaited."""

    def connect(self, account: Account) -> Any:
        """Return a client with every automatic retry off. Contacts nobody."""

    def close(self, client: Any) -> None:
        """Close the client's connections."""

    def request(self, account: Account, order: LegOrder) -> Mapping[str, Any]:
        """Return the SDK call's arguments, join URL unredacted: what `place` sends and `--dry-run` prints.

        Raises:
            UsageError: An option that the SDK's call does not have, that uvcall sets itself, or that the carrier
                cannot express.
        """

    def place(self, client: Any, account: Account, order: LegOrder) -> PlacedCall:
        """Place the leg: exactly one attempt.

        Raises:
            Temporary: Not sent, or 429.
            ProviderRefused: A definite refusal; the vendor's code and words are kept.
            AuthError: 401, 403 and their like.
            FateUnknown: It may ring.
        """

    def status(self, client: Any, account: Account, placed: PlacedCall) -> LegStatus:
        """Ask the carrier where the leg is.

        Raises:
            Temporary: The carrier did not answer, or not usefully; the leg is unaffected.
        """

    def hang_up(self, client: Any, account: Account, placed: PlacedCall) -> bool:
        """End the leg, ringing or talking. Returns False when it was over already. Safe to repeat."""

    def find(
        self, client: Any, account: Account, order: LegOrder, *, since: float, until: float = inf
    ) -> Sequence[PlacedCall]:
        """Look for legs that this order may have placed, newest first.

        Where only the two numbers tell a leg, it has begun between `since` and `until` (seconds since the epoch).

        Raises:
            Temporary: The carrier's list cannot be read: absence proves nothing.
        """

    def check(self, client: Any, account: Account) -> str:
        """Make the cheapest read that proves the credentials; return a few words about the account.

        Raises:
            AuthError: The carrier does not know them.
        """


def carrier(provider: Provider) -> Carrier:
    """Return the carrier's module; its SDK is imported only by `load` or `connect`."""
    return cast("Carrier", import_module(f"uvcall.carriers.{provider.value}"))
