"""A vendor on loopback, and carriers connected to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from support.vendor import Handler, Line, Vendor, account

from uvcall.carriers import carrier
from uvcall.core.model import Provider


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    handler = type("Handler", (Handler,), {"vendor": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def refused_url() -> str:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


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
