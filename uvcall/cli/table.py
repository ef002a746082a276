"""Facts as lines of text: a table with aligned columns, and a fact of any kind in one line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()) -> str:
    """Return the rows below their head, each column as wide as it must be; `numbers` names those to align right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = {column for column, name in enumerate(head) if name in numbers}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def words(fact: Any) -> str:
    """Return a fact in one line; empty for one that is not known."""
    if isinstance(fact, dict):
        return ", ".join(f"{name} {inner}" for name, value in fact.items() if (inner := words(value)))
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "" if fact is None else " ".join(str(fact).split())
