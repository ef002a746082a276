"""How Telnyx complains.

https://developers.telnyx.com/api/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from uvcall.carriers._errors import Complaint, Manner, mapping

TITLE: Final = "Telnyx"

ALREADY_OVER: Final = "90018"
#: Authentication failed, not authorised. https://developers.telnyx.com/api/errors
AUTH_CODES: Final = frozenset({"10009", "10010"})
#: Refusals of the outbound voice profile, told under 403. https://support.telnyx.com/en/articles/4409457
D_CODE: Final = re.compile(r"\bD[0-9]{1,2}\b")


def _read(body: Mapping[str, Any]) -> Complaint | None:
    """Read `{"errors": [{"code", "title", "detail", "source": {"pointer"}}]}`."""
    errors = body.get("errors")
    first = mapping(errors[0]) if isinstance(errors, list) and errors else {}
    if not first.get("code"):
        return None
    title, detail = (str(first.get(name) or "").rstrip(". ") for name in ("title", "detail"))
    where = str(mapping(first.get("source")).get("pointer") or "")
    words = ": ".join(dict.fromkeys(part for part in (title, detail) if part))
    return Complaint(words + (f" (at {where})" if where else ""), str(first["code"]))


MANNER: Final = Manner(
    peer="telnyx",
    title=TITLE,
    read=_read,
    is_auth=lambda status, said: status in {401, 403} and said.code in AUTH_CODES and not D_CODE.search(said.words),
    auth_hint="check telnyx.api_key: portal.telnyx.com → API Keys",
    hints={
        "10002": "check the number that was dialed",
        "10016": "write numbers as +, country code, number",
        "85004": "check telnyx.connection_id: it is the id of a Voice API application",
        "10038": "the account may not do this yet: see its level in the portal",
        "10039": "the account has reached a limit: see its level in the portal",
        "90041": "wait until another call of the account has ended",
        "90042": "wait until another call of the outbound voice profile has ended",
        "90043": "wait until another call of the connection has ended",
    },
)
