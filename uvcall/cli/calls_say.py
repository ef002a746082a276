"""`uvcall calls say`: words into a live call, the agent's or the person's."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.tending import CallId, subject_of
from uvcall.errors import UsageError


class Speaker(StrEnum):
    """Whose words they are."""

    AGENT = "agent"
    USER = "user"


class Urgency(StrEnum):
    """How soon they are taken up."""

    IMMEDIATE = "immediate"
    SOON = "soon"
    LATER = "later"


def say(
    ctx: typer.Context,
    id_: CallId,
    text: Annotated[
        str, typer.Argument(metavar="TEXT|@FILE|-", help="The words; - reads them from stdin.", show_default=False)
    ],
    speaker: Annotated[
        Speaker,
        typer.Option("--as", help="agent: the agent says exactly this. user: the agent hears it from the person."),
    ] = Speaker.AGENT,
    urgency: Annotated[
        Urgency | None,
        typer.Option(help="How soon (agent: immediate; user: soon); later, of the user: at the next turn."),
    ] = None,
    uninterruptible: Annotated[
        bool, typer.Option("--uninterruptible", help="The agent says it to its end, whoever speaks.")
    ] = False,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Say something in a live call."""
    from uvcall.calls import tend
    from uvcall.cli.files import read_text

    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    words = tend.checked_words(read_text(text, "TEXT", stdin=context.stdin))
    soon = tend.checked_urgency(speaker.value, urgency.value if urgency else None)
    if uninterruptible and speaker is Speaker.USER:
        raise UsageError("--uninterruptible is for words of the agent", hint="leave it out, or: --as agent")
    tools, subject = subject_of(context, id_, sandbox=sandbox)
    call_id = tend.say(tools, subject, words, speaker=speaker.value, urgency=soon, uninterruptible=uninterruptible)
    if out.as_json:
        out.json({"ultravox_call_id": call_id, "as": speaker.value, "urgency": soon, "text": words})
    else:
        out.say("said" if speaker is Speaker.AGENT else "told to the agent")
    return 0
