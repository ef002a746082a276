"""The rules of the house, each a test with its reason."""

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import uvcall
from uvcall.carriers import Carrier, carrier
from uvcall.core.carrier import Provider
from uvcall.core.model import Outcome
from uvcall.core.outcome import ENDINGS
from uvcall.core.wire import Wire, wire
from uvcall.errors import UvcallError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "uvcall"
SOURCES = {path.relative_to(ROOT).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}

#: Lines of a module; what is longer is more than one thing.
LONGEST = 350

#: Modules that exist to subclass what a heavy library has, and are imported inside functions themselves.
BESIDE_AN_SDK = {"uvcall/carriers/_requests.py"}

#: The server of serve-inbound, from its door to its Ultravox client: they import each other at the top, and others import
#: them inside functions.
INBOUND = {
    "uvcall/async_ultravox.py",
    "uvcall/kept_alive.py",
    *(f"uvcall/calls/{name}.py" for name in ("agent_news", "answer", "call_control")),
    *(f"uvcall/server/{name}.py" for name in ("door", "inbound", "ledger", "site", "tally", "workers")),
}

#: The contract's table of exit codes: scripts are written against it.
EXIT_CODES = {
    "completed": 0,
    "accepted": 0,
    "internal_error": 1,
    "usage": 2,
    "policy_refused": 3,
    "auth_error": 4,
    "provider_refused": 5,
    "config_error": 6,
    "local_error": 7,
    "busy": 10,
    "no_answer": 11,
    "failed": 12,
    "voicemail": 13,
    "rejected": 14,
    "silent": 15,
    "agent_failed": 16,
    "max_duration": 17,
    "unknown": 20,
    "unobserved": 21,
    "temporary": 75,
    "interrupted": 130,
}

#: What no command may pay for that has no use for it.
HEAVY = {
    "aiohttp", "asyncio", "cryptography", "httpx", "keyring", "lxml", "nacl", "numpy", "phonenumbers", "plivo",
    "pydantic", "requests", "rich", "ssl", "starlette", "telnyx", "tomlkit", "twilio", "uvicorn", "websockets",
}  # fmt: skip


def tool(*arguments, timeout=60):
    """Run a tool of this environment at the top of the checkout; fail with its words."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def found(check):
    """Return `file:line` for every node of the package of which `check(name, node)` is true."""
    return [f"{name}:{node.lineno}" for name, tree in TREES.items() for node in ast.walk(tree) if check(name, node)]


def dotted(node):
    """Return `a.b.c` for a chain of names, else an empty string."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def at_import(tree):
    """Yield the import statements that run when the module is imported."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def imported(node):
    """Return the modules that an import statement names."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


# What the tools say


def test_the_rooms_look_only_where_they_may():
    """The import contracts are in pyproject.toml."""
    check = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing():
    tool("ruff", "check", "--no-cache", "--quiet", ".")


def test_the_code_is_formatted():
    tool("ruff", "format", "--no-cache", "--check", "--quiet", ".")


@pytest.mark.timeout(400)
def test_mypy_strict_finds_nothing():
    tool("mypy", "--cache-dir", os.devnull, timeout=390)


# What a command pays for


def loaded_by(*argv, home):
    """Return the top-level packages in memory after uvcall has run on `argv` in a new process."""
    program = (
        "import contextlib, io, json, sys\n"
        "from uvcall.cli.app import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    code = run({list(argv)!r}) if {bool(argv)} else 0\n"
        "print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(home), "XDG_CONFIG_HOME": str(home), "UVCALL_STATE_DIR": str(home)},
    )  # fmt: skip
    code, names = json.loads(done.stdout)
    assert code == 0, done.stderr
    return set(names)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--help",),
        ("dial", "--help"),
        ("talk", "--help"),
        ("render-xml", "--provider", "telnyx", "--join-url", "wss://voice.ultravox.ai/calls/x"),
        ("render-xml", "--provider", "twilio", "--join-url", "wss://voice.ultravox.ai/calls/x"),
        ("render-xml", "--provider", "plivo", "--join-url", "wss://voice.ultravox.ai/calls/x"),
        ("config", "list"),
        ("calls", "list"),
        ("calls", "watch", "--help"),
        ("calls", "recording", "--help"),
        ("sandbox", "env", "--port", "8090"),
    ],
    ids=" ".join,
)
def test_a_command_loads_nothing_heavy_that_it_has_no_use_for(argv, tmp_path):
    """An SDK takes a second to import, httpx and Rich a tenth."""
    assert loaded_by(*argv, home=tmp_path) & HEAVY == set()


def test_heavy_libraries_are_imported_inside_functions():
    """Only the sandbox, the softphone and the server of serve-inbound, which no other command imports, have their libraries
    at the top."""
    served = {name.removesuffix(".py").replace("/", ".") for name in INBOUND}
    assert not [
        name
        for name, tree in TREES.items()
        if name not in INBOUND
        for node in at_import(tree)
        if served & {*imported(node), *(f"{imported(node)[0]}.{alias.name}" for alias in node.names)}
    ]
    beside = {name.removesuffix(".py").replace("/", ".") for name in BESIDE_AN_SDK}
    assert not [name for name, tree in TREES.items() for node in at_import(tree) if beside & set(imported(node))]
    heavy = [
        f"{name}:{node.lineno} {module}"
        for name, tree in TREES.items()
        if not name.startswith(("uvcall/sandbox/", "uvcall/softphone/")) and name not in BESIDE_AN_SDK | INBOUND
        for node in at_import(tree)
        for module in imported(node)
        if module.split(".")[0] in HEAVY
    ]
    assert heavy == []


# The contract's promises


def subclasses(base):
    """Return the class and all classes below it."""
    return {base}.union(*(subclasses(sub) for sub in base.__subclasses__()))


#: Packages of extras that the tests' environment need not have; the modules that import them at once define no error.
OPTIONAL = {"aioice", "aiortc", "av", "google", "livekit", "sounddevice"}


def errors():
    """Return every class of error that uvcall defines, in all its modules."""
    for module in pkgutil.walk_packages(uvcall.__path__, "uvcall."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as missing:
                if (missing.name or "").partition(".")[0] not in OPTIONAL:
                    raise
    return sorted(subclasses(UvcallError), key=lambda one: one.__qualname__)


def test_every_error_has_a_code_and_the_contracts_exit_code():
    for error in errors():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code), error
        assert error.exit_code in EXIT_CODES.values(), error
        if error.code in EXIT_CODES:
            assert error.exit_code == EXIT_CODES[error.code], error
        assert (error.exit_code == 20) == (error.placed == "unknown"), error
        assert not error.retryable or error.placed == "no", error


def test_every_outcome_has_the_contracts_exit_code():
    assert {outcome.value: ENDINGS[outcome].exit_code for outcome in Outcome} == EXIT_CODES


def test_every_mistake_of_the_users_comes_with_a_way_to_mend_it():
    """These classes mean "you can mend this", so they say how; a vendor's own words may stand without."""
    mendable = {"UsageError", "PolicyRefused", "AuthError", "ConfigError", "LocalError"}
    silent = found(
        lambda _, node: (
            isinstance(node, ast.Call)
            and dotted(node.func) in mendable
            and not any(keyword.arg in {"hint", None} for keyword in node.keywords)
        )
    )
    assert silent == []


def test_the_version_is_the_packages_own(run_uvcall):
    ran = run_uvcall("--version")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"uvcall {uvcall.__version__}\n", "")
    assert run_uvcall("-V").stdout == ran.stdout
    assert run_uvcall("--profile", "x", "--version").stdout == ran.stdout


# One shape


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize(("shape", "get"), [(Wire, wire), (Carrier, carrier)], ids=["wire", "carrier"])
def test_a_carriers_modules_have_the_shape_of_all(provider, shape, get):
    """A module is the instance of the protocol, so mypy cannot see it: `import_module` returns any module."""
    module = get(provider)
    for name, method in inspect.getmembers(shape, inspect.isfunction):
        if name.startswith("_"):
            continue
        wanted = [(p.name, p.kind) for p in inspect.signature(method).parameters.values()][1:]
        assert [(p.name, p.kind) for p in inspect.signature(getattr(module, name)).parameters.values()] == wanted, name


@pytest.mark.parametrize("provider", Provider)
def test_a_wire_and_a_carrier_name_the_vendors_pages(provider):
    """Each fact of a wire can be looked up where it comes from."""
    for name in (f"uvcall/core/wire/{provider}.py", f"uvcall/carriers/{provider}.py"):
        assert "https://" in SOURCES[name].read_text(encoding="utf-8"), name


# Where things are done


def test_every_module_says_what_it_is():
    """A package without code needs no words of its own: its parent's docstring is the floor plan."""
    assert [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)] == []


def test_a_module_is_one_thing():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in SOURCES.items()}
    assert [name for name, length in lengths.items() if length > LONGEST] == []


def test_names_are_the_fields_terms():
    """What is called a helper has no subject of its own."""
    vague = r"(^|_)(utils?|helpers?|common|misc|managers?)(_|$)"
    assert [name for name in SOURCES if re.search(vague, Path(name).stem)] == []
    assert found(lambda _, node: isinstance(node, ast.ClassDef) and re.search(r"Manager|Helper|Util", node.name)) == []


def test_only_the_program_itself_prints():
    """`cli.output` writes to the streams that it is given and blots out secrets; a bare print does neither."""
    prints = found(
        lambda name, node: (
            isinstance(node, ast.Call) and dotted(node.func) == "print" and not name.endswith("__main__.py")
        )
    )
    assert prints == []


def test_only_the_context_reads_the_environment():
    """Settings have one way in, so that `config list` can say where each value came from."""
    read = found(
        lambda name, node: (
            dotted(node) in {"os.environ", "os.getenv", "os.environb", "environ", "getenv"}
            and name != "uvcall/cli/context.py"
        )
    )
    assert read == []


def test_only_the_context_and_the_program_itself_know_the_standard_streams():
    streams = {"sys.stdout", "sys.stderr", "sys.stdin", "sys.__stdout__", "sys.argv"}
    known = found(
        lambda name, node: (
            dotted(node) in streams and not name.endswith("__main__.py") and name != "uvcall/cli/context.py"
        )
    )
    assert known == []


def test_only_the_program_itself_exits():
    """An exit below `main` would skip the record that `--json` promises."""
    exits = found(
        lambda name, node: (
            dotted(node) in {"sys.exit", "os._exit", "os.abort", "exit", "quit", "SystemExit"}
            and not name.endswith("__main__.py")
        )
    )
    assert exits == []


def test_the_core_reads_no_clock():
    """The instant comes in as an argument; the import contracts keep out `time`, but `datetime` is also a value."""
    clocks = found(
        lambda name, node: (
            name.startswith("uvcall/core/")
            and isinstance(node, ast.Call)
            and dotted(node.func).split(".")[-1] in {"now", "utcnow", "today"}
        )
    )
    assert clocks == []


def test_a_command_knows_no_other_command():
    """What two commands share has a module of its own."""
    from uvcall.cli.app import COMMANDS
    from uvcall.cli.app import tree as whole

    def callbacks(command):
        if hasattr(command, "commands"):
            return set().union(*(callbacks(sub) for sub in command.commands.values()))
        return {command.callback.__module__}

    commands = callbacks(typer.main.get_command(whole(*COMMANDS)))
    assert len(commands) > 2
    for module in commands:
        tree = TREES[module.replace(".", "/") + ".py"]
        known = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (*imported(node), *(f"{imported(node)[0]}.{alias.name}" for alias in node.names))
        }
        assert known & (commands - {module}) == set(), module


# What is left behind


def written():
    """Return every text file of the project by name."""
    places = ("uvcall", "tests", "completions", ".ci", "README.md", "pyproject.toml", ".gitignore")
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts and file.suffix not in {".wav", ".pyc", ".lock"}:
                yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "word",
    [
        # Work that was put off is an issue, not a note. Brackets keep this list from finding itself.
        r"\b[T]ODO\b", r"\b[F]IXME\b", r"\b[X]XX\b", r"raise [N]otImplementedError", r"pragma: [n]o cover",
        # Nobody else has this machine's directories.
        r"(?<![\w./])/(?:[r]oot|[w]ork|[h]ome/\w+|[U]sers/\w+|[o]pt)/",
        # Where packages come from is the user's own affair.
        r"[i]ndex-url", r"[f]ind-links",
    ],
)  # fmt: skip
def test_nothing_is_left_behind(word):
    assert [name for name, text in written() if re.search(word, text)] == []


def test_a_silenced_warning_says_why():
    """A `noqa` names its rule and a `type: ignore` its error, and both a reason."""
    mark = re.compile(r"#\s*(noqa|type:\s*ignore)")
    reason = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\])\s+(-|#)\s*\w")
    silent = [
        f"{name}:{number}"
        for name, text in written()
        if name.startswith("uvcall/")
        for number, line in enumerate(text.splitlines(), start=1)
        if mark.search(line) and not reason.search(line)
    ]
    assert silent == []
