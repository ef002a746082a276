"""Shell completions, written from the command tree: `python -m uvcall.cli.completions DIRECTORY`.

The scripts hold what they offer, so that pressing Tab never starts Python. Of what only a vendor knows (agents, voices,
models) they offer what uvcall has listed lately (`uvcall.cli.known_names`). Calls and profiles they do not complete.
"""

from __future__ import annotations

from typing import Final

from uvcall.cli.completions import bash, fish, zsh
from uvcall.cli.completions.tree import command_tree

#: Who writes which file; the names are those that the shells look for.
_WRITERS: Final = {"uvcall.bash": bash.script, "_uvcall": zsh.script, "uvcall.fish": fish.script}


def scripts() -> dict[str, str]:
    """Return the content of every completion file by its name."""
    tree = command_tree()
    return {name: write(tree) for name, write in _WRITERS.items()}
