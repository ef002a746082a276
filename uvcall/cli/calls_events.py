"""`uvcall calls events`: what Ultravox noted of a call, warnings about its sound among it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.tending import CallId, subject_of


class Severity(StrEnum):
    """How bad an event is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def events(
    ctx: typer.Context,
    id_: CallId,
    severity: Annotated[Severity, typer.Option(help="Those at least so bad.")] = Severity.INFO,
    kind: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Those of this type only.")] = None,
    sandbox: opt.RunningSandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List a call's events, oldest first."""
    from uvcall.calls import tend
    from uvcall.cli.output import redact

    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    tools, subject = subject_of(context, id_, sandbox=sandbox)
    found = tend.events(tools, subject, severity=severity.value, kind=kind)
    hidden = [_hidden(dict(event), lambda text: redact(text, out.secrets)) for event in found]
    if out.as_json:
        out.json(hidden)
    elif hidden:
        out.result(_table(hidden))
    else:
        out.say("no event" + (" like that" if kind or severity is not Severity.INFO else ""))
    return 0


def _hidden(value: Any, redact: Any) -> Any:
    """Return a value with every secret in its texts blotted out."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _hidden(inner, redact) for name, inner in value.items()}
    return [_hidden(inner, redact) for inner in value] if isinstance(value, list) else value


def _table(events: list[dict[str, Any]]) -> str:
    from uvcall.cli.table import table, words

    rows = [
        tuple(words(event.get(name)) for name in ("callTimestamp", "severity", "type", "text", "extras"))
        for event in events
    ]
    return table(("at", "severity", "type", "text", "more"), rows, numbers={"at"})
