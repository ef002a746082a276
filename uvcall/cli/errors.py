"""From an exception to words, a code and, for a bug, a report to paste."""

from __future__ import annotations

from uvcall import __version__
from uvcall.cli.context import Context
from uvcall.cli.output import redact
from uvcall.core.printable import clean
from uvcall.errors import LocalError, UvcallError


def tell(context: Context, error: UvcallError) -> int:
    """Say what went wrong and how to mend it; return the exit code."""
    said = f" ({error.peer} says {error.vendor_code})" if error.vendor_code and error.peer else ""
    context.out.error(error.message + said, error.hint)
    return error.exit_code


def report_bug(context: Context, bug: BaseException) -> tuple[str, str]:
    """Write a report of a bug and return what to tell: a message and a hint. Never raises."""
    import platform
    import traceback
    from datetime import UTC, datetime

    message = f"internal error: {type(bug).__name__}"
    try:
        # No locals, no argv: both may hold secrets; what is left goes through redaction all the same.
        lines = traceback.format_exception(bug)
        head = f"uvcall {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
        text = redact(head + "".join(lines), context.out.secrets)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = context.state_dir / f"report-{stamp}.txt"
        path.touch(mode=0o600)
        path.write_text(clean(text, lines=True), encoding="utf-8")
    except (OSError, LocalError):
        where = traceback.extract_tb(bug.__traceback__)[-1:]
        place = f"{where[0].name}, line {where[0].lineno}" if where else "unknown place"
        return message, f"this is a bug in uvcall ({place}); no report could be written"
    return message, f"this is a bug in uvcall; a report for its makers is in {path}"


def guard(context: Context, bug: BaseException) -> int:
    """Report a bug and return its exit code."""
    message, hint = report_bug(context, bug)
    context.out.error(message, hint)
    return 1
