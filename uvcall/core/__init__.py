"""The functional core: values in, values out; no clock, socket, environment or randomness."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

#: The mapping with nothing in it, for defaults.
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
