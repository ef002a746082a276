"""`uvcall config`: the file, the secrets, the words."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from uvcall.cli.app import run
from uvcall.cli.context import Context
from uvcall.cli.output import Output
from uvcall.core.settings import SCHEMA

SECRET = "canary-KEY-0123456789abcdef"
ROOT = Path(__file__).parents[2]
NO_KEYRING = "keyring.backends.null.Keyring"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def config(tmp_path):
    return tmp_path / "uvcall" / "config.toml"


@pytest.fixture
def uvcall(config, monkeypatch, tmp_path):
    """Run uvcall in this process; returns the exit code, stdout, stderr. No output may ever hold the secret."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", NO_KEYRING)
    if "keyring" in sys.modules:
        import keyring.backends.null

        monkeypatch.setattr("keyring.core._keyring_backend", keyring.backends.null.Keyring())

    def call(*arguments, stdin="", env=None, profile=None):
        out, err = io.StringIO(), io.StringIO()
        environment = {"UVCALL_CONFIG": str(config), "UVCALL_STATE_DIR": str(tmp_path / "state"), **(env or {})}
        source = stdin if isinstance(stdin, io.IOBase) else io.StringIO(stdin)
        context = Context(environment, source, Output(out, err, environment), profile=profile)
        code = run(list(arguments), context)
        assert SECRET not in out.getvalue() + err.getvalue()
        return code, out.getvalue(), err.getvalue()

    return call


def table(config):
    return tomllib.loads(config.read_text(encoding="utf-8"))


# ---- set, get, unset, list, path


def test_set_get_unset(uvcall, config):
    assert uvcall("config", "set", "telnyx.from", "+12025550199")[0] == 0
    assert uvcall("config", "get", "telnyx.from") == (0, "+12025550199\n", "")
    assert table(config) == {"telnyx": {"from": "+12025550199"}}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert [each.name for each in config.parent.iterdir()] == ["config.toml"]
    assert uvcall("config", "unset", "telnyx.from")[0] == 0
    assert table(config).get("telnyx", {}) == {}
    code, out, err = uvcall("config", "unset", "telnyx.from", "--json")
    assert (code, json.loads(out)) == (0, {"key": "telnyx.from", "removed": False})
    assert "is not set" in err


@pytest.mark.parametrize(
    ("key", "value", "stored", "shown"),
    [
        ("call.max_duration", "90", "1m30s", "1m30s"),
        ("server.port", "0", 0, "0"),
        ("call.record", "yes", True, "true"),
        ("server.numbers", "+12025550100,+12025550101", ["+12025550100", "+12025550101"], "+12025550100,+12025550101"),
        ("call.prompt", 'Say "hi"\nto {{name}}', 'Say "hi"\nto {{name}}', 'Say "hi"\nto {{name}}'),
    ],
)
def test_values_are_stored_by_kind(uvcall, config, key, value, stored, shown):
    assert uvcall("config", "set", key, value)[0] == 0
    section, _, name = key.partition(".")
    assert table(config)[section][name] == stored
    assert uvcall("config", "get", key)[1] == shown + "\n"


def test_comments_and_order_stay(uvcall, config):
    config.parent.mkdir()
    config.write_text('# mine\nprovider = "twilio"  # for now\n\n[call]\nvoice = "Mark"\n', encoding="utf-8")
    assert uvcall("config", "set", "provider", "plivo")[0] == 0
    assert uvcall("config", "set", "telnyx.codec", "PCMU")[0] == 0
    text = config.read_text(encoding="utf-8")
    assert text.startswith('# mine\nprovider = "plivo"  # for now\n\n[call]\nvoice = "Mark"\n')
    assert table(config)["telnyx"] == {"codec": "PCMU"}


def test_profiles(uvcall, config):
    assert uvcall("--profile", "work", "config", "set", "telnyx.codec", "PCMU")[0] == 0
    assert table(config) == {"profiles": {"work": {"telnyx": {"codec": "PCMU"}}}}
    code, out, _ = uvcall("--profile", "work", "config", "get", "telnyx.codec", "--json")
    assert json.loads(out) == {"key": "telnyx.codec", "value": "PCMU", "source": "profile work"}
    assert uvcall("config", "get", "telnyx.codec")[1] == "L16\n"
    code, _, err = uvcall("--profile", "wrok", "config", "list")
    assert code == 6
    assert "did you mean work?" in err
    assert uvcall("--profile", "a b", "config", "set", "telnyx.codec", "PCMU")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("set", "telnix.from", "x"), 2, "did you mean telnyx.from?"),
        (("get", "telnyx.form"), 2, "did you mean telnyx.from?"),
        (("unset", "zzz"), 2, "there is no setting zzz"),
        (("set", "telnyx.from", "2025550199"), 2, "not an E.164 number"),
        (("set", "call.max_duration", "20h"), 2, "from 10s to 4h"),
        (("set", "twilio.base_url", "http://example.com"), 2, "https://"),
        (("set", "telnyx.from", ""), 2, "is empty"),
        (("set", "telnyx.from"), 2, "give a VALUE"),
        (("set", "telnyx.api_key"), 2, "pipe it in"),
        (("get", "call.voice"), 6, "call.voice is not set"),
        (("get", "telnyx.api_key"), 4, "telnyx.api_key is not set"),
    ],
)
def test_refusals_change_nothing(uvcall, config, arguments, code, words):
    got, out, err = uvcall("config", *arguments)
    assert (got, out) == (code, "")
    assert words in err
    assert err.startswith("error: ")
    assert "  mend: " in err
    assert not config.exists()


def test_list_shows_sources_and_no_secret(uvcall, config):
    env = {"TELNYX_API_KEY": SECRET, "UVCALL_PLIVO_FROM": "nonsense", "UVCALL_CALL_VOICE": "Mark"}
    code, out, _ = uvcall("config", "list", env=env)
    assert code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert list(lines) == list(SCHEMA)
    assert lines["telnyx.api_key"] == f"set (…{SECRET[-4:]})  (environment TELNYX_API_KEY)"
    assert lines["call.voice"] == "Mark  (environment UVCALL_CALL_VOICE)"
    assert lines["call.max_duration"] == "10m  (default)"
    assert lines["twilio.from"] == "-"
    assert lines["plivo.from"].startswith("invalid: plivo.from (environment UVCALL_PLIVO_FROM)")
    code, out, _ = uvcall("config", "list", "--json", env=env)
    rows = json.loads(out)
    assert [row["key"] for row in rows] == list(SCHEMA)
    assert {"key": "call.voice", "value": "Mark", "source": "environment UVCALL_CALL_VOICE"} in rows


def test_path(uvcall, config):
    assert uvcall("config", "path") == (0, f"{config}\n", "")
    assert json.loads(uvcall("config", "path", "--json")[1]) == {"path": str(config), "exists": False}
    other = config.with_name("other.toml")
    assert uvcall("--config", str(other), "config", "path")[1] == f"{other}\n"


# ---- secrets


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(uvcall, config):
    code, _, err = uvcall("config", "set", "telnyx.api_key", SECRET)
    assert code == 2
    assert "does not go on the command line" in err
    assert not config.exists()


def test_a_secret_comes_from_stdin(uvcall, config):
    code, _, err = uvcall("config", "set", "telnyx.api_key", "-", stdin=SECRET + "\r\n")
    assert code == 0
    assert f"is set in {config}" in err
    assert table(config)["telnyx"]["api_key"] == SECRET
    assert uvcall("config", "get", "telnyx.api_key")[1] == f"set (…{SECRET[-4:]})\n"
    out = uvcall("config", "get", "telnyx.api_key", "--json")[1]
    assert json.loads(out) == {"key": "telnyx.api_key", "value": f"set (…{SECRET[-4:]})", "source": "file"}


def test_a_secret_is_asked_for_without_echo(uvcall, config, monkeypatch):
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or SECRET)
    assert uvcall("config", "set", "ultravox.api_key", stdin=Terminal())[0] == 0
    assert asked == ["ultravox.api_key (not shown): "]
    assert table(config)["ultravox"]["api_key"] == SECRET


@pytest.mark.parametrize(("text", "words"), [(f"{SECRET}\n{SECRET}", "line break"), (f"a {SECRET}", "blank")])
def test_a_malformed_secret_is_an_auth_error(uvcall, config, text, words):
    code, _, err = uvcall("config", "set", "telnyx.api_key", "-", stdin=text)
    assert code == 4
    assert words in err
    assert not config.exists()


def test_a_winning_variable_is_told(uvcall):
    err = uvcall("config", "set", "telnyx.codec", "PCMU", env={"UVCALL_TELNYX_CODEC": "L16"})[2]
    assert "warning: UVCALL_TELNYX_CODEC is set in the environment and wins" in err


def _write(config, mode=0o600):
    config.parent.mkdir(exist_ok=True)
    config.write_text(f'[telnyx]\napi_key = "{SECRET}"\n', encoding="utf-8")
    config.chmod(mode)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_a_secret_that_others_can_reach_is_refused_with_the_chmod_line(uvcall, config, mode):
    _write(config, mode)
    for command in (("list",), ("get", "telnyx.codec"), ("set", "telnyx.codec", "PCMU"), ("unset", "telnyx.codec")):
        code, out, err = uvcall("config", *command)
        assert (code, out) == (4, "")
        assert f"  mend: chmod 600 {config}\n" in err


def test_an_open_file_without_a_secret_is_nobodys_business(uvcall, config):
    config.parent.mkdir()
    config.write_text('[telnyx]\ncodec = "PCMU"\n[profiles.w.telnyx]\napi_key = ""\n', encoding="utf-8")
    config.chmod(0o644)
    assert uvcall("config", "get", "telnyx.codec")[1] == "PCMU\n"


def test_a_secret_in_a_profile_counts(uvcall, config):
    config.parent.mkdir()
    config.write_text(f'[profiles.w.plivo]\nauth_token = "{SECRET}"\n', encoding="utf-8")
    config.chmod(0o644)
    assert uvcall("config", "list")[0] == 4


def test_a_symbolic_link_is_refused_for_secrets_only(uvcall, config):
    _write(config)
    real = config.rename(config.with_name("real.toml"))
    config.symlink_to(real)
    code, _, err = uvcall("config", "list")
    assert code == 4
    assert "symbolic link" in err
    real.write_text('[telnyx]\ncodec = "PCMU"\n', encoding="utf-8")
    assert uvcall("config", "set", "telnyx.codec", "PCMA")[0] == 0
    assert config.is_symlink()
    assert tomllib.loads(real.read_text(encoding="utf-8")) == {"telnyx": {"codec": "PCMA"}}
    assert uvcall("config", "set", "telnyx.api_key", "-", "--no-keyring", stdin=SECRET)[0] == 4
    assert SECRET not in real.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_secret_is_refused(uvcall, config):
    _write(config)
    os.chown(config, 12345, -1)
    code, _, err = uvcall("config", "list")
    assert code == 4
    assert "belongs to another user" in err


# ---- broken files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[telnyx\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1, column 8)"),
        (b'a = "\xff"', "is not UTF-8 text: byte 6"),
        (b"a = " + b"[" * 50_000, "nested too deeply"),
        (b"a = 1\n" * 3, "is not TOML"),
        (b"[server]\nport = " + b"9" * 5000, "holds a number or a date that nothing can hold"),
        (b'[telnix]\napi_key = "x"', "did you mean telnyx.api_key?"),
        (b'[telnyx]\nfrmo = "x"', "did you mean telnyx.from?"),
        (b"# x\n" * 300_000, "is longer than 1,048,576 bytes"),
    ],
)
def test_a_broken_file_is_a_config_error(uvcall, config, content, words):
    config.parent.mkdir()
    config.write_bytes(content)
    code, out, err = uvcall("config", "list")
    assert (code, out) == (6, "")
    assert words in err
    assert len(err.splitlines()) == 2


def test_files_that_are_none(uvcall, config, tmp_path):
    assert uvcall("--config", str(tmp_path / "none.toml"), "config", "list")[0] == 6
    assert uvcall("--config", str(tmp_path), "config", "list")[0] == 6
    assert uvcall("--config", "/dev/zero", "config", "list")[0] == 6
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert uvcall("--config", str(fifo), "config", "list")[0] == 6
    assert uvcall("config", "list")[0] == 0, "a file that nobody named may be absent"


def test_a_misspelt_variable_is_a_config_error(uvcall):
    code, _, err = uvcall("config", "list", env={"UVCALL_TELNX_API_KEY": SECRET})
    assert code == 6
    assert "did you mean UVCALL_TELNYX_API_KEY?" in err


def test_a_directory_that_cannot_be_written_is_a_local_error(uvcall, config):
    config.parent.write_text("a file in the way", encoding="utf-8")
    code, _, err = uvcall("config", "set", "telnyx.codec", "PCMU")
    assert code in {6, 7}
    assert str(config) in err


# ---- the keyring


BACKEND = """
import json, pathlib
from keyring.backend import KeyringBackend

class FileKeyring(KeyringBackend):
    priority = 5
    path = pathlib.Path(__file__).with_name("entries.json")

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, username):
        return self._all().get(service + ":" + username)

    def set_password(self, service, username, password):
        self.path.write_text(json.dumps(self._all() | {service + ":" + username: password}))

    def delete_password(self, service, username):
        entries = self._all()
        del entries[service + ":" + username]
        self.path.write_text(json.dumps(entries))
"""


def test_a_working_keyring_takes_the_secrets(run_uvcall, tmp_path, config):
    pytest.importorskip("keyring", reason="the extra `keyring` is not installed")
    (tmp_path / "filekeyring.py").write_text(textwrap.dedent(BACKEND), encoding="utf-8")
    env = {
        "UVCALL_CONFIG": str(config),
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "PYTHON_KEYRING_BACKEND": "filekeyring.FileKeyring",
    }

    def call(*arguments, stdin="", **more):
        done = run_uvcall(*arguments, stdin=stdin, env={**env, **more})
        assert SECRET not in done.stdout + done.stderr
        return done

    assert "in the keyring" in call("config", "set", "telnyx.api_key", "-", stdin=SECRET).stderr
    assert SECRET not in config.read_text(encoding="utf-8")
    entries = json.loads((tmp_path / "entries.json").read_text(encoding="utf-8"))
    assert list(entries.values()) == [SECRET]
    assert call("config", "get", "telnyx.api_key").stdout == f"set (…{SECRET[-4:]})\n"
    assert call("config", "get", "telnyx.api_key", TELNYX_API_KEY="other-0123456789").stdout == "set (…6789)\n"
    assert call("config", "unset", "telnyx.api_key").code == 0
    assert json.loads((tmp_path / "entries.json").read_text(encoding="utf-8")) == {}
    call("config", "set", "telnyx.api_key", "-", stdin=SECRET)
    (tmp_path / "entries.json").unlink()
    lost = call("config", "get", "telnyx.api_key")
    assert lost.code == 4
    assert "keyring" in lost.stderr


# ---- init


ANSWERS = [SECRET, "KEY0123456789abcdef_x", "1234567890", "+12025550199", ""]


def test_init_asks_in_order_and_writes(uvcall, config):
    code, _, err = uvcall("config", "init", "--provider", "telnyx", "--no-check", stdin="\n".join(ANSWERS) + "\n")
    assert code == 0
    assert table(config) == {
        "provider": "telnyx",
        "ultravox": {"api_key": SECRET},
        "telnyx": {"api_key": ANSWERS[1], "connection_id": "1234567890", "from": "+12025550199"},
    }
    places = [err.index(place) for place in ("app.ultravox.ai", "API Keys", "Voice API application", "My Numbers")]
    assert places == sorted(places)


def test_init_asks_for_the_carrier_and_keeps_what_is_set(uvcall, config):
    env = {"ULTRAVOX_API_KEY": SECRET, "TWILIO_AUTH_TOKEN": SECRET}
    code, _, err = uvcall("config", "init", "--no-check", stdin="twilio\n\nAC0123\n\n+12025550199\n", env=env)
    assert code == 0
    assert table(config) == {"provider": "twilio", "twilio": {"account_sid": "AC0123", "from": "+12025550199"}}
    assert f"[set (…{SECRET[-4:]})]" in err


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["nobody"], "is not one of"),
        (["telnyx", ""], "ultravox.api_key is needed"),
        (["telnyx", SECRET, SECRET, "123", "2025550199"], "not an E.164 number"),
        (["telnyx", SECRET], "stdin ended before the answer for telnyx.api_key"),
    ],
)
def test_init_without_a_terminal_stops_at_the_first_wrong_answer(uvcall, config, lines, words):
    code, _, err = uvcall("config", "init", "--no-check", stdin="\n".join(lines) + "\n")
    assert code == 2
    assert words in err
    assert not config.exists()


def test_init_on_a_terminal_asks_again(uvcall, config, monkeypatch):
    secrets = iter(["a b", SECRET, SECRET])
    monkeypatch.setattr("getpass.getpass", lambda _: next(secrets))
    stdin = Terminal("plvo\nplivo\nMAXX\n2025550199\n+12025550199\n\n")
    code, _, err = uvcall("config", "init", "--no-check", stdin=stdin)
    assert code == 0
    assert "'plvo' is not one of" in err
    assert "holds a blank" in err
    assert "not an E.164 number" in err
    assert table(config)["plivo"] == {"auth_id": "MAXX", "auth_token": SECRET, "from": "+12025550199"}


def test_init_into_a_new_profile(uvcall, config):
    lines = "\n".join(ANSWERS) + "\n"
    arguments = ("--profile", "new", "config", "init", "--provider", "telnyx", "--no-check")
    assert uvcall(*arguments, stdin=lines)[0] == 0
    assert table(config)["profiles"]["new"]["telnyx"]["from"] == "+12025550199"


# ---- check, against the sandbox


def test_check_asks_ultravox_and_every_configured_carrier(run_uvcall, sandbox):
    ran = run_uvcall("config", "check", env=sandbox.ready["env"])
    assert ran.code == 0
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == ["ultravox", "telnyx", "twilio", "plivo"]
    assert all(": ok: " in line for line in ran.stdout.splitlines())
    findings = run_uvcall("config", "check", "--provider", "plivo", "--json", env=sandbox.ready["env"]).json
    assert [(each["peer"], each["ok"]) for each in findings] == [("ultravox", True), ("plivo", True)]
    assert not any(event["type"] in {"call.placed", "call.created"} for event in sandbox.history())


def test_check_in_a_sandbox_of_its_own(run_uvcall):
    ran = run_uvcall("config", "check", "--sandbox", "--provider", "twilio")
    assert ran.code == 0
    assert ran.stdout.startswith("ultravox: ok: ")


@pytest.mark.parametrize(
    ("variable", "peer"),
    [
        ("ULTRAVOX_API_KEY", "ultravox"),
        ("TELNYX_API_KEY", "telnyx"),
        ("TWILIO_AUTH_TOKEN", "twilio"),
        ("PLIVO_AUTH_TOKEN", "plivo"),
    ],
)
def test_check_names_the_one_that_is_wrong(run_uvcall, sandbox, variable, peer):
    env = {**sandbox.ready["env"], variable: SECRET}
    ran = run_uvcall("config", "check", "--json", env=env)
    assert ran.code == 4
    wrong = [each for each in ran.json if not each["ok"]]
    assert [each["peer"] for each in wrong] == [peer]
    assert wrong[0]["error"]["code"] == "auth_error"
    assert SECRET not in ran.stdout + ran.stderr


def test_check_without_anything(run_uvcall):
    ran = run_uvcall("config", "check")
    assert ran.code == 4
    assert "ultravox: failed: ultravox.api_key is not set" in ran.stdout
    assert "carrier: failed: no carrier is configured" in ran.stdout
    assert "uvcall config init" in ran.stderr


def test_check_of_a_peer_that_is_not_there(run_uvcall, sandbox):
    env = {**sandbox.ready["env"], "UVCALL_ULTRAVOX_BASE_URL": "http://127.0.0.1:9"}
    assert run_uvcall("config", "check", "--provider", "twilio", env=env).code == 75


@pytest.mark.parametrize("right", [True, False])
def test_init_writes_only_what_the_vendors_accept(run_uvcall, sandbox, home, right):
    env = {name: value for name, value in sandbox.ready["env"].items() if name.endswith("BASE_URL")}
    known = sandbox.ready["env"]
    answers = [
        known["ULTRAVOX_API_KEY"],
        known["TWILIO_ACCOUNT_SID"],
        known["TWILIO_AUTH_TOKEN"] if right else SECRET,
        known["UVCALL_TWILIO_FROM"],
    ]
    where = home / "made" / "config.toml"
    env["UVCALL_CONFIG"] = str(where)
    ran = run_uvcall("config", "init", "--provider", "twilio", stdin="\n".join(answers) + "\n", env=env)
    assert SECRET not in ran.stdout + ran.stderr
    assert "ultravox: ok: " in ran.stdout
    assert (ran.code, where.exists()) == ((0, True) if right else (4, False))
    if right:
        assert table(where)["twilio"]["auth_token"] == answers[2]
        assert run_uvcall("config", "check", env=env).code == 0
    else:
        assert "nothing was written" in ran.stderr
