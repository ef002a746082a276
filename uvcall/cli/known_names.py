"""The names that a listing has shown, kept for the shells to complete: agents, voices, models.

One file for each, a name on each line, with a tab and a few words behind it. The completion scripts read them without
starting Python, and take no file that is older than `KEPT_DAYS`; so pressing Tab asks nobody. A name that is not plain
text is left out: what stands here ends up on a command line.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "names"
KEPT_DAYS: Final = 7
#: Names as people give them. Nothing that a shell would take for more than a character, and no blank at an end.
_NAME: Final = r"[^\W_](?:[\w .,()+@/:'&-]{0,98}[\w.,()+/])?"


def keep(state_dir: Path, kind: str, names: Iterable[tuple[str, str]]) -> None:
    """Keep the names of a kind, for this user only; what cannot be written is not kept.

    Args:
        state_dir: The state directory.
        kind: `agents`, `voices` or `models`.
        names: Each with a few words about it.
    """
    lines = sorted({f"{name}\t{_plain(about)}\n" for name, about in names if re.fullmatch(_NAME, name)})
    folder = state_dir / FOLDER
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=folder, prefix=f".{kind}-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
                stream.writelines(lines)
            Path(made).replace(folder / kind)
        except BaseException:
            with suppress(OSError):
                Path(made).unlink()
            raise


def _plain(text: str) -> str:
    """Return words in one line of plain characters."""
    return " ".join(re.sub(r"[^\w .,()+@/:-]", " ", text).split())[:80]
