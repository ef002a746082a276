"""One known difference between the sandbox and a vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SILENT: Final = "not documented"


@dataclass(frozen=True, slots=True)
class Difference:
    """One known difference. `peer` is `ultravox`, `telnyx`, `twilio`, `plivo`, `carriers` (all three) or `all`."""

    peer: str
    what: str
    sandbox: str
    vendor: str
