"""What the argument parser has to say about a command line, in the words of all other errors."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from typer._click.exceptions import (  # Typer re-exports one of them
    BadOptionUsage,
    BadParameter,
    ClickException,
    MissingParameter,
    NoSuchOption,
)
from typer._click.exceptions import UsageError as Misuse

from uvcall.errors import UsageError

#: What a type is called in the parser's messages → what people call it.
_KINDS: Final = {"int": "whole number", "int range": "whole number", "float": "number", "float range": "number"}


def as_usage(error: ClickException) -> UsageError:
    """Return what is wrong, and what to type instead, as far as the parser can tell."""
    command = error.ctx.command_path if isinstance(error, Misuse) and error.ctx is not None else "uvcall"
    message, hint = _words(error, command)
    return UsageError(message, hint=hint)


def _words(error: ClickException, command: str) -> tuple[str, str]:
    """Return a message and a hint."""
    if isinstance(error, NoSuchOption):
        close = get_close_matches(error.option_name, error.possibilities or (), n=1, cutoff=0.75)
        hint = f"did you mean {close[0]}?" if close else f"{command} --help lists the options"
        return f"there is no option {error.option_name}", hint
    if isinstance(error, BadOptionUsage):
        if "not take" in error.message:
            return f"{error.option_name} takes no value", f"write {error.option_name} alone"
        return f"{error.option_name} needs a value", f"write it with one: {error.option_name} VALUE"
    if isinstance(error, MissingParameter):
        return f"{_name(error)} is missing", f"{command} --help shows what the command needs"
    if isinstance(error, BadParameter):
        return f"{_name(error)}: {_reason(error)}", f"{command} --help says what it takes"
    return _about_words(error.message, command)


def _about_words(message: str, command: str) -> tuple[str, str]:
    """Return a message and a hint about a word that is neither an option nor the value of one."""
    said, _, suggested = message.partition(". Did you mean ")
    if said.startswith("No such command"):
        hint = f"did you mean {suggested.replace(chr(39), '')}" if suggested else f"{command} --help lists the commands"
        return said.replace("No such", "there is no", 1).rstrip("."), hint
    if said.startswith("Got unexpected extra argument"):
        extra = said.partition(" (")[2].removesuffix(")")
        return f"one argument too many: {extra}", f"put quotes around words that belong together; {command} --help"
    return said.rstrip("."), f"{command} --help shows how it is used"


def _name(error: BadParameter) -> str:
    param = error.param
    if param is None:
        return "the command line"
    return max(param.opts, key=len) if param.param_type_name == "option" else param.human_readable_name


def _reason(error: BadParameter) -> str:
    reason = error.message.rstrip(".")
    kind = error.param.type.name if error.param is not None else ""
    if kind in _KINDS and reason.endswith(f" a valid {kind}"):
        return reason.removesuffix(f"valid {kind}") + _KINDS[kind]
    return reason
