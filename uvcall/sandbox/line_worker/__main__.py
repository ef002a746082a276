"""Carry media streams for the process that started this one, over standard input and output."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Final

from uvcall.sandbox.event_loop import run_fast
from uvcall.sandbox.line_worker import live

#: The first line may hold a WAV file.
_LONGEST_LINE: Final = 1 << 28


async def _main() -> None:
    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    pipe = lambda: asyncio.StreamReaderProtocol(reader)  # noqa: E731  # asyncio asks for a factory
    await asyncio.get_running_loop().connect_read_pipe(pipe, sys.stdin)
    await live(reader, write)


if __name__ == "__main__":
    # Ctrl-C reaches the whole process group; the main process says when it is time to go, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_fast(_main())
