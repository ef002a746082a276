"""Speak into a live call, read what it leaves behind, and fetch its recording, whoever placed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, BinaryIO, Final, Literal

from uvcall.calls.desk import Late
from uvcall.calls.lookup import ended, joined
from uvcall.calls.subject import Subject, Tools, call_of, named
from uvcall.core.model import UltravoxCall
from uvcall.core.transcripts import Message
from uvcall.core.ultravox_api import AGENT_URGENCIES, LONGEST_MESSAGE, USER_URGENCIES
from uvcall.errors import FateUnknown, ProviderRefused, Temporary, UsageError, UvcallError

Speaker = Literal["agent", "user"]

#: How long after a call's end its recording may still be in the making.
_READY_WITHIN: Final = timedelta(minutes=10)
#: The longest that a recording is waited for; each of its requests has a patience of its own.
_DOWNLOAD_S: Final = 6 * 3600.0

#: Who speaks → how soon it may be, the default first.
URGENCIES: Final[Mapping[Speaker, tuple[str, ...]]] = {
    "agent": AGENT_URGENCIES,
    "user": ("soon", *(each for each in USER_URGENCIES if each != "soon")),
}


def checked_words(text: str) -> str:
    """Return what is to be said, without the line break that ends a file.

    Raises:
        UsageError: It is empty, no text, or too long.
    """
    words = text.rstrip("\r\n")
    try:
        size = len(words.encode())
    except UnicodeEncodeError:
        raise UsageError(
            "TEXT is not UTF-8", hint="check the terminal's encoding, or put it in a file: @FILE"
        ) from None
    if not words.strip() or "\0" in words:
        raise UsageError("TEXT is empty, or holds a NUL", hint="uvcall calls say ID 'One moment, please.'")
    if size > LONGEST_MESSAGE:
        raise UsageError(
            f"TEXT has {size:,} bytes; a call takes {LONGEST_MESSAGE:,} at once", hint="say it in several pieces"
        )
    return words


def checked_urgency(speaker: Speaker, urgency: str | None) -> str:
    """Return how soon it is to be said.

    Raises:
        UsageError: Whoever speaks cannot be so late.
    """
    known = URGENCIES[speaker]
    if urgency is None:
        return known[0]
    if urgency not in known:
        raise UsageError(
            f"--urgency {urgency}: words of the {speaker} know {', '.join(known)}", hint=f"--urgency {known[-1]}"
        )
    return urgency


def say(
    tools: Tools, subject: Subject, words: str, *, speaker: Speaker, urgency: str, uninterruptible: bool = False
) -> str:
    """Say it, once, and return the id of the Ultravox call that took it.

    Raises:
        ProviderRefused: The call is over or not known, or the answer is lost: it may have been said.
        Temporary: Nobody has joined the call yet, or it was surely not said.
    """
    call_id = call_of(tools, subject)
    agents = tools.agents()

    def speak() -> None:
        if speaker == "agent":
            agents.agent_says(call_id, words, urgency=urgency, uninterruptible=uninterruptible)
        else:
            agents.user_says(call_id, words, urgency=urgency)

    try:
        tools.desk.run(speak, tools.timing.create_s)
    except (FateUnknown, Late) as error:
        raise ProviderRefused(
            "Ultravox's answer is lost: it may have been said",
            hint=f"look before you say it again: uvcall calls transcript {subject.named[:80]}",
            status=getattr(error, "status", None),
            peer="ultravox",
        ) from error
    except ProviderRefused as error:
        if error.status == 422:
            raise _not_active(tools.ask(lambda asked: asked.get_call(call_id)), subject) or error from error
        raise
    return call_id


def _not_active(call: UltravoxCall, subject: Subject) -> UvcallError | None:
    """Return why nobody can be spoken to; None where the call looks active."""
    if ended(call):
        when = f" since {call.ended_at:%Y-%m-%d %H:%M:%SZ}" if call.ended_at else ""
        return ProviderRefused(
            f"{named(subject)} is over{when}",
            hint="what was said: uvcall calls transcript",
            status=422,
            peer="ultravox",
        )
    if not joined(call):
        return Temporary(
            f"{named(subject)} has not been joined yet: nobody is there to hear it",
            hint=f"uvcall calls watch {subject.named[:80]} tells when it talks",
            status=422,
            peer="ultravox",
        )
    return None


def messages(tools: Tools, subject: Subject) -> Sequence[Message]:
    """Return what has been said and done so far, in all stages.

    Raises:
        UvcallError: There is no such call, or it cannot be read now.
    """
    call_id = call_of(tools, subject)
    return tools.ask(lambda agents: agents.messages(call_id), 3 * tools.timing.request_s)


def events(tools: Tools, subject: Subject, *, severity: str, kind: str | None) -> Sequence[Mapping[str, Any]]:
    """Return what Ultravox noted of the call.

    Raises:
        UvcallError: There is no such call, or it cannot be read now.
    """
    call_id = call_of(tools, subject)
    return tools.ask(lambda agents: agents.events(call_id, severity=severity, kind=kind), 3 * tools.timing.request_s)


def require_recording(tools: Tools, subject: Subject) -> UltravoxCall:
    """Return the subject's Ultravox call, once there may be a recording of it.

    Raises:
        ProviderRefused: There is none and never will be.
        Temporary: Not yet.
    """
    call_id = call_of(tools, subject)
    call = tools.ask(lambda agents: agents.get_call(call_id))
    if call.recorded is False:
        raise ProviderRefused(f"{named(subject)} was not recorded", hint="have the next one recorded: --record")
    if joined(call) and ended(call):
        return call
    if ended(call):
        raise ProviderRefused(
            f"nobody joined {named(subject)}: there is nothing to hear", hint="uvcall calls events tells more"
        )
    raise Temporary(
        f"{named(subject)} is not over yet: its recording comes after its end",
        hint=f"uvcall calls watch {subject.named[:80]} waits for it",
    )


def recording(
    tools: Tools, subject: Subject, call: UltravoxCall, sink: BinaryIO, watch: Callable[[int, int | None], None]
) -> Any:
    """Write the recording of a call that is over, and return how much it is, a `uvcall.download.Fetched`.

    Raises:
        ProviderRefused: There is none; Temporary: not yet, or it cannot be had now.
        LocalError: It cannot be written; Interrupted: a signal came.
    """
    agents = tools.agents()
    try:
        return tools.desk.run(lambda: agents.download_recording(call.call_id, sink, watch), _DOWNLOAD_S)
    except Late:
        raise Temporary("the recording takes too long", hint="try a faster connection") from None
    except ProviderRefused as error:
        if error.status not in {404, 425}:
            raise
        fresh = call.ended_at is None or tools.now() - call.ended_at < _READY_WITHIN
        if fresh or error.status == 425:
            raise Temporary(
                f"the recording of {named(subject)} is not ready yet",
                hint="run it again in a minute",
                status=error.status,
                peer="ultravox",
            ) from error
        raise ProviderRefused(
            f"Ultravox has no recording of {named(subject)}",
            hint="it may have been deleted, or was never asked for: --record",
            status=error.status,
            peer="ultravox",
        ) from error
