"""Phone numbers: strict E.164, masking, and what is known of a number's region and type."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from uvcall.errors import UsageError
from uvcall.imports import load_phonenumbers

#: ITU-T E.164: a plus sign, then at most fifteen ASCII digits, the first one not zero.
E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")

_FORM: Final = "a number looks like +12025550100: a plus sign, the country code, ASCII digits only"
_PUNCTUATION: Final = r"[\s().\-/·_]+"
_LONGEST_QUOTE: Final = 40
_LONGEST_SHORT_CODE: Final = 6
_NANP: Final = r"\+1([0-9]{3})([0-9]{3})[0-9]{4}"


class Facts(NamedTuple):
    """What the numbering plans of the world say of a number.

    https://github.com/google/libphonenumber
    """

    region: str | None  #: ISO 3166-1 alpha-2; None for satellite and other numbers of no country
    kind: str  #: `mobile`, `fixed_line`, `premium_rate`, …, `unknown`
    valid: bool  #: its range is in use
    possible: str  #: `possible`, `too_short`, `too_long`, `invalid_length`, `local_only`, `invalid_country`
    emergency: bool  #: its national part is, or for a number out of use begins with, an emergency number
    short: bool  #: its national part is a short code of its country


_NOBODYS: Final = Facts(None, "unknown", valid=False, possible="invalid_country", emergency=False, short=False)


def is_e164(text: str) -> bool:
    """Say whether the text is a number in strict E.164 form."""
    return E164.fullmatch(text) is not None


def require_e164(text: str, what: str, *, home: str | None = None) -> str:
    """Return the number, unchanged.

    Args:
        text: What the user gave.
        what: What to call it in the message: `TO`, `--from`, `row 7: to`.
        home: Another number of the user's, in E.164; its country is used to read a national number.

    Raises:
        UsageError: It is not strict E.164; the hint holds the right form when it can be told.
    """
    if is_e164(text):
        return text
    right = suggest(text, home=home)
    raise UsageError(
        f"{what} is not an E.164 number: {_quote(text)}",
        hint=f"did you mean {right}?" if right else _FORM,
    )


def suggest(text: str, *, home: str | None = None) -> str | None:
    """Return the E.164 number that the text most likely means, or None."""
    if len(text) > _LONGEST_QUOTE:
        return None
    plain = _ascii(text)
    plain = re.sub(r"\(0\)", "", plain) if plain.startswith(("+", "00")) else plain
    plain = re.sub(_PUNCTUATION, "", plain)
    if not re.fullmatch(r"\+?[0-9]+", plain):
        return None
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    if not plain.startswith("+"):
        return _national(plain, home)
    return plain if is_e164(plain) else None


def mask(number: str) -> str:
    """Return the number with its last four digits hidden: `+1 202 555 ••••`, `+4420794 ••••`."""
    if not is_e164(number):
        return "••••"
    american = re.fullmatch(_NANP, number)
    return f"+1 {american[1]} {american[2]} ••••" if american else f"{number[:-4]} ••••"


def facts(number: str) -> Facts:
    """Look a strict E.164 number up in the numbering plans. The first look-up loads them."""
    phonenumbers = load_phonenumbers()
    from phonenumbers import PhoneNumberType, ValidationResult, shortnumberinfo

    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return _NOBODYS
    names = {value: name.lower() for name, value in vars(PhoneNumberType).items() if name.isupper()}
    reasons = {value: name.lower() for name, value in vars(ValidationResult).items() if name.isupper()}
    reason = reasons[phonenumbers.is_possible_number_with_reason(parsed)]
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(parsed.country_code or 0, ())
    region = phonenumbers.region_code_for_number(parsed) or (regions[0] if len(regions) == 1 else None)
    national = phonenumbers.national_significant_number(parsed)
    valid = phonenumbers.is_valid_number(parsed)
    # A number in use is never an emergency number: Paris begins with 15 behind +33, which is SAMU without it.
    reaches = () if valid else (each for each in regions if each != "001")
    return Facts(
        region=None if region == "001" else region,
        kind=names[phonenumbers.number_type(parsed)],
        valid=valid,
        possible="possible" if reason in {"is_possible", "is_possible_local_only"} else reason,
        emergency=any(shortnumberinfo.connects_to_emergency_number(national, each) for each in reaches),
        short=len(national) <= _LONGEST_SHORT_CODE and shortnumberinfo.is_possible_short_number(parsed),
    )


def _ascii(text: str) -> str:
    """Replace every digit, dash and plus of any script by its ASCII form; drop marks that cannot be seen."""
    import unicodedata

    visible = (char for char in text if unicodedata.category(char) != "Cf")
    folded = "".join(
        str(unicodedata.digit(char)) if unicodedata.digit(char, None) is not None and char.isdecimal() else char
        for char in visible
    )
    return unicodedata.normalize("NFKC", "".join("-" if unicodedata.category(c) == "Pd" else c for c in folded))


def _national(digits: str, home: str | None) -> str | None:
    """Read a number without its country code, by the country of `home` if that is known."""
    phonenumbers = load_phonenumbers()
    candidates = [(digits, facts(home).region)] if home and is_e164(home) else []
    for text, region in [*candidates, ("+" + digits, None)]:
        try:
            parsed = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return None


def _quote(text: str) -> str:
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    return ascii(shown)
