"""A vendor on loopback, and carriers connected to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.vendor import Line, Vendor, account, nobody, serving

from uvcall.carriers import carrier
from uvcall.core.carrier import Provider


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as made:
        yield made


@pytest.fixture
def refused_url() -> str:
    return nobody()


@pytest.fixture
def connect() -> Iterator[Callable[..., Line]]:
    """Connect a carrier to a base URL; closed when the test ends."""
    opened: list[Line] = []

    def opener(provider: Provider, url: str, **kwargs: Any) -> Line:
        module = carrier(provider)
        line = Line(provider, module, account(provider, url, **kwargs), None)
        line.client = module.connect(line.account)
        opened.append(line)
        return line

    yield opener
    for line in opened:
        line.module.close(line.client)
