"""The desk: deadlines, signals, and jobs that nobody waits for any more."""

import os
import signal
import threading
import time

import pytest

from uvcall.calls.desk import Desk, Late
from uvcall.errors import Interrupted, Temporary


def test_a_result_comes_back():
    assert Desk().run(lambda: 42, 5) == 42


def test_an_error_comes_back_as_it_was():
    def work():
        raise Temporary("busy")

    with pytest.raises(Temporary, match="busy"):
        Desk().run(work, 5)


def test_late_work_is_left_behind_and_does_not_confuse_what_follows():
    desk, gate = Desk(), threading.Event()
    job = desk.start(gate.wait)
    with pytest.raises(Late):
        desk.wait(job, 0.02)
    assert desk.run(lambda: "next", 5) == "next"
    gate.set()
    assert desk.wait(job, 5) is True


def test_jobs_may_end_in_any_order():
    desk, gate = Desk(), threading.Event()
    slow = desk.start(gate.wait)
    fast = desk.start(lambda: "fast")
    assert desk.wait(fast, 5) == "fast"
    gate.set()
    assert desk.wait(slow, 5) is True


def test_a_signal_interrupts_a_wait_and_the_job_survives():
    desk, gate = Desk(), threading.Event()
    job = desk.start(gate.wait)
    desk.interrupt(15)
    with pytest.raises(Interrupted) as caught:
        desk.wait(job, 5)
    assert caught.value.signum == 15
    gate.set()
    assert desk.wait(job, 5) is True


def test_a_real_signal_cuts_a_sleep_short():
    desk = Desk()
    before = signal.signal(signal.SIGUSR1, lambda signum, _: desk.interrupt(signum))
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        started = time.monotonic()
        with pytest.raises(Interrupted):
            desk.sleep(30)
        assert time.monotonic() - started < 5
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_sleep_lasts_even_when_jobs_end_meanwhile():
    desk = Desk()
    desk.start(lambda: None)
    started = time.monotonic()
    desk.sleep(0.1)
    assert time.monotonic() - started >= 0.09
