"""Telnyx's numbers: each belongs to a connection, here a TeXML application that holds the addresses.

https://developers.telnyx.com/api-reference/phone-number-configurations/update-a-phone-number ·
https://developers.telnyx.com/api-reference/texml-applications/creates-a-texml-application
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvcall.carriers import Account
from uvcall.carriers._errors import plain_id
from uvcall.carriers._telnyx_errors import MANNER
from uvcall.carriers.numbers import asking, entries, not_ours
from uvcall.carriers.telnyx import Client, _ask
from uvcall.core.number import Here, NumberSetup
from uvcall.errors import ContractBroken


def read(client: Client, account: Account, number: str) -> NumberSetup:  # noqa: ARG001 - the Protocol's shape
    """List the account's numbers that are this one."""
    listed = _sdk(client, lambda: client.sdk.phone_numbers.list(filter={"phone_number": number.lstrip("+")}))
    for found in entries(MANNER, getattr(listed, "data", None)):
        name = plain_id(getattr(found, "id", None))
        # The filter takes parts of a number too.
        if name and getattr(found, "phone_number", None) == number:
            return NumberSetup(number, name, {"connection_id": str(getattr(found, "connection_id", None) or "")})
    raise not_ours(MANNER, number)


def aim(client: Client, account: Account, before: NumberSetup, here: Here) -> NumberSetup:
    """Make a TeXML application that leads here, or change the one of this name."""
    fallback, profile = _before(client, before.fields["connection_id"])
    profile = profile or _before(client, account.text("connection_id"))[1]
    fields: dict[str, Any] = {
        "friendly_name": here.tag,
        "voice_url": here.answer_url,
        "voice_method": "post",
        "status_callback": here.status_url,
        "status_callback_method": "post",
    }
    if fallback and fallback != here.answer_url:
        fields["voice_fallback_url"] = fallback
    if profile:  # without one, no call can be forwarded
        fields["outbound"] = {"outbound_voice_profile_id": profile}
    mine = _mine(client, here.tag)
    applications = client.sdk.texml_applications
    call = (lambda: applications.update(mine, **fields)) if mine else (lambda: applications.create(**fields))
    made = plain_id(getattr(getattr(_sdk(client, call), "data", None), "id", None))
    if not made:
        raise ContractBroken(
            "Telnyx does not say which application it has made",
            hint="run uvcall serve-inbound --restore: it finds the application by its name",
            peer="telnyx",
        )
    return NumberSetup(before.number, before.id, {"connection_id": made})


def write(client: Client, account: Account, before: NumberSetup, after: NumberSetup) -> None:  # noqa: ARG001 - the Protocol's shape
    """Give the number another connection; that an empty one takes it away is not documented."""
    changes = before.changes_to(after)
    if changes and _sdk(client, lambda: client.sdk.phone_numbers.update(after.id, **changes)) is None:
        raise not_ours(MANNER, after.number)


def clear(client: Client, account: Account, tag: str) -> None:  # noqa: ARG001 - the Protocol's shape
    """Delete the application of this name."""
    mine = _mine(client, tag)
    if mine:
        _sdk(client, lambda: client.sdk.texml_applications.delete(mine))


def _before(client: Client, connection: str) -> tuple[str, str]:
    """Return what answers besides a connection's own address, and its outbound voice profile."""
    if not connection:
        return "", ""
    texml = getattr(_sdk(client, lambda: client.sdk.texml_applications.retrieve(connection)), "data", None)
    if texml is not None:
        profile = getattr(getattr(texml, "outbound", None), "outbound_voice_profile_id", None)
        return str(getattr(texml, "voice_fallback_url", None) or getattr(texml, "voice_url", None) or ""), profile or ""
    # Of another kind, whose events no TeXML application could send.
    other = getattr(_sdk(client, lambda: client.sdk.connections.retrieve(connection)), "data", None)
    return "", str(getattr(other, "outbound_voice_profile_id", None) or "")


def _mine(client: Client, tag: str) -> str:
    """Return the id of the TeXML application of this name; empty when there is none."""
    listed = _sdk(client, lambda: client.sdk.texml_applications.list(filter={"friendly_name": tag}, page_size=250))
    for one in entries(MANNER, getattr(listed, "data", None)):
        if getattr(one, "friendly_name", None) == tag:
            return plain_id(getattr(one, "id", None))
    return ""


def _sdk(client: Client, call: Callable[[], Any]) -> Any:
    return asking(MANNER, lambda: _ask(client, call))
