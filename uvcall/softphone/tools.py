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
from dataclasses import dataclass, field
from typing import Final

from uvcall.core.wire import ultravox as uv
from uvcall.errors import UsageError

#: Messages of more than 15 to 16 kB may time out. https://docs.ultravox.ai/sdk-reference/introduction
LONGEST_RESULT: Final = 15_000
#: Seconds; the conversation stands still meanwhile, and Ultravox itself waits 40 at most.
DEFAULT_LIMIT_S: Final = 30.0
_KEPT_WORDS: Final = 2000
#: Seconds after SIGKILL.
_DEATH_S: Final = 1.0

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

    loop = asyncio.get_running_loop()
    try:
        transport, run = await loop.subprocess_exec(
            lambda: _Run(loop.create_future(), loop.create_future()),
            *tool.argv,
            # A group of its own: what it has started goes with it, and Ctrl-C does not reach it before us.
            start_new_session=True,
        )
    except OSError as error:
        return failed(f"cannot be run: {error.strerror or type(error).__name__}")
    try:
        pipe = transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport):
            pipe.write(_parameters(invocation.parameters))
            pipe.close()  # when all is written
        async with asyncio.timeout(limit_s):
            await run.done
    except TimeoutError:
        return failed(f"has not ended within {limit_s:g} s")
    finally:
        _kill(transport)
        await asyncio.wait({run.exited}, timeout=_DEATH_S)
        transport.close()
    if len(run.output) > LONGEST_RESULT:
        return failed(f"prints more than {LONGEST_RESULT:,} bytes")
    if code := transport.get_returncode():
        return failed(f"ended with exit code {code}", " ".join(run.words.decode("utf-8", "replace").split())[:200])
    try:
        text = run.output.decode()
    except UnicodeDecodeError:
        return failed("prints what is not UTF-8 text")
    return Ran(uv.ToolResult(invocation.invocation_id, text.rstrip("\r\n")))


@dataclass(slots=True)
class _Run(asyncio.SubprocessProtocol):
    """What a tool prints, until it has ended or printed too much."""

    done: asyncio.Future[None]
    exited: asyncio.Future[None]
    output: bytearray = field(default_factory=bytearray)
    words: bytearray = field(default_factory=bytearray)  #: the beginning of its stderr; the rest is read away
    _open: set[int] = field(default_factory=lambda: {1, 2})

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            self.words += data[: _KEPT_WORDS - len(self.words)]
        elif len(self.output) <= LONGEST_RESULT:
            self.output += data
            if len(self.output) > LONGEST_RESULT:
                _settle(self.done)

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        self._open.discard(fd)
        self._look()

    def process_exited(self) -> None:
        _settle(self.exited)
        self._look()

    def _look(self) -> None:
        if self.exited.done() and not self._open:
            _settle(self.done)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _parameters(parameters: Mapping[str, object]) -> bytes:
    return json.dumps(dict(parameters), ensure_ascii=False).encode("utf-8", "replace")


def _kill(transport: asyncio.SubprocessTransport) -> None:
    """End whatever the tool has left running; where there are no groups, the tool itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        elif transport.get_returncode() is None:
            transport.kill()
