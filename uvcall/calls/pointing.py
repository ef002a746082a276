"""Numbers are led here while somebody serves, and back afterwards, whatever happens in between.

What a number was before is written down before anything is changed, and goes only when the number is as it was:

    nothing → saved → made (Telnyx, Plivo: an application) → led here → back → unmade → nothing

A process may die after any of these steps. The next one, or `--restore`, looks where the number leads and goes on from
there. A number that leads neither here nor where it was has been changed by somebody else, and is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from uvcall.carriers import Account, Carrier
from uvcall.carriers.numbers import Numbers
from uvcall.core.carrier import Provider
from uvcall.core.number import Here, NumberSetup
from uvcall.errors import ContractBroken

#: A change may take a moment until it is read: how often it is looked for, and how long each time, in seconds.
LOOKS: Final = 6
LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Led:
    """A number that leads here, or is about to: what is written down.

    Attributes:
        base_url: The carrier's API, so that a number of the sandbox is not looked for elsewhere.
        tag: The name of what was made at the carrier for it.
        original: Where it led before.
        ours: Where it leads, or is about to; more than one while it is led from one address of ours to another.
    """

    provider: Provider
    base_url: str
    tag: str
    original: NumberSetup
    ours: tuple[NumberSetup, ...] = ()

    @property
    def number(self) -> str:
        """Return the number."""
        return self.original.number

    def leads_here(self, now: NumberSetup) -> bool:
        """Say whether this is what we have made of it."""
        return any(now.leads_as(one) for one in self.ours)


class Memory(Protocol):
    """What is remembered over the end of a process."""

    def load(self) -> Sequence[Led]:
        """Return the numbers that lead here, as far as anybody knows."""

    def save(self, led: Sequence[Led]) -> None:
        """Write them down; they are safe on the disk when this returns."""


@dataclass(slots=True)
class NumberLine:
    """A carrier's numbers, with the account to act for; connects when first used."""

    provider: Provider
    numbers: Numbers
    carrier: Carrier
    account: Account
    client: Any = None

    def open(self) -> Any:
        """Connect; contacts nobody."""
        if self.client is None:
            self.client = self.carrier.connect(self.account)
        return self.client

    def read(self, number: str) -> NumberSetup:
        """Return where the number leads."""
        return self.numbers.read(self.open(), self.account, number)

    def aim(self, before: NumberSetup, here: Here) -> NumberSetup:
        """Make what leads here."""
        return self.numbers.aim(self.open(), self.account, before, here)

    def write(self, before: NumberSetup, after: NumberSetup) -> None:
        """Change where the number leads."""
        self.numbers.write(self.open(), self.account, before, after)

    def clear(self, tag: str) -> None:
        """Take away what was made."""
        self.numbers.clear(self.open(), self.account, tag)

    def close(self) -> None:
        """Close the connections, if any."""
        if self.client is not None:
            self.carrier.close(self.client)
            self.client = None


class Back(StrEnum):
    """What became of a number that was to be led back."""

    DONE = "put back"
    WAS = "was as before"
    FOREIGN = "left alone"


def lead(
    memory: Memory,
    line: NumberLine,
    number: str,
    here: Here,
    *,
    pause: Callable[[float], None],
    foreign: Callable[[Led], None],
) -> None:
    """Lead a number here.

    Args:
        memory: Where it is written down first.
        line: The number's carrier.
        number: The number.
        here: Where its calls are to go.
        pause: Waits for so many seconds.
        foreign: Is told of what was written down by an earlier run and holds no more, since somebody else has changed
            the number.

    Raises:
        UvcallError: As the carrier answers; `put_back` mends what was done until then.
        ContractBroken: The number does not lead here though the carrier said so.
    """
    now = line.read(number)
    led = next((one for one in memory.load() if _same(one, line, number)), None)
    if led is not None and not now.leads_as(led.original) and not led.leads_here(now):
        foreign(led)
        line.clear(led.tag)
        _drop(memory, led)
        led = None
    if led is None:
        led = Led(line.provider, line.account.base_url, here.tag, now)
        _keep(memory, led)
    # After a crash: what was made goes by the name of that time, and what the number was is what it was then.
    ours = line.aim(led.original, here._replace(tag=led.tag))
    # Until it is written, the number may lead to an earlier address of ours, after that to this one.
    _keep(memory, replace(led, ours=(*(one for one in led.ours if now.leads_as(one) and one != ours), ours)))
    line.write(now, ours)
    _settled(line, ours, pause)


def put_back(memory: Memory, line: NumberLine, led: Led, *, pause: Callable[[float], None]) -> Back:
    """Lead a number back to where it was, unless somebody else has changed it.

    Raises:
        UvcallError: As the carrier answers; what was written down is kept.
        ContractBroken: The number does not lead back though the carrier said so.
    """
    now = line.read(led.number)
    back = Back.WAS
    if not now.leads_as(led.original):
        back = Back.FOREIGN
        if led.leads_here(now):
            line.write(now, led.original)
            _settled(line, led.original, pause)
            back = Back.DONE
    line.clear(led.tag)
    _drop(memory, led)
    return back


def _settled(line: NumberLine, wanted: NumberSetup, pause: Callable[[float], None]) -> None:
    for look in range(LOOKS):
        if look:
            pause(LOOK_S)
        if line.read(wanted.number).leads_as(wanted):
            return
    raise ContractBroken(
        f"{line.provider.value} has taken the change of {wanted.number}, and shows the number as it was, or otherwise",
        hint="look at the number in the carrier's console; uvcall serve-inbound --restore puts it back",
        peer=line.provider.value,
    )


def _same(one: Led, line: NumberLine, number: str) -> bool:
    return (one.provider, one.number, one.base_url) == (line.provider, number, line.account.base_url)


def _keep(memory: Memory, led: Led) -> None:
    memory.save([*_others(memory, led), led])


def _drop(memory: Memory, led: Led) -> None:
    memory.save(_others(memory, led))


def _others(memory: Memory, led: Led) -> list[Led]:
    mark = (led.provider, led.number, led.base_url)
    return [one for one in memory.load() if (one.provider, one.number, one.base_url) != mark]
