"""Client tools as processes: results, failures, floods, hangs."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from uvcall.core.wire import ultravox as uv
from uvcall.errors import UsageError
from uvcall.softphone.tools import LONGEST_RESULT, ClientTool, client_tools, run_tool

PATIENCE_S = 30.0


def run(program, parameters=None, limit_s=PATIENCE_S):
    """Run a Python program as the tool `t`."""
    tool = ClientTool("t", (sys.executable, "-c", program))
    return asyncio.run(run_tool(tool, uv.ToolInvocation("t", "7", parameters or {}), limit_s))


def test_parameters_in_result_out():
    ran = run("import json, sys; print(json.load(sys.stdin)['wörd'][::-1])", {"wörd": "äb"})
    assert ran.result == uv.ToolResult("7", "bä")
    assert ran.words == ""


def test_a_tool_may_do_without_its_parameters_and_without_a_word():
    assert run("pass", {"large": "x" * 500_000}).result == uv.ToolResult("7", "")


FAILURES = {
    "import sys; print('no', file=sys.stderr); sys.exit(3)": ("ended with exit code 3", "ended with exit code 3: no"),
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": ("ended with exit code -15", "exit code -15"),
    "import sys; sys.stdout.buffer.write(b'\\xff')": ("prints what is not UTF-8 text", "not UTF-8"),
    "import sys\nwhile True: sys.stdout.write('x' * 4096)": (f"prints more than {LONGEST_RESULT:,} bytes", "more than"),
}


@pytest.mark.parametrize(("program", "told"), FAILURES.items(), ids=["code", "signal", "bytes", "flood"])
def test_failures_are_told(program, told):
    ran = run(program)
    assert (ran.result.error_type, ran.result.error_message) == ("implementation-error", f"t: {told[0]}")
    assert ran.result.result is None
    assert told[1] in ran.words


def test_a_flood_of_words_beside_the_result_is_read_away():
    ran = run("import sys; sys.stderr.write('x' * 300_000); print('fine')")
    assert ran.result.result == "fine"


def test_a_tool_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    """The child of the tool holds its stdout, too."""
    note = tmp_path / "pid"
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    ran = run(program, limit_s=2.0)
    assert "has not ended within" in ran.result.error_message
    if note.exists() and note.read_text():
        until = time.monotonic() + PATIENCE_S
        while _alive(int(note.read_text())):
            assert time.monotonic() < until
            time.sleep(0.01)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_has_gone_meanwhile():
    ran = asyncio.run(run_tool(ClientTool("t", ("/nowhere/at/all",)), uv.ToolInvocation("t", "7")))
    assert "cannot be run" in ran.result.error_message


def test_commands_are_split_as_a_shell_would_and_not_run_by_one():
    tools = client_tools([f"a='{sys.executable}' -c 'print(1)' '$HOME; ls'", f"b_2={sys.executable}"])
    assert tools["a"].argv == (sys.executable, "-c", "print(1)", "$HOME; ls")
    assert tools["b_2"].argv == (sys.executable,)


@pytest.mark.parametrize(
    "given",
    ["x", "=ls", "a b=ls", "x" * 65 + "=ls", "x=", "x='ls", "x=no-such-program-at-all"],
)
def test_tools_that_are_none(given):
    with pytest.raises(UsageError) as caught:
        client_tools([given])
    assert caught.value.hint


def test_a_tool_has_one_command():
    with pytest.raises(UsageError, match="twice"):
        client_tools([f"x={sys.executable}", f"x={sys.executable}"])
