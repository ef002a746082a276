"""`--configure-number` and `--restore`: which numbers, at which carrier, and what is said about them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from uvcall.calls import pointing
from uvcall.calls.pointing import Back, Led, NumberLine
from uvcall.cli.context import NEEDS, Context, account
from uvcall.cli.number_file import NAME, NumberFile
from uvcall.core.carrier import Provider
from uvcall.core.number import Here
from uvcall.core.phone import mask, require_e164
from uvcall.core.secret import is_loopback
from uvcall.core.settings import Settings
from uvcall.errors import ConfigError, LocalError, UsageError, UvcallError

_OPTION: Final = "--configure-number"
_RESTORE: Final = "run: uvcall serve-inbound --restore"
#: For numbers no application is needed that calls go out from.
_NEEDS: Final = {**NEEDS, Provider.TELNYX: ("telnyx.api_key",)}


class Wanted(NamedTuple):
    """A number to lead here, and its carrier when the user has said it."""

    number: str
    provider: Provider | None


def wanted(texts: Iterable[str], settings: Settings, providers: Sequence[Provider]) -> tuple[Wanted, ...]:
    """Read the numbers that are to lead here.

    Raises:
        UsageError: One is none, stands there twice, or would not be served.
        ConfigError: The carriers could not reach this machine.
    """
    found: dict[str, Wanted] = {}
    served = settings.get("server.numbers")
    for text in texts:
        name, mark, rest = text.partition(":")
        number = require_e164(rest if mark else text, _OPTION)
        if mark and name not in set(providers):
            raise UsageError(
                f"{_OPTION}: {name[:40]!r} is no carrier that is served", hint=f"one of: {', '.join(providers)}"
            )
        if number in found:
            raise UsageError(f"{_OPTION} names {number} twice", hint="name each number once")
        if served and number not in served:
            raise UsageError(
                f"{_OPTION} {number}: its calls would be turned away",
                hint=f"add --number {number}: only those numbers are served",
            )
        found[number] = Wanted(number, Provider(name) if mark else None)
    far = [one for one in providers if not is_loopback(settings.text(f"{one}.base_url"))]
    if found and far and settings.get("server.public_url") is None:
        settings.require("server.public_url", f"{far[0]} must know where to send the calls of {next(iter(found))}")
    return tuple(found.values())


def line_of(settings: Settings, provider: Provider) -> NumberLine:
    """Return a carrier's numbers.

    Raises:
        ConfigError, AuthError: A setting that is needed is missing.
    """
    from uvcall.carriers import carrier
    from uvcall.carriers.numbers import numbers

    return NumberLine(provider, numbers(provider), carrier(provider), account(settings, provider, _NEEDS[provider]))


@dataclass(slots=True)
class Leading:
    """The numbers of one run of `serve-inbound`: led here when it listens, and back before it leaves.

    `trouble` is the first error of leading back.
    """

    context: Context
    settings: Settings
    wanted: Sequence[Wanted]
    base: str
    memory: NumberFile
    providers: Sequence[Provider]
    trouble: UvcallError | None = None
    _lines: dict[Provider, NumberLine] = field(default_factory=dict)
    _led: list[tuple[NumberLine, str]] = field(default_factory=list)

    def begin(self) -> Mapping[str, Any]:
        """Lead the numbers here; when one cannot be, all are led back.

        Raises:
            UvcallError: Why not.
        """
        try:
            for one in self.wanted:
                line = self._line(one)
                self._led.append((line, one.number))
                here = Here(
                    f"{self.base}/{line.provider.value}",
                    f"{self.base}/{line.provider.value}/status",
                    f"uvcall-{one.number.lstrip('+')}-{secrets.token_hex(3)}",
                )
                pointing.lead(self.memory, line, one.number, here, pause=time.sleep, foreign=self._foreign)
                self._tell(line.provider, one.number, "leads here")
        except UvcallError:
            self.end()
            raise
        return {"numbers": {number: line.provider.value for line, number in self._led}}

    def end(self) -> None:
        """Lead back what leads here. Never raises."""
        led, self._led = self._led, []
        for line, number in led:
            try:
                for one in self.memory.load():
                    if (one.provider, one.number, one.base_url) == (line.provider, number, line.account.base_url):
                        back = pointing.put_back(self.memory, line, one, pause=time.sleep)
                        self._tell(line.provider, number, back.value)
                        if back is Back.FOREIGN:
                            self.context.out.warn(_foreign_words(one))
            except UvcallError as error:
                failure = _still(error, number)
                self.context.out.warn(f"{failure.message}; {_RESTORE}")
                self.trouble = self.trouble or failure
        for one_line in self._lines.values():
            one_line.close()
        self._lines.clear()

    def _line(self, one: Wanted) -> NumberLine:
        """Return the carrier of a number.

        Raises:
            ConfigError: None of them has it.
            UsageError: More than one has it.
        """
        if one.provider is not None:
            return self._opened(one.provider)
        if len(self.providers) == 1:
            return self._opened(self.providers[0])
        named = [name for name in self.providers if self.settings.get(f"{name}.from") == one.number]
        if len(named) == 1:
            return self._opened(named[0])
        able = [name for name in self.providers if all(need in self.settings.raw for need in _NEEDS[name])]
        owners = []
        for line in map(self._opened, able):
            try:
                line.read(one.number)
            except ConfigError:
                continue
            owners.append(line)
        if len(owners) == 1:
            return owners[0]
        if owners:
            raise UsageError(
                f"{_OPTION} {one.number}: several carriers have it",
                hint=f"say which: {_OPTION} {owners[0].provider.value}:{one.number}",
            )
        raise ConfigError(
            f"no carrier that is served has the number {one.number}",
            hint=f"check it, or name its carrier: {_OPTION} {self.providers[0].value}:{one.number}",
        )

    def _opened(self, provider: Provider) -> NumberLine:
        if provider not in self._lines:
            self._lines[provider] = line_of(self.settings, provider)
        return self._lines[provider]

    def _foreign(self, led: Led) -> None:
        self.context.out.warn(
            f"{led.number} was changed by somebody else since an earlier run; that is what it will be put back to"
        )

    def _tell(self, provider: Provider, number: str, what: str) -> None:
        import json

        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        facts = {"at": stamp, "event": "number", "carrier": provider.value, "called": mask(number), "result": what}
        self.context.out.say(json.dumps(facts))


def leading(
    context: Context,
    settings: Settings,
    numbers: Sequence[Wanted],
    base: str,
    directory: Path,
    providers: Sequence[Provider],
) -> Leading:
    """Return the numbers of this run; say which ones an earlier run has left behind.

    Raises:
        LocalError: What is remembered cannot be read, and something is to be added to it.
    """
    memory = NumberFile(directory / NAME)
    mine = {one.number for one in numbers}
    try:
        left = [one.number for one in memory.load() if one.number not in mine]
    except LocalError as error:
        if numbers:
            raise
        context.out.warn(f"{error.message}: {error.hint}")
        left = []
    if left:
        context.out.warn(f"{', '.join(left)} may still lead to an earlier run; {_RESTORE}")
    return Leading(context, settings, numbers, base.rstrip("/"), memory, providers)


def restore(context: Context, settings: Settings, directory: Path) -> int:
    """Lead back every number that an earlier run has left behind; return the exit code: that of the first failure.

    Raises:
        LocalError: What is remembered cannot be read.
    """
    memory = NumberFile(directory / NAME)
    out = context.out
    told: list[dict[str, Any]] = []
    code = 0
    for led in memory.load():
        line: NumberLine | None = None
        said: dict[str, Any] = {"number": led.number, "provider": led.provider.value, "result": "failed"}
        try:
            line = _line_again(settings, led, memory)
            back = pointing.put_back(memory, line, led, pause=time.sleep)
            said["result"] = back.value
            if back is Back.FOREIGN:
                out.warn(_foreign_words(led))
        except UvcallError as error:
            failure = _still(error, led.number)
            code = code or failure.exit_code
            said["error"] = {"code": failure.code, "message": failure.message, "hint": failure.hint}
            out.error(failure.message, failure.hint)
        finally:
            if line is not None:
                line.close()
        told.append(said)
        if not out.as_json and "error" not in said:
            out.result(f"{led.number} ({led.provider.value}): {said['result']}")
    if out.as_json:
        out.json({"numbers": told})
    elif not told:
        out.say("nothing to restore: no number leads here")
    return code


def _line_again(settings: Settings, led: Led, memory: NumberFile) -> NumberLine:
    line = line_of(settings, led.provider)
    if line.account.base_url != led.base_url:
        raise ConfigError(
            f"{led.provider.value}.base_url is {line.account.base_url}, and the number was led here at {led.base_url}",
            hint=f"set it to that for this once; if that was a sandbox and has gone, remove {memory.path}",
        )
    return line


def _still(error: UvcallError, number: str) -> UvcallError:
    error.message = f"{number} may still lead here: {error.message}"
    if error.exit_code == 75:
        error.hint = f"where it led before is kept; {_RESTORE}"
    return error


def _foreign_words(led: Led) -> str:
    return f"{led.number} was changed by somebody else meanwhile, so it is left as it is"
