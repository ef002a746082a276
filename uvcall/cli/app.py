"""The command tree and the one door out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final, TextIO, cast

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError  # Typer re-exports neither

from uvcall import __version__
from uvcall.cli import errors
from uvcall.cli.context import Context, from_process
from uvcall.cli.output import Output
from uvcall.errors import LocalError, UsageError, UvcallError

#: A module, what to register there, and what the help says of it.
Command = tuple[str, str, str]

#: Command → the module that holds it, what to register there, and what `uvcall --help` says of it.
COMMANDS: Final[Mapping[str, Command]] = {
    "dial": ("uvcall.cli.dial", "dial", "Place one phone call and follow it to its end."),
    "serve-inbound": ("uvcall.cli.serve_inbound", "serve_inbound", "Answer callers: verify, decide, connect."),
    "render-xml": (
        "uvcall.cli.render_xml",
        "render_xml",
        "Print the carrier's XML for a join URL.",
    ),
    "talk": ("uvcall.cli.talk", "talk", "Talk to an agent from here: microphone, WAV or keyboard."),
    "calls": ("uvcall.cli.calls", "COMMANDS", "Calls that were attempted: list, watch, steer and keep them."),
    "reconcile": ("uvcall.cli.reconcile", "reconcile", "Settle attempts whose fate is unknown; never dials."),
    "config": ("uvcall.cli.config", "COMMANDS", "Keep settings: keys, numbers, habits; profiles."),
    "sandbox": ("uvcall.cli.sandbox", "app", "Simulate the vendors on this machine."),
}


def tree(*names: str, below: str | None = None) -> typer.Typer:
    """Return the command tree, with those commands only whose names are given; the others are there to be listed.

    Typer reads the parameters of every command that it holds, and a run uses one.

    Args:
        names: The commands.
        below: The only command to hold of a group among them; None: all of them.
    """
    app = typer.Typer(
        name="uvcall",
        help="The command line for AI phone calls: Ultravox voices over Telnyx, Twilio and Plivo.",
        epilog="Try it without an account: uvcall dial +15551234567 --provider telnyx --sandbox",
        add_completion=False,
        no_args_is_help=True,
        # Rich draws handsome help in twice the start-up time of the whole program.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(root)
    _register(app, COMMANDS, names, None if below is None else (below,))
    return app


def _register(
    app: typer.Typer, commands: Mapping[str, Command], names: Collection[str], below: Collection[str] | None
) -> None:
    """Put commands into an app: whole where they are named, to be listed where they are not."""
    for name, (module, attribute, words) in commands.items():
        if name not in names:
            app.command(name, help=words)(_listed)
            continue
        found = getattr(import_module(module), attribute)
        if isinstance(found, Mapping):
            group = typer.Typer(name=name, help=words, no_args_is_help=True, rich_markup_mode=None)
            # A callback, or Typer takes a group of one command for that command.
            group.callback()(_listed)
            _register(group, found, found if below is None else below, None)
            app.add_typer(group, name=name)
        elif isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=words)
        else:
            app.command(name, help=words)(found)


def _listed() -> None:
    """Stand for a command that this run does not use."""


def command_named(arguments: Sequence[str]) -> tuple[str, str]:
    """Return the first argument that is neither an option that stands before the command nor its value, and the next.

    Each is empty where there is none.
    """
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in {"--profile", "--config"} and not found:
            next(rest, None)
        elif not argument.startswith("-"):
            found.append(argument)
    return (*found, "", "")[0], (*found, "", "")[1]


def _version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        context: Context = ctx.obj
        context.out.result(f"uvcall {__version__}")
        raise typer.Exit


def root(
    ctx: typer.Context,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Settings profile (UVCALL_PROFILE).")
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Configuration file (UVCALL_CONFIG).", show_default=False),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    del version
    context: Context = ctx.obj
    if profile is not None:
        context.profile = profile
    context.config = config_file


class _Help:
    """Standard output for Typer, which prints nothing but help."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Print it where all results are printed."""
        self._out.raw(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: it is printed."""


def run(arguments: Sequence[str], context: Context | None = None) -> int:
    """Run one command and return its exit code; every error ends here, as words."""
    context = context or from_process()
    code = _run(arguments, context)
    if context.out.unprinted:
        lost = LocalError(
            f"the result could not be printed: {context.out.unprinted}",
            hint="the rest is done; give standard output a place with room in it",
        )
        return code or errors.tell(context, lost)
    return code


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text: no request, no journal and no JSON could hold them.

    Raises:
        UsageError: Where they are.
    """
    for number, argument in enumerate(arguments, 1):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"argument {number} is not UTF-8 text: {argument[:40]!a}", hint="type it anew, or rename the file"
            ) from error


def _run(arguments: Sequence[str], context: Context) -> int:
    try:
        _check_text(arguments)
        command, below = command_named(arguments)
        app = tree(command, below=below)
        with redirect_stdout(cast("TextIO", _Help(context.out))):
            # No variable asks for Typer's own completion, which is not uvcall's.
            code = app(args=list(arguments), prog_name="uvcall", complete_var="", standalone_mode=False, obj=context)
        return code if isinstance(code, int) else 0
    except NoArgsIsHelpError as error:
        context.out.page(error.format_message())
        return 2
    except ClickException as error:
        from uvcall.cli.misuse import as_usage

        return errors.tell(context, as_usage(error))
    except UvcallError as error:
        return errors.tell(context, error)
    except (KeyboardInterrupt, typer.Abort):
        context.out.error("interrupted")
        return 130
    except Exception as bug:  # noqa: BLE001 - the last line of defense: a report instead of a traceback
        return errors.guard(context, bug)
    finally:
        context.close()
