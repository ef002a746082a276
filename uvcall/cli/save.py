"""Keep what a call leaves behind: the transcript as `.jsonl` and `.txt`, the recording as `.wav`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from uvcall.cli.files import at_home
from uvcall.cli.keep import whole
from uvcall.cli.stay import interruptible
from uvcall.core.model import CallRecord
from uvcall.core.transcripts import Format, message_of, render
from uvcall.errors import Interrupted, LocalError, UvcallError


def ready(directory: str) -> Path:
    """Make the directory before anybody is called.

    Raises:
        LocalError: It cannot be made or written to.
    """
    path = at_home(directory)
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


def recording(agents: Any, record: CallRecord) -> Callable[[IO[bytes]], None] | None:
    """Return what fetches Ultravox's recording of the call; None for one that nobody answered."""
    call_id = record.ultravox_call_id
    if call_id is None or record.answered_at is None:
        return None

    def fetch(sink: IO[bytes]) -> None:
        agents.download_recording(call_id, sink)

    return fetch


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
        said = [message_of(line) for line in record.transcript]
        for form, ending in ((Format.JSONL, "jsonl"), (Format.TEXT, "txt")):
            (directory / f"{stem}.{ending}").write_text(render(said, form), encoding="utf-8")
    except OSError as error:
        warn(f"the transcript could not be saved in {directory}: {error.strerror or error}")
    if fetch is None:
        return record
    path = directory / f"{stem}.wav"
    try:
        with interruptible(), whole(path, force=True) as stream:
            fetch(stream)
    except UvcallError as error:
        warn(f"the recording could not be kept: {error.message}")
        return record
    except Interrupted:
        warn("interrupted: the recording is not kept")
        return record
    return record._replace(recording=str(path))
