"""The lazy telnyx package: the same SDK, with and without it, and the plain import whenever something surprises it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.vendor import says

USE = """
import json, sys
from uvcall.carriers import Account, _lazy_telnyx, carrier
from uvcall.core.secret import JoinUrl
from uvcall.core.model import LegOrder, PlacedCall
from uvcall.core.carrier import Provider
{before}
module = carrier(Provider.TELNYX)
account = Account({{"api_key": "KEY0fake", "connection_id": "24"}}, base_url=sys.argv[1])
client = module.connect(account)
order = LegOrder("+12025550101", "+12025550199", "a-1", 35, 630, join_url=JoinUrl("wss://voice.ultravox.ai/c/1"))
placed = module.place(client, account, order)
said = [
    placed.carrier_call_id,
    module.status(client, account, placed).raw,
    module.hang_up(client, account, placed),
    [call.carrier_call_id for call in module.find(client, account, order, since=0)],
    module.check(client, account),
    module.check(client, Account({{"api_key": "KEY0fake"}}, base_url=sys.argv[1])),
]
module.close(client)
import telnyx.types
lazy = type(telnyx.types).__name__
print(json.dumps({{"said": said, "lazy": lazy, "modules": len(sys.modules), "rich": "rich" in sys.modules}}))
"""

FALLBACKS = {
    "plain": "import telnyx",
    "no such layout": "_lazy_telnyx._LAZY = ('types', 'nowhere')",
    "proof fails": "_lazy_telnyx._PROOF = ('telnyx.resources.no_such_module',)",
}


def run(before: str, vendor) -> dict:
    call = {
        "call_control_id": "v3:1",
        "call_leg_id": "l-1",
        "call_session_id": "s-1",
        "is_alive": True,
        "record_type": "call",
    }
    event = {
        "name": "call.answered",
        "type": "webhook",
        "event_timestamp": "2026-01-02T03:04:05Z",
        "metadata": {},
        "record_type": "call_event",
        "call_leg_id": "l-1",
        "call_session_id": "s-1",
    }
    vendor.on("POST", "/v2/calls", says(200, {"data": call})).on("GET", "/v2/calls/v3:1", says(200, {"data": call}))
    vendor.on("GET", "/v2/call_events", says(200, {"data": [event]}))
    vendor.on("POST", "/v2/calls/v3:1/actions/hangup", says(200, {"data": {"result": "ok"}}))
    mark = "eyJ1dmNhbGxfYXR0ZW1wdCI6ICJhLTEifQ=="
    vendor.on("GET", "/v2/connections/24/active_calls", says(200, {"data": [{**call, "client_state": mark}]}))
    vendor.on("GET", "/v2/call_control_applications/24", says(200, {"data": {"application_name": "calls"}}))
    vendor.on("GET", "/v2/balance", says(200, {"data": {"balance": "1", "currency": "USD"}}))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE.format(before=before), vendor.url],
        capture_output=True, text=True, check=False, timeout=50, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SAID = ["v3:1", "answered", True, ["v3:1"], "application calls", "balance 1 USD"]


def test_every_call_that_uvcall_makes_works_lazily_and_cheaply(vendor):
    found = run("", vendor)
    assert found["said"] == SAID
    assert found["lazy"] == "_LazyPackage"
    assert found["modules"] < 1200
    assert not found["rich"]


@pytest.mark.parametrize("surprise", FALLBACKS)
def test_every_call_works_with_the_plain_import(surprise, vendor):
    found = run(FALLBACKS[surprise], vendor)
    assert found["said"] == SAID
    assert found["lazy"] == "module"
    assert found["modules"] > 1500


def test_the_lazy_package_has_the_names_of_the_real_one():
    probe = """
import ast, json, pathlib
from uvcall.carriers import _lazy_telnyx
telnyx = _lazy_telnyx.load()
import telnyx.types, telnyx.resources
counts = {}
for package in (telnyx.types, telnyx.resources):
    tree = ast.parse(pathlib.Path(package.__file__).read_text())
    names = [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.level == 1 and n.module for a in n.names]
    for name in names[:: max(1, len(names) // 40)]:
        assert getattr(package, name).__name__, name
    counts[package.__name__] = len(names)
for name in ("NoSuchThing", "__wrapped__", "_private"):
    assert not hasattr(telnyx.types, name)
print(json.dumps(counts))
"""
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert all(count > 100 for count in json.loads(done.stdout).values())
