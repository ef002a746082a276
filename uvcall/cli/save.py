"""Keep what a call leaves behind: the transcript as `.jsonl` and `.txt`, the recording as `.wav`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO

from uvcall.cli.output import clean
from uvcall.core.model import CallRecord
from uvcall.errors import LocalError, UvcallError


def ready(directory: str) -> Path:
    """Make the directory before anybody is called.

    Raises:
        LocalError: It cannot be made or written to.
    """
    path = Path(directory).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".uvcall"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise LocalError(
            f"--save {path}: {error.strerror or error}", hint="name a directory that you can write to"
        ) from error
    return path


def save(
    record: CallRecord,
    directory: Path,
    fetch: Callable[[IO[bytes]], None] | None,
    warn: Callable[[str], None],
) -> CallRecord:
    """Write the transcript and the recording; what cannot be kept is a warning, never another outcome.

    Args:
        record: The call's record.
        directory: Where to.
        fetch: Writes the recording's WAV bytes to a stream; None when there is none to be had.
        warn: Is told what could not be kept.

    Returns:
        The record, with the recording's path where there is one.
    """
    stem = record.attempt_id or "call"
    try:
        lines = [{"role": line.role, "text": line.text, "at_s": line.at_s} for line in record.transcript]
        jsonl = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (directory / f"{stem}.jsonl").write_text(jsonl, encoding="utf-8")
        text = "".join(f"{line.role}: {clean(line.text)}\n" for line in record.transcript)
        (directory / f"{stem}.txt").write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        warn(f"the transcript could not be saved in {directory}: {getattr(error, 'strerror', None) or error}")
    if fetch is None:
        return record
    path = directory / f"{stem}.wav"
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            fetch(stream)
        part.replace(path)
    except OSError as error:
        warn(f"the recording could not be saved in {directory}: {error.strerror or error}")
    except UvcallError as error:
        warn(f"the recording could not be had: {error.message}")
    else:
        return record._replace(recording=str(path))
    part.unlink(missing_ok=True)
    return record
