"""`uvcall calls hangup`: end a call, both its sides, and say what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.tending import CallId, subject_of

if TYPE_CHECKING:
    from uvcall.calls.hangup import HungUp


def hangup(
    ctx: typer.Context,
    id_: CallId,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """End a call; one that is over already is left alone."""
    from uvcall.calls.hangup import hang_up

    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    tools, subject = subject_of(context, id_, sandbox=sandbox)
    done = hang_up(tools, subject)
    if out.as_json:
        out.json(_told(done))
    else:
        out.result(_words(done))
        if done.left:
            out.say(done.left)
    if done.error is not None:
        raise done.error
    return 0


def _told(done: HungUp) -> dict[str, object]:
    entry = done.entry
    return {
        "attempt_id": entry.attempt_id if entry else None,
        "ultravox_call_id": done.call_id,
        "carrier_call_id": done.leg.carrier_call_id if done.leg else None,
        "carrier": done.carrier.value,
        "agent": done.agent.value,
        "over": done.error is None,
        "left": done.left or None,
        "outcome": entry.outcome.value if entry and entry.outcome and not entry.open else None,
    }


def _words(done: HungUp) -> str:
    said = {
        "hung_up": "hung up",
        "over": "over already",
        "waiting": "waits to be joined",
        "up": "still up",
        "unknown": "not known",
    }
    ended = f", ended as {done.entry.outcome}" if done.entry and done.entry.outcome and not done.entry.open else ""
    return f"phone leg {said[done.carrier.value]}, agent {said[done.agent.value]}{ended}"
