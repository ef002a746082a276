"""Tools of the client's own: the agent calls one, a local command runs, and what it prints is the result.

Never through a shell. The parameters come as JSON on its stdin. https://docs.ultravox.ai/tools/custom/client-tools
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from uvcall.core.wire import ultravox as uv
from uvcall.errors import UsageError

#: Messages of more than 15 to 16 kB may time out. https://docs.ultravox.ai/sdk-reference/introduction
LONGEST_RESULT: Final = 15_000
#: Seconds; the conversation stands still meanwhile, and Ultravox itself waits 40 at most.
DEFAULT_LIMIT_S: Final = 30.0
_KEPT_WORDS: Final = 2000

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FORM: Final = "--client-tool weather='python weather.py'"

#: Ways in which a command cannot be had, in the words of the agent's log.
_FAILED: Final = "implementation-error"


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool's name, and the program and arguments that it stands for."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a tool ended: what the agent is told, and what the person here should know; empty when all went well."""

    result: uv.ToolResult
    words: str = ""


def client_tools(given: Iterable[str]) -> dict[str, ClientTool]:
    """Read every `--client-tool NAME=COMMAND`.

    Raises:
        UsageError: A name that the agent could not know, a command that cannot be read, or a program that is not there.
    """
    tools: dict[str, ClientTool] = {}
    for text in given:
        name, sign, command = text.partition("=")
        if not sign or not _NAME.fullmatch(name):
            raise UsageError(f"--client-tool: {text[:60]!a} is not NAME=COMMAND", hint=_FORM)
        if name in tools:
            raise UsageError(f"--client-tool names {name} twice", hint="one command for one tool")
        try:
            argv = tuple(shlex.split(command))
        except ValueError as error:
            raise UsageError(f"--client-tool {name}: the command's quotes do not close", hint=_FORM) from error
        if not argv:
            raise UsageError(f"--client-tool {name}: there is no command", hint=_FORM)
        if shutil.which(argv[0]) is None:
            raise UsageError(
                f"--client-tool {name}: there is no program {argv[0][:80]!a}",
                hint="give its path, and see that it is executable; it is not run by a shell",
            )
        tools[name] = ClientTool(name, argv)
    return tools


async def run_tool(tool: ClientTool, invocation: uv.ToolInvocation, limit_s: float = DEFAULT_LIMIT_S) -> Ran:
    """Run the command to its end and return what to tell. Never raises but when it is canceled; it then is killed."""

    def failed(words: str, more: str = "") -> Ran:
        result = uv.ToolResult(invocation.invocation_id, error_type=_FAILED, error_message=f"{tool.name}: {words}")
        return Ran(result, f"the tool {tool.name} {words}" + (f": {more}" if more else ""))

    try:
        process = await asyncio.create_subprocess_exec(
            *tool.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A group of its own: what it has started goes with it, and Ctrl-C does not reach it before us.
            start_new_session=True,
        )
    except OSError as error:
        return failed(f"cannot be run: {error.strerror or type(error).__name__}")
    try:
        async with asyncio.timeout(limit_s):
            output, words = await _converse(process, _parameters(invocation.parameters))
            code = await process.wait() if len(output) <= LONGEST_RESULT else 0
    except TimeoutError:
        return failed(f"has not ended within {limit_s:g} s")
    finally:
        _kill(process)
    said = " ".join(words.decode("utf-8", "replace").split())[:200]
    if len(output) > LONGEST_RESULT:
        return failed(f"prints more than {LONGEST_RESULT:,} bytes")
    if code:
        return failed(f"ended with exit code {code}", said)
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return failed("prints what is not UTF-8 text")
    return Ran(uv.ToolResult(invocation.invocation_id, text.rstrip("\r\n")))


async def _converse(process: asyncio.subprocess.Process, parameters: bytes) -> tuple[bytes, bytes]:
    """Write the parameters and read what comes; of stdout one byte more than may come, of stderr the beginning."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("the pipes were asked for")
    beside = (
        asyncio.create_task(_write(process.stdin, parameters)),
        asyncio.create_task(_first(process.stderr, _KEPT_WORDS)),
    )
    try:
        output = await _read(process.stdout, LONGEST_RESULT + 1)
        words = await beside[1] if len(output) <= LONGEST_RESULT else b""
    finally:
        for task in beside:
            task.cancel()
    return output, words


async def _write(stream: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # a tool may do without its parameters
        stream.write(content)
        await stream.drain()
    stream.close()


async def _read(stream: asyncio.StreamReader, most: int) -> bytes:
    """Return the first `most` bytes; a stream that goes on is left to be killed with its process."""
    kept = bytearray()
    while len(kept) < most:
        piece = await stream.read(most - len(kept))
        if not piece:
            break
        kept += piece
    return bytes(kept)


async def _first(stream: asyncio.StreamReader, most: int) -> bytes:
    """Return the first `most` bytes, and read on to the end: a tool must not wait for somebody to read its words."""
    kept = await _read(stream, most)
    while await stream.read(1 << 16):
        pass
    return kept


def _parameters(parameters: Mapping[str, object]) -> bytes:
    return json.dumps(dict(parameters), ensure_ascii=False).encode("utf-8", "replace")


def _kill(process: asyncio.subprocess.Process) -> None:
    """End whatever the tool has left running; where there are no groups, the tool itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
