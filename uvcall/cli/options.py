"""Options that stand on more than one command, each defined once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Protocol

import typer

from uvcall.core.carrier import Provider
from uvcall.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]

Providers = Annotated[
    str | None,
    typer.Option(
        "--provider",
        metavar="telnyx|twilio|plivo[,…]",
        help="Carrier (default: the only one configured); the next of several only if nothing was placed.",
        show_default=False,
    ),
]
ProviderOption = Annotated[
    Provider | None, typer.Option("--provider", help="Carrier (default: the only one configured).", show_default=False)
]
From = Annotated[str | None, typer.Option("--from", metavar="NUMBER", help="Number that the callee sees, E.164.")]
Agent = Annotated[str | None, typer.Option("--agent", metavar="ID", help="Ultravox agent that speaks.")]
Prompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT|@FILE|-", help="System prompt, when no agent is named.")
]
Var = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="K=V", help="Fill {{K}} in the prompt, or an agent's template. Repeatable."),
]
Voice = Annotated[str | None, typer.Option("--voice", metavar="NAME", help="Voice, by id or name.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Ultravox model.")]
Language = Annotated[str | None, typer.Option("--language", metavar="TAG", help="Language hint: en, de-CH (BCP 47).")]
Temperature = Annotated[
    float | None, typer.Option("--temperature", metavar="N", help="How freely the model speaks, 0 to 1.")
]
Tool = Annotated[list[str] | None, typer.Option("--tool", metavar="NAME", help="A tool, by name. Repeatable.")]
Tools = Annotated[str | None, typer.Option("--tools", metavar="@FILE.json", help="Tool definitions, a JSON array.")]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="K=V", help="Note on the Ultravox call. Repeatable.")
]
Record = Annotated[bool | None, typer.Option("--record/--no-record", help="Have Ultravox record the call.")]
Call = Annotated[
    str | None, typer.Option("--call", metavar="@FILE.json", help="A Create Call body to start from; options win.")
]
Throttle = Annotated[str | None, typer.Option("--throttle", metavar="NAME", help="Ultravox call throttle to obey.")]
PriorCall = Annotated[str | None, typer.Option("--prior-call", metavar="ID", help="Continue an earlier Ultravox call.")]
Greeting = Annotated[
    str | None, typer.Option("--greeting", metavar="TEXT", help="What the agent says first, or to a silent callee.")
]
MaxDuration = Annotated[str | None, typer.Option("--max-duration", metavar="TIME", help="Longest call (10m).")]


class Speaker(StrEnum):
    """Who speaks first."""

    USER = "user"
    AGENT = "agent"


FirstSpeaker = Annotated[Speaker | None, typer.Option("--first-speaker", help="Who speaks first (outbound: user).")]

RunningSandbox = Annotated[
    bool, typer.Option("--sandbox", help="Ask the running `sandbox serve` in place of the vendors.")
]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use simulated vendors on this machine: no account, no cost.")]
Scenario = Annotated[
    str | None, typer.Option("--scenario", metavar="NAME", help="With --sandbox: what the callee does.")
]
Speed = Annotated[float, typer.Option("--speed", metavar="N", help="With --sandbox: so many times faster than life.")]
Faults = Annotated[str, typer.Option("--faults", metavar="off|on|SPEC", help="With --sandbox: faults to inject.")]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="With --sandbox: the same seed, the same faults.")
]
CalleeAudio = Annotated[
    str | None, typer.Option("--callee-audio", metavar="FILE.wav", help="With --sandbox: what the callee says.")
]
AgentScript = Annotated[
    str | None, typer.Option("--agent-script", metavar="FILE", help="With --sandbox: the agent's lines, one a line.")
]

Expect = Annotated[
    str | None, typer.Option("--expect", metavar="OUTCOME[,…]", help="Exit 0 for these outcomes only: completed,busy.")
]
OkCodes = Annotated[
    str | None, typer.Option("--ok-codes", metavar="N[,…]", help="Exit 0 for these exit codes, too: 10,11.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; contact nobody.")]
Save = Annotated[
    str | None, typer.Option("--save", metavar="DIR", help="Keep transcript and recording in this directory.")
]


class CallFlags(Protocol):
    """The options of a call that have a setting, as given."""

    @property
    def voice(self) -> str | None:
        """Return `--voice`."""

    @property
    def model(self) -> str | None:
        """Return `--model`."""

    @property
    def language(self) -> str | None:
        """Return `--language`."""

    @property
    def record(self) -> bool | None:
        """Return `--record`."""

    @property
    def first_speaker(self) -> Speaker | None:
        """Return `--first-speaker`."""

    @property
    def greeting(self) -> str | None:
        """Return `--greeting`."""

    @property
    def max_duration(self) -> str | None:
        """Return `--max-duration`."""


def overrides(flags: CallFlags) -> Mapping[str, object]:
    """Return the options that have a setting, under its name; None for one that is not given."""
    return {
        "call.voice": flags.voice,
        "call.model": flags.model,
        "call.language": flags.language,
        "call.greeting": flags.greeting,
        "call.record": flags.record,
        "call.max_duration": flags.max_duration,
        "call.first_speaker": flags.first_speaker.value if flags.first_speaker else None,
    }


def providers(text: str) -> tuple[Provider, ...]:
    """Read a list of carriers.

    Raises:
        UsageError: One does not exist, or stands there twice.
    """
    names = text.split(",")
    for name in names:
        if name not in set(Provider):
            close = get_close_matches(name, list(Provider), n=1)
            raise UsageError(
                f"--provider: there is no carrier {name[:40]!r}",
                hint=f"did you mean {close[0]}?" if close else f"one of: {', '.join(Provider)}",
            )
    if len(set(names)) < len(names):
        raise UsageError("--provider names a carrier twice", hint="each carrier is tried once")
    return tuple(Provider(name) for name in names)


def pairs(texts: Iterable[str] | None, option: str) -> Mapping[str, str]:
    """Read `K=V` texts.

    Raises:
        UsageError: One has no `=`, no name, or a name that came before.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise UsageError(f"{option} {text[:40]!r}: not of the form NAME=VALUE", hint=f"{option} name=Ada")
        if name in found:
            raise UsageError(f"{option}: {name!r} is given twice", hint="give each name once")
        found[name] = value
    return found


def duration(text: str, option: str) -> float:
    """Read a duration; return seconds.

    Raises:
        UsageError: It is none.
    """
    from uvcall.core.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"{option} 90s, {option} 10m") from error
