"""Wire formats, both directions, one shape per carrier. A module is the instance of the Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.secret import JoinUrl

if TYPE_CHECKING:
    # The events alone take as long to import as everything that a document needs.
    from uvcall.core.webhook import HttpRequest
    from uvcall.core.wire.events import CallWebhook, Media, Side


class Wire(Protocol):
    """What every carrier's wire module offers."""

    def answer_xml(self, join_url: JoinUrl, stream: StreamOptions, *, attributes: dict[str, str] | None = None) -> str:
        """Return the document that connects the call to the agent. `attributes` are the user's extra ones."""

    def fallback_xml(self, *, say: str, forward_to: str | None = None, language: str = "en-US") -> str:
        """Return the document for when no agent can be had: forward to a human, else say sorry and hang up."""

    def reject_xml(self, *, busy: bool) -> str:
        """Return the document that turns a caller away unanswered."""

    def sign(self, request: HttpRequest, key: str, *, now: float, nonce: str) -> HttpRequest:
        """Return the request with the carrier's signature headers. Telnyx: `key` is the private seed, base64."""

    def verify(self, request: HttpRequest, key: str, *, now: float) -> None:
        """Check the carrier's signature on the raw bytes. Telnyx: `key` is the public key, base64.

        Raises:
            SignatureInvalid: It is missing, wrong, malformed, or (Telnyx) more than 300 s from `now`.
        """

    def parse_webhook(self, request: HttpRequest) -> CallWebhook:
        """Read a webhook whose signature has been checked.

        Raises:
            WebhookInvalid: A used field is missing, doubled, or does not match its whole pattern.
        """

    def encode(self, side: Side, event: Media) -> str:
        """Return the media message as `side` sends it.

        Raises:
            WireError: That side cannot say this.
        """

    def decode(self, side: Side, text: str) -> Media:
        """Read a media message that `side` has sent.

        Raises:
            WireError: The carrier's protocol does not allow it.
        """


def wire(provider: Provider) -> Wire:
    """Return the carrier's wire module, importing only that one."""
    return cast("Wire", import_module(f"uvcall.core.wire.{provider.value}"))


def later(module: dict[str, Any], elsewhere: Mapping[str, str], name: str) -> Any:
    """Return a carrier's function from the module beside it, and keep it in `module`, a carrier module's globals.

    Raises:
        AttributeError: The carrier has no such function.
    """
    if name not in elsewhere:
        raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
    module[name] = getattr(import_module(f"{__name__}.{elsewhere[name]}"), name)
    return module[name]
