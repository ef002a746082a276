"""What the commands share that tend a call: the id that names it, and whom they ask about it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from uvcall.cli.context import Context

if TYPE_CHECKING:
    from uvcall.calls.desk import Desk
    from uvcall.calls.subject import Subject, Tools
    from uvcall.journal.inbound import Seen
    from uvcall.ultravox import Ultravox

CallId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The attempt's id or its first eight characters, or Ultravox's or the carrier's id of the call.",
        show_default=False,
    ),
]


def tools_of(context: Context, desk: Desk | None = None) -> Tools:
    """Return what tending a call needs; nobody is asked, and no setting is read, before something asks for it."""
    from uvcall.calls.desk import Desk
    from uvcall.calls.subject import Tools
    from uvcall.cli.vendors import vendors

    @cache
    def agents() -> Ultravox:
        return context.ultravox(context.settings())

    def answered(text: str) -> Seen | None:
        from uvcall.journal.inbound import seen

        return seen(context.state_dir, text)

    asked = vendors(context)
    return Tools(context.journal(), asked, agents, desk or Desk(), lambda: datetime.now(UTC), answered)


def subject_of(context: Context, text: str, *, sandbox: bool) -> tuple[Tools, Subject]:
    """Return who is asked, and the call that an id means.

    Args:
        context: This run.
        text: The id.
        sandbox: The running sandbox is asked in place of the vendors.

    Raises:
        LocalError: No sandbox runs.
        UsageError: It means none, or several.
    """
    from uvcall.calls.subject import find

    if sandbox:
        context.meet_sandbox()
    tools = tools_of(context)
    return tools, find(tools, text)
