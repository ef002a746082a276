"""Settings: where values come from, what they may be, and that secrets stay hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.core.duration import format_duration, parse_duration, wire_duration
from uvcall.core.secret import Secret
from uvcall.core.settings import SCHEMA, Settings, flatten, redacted, require_key, resolve
from uvcall.errors import AuthError, ConfigError, UsageError

CONTRACT = [
    "provider",
    "ultravox.api_key",
    "ultravox.base_url",
    "telnyx.api_key",
    "telnyx.public_key",
    "telnyx.connection_id",
    "telnyx.from",
    "telnyx.base_url",
    "telnyx.stream_track",
    "telnyx.codec",
    "telnyx.target_legs",
    "twilio.account_sid",
    "twilio.auth_token",
    "twilio.from",
    "twilio.base_url",
    "plivo.auth_id",
    "plivo.auth_token",
    "plivo.from",
    "plivo.codec",
    "plivo.answer_url",
    "plivo.answer_port",
    "plivo.base_url",
    "call.agent",
    "call.prompt",
    "call.voice",
    "call.model",
    "call.language",
    "call.max_duration",
    "call.ring_timeout",
    "call.first_speaker",
    "call.greeting",
    "call.record",
    "talk.medium",
    "server.public_url",
    "server.host",
    "server.port",
    "server.numbers",
    "server.allow_from",
    "server.deny_from",
    "server.max_concurrent",
    "server.forward_to",
    "server.fallback_say",
    "policy.countries",
    "policy.window",
    "policy.dnc",
]

CANARY = "canary-0123456789-secret"


def test_the_keys_are_the_contracts():
    assert list(SCHEMA) == CONTRACT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("call.max_duration", 600.0),
        ("call.ring_timeout", 35.0),
        ("telnyx.stream_track", "both_tracks"),
        ("telnyx.codec", "L16"),
        ("telnyx.target_legs", "opposite"),
        ("plivo.codec", "L16"),
        ("plivo.answer_port", 8089),
        ("server.host", "127.0.0.1"),
        ("server.port", 8080),
        ("server.max_concurrent", 2),
        ("ultravox.base_url", "https://api.ultravox.ai"),
        ("telnyx.base_url", "https://api.telnyx.com/v2"),
        ("ultravox.api_key", None),
    ],
)
def test_defaults(name, value):
    settings = resolve()
    assert settings.get(name) == value
    assert settings.source(name) == ("unset" if value is None else "default")


@pytest.mark.parametrize("key", SCHEMA.values(), ids=lambda key: key.name)
def test_every_default_is_a_value_of_its_own_kind(key):
    if key.default is not None:
        assert Settings({key.name: (key.default, "file")}).get(key.name) == key.default


SOURCES = ["flag", "own", "vendor", "profile", "file"]


@given(present=st.sets(st.sampled_from(SOURCES)), empty=st.sets(st.sampled_from(SOURCES)))
def test_the_first_source_that_says_something_wins(present, empty):
    def value(source):
        return "" if source in empty else source

    flags = {"telnyx.public_key": value("flag")} if "flag" in present else {"telnyx.public_key": None}
    env = {}
    if "own" in present:
        env["UVCALL_TELNYX_PUBLIC_KEY"] = value("own")
    if "vendor" in present:
        env["TELNYX_PUBLIC_KEY"] = value("vendor")
    file = {"profiles": {"work": {"telnyx": {"public_key": value("profile")} if "profile" in present else {}}}}
    if "file" in present:
        file["telnyx"] = {"public_key": value("file")}
    settings = resolve(flags=flags, env=env, file=file, profile="work")
    expected = next((source for source in SOURCES if source in present - empty), None)
    assert settings.get("telnyx.public_key") == expected
    names = {
        "flag": "--public-key",
        "own": "environment UVCALL_TELNYX_PUBLIC_KEY",
        "vendor": "environment TELNYX_PUBLIC_KEY",
        "profile": "profile work",
        "file": "file",
        None: "unset",
    }
    assert settings.source("telnyx.public_key") == names[expected]


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("ULTRAVOX_API_KEY", "ultravox.api_key"),
        ("TELNYX_API_KEY", "telnyx.api_key"),
        ("TELNYX_PUBLIC_KEY", "telnyx.public_key"),
        ("TWILIO_ACCOUNT_SID", "twilio.account_sid"),
        ("TWILIO_AUTH_TOKEN", "twilio.auth_token"),
        ("PLIVO_AUTH_ID", "plivo.auth_id"),
        ("PLIVO_AUTH_TOKEN", "plivo.auth_token"),
        *((key.env, key.name) for key in SCHEMA.values() if key.secret),
    ],
)
def test_the_vendors_own_variables_work(variable, name):
    value = resolve(env={variable: "abcdefgh12345678"}).get(name)
    assert (value.reveal() if isinstance(value, Secret) else value) == "abcdefgh12345678"


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("call.max_duration", "1h30m", 5400.0),
        ("call.max_duration", 90, 90.0),
        ("call.record", "no", False),
        ("call.record", True, True),
        ("server.port", "0", 0),
        ("server.numbers", "+12025550100, +12025550101", ("+12025550100", "+12025550101")),
        ("server.allow_from", ["+12025550100"], ("+12025550100",)),
        ("policy.countries", "US,DE", ("US", "DE")),
        ("policy.window", "09:00-20:00", "09:00-20:00"),
        ("telnyx.connection_id", 1234567890, "1234567890"),
        ("twilio.base_url", "http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("twilio.base_url", "http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("twilio.base_url", "http://localhost", "http://localhost"),
        ("telnyx.from", "+12025550199", "+12025550199"),
    ],
)
def test_values_have_their_kind(name, given_, value):
    assert resolve(file=_file(name, given_)).get(name) == value


@pytest.mark.parametrize(
    ("name", "given_", "words"),
    [
        ("provider", "telnix", "is not one of telnyx, twilio, plivo"),
        ("call.max_duration", "ten minutes", "write 35s, 10m, 1h30m"),
        ("call.max_duration", "9h", "must be from 10s to 4h"),
        ("call.max_duration", True, "must be a duration"),
        ("call.ring_timeout", "4s", "must be from 5s to 10m"),
        ("call.ring_timeout", "nan", "is not a duration"),
        ("call.ring_timeout", float("nan"), "must be from"),
        ("call.ring_timeout", "-5s", "is not a duration"),
        ("call.record", "perhaps", "true or false"),
        ("server.port", "70000", "must be from 0 to 65535"),
        ("server.port", 8080.5, "whole number"),
        ("server.max_concurrent", 0, "must be from 1"),
        ("telnyx.from", "2025550199", "is not an E.164 number"),
        ("telnyx.from", "+1202555019\uff19", "is not an E.164 number"),
        ("telnyx.from", 12025550199, "text in quotes"),
        ("server.numbers", ["+12025550100", "x"], "'x' is not an E.164 number"),
        ("policy.countries", "usa", "ISO 3166"),
        ("policy.window", "20:00-09:00", "09:00-20:00"),
        ("twilio.account_sid", "AC/../x", "ASCII letters"),
        ("call.prompt", "a\x00b", "NUL"),
        ("twilio.base_url", "http://api.twilio.com", "must begin with https://"),
        ("twilio.base_url", "http://127.0.0.1.evil.example", "must begin with https://"),
        ("twilio.base_url", "http://localhost@evil.example", "user information"),
        ("twilio.base_url", "https://a.example/?x=1", "query"),
        ("twilio.base_url", "ftp://127.0.0.1", "must begin with https://"),
        ("twilio.base_url", "api.twilio.com", "is not a URL"),
        ("twilio.base_url", "https://exa mple.com", "is not a URL"),
        ("twilio.base_url", "https://x:99999", "is not a URL"),
    ],
)
def test_a_wrong_value_is_named_with_its_source_and_right_form(name, given_, words):
    with pytest.raises(ConfigError) as caught:
        resolve(file=_file(name, given_)).get(name)
    assert words in caught.value.message
    assert caught.value.message.startswith(f"{name} (file)")
    assert f"uvcall config set {name} VALUE" in caught.value.hint
    assert SCHEMA[name].env in caught.value.hint


def test_a_broken_value_disturbs_only_those_who_ask():
    settings = resolve(env={"UVCALL_PLIVO_FROM": "x", "UVCALL_TWILIO_FROM": "+12025550199"})
    assert settings.get("twilio.from") == "+12025550199"
    with pytest.raises(ConfigError, match=r"plivo\.from \(environment UVCALL_PLIVO_FROM\)"):
        settings.get("plivo.from")


def test_a_wrong_flag_is_a_wrong_argument():
    with pytest.raises(UsageError, match="--max-duration: must be from 10s to 4h"):
        resolve(flags={"call.max_duration": "9h"}).get("call.max_duration")


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ({"telnix": {"api_key": "x"}}, "did you mean telnyx.api_key?"),
        ({"telnyx": {"apikey": "x"}}, "did you mean telnyx.api_key?"),
        ({"providr": "x"}, "did you mean provider?"),
        ({"zzz": "x"}, "uvcall config list"),
        ({"profiles": {"w": {"telnyx": {"fro": "x"}}}}, "did you mean telnyx.from?"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_at_once(file, hint):
    with pytest.raises(ConfigError) as caught:
        resolve(file=file, profile="w" if "profiles" in file else None)
    assert hint in caught.value.hint


def test_a_section_is_a_table():
    with pytest.raises(ConfigError, match=r"the file: telnyx is a section: write \[telnyx\]"):
        resolve(file={"telnyx": "x"})


def test_profiles():
    with pytest.raises(ConfigError, match="there is no profile wrok") as caught:
        resolve(file={"profiles": {"work": {}}}, profile="wrok")
    assert caught.value.hint == "did you mean work?"
    with pytest.raises(ConfigError, match="profiles is not a table"):
        resolve(file={"profiles": 7})
    with pytest.raises(ConfigError, match=r"telnyx\.api_key is a table"):
        flatten({"telnyx": {"api_key": {"x": 1}}}, "the file")


@pytest.mark.parametrize("variable", ["UVCALL_TELNX_API_KEY", "UVCALL_CALL_VOICES", "UVCALL_PROFIL"])
def test_a_misspelt_variable_is_refused(variable):
    with pytest.raises(ConfigError, match=variable) as caught:
        resolve(env={variable: "x"})
    assert "did you mean UVCALL_" in caught.value.hint


@pytest.mark.parametrize(
    "variable", ["UVCALL_CONFIG", "UVCALL_STATE_DIR", "UVCALL_PROFILE", "UVCALL_ZZ_LIVE", "_UVCALL_COMPLETE", "PATH"]
)
def test_other_variables_are_nobodys_business(variable):
    resolve(env={variable: "x"})


# ---- secrets


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (CANARY + "\n", "line break"),
        (CANARY + "\rX-Evil: 1", "line break"),
        (CANARY + " x", "blank"),
        (CANARY + "é", "not ASCII"),
        (CANARY * 40, "longer than 512"),
        (7, "not a text"),
    ],
)
def test_a_malformed_secret_is_an_auth_error_that_does_not_show_it(secret, words):
    with pytest.raises(AuthError) as caught:
        resolve(file={"telnyx": {"api_key": secret}}).get("telnyx.api_key")
    assert words in caught.value.message
    assert "telnyx.api_key (file)" in caught.value.message
    assert CANARY not in caught.value.message + caught.value.hint


def test_a_missing_credential_is_an_auth_error_and_anything_else_a_config_error():
    settings = resolve()
    for name in ("telnyx.api_key", "twilio.account_sid"):
        with pytest.raises(AuthError, match=rf"{name} is not set \(to dial\)") as caught:
            settings.require(name, "to dial")
        assert caught.value.hint.startswith(f"uvcall config set {name}")
        assert SCHEMA[name].vendor_env[0] in caught.value.hint
    assert "VALUE" not in _hint(settings, "telnyx.api_key"), "a secret never goes on the command line"
    with pytest.raises(ConfigError, match=r"telnyx\.from is not set"):
        settings.require("telnyx.from")


def test_no_secret_is_shown():
    env = {key.env: CANARY for key in SCHEMA.values() if key.secret} | {"UVCALL_PROVIDER": "x" + CANARY[:3]}
    settings = resolve(env=env)
    shown = repr(redacted(settings)) + "".join(settings.text(key.name) for key in SCHEMA.values() if key.secret)
    assert CANARY not in shown
    assert "set (…cret)" in shown
    assert set(settings.secrets()) == {CANARY}
    rows = {row["key"]: row for row in redacted(settings)}
    assert list(rows) == CONTRACT
    assert rows["provider"]["value"] is None
    assert "is not one of" in rows["provider"]["error"]


def test_a_secret_in_the_keyring_is_fetched_when_it_is_asked_for():
    asked = []

    def vault(entry):
        asked.append(entry)
        return {"a/telnyx.api_key": CANARY}.get(entry)

    file = {"telnyx": {"api_key": "keyring:a/telnyx.api_key"}, "plivo": {"auth_token": "keyring:gone"}}
    settings = resolve(file=file, vault=vault)
    assert asked == []
    assert settings.secrets() == ()
    assert settings.get("telnyx.api_key").reveal() == CANARY
    for broken in (settings, resolve(file=file)):
        with pytest.raises(AuthError, match="does not have it"):
            broken.get("plivo.auth_token")
    assert asked == ["a/telnyx.api_key", "gone"]


def test_text_and_items():
    settings = resolve(flags={"call.record": True, "server.numbers": "+12025550100"}, env={"UVCALL_CALL_AGENT": "a1"})
    assert settings.text("call.record") == "true"
    assert settings.text("server.numbers") == "+12025550100"
    assert settings.text("call.prompt") == ""
    items = dict(settings.items())
    assert items["call.agent"] == "a1"
    assert "call.prompt" not in items


def test_require_key():
    assert require_key("call.voice").name == "call.voice"
    with pytest.raises(UsageError, match=r"there is no setting call\.voise") as caught:
        require_key("call.voise")
    assert caught.value.hint == "did you mean call.voice?"
    with pytest.raises(UsageError, match="x1b"):
        require_key("\x1b[2J")


# ---- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("35s", 35), ("10m", 600), ("1h30m", 5400), ("90", 90), ("1.5s", 1.5), ("250ms", 0.25), (" 2m5s ", 125), ("0", 0)],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "5x", "-5s", "5m1h", "\uff110s", "1e3", "nan", "inf", "5 s", "1:30", "0x10"]
)
def test_durations_are_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.integers(0, 10**9) | st.floats(0, 10**6).map(lambda x: round(x, 6)))
def test_a_formatted_duration_reads_back(seconds):
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)
    assert float(wire_duration(seconds).removesuffix("s")) == pytest.approx(seconds)


def _file(name, value):
    section, _, key = name.rpartition(".")
    return {section: {key: value}} if section else {key: value}


def _hint(settings, name):
    with pytest.raises(AuthError) as caught:
        settings.require(name)
    return caught.value.hint
