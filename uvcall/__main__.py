"""The one exit: parse, run, leave with the outcome's code."""

from __future__ import annotations

import sys

from uvcall import __version__


def main() -> None:
    """Run uvcall on this process's arguments and exit."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Answered before anything is imported: scripts ask it often.
        print(f"uvcall {__version__}")  # noqa: T201 - nothing that prints is loaded yet
        sys.exit(0)
    import gc

    # Half a million short-lived objects are made while importing; collecting them twice as often buys nothing.
    gc.disable()
    from uvcall.cli.app import run

    code = run(sys.argv[1:])
    # The interpreter's own end would walk through every module once more to find what can be freed.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
