"""Write the completion files into the directory that is the only argument."""

from __future__ import annotations

import sys
from pathlib import Path

from uvcall.cli.completions import scripts


def main() -> None:
    """Write the files, or say how this is used."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m uvcall.cli.completions DIRECTORY")
    for name, text in scripts().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
