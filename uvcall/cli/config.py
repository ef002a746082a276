"""`uvcall config`: look at the settings, change them, and prove that they work."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from uvcall.cli import options as opt
from uvcall.cli.context import Context, configured
from uvcall.core.carrier import Provider
from uvcall.core.secret import Secret
from uvcall.core.settings import UNSET, Key, redacted, require_key
from uvcall.errors import ConfigError, UsageError

#: Command → the module that holds it, what to register there, and what the help says of it.
COMMANDS: Final = {
    "init": (
        __name__,
        "init",
        (
            "Ask for what a carrier needs, say where to find it, check it, and write it down."
            "\n\nWithout a terminal, each line of stdin is one answer; an empty one keeps what is set."
        ),
    ),
    "set": (__name__, "set_", "Set a setting in the file, or in the profile of --profile."),
    "get": (__name__, "get", "Print a setting's value; a secret only as set (…last4)."),
    "unset": (__name__, "unset", "Remove a setting from the file, or from the profile of --profile."),
    "list": (__name__, "list_", "Show every setting with its value and where that came from."),
    "path": (__name__, "path", "Print where the configuration file is."),
    "check": (__name__, "check", "Try the credentials at Ultravox and the carriers; no call is placed."),
    "agents": ("uvcall.cli.catalog", "agents", "List the account's agents, for --agent."),
    "voices": ("uvcall.cli.catalog", "voices", "List the voices, for --voice."),
    "models": ("uvcall.cli.catalog", "models", "List the models, for --model."),
}

KeyName = Annotated[str, typer.Argument(metavar="KEY", help="Setting, such as telnyx.api_key.", show_default=False)]
NoKeyring = Annotated[
    bool, typer.Option("--no-keyring", help="Keep secrets in the file (0600), not in the system's keyring.")
]
_PROFILE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def init(
    ctx: typer.Context,
    provider: opt.ProviderOption = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Try the credentials at the vendors before writing.")
    ] = True,
    no_keyring: NoKeyring = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Ask for what a carrier needs, check it, and write it down."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    from uvcall.cli.onboarding import run_init

    return run_init(context, _profile(context), provider, check=check, keyring=not no_keyring)


def set_(
    ctx: typer.Context,
    key: KeyName,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="[VALUE|-]", help="- reads stdin; a secret is asked for without it.", show_default=False
        ),
    ] = None,
    no_keyring: NoKeyring = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Set a setting in the file, or in the profile of --profile."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_set(context, key, value, keyring=not no_keyring)


def get(
    ctx: typer.Context,
    key: KeyName,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Print a setting's value; a secret only as set (…last4)."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_get(context, key)


def unset(
    ctx: typer.Context,
    key: KeyName,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Remove a setting from the file, or from the profile of --profile."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_unset(context, key)


def list_(
    ctx: typer.Context,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show every setting with its value and where that came from."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_list(context)


def path(
    ctx: typer.Context,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Print where the configuration file is."""
    context: Context = ctx.obj
    out = context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    where = context.config_path
    if out.as_json:
        out.json({"path": str(where), "exists": where.exists()})
    else:
        out.result(str(where))
    return 0


def check(
    ctx: typer.Context,
    provider: opt.ProviderOption = None,
    sandbox: opt.Sandbox = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Try the credentials at Ultravox and the carriers; no call is placed."""
    context: Context = ctx.obj
    context.talk(as_json=as_json, quiet=quiet, verbose=verbose)
    return run_check(context, provider, sandbox=sandbox)


# ---- what they do


def run_set(context: Context, name: str, given: str | None, *, keyring: bool) -> int:
    """Write one setting."""
    from uvcall.cli import configfile, onboarding

    key = require_key(name)
    text = _value(context, key, given)
    value = onboarding.typed(key, text)
    profile = _profile(context)
    where = f"{context.config_path}" + (f", profile {profile}" if profile else "")
    stored: object = onboarding.toml_value(key, value)
    if isinstance(value, Secret):
        context.out.secrets = (*context.out.secrets, value.reveal())
        stored = configfile.store(context.config_path, name, value, profile=profile) if keyring else value.reveal()
        where = "the keyring" if stored != value.reveal() else where
    configfile.change(context.config_path, {name: stored}, profile=profile)
    context.out.say(f"{name} is set in {where}")
    winner = next((variable for variable in (key.env, *key.vendor_env) if context.env.get(variable)), None)
    if winner:
        context.out.warn(f"{winner} is set in the environment and wins over it")
    if context.out.as_json:
        context.out.json({"key": name, "value": _shown(value), "where": where})
    return 0


def run_get(context: Context, name: str) -> int:
    """Print one setting."""
    require_key(name)
    settings = context.settings()
    value = settings.require(name)
    if context.out.as_json:
        context.out.json({"key": name, "value": _shown(value), "source": settings.source(name)})
    else:
        context.out.result(_text(name, value))
    return 0


def run_unset(context: Context, name: str) -> int:
    """Remove one setting from the file, and its secret from the keyring."""
    from uvcall.cli import configfile

    require_key(name)
    profile = _profile(context)
    old = configfile.held(configfile.read(context.config_path), name, profile)
    if old is not None:
        configfile.change(context.config_path, {name: None}, profile=profile)
        configfile.forget(old)
    context.out.say(f"{name} is {'no longer' if old is not None else 'not'} set in {context.config_path}")
    if context.out.as_json:
        context.out.json({"key": name, "removed": old is not None})
    return 0


def run_list(context: Context) -> int:
    """Show all settings."""
    rows = redacted(context.settings())
    if context.out.as_json:
        context.out.json(rows)
        return 0
    widest = max(len(row["key"]) for row in rows)
    for row in rows:
        if "error" in row:
            context.out.result(f"{row['key']:<{widest}}  invalid: {row['error']}")
        elif row["source"] == UNSET:
            context.out.result(f"{row['key']:<{widest}}  -")
        else:
            context.out.result(f"{row['key']:<{widest}}  {_text(row['key'], row['value'])}  ({row['source']})")
    return 0


def run_check(context: Context, provider: Provider | None, *, sandbox: bool) -> int:
    """Try the credentials; the exit code is the first failure's."""
    from uvcall.cli import onboarding

    if sandbox:
        from uvcall.sandbox.world import Options

        context.start_sandbox(Options())
    settings = context.settings({"provider": provider.value if provider else None})
    providers = [provider] if provider else [each for each in Provider if configured(settings, each)]
    findings = onboarding.check_all(context, settings, providers)
    if not providers:
        missing = ConfigError("no carrier is configured", hint="run: uvcall config init")
        findings.append(onboarding.Finding("carrier", missing.message, missing))
    onboarding.tell(context, findings)
    return next((finding.error.exit_code for finding in findings if finding.error), 0)


def _value(context: Context, key: Key, given: str | None) -> str:
    """Return the value's text from argv, stdin, or, for a secret, the terminal.

    Raises:
        UsageError: A secret on the command line, or nothing at all.
    """
    from uvcall.cli import onboarding
    from uvcall.cli.files import read_text

    if given is not None and given != "-" and key.secret:
        raise UsageError(
            f"a secret does not go on the command line, where others and your shell's history can read it: {key.name}",
            hint=f"uvcall config set {key.name}, or pipe it: … | uvcall config set {key.name} -",
        )
    if given == "-":
        text = read_text("-", key.name, stdin=context.stdin, limit=256 * 1024).rstrip("\r\n")
    elif given is not None:
        text = given
    elif key.secret and context.stdin.isatty():
        text = onboarding.read_secret(context, key)
    else:
        way = "pipe it in" if key.secret else "give a VALUE"
        raise UsageError(
            f"no value for {key.name}", hint=f"{way}: uvcall config set {key.name} {'-' if key.secret else 'VALUE'}"
        )
    text = text.strip() if key.secret else text
    if not text:
        raise UsageError(f"the value for {key.name} is empty", hint=f"uvcall config unset {key.name} removes it")
    return text


def _profile(context: Context) -> str | None:
    """Return the profile to write to.

    Raises:
        UsageError: Its name is not one.
    """
    if context.profile is not None and not _PROFILE.fullmatch(context.profile):
        raise UsageError(
            "--profile: a name has up to 64 ASCII letters, digits, dashes and underscores",
            hint="for example --profile staging",
        )
    return context.profile


def _shown(value: object) -> object:
    """Return a value for JSON, secrets hidden."""
    return str(value) if isinstance(value, Secret) else list(value) if isinstance(value, tuple) else value


def _text(name: str, value: object) -> str:
    """Return a value for people and scripts, secrets hidden."""
    from uvcall.core.duration import format_duration

    if require_key(name).kind == "duration" and isinstance(value, float):
        return format_duration(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, (tuple, list)) else str(value)
