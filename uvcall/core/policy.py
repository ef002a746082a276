"""May this number be called? Rules as pure functions of the number and what the user allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from uvcall.core.phone import Facts, facts, mask, require_e164
from uvcall.errors import PolicyRefused, UsageError

#: Types that cost the caller, or whoever is called, more than a call; none of them is a person's ordinary phone.
REFUSED_TYPES: Final = {
    "premium_rate": "a premium-rate number",
    "shared_cost": "a shared-cost number",
    "personal_number": "a personal (follow-me) number, charged like a premium one",
    "pager": "a pager",
    "uan": "a company-wide service number",
    "voicemail": "a voicemail access number",
}

#: Satellite networks and international premium services: https://www.itu.int/pub/T-SP-E.164D
_NO_COUNTRY: Final = re.compile(r"\+(?:870|878|881|882|883|888|979)")

_NOT_DIGITS: Final = re.compile(r"[^0-9]+")
_LONGEST_SHORT_NUMBER: Final = 6
#: North America's 911, and the service codes beside it (211 … 811), in the place of an area code.
_SERVICE_AREA: Final = re.compile(r"\+1[2-9]11[0-9]{7}")
#: 555 is nobody's area code: examples everywhere use it, carriers refuse or fail it.
_FICTIONAL: Final = re.compile(r"\+1555[0-9]{7}")
_ALWAYS_EMERGENCY: Final = frozenset({"000", "08", "110", "111", "112", "118", "119", "911", "988", "995", "999"})


def check_number(
    to: str,
    *,
    from_: str | None = None,
    countries: Collection[str] | None = None,
    what: str = "TO",
) -> tuple[str, ...]:
    """Return what the user should be warned of, one line each.

    Args:
        to: The number to call, as the user gave it.
        from_: The caller number, for reading a national number in the hint.
        countries: ISO 3166 codes of the countries that may be called; None allows every one.
        what: What to call the number in a message.

    Raises:
        PolicyRefused: An emergency or short number, one that costs extra, or one of a country not allowed.
        UsageError: It is not strict E.164, or too long or too short to be anyone's.
    """
    _refuse_short(to, what)
    number = require_e164(to, what, home=from_)
    if from_ is not None and number == from_:
        raise UsageError(f"{what} and the caller number are the same", hint="choose another --from")
    known = facts(number)
    for rule in _REFUSALS:
        reason = rule(number, known)
        if reason:
            raise PolicyRefused(f"{what} {mask(number)} is {reason}; uvcall does not call it", hint=_HINT)
    if known.possible != "possible":
        raise UsageError(
            f"{what} {mask(number)} is no number: {_IMPOSSIBLE.get(known.possible, 'it cannot exist')}",
            hint="check the country code and count the digits",
        )
    if countries is not None:
        _check_country(number, known, countries, what)
    return _warnings(number, known, what)


def _refuse_short(text: str, what: str) -> None:
    digits = _NOT_DIGITS.sub("", text) if text.isascii() else ""
    if not digits or len(digits) > _LONGEST_SHORT_NUMBER or any(char.isalpha() for char in text):
        return
    kind = "an emergency number" if digits in _ALWAYS_EMERGENCY else "an emergency, service or short number"
    raise PolicyRefused(f"{what} {digits} is {kind}; uvcall never calls those", hint=_HINT)


def _emergency(number: str, known: Facts) -> str:
    if _SERVICE_AREA.fullmatch(number):
        return "an emergency or service number with a country code before it"
    if known.emergency:
        return "an emergency number of its country with more digits behind it"
    return "a short number with a country code before it" if known.short and not known.valid else ""


def _type(_: str, known: Facts) -> str:
    return REFUSED_TYPES.get(known.kind, "")


def _stateless(number: str, _: Facts) -> str:
    return "a satellite or international service number" if _NO_COUNTRY.match(number) else ""


_REFUSALS: Final[tuple[Callable[[str, Facts], str], ...]] = (_emergency, _type, _stateless)
_HINT: Final = "call an ordinary landline or mobile number"
_IMPOSSIBLE: Final = {
    "invalid_country": "no country has that code",
    "too_short": "too short for its country",
    "too_long": "too long for its country",
    "invalid_length": "its country has no numbers of that length",
}


def _check_country(number: str, known: Facts, countries: Collection[str], what: str) -> None:
    if known.region in countries:
        return
    where = known.region or "no known country"
    raise PolicyRefused(
        f"{what} {mask(number)} lies in {where}; policy.countries allows {', '.join(sorted(countries))}",
        hint=f"uvcall config set policy.countries {','.join(sorted({*countries, known.region or 'XX'}))}"
        if known.region
        else "uvcall config unset policy.countries",
    )


def _warnings(number: str, known: Facts, what: str) -> tuple[str, ...]:
    if _FICTIONAL.fullmatch(number):
        return (f"{what} {mask(number)} has the area code 555, which is nobody's",)
    if not known.valid:
        return (f"{what} {mask(number)} lies in no range that is known to be in use",)
    return ()
