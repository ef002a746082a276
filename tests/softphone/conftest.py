"""A softphone in a thread, and a peer for it behind a join URL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from support.peer import PATIENCE_S, PeerServer

from uvcall.core.secret import JoinUrl
from uvcall.core.talked import Talked
from uvcall.softphone.devices import Nowhere, Silence
from uvcall.softphone.manner import Manner
from uvcall.softphone.phone import Softphone
from uvcall.softphone.websocket import WebSocketTransport

RATE = 16_000


@pytest.fixture
def peer() -> Iterator[PeerServer]:
    """A server that plays what it is told."""
    server = PeerServer()
    yield server
    server.close()


@dataclass
class Call:
    """A softphone in a thread."""

    phone: Softphone
    news: list[Any]
    _thread: threading.Thread
    _box: list[Talked]

    def result(self) -> Talked:
        self._thread.join(PATIENCE_S)
        assert self._box, "the softphone has not come back"
        return self._box[0]


@pytest.fixture
def ring() -> Callable[..., Call]:
    """Start a softphone: `ring(url, source=…, sink=…, tape=…, heartbeat_s=…, **manner)`."""

    def ring(
        url: JoinUrl, source: Any = None, sink: Any = None, tape: Any = None, heartbeat_s: float = 10.0, **manner: Any
    ) -> Call:
        news: list[Any] = []
        phone = Softphone(
            lambda to: WebSocketTransport(to, heartbeat_s=heartbeat_s),
            source or Silence(),
            sink or Nowhere(),
            Manner(**{"rate": RATE, "output_rate": RATE, "leave_s": 0.2, **manner}),
            tell=news.append,
            wall=lambda: datetime.now(UTC),
            tape=tape,
        )
        box: list[Talked] = []
        thread = threading.Thread(target=lambda: box.append(phone.run(url)), daemon=True)
        thread.start()
        return Call(phone, news, thread, box)

    return ring
