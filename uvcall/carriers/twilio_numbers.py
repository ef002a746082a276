"""Twilio's numbers: each holds the addresses that are asked about its calls.

https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from __future__ import annotations

from typing import Any, Final

from uvcall.carriers import Account
from uvcall.carriers._errors import plain_id
from uvcall.carriers.numbers import asking, entries, not_ours
from uvcall.carriers.twilio import MANNER, SID, Client, _ask
from uvcall.core.number import Here, NumberSetup

#: An application or a trunk, where one is set, makes Twilio ignore the addresses.
FIELDS: Final = (
    "voice_url",
    "voice_method",
    "voice_fallback_url",
    "voice_fallback_method",
    "status_callback",
    "status_callback_method",
    "voice_application_sid",
    "trunk_sid",
)
_NEWEST: Final = 20


def read(client: Client, account: Account, number: str) -> NumberSetup:  # noqa: ARG001 - the Protocol's shape
    """List the account's numbers that are this one."""
    listed = asking(
        MANNER, lambda: _ask(client, lambda: client.sdk.incoming_phone_numbers.list(phone_number=number, limit=_NEWEST))
    )
    for found in entries(MANNER, listed):
        sid = plain_id(found.sid, SID)
        # The filter takes parts of a number too.
        if sid and found.phone_number == number:
            return NumberSetup(number, sid, {name: str(getattr(found, name, None) or "") for name in FIELDS})
    raise not_ours(MANNER, number)


def aim(client: Client, account: Account, before: NumberSetup, here: Here) -> NumberSetup:  # noqa: ARG001 - the Protocol's shape
    """Return the addresses; nothing has to be made."""
    was = before.fields
    fields = {
        **was,
        "voice_url": here.answer_url,
        "voice_method": "POST",
        "status_callback": here.status_url,
        "status_callback_method": "POST",
        "voice_application_sid": "",
        "trunk_sid": "",
    }
    elsewhere = was["voice_application_sid"] or was["trunk_sid"]
    if not was["voice_fallback_url"] and not elsewhere and was["voice_url"] not in {"", here.answer_url}:
        fields |= {"voice_fallback_url": was["voice_url"], "voice_fallback_method": was["voice_method"] or "POST"}
    return NumberSetup(before.number, before.id, fields)


def write(client: Client, account: Account, before: NumberSetup, after: NumberSetup) -> None:  # noqa: ARG001 - the Protocol's shape
    """Update the number."""
    changes: dict[str, Any] = before.changes_to(after)
    # A method means nothing without its address, and Twilio gives it back by itself.
    for address, method in (
        ("voice_url", "voice_method"),
        ("voice_fallback_url", "voice_fallback_method"),
        ("status_callback", "status_callback_method"),
    ):
        if address in changes and changes[address] and after.fields[method]:
            changes[method] = after.fields[method]
    changes = {name: value for name, value in changes.items() if value or not name.endswith("_method")}
    if not after.fields["voice_application_sid"] and after.fields["trunk_sid"]:
        changes.pop("voice_application_sid", None)  # setting the one takes the other away
    if not after.fields["trunk_sid"] and after.fields["voice_application_sid"]:
        changes.pop("trunk_sid", None)
    if changes and asking(MANNER, lambda: _ask(client, lambda: _update(client, after.id, changes))) is None:
        raise not_ours(MANNER, after.number)


def _update(client: Client, sid: str, changes: dict[str, Any]) -> Any:
    return client.sdk.incoming_phone_numbers(sid).update(**changes)


def clear(client: Client, account: Account, tag: str) -> None:
    """Do nothing: nothing was made."""
