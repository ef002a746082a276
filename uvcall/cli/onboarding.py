"""What `config init` asks for, where each value is found, and the checks that prove it works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from uvcall.core.carrier import Provider
from uvcall.core.secret import Secret
from uvcall.core.setting_kinds import KINDS, SecretError
from uvcall.core.settings import Key, Settings, require_key, resolve
from uvcall.errors import AuthError, UsageError, UvcallError

if TYPE_CHECKING:
    from uvcall.cli.context import Context


class Ask(NamedTuple):
    """A question: the setting, where its value is found, and whether an empty answer skips it."""

    name: str
    where: str
    optional: bool = False


ULTRAVOX: Final = (Ask("ultravox.api_key", "https://app.ultravox.ai → Settings → API Keys → Generate New Key"),)

CARRIERS: Final[Mapping[Provider, tuple[Ask, ...]]] = {
    Provider.TELNYX: (
        Ask("telnyx.api_key", "https://portal.telnyx.com → Account → Keys & Credentials → API Keys"),
        Ask(
            "telnyx.connection_id",
            "https://portal.telnyx.com → Voice → Programmable Voice → your Voice API application → its ID"
            " (it needs an outbound voice profile)",
        ),
        Ask("telnyx.from", "https://portal.telnyx.com → Numbers → My Numbers; the number must be that application's"),
        Ask(
            "telnyx.public_key",
            "https://portal.telnyx.com → Account → Keys & Credentials → Public Key; only serve-inbound needs it",
            optional=True,
        ),
    ),
    Provider.TWILIO: (
        Ask("twilio.account_sid", "https://console.twilio.com → Account Dashboard → Account Info → Account SID"),
        Ask("twilio.auth_token", "https://console.twilio.com → Account Dashboard → Account Info → Auth Token"),
        Ask("twilio.from", "https://console.twilio.com → Phone Numbers → Manage → Active numbers"),
    ),
    Provider.PLIVO: (
        Ask("plivo.auth_id", "https://console.plivo.com → top of the home page → Auth ID"),
        Ask("plivo.auth_token", "https://console.plivo.com → top of the home page → Auth Token"),
        Ask("plivo.from", "https://console.plivo.com → Phone Numbers → Your Numbers"),
        Ask(
            "plivo.answer_url",
            "the https address of a tunnel or proxy that leads to port 8089 of this machine: Plivo fetches each"
            " call's XML there; not needed with dial --via ultravox",
            optional=True,
        ),
    ),
}


def typed(key: Key, text: object) -> object:
    """Return the value by its kind, for an answer or argument of the user.

    Raises:
        UsageError: It is not of the setting's kind; AuthError for a malformed secret. Neither shows it.
    """
    try:
        return KINDS[key.kind](text, key)
    except SecretError as error:
        raise AuthError(f"{key.name} {error}", hint="nothing was changed") from error
    except ValueError as error:
        raise UsageError(f"{key.name}: {error}", hint="nothing was changed") from error


def toml_value(key: Key, value: object) -> object:
    """Return a typed value as the file should hold it; secrets are not for this."""
    from uvcall.core.duration import format_duration

    if key.kind == "duration" and isinstance(value, float):
        return format_duration(value)
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Finding:
    """What a vendor said to the user's credentials."""

    peer: str
    detail: str
    error: UvcallError | None = None


def questions(provider: Provider) -> Iterable[Ask]:
    """Return what has to be asked for a carrier, in order."""
    return (*ULTRAVOX, *CARRIERS[provider])


def check_all(context: Context, settings: Settings, providers: Iterable[Provider]) -> list[Finding]:
    """Prove the credentials by the cheapest read at Ultravox and at each carrier. Places nothing."""
    peers: list[tuple[str, Provider | None]] = [("ultravox", None), *((each.value, each) for each in providers)]
    return [_finding(context, settings, peer, provider) for peer, provider in peers]


def _finding(context: Context, settings: Settings, peer: str, provider: Provider | None) -> Finding:
    try:
        said = _ultravox(context, settings) if provider is None else _carrier(context, settings, provider)
    except UvcallError as error:
        return Finding(peer, error.message, error)
    return Finding(peer, said)


def _ultravox(context: Context, settings: Settings) -> str:
    known = context.ultravox(settings).account()
    cap = known.allowed_concurrent_calls
    return ", ".join(filter(None, (known.name, known.tier, f"{cap} calls at once" if cap else "")))


def _carrier(context: Context, settings: Settings, provider: Provider) -> str:
    line = context.line(settings, provider)
    line.open()
    said = line.module.check(line.client, line.account)
    settings.require(f"{provider}.from", "the number that callees see")
    return said


def tell(context: Context, findings: Sequence[Finding]) -> None:
    """Say what the vendors said, one line each."""
    if context.out.as_json:
        context.out.json([_as_json(finding) for finding in findings])
        return
    for finding in findings:
        context.out.result(f"{finding.peer}: {'failed: ' if finding.error else 'ok: '}{finding.detail}")
        if finding.error and finding.error.hint:
            context.out.say(f"  mend: {finding.error.hint}")


def _as_json(finding: Finding) -> Mapping[str, Any]:
    error = finding.error
    failure = {"code": error.code, "message": error.message, "hint": error.hint} if error else None
    return {"peer": finding.peer, "ok": error is None, "detail": None if error else finding.detail, "error": failure}


def run_init(context: Context, profile: str | None, provider: Provider | None, *, check: bool, keyring: bool) -> int:
    """Ask, check, write: nothing is written unless everything is right."""
    from uvcall.cli import configfile

    # A profile that is being made is not in the file yet.
    file = configfile.read(context.config_path)
    known = file.get("profiles", {})
    base = {**file, "profiles": {**known, profile: known.get(profile, {})}} if profile else file
    before = resolve(env=context.env, file=base, profile=profile, vault=configfile.vault)
    context.out.secrets = before.secrets()
    chosen = provider or _ask_provider(context, _current(before, "provider"))
    asks = tuple(questions(chosen))
    answers: dict[str, object] = {"provider": chosen.value}
    for number, ask in enumerate(asks, start=1):
        answer = _answer(context, ask, _current(before, ask.name), f"{number}/{len(asks)}")
        answers |= {} if answer is None else {ask.name: answer}
    after = resolve(flags=answers, env=context.env, file=base, profile=profile, vault=configfile.vault)
    context.out.secrets = (*after.secrets(), *(v.reveal() for v in answers.values() if isinstance(v, Secret)))
    if check:
        findings = check_all(context, after, [chosen])
        tell(context, findings)
        broken = next((finding.error for finding in findings if finding.error), None)
        if broken:
            context.out.warn("nothing was written")
            return broken.exit_code
    stored: dict[str, object] = {}
    for name, value in answers.items():
        if not isinstance(value, Secret):
            stored[name] = toml_value(require_key(name), value)
        elif keyring:
            stored[name] = configfile.store(context.config_path, name, value, profile=profile)
        else:
            stored[name] = value.reveal()
    configfile.change(context.config_path, stored, profile=profile)
    context.out.say(f"written to {context.config_path}; try: uvcall dial +1… --dry-run")
    if context.out.as_json and not check:
        context.out.json({"path": str(context.config_path), "provider": chosen.value})
    return 0


def _ask_provider(context: Context, current: str) -> Provider:
    names = ", ".join(Provider)
    while True:
        context.out.ask(f"Which carrier? {names}{f' [{current}]' if current else ''}")
        text = _line(context, "provider").strip().lower() or current
        if text in set(Provider):
            return Provider(text)
        _again(context, UsageError(f"provider: {text[:40]!r} is not one of {names}", hint="nothing was changed"))


def _current(settings: Settings, name: str) -> str:
    """Return what is set now, fit to be shown; empty when nothing is, or nothing that can be used."""
    try:
        return settings.text(name)
    except UvcallError:
        return ""


def _answer(context: Context, ask: Ask, current: str, place: str) -> object:
    """Ask for one value until it is right; None keeps what is set now, wherever that is."""
    key = require_key(ask.name)
    note = f" [{current}]" if current else " (optional)" if ask.optional else ""
    while True:
        context.out.ask(f"{place} {key.help}{note}")
        context.out.ask(f"    {ask.where}")
        text = (read_secret(context, key) if key.secret else _line(context, key.name)).strip()
        if not text and (current or ask.optional):
            return None
        try:
            return typed(key, text) if text else _needed(key)
        except (UsageError, AuthError) as error:
            _again(context, error)


def _needed(key: Key) -> NoReturn:
    raise UsageError(f"{key.name} is needed", hint="nothing was changed")


def _again(context: Context, error: UvcallError) -> None:
    """Complain and let the user try again; where nobody sits at a terminal, that is the end.

    Raises:
        UvcallError: The error itself, without a terminal.
    """
    if not context.stdin.isatty():
        raise error
    context.out.warn(error.message)


def _line(context: Context, name: str) -> str:
    try:
        line = context.stdin.readline(4096)
    except (OSError, ValueError) as error:
        raise UsageError("stdin cannot be read", hint="is it closed, or no text? one line for each question") from error
    if not line:
        raise UsageError(f"stdin ended before the answer for {name}", hint="one line for each question")
    return line.rstrip("\r\n")


def read_secret(context: Context, key: Key) -> str:
    """Read a secret: from the terminal without echo, else as one line of stdin.

    Raises:
        UsageError: There is none.
    """
    if not context.stdin.isatty():
        return _line(context, key.name)
    from getpass import getpass

    try:
        return getpass(f"{key.name} (not shown): ")
    except EOFError:
        raise UsageError(f"no answer for {key.name}", hint="nothing was changed") from None
