"""`uvcall talk --web`: a page for a browser on this machine, and the call that is handed over there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from uvcall.calls.ports import Moment, Progress
from uvcall.cli import agent_side
from uvcall.core.model import CallRecord

if TYPE_CHECKING:
    from uvcall.calls.ports import Observer
    from uvcall.cli.context import Context
    from uvcall.cli.talk_flags import TalkFlags
    from uvcall.cli.talk_plan import TalkPlan


def hand_over(context: Context, flags: TalkFlags, plan: TalkPlan) -> CallRecord:
    """Create the call, hand it to a browser, follow it to its end and return its record.

    Raises:
        UvcallError: The page cannot be served, or, with the sandbox, what its room needs is missing.
    """
    from uvcall.calls.desk import Desk
    from uvcall.calls.follow import Timing
    from uvcall.calls.handover import Handover
    from uvcall.calls.talk import talk as use_case
    from uvcall.cli.screen import screen
    from uvcall.cli.stay import SystemClock, signals
    from uvcall.server.talk_page import listen

    if flags.sandbox:
        from uvcall.sandbox.room import require

        require()
    timing = Timing(poll_ringing_s=0.2, poll_talking_s=0.3, poll_failed_s=0.5) if flags.sandbox else Timing()
    clock, desk, agents = SystemClock(), Desk(), context.ultravox(plan.settings)
    join_s = _join_s(plan)
    order = plan.order.allowing(join_s)
    with contextlib.closing(listen()) as page, signals(desk), screen(context.out, "in the browser") as watch:

        def ready() -> None:
            _invite(context, page.url, join_s, watch)
            if flags.open_:
                _open(page.url, watch)

        phone = Handover(page, agents, clock, watch, ready, join_s, timing)
        return use_case(order, phone=phone, agents=agents, desk=desk, clock=clock, watch=phone.progress, timing=timing)


def keep(context: Context, plan: TalkPlan, record: CallRecord, directory: Path) -> CallRecord:
    """Keep the transcript, and the recording where one was asked for: Ultravox has it, the sound was never here."""
    from uvcall.cli.save import recording, save

    create = plan.order.create
    recorded = create is not None and create.body.get("recordingEnabled")
    fetch = recording(context.ultravox(plan.settings), record) if recorded else None
    return save(record, directory, fetch, context.out.warn)


def _join_s(plan: TalkPlan) -> float:
    create = plan.order.create
    return (agent_side.seconds(create.body, "joinTimeout") if create is not None else None) or 0.0


def _invite(context: Context, url: str, join_s: float, watch: Observer) -> None:
    """Tell the link, also with --quiet: nobody else can."""
    words = f"open {url} in a browser on this machine, within {join_s:g} s"
    if context.out.live():
        watch(Progress(Moment.NOTE, words))
    else:
        context.out.ask(words)


def _open(url: str, watch: Observer) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        watch(Progress(Moment.NOTE, "no browser could be started: open the link yourself"))
