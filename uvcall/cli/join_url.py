"""A join URL that the user hands over: a secret, so where it comes from matters."""

from __future__ import annotations

from uvcall.cli.context import Context
from uvcall.cli.files import read_text
from uvcall.core.secret import JoinUrl, is_loopback, parse_join_url
from uvcall.core.settings import Settings
from uvcall.errors import ContractBroken, UsageError

_LIMIT = 4096


def checked(text: str, settings: Settings) -> JoinUrl:
    """Return the join URL.

    Raises:
        UsageError: It is none; the message never holds it.
    """
    try:
        return parse_join_url(text, loopback=is_loopback(settings.text("ultravox.base_url")))
    except ContractBroken as error:
        raise UsageError(f"--join-url: {error.message}", hint="it begins with wss and leads to ultravox.ai") from error


def handed_over(context: Context, given: str, settings: Settings) -> JoinUrl:
    """Return the join URL from a file (`@FILE`), stdin (`-`) or the environment (`env:NAME`).

    Raises:
        UsageError: It stands on the command line, where every user of this machine could read it, or it is none.
    """
    if given.startswith("env:"):
        text = context.env.get(given.removeprefix("env:"), "")
        if not text:
            raise UsageError("--join-url: the environment has no such variable", hint="--join-url env:JOIN_URL")
    elif given == "-" or given.startswith("@"):
        text = read_text(given, "--join-url", stdin=context.stdin, limit=_LIMIT)
    else:
        raise UsageError(
            "--join-url is a secret, and everybody on this machine can read a command line",
            hint="--join-url - reads it from stdin, @FILE from a file, env:NAME from the environment",
        )
    return checked(text.strip(), settings)
