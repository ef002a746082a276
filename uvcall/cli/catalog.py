"""`uvcall config agents|voices|models`: what there is to choose from, for the options that take one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvcall.core.ultravox_api.answers import Named

Search = Annotated[
    str | None, typer.Option("--search", metavar="TEXT", help="Those with this in their name or description.")
]


def agents(
    ctx: typer.Context,
    search: Search = None,
    sandbox: opt.Sandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List the account's agents."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run(context, "agents", search, sandbox=sandbox)


def voices(
    ctx: typer.Context,
    search: Search = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="TAG", help="Those of this language: de, en-US (BCP 47).")
    ] = None,
    sandbox: opt.Sandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List the voices."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run(context, "voices", search, language, sandbox=sandbox)


def models(
    ctx: typer.Context,
    search: Search = None,
    sandbox: opt.Sandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List the models."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run(context, "models", search, sandbox=sandbox)


def run(
    context: Context, kind: str, search: str | None = None, language: str | None = None, *, sandbox: bool = False
) -> int:
    """List one kind; what is listed of a real account can be completed afterwards."""
    if sandbox:
        from uvcall.sandbox.world import Options

        context.start_sandbox(Options())
    client = context.ultravox(context.settings())
    found: Sequence[Named] = getattr(client, kind)()
    if not sandbox:
        from uvcall.cli.known_names import keep

        # An agent is named by its id; a voice by its name, where that is its own.
        once = {entry.name for entry in found if sum(other.name == entry.name for other in found) == 1}
        names = [
            (entry.id, entry.name)
            if kind == "agents" or entry.name not in once
            else (entry.name, f"{entry.language} {entry.detail}")
            for entry in found
        ]
        keep(context.state_dir, kind, names)
    shown = [entry for entry in found if _wanted(entry, search, language)]
    if context.out.as_json:
        context.out.json([_told(entry, kind) for entry in shown])
    elif shown:
        context.out.result(_table(shown, kind))
    else:
        context.out.say(f"no {kind}" + (" like that" if search or language else " in this account"))
    return 0


def _wanted(entry: Named, search: str | None, language: str | None) -> bool:
    if language is not None:
        spoken, asked = entry.language.lower(), language.lower()
        if spoken != asked and not spoken.startswith(f"{asked}-"):
            return False
    return search is None or any(search.lower() in text.lower() for text in (entry.name, entry.detail, entry.id))


def _told(entry: Named, kind: str) -> dict[str, str | None]:
    more = {"language": entry.language or None, "provider": entry.provider or None} if kind == "voices" else {}
    detail = {} if kind == "models" else {"model" if kind == "agents" else "description": entry.detail or None}
    return {"id": entry.id, "name": entry.name, **more, **detail}


def _table(entries: Sequence[Named], kind: str) -> str:
    from uvcall.cli.table import table, words

    if kind == "models":
        return "\n".join(words(entry.name) for entry in entries)
    if kind == "agents":
        rows = [(words(entry.name), words(entry.id), words(entry.detail)) for entry in entries]
        return table(("name", "id (--agent)", "model"), rows)
    fields = ("name", "id", "language", "provider", "detail")
    return table(
        ("name (--voice)", "id", "language", "provider", "description"),
        [tuple(words(getattr(entry, field)) for field in fields) for entry in entries],
    )
