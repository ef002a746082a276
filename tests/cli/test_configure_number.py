"""`serve-inbound --configure-number` and `--restore` as processes: killed, interrupted, refused, started again."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from uvcall.cli.inbound_numbers import wanted
from uvcall.core.carrier import Provider
from uvcall.core.settings import resolve
from uvcall.errors import UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.faults import Faults, parse_faults
from uvcall.sandbox.rest import plivo_numbers, telnyx_numbers, twilio_numbers

NUMBERS = {"telnyx": c.TELNYX_FROM, "twilio": c.TWILIO_FROM, "plivo": c.PLIVO_FROM}
BOOKS = {"telnyx": telnyx_numbers.Book, "twilio": twilio_numbers.Book, "plivo": plivo_numbers.Book}
OWNED = c.OWNED_NUMBERS[0]  #: every carrier has it, and no `from` says whose it is


@pytest.fixture
def carriers(sandbox, home):
    """The sandbox's carriers: where a number leads, all that they hold, and the file of what has to be put back."""

    class Carriers:
        env = sandbox.ready["env"]
        path = home / "uvcall" / "numbers.json"

        def book(self, carrier):
            return sandbox.world.rooms[BOOKS[carrier]]

        def leads_to(self, carrier, number=None):
            return self.book(carrier).webhook(number or NUMBERS[carrier]).url

        def held(self):
            books = [self.book(carrier) for carrier in BOOKS]
            kept = json.loads(json.dumps([[book.numbers, getattr(book, "applications", {})] for book in books]))
            for application in kept[0][1].values():
                del application["created_at"], application["updated_at"]
            return kept

        def faults(self, spec):
            sandbox.world.rooms[Faults].plan = parse_faults(spec)

    one = Carriers()
    yield one
    one.faults("off")


@pytest.fixture
def serve(start_uvcall, carriers):
    """Start `serve-inbound` with numbers; wait until it listens unless told otherwise."""

    def start(*numbers, more=(), wait=True):
        options = [word for number in numbers for word in ("--configure-number", number)]
        process = start_uvcall("serve-inbound", "--port", "0", *options, *more, env=carriers.env)
        return process, json.loads(process.stdout.readline()) if wait else {}

    return start


def ended(process, number=signal.SIGTERM):
    """End a server and return its exit code and what it said."""
    process.send_signal(number)
    _, err = process.communicate(timeout=40)
    return process.returncode, err


def test_numbers_of_all_carriers_lead_here_while_it_serves(serve, carriers):
    before = carriers.held()
    process, ready = serve(*NUMBERS.values())
    assert ready["numbers"] == {number: carrier for carrier, number in NUMBERS.items()}
    assert {carrier: carriers.leads_to(carrier) for carrier in NUMBERS} == {
        carrier: ready["routes"][carrier] for carrier in NUMBERS
    }
    assert carriers.path.stat().st_mode & 0o777 == 0o600
    code, err = ended(process)
    assert code == 0
    results = [json.loads(line) for line in err.splitlines() if '"number"' in line]
    assert [one["result"] for one in results] == ["leads here"] * 3 + ["put back"] * 3
    # Nobody may be sent here once nobody is let in.
    assert err.index("put back") < err.index("draining")
    assert not any(one in err for one in NUMBERS.values()), "numbers are masked"
    assert carriers.held() == before
    assert not carriers.path.exists()


def test_a_worker_that_falls_takes_the_others_along_and_the_number_is_put_back(serve, carriers):
    before = carriers.held()
    process, ready = serve(c.TWILIO_FROM, more=("--workers", "2"))
    assert (ready["workers"], carriers.leads_to("twilio")) == (2, ready["routes"]["twilio"])
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, err = process.communicate(timeout=40)
    assert (process.returncode, carriers.held()) == (7, before)
    assert err.index("put back") < err.index("draining")


@pytest.fixture
def kill_at(sandbox, monkeypatch):
    """Kill a process at a carrier's nth request: before it is done, so that it is not, or after it."""
    faults, history = sandbox.world.rooms[Faults], sandbox.world.history
    choose = faults.choose

    def arrange(carrier, nth, when):
        seen = {"count": 0, "pid": 0}

        def kill():
            os.kill(seen["pid"], signal.SIGKILL)

        def before(peer, where="request", **more):
            if peer == carrier and where == "request":
                seen["count"] += 1
                if seen["pid"] and seen["count"] == nth and when == "before":
                    kill()
                    raise ConnectionAbortedError
            return choose(peer, where, **more)

        def after(event):
            if event["type"] == "request" and event["peer"] == carrier and seen["count"] == nth and when == "after":
                kill()

        monkeypatch.setattr(faults, "choose", before)
        monkeypatch.setattr(history, "listener", after)
        return seen

    yield arrange
    history.listener = None


#: Telnyx: read, two about the connection, list, make, change, look. Plivo: read, about the
#: application, list, make, change, look.
@pytest.mark.parametrize(
    ("carrier", "nth", "when"),
    [("telnyx", 6, "after"), ("plivo", 5, "before")],
)
def test_a_kill_at_a_request_is_put_back_by_restore(serve, carriers, run_uvcall, kill_at, carrier, nth, when):
    before = carriers.held()
    seen = kill_at(carrier, nth, when)
    process, _ = serve(NUMBERS[carrier], wait=False)
    seen["pid"] = process.pid
    process.wait(40)
    assert process.returncode == -signal.SIGKILL
    assert carriers.path.exists()
    seen["pid"] = 0
    ran = run_uvcall("serve-inbound", "--restore", "--json", env=carriers.env)
    assert ran.code == 0
    assert [(one["number"], one["provider"]) for one in ran.json["numbers"]] == [(NUMBERS[carrier], carrier)]
    assert carriers.held() == before
    assert not carriers.path.exists()
    assert run_uvcall("serve-inbound", "--restore", env=carriers.env).stderr.startswith("nothing to restore")


def test_a_second_run_keeps_what_the_first_one_found(serve, carriers, run_uvcall):
    before = carriers.held()
    process, _ = serve(c.TWILIO_FROM, c.PLIVO_FROM)
    busy = run_uvcall("serve-inbound", "--restore", env=carriers.env)
    assert (busy.code, busy.stdout) == (7, "")
    process.kill()
    process.communicate()
    process, ready = serve(c.TWILIO_FROM)
    assert carriers.leads_to("twilio") == ready["routes"]["twilio"]
    code, err = ended(process)
    assert code == 0
    assert f"warning: {c.PLIVO_FROM} may still lead to an earlier run; run: uvcall serve-inbound --restore" in err
    ran = run_uvcall("serve-inbound", "--restore", env=carriers.env)
    assert (ran.code, ran.stdout) == (0, f"{c.PLIVO_FROM} (plivo): put back\n")
    assert carriers.held() == before


def test_a_carrier_that_is_down_when_it_should_be_put_back(serve, carriers, run_uvcall):
    before = carriers.held()
    process, _ = serve(c.TWILIO_FROM, c.TELNYX_FROM)
    carriers.faults("twilio.server-error=1")
    code, err = ended(process)
    assert code == 75
    assert f"{c.TWILIO_FROM} may still lead here" in err
    assert "--restore" in err
    still = run_uvcall("serve-inbound", "--restore", "--json", env=carriers.env)
    assert (still.code, still.json["numbers"][0]["error"]["code"]) == (75, "temporary")
    assert [one["number"] for one in still.json["numbers"]] == [c.TWILIO_FROM], "the other one was put back"
    carriers.faults("off")
    assert run_uvcall("serve-inbound", "--restore", env=carriers.env).code == 0
    assert carriers.held() == before


def test_what_somebody_else_has_changed_meanwhile_is_said(serve, carriers):
    process, _ = serve(c.TWILIO_FROM)
    carriers.book("twilio").numbers[c.TWILIO_FROM]["voice_url"] = "https://owner.example.com/"
    code, err = ended(process, signal.SIGINT)
    assert code == 0
    assert f"warning: {c.TWILIO_FROM} was changed by somebody else meanwhile, so it is left as it is" in err
    assert carriers.leads_to("twilio") == "https://owner.example.com/"
    assert not carriers.path.exists()


@pytest.mark.parametrize(
    ("numbers", "code", "words"),
    [
        ((c.TWILIO_FROM, "twilio:+12025550142"), 6, "Twilio knows no number +12025550142 of this account"),
        ((c.TWILIO_FROM, "+12025550142"), 6, "no carrier that is served has the number +12025550142"),
        ((c.TWILIO_FROM, OWNED), 2, f"{OWNED}: several carriers have it"),
    ],
)
def test_a_number_that_cannot_be_led_here_ends_the_start_and_the_others_are_put_back(
    serve, carriers, numbers, code, words
):
    before = carriers.held()
    process, _ = serve(*numbers, wait=False)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (code, "")
    assert f"error: {'--configure-number ' if code == 2 else ''}{words}" in err
    assert carriers.held() == before
    assert not carriers.path.exists()


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("--configure-number", "+12025550198", "--number", "+12025550199"), 2, "turned away"),
        (("--restore", "--sandbox"), 2, "goes without --sandbox"),
        (("--restore", "--configure-number", "+12025550198"), 2, "goes without --configure-number"),
        (("--ring",), 2, "goes with --sandbox"),
    ],
)
def test_what_makes_no_sense_is_said_before_anybody_is_asked(carriers, run_uvcall, sandbox, argv, code, words):
    ran = run_uvcall("serve-inbound", "--port", "0", *argv, env=carriers.env)
    assert (ran.code, ran.stdout) == (code, "")
    assert words in ran.stderr
    assert not [event for event in sandbox.history() if event["type"] == "request"]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["555"], "E.164"),
        (["+1202555O198"], "E.164"),
        (["vonage:+12025550198"], "no carrier that is served"),
        (["twilio:"], "E.164"),
        ([":+12025550198"], "no carrier that is served"),
        (["+12025550198", "twilio:+12025550198"], "twice"),
    ],
)
def test_a_number_is_read_whole(texts, words):
    settings = resolve(flags={"twilio.base_url": "http://127.0.0.1:1"}, env={}, file={})
    with pytest.raises(UsageError, match=re.escape(words)):
        wanted(texts, settings, [Provider.TWILIO])


def test_a_carrier_must_know_where_to_send_the_calls(run_uvcall):
    env = {
        "ULTRAVOX_API_KEY": "abcdefgh." + "0123456789abcdef" * 2,
        "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
        "TWILIO_AUTH_TOKEN": "x" * 32,
    }
    ran = run_uvcall("serve-inbound", "--port", "0", "--configure-number", "+12025550198", env=env)
    assert (ran.code, ran.stdout) == (6, "")
    assert "server.public_url is not set" in ran.stderr
