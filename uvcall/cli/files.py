"""What the user hands over in files and on stdin: bounded, decoded strictly, refused in one line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, TextIO

from uvcall.errors import UsageError

LIMIT: Final = 1024 * 1024
#: Half a minute of CD-quality stereo; a callee's sentence is far shorter.
AUDIO_LIMIT: Final = 32 * 1024 * 1024


def at_home(text: str) -> Path:
    """Return a path in which ~ is the home directory; that of a user who does not exist is left as it is."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def open_regular(path: str | os.PathLike[str]) -> BinaryIO | None:
    """Open a file for reading, or return None when it is a directory, a device, a FIFO or a socket.

    Raises:
        OSError: It cannot be opened.
    """
    # Non-blocking, because opening a FIFO that nobody writes to would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def read_bytes(path: str, option: str, *, limit: int = AUDIO_LIMIT) -> bytes:
    """Return a regular file's content.

    Raises:
        UsageError: It is not there, not readable, not a regular file, or longer than `limit` bytes.
    """
    if not path or "\x00" in path:
        raise UsageError(f"{option}: the file's name is empty or broken", hint=f"{option} @FILE")
    try:
        file = open_regular(path)
        if file is None:
            raise UsageError(
                f"{option}: {path} is not a regular file",
                hint=f"pipe it in with {option} -, or save it to a file first",
            )
        with file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be read: {error.strerror}", hint="check the path") from error
    return _bounded(content, limit, path, option)


def read_text(given: str, option: str, *, stdin: TextIO | None, limit: int = LIMIT) -> str:
    """Return the text: `@FILE` from a file, `-` from stdin, anything else as it stands.

    Raises:
        UsageError: The file or stdin cannot be read, is too long, or is not UTF-8.
    """
    if given == "-" and stdin is not None:
        return _decoded(_read_stdin(stdin, option, limit), "stdin", option)
    if given.startswith("@"):
        return _decoded(read_bytes(given[1:], option, limit=limit), given[1:], option)
    if len(given.encode("utf-8", "surrogateescape")) > limit:
        raise UsageError(f"{option}: longer than {limit:,} bytes", hint="give a shorter text")
    return given


def read_json(given: str, option: str, *, stdin: TextIO | None, limit: int = LIMIT) -> Any:
    """Return the JSON value of `@FILE`, of stdin (`-`), or of the text itself.

    Raises:
        UsageError: It cannot be read, is not JSON, has a name twice in one object, or a number that JSON has not.
    """
    if not given.startswith(("@", "{", "[")) and given != "-":
        raise UsageError(f"{option}: neither a file nor JSON", hint=f"{option} @FILE.json, or {option} - for stdin")
    text = read_text(given, option, stdin=stdin, limit=limit)
    where = "stdin" if given == "-" else given[1:] if given.startswith("@") else "the text"
    return parse_json(text, f"{option}: {where}")


def parse_json(text: str, where: str) -> Any:
    """Return the JSON value of the text; `where` begins every message.

    Raises:
        UsageError: It is not strict JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(
                f"{where}: the name {twice[:60]!a} stands twice in one object{_line_of(text, twice)}",
                hint="drop or rename one of the two",
            )
        return found

    def number(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise UsageError(f"{where}: the number {digits[:40]} is too large", hint="numbers end at 1.79e308")
        return value

    def not_json(constant: str) -> NoReturn:
        raise UsageError(f"{where}: {constant} is not JSON", hint="use null, or leave the field out")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_float=number, parse_constant=not_json)
        # A lone \ud800 is legal JSON and no text: no request could carry it.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{where} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}",
            hint="texts and names stand in double quotes, a comma between two items and none after the last",
        ) from error
    except RecursionError as error:
        raise UsageError(
            f"{where} is nested too deeply", hint="is it the right file? no call has so many levels"
        ) from error
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{where} holds half a character (an escape from \\ud800 to \\udfff)",
            hint="write the character itself, or both halves of its escape",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{where} holds a number with too many digits",
            hint="put it in quotes if it is an identifier, else round it",
        ) from error
    return value


def _line_of(text: str, name: str) -> str:
    """Say on which line the name stands for the second time, where that can be told for certain."""
    quoted = json.dumps(name, ensure_ascii=False)
    pieces = text.split(quoted)
    return f", line {quoted.join(pieces[:2]).count(chr(10)) + 1}" if len(pieces) == 3 else ""


def _read_stdin(stdin: TextIO, option: str, limit: int) -> bytes:
    try:
        raw = getattr(stdin, "buffer", None)
        content = raw.read(limit + 1) if raw is not None else stdin.read(limit + 1).encode("utf-8", "surrogatepass")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{option}: stdin cannot be read", hint="is it closed? pipe something in, or give a file"
        ) from error
    return _bounded(content, limit, "stdin", option)


def _bounded(content: bytes, limit: int, where: str, option: str) -> bytes:
    if len(content) > limit:
        raise UsageError(f"{option}: {where} is longer than {limit:,} bytes", hint="give a smaller one")
    return content


def _decoded(content: bytes, where: str, option: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{option}: {where} is not UTF-8 text: byte {error.start + 1}", hint="save it as UTF-8"
        ) from error
