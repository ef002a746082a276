"""The completion files are fresh, and the shells themselves answer with what they should."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from uvcall.cli.completions import scripts
from uvcall.cli.completions.tree import command_tree
from uvcall.core.carrier import Provider
from uvcall.core.model import Outcome
from uvcall.core.settings import SCHEMA
from uvcall.sandbox.scenarios import SCENARIOS

DIRECTORY = Path(__file__).parents[2] / "completions"

PROVIDERS = {provider.value for provider in Provider}

#: A line up to the cursor, and the whole words that its last word may become.
LINES = {
    "uvcall ": {command.path[0] for command in command_tree().commands},
    "uvcall --pro": {"--profile"},
    "uvcall di": {"dial"},
    "uvcall dial --provider ": PROVIDERS,
    "uvcall dial --provider t": {"telnyx", "twilio"},
    "uvcall dial --provider=": {f"--provider={provider}" for provider in PROVIDERS},
    "uvcall dial --provider=t": {"--provider=telnyx", "--provider=twilio"},
    "uvcall dial +12025550100 --sand": {"--sandbox"},
    "uvcall dial --no-r": {"--no-record"},
    "uvcall dial --scenario ": set(SCENARIOS),
    "uvcall dial --sandbox --scenario no-": {"no-answer", "no-join"},
    "uvcall sandbox serve --scenario rate": {"rate-limited"},
    "uvcall dial --expect ": {outcome.value for outcome in Outcome},
    "uvcall dial --expect busy,no_": {"busy,no_answer"},
    "uvcall dial --expect=busy,no_": {"--expect=busy,no_answer"},
    "uvcall dial --from t": set(),
    "uvcall dial h": set(),
    "uvcall dial --prompt ": {"@"},
    "uvcall dial --prompt @": {"@hello.wav", "@here", "@bin"},
    "uvcall dial --prompt @h": {"@hello.wav", "@here"},
    "uvcall dial --prompt=@hel": {"--prompt=@hello.wav"},
    "uvcall dial --callee-audio hel": {"hello.wav"},
    "uvcall dial --save h": {"here"},
    "uvcall --config he": {"hello.wav", "here"},
    "uvcall --profile dial con": {"config"},
    "uvcall dial --greeting config --prov": {"--provider"},
    "uvcall dial --voice ": {"Mark", "Susi-German", "$(touch-evil)"},
    "uvcall dial --voice M": {"Mark"},
    "uvcall dial --voice=S": {"--voice=Susi-German"},
    "uvcall dial --agent 1b3f": {"1b3f10a9-3dfd-4b0e-b788-bb523d80f414"},
    "uvcall serve-inbound --model ": set(),
    "uvcall config set ": set(SCHEMA),
    "uvcall config get twilio.a": {"twilio.account_sid", "twilio.auth_token"},
    "uvcall --profile=work config unset plivo.c": {"plivo.codec"},
    "uvcall config set plivo.codec t": set(),
}


@pytest.mark.parametrize("name", scripts())
def test_the_completion_files_are_those_that_the_command_tree_gives(name):
    assert (DIRECTORY / name).read_text(encoding="utf-8") == scripts()[name], (
        "write them anew: python -m uvcall.cli.completions completions"
    )


def test_every_option_of_every_command_is_in_every_file():
    words = {name: set(re.findall(r"[\w-]+", text)) for name, text in scripts().items()}
    for command in command_tree().walk():
        for option in command.options:
            for name in (*option.names, *option.opposites):
                if name.startswith("--"):
                    assert name in words["uvcall.bash"]
                    assert name in words["_uvcall"]
                    assert name[2:] in words["uvcall.fish"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("line", LINES, ids=str.strip)
def test_the_shell_completes(shell, line, place):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert answers(shell, place)[line] == LINES[line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completing_starts_no_program(shell, place):
    """The scripts hold all that they offer: there is no uvcall on this shell's path, and no Python either."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert not (place / "bin" / "uvcall").exists()
    assert answers(shell, place)["uvcall di"] == {"dial"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_vendors_words_are_never_run(shell, place):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert "$(touch-evil)" in answers(shell, place)["uvcall dial --voice "]
    assert not (place / "evil").exists()
    if shell == "bash":
        words = "COMP_WORDS=(uvcall dial --voice '') COMP_CWORD=3"
        program = f"source $0; {words}; _uvcall; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(
            ["bash", "--norc", "-c", program, DIRECTORY / "uvcall.bash"],
            env={"PATH": str(place / "bin"), "UVCALL_STATE_DIR": str(place / "bin" / "state")},
            cwd=place, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        assert r"\$\(touch-evil\)" in done.stdout.splitlines()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a file and a directory in it, and a PATH that holds the shells and what they need."""
    directory = tmp_path_factory.mktemp("place")
    (directory / "here").mkdir()
    (directory / "hello.wav").touch()
    (directory / "bin").mkdir()
    names = directory / "bin" / "state" / "names"
    names.mkdir(parents=True)
    (names / "voices").write_text("Mark\ten-US calm\nSusi-German\tde-DE\n$(touch-evil)\t`touch evil`\n")
    (names / "agents").write_text("1b3f10a9-3dfd-4b0e-b788-bb523d80f414\tReception\n")
    (names / "models").write_text("stale\t\n")
    os.utime(names / "models", (0, time.time() - 8 * 86_400))
    for tool in (
        "bash",
        "zsh",
        "fish",
        "find",
        "sed",
        "awk",
        "cat",
        "uname",
        "getconf",
        "ls",
        "mkdir",
        "dircolors",
        "tty",
    ):
        found = shutil.which(tool)
        if found:
            (directory / "bin" / tool).symlink_to(found)
    return directory


@cache
def answers(shell, place):
    """Return what the shell offers for every line of `LINES`: all of them asked of one process."""
    env = {"PATH": str(place / "bin"), "HOME": str(place / "bin"), "TERM": "xterm", "LANG": "C.UTF-8"}
    env["UVCALL_STATE_DIR"] = str(place / "bin" / "state")
    found = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](place, env)
    # What a shell would take for its own stands quoted; a `$(touch-evil)` would be a command that is not found.
    return {
        line: {word.rstrip("/").replace("\\", "") for word in words} for line, words in zip(LINES, found, strict=True)
    }


def _readline(line):
    """Cut a line as bash's readline does: its words, and what of the last word stays before the answer.

    COMP_WORDBREAKS holds `=` and `@`; an `@` is nevertheless replaced (rl_special_prefixes).
    """
    words = [piece for word in line.split(" ") for piece in (re.findall(r"=@|[=@]|[^=@]+", word) or [""])]
    option, equals, _ = line.split(" ")[-1].partition("=")
    return words, option + equals if equals else ""


def _bash(place, env):
    program = [f"source {DIRECTORY / 'uvcall.bash'}"]
    cuts = []
    for line in LINES:
        words, cut = _readline(line)
        cuts.append(cut)
        quoted = " ".join("'" + word + "'" for word in words)
        program += [f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}", "_uvcall"]
        program += ["printf '%s\\n' \"${COMPREPLY[@]}\" ---"]
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", "\n".join(program)],
        env=env, cwd=place, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    pieces = done.stdout.split("---\n")[:-1]
    return [[cut + word for word in piece.split()] for cut, piece in zip(cuts, pieces, strict=True)]


def _fish(place, env):
    lines = "\n".join(f"complete -C '{line}'; echo ---" for line in LINES)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {DIRECTORY / 'uvcall.fish'}\n{lines}"],
        env=env, cwd=place, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return [[row.split("\t")[0] for row in piece.splitlines()] for piece in done.stdout.split("---\n")[:-1]]


_ZSH = """
PROMPT= RPROMPT=
fpath=({directory} $fpath)
autoload -U compinit && compinit -u -D
compadd() {{
  if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  local hit
  for hit in $hits; print -r -- "$IPREFIX$hit" >> {answers}
  builtin compadd "$@"
}}
answer() {{ _main_complete; print -r -- "---" >> {answers} }}
zle -C answer .complete-word answer
bindkey '^I' answer
setopt no_beep no_list_beep no_auto_menu
"""


def _zsh(place, env):
    """Type the lines into an interactive zsh on a pseudo-terminal, and note every match that is added."""
    noted = place / "bin" / "answers"
    noted.touch()
    setup = place / "bin" / "setup"
    setup.write_text(_ZSH.format(directory=DIRECTORY, answers=noted))
    master, slave = pty.openpty()
    shell = subprocess.Popen(["zsh", "-f", "-i"], env=env, cwd=place, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = b""

    def wait(count):
        nonlocal screen
        deadline = time.monotonic() + 20
        while noted.read_text().count("---\n") < count:
            assert time.monotonic() < deadline, screen.decode(errors="replace")
            if select.select([master], [], [], 0.02)[0]:
                screen += os.read(master, 65536)

    try:
        os.write(master, f"source {setup}; print -r -- --- >> {noted}\n".encode())
        wait(1)
        for count, line in enumerate(LINES, start=2):
            os.write(master, line.encode() + b"\t")
            wait(count)
            os.write(master, b"\x15")
    finally:
        shell.kill()
        shell.wait()
        os.close(master)
    return [piece.splitlines() for piece in noted.read_text().split("---\n")[1:-1]]
