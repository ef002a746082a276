"""`dial` is killed at every step, and loses replies: what the sandbox's peers saw afterwards, counted.

`run.py` does it, in processes of its own; a failure names the run and the command that repeats it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: One after the other, by one worker: each keeps ten runs in the air, behind whatever else is being tested.
pytestmark = pytest.mark.xdist_group("crash")

RUN = Path(__file__).with_name("run.py")
ZEROS = (
    "numbers rung twice for one order",
    "attempts without an end",
    "legs alive past their death date",
)

#: As many as fit beside all other tests into ten minutes on two cores; without `--runs` every step is taken, which are
#: about 2,900.
RUNS = {"telnyx": 650, "twilio": 650, "plivo": 650, "failover": 60}


def run(*arguments):
    """Run `run.py` and return its exit code and figures."""
    done = subprocess.run(
        [sys.executable, str(RUN), "--json", "--jobs", "10", *arguments], capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("carrier", RUNS)
def test_killed_at_any_step_nobody_is_rung_twice_and_no_attempt_is_lost(carrier):
    code, figures = run("--carrier", carrier, "--runs", str(RUNS[carrier]))
    assert {name: figures[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert figures["wrong"] == []
    assert code == 0
    assert figures["runs"] == RUNS[carrier]
    assert figures["killed"] > 0.8 * RUNS[carrier]  # some waits and polls are fewer than they were when counted
    assert figures["faults met"] > RUNS[carrier] / 2
    assert set(figures["attempts"]) == {"yes", "no", "unknown"}


@pytest.mark.timeout(600)
def test_a_leg_whose_reply_was_lost_is_found_and_nothing_is_sent_twice():
    code, figures = run("--adoptions", "200", "--jobs", "40")
    assert figures["wrong"] == []
    assert code == 0
    assert figures["sent or rung twice"] == 0
    assert figures["adopted, %"] >= 99
    assert figures["median seconds until found"] < 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("broken", "fault", "runs", "seen"),
    [
        ("no-intent", "off", "24", "numbers rung twice for one order"),
        ("send-again", "lost-reply", "24", "numbers rung twice for one order"),
        # Whoever lives for ever is waited for until that is certain: fewer runs, each of them long.
        ("no-limits", "off", "10", "legs alive past their death date"),
    ],
)
def test_the_judge_sees_a_broken_promise(broken, fault, runs, seen):
    code, figures = run("--carrier", "twilio", "--fault", fault, "--sabotage", broken, "--runs", runs)
    assert code == 1
    assert figures[seen] > 0


@pytest.mark.timeout(300)
def test_the_same_seed_meets_the_same_faults():
    case = "twilio:sdk:busy:twilio.rate-limit=0.5,ultravox.rate-limit=0.5:7:0"
    _, told = run("--case", case, "--case", case)
    # Up to the carrier's answer every request is asked for in order; how often is polled after it, time decides.
    first, second = ((each["said"][0]["code"], each["said"][0]["err"].partition("placed")[0]) for each in told["runs"])
    assert first == second
    assert "again in 1 s" in first[1]
