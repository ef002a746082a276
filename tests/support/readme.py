"""The README's parts that come from the code, and the marks by which tests find what to check in it.

    python tests/support/readme.py --write      writes every generated part anew

Two kinds of HTML comments, which no reader sees:

    <!-- generated: NAME -->  …  <!-- /generated -->     what stands between is what `PARTS[NAME]` returns
    <!-- check: HOW -->                                  stands right above a fenced block; tests/test_readme.py does HOW
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "README.md"

#: Columns of the help blocks; what is read in a browser has no terminal.
WIDTH = 100

_PART = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(?P<end><!-- /generated -->)", re.DOTALL)
_BLOCK = re.compile(
    r"^(?:<!-- check: (?P<check>.+?) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what is in it, how it is checked (empty: not at all), and its first line's number."""

    language: str
    body: str
    check: str
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks that are written by hand, in order."""
    # Generated parts are compared as a whole; blanked, not cut, so that line numbers stay.
    text = _PART.sub(lambda part: re.sub(r"[^\n]", "", part.group()), text)
    return [
        Block(found["language"], found["body"], found["check"] or "", text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def parts(text: str) -> list[str]:
    """Return the names of the generated parts, in order."""
    return [found["name"] for found in _PART.finditer(text)]


def fill(text: str) -> str:
    """Return the README with every generated part as the code gives it now."""
    return _PART.sub(lambda part: f"{part[1]}\n{part_of(part['name'])}\n\n{part['end']}", text)


def part_of(name: str) -> str:
    """Return a generated part. Raises KeyError for a name that there is not."""
    kind, _, rest = name.partition(" ")
    return help_of(tuple(rest.split())) if kind == "help" else PARTS[name]()


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(*texts: object) -> str:
    """Return the texts as Markdown code, with commas between them."""
    return ", ".join(f"`{text}`" for text in texts)


def help_of(path: tuple[str, ...]) -> str:
    """Return a command's `--help` as a folded block."""
    from uvcall.cli.app import run

    said = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(WIDTH)
    try:
        with contextlib.redirect_stdout(said):
            run([*path, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    name = " ".join(("uvcall", *path))
    text = "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())
    return f"<details><summary><code>{name} --help</code></summary>\n\n```text\n{text}\n```\n\n</details>"


def endings() -> str:
    """Return the table of outcomes and exit codes."""
    from uvcall.core.model import Outcome
    from uvcall.core.outcome import ENDINGS

    codes = {Outcome.INTERRUPTED: "130, 143"}
    return table(
        ("exit code", "outcome", "placed", "meaning"),
        (
            (codes.get(outcome, str(end.exit_code)), code(outcome.value), end.placed or "as the record says", end.means)
            for outcome, end in ENDINGS.items()
        ),
    )


def settings() -> str:
    """Return the table of settings."""
    from uvcall.core.duration import format_duration
    from uvcall.core.settings import SCHEMA

    def rows() -> Iterator[tuple[str, ...]]:
        for key in SCHEMA.values():
            default = format_duration(key.default) if key.kind == "duration" and key.default else key.default
            choices = f" ({', '.join(key.choices)})" if key.choices else ""
            yield (
                code(key.name),
                code(key.env, *key.vendor_env),
                "" if default is None else code(default),
                key.help + choices,
            )

    return table(("setting", "environment", "default", "meaning"), rows())


def questions(provider: str) -> str:
    """Return where each value is found that `config init` asks for."""
    from uvcall.cli.onboarding import CARRIERS, ULTRAVOX
    from uvcall.core.carrier import Provider
    from uvcall.core.settings import SCHEMA

    asks = ULTRAVOX if provider == "ultravox" else CARRIERS[Provider(provider)]
    return table(
        ("setting", "what it is", "where to find it"),
        ((code(ask.name), SCHEMA[ask.name].help, ask.where) for ask in asks),
    )


def scenarios() -> str:
    """Return the table of the sandbox's callees."""
    from uvcall.sandbox.scenarios import SCENARIOS

    return table(
        ("scenario", "number", "the callee"),
        ((code(each.name), code(each.number) if each.number else "", each.about) for each in SCENARIOS.values()),
    )


def faults() -> str:
    """Return the table of faults."""
    from uvcall.sandbox.faults import FAULTS

    return table(
        ("fault", "what happens", "rate with `on`"),
        ((code(each.name), each.about, f"{each.rate_when_on:g}") for each in FAULTS.values()),
    )


def differences() -> str:
    """Return the table of known differences between the sandbox and the vendors."""
    from uvcall.sandbox.fidelity import DIFFERENCES

    return table(
        ("peer", "what", "in the sandbox", "at the vendor"),
        ((each.peer, each.what, each.sandbox, each.vendor) for each in DIFFERENCES),
    )


#: What the code of a carrier does not say in one place.
_BY_HAND = {
    "SDK call": {"telnyx": "`calls.dial`", "twilio": "`calls.create`", "plivo": "`calls.create`"},
    "a lost reply is settled by": {
        "telnyx": "the attempt's id in `client_state`: live calls and call events",
        "twilio": "both numbers and the time: the call list, queued calls too",
        "plivo": "both numbers and the time: live, queued and ended calls",
    },
    "cause of the hang-up from": {
        "telnyx": "call events",
        "twilio": "the call's status; Voice Insights tells a refusal from a busy line, where the account has it",
        "plivo": "the call's record",
    },
    "`--configure-number` sets": {
        "telnyx": "the number's connection (`phone_numbers.update`)",
        "twilio": "the number's addresses (`incoming_phone_numbers.update`)",
        "plivo": "the number's application (`numbers.update`)",
    },
    "webhook signature": {"telnyx": "Ed25519", "twilio": "HMAC-SHA1", "plivo": "HMAC-SHA256 (V3)"},
}

#: How the agent's stream reaches the carrier, by the argument that carries it.
_STREAMS = {
    "stream_url": "join URL in the order (`stream_url`)",
    "twiml": "TwiML in the order (`twiml`)",
    "answer_url": "XML that Plivo fetches (`answer_url`)",
}

_KHZ = {"L16": 16, "PCMU": 8, "PCMA": 8}


def carriers() -> str:
    """Return the table of what each carrier does, read from its module as far as it says so."""
    from uvcall.carriers import carrier
    from uvcall.core.carrier import Provider
    from uvcall.core.settings import SCHEMA

    rows: dict[str, dict[str, str]] = {"SDK call": _BY_HAND["SDK call"]}
    for provider in Provider:
        module: Any = carrier(provider)
        plain, detecting = orders(provider)
        chosen = SCHEMA.get(f"{provider}.stream_track")
        cells = {
            "the agent's stream": next(words for name, words in _STREAMS.items() if name in plain),
            "codecs, the first is the default": ", ".join(
                f"{name} {_KHZ[name]} kHz" for name in module.STREAMS["codec"]
            ),
            "tracks": code(*(chosen.choices if chosen else module.STREAMS["track"])),
            "ring timeout": f"{module.RING_S[0]}–{module.RING_S[1]} s",
            "machine detection": code(*(f"{name}={detecting[name]}" for name in detecting if name not in plain)),
        }
        for feature, words in cells.items():
            rows.setdefault(feature, {})[provider.value] = words
    rows |= _BY_HAND
    return table(
        ("", *(provider.value.title() for provider in Provider)),
        ((feature, *(words[provider.value] for provider in Provider)) for feature, words in rows.items()),
    )


def orders(provider: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the SDK call's arguments for an ordinary order, and for one that looks out for machines."""
    from uvcall.carriers import Account, carrier
    from uvcall.core.model import LegOrder
    from uvcall.core.secret import JoinUrl

    order = LegOrder(
        to="+12025550100",
        from_="+12025550199",
        attempt_id="00000000-0000-4000-8000-000000000000",
        ring_timeout_s=35,
        time_limit_s=630,
        join_url=JoinUrl("wss://voice.ultravox.ai/calls/x"),
        answer_url="https://example.com/answer",
    )
    account = Account(fields={"connection_id": "1"}, base_url="https://example.com")
    looking = order._replace(detect_machine=True, hang_up_on_machine=True)
    module = carrier(provider)
    return dict(module.request(account, order)), dict(module.request(account, looking))


PARTS: dict[str, Callable[[], str]] = {
    "endings": endings,
    "settings": settings,
    "values ultravox": lambda: questions("ultravox"),
    "values telnyx": lambda: questions("telnyx"),
    "values twilio": lambda: questions("twilio"),
    "values plivo": lambda: questions("plivo"),
    "scenarios": scenarios,
    "faults": faults,
    "differences": differences,
    "carriers": carriers,
}


def main() -> None:
    """Write the README's generated parts, or say how this is used."""
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/support/readme.py --write")
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
