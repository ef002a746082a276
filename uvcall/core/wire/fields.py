"""A webhook's fields, read strictly: each one that is used stands there once and matches its whole pattern."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from uvcall.core.phone import E164
from uvcall.core.webhook import HttpRequest, WebhookInvalid, form_fields
from uvcall.core.wire.signing import is_form, query

Fields = Mapping[str, tuple[str, ...]]

UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
TOKEN: Final = re.compile(r"[!-~]{1,128}")

#: What carriers write instead of a number that the caller hides, and the same words dialled on a keypad:
#: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE.
_WITHHELD: Final = frozenset(
    {"", "anonymous", "restricted", "blocked", "unknown", "unavailable", "private"}
    | {"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"}
)
_ADDRESS: Final = re.compile(
    r"(?:(?:sips?|client|tel):)?[!-~]{1,200}@[!-~]{1,200}|(?:sips?|client):[!-~]{1,250}", re.IGNORECASE
)
_LARGEST_JSON: Final = 1 << 20
_HINT: Final = "nothing was done; see which application or number of the carrier points at this address"


def one_of(words: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of exactly one of these words."""
    return re.compile("|".join(re.escape(word) for word in words))


def invalid(message: str, hint: str = _HINT) -> WebhookInvalid:
    """Return the error for a webhook that does not say what the carrier's documents say it must."""
    return WebhookInvalid(message, hint=hint)


def form(request: HttpRequest) -> Fields:
    """Return the fields of a form, from the body or, for GET, from the query string.

    Raises:
        WebhookInvalid: It is not form data.
    """
    if request.method.upper() == "GET":
        pairs = form_fields(query(request.url).encode("utf-8", errors="replace"))
    elif is_form(request):
        pairs = form_fields(request.body)
    else:
        raise invalid("the webhook's body is not declared as form data")
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields[name], value) if name in fields else (value,)
    return fields


def need(fields: Fields, name: str, pattern: re.Pattern[str]) -> str:
    """Return the field's one value.

    Raises:
        WebhookInvalid: It is missing, doubled, or does not match the whole pattern.
    """
    value = _one(fields, name)
    if value is None:
        raise invalid(f"the webhook has no {name}")
    if not pattern.fullmatch(value):
        raise invalid(f"the webhook's {name} does not have its form")
    return value


def may(fields: Fields, name: str, pattern: re.Pattern[str]) -> str:
    """Return the field's one value, or an empty one when it is absent or empty.

    Raises:
        WebhookInvalid: It is doubled, or does not match the whole pattern.
    """
    return need(fields, name, pattern) if _one(fields, name) else ""


def caller(fields: Fields, name: str, *, plus: bool = True) -> str:
    """Return who calls: E.164, or empty for a withheld number or a SIP address.

    Args:
        fields: The webhook's fields.
        name: The field's name.
        plus: False where the carrier leaves the plus sign out.

    Raises:
        WebhookInvalid: It is missing, doubled, or neither.
    """
    value = _one(fields, name)
    if value is None:
        raise invalid(f"the webhook has no {name}")
    return party(value, name, plus=plus)


def party(value: str, name: str, *, plus: bool = True) -> str:
    """Return the number in E.164, or empty for a withheld number or a SIP address.

    Raises:
        WebhookInvalid: It is neither.
    """
    number = value if plus or value.startswith("+") else f"+{value}"
    if value.lower() in _WITHHELD or number in _WITHHELD:
        return ""
    if E164.fullmatch(number):
        return number
    if not _ADDRESS.fullmatch(value):
        raise invalid(f"the webhook's {name} is not a phone number")
    return ""


def called(fields: Fields, name: str, *, plus: bool = True) -> str:
    """Return which of our numbers is called: always E.164.

    Raises:
        WebhookInvalid: It is missing, doubled, or not a number.
    """
    number = caller(fields, name, plus=plus)
    if not number:
        raise invalid(f"the webhook's {name} is not a phone number")
    return number


def refuse_hidden(fields: Fields, names: Iterable[str], longer: Iterable[str] = ()) -> None:
    """Refuse a form whose signed text holds one of these names elsewhere than as the field's own name.

    The signatures of Twilio and Plivo join sorted names and values without a separator: a field that may be absent
    could be made to vanish into its neighbour, or to end elsewhere, and the signature would still be right.

    Args:
        fields: The webhook's fields.
        names: The names to look for.
        longer: Names of the carrier's own fields in which one of `names` stands.

    Raises:
        WebhookInvalid: It does.
    """
    joined = "".join([name + value for name in sorted(fields) for value in sorted(fields[name])])
    for name in names:
        if name not in joined:
            continue
        rightful = sum(len(fields.get(one, ())) for one in (name, *longer) if name in one)
        if joined.count(name) != rightful:
            raise invalid(f"the name {name} stands inside another field of the webhook")


def flat(fields: Fields) -> dict[str, str]:
    """Return the fields with their first values, for `raw`."""
    return {name: values[0] for name, values in fields.items()}


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        WebhookInvalid: It is not UTF-8, not JSON, not an object, too large, or names a member twice.
    """
    if len(body) > _LARGEST_JSON:
        raise invalid("the webhook's body is larger than 1 MiB")
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid("the webhook's body is not JSON") from error
    if not isinstance(value, dict):
        raise invalid("the webhook's body is not a JSON object")
    return value


def members(value: Mapping[str, Any]) -> Fields:
    """Return an object's strings as fields, so that the same rules read JSON; null counts as absent.

    A member that is not a string becomes a field that matches no pattern.
    """
    return {
        name: (member if isinstance(member, str) else "\x00",) for name, member in value.items() if member is not None
    }


def _one(fields: Fields, name: str) -> str | None:
    values = fields.get(name, ())
    if len(values) > 1:
        raise invalid(f"the webhook has more than one {name}")
    return values[0] if values else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
