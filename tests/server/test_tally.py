"""Counts of several processes: added up by the one that is asked, and none at all where one is missing."""

import asyncio
import os
import subprocess
import sys

import pytest

from uvcall.server import tally
from uvcall.server.metrics import Metrics


def counted(answers, **more):
    metrics = Metrics(lambda: 3.0, lambda: 1.5)
    for seconds in answers:
        metrics.take("answered", {"carrier": "twilio", "result": "connected", "seconds": seconds})
    for event, facts in more.items():
        metrics.take(event, facts)
    return metrics


def read(text):
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_what_several_have_counted_is_added_up_and_what_they_share_is_not(workers):
    async def play():
        kin = tally.Kin.of(workers)
        first = tally.Tally(counted([0.1, 9.0], shed={"carrier": "twilio"}), kin[0])
        others = [tally.Tally(counted([0.1], duplicate={"carrier": "plivo"}), one) for one in kin[1:]]
        found = [read(await first.text()) for _ in range(2)] + [
            read(one) for one in await asyncio.gather(*(first.text() for _ in range(3)))
        ]
        for one in (*others, first):
            await one.close()
        assert all(one == found[0] for one in found)
        return found[0]

    found = asyncio.run(asyncio.wait_for(play(), 30))
    assert found['uvcall_webhooks_total{carrier="twilio",result="connected"}'] == workers + 1
    assert found.get('uvcall_webhooks_total{carrier="plivo",result="duplicate"}', 0) == workers - 1
    assert found["uvcall_shed_total"] == 1
    assert found['uvcall_answer_seconds_bucket{le="0.2"}'] == workers
    assert found['uvcall_answer_seconds_bucket{le="+Inf"}'] == found["uvcall_answer_seconds_count"] == workers + 1
    assert found["uvcall_answer_seconds_sum"] == pytest.approx(9 + 0.1 * workers)
    assert found["uvcall_active_calls"] == 3
    assert found["uvcall_minutes_today"] == 1.5


def test_a_sum_without_one_of_them_is_none(monkeypatch):
    monkeypatch.setattr(tally, "_TOLD_S", 0.3)

    async def play():
        kin = tally.Kin.of(3)
        first = tally.Tally(counted([]), kin[0])
        one = tally.Tally(counted([0.1]), kin[1])
        with pytest.raises(tally.Untold):  # the third is silent
            await first.text()
        monkeypatch.setattr(tally, "_TOLD_S", 20.0)
        third = tally.Tally(counted([0.1]), kin[2])
        # What it says to the question before is not taken for an answer to this one.
        assert read(await first.text())["uvcall_answer_seconds_count"] == 2
        await third.close()
        with pytest.raises(tally.Untold):  # it has gone
            await first.text()
        await one.close()
        await first.close()

    asyncio.run(asyncio.wait_for(play(), 60))


def test_files_of_other_programs_are_left_alone(tmp_path):
    code = "from uvcall.server.metrics import Metrics; Metrics(lambda: 1, lambda: 1).text()"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
