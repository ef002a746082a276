"""What a caller does who rings a webhook, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from uvcall.core.carrier import Provider
from uvcall.errors import UsageError
from uvcall.sandbox import credentials

if TYPE_CHECKING:
    from uvcall.sandbox.world import Leg


class Manner(StrEnum):
    """The scenarios that say something about a person who calls. The others are about being called."""

    ANSWER = "answer"
    MUTE = "mute"
    HANGUP_EARLY = "hangup-early"


CALLER: Final = "+12025550100"
ANONYMOUS: Final = "anonymous"
MOST_COPIES: Final = 1000

#: The account's number that is called, for each carrier.
CALLED: Final = {
    Provider.TELNYX: credentials.TELNYX_FROM,
    Provider.TWILIO: credentials.TWILIO_FROM,
    Provider.PLIVO: credentials.PLIVO_FROM,
}


class Signature(StrEnum):
    """How the webhook is signed. All but the first are forgeries."""

    GOOD = "good"
    BAD = "bad"  #: by another key
    EXPIRED = "expired"  #: rightly, ten minutes ago
    MISSING = "missing"
    RESPLIT = "resplit"  #: rightly, but cut into other fields


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who rings a number whose webhook is `to`."""

    provider: Provider
    to: str
    from_: str = CALLER  #: E.164, or `anonymous`
    called: str = ""  #: empty: the sandbox's number at that carrier
    signature: Signature = Signature.GOOD
    duplicates: int = 0
    scenario: str = "answer"
    fallback_url: str = ""
    status_url: str = ""
    hang_up_after_s: float | None = None  #: counted from the first ring, answered or not
    call_control: bool = False  #: Telnyx: an event for a Call Control application, in place of TeXML


@dataclass(slots=True)
class Knock:
    """One request that was made of the webhook, and what came back."""

    url: str
    kind: str  #: `first`, `retry`, `fallback`, `parallel`, `late`, or `redirect`
    status: int | None = None  #: None: no answer
    seconds: float = 0.0
    failure: str = ""
    same: bool | None = None  #: of a duplicate: answered like the original, byte for byte


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the carrier got nothing from the webhook that it could follow."""

    code: str  #: the carrier's own, where it has one
    words: str
    status: int | None = None


@dataclass(slots=True)
class Rung:
    """What came of it, once it is over."""

    leg: Leg
    knocks: list[Knock] = field(default_factory=list)
    trouble: Trouble | None = None
    verbs: tuple[str, ...] = ()  #: of every document that was followed
    joined: bool = False  #: a media stream was opened
    stream_end: str = ""  #: how the last one ended: `agent`, `leg`, `refused`, `broken`

    @property
    def differing(self) -> int:
        """How many duplicates were answered in another way than the original."""
        return sum(knock.same is False for knock in self.knocks)


def checked(caller: Caller, *, routed: bool = False) -> Caller:
    """Return the caller with every default filled in; `routed`: an empty `to` is where the number leads.

    Raises:
        UsageError: Something that makes no sense, or a URL that leads elsewhere than to this machine.
    """
    # The command line reads this module for its options, and needs no web server for that.
    from uvcall.sandbox.rest import E164, is_loopback, is_web_url

    provider = caller.provider
    for option, url in (
        ("--to", caller.to),
        ("--fallback-url", caller.fallback_url),
        ("--status-url", caller.status_url),
    ):
        if not url and (routed or option != "--to"):
            continue
        if not is_web_url(url):
            raise UsageError(f"{option}: not a web address", hint=f"{option} http://127.0.0.1:8080/{provider.value}")
        if not is_loopback(url):
            raise UsageError(
                f"{option}: the sandbox contacts this machine only",
                hint="give the address on which the webhook listens here (127.0.0.1 or localhost); "
                "--public-url says by which one the carrier knows it",
            )
    called = caller.called or CALLED[provider]
    for option, number in (("--from", caller.from_), ("--called", called)):
        if not E164.fullmatch(number) and not (option == "--from" and number == ANONYMOUS):
            raise UsageError(f"{option}: {number[:40]!r} is not E.164", hint=f"{option} {CALLER}")
    if caller.scenario not in set(Manner):
        raise UsageError(
            f"--scenario: {caller.scenario[:40]!r} says nothing about a caller", hint=f"one of: {', '.join(Manner)}"
        )
    if caller.signature is Signature.EXPIRED and provider is not Provider.TELNYX:
        raise UsageError(
            f"--signature expired: {provider.value} signs no time, so its signatures never expire",
            hint="--signature bad, or --provider telnyx",
        )
    if caller.signature is Signature.RESPLIT and provider is Provider.TELNYX:
        raise UsageError(
            "--signature resplit: Telnyx signs the body's bytes, which cannot be cut into other fields",
            hint="--signature bad, or --provider twilio or plivo",
        )
    if not 0 <= caller.duplicates <= MOST_COPIES:
        raise UsageError(f"--duplicate: {caller.duplicates} is out of range", hint=f"from 0 to {MOST_COPIES}")
    if caller.hang_up_after_s is not None and not 0 <= caller.hang_up_after_s <= 14400:
        raise UsageError("--hang-up-after: out of range", hint="seconds, from 0 to 14400")
    if caller.call_control and provider is not Provider.TELNYX:
        raise UsageError("--call-control: only Telnyx has it", hint="--provider telnyx")
    if caller.call_control and caller.status_url:
        raise UsageError(
            "--status-url: Call Control sends all its events to the webhook itself", hint="leave --status-url out"
        )
    return replace(caller, called=called)
