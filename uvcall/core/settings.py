"""Every setting: its name, where it may come from, and its value with its source.

Flag → environment → profile → file → default. A value is checked when it is asked for, so that a broken
setting of one carrier does not stop a command that has no use for it; a *name* that does not exist is refused
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from uvcall.core import NOTHING
from uvcall.core.secret import Secret
from uvcall.core.setting_kinds import KINDS, Key, SecretError
from uvcall.errors import AuthError, ConfigError, UsageError

__all__ = ["SCHEMA", "SECTIONS", "Key", "Settings", "flatten", "redacted", "require_key", "resolve"]


#: Telnyx's largest `time_limit_secs` is also the longest call that anyone should want an AI to hold.
_FOUR_HOURS: Final = 14_400

_KEYS: Final = (
    Key("provider", "choice", help="carrier to use", choices=("telnyx", "twilio", "plivo")),
    Key("ultravox.api_key", "secret", help="Ultravox API key",
        vendor_env=("ULTRAVOX_API_KEY",), credential=True),
    Key("ultravox.base_url", "url", "https://api.ultravox.ai", "where the Ultravox API is"),
    Key("telnyx.api_key", "secret", help="Telnyx API key", vendor_env=("TELNYX_API_KEY",), credential=True),
    Key("telnyx.public_key", "token", help="key that checks Telnyx's webhooks",
        vendor_env=("TELNYX_PUBLIC_KEY",)),
    Key("telnyx.connection_id", "ident", help="Voice API application (connection) that places the calls"),
    Key("telnyx.from", "phone", help="caller number at Telnyx"),
    Key("telnyx.base_url", "url", "https://api.telnyx.com/v2", "where the Telnyx API is"),
    Key("telnyx.stream_track", "choice", "both_tracks", "which audio Telnyx streams to the agent",
        choices=("both_tracks", "inbound_track")),
    Key("telnyx.codec", "choice", "L16", "codec of the Telnyx stream", choices=("L16", "PCMU", "PCMA")),
    Key("telnyx.target_legs", "choice", "opposite", "which legs hear the agent",
        choices=("opposite", "self", "both")),
    Key("twilio.account_sid", "ident", help="Twilio account SID",
        vendor_env=("TWILIO_ACCOUNT_SID",), credential=True),
    Key("twilio.auth_token", "secret", help="Twilio auth token",
        vendor_env=("TWILIO_AUTH_TOKEN",), credential=True),
    Key("twilio.from", "phone", help="caller number at Twilio"),
    Key("twilio.base_url", "url", "https://api.twilio.com", "where the Twilio API is"),
    Key("plivo.auth_id", "ident", help="Plivo auth ID", vendor_env=("PLIVO_AUTH_ID",), credential=True),
    Key("plivo.auth_token", "secret", help="Plivo auth token",
        vendor_env=("PLIVO_AUTH_TOKEN",), credential=True),
    Key("plivo.from", "phone", help="caller number at Plivo"),
    Key("plivo.codec", "choice", "L16", "codec of the Plivo stream", choices=("L16", "PCMU")),
    Key("plivo.answer_url", "url", help="public URL that reaches the answer port of this machine"),
    Key("plivo.answer_port", "int", 8089, "port on which dial answers Plivo", low=0, high=65_535),
    Key("plivo.base_url", "url", "https://api.plivo.com", "where the Plivo API is"),
    Key("call.agent", "ident", help="Ultravox agent that speaks"),
    Key("call.prompt", help="system prompt, when no agent is set"),
    Key("call.voice", help="voice, by id or name"),
    Key("call.model", help="model, by name"),
    Key("call.language", "ident", help="language hint, BCP 47"),
    Key("call.max_duration", "duration", 600.0, "longest call", low=10, high=_FOUR_HOURS),
    Key("call.ring_timeout", "duration", 35.0, "how long it may ring", low=5, high=600),
    Key("call.first_speaker", "choice", help="who speaks first", choices=("user", "agent")),
    Key("call.greeting", help="what the agent says first, or to a silent callee"),
    Key("call.record", "bool", help="have Ultravox record the call"),
    Key("talk.medium", "choice", "websocket", "how talk reaches the agent", choices=("websocket", "webrtc")),
    Key("server.public_url", "url", help="public URL that reaches serve-inbound"),
    Key("server.host", "ident", "127.0.0.1", "address that serve-inbound listens on"),
    Key("server.port", "int", 8080, "port that serve-inbound listens on", low=0, high=65_535),
    Key("server.numbers", "phones", help="numbers that may be rung"),
    Key("server.allow_from", "phones", help="callers to answer; all others are turned away"),
    Key("server.deny_from", "phones", help="callers to turn away"),
    Key("server.max_concurrent", "int", 2, "calls at the same time", low=1, high=1000),
    Key("server.forward_to", "phone", help="where callers go when no agent can be had"),
    Key("server.fallback_say", help="what callers hear when no agent can be had"),
    Key("policy.countries", "countries", help="countries that may be called, ISO 3166 codes"),
    Key("policy.window", "window", help="hours of the callee's day in which a batch may call, 09:00-20:00"),
    Key("policy.dnc", help="file with numbers never to call, one a line"),
)  # fmt: skip

SCHEMA: Final[Mapping[str, Key]] = {key.name: key for key in _KEYS}
SECTIONS: Final = frozenset(name.split(".")[0] for name in SCHEMA if "." in name)

#: Variables that are ours and are no settings.
_OTHER_VARIABLES: Final = frozenset({"UVCALL_CONFIG", "UVCALL_STATE_DIR", "UVCALL_PROFILE"})

#: In the file, in place of a secret that lies in the operating system's keyring; the entry's name follows.
KEYRING_MARK: Final = "keyring:"

_LONGEST_NAME: Final = 60

#: A value that every setting of the kind takes.
_EXAMPLES: Final[Mapping[str, str]] = {
    "duration": "90s",
    "phone": "+12025550100",
    "phones": "+12025550100,+12025550101",
    "url": "https://example.com",
}

DEFAULT: Final = "default"
UNSET: Final = "unset"


class Settings(NamedTuple):
    """The settings of one run. Values are converted when asked for; `vault` opens the keyring."""

    raw: Mapping[str, tuple[object, str]]  #: name → (value as found, source)
    vault: Callable[[str], str | None] | None = None

    def get(self, name: str) -> Any:
        """Return the value by its kind, or None when it is unset.

        Raises:
            ConfigError: The value is not of its kind; UsageError when a flag gave it, AuthError for a secret.
        """
        key = SCHEMA[name]
        found = self.raw.get(name)
        if found is None:
            return key.default
        value, source = found
        try:
            if key.secret:
                value = self._secret(value)
            return KINDS[key.kind](value, key)
        except SecretError as error:
            raise AuthError(f"{name} ({source}) {error}", hint=_how_to_set(key)) from error
        except ValueError as error:
            if source.startswith("-"):
                raise UsageError(f"{source}: {error}", hint=_how_to_give(key, source)) from error
            raise ConfigError(f"{name} ({source}): {error}", hint=_how_to_set(key)) from error

    def text(self, name: str) -> str:
        """Return the value as one string, empty when unset. A secret stays hidden: ask `get` for it."""
        value = self.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return ",".join(value) if isinstance(value, tuple) else str(value)

    def require(self, name: str, why: str = "") -> Any:
        """Return the value; `why` says what needs it.

        Raises:
            ConfigError: It is unset; AuthError when it is a credential.
        """
        value = self.get(name)
        if value is None:
            key = SCHEMA[name]
            kind = AuthError if key.credential else ConfigError
            raise kind(f"{name} is not set{f' ({why})' if why else ''}", hint=_how_to_set(key))
        return value

    def source(self, name: str) -> str:
        """Return `--flag`, `environment NAME`, `profile NAME`, `file`, `default` or `unset`."""
        found = self.raw.get(name)
        if found is not None:
            return found[1]
        return UNSET if SCHEMA[name].default is None else DEFAULT

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield every setting that has a value."""
        for name in SCHEMA:
            value = self.get(name)
            if value is not None:
                yield name, value

    def secrets(self) -> tuple[str, ...]:
        """Return every secret that is known without opening the keyring, for those who blot them out."""
        found = (self.raw[name][0] for name, key in SCHEMA.items() if key.secret and name in self.raw)
        return tuple(str(value) for value in found if not str(value).startswith(KEYRING_MARK))

    def _secret(self, value: object) -> object:
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str) or not text.startswith(KEYRING_MARK):
            return text
        entry = text.removeprefix(KEYRING_MARK)
        kept = self.vault(entry) if self.vault is not None else None
        if kept is None:
            raise SecretError("is said to lie in the keyring, which does not have it")
        return kept


def resolve(
    *,
    flags: Mapping[str, object] = NOTHING,
    env: Mapping[str, str] = NOTHING,
    file: Mapping[str, object] = NOTHING,
    profile: str | None = None,
    vault: Callable[[str], str | None] | None = None,
) -> Settings:
    """Bring the sources together; an empty string means "not given".

    Args:
        flags: By setting name; None means "not given". The source is shown as `--` and the name's last word.
        env: The environment.
        file: The parsed `config.toml`: one table per section, and `[profiles.NAME]` tables of the same shape.
        profile: The name of the profile in use.
        vault: Returns a keyring entry, or None.

    Raises:
        ConfigError: The file, the profile or the environment names a setting that does not exist.
    """
    base = flatten({name: value for name, value in file.items() if name != "profiles"}, "the file")
    chosen = _profile(file, profile)
    _refuse_misspelt(env)
    raw: dict[str, tuple[object, str]] = {}
    for name, key in SCHEMA.items():
        candidates = (
            (flags.get(name), "--" + name.rpartition(".")[2].replace("_", "-")),
            *((env.get(variable), f"environment {variable}") for variable in (key.env, *key.vendor_env)),
            (chosen.get(name), f"profile {profile}"),
            (base.get(name), "file"),
        )
        for value, source in candidates:
            if value is not None and value != "":
                raw[name] = (value, source)
                break
    return Settings(raw, vault)


def redacted(settings: Settings) -> list[dict[str, Any]]:
    """Return one row per setting, safe to show: `key`, `value`, `source`, and `error` where it is broken."""
    rows: list[dict[str, Any]] = []
    for name, key in SCHEMA.items():
        row: dict[str, Any] = {"key": name, "value": None, "source": settings.source(name)}
        try:
            value = settings.get(name)
        except (ConfigError, AuthError, UsageError) as error:
            row["error"] = error.message
        else:
            row["value"] = str(value) if key.secret and value is not None else value
            row["value"] = list(value) if isinstance(value, tuple) else row["value"]
        rows.append(row)
    return rows


def require_key(name: str) -> Key:
    """Return the setting of that name.

    Raises:
        UsageError: There is none; the hint says which one may have been meant.
    """
    key = SCHEMA.get(name)
    if key is None:
        hint = _did_you_mean(name, SCHEMA) or "uvcall config list shows every setting"
        raise UsageError(f"there is no setting {_short(name)}", hint=hint)
    return key


def flatten(table: Mapping[str, object], where: str) -> dict[str, object]:
    """Return a file's tables as `{"telnyx.api_key": …}`.

    Raises:
        ConfigError: A name is not a setting; `where` says in which file or profile.
    """
    flat: dict[str, object] = {}
    for section, content in table.items():
        if isinstance(content, Mapping):
            flat |= {f"{section}.{name}": value for name, value in content.items()}
        else:
            flat[section] = content
    for name, value in flat.items():
        if name in SECTIONS:
            raise ConfigError(f"{where}: {name} is a section: write [{name}]", hint="uvcall config set writes it right")
        if name not in SCHEMA:
            raise ConfigError(
                f"{where} has a setting {_short(name)}, which does not exist",
                hint=_did_you_mean(name, SCHEMA) or "uvcall config list shows every setting",
            )
        if isinstance(value, Mapping):
            raise ConfigError(f"{where}: {name} is a table, not a value", hint=_how_to_set(SCHEMA[name]))
    return flat


def _profile(file: Mapping[str, object], name: str | None) -> dict[str, object]:
    profiles = file.get("profiles", {})
    if not isinstance(profiles, Mapping):
        raise ConfigError("the file: profiles is not a table", hint="write [profiles.NAME.SECTION] tables")
    if name is None:
        return {}
    table = profiles.get(name)
    if not isinstance(table, Mapping):
        hint = _did_you_mean(name, profiles) or f"uvcall --profile {_short(name)} config set KEY VALUE makes it"
        raise ConfigError(f"there is no profile {_short(name)}", hint=hint)
    return flatten(table, f"profile {_short(name)}")


def _refuse_misspelt(env: Mapping[str, str]) -> None:
    known = {key.env for key in _KEYS}
    for variable in env:
        if not variable.startswith("UVCALL_") or variable in known or variable in _OTHER_VARIABLES:
            continue
        hint = _did_you_mean(variable, [*known, *_OTHER_VARIABLES], cutoff=0.85)
        if hint:
            raise ConfigError(f"the environment variable {_short(variable)} names no setting", hint=hint)


def _did_you_mean(name: str, known: Mapping[str, object] | list[str], *, cutoff: float = 0.6) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name[:80], list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else ""


def _how_to_set(key: Key) -> str:
    value = "" if key.secret else " VALUE"
    variables = " or ".join((key.env, *key.vendor_env))
    return f"uvcall config set {key.name}{value}, or {variables} in the environment"


def _how_to_give(key: Key, source: str) -> str:
    example = key.choices[0] if key.choices else key.default if key.kind == "int" else _EXAMPLES.get(key.kind)
    if example is None:
        return f"without {source}, {key.name} of the environment or the file counts"
    return f"for example {source} {example}"


def _short(name: str) -> str:
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else ascii(name[:_LONGEST_NAME])
