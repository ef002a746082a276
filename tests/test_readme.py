"""What the README says is true: what it shows is run, what it lists is compared, what it names exists.

How a block is checked stands in a comment above it: see tests/support/readme.py.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys

import pytest
from support.readme import PARTS, README, blocks, fill, parts

from uvcall.cli.completions.tree import command_tree
from uvcall.core.model import CallRecord, Failure, Outcome
from uvcall.core.outcome import as_json
from uvcall.core.settings import SCHEMA, SECTIONS
from uvcall.errors import AuthError

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")
BLOCKS = blocks(TEXT)
#: The text that people read: without fenced blocks, and without the list of what there is not.
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
LACKING = re.search(r"^## Not there yet\n(.*?)^## ", PROSE, re.DOTALL | re.MULTILINE)[1]
SPANS = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", PROSE.replace(LACKING, ""))]

TREE = {command.path: command for command in command_tree().walk()}
HOWS = {"no", "run", "output", "dry-run", "python", "cron", "workflow", "record", "error", "paths", "rooms"}


def checked(how):
    """Return the blocks that are checked in this way, each as a test's parameter named by its line."""
    found = [pytest.param(block, id=f"line-{block.line}") for block in BLOCKS if block.check.split(",")[0] == how]
    assert found
    return pytest.mark.parametrize("block", found)


# ---- what is made from the code


def test_the_generated_parts_are_fresh():
    assert fill(TEXT) == TEXT, "write them anew: python tests/support/readme.py --write"


def test_every_command_shows_its_help_and_every_table_is_there():
    shown = parts(TEXT)
    helps = {" ".join(("help", *path)) for path in TREE}
    assert sorted(shown) == sorted(helps | set(PARTS))


# ---- what is run


@pytest.fixture
def shell(tmp_path, sandbox):
    """Run a text with bash where `uvcall` and `python` are this checkout's, and the vendors are the sandbox's."""
    home = tmp_path / "home"
    place = home / ".venv" / "bin"
    place.mkdir(parents=True)
    for name, arguments in {"uvcall": "-m uvcall", "python": ""}.items():
        tool = place / name
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        tool.chmod(0o755)

    def run(text, *, vendors=True):
        return subprocess.run(
            ["bash", "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=50,
            check=False,
            cwd=home,
            env={
                "PATH": f"{place}:{os.environ.get('PATH', os.defpath)}",
                "PYTHONPATH": str(ROOT),
                "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
                "LANG": "C.UTF-8",
                "HOME": str(home),
                **(sandbox.ready["env"] if vendors else {}),
            },
        )

    return run


def needs(block):
    """Skip when a tool that the block needs is not installed."""
    for tool in re.findall(r", needs (\w+)", block.check):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def prints(block, said):
    """Assert that the block printed what its check promises."""
    for words in re.findall(r', prints "([^"]+)"', block.check):
        assert words in said


@checked("run")
def test_the_script_runs(block, shell):
    needs(block)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = shell(block.body.replace("8123", str(port)))
    assert done.returncode == 0, done.stdout
    assert "error: " not in done.stdout
    prints(block, done.stdout)


@checked("python")
def test_the_sdk_is_pointed_at_the_sandbox(block, shell, sandbox):
    done = shell(f"python - <<'END'\n{block.body}END\n")
    assert done.returncode == 0, done.stdout
    prints(block, done.stdout)
    assert [event["to"] for event in sandbox.history() if event["type"] == "call.placed"] == ["+12025550101"]


@checked("dry-run")
def test_the_call_would_be_placed(block, shell, sandbox):
    for line in block.body.splitlines():
        done = shell(line if line.endswith("--dry-run") else f"{line} --dry-run")
        assert done.returncode == 0, done.stdout
        assert '"carrier"' in done.stdout
    assert not [event for event in sandbox.history() if event["type"] == "request"]


@checked("cron")
def test_cron_mails_nothing(block, shell, sandbox):
    done = shell(re.sub(r"^(\S+ +){5}", "", block.body))
    assert (done.returncode, done.stdout) == (0, "")
    assert [event["peer"] for event in sandbox.history() if event["type"] == "call.placed"] == ["telnyx"]


@checked("workflow")
def test_the_workflow_passes(block, shell):
    steps = re.findall(r"^ +- run: (uvcall .*)$", block.body, re.MULTILINE)
    assert steps
    for step in steps:
        done = shell(step, vendors=False)
        assert done.returncode == 0, done.stdout


#: What differs from run to run.
_VARIES = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\bv3:[\w-]+"), "v3:ID"),
    (re.compile(r"\bCA[0-9a-f]{32}\b"), "CA-ID"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
)
#: States of a call that may begin and end between two polls of a busy machine.
_SHORT = {"ringing", "answered"}


def same(text, home=None):
    """Return the lines without what differs from run to run."""
    text = text.replace(str(home), "~") if home else text
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return [line for line in text.splitlines() if line not in _SHORT]


@checked("output")
def test_the_output_is_as_shown(block, shell, tmp_path):
    runs = re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]
    for run in runs:
        command, _, shown = run.partition("\n")
        done = shell(command, vendors=False)
        assert done.returncode == 0, done.stdout
        assert same(done.stdout, tmp_path / "home") == same(shown)


def shape(value):
    """Return the names in a JSON value, in order."""
    if isinstance(value, dict):
        return [(name, shape(content)) for name, content in value.items() if name != "carrier_ids"]
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value).__name__


@checked("record")
def test_the_record_is_what_dial_prints(block, run_uvcall):
    ran = run_uvcall("dial", "+12025550100", "--provider", "telnyx", "--sandbox", "--speed", "20", "--json", "-q")
    shown = json.loads(block.body)
    assert shape(shown) == shape(ran.json)
    assert set(shown["carrier_ids"]) <= set(ran.json["carrier_ids"])


@checked("error")
def test_the_error_is_what_dial_prints(block, run_uvcall):
    env = {"UVCALL_TELNYX_FROM": "+12025550199", "ULTRAVOX_API_KEY": "abcdefgh." + "0" * 32}
    ran = run_uvcall("dial", "+12025550100", "--provider", "telnyx", "--json", env=env)
    assert json.loads(block.body) == ran.json["error"]
    record = CallRecord(Outcome.AUTH_ERROR, 4, "no", "telnyx", "", "", error=Failure("auth_error", "", ""))
    assert list(as_json(record)["error"]) == list(ran.json["error"])
    assert ran.code == AuthError.exit_code


@checked("paths")
def test_what_is_to_be_run_or_copied_exists(block):
    for line in block.body.splitlines():
        words = shlex.split(line, comments=True)
        for before, word in zip(["", *words], words, strict=False):
            if before == "-m":
                assert importlib.util.find_spec(word), line
            elif "/" in word and not word.startswith("~"):
                assert (ROOT / word).exists(), line


@checked("rooms")
def test_the_rooms_are_there_and_no_others(block):
    listed = [line.split()[0] for line in block.body.splitlines()]
    rooms = {
        path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "uvcall").glob("[!_]*") if path.is_dir()
    }
    assert rooms - set(listed) == set()
    for name in listed:
        assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), name


def test_every_block_that_could_be_run_says_how_it_is_checked():
    for block in BLOCKS:
        how = block.check.split(",")[0]
        assert how in HOWS or (block.language == "text" and not how), f"line {block.line}"
        assert how != "no" or re.match(r"no, \w+", block.check), f"line {block.line}: why not?"


# ---- what is named


def after_uvcall(text):
    """Yield the words of each uvcall command line in a text, up to the end of that command."""
    for line in text.replace("\\\n", " ").splitlines():
        for found in re.finditer(r"(?:^|[\s(\"/])uvcall((?: +(?:\"[^\"]*\"|'[^']*'|[^\s|&;>)#]+))+)", line):
            yield shlex.split(found[1])


def lines_of_commands():
    """Return every uvcall command line of the README, in code spans and in blocks."""
    shown = [block.body for block in BLOCKS if block.language in {"sh", "console", "yaml"} or block.check == "cron"]
    return [words for text in (*SPANS, *shown) for words in after_uvcall(text)]


@pytest.mark.parametrize("words", lines_of_commands(), ids=" ".join)
def test_every_command_line_names_what_exists(words):
    command = TREE[()]
    rest = list(words)
    while rest:
        word = rest.pop(0)
        options = {name: option for option in command.options for name in (*option.names, *option.opposites)}
        name, _, value = word.partition("=")
        if name.startswith("-") and name != "-":
            assert name in options, f"{' '.join(('uvcall', *command.path))} has no {name}"
            if options[name].slot is not None and not value and rest:
                rest.pop(0)
        elif command.commands:
            assert (*command.path, word) in TREE, f"there is no uvcall {' '.join((*command.path, word))}"
            command = TREE[*command.path, word]


def test_there_are_command_lines():
    assert len(lines_of_commands()) > 20


def test_every_option_that_is_mentioned_exists():
    known = {
        name for command in TREE.values() for option in command.options for name in option.names + option.opposites
    }
    mentioned = {name for span in SPANS for name in re.findall(r"^(--[a-z][a-z-]*)", span)}
    assert mentioned
    assert mentioned - known == set()


def test_every_command_of_a_group_that_is_mentioned_exists():
    groups = {path[0] for path in TREE if len(path) > 1}
    mentioned = {tuple(span.split()[:2]) for span in SPANS if span.split()[0] in groups and len(span.split()) > 1}
    assert mentioned
    assert mentioned - set(TREE) == set()


def test_every_setting_and_variable_that_is_mentioned_exists():
    settings = {span for span in SPANS if re.fullmatch(rf"(?:{'|'.join(SECTIONS)})\.\w+", span)}
    assert settings - set(SCHEMA) == set()
    variables = set(re.findall(r"\bUVCALL_[A-Z_]+", TEXT))
    ours = {"UVCALL_CONFIG", "UVCALL_STATE_DIR", "UVCALL_PROFILE"}
    assert variables - {key.env for key in SCHEMA.values()} - ours == set()


def test_what_is_said_to_be_lacking_is_lacking():
    lacking = re.findall(r"\(([a-z-]+)\)", LACKING)
    assert lacking
    assert {(name,) for name in lacking} & set(TREE) == set()
    groups = {tuple(span.split()) for span in re.findall(r"`(\w+ \w+)`", LACKING)}
    assert groups & set(TREE) == set()


def slug(heading):
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere():
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.+)$", PROSE, re.MULTILINE)}
    links = re.findall(r"\]\(([^)\s]+)\)", PROSE)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif not link.startswith("https://"):
            assert (ROOT / link).exists(), link


def test_every_section_is_in_the_contents():
    sections = re.findall(r"^## (.+)$", PROSE, re.MULTILINE)
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", PROSE, re.MULTILINE)
    assert [name for name, _ in listed] == [name for name in sections if name != "License"]
    assert all(anchor == slug(name) for name, anchor in listed)
