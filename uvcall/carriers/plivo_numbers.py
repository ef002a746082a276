"""Plivo's numbers: each belongs to an application, which holds the addresses.

https://www.plivo.com/docs/numbers/api/account-phone-number/update-a-number ·
https://www.plivo.com/docs/account/api/application
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from uvcall.carriers import Account
from uvcall.carriers._errors import plain_id
from uvcall.carriers.numbers import asking, entries, not_ours
from uvcall.carriers.plivo import MANNER, Client, _ask
from uvcall.core.number import Here, NumberSetup
from uvcall.errors import ContractBroken

_PAGE: Final = 20
_PAGES: Final = 50


def read(client: Client, account: Account, number: str) -> NumberSetup:  # noqa: ARG001 - the Protocol's shape
    """Fetch the number."""
    found = _sdk(client, lambda: client.sdk.numbers.get(number.lstrip("+")))
    digits = str(getattr(found, "number", None) or "")
    if digits.lstrip("+") != number.lstrip("+"):
        raise not_ours(MANNER, number)
    # "/v1/Account/MA…/Application/123…/"
    application = str(getattr(found, "application", None) or "").rstrip("/").rpartition("/")[2]
    return NumberSetup(number, digits, {"app_id": application})


def aim(client: Client, account: Account, before: NumberSetup, here: Here) -> NumberSetup:  # noqa: ARG001 - the Protocol's shape
    """Make an application that leads here, or change the one of this name."""
    was = before.fields["app_id"]
    theirs = _sdk(client, lambda: client.sdk.applications.get(was)) if was else None
    fields: dict[str, Any] = {
        "answer_url": here.answer_url,
        "answer_method": "POST",
        "hangup_url": here.status_url,
        "hangup_method": "POST",
    }
    for address, method in (("fallback_answer_url", "fallback_method"), ("answer_url", "answer_method")):
        url = str(getattr(theirs, address, None) or "")
        if url and url != here.answer_url:
            fields |= {"fallback_answer_url": url, "fallback_method": str(getattr(theirs, method, None) or "POST")}
            break
    mine = _mine(client, here.tag)
    if mine:
        _sdk(client, lambda: client.sdk.applications.update(mine, **fields))
    else:
        made = _sdk(client, lambda: client.sdk.applications.create(here.tag, **fields))
        mine = plain_id(getattr(made, "app_id", None))
    if not mine:
        raise ContractBroken(
            "Plivo does not say which application it has made",
            hint="run uvcall serve-inbound --restore: it finds the application by its name",
            peer="plivo",
        )
    return NumberSetup(before.number, before.id, {"app_id": mine})


def write(client: Client, account: Account, before: NumberSetup, after: NumberSetup) -> None:  # noqa: ARG001 - the Protocol's shape
    """Give the number another application; with an empty one, Plivo takes the account's default."""
    changes = before.changes_to(after)
    if changes and _sdk(client, lambda: client.sdk.numbers.update(after.id, **changes)) is None:
        raise not_ours(MANNER, after.number)


def clear(client: Client, account: Account, tag: str) -> None:  # noqa: ARG001 - the Protocol's shape
    """Delete the application of this name."""
    mine = _mine(client, tag)
    if mine:
        _sdk(client, lambda: client.sdk.applications.delete(mine, cascade=False))


def _mine(client: Client, tag: str) -> str:
    """Return the id of the application of this name; empty when there is none."""
    for number in range(_PAGES):
        offset = number * _PAGE
        page = _sdk(client, lambda: client.sdk.applications.list(limit=_PAGE, offset=offset, app_name=tag))  # noqa: B023 - called at once
        listed = entries(MANNER, getattr(page, "objects", None))
        for one in listed:
            if getattr(one, "app_name", None) == tag:
                return plain_id(getattr(one, "app_id", None))
        if len(listed) < _PAGE:
            break
    return ""


def _sdk(client: Client, call: Callable[[], Any]) -> Any:
    return asking(MANNER, lambda: _ask(client, call))
