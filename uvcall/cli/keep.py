"""Files that a command writes for the user: whole under their name or not at all, and over no other file unasked."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from uvcall.cli.files import at_home
from uvcall.errors import LocalError, UsageError


def free(given: str, option: str, *, force: bool) -> Path:
    """Return the path to write to, before anybody is asked for what goes there.

    Raises:
        UsageError: Something is there already, and it may not be replaced.
    """
    if not given or "\0" in given:
        raise UsageError(f"{option}: the file's name is empty or broken", hint=f"{option} FILE")
    path = at_home(given)
    try:
        mode = path.stat().st_mode if path.exists() else stat.S_IFREG
    except OSError as error:  # a name that is too long, a loop of links
        raise UsageError(f"{option}: {given[:80]}: {error.strerror}", hint="name another file") from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{option}: {given} is a directory", hint=f"name a file in it: {option} {path / 'call'}")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{option}: {given} is no plain file", hint="name a new file")
    if not force and os.path.lexists(path):
        raise UsageError(f"{option}: {given} is there already", hint="name another file, or replace it with --force")
    return path


@contextmanager
def whole(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Write a file under another name in the same directory, and give it its own when it is complete.

    Raises:
        LocalError: It cannot be written.
        UsageError: Another file has taken the name meanwhile.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if force:
            part.replace(path)
        else:
            _name(part, path)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="name another file, or replace it with --force") from None
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise LocalError(
            f"{path} cannot be written: {'the disk is full' if full else error.strerror}",
            hint="free some space" if full else "name a file in a directory that you can write to",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _name(part: Path, path: Path) -> None:
    """Give the file its name unless it is taken. A file system without links gets a look and a rename instead."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        part.rename(path)
