"""`uvcall talk`: argv → devices and an order → `calls.talk` → a record → an exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context
from uvcall.cli.record import carry_out
from uvcall.cli.talk_flags import Medium, TalkFlags
from uvcall.core.model import CallRecord
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.cli.talk_plan import TalkPlan
    from uvcall.softphone.phone import Softphone
    from uvcall.softphone.tape import Tape


def talk(
    ctx: typer.Context,
    join_url: Annotated[
        str | None,
        typer.Option("--join-url", metavar="@FILE|-|env:NAME", help="Join a call that exists; the URL is a secret."),
    ] = None,
    medium: Annotated[
        Medium | None, typer.Option("--medium", help="How the agent is reached (websocket).", show_default=False)
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Hand the call to a browser on this machine: prints a link to its page.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="With --web: open the page in the browser, too.")] = False,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="FILE.wav|-|mic[:N]|silence", help="Who speaks (mic); - reads raw PCM, 16 bits, mono."
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE.wav|-|speaker[:N]|none",
            help="Where the agent is heard (speaker, if the microphone listens); - writes raw PCM.",
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Type instead of speaking, a line at a time; the agent writes, too.")
    ] = False,
    mute: Annotated[bool, typer.Option("--mute", help="Begin with the microphone shut; the key m opens it.")] = False,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="The microphone is open while the space bar is held.")
    ] = False,
    half_duplex: Annotated[
        bool, typer.Option("--half-duplex", help="Shut the microphone while the agent is heard: no headphones needed.")
    ] = False,
    linger: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="After the input's end, hang up when the agent is silent for so long (15s)."),
    ] = None,
    client_tool: Annotated[
        list[str] | None,
        typer.Option(
            "--client-tool",
            metavar="NAME=COMMAND",
            help="A tool run here: JSON parameters on stdin, result from stdout; no shell. Repeatable.",
        ),
    ] = None,
    tool_timeout: Annotated[str, typer.Option(metavar="TIME", help="Longest run of a client tool.")] = "30s",
    input_rate: Annotated[
        int | None,
        typer.Option(metavar="HZ", help="Sample rate of what is sent (16000; webrtc: 48000).", show_default=False),
    ] = None,
    output_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sample rate of the agent's voice (as sent).", show_default=False)
    ] = None,
    client_buffer: Annotated[
        str | None, typer.Option(metavar="TIME", help="How far ahead the agent's voice may come (30s).")
    ] = None,
    media_idle_timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ultravox ends the call when no audio comes for so long.")
    ] = None,
    data_message: Annotated[
        list[str] | None,
        typer.Option("--data-message", metavar="NAME[=off]", help="Ask for a data message, or for none. Repeatable."),
    ] = None,
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
    first_speaker: Annotated[opt.Speaker | None, typer.Option(help="Who speaks first (agent).")] = None,
    greeting: opt.Greeting = None,
    max_duration: opt.MaxDuration = None,
    expect: opt.Expect = None,
    ok_codes: opt.OkCodes = None,
    dry_run: opt.DryRun = False,
    save: opt.Save = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and speakers, and do no more.")] = False,
    sandbox: opt.Sandbox = False,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="NAME", help="With --sandbox: no-join or agent-drop.")
    ] = None,
    faults: opt.Faults = "off",
    seed: opt.Seed = None,
    agent_script: opt.AgentScript = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Parse into flags and run."""
    given = dict(locals())
    context: Context = given.pop("ctx").obj
    context.talk(as_json=given.pop("as_json"), quiet=given.pop("quiet"), verbose=given.pop("verbose"))
    return run(context, TalkFlags(**given))


def run(context: Context, flags: TalkFlags) -> int:
    """Carry out `talk` and show its record, whatever happens."""
    if flags.devices:
        return _list_devices(context)
    return carry_out(
        context,
        lambda: _talk(context, flags),
        lambda outcome, code: CallRecord(outcome, code, "no", "ultravox", "", "", created_at=datetime.now(UTC)),
        expect=flags.expect,
        ok_codes=flags.ok_codes,
    )


def _list_devices(context: Context) -> int:
    from uvcall.softphone.soundcard import devices

    found = devices()
    if context.out.as_json:
        context.out.json([each._asdict() for each in found])
    else:
        from uvcall.cli.talk_devices import listed

        context.out.result("\n".join(listed(found)) or "there is no sound device")
    return 0


def _talk(context: Context, flags: TalkFlags) -> CallRecord | None:
    """Do everything that `talk` does but show."""
    from uvcall.cli import save
    from uvcall.cli.stay import interruptible
    from uvcall.cli.talk_plan import plan_talk
    from uvcall.softphone.tape import Tape

    with interruptible():
        directory = save.ready(flags.save) if flags.save is not None and not flags.dry_run else None
        if flags.sandbox:
            from uvcall.cli.sandbox_options import sandbox_options

            context.start_sandbox(sandbox_options(flags))
        plan = plan_talk(context, flags)
    if flags.dry_run:
        return _preview(context, plan)
    if flags.web:
        from uvcall.cli import talk_web

        record = talk_web.hand_over(context, flags, plan)
        return record if directory is None else talk_web.keep(context, plan, record, directory)
    if directory is None:
        return _hold(context, flags, plan, None)
    with contextlib.closing(Tape(plan.manner.rate, plan.manner.output_rate, directory)) as tape:
        record = _hold(context, flags, plan, tape)
        return save.save(record, directory, tape.pour if record.answered_at else None, context.out.warn)


def _hold(context: Context, flags: TalkFlags, plan: TalkPlan, tape: Tape | None) -> CallRecord:
    """Hold the conversation and return its record."""
    from uvcall.calls.desk import Desk
    from uvcall.calls.talk import talk as use_case
    from uvcall.cli import talk_devices, talk_medium
    from uvcall.cli.stay import SystemClock, signals
    from uvcall.cli.talk_screen import talk_screen
    from uvcall.softphone.phone import Softphone

    manner = plan.manner
    reach = talk_medium.reach(plan.medium, manner, sandbox=flags.sandbox)
    source, sink = talk_devices.source(context, flags, manner), talk_devices.sink(context, flags, manner)
    if source.live and sink.live and not manner.half_duplex:
        context.out.say("wear headphones, or use --half-duplex: else the agent hears itself")
    keyboard = _reads_keys(context, flags, live=source.live)
    clock, desk = SystemClock(), Desk()
    agents = context.ultravox(plan.settings) if plan.settings.get("ultravox.api_key") is not None else None
    with talk_screen(context.out, typing=flags.text, keys=_help(flags, keyboard=keyboard)) as screen:
        phone = Softphone(reach, source, sink, manner, tell=screen.news, wall=clock.now, tape=tape)
        with signals(desk), talk_devices.closing(phone):
            phone.open()
            with _hands(context, flags, phone, keyboard=keyboard):
                return use_case(plan.order, phone=phone, agents=agents, desk=desk, clock=clock, watch=screen.progress)


def _preview(context: Context, plan: TalkPlan) -> CallRecord | None:
    """Show what would be sent; there is no record of it."""
    from uvcall.calls.preview import preview_create

    if plan.order.create is None:
        raise UsageError("--dry-run shows what creates a call, and --join-url has one", hint="leave one of them out")
    shown = {"ultravox": preview_create(plan.order.create)}
    if context.out.as_json:
        context.out.json(shown)
    else:
        import json

        context.out.result(json.dumps(shown, indent=2, ensure_ascii=False))
    return None


def _reads_keys(context: Context, flags: TalkFlags, *, live: bool) -> bool:
    """Say whether keys can be read: from a terminal that nothing else reads.

    Raises:
        UsageError: Push-to-talk without a terminal.
    """
    terminal = live and context.stdin is not None and context.stdin.isatty() and not flags.text
    if flags.push_to_talk and not terminal:
        raise UsageError("--push-to-talk needs a terminal, to read the space bar from", hint="leave it out")
    return terminal and context.out.live()


def _help(flags: TalkFlags, *, keyboard: bool) -> str:
    from uvcall.cli import talk_keys

    if not keyboard:
        return "Ctrl-C hangs up"
    return talk_keys.HELP_PUSH if flags.push_to_talk else talk_keys.HELP


@contextlib.contextmanager
def _hands(context: Context, flags: TalkFlags, phone: Softphone, *, keyboard: bool) -> Iterator[None]:
    """Read the keyboard for as long as this lasts."""
    from uvcall.cli import talk_devices, talk_keys

    hands: Any = contextlib.nullcontext()
    if flags.text:
        lines = talk_devices.binary(context.stdin, "--text: stdin is closed", "type into it, or pipe lines into it")
        talk_keys.type_lines(lines, phone, hang_up=context.stdin.isatty())
    elif keyboard:
        hands = talk_keys.keys(context.stdin, phone, push_to_talk=flags.push_to_talk)
    with hands:
        yield
