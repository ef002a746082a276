"""`uvcall calls`: the journals that real `dial` processes have written, as people and programs read them."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from uvcall.cli.calls_list import instant
from uvcall.core.model import CallRecord, Outcome
from uvcall.core.outcome import as_json
from uvcall.errors import UsageError
from uvcall.journal import open_journal

BUSY, REJECTS, ANSWERS = "+12025550101", "+12025550103", "+12025550100"
CARRIERS = ("telnyx", "twilio", "plivo")


@pytest.fixture
def env(sandbox):
    return sandbox.ready["env"]


@pytest.fixture
def dial(run_uvcall, env):
    """Dial and return the record."""

    def _dial(to, carrier="twilio", *more):
        return run_uvcall("dial", to, "--provider", carrier, *more, "--json", "-q", env=env).json

    return _dial


def test_nothing_has_been_attempted(run_uvcall):
    ran = run_uvcall("calls", "list")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "no attempt to call anybody\n")
    ran = run_uvcall("calls", "list", "--json")
    assert (ran.code, ran.json, ran.stderr) == (0, [], "")
    assert run_uvcall("calls", "list", "--provider", "plivo").stderr == "no attempt to call anybody like that\n"


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_trail_holds_what_dial_said(run_uvcall, dial, carrier):
    said = dial(BUSY, carrier)
    [told] = run_uvcall("calls", "list", "--json").json
    assert told.keys() == {*as_json(CallRecord(Outcome.BUSY, 10, "yes", "", "", "")), "state", "assumed_by"}
    # Plivo's console shows another id than Plivo gave to the order; the journal has both.
    assert said["carrier_call_id"] in {told["carrier_call_id"], *told["carrier_ids"].values()}
    same = told.keys() - {"carrier_call_id", "created_at", "state", "assumed_by"}
    assert {name: told[name] for name in same} == {name: said[name] for name in same}
    assert (told["state"], told["transcript"], told["next"]) == ("ended", [], None)


def test_the_table_is_aligned_and_newest_first(run_uvcall, dial):
    first, second = dial(BUSY, "telnyx"), dial(REJECTS, "plivo")
    ran = run_uvcall("calls", "list")
    head, *rows = ran.stdout.splitlines()
    assert head.split("  ")[0] == "begun (UTC)"
    assert [row.split()[2:7] for row in rows] == [
        [second["attempt_id"][:8], REJECTS, "plivo", "rejected", "ended"],
        [first["attempt_id"][:8], BUSY, "telnyx", "busy", "ended"],
    ]
    for word in ("attempt", "to", "via", "outcome", "state"):
        column = head.index(f" {word} ") + 1
        assert all(row[column - 1] == " " and row[column] != " " for row in rows)
    assert not re.search(r" $", ran.stdout, re.MULTILINE)


def test_the_filters(run_uvcall, dial, env):
    busy, rejected = dial(BUSY, "telnyx"), dial(REJECTS, "plivo")
    refused = dial(ANSWERS, "twilio", "--from", "+12025550150", "--detach")

    def ids(*argv):
        return [told["attempt_id"] for told in run_uvcall("calls", "list", "--json", *argv).json]

    every = [refused["attempt_id"], rejected["attempt_id"], busy["attempt_id"]]
    assert ids() == every
    assert ids("--limit", "2") == every[:2]
    assert ids("--provider", "plivo") == [rejected["attempt_id"]]
    assert ids("--to", BUSY) == [busy["attempt_id"]]
    assert ids("--outcome", "busy") == [busy["attempt_id"]]
    assert ids("--outcome", "unknown") == []
    assert ids("--since", "1h") == every
    assert ids("--until", "1h") == []
    assert ids("--until", busy["created_at"]) == []
    assert ids("--since", "2020-01-01", "--until", "2120-01-01T00:00+02:00", "--outcome", "rejected") == [
        rejected["attempt_id"]
    ]


def test_an_attempt_whose_end_nobody_knows(run_uvcall, env, sandbox, home, dial):
    accepted = dial(BUSY, "twilio", "--detach")
    with closing(sqlite3.connect(home / "uvcall" / "journal.db", isolation_level=None)) as database:
        database.execute("UPDATE attempts SET outcome = NULL, exit_code = NULL")  # as after a SIGKILL
    for outcome, found in (("unobserved", 1), ("unknown", 0), ("accepted", 0)):
        assert len(run_uvcall("calls", "list", "--outcome", outcome, "--json").json) == found
    [told] = run_uvcall("calls", "list", "--json").json
    assert (told["outcome"], told["placed"], told["retry_safe"], told["state"]) == (
        "unobserved", "yes", False, "placed"
    )  # fmt: skip
    assert told["next"] == f"uvcall reconcile {accepted['attempt_id']}"


@pytest.mark.parametrize(
    "argv",
    [
        ("list", "--since", "yesterday"),
        ("list", "--until", "2026-13-01"),
        ("list", "--limit", "0"),
        ("list", "--outcome", "bussy"),
        ("list", "--provider", "vonage"),
        ("show",),
        ("show", "0123456789"),
        ("show", "é"),
        ("show", "\udc80"),
    ],
)
def test_what_is_wrong_on_the_command_line(run_uvcall, argv):
    ran = run_uvcall("calls", *argv)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr
    assert "Traceback" not in ran.stderr


def test_points_in_time():
    assert instant(None, "--since") is None
    assert instant("2026-11-22", "--since") == datetime(2026, 11, 22, tzinfo=UTC)
    assert instant("2026-11-22T10:00:00+01:00", "--since") == datetime(2026, 11, 22, 9, tzinfo=UTC)
    before = datetime.now(UTC) - timedelta(minutes=90)
    assert timedelta() <= instant("1h30m", "--since") - before < timedelta(minutes=1)
    for text in ("999999999h", "now", ""):
        with pytest.raises(UsageError, match="--since"):
            instant(text, "--since")


@pytest.mark.parametrize("carrier", ["plivo"])
def test_one_attempt_with_its_steps(run_uvcall, dial, carrier):
    said = dial(BUSY, carrier)
    shown = run_uvcall("calls", "show", said["attempt_id"], "--json")
    told = shown.json
    assert (shown.code, told["outcome"], told["attempt_id"]) == (0, "busy", said["attempt_id"])
    steps = [step["step"] for step in told["steps"]]
    assert (steps[0], steps[-3:]) == ("intent", ["leg_intent", "placed", "ended"])
    assert told["steps"][-1]["facts"]["outcome"] == "busy"
    assert told["command"].startswith("dial")
    for text in (said["attempt_id"][:8], said["attempt_id"].upper(), said["ultravox_call_id"], said["carrier_call_id"]):
        assert run_uvcall("calls", "show", text, "--json").json == told

    plain = run_uvcall("calls", "show", said["attempt_id"]).stdout
    facts, _, trail = plain.partition("\n\n")
    assert re.search(rf"^attempt_id +{said['attempt_id']}$", facts, re.MULTILINE)
    assert re.search(r"^outcome +busy$", facts, re.MULTILINE)
    assert "recording" not in facts
    assert [line.split()[1] for line in trail.splitlines()] == steps


def test_refresh_settles_what_was_left_open(run_uvcall, dial, env, sandbox):
    said = dial(BUSY, "twilio", "--detach")
    before = run_uvcall("calls", "show", said["attempt_id"], "--json").json
    assert (before["outcome"], before["state"]) == ("accepted", "placed")
    now = before
    while now["state"] != "ended":  # the line is busy a moment later
        ran = run_uvcall("calls", "show", said["attempt_id"], "--refresh", "--json", "-q", env=env)
        now = ran.json
        assert (ran.code, ran.stderr) == (0, "")
    assert (now["outcome"], now["steps"][-1]["step"]) == ("busy", "ended")
    assert run_uvcall("calls", "show", said["attempt_id"], "--json").json == now


@pytest.mark.parametrize("carrier", ["twilio"])
def test_refresh_after_the_end_adds_a_step_at_most(run_uvcall, dial, env, carrier):
    said = dial(ANSWERS, carrier)
    first = run_uvcall("calls", "show", said["attempt_id"], "--refresh", "--json", env=env)
    assert (first.code, first.json["outcome"]) == (0, "completed")
    assert {step["step"] for step in first.json["steps"][-1:]} <= {"ended", "refreshed"}
    second = run_uvcall("calls", "show", said["attempt_id"], "--refresh", "--json", env=env)
    assert second.json == first.json


def test_refresh_when_nobody_can_be_asked(run_uvcall, dial):
    said = dial(BUSY, "twilio")
    ran = run_uvcall("calls", "show", said["attempt_id"], "--refresh", "--json")
    assert (ran.code, ran.json["outcome"], "twilio" in ran.stderr) == (4, "busy", True)


def test_refresh_of_what_was_never_placed(run_uvcall, dial, env):
    wrong = {**env, "TWILIO_AUTH_TOKEN": "sandbox-wrong-0000"}
    said = run_uvcall("dial", ANSWERS, "--provider", "twilio", "--json", "-q", env=wrong).json
    assert said["placed"] == "no"
    ran = run_uvcall("calls", "show", said["attempt_id"], "--refresh", "--json", env=env)
    assert (ran.code, ran.json["outcome"]) == (0, said["outcome"])
    assert "nobody to ask" in ran.stderr


def test_no_peer_writes_to_the_terminal(run_uvcall, dial, home):
    """The journal is a file: whoever can write to it must not thereby write to a terminal."""
    said = dial(BUSY)
    with closing(sqlite3.connect(home / "uvcall" / "journal.db", isolation_level=None)) as database:
        database.execute("UPDATE attempts SET end_reason = ?", ("a\x1b]0;x\x07\nb\u202e",))
    for argv in (["list"], ["show", said["attempt_id"]]):
        ran = run_uvcall("calls", *argv)
        assert ran.code == 0
        assert not set(ran.stdout) & {"\x1b", "\x07", "\u202e"}
        assert r"a\x1b]0;x\x07 b" in ran.stdout
    assert "\x1b" not in run_uvcall("calls", "list", "--json").stdout


def test_no_secret_is_in_the_journal(run_uvcall, dial, env, home):
    dial(ANSWERS, "plivo")
    shown = run_uvcall("calls", "list", "--json").stdout
    with open_journal(home / "uvcall") as journal:
        files = b"".join(path.read_bytes() for path in journal.path.parent.glob("journal.db*"))
    for name, value in env.items():
        if "KEY" in name or "TOKEN" in name:
            assert value not in shown
            assert value.encode() not in files
    assert b"ws://" not in files
    assert b"wss://" not in files
