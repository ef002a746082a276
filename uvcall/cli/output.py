"""The only room that prints: results on stdout, talk on stderr, and nothing of a peer's that a terminal would obey."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from uvcall.core.printable import clean

#: What a credential looks like, for text that nobody has vetted. Ultravox keys, join URLs, Telnyx keys, Basic auth.
#: As text: `re` compiles and keeps it when something is first printed that needs it.
_SECRETS: Final = (
    r"\b[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}\b|\bKEY[0-9A-Fa-f]{16,}_\w+"
    r"|wss?://[^\s\"'<>]+|\b(?:Basic|Bearer) [A-Za-z0-9+/=._-]{8,}"
)

#: The longest line of an error, in characters.
_LONGEST: Final = 500


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return the text without the given secrets and without anything that looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "[secret]")
    return re.sub(_SECRETS, "[secret]", text)


@dataclass(slots=True, eq=False, repr=False)
class Output:
    """The two streams of one command. `as_json`: stdout holds JSON and nothing else."""

    stdout: TextIO
    stderr: TextIO
    env: Mapping[str, str]
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    secrets: tuple[str, ...] = field(default=())
    unprinted: str = ""  #: why results were lost on their way to `stdout`; nobody has been told yet

    def result(self, text: str) -> None:
        """Print a result."""
        self._write(self.stdout, clean(text, lines=True) + "\n")

    def raw(self, text: str) -> None:
        """Print a document as it is: XML, completions."""
        self._write(self.stdout, text)

    def json(self, value: Any) -> None:
        """Print one JSON value on one line, ASCII only, so that no terminal obeys what is in it."""
        self._write(self.stdout, json.dumps(value, ensure_ascii=True) + "\n")

    def ready(self, value: Any) -> None:
        """Print the line that somebody waits for; where it cannot be printed, say so now, not at a server's end."""
        self.json(value)
        if self.unprinted:
            self.warn(f"the ready line could not be printed: {self.unprinted}")

    def say(self, text: str) -> None:
        """Tell what happens; silent with `--quiet`."""
        if not self.quiet:
            self._write(self.stderr, clean(redact(text, self.secrets)) + "\n")

    def ask(self, text: str) -> None:
        """Put a question to the user; also with `--quiet`, because an answer is waited for."""
        self._write(self.stderr, clean(redact(text, self.secrets)) + "\n")

    def page(self, text: str) -> None:
        """Show a page of help to somebody who has not asked for it."""
        self._write(self.stderr, clean(text, lines=True) + "\n")

    def draw(self, text: str) -> None:
        """Move a live screen on; the text is already what a terminal is meant to obey."""
        self._write(self.stderr, text)

    def detail(self, text: str) -> None:
        """Tell what only `--verbose` wants to know."""
        if self.verbose:
            self.say(text)

    def warn(self, text: str) -> None:
        """Warn; also with `--quiet`, because a warning may cost money."""
        self._write(self.stderr, "warning: " + clean(redact(text, self.secrets)) + "\n")

    def error(self, message: str, hint: str = "") -> None:
        """Say what went wrong and how to mend it, in one line each."""
        self._write(self.stderr, "error: " + _short(clean(redact(message, self.secrets))) + "\n")
        if hint:
            self._write(self.stderr, "  mend: " + _short(clean(redact(hint, self.secrets))) + "\n")

    def live(self) -> bool:
        """Return whether a live screen makes sense: a capable terminal, and nobody asked for quiet or JSON."""
        return (
            not self.as_json
            and not self.quiet
            and self.stderr.isatty()
            and self.env.get("TERM", "") not in {"", "dumb"}
        )

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                stream.write(text.encode("ascii", "backslashreplace").decode())
            stream.flush()
        except (OSError, ValueError) as error:
            # A closed pipe has seen enough; whoever reads a result has to know that it is not there.
            if stream is self.stdout and not isinstance(error, BrokenPipeError):
                self.unprinted = _why(error)
            # Point the stream nowhere, so that the interpreter does not complain about it at its own end.
            _silence(stream)


class Canvas:
    """Standard error for what draws on it. A terminal that is gone takes nothing, and ends no call."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Draw."""
        self._out.draw(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: it is drawn."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out.stderr, name)


class Pipe:
    """Standard output as a place for bytes, which cannot be taken back whatever it leads to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._raw = getattr(stream, "buffer", None)

    def seekable(self) -> bool:
        """Return False: a part that is written is written."""
        return False

    def write(self, data: bytes) -> int:
        """Write the bytes at once.

        Raises:
            OSError: They cannot be written.
        """
        if self._raw is None:
            raise OSError(errno.EBADF, "standard output is closed")
        try:
            written: int = self._raw.write(data)
            self._raw.flush()
        except OSError:
            _silence(self._stream)
            raise
        return written


def _short(line: str) -> str:
    """Leave the middle out of a line that quotes too much: what was wrong and what was expected stand at its ends."""
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno not in {None, errno.EBADF}:
        return error.strerror or "standard output takes nothing"
    return "standard output is closed"


def _silence(stream: TextIO) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
