"""`uvcall dial`: argv → a frozen order → `calls.dial` → a record → an exit code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.dial_flags import DialFlags, Via, Voicemail
from uvcall.cli.record import carry_out
from uvcall.cli.stay import SystemClock, interruptible, signals
from uvcall.core.carrier import Provider
from uvcall.core.model import CallRecord, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from uvcall.calls.attempt import DialOrder
    from uvcall.calls.desk import Desk
    from uvcall.calls.follow import Timing
    from uvcall.calls.ports import Observer
    from uvcall.cli.plan import Plan
    from uvcall.journal import Entry, Journal
    from uvcall.server.answer_once import AnswerOnce


def dial(
    ctx: typer.Context,
    to: Annotated[str, typer.Argument(metavar="TO", help="Number to call, E.164: +12025550100.", show_default=False)],
    provider: opt.Providers = None,
    from_: opt.From = None,
    agent: opt.Agent = None,
    prompt: opt.Prompt = None,
    var: opt.Var = None,
    voice: opt.Voice = None,
    model: opt.Model = None,
    language: opt.Language = None,
    temperature: opt.Temperature = None,
    tool: opt.Tool = None,
    tools: opt.Tools = None,
    metadata: opt.Metadata = None,
    record: opt.Record = None,
    call: opt.Call = None,
    throttle: opt.Throttle = None,
    prior_call: opt.PriorCall = None,
    first_speaker: opt.FirstSpeaker = None,
    greeting: opt.Greeting = None,
    greeting_delay: Annotated[
        str | None, typer.Option(metavar="TIME", help="Wait so long for a silent callee before greeting (4s).")
    ] = None,
    ring_timeout: Annotated[str | None, typer.Option(metavar="TIME", help="How long it may ring (35s).")] = None,
    max_duration: opt.MaxDuration = None,
    voicemail: Annotated[
        Voicemail, typer.Option(help="What to do when a machine answers; ignore does not look for one.")
    ] = Voicemail.HANGUP,
    carrier_option: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Extra argument for the carrier SDK's call, as it is. Repeatable."),
    ] = None,
    via: Annotated[Via, typer.Option(help="Who places the phone call: the carrier's SDK here, or Ultravox.")] = Via.SDK,
    answer_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Plivo: public https URL that leads to --answer-port.")
    ] = None,
    answer_port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="Plivo: port to answer on (8089).")
    ] = None,
    answer_host: Annotated[str, typer.Option(metavar="ADDRESS", help="Plivo: address to answer on.")] = "127.0.0.1",
    detach: Annotated[
        bool, typer.Option("--detach/--wait", help="Return once the carrier has the call, or stay to its end.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop waiting after this time; the call goes on.")
    ] = None,
    settle: Annotated[
        str, typer.Option(metavar="TIME", help="After a lost reply, look for the call so long.")
    ] = "120s",
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="K", help="One call for one key: a second run reports the first.")
    ] = None,
    expect: opt.Expect = None,
    ok_codes: opt.OkCodes = None,
    dry_run: opt.DryRun = False,
    save: opt.Save = None,
    sandbox: opt.Sandbox = False,
    scenario: opt.Scenario = None,
    speed: opt.Speed = 1.0,
    faults: opt.Faults = "off",
    seed: opt.Seed = None,
    callee_audio: opt.CalleeAudio = None,
    agent_script: opt.AgentScript = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Parse into flags and run."""
    given = dict(locals())
    context: Context = given.pop("ctx").obj
    context.talk(as_json=given.pop("as_json"), quiet=given.pop("quiet"), verbose=given.pop("verbose"))
    return run(context, DialFlags(**given))


def run(context: Context, flags: DialFlags) -> int:
    """Carry out `dial` and show its record, whatever happens."""
    return carry_out(
        context,
        lambda: _dry_run(context, flags) if flags.dry_run else _dial(context, flags),
        lambda outcome, code: _bare(flags, outcome, code),
        expect=flags.expect,
        ok_codes=flags.ok_codes,
    )


def _bare(flags: DialFlags, outcome: Outcome, code: int) -> CallRecord:
    provider = (flags.provider or "").partition(",")[0]
    provider = provider if provider in set(Provider) else ""
    return CallRecord(outcome, code, "no", provider, flags.to, flags.from_ or "", created_at=datetime.now(UTC))


def _dry_run(context: Context, flags: DialFlags) -> CallRecord | None:
    """Show what would be sent; there is no record of it."""
    from uvcall.calls.preview import preview
    from uvcall.cli.plan import needs_listener, plan_call

    if flags.sandbox:
        _start_sandbox(context, flags)
    plan = plan_call(context, flags)
    order, line = plan.legs[0]
    if needs_listener(order):
        base = plan.settings.text("plivo.answer_url") or "http://127.0.0.1"
        order = order._replace(leg=order.leg._replace(answer_url=f"{base.rstrip('/')}/…/answer"))
    shown = preview(order, line)
    if context.out.as_json:
        context.out.json(shown)
    else:
        import json

        context.out.result(json.dumps(shown, indent=2, ensure_ascii=False))
    return None


def _dial(context: Context, flags: DialFlags) -> CallRecord:
    """Do everything that `dial` does but show."""
    from uvcall.calls import dial as use_case
    from uvcall.calls.desk import Desk
    from uvcall.calls.route import Route
    from uvcall.cli import save
    from uvcall.cli.plan import needs_listener, plan_call
    from uvcall.cli.screen import screen

    with interruptible():
        directory = save.ready(flags.save) if flags.save is not None else None
        if flags.sandbox:
            _start_sandbox(context, flags)
        plan = plan_call(context, flags)
        for warning in plan.warnings:
            context.out.warn(warning)
        agents = context.ultravox(plan.settings)
        journal = context.journal()
        desk = Desk()
        listener = next((_listener(context, plan, order) for order, _ in plan.legs if needs_listener(order)), None)
    routes = [Route(order, line, listener if needs_listener(order) else None) for order, line in plan.legs]
    first = plan.legs[0][0]
    try:
        with signals(desk), screen(context.out, f"{first.leg.to} via {first.provider}") as watch:
            record = use_case.dial(
                routes,
                agents=agents,
                desk=desk,
                clock=SystemClock(),
                journal=journal,
                watch=watch,
                timing=_timing(flags, flags.sandbox),
                recover=lambda entry: _recover(context, journal, desk, watch, entry),
            )
    finally:
        if listener is not None:
            listener.close()
    return record if directory is None else _save(context, record, directory, agents)


def _recover(context: Context, journal: Journal, desk: Desk, watch: Observer, entry: Entry) -> None:
    from uvcall.cli.vendors import settle_left

    settle_left(context, journal, desk, watch, entry)


def _listener(context: Context, plan: Plan, order: DialOrder) -> AnswerOnce:
    from uvcall.server.answer_once import listen

    public = plan.settings.get("plivo.answer_url")
    # Without a public URL the peer is on this machine and can be told any port.
    port = plan.settings.get("plivo.answer_port") if public else 0
    return listen(
        base_url=public,
        host=plan.answer_host,
        port=port,
        auth_token=plan.settings.require("plivo.auth_token").reveal(),
        stream=order.leg.stream,
        complain=context.out.warn,
    )


def _timing(flags: DialFlags, sandbox: bool) -> Timing:
    from uvcall.calls.follow import Timing

    if not sandbox:
        return Timing()
    # Nobody is bothered by being asked often here, and a demonstration should not wait for its own polls.
    return Timing(poll_ringing_s=0.2, poll_talking_s=0.3, poll_failed_s=0.5, settle_poll_s=0.3).faster(flags.speed)


def _start_sandbox(context: Context, flags: DialFlags) -> None:
    from uvcall.cli.sandbox_options import sandbox_options

    running = context.start_sandbox(sandbox_options(flags))
    # With faults the seed is what repeats the run.
    tell = context.out.detail if flags.faults == "off" else context.out.say
    tell(f"sandbox: seed {running.ready['seed']}")


def _save(context: Context, record: CallRecord, directory: Path, agents: Any) -> CallRecord:
    from uvcall.cli.save import recording, save

    return save(record, directory, recording(agents, record), context.out.warn)
