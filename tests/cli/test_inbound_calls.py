"""Whole calls from outside: `sandbox ring` as a process rings `serve-inbound --sandbox`, a process too."""

import json
import signal
import urllib.request

import pytest

from uvcall.sandbox import credentials as c

FAST = ("--speed", "20")
NO_LIMITS = ("--calls-per-caller", "0", "--calls-per-hour", "0", "--max-concurrent", "100")
#: The carrier, and what is said besides it.
LINES = {
    "telnyx": ("telnyx", ()),
    "telnyx call control": ("telnyx", ("--call-control",)),
    "twilio": ("twilio", ()),
    "plivo": ("plivo", ()),
}
#: An event for Call Control is only taken note of; what is to be done comes by commands.
STATUS = {**dict.fromkeys(LINES, 200), "telnyx call control": 204}


@pytest.fixture
def house(start_uvcall, run_uvcall):
    """A server with a sandbox of its own, and somebody who rings it from another terminal."""

    class House:
        def __init__(self):
            self.process = start_uvcall("serve-inbound", "--sandbox", "--port", "0", *FAST, *NO_LIMITS)
            self.ready = json.loads(self.process.stdout.readline())

        def ring(self, line, *options):
            carrier, more = LINES[line]
            to = self.ready["routes"][carrier]
            at = ("--at", self.ready["sandbox"])
            return run_uvcall("sandbox", "ring", "--provider", carrier, "--to", to, *at, *more, *options, "--json")

        def created(self):
            with urllib.request.urlopen(
                f"{self.ready['sandbox']}/_sandbox/history?type=call.created", timeout=30
            ) as answer:
                return len(json.loads(answer.read()))

        def end(self):
            self.process.send_signal(signal.SIGTERM)
            _, err = self.process.communicate(timeout=30)
            assert self.process.returncode == 0
            assert "Traceback" not in err
            return [json.loads(line) for line in err.splitlines() if line.startswith("{")]

    return House()


def test_somebody_rings_and_talks_to_the_agent(house):
    for number, line in enumerate(LINES, 1):
        ran = house.ring(line)
        assert (ran.code, ran.json["outcome"], ran.json["end_reason"]) == (0, "completed", "agent_hangup"), line
        assert ran.json["webhooks"][-1]["status"] == STATUS[line], line
        assert house.created() == number
    told = house.end()
    assert [one["result"] for one in told if one["event"] == "answered"] == ["connected"] * len(LINES)


FORGERIES = {
    "telnyx": ("bad", "expired"),
    "telnyx call control": ("bad",),
    "twilio": ("missing", "resplit"),
    "plivo": ("bad", "resplit"),
}


def test_whoever_forges_is_turned_away_and_costs_nothing(house):
    for line, forgeries in FORGERIES.items():
        for forgery in forgeries:
            ran = house.ring(line, "--signature", forgery, "--hang-up-after", "2")
            # A body that is cut into other fields is signed rightly, and is no call.
            refused = ("webhook_refused", 400 if forgery == "resplit" else 403)
            assert (ran.json["error"]["code"], ran.json["error"]["status"]) == refused, (line, forgery)
            assert ran.code in {11, 12}, "Call Control goes on to ring, unanswered"
            assert "forged signature" not in ran.stderr
    assert house.created() == 0
    assert {one["event"] for one in house.end()} == {"forged", "malformed", "draining", "stopped"}


def test_copies_are_answered_alike_and_paid_for_once(house):
    for number, line in enumerate(LINES, 1):
        ran = house.ring(line, "--duplicate", "6")
        assert (ran.code, ran.json["outcome"]) == (0, "completed"), line
        copies = [one for one in ran.json["webhooks"] if one["kind"] in {"parallel", "late"}]
        assert [(one["status"], one["same"]) for one in copies] == [(STATUS[line], True)] * 6, line
        assert house.created() == number


def test_one_command_shows_a_whole_call(run_uvcall):
    ran = run_uvcall("serve-inbound", "--sandbox", "--port", "0", "--ring", *FAST)
    assert ran.code == 0
    ready, result = ran.stdout.splitlines()
    assert json.loads(ready)["ready"] is True
    assert result.startswith(f"completed: +12025550100 → {c.TELNYX_FROM}, via telnyx, ")
    talk = [line.split(":")[0].split(" (")[0] for line in ran.stderr.splitlines() if not line.startswith("{")]
    story = ["ringing", "webhook", "answered", "document", "talking", "the stream is over", "over"]
    assert talk[1 : len(story) + 1] == story
    assert talk[0].startswith("sandbox at http")
    assert "Traceback" not in ran.stderr


def test_a_call_that_is_refused_is_told_in_the_exit_code_and_an_earlier_sandbox_is_forgotten(run_uvcall, home):
    kept = home / "uvcall" / "sandbox"
    kept.mkdir(mode=0o700, parents=True)
    for name in ("inbound.db", "inbound.db-wal", "numbers.json"):
        (kept / name).write_text("of an earlier one")
    options = ("--provider", "twilio", "--allow-from", "+12025550123", "--ring", *FAST)
    ran = run_uvcall("serve-inbound", "--sandbox", "--port", "0", *options, "--json", "-q")
    ready, record = map(json.loads, ran.stdout.splitlines())
    assert (ran.code, record["outcome"], record["provider"]) == (14, "rejected", "twilio")
    assert ready["sandbox"].startswith("http://127.0.0.1:")
    assert not (kept / "numbers.json").exists()


def test_a_number_that_leads_here_can_be_rung_by_itself(start_uvcall, run_uvcall):
    process = start_uvcall("serve-inbound", "--sandbox", "--port", "0", *FAST, "--configure-number", c.PLIVO_FROM)
    assert json.loads(process.stdout.readline())["numbers"] == {c.PLIVO_FROM: "plivo"}
    ran = run_uvcall("sandbox", "ring", "--provider", "plivo", "--json")
    assert (ran.code, ran.json["outcome"]) == (0, "completed")
    nowhere = run_uvcall("sandbox", "ring", "--provider", "twilio")
    assert (nowhere.code, nowhere.stdout) == (2, "")
    assert f"the number {c.TWILIO_FROM} leads to no webhook at twilio" in nowhere.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0
    alone = run_uvcall("sandbox", "ring", "--provider", "plivo")
    assert (alone.code, alone.stdout) == (7, "")
    assert "no sandbox is running" in alone.stderr
