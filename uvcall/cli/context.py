"""What a command may need, made when it is first asked for. The only room that reads the environment."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from uvcall.cli.output import Output
from uvcall.core import NOTHING
from uvcall.core.carrier import Provider
from uvcall.core.settings import SCHEMA, Settings, resolve
from uvcall.errors import ConfigError, LocalError, UsageError

if TYPE_CHECKING:
    from uvcall.calls.ports import CarrierLine
    from uvcall.journal import Journal
    from uvcall.sandbox.app import Running
    from uvcall.sandbox.world import Options
    from uvcall.ultravox import Ultravox

#: Sections whose settings lead to a vendor. With `--sandbox` none of them is taken from the user.
_VENDORS: Final = frozenset({"ultravox", "telnyx", "twilio", "plivo"})


@dataclass(slots=True, eq=False, repr=False)
class Context:
    """One run of uvcall.

    Depends on nothing until asked: `settings` reads the file, `ultravox` imports httpx, `line` the carrier's SDK.
    """

    env: Mapping[str, str]
    stdin: TextIO
    out: Output
    config: Path | None = None  #: `--config`
    profile: str | None = None  #: `--profile`, `UVCALL_PROFILE`
    running: Running | None = None  #: the sandbox of `--sandbox`
    _stands_in: Mapping[str, str] = field(default_factory=dict)  #: the settings of a sandbox, by environment variable
    _file: Mapping[str, Any] | None = None
    _closers: list[Callable[[], Any]] = field(default_factory=list)

    def talk(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> Output:
        """Set how this command talks, and return its output."""
        self.out.as_json, self.out.quiet, self.out.verbose = as_json, quiet, verbose
        return self.out

    @property
    def config_path(self) -> Path:
        """Where the configuration file is, whether or not it exists."""
        from uvcall.cli.configfile import default_path
        from uvcall.cli.files import at_home

        if self.config is not None:
            return self.config
        given = self.env.get("UVCALL_CONFIG")
        return at_home(given) if given else default_path()

    @property
    def state_dir(self) -> Path:
        """Where uvcall keeps what it must remember; made, for this user only, when asked for.

        Raises:
            LocalError: It cannot be made.
        """
        given = self.env.get("UVCALL_STATE_DIR")
        if given:
            from uvcall.cli.files import at_home

            path = at_home(given)
        else:
            from platformdirs import user_state_path

            path = user_state_path("uvcall", appauthor=False)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(
                f"the state directory {path} cannot be made: {error.strerror}",
                hint="set UVCALL_STATE_DIR to a directory that you can write to",
            ) from error
        return path

    def settings(self, flags: Mapping[str, object] = NOTHING) -> Settings:
        """Resolve the settings: flag → environment → profile → file → default."""
        env: Mapping[str, str] = self.env
        file = self._read_file()
        if self._stands_in:
            env = {**_without_vendors(env), **self._stands_in}
            file = _strip(file)
        from uvcall.cli.configfile import vault

        settings = resolve(flags=flags, env=env, file=file, profile=self.profile, vault=vault)
        self.out.secrets = settings.secrets()
        return settings

    def provider(self, settings: Settings) -> Provider:
        """Return the carrier to use: the one asked for, else the only one that is configured.

        Raises:
            ConfigError: None is configured; UsageError: several are, and none was named.
        """
        named = settings.get("provider")
        if named:
            return Provider(named)
        ready = [provider for provider in Provider if configured(settings, provider)]
        if len(ready) == 1:
            return ready[0]
        if ready:
            raise UsageError(
                f"which carrier? {', '.join(ready)} are all configured",
                hint=f"add --provider {ready[0]}, or: uvcall config set provider {ready[0]}",
            )
        raise ConfigError(
            "no carrier is configured",
            hint="run: uvcall config init, or add --sandbox to try without an account",
        )

    def ultravox(self, settings: Settings) -> Ultravox:
        """Return the Ultravox client."""
        from uvcall.ultravox import Ultravox

        key = settings.require("ultravox.api_key", "every call needs an agent")
        # Two systems keep proxies elsewhere; on the others the slow way to look for one need not be imported.
        elsewhere = sys.platform in {"darwin", "win32"}
        proxied = elsewhere or any(name.lower().endswith("_proxy") for name in self.env)
        client = Ultravox(key, base_url=settings.text("ultravox.base_url"), proxied=proxied)
        self._closers.append(client.close)
        return client

    def line(self, settings: Settings, provider: Provider) -> CarrierLine:
        """Return the carrier with the user's account; its SDK is imported when it is first used.

        Raises:
            ConfigError: A setting that the carrier needs is missing.
        """
        from uvcall.calls.ports import CarrierLine
        from uvcall.carriers import carrier

        line = CarrierLine(carrier(provider), account(settings, provider))
        self._closers.append(line.close)
        return line

    def journal(self) -> Journal:
        """Return the journal of attempts; the sandbox of this process has one of its own, which goes with it.

        Raises:
            LocalError: It cannot be opened: nobody must be dialed.
        """
        from uvcall.journal import open_journal

        directory = self.state_dir
        if self.running is not None:
            from tempfile import TemporaryDirectory

            scratch = TemporaryDirectory(prefix="uvcall-", ignore_cleanup_errors=True)
            self._closers.append(scratch.cleanup)
            directory = Path(scratch.name)
        journal = open_journal(directory)
        self._closers.append(journal.close)
        return journal

    def start_sandbox(self, options: Options) -> Running:
        """Start the sandbox in this process; `close` ends it."""
        from uvcall.sandbox.app import start

        self.running = start(options)
        self._stands_in = self.running.ready["env"]
        self._closers.append(self.running.close)
        return self.running

    def meet_sandbox(self) -> None:
        """Let the sandbox that runs on this machine stand in for the vendors. The journal is the usual one.

        Raises:
            LocalError: None runs.
        """
        from uvcall.cli.sandbox_place import last_place
        from uvcall.sandbox.credentials import environment

        self._stands_in = environment(last_place(self.state_dir))

    def close(self) -> None:
        """Close what was opened, last first."""
        while self._closers:
            self._closers.pop()()

    def _read_file(self) -> Mapping[str, Any]:
        if self._file is None:
            from uvcall.cli.configfile import read

            self._file = read(self.config_path, must_exist=self.config is not None)
        return self._file


#: The settings that a carrier cannot do without, besides its caller number.
NEEDS: Final[dict[Provider, tuple[str, ...]]] = {
    Provider.TELNYX: ("telnyx.api_key", "telnyx.connection_id"),
    Provider.TWILIO: ("twilio.account_sid", "twilio.auth_token"),
    Provider.PLIVO: ("plivo.auth_id", "plivo.auth_token"),
}


#: What each carrier's webhooks are verified with.
SIGNED_BY: Final[dict[Provider, str]] = {
    Provider.TELNYX: "telnyx.public_key",
    Provider.TWILIO: "twilio.auth_token",
    Provider.PLIVO: "plivo.auth_token",
}


def configured(settings: Settings, provider: Provider) -> bool:
    """Return whether everything is set that the carrier cannot do without."""
    return all(name in settings.raw for name in NEEDS[provider])


def account(settings: Settings, provider: Provider, needs: tuple[str, ...] | None = None) -> Any:
    """Return the carrier's account from the settings; `needs` names what it cannot do without, if not all of `NEEDS`.

    Raises:
        ConfigError: A setting that the carrier needs is missing; AuthError: a credential is.
    """
    from uvcall.carriers import Account

    for name in NEEDS[provider] if needs is None else needs:
        settings.require(name, f"{provider} needs it")
    section = f"{provider}."
    fields = {
        name.removeprefix(section): value if key.secret else str(value)
        for name, key in SCHEMA.items()
        if name.startswith(section) and (value := settings.get(name)) is not None
    }
    return Account(fields=fields, base_url=settings.text(f"{provider}.base_url"))


def from_process() -> Context:
    """Return the context of this process."""
    out = Output(sys.stdout, sys.stderr, os.environ)
    return Context(os.environ, sys.stdin, out, profile=os.environ.get("UVCALL_PROFILE") or None)


@contextlib.contextmanager
def silencing(variable: str) -> Iterator[None]:
    """Have `off` in a variable for a while, unless the user has set it: for a library that reads it when it starts."""
    if variable in os.environ:
        yield
        return
    os.environ[variable] = "off"
    try:
        yield
    finally:
        del os.environ[variable]  # client tools, which are other programs, do not get it


def _without_vendors(env: Mapping[str, str]) -> dict[str, str]:
    ours = {
        variable
        for name, key in SCHEMA.items()
        if name.split(".")[0] in _VENDORS
        for variable in (key.env, *key.vendor_env)
    }
    return {name: value for name, value in env.items() if name not in ours}


def _strip(file: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in file.items() if name not in _VENDORS}
    profiles = kept.get("profiles")
    if isinstance(profiles, Mapping):
        kept["profiles"] = {k: _strip(v) if isinstance(v, Mapping) else v for k, v in profiles.items()}
    return kept
