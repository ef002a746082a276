"""Where the calls of the accounts' numbers go: what each carrier's API has been told."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

#: Where every application leads in a new sandbox: nowhere. The domain is kept for examples.
UNUSED: Final = "https://example.com/unused"


class Webhook(NamedTuple):
    """Who is asked when a number is rung. Empty: nobody."""

    url: str
    fallback_url: str = ""
    status_url: str = ""
    method: str = "POST"
    call_control: bool = False  #: Telnyx: events for a Call Control application, in place of TeXML


class Book(Protocol):
    """What a carrier's API knows of its numbers."""

    def webhook(self, number: str) -> Webhook | None:
        """Return where the calls of a number go; None: it is not the account's, or leads nowhere."""
