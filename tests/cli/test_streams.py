"""Standard streams that take nothing or give nothing: said in one line, told by the exit code, and never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import clean_environment

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")

XML = ("render-xml", "--provider", "twilio", "--join-url", "wss://voice.ultravox.ai/calls/x")
#: What prints a result, and contacts nobody.
PRINTS = [
    ("--version",),
    ("--version", "dial"),
    ("--help",),
    ("dial", "--help"),
    ("config", "list"),
    ("config", "list", "--json"),
    ("config", "get", "ultravox.base_url"),
    ("config", "path"),
    ("calls", "list", "--json"),
    ("reconcile", "--json", "-q"),
    ("sandbox", "fidelity"),
    XML,
]


def _shell(home, words, *argv, stdin=subprocess.DEVNULL, env=None):
    """Run `uvcall ARGV WORDS` by the shell, where WORDS are redirections; return code, stdout and stderr."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m uvcall "$@" {words}', sys.executable, *argv],
        capture_output=True, stdin=stdin, env={**clean_environment(home), **(env or {})}, cwd=home, check=False,
        text=True, timeout=50,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("argv", PRINTS, ids=" ".join)
def test_a_result_that_cannot_be_printed_is_told(home, argv):
    code, _, errors = _shell(home, ">/dev/full", *argv)
    first, *rest = errors.splitlines()
    assert (code, first) == (7, "error: the result could not be printed: No space left on device")
    assert [line[:8] for line in rest] == ["  mend: "]


@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("config", "list"), XML], ids=" ".join)
def test_a_closed_stdout_is_told(home, argv):
    code, _, errors = _shell(home, ">&-", *argv)
    assert (code, errors.splitlines()[0]) == (7, "error: the result could not be printed: standard output is closed")


@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("config", "list"), XML], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_error(start_uvcall, argv):
    process = start_uvcall(*argv)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 0


@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_a_full_disk_where_words_have_to_be_spelled_out(home, language):
    env = {"LANG": language, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "UVCALL_CALL_PROMPT": "Grüß Gott"}
    code, _, errors = _shell(home, ">/dev/full", "config", "list", env=env)
    assert (code, errors.count("\n")) == (7, 2)


def test_another_error_keeps_its_code(home):
    code, _, errors = _shell(home, ">/dev/full", "dial", "911", "--sandbox", "--provider", "twilio", "--json")
    assert code == 3
    assert "could not be printed: No space left on device; the outcome is policy_refused" in errors


@pytest.mark.parametrize("words", [">/dev/full", ">&-"])
def test_the_outcome_of_a_call_that_cannot_be_printed_stands(home, words):
    argv = ("dial", "+12025550100", "--provider", "twilio", "--sandbox", "--speed", "10", "-q")
    code, _, errors = _shell(home, words, *argv)
    assert code == 0
    assert errors.count("\n") == 1
    assert errors.startswith("warning: the result could not be printed: ")
    assert "the outcome is completed; attempt " in errors


@pytest.mark.parametrize("words", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("argv", "code"),
    [(("--version",), 0), (("config", "list"), 0), (("dial", "--bogus"), 2), (("calls",), 2), (("dial", "911"), 3)],
)
def test_a_stderr_that_takes_nothing_changes_nothing(home, words, argv, code):
    ended, printed, _ = _shell(home, words, *argv)
    assert ended == code
    assert bool(printed) == (code == 0)


def test_nothing_is_open_at_all(home):
    assert _shell(home, "<&- >&- 2>&-", "config", "list")[0] == 7
    assert _shell(home, "<&- >&- 2>&-", "dial", "+12025550101", "--sandbox", "--provider", "telnyx")[0] == 10
    # No file has come to lie where results are printed.
    assert b"busy:" not in b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("config", "set", "telnyx.from", "-"), "stdin cannot be read"),
        (("config", "set", "telnyx.api_key", "-"), "stdin cannot be read"),
        (("config", "set", "telnyx.api_key"), "no value for telnyx.api_key"),
        (("config", "init", "--provider", "twilio"), "stdin cannot be read"),
        (("dial", "+12025550100", "--provider", "twilio", "--sandbox", "--prompt", "-"), "stdin cannot be read"),
        ((*XML[:4], "-"), "stdin cannot be read"),
    ],
)
def test_a_closed_stdin(home, argv, words):
    code, printed, errors = _shell(home, "<&-", *argv)
    assert (code, printed) == (2, "")
    assert words in errors


def test_answers_that_are_no_text(run_uvcall):
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    ran = run_uvcall("config", "init", "--provider", "twilio", "--no-check", stdin=b"\xff\xfe\x80\n" * 9, env=strict)
    assert (ran.code, ran.stdout) == (2, "")
    assert "stdin cannot be read" in ran.stderr


def test_a_server_says_at_once_that_its_ready_line_is_lost(home):
    with open("/dev/full", "w") as full:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvcall", "sandbox", "serve"],
            stdout=full, stderr=subprocess.PIPE, env=clean_environment(home), cwd=home, text=True,
        )  # fmt: skip
    assert server.stderr.readline() == "warning: the ready line could not be printed: No space left on device\n"
    server.terminate()
    _, errors = server.communicate(timeout=30)
    assert server.returncode == 7
    assert "Traceback" not in errors
