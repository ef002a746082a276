"""The one exit: parse, run, leave with the outcome's code."""

from __future__ import annotations

import io
import os
import sys

from uvcall import __version__


def main() -> None:
    """Run uvcall on this process's arguments and exit."""
    _fill_streams()
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Answered before anything is imported: scripts ask it often.
        try:
            print(f"uvcall {__version__}", flush=True)  # noqa: T201 - nothing that prints is loaded yet
        except OSError:
            pass  # the room that prints knows what to say
        else:
            sys.exit(0)
    import gc

    # Half a million short-lived objects are made while importing; collecting them twice as often buys nothing.
    gc.disable()
    try:
        from uvcall.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    # The interpreter's own end would walk through every module once more to find what can be freed.
    gc.freeze()
    sys.exit(code)


def _fill_streams() -> None:
    """Fill the places of standard streams that were closed before the start.

    Or the next file that is opened would be in one of them: a journal where results are printed.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, io.TextIOBase())  # it neither reads nor writes, and says so


if __name__ == "__main__":
    main()
