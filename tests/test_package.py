"""What is installed: locked versions, a wheel with what belongs in it, and one command that CI and people share."""

import email
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import uvcall

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LOCK = (ROOT / "tests" / "requirements.lock").read_text(encoding="utf-8")
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)( ; [^\\]+)? \\$", re.MULTILINE)
COMPLETIONS = {
    "share/bash-completion/completions/uvcall": "uvcall.bash",
    "share/zsh/site-functions/_uvcall": "_uvcall",
    "share/fish/vendor_completions.d/uvcall.fish": "uvcall.fish",
}


#: The page of `talk --web`.
PAGE = ("index.html", "licences.txt", "page.css", "page.js", "ultravox-client.js", "ultravox-client.md")
#: Extras that development and CI do without: sound cards, a faster loop. The tests that need them are skipped there.
UNLOCKED = {"audio", "sandbox-fast"}


def wanted():
    """Return every requirement of the project: what it runs on, and the extras that are locked."""
    extras = [texts for name, texts in PROJECT["optional-dependencies"].items() if name not in UNLOCKED]
    return [Requirement(text) for text in (*PROJECT["dependencies"], *(text for extra in extras for text in extra))]


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_the_lock_has_a_version_that_the_project_allows(requirement):
    pinned = {name: version for name, version, _ in PIN.findall(LOCK)}
    version = pinned[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"lock anew: {requirement} is pinned at {version}"


def test_the_lock_names_only_versions_and_hashes():
    """pip refuses to install what has no hash; an address would be somebody's own registry."""
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    pins = [line for line in lines if PIN.match(line)]
    hashes = [line for line in lines if re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)]
    assert len(pins) + len(hashes) == len(lines)
    for line, following in pairwise(lines):
        if line in pins:
            assert following in hashes, line
    assert len(pins) == len({name for name, _, _ in PIN.findall(LOCK)}), "one version for every Python"


def test_ci_runs_the_readmes_test_command_and_nothing_else():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    *start, command = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert start == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."']
    shown = re.findall(
        r"^```sh\n(.*?)\n```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert command in shown
    assert "--require-hashes" in command
    assert "pytest" in command


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by hatchling itself: no network, no isolated environment."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: it comes with the extra dev")
    out = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(out / done.stdout.split()[-1]) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_the_completions_and_nothing_else(wheel):
    stem = f"uvcall-{uvcall.__version__}"
    code = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "uvcall").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed" or (path.parent.name == "clips" and path.suffix == ".wav")
    } | {f"uvcall/server/page/{name}" for name in PAGE}
    shared = {f"{stem}.data/data/{place}" for place in COMPLETIONS}
    meta = {f"{stem}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    meta.add(f"{stem}.dist-info/licenses/uvcall/server/page/licences.txt")
    assert set(wheel.namelist()) == code | shared | meta


def test_the_wheels_completions_are_the_projects(wheel):
    for place, name in COMPLETIONS.items():
        packed = wheel.read(f"uvcall-{uvcall.__version__}.data/data/{place}")
        assert packed == (ROOT / "completions" / name).read_bytes()


def test_the_wheel_says_what_it_is(wheel):
    stem = f"uvcall-{uvcall.__version__}.dist-info"
    said = email.message_from_bytes(wheel.read(f"{stem}/METADATA"))
    assert said["Name"] == "uvcall"
    assert said["Version"] == uvcall.__version__
    assert said["Summary"] == PROJECT["description"]
    assert set(said["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert said.get_payload().startswith("# uvcall")
    plain = {Requirement(text).name.lower() for text in said.get_all("Requires-Dist") if "extra ==" not in text}
    assert plain == {Requirement(text).name.lower() for text in PROJECT["dependencies"]}
    assert set(said.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert wheel.read(f"{stem}/entry_points.txt").decode().split() == [
        "[console_scripts]", "uvcall", "=", "uvcall.__main__:main",
    ]  # fmt: skip
    assert b"py3-none-any" in wheel.read(f"{stem}/WHEEL")
