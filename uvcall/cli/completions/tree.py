"""What there is to complete: the command tree as plain values, and the values that options and arguments take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import typer

from uvcall.core.model import Outcome
from uvcall.core.settings import SCHEMA
from uvcall.sandbox.scenarios import SCENARIOS


class Kind(Enum):
    """How a value is completed."""

    FREE = "free"  #: nothing can be offered
    WORDS = "words"
    LIST = "list"  #: words with commas between them
    FILE = "file"
    AT_FILE = "at-file"  #: `@` and a file name; anything else is the text itself
    DIRECTORY = "directory"
    KNOWN = "known"  #: what `uvcall config NAMES` has listed lately; the slot's only word is NAMES


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value: `label` as the help shows it, `words` with a few words about each."""

    label: str
    kind: Kind = Kind.FREE
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option; `slot` is None for a switch. `names` mean the same, `opposites` undo them."""

    names: tuple[str, ...]
    about: str
    slot: Slot | None = None
    opposites: tuple[str, ...] = ()
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `path` is empty for the program itself."""

    path: tuple[str, ...]
    about: str
    options: tuple[Option, ...]
    arguments: tuple[Slot, ...] = ()
    commands: tuple[Command, ...] = ()

    def walk(self) -> Iterator[Command]:
        """Yield this command and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


#: Values that the tree's types do not tell, by the name of the parameter.
_WORDS: Final[dict[str, Slot]] = {
    "scenario": Slot("scenario", Kind.WORDS, tuple((s.name, s.about) for s in SCENARIOS.values())),
    "expect": Slot("outcome", Kind.LIST, tuple((outcome.value, "") for outcome in Outcome)),
    "key": Slot("setting", Kind.WORDS, tuple((key.name, key.help) for key in SCHEMA.values())),
    "agent": Slot("agent", Kind.KNOWN, (("agents", ""),)),
    "voice": Slot("voice", Kind.KNOWN, (("voices", ""),)),
    "model": Slot("model", Kind.KNOWN, (("models", ""),)),
    "faults": Slot("faults", Kind.WORDS, (("off", "none"), ("on", "a few of each"))),
}

#: What the marks in a metavar mean, the first that fits.
_MARKS: Final = (("@FILE", Kind.AT_FILE), ("FILE", Kind.FILE), ("DIR", Kind.DIRECTORY))

#: How a metavar says that several values may stand there with commas between them.
_AND_MORE: Final = "[,…]"


def command_tree(app: typer.Typer | None = None) -> Command:
    """Return the tree of a Typer program; uvcall's own unless another is given."""
    if app is None:
        from uvcall.cli import app as uvcall

        app = uvcall.tree(*uvcall.COMMANDS)
    return _command(typer.main.get_command(app), None, ())


def _command(command: Any, parent: Any, path: tuple[str, ...]) -> Command:
    context = typer.Context(command, parent=parent, info_name=path[-1] if path else "uvcall")
    # Typer's settings of the root (the names of `--help`) reach the commands through their contexts.
    context.help_option_names = parent.help_option_names if parent else ["-h", "--help"]
    shown = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    below = getattr(command, "commands", {})
    return Command(
        path,
        _about(command.help),
        tuple(_option(param) for param in shown if param.param_type_name == "option"),
        tuple(_slot(param) for param in shown if param.param_type_name == "argument"),
        tuple(_command(sub, context, (*path, name)) for name, sub in below.items() if not sub.hidden),
    )


def _option(param: Any) -> Option:
    switch = param.is_flag or param.count
    names = tuple(sorted(param.opts, key=lambda name: (not name.startswith("--"), name)))
    return Option(
        names, _about(param.help), None if switch else _slot(param), tuple(param.secondary_opts), bool(param.multiple)
    )


def _slot(param: Any) -> Slot:
    if param.name in _WORDS:
        return _WORDS[param.name]
    choices = getattr(param.type, "choices", None)
    label = param.metavar or param.name.rstrip("_").upper()
    if choices:
        return Slot(label.lower(), Kind.WORDS, tuple((str(choice), "") for choice in choices))
    if label.endswith(_AND_MORE) and "|" in label:
        return Slot(param.name, Kind.LIST, tuple((word, "") for word in label.removesuffix(_AND_MORE).split("|")))
    return Slot(label, next((kind for mark, kind in _MARKS if mark in label), Kind.FREE))


def _about(text: str | None) -> str:
    """Return the first sentence, without its full stop, on one line."""
    line = " ".join((text or "").split("\n\n")[0].split())
    return line.split(". ")[0].removesuffix(".")
