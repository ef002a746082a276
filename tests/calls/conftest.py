from dataclasses import replace

import pytest
from support.scripted import ORDER, QUICK, Clock, Peers

from uvcall.calls.desk import Desk
from uvcall.calls.dial import dial
from uvcall.calls.ports import CarrierLine
from uvcall.carriers import Account


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def run(peers, desk):
    """Dial with the peers' scripts; keyword arguments change the order, `timing` the patience."""

    def _run(*, timing=QUICK, watch=lambda _: None, listener=None, with_line=True, **changes):
        line = CarrierLine(peers, Account()) if with_line else None
        order = replace(ORDER, **changes)
        return dial(
            order, agents=peers, line=line, desk=desk, clock=Clock(), watch=watch, timing=timing, listener=listener
        )

    return _run
