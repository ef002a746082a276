import pytest
from support.scripted import ORDER, QUICK, Clock, Peers

from uvcall.calls.desk import Desk
from uvcall.calls.dial import dial
from uvcall.calls.ports import CarrierLine
from uvcall.calls.route import Route
from uvcall.carriers import Account
from uvcall.journal import open_journal


@pytest.fixture
def peers():
    return Peers()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def journal(tmp_path):
    with open_journal(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(peers, desk, journal):
    """Dial with the peers' scripts; keyword arguments change the order, `timing` the patience."""

    def _run(*, timing=QUICK, watch=lambda _: None, listener=None, with_line=True, more=(), **changes):
        line = CarrierLine(peers, Account()) if with_line else None
        order = ORDER._replace(**changes)
        routes = [Route(order, line, listener), *more]
        return dial(routes, agents=peers, desk=desk, clock=Clock(), journal=journal, watch=watch, timing=timing)

    return _run
