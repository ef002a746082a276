"""`uvcall reconcile` after a real `uvcall dial` was killed: what became of the call, and that nobody is rung again."""

import json
import os
import signal
import sqlite3
import time
import urllib.request
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from support.vendor import says, serving

CARRIERS = ("telnyx", "twilio", "plivo")
RINGS, ANSWERS, BUSY = "+12025550102", "+12025550100", "+12025550101"


@pytest.fixture
def env(sandbox):
    return sandbox.ready["env"]


@pytest.fixture
def events(sandbox):
    """Return what the peers saw of a kind, oldest first; of calls what the carrier saw, where it is named."""

    def _events(kind, peer=None):
        return [e for e in sandbox.history() if e["type"] == kind and peer in {None, e["peer"]}]

    return _events


@pytest.fixture
def faults(sandbox):
    """Set the sandbox's faults; none are left at the end."""

    def _faults(text):
        data = json.dumps({"faults": text}).encode()
        url = f"{sandbox.ready['ultravox']}/_sandbox/faults"
        with urllib.request.urlopen(urllib.request.Request(url, data, method="POST"), timeout=10):
            pass

    yield _faults
    _faults("off")


@pytest.fixture
def killed(start_uvcall, env):
    """Dial, and kill the process with SIGKILL as soon as it has said a line that begins so."""

    def _killed(when, *argv, env=env):
        process = start_uvcall("dial", *argv, env=env)
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(when):
                break
        else:
            pytest.fail(f"dial never said {when!r}: {said}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    return _killed


@pytest.fixture
def journal(home):
    """Run SQL on the journal."""

    def _journal(statement, *values):
        with closing(sqlite3.connect(home / "uvcall" / "journal.db", isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    return _journal


@pytest.fixture
def aged(journal):
    """Move an open attempt into the past."""

    def _aged(**by):
        for column in ("leg_at", "death_at"):
            for seq, text in journal(f"SELECT seq, {column} FROM attempts WHERE blocks_number"):
                then = datetime.fromisoformat(text) - timedelta(**by)
                stamp = then.isoformat(timespec="microseconds").replace("+00:00", "Z")
                journal(f"UPDATE attempts SET {column} = ? WHERE seq = ?", stamp, seq)

    return _aged


def until(found):
    deadline = time.monotonic() + 15
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result


@pytest.mark.parametrize("carrier", CARRIERS)
def test_killed_while_it_rings(run_uvcall, killed, env, events, carrier):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    left = run_uvcall("reconcile", "--json", env=env)
    attempt = left.json[0]
    assert (left.code, attempt["action"], attempt["state"], attempt["placed"]) == (0, "leave", "placed", "yes")
    assert attempt["next"] == f"uvcall reconcile {attempt['attempt_id']}"
    again = run_uvcall("dial", RINGS, "--provider", carrier, env=env)
    assert (again.code, "duplicate" in again.stderr) == (3, True)
    ended = run_uvcall("reconcile", "--hang-up", "--json", env=env)
    assert (ended.code, ended.json[0]["action"], ended.json[0]["outcome"]) == (0, "hang_up", "no_answer")
    assert len(events("call.placed")) == len(events("call.ended", carrier)) == 1
    nothing = run_uvcall("reconcile", env=env)
    assert (nothing.code, nothing.stdout, nothing.stderr) == (0, "", "no attempt is open\n")


@pytest.fixture(scope="module")
def unhurried():
    """A sandbox in which a call takes long enough to die in the middle of it."""
    from uvcall.sandbox.app import start
    from uvcall.sandbox.world import Options

    with start(Options(speed=2, seed=1)) as running:
        yield running


@pytest.mark.parametrize("carrier", CARRIERS)
def test_killed_in_mid_call(run_uvcall, killed, unhurried, carrier):
    env = unhurried.ready["env"]
    before = len(unhurried.history())

    def events(kind):
        return [e for e in unhurried.history()[before:] if (e["peer"], e["type"]) == (carrier, kind)]

    killed("talking", ANSWERS, "--provider", carrier, env=env)
    until(lambda: events("call.ended"))
    ran = run_uvcall("reconcile", "--json", env=env)
    [attempt] = ran.json
    assert (ran.code, attempt["action"], attempt["outcome"], attempt["exit_code"]) == (0, "end", "completed", 0)
    assert attempt["answered_at"]
    assert attempt["ended_at"]
    placed = events("call.placed")
    assert len(placed) == 1
    assert placed[0]["carrier_call_id"] in {attempt["carrier_call_id"], *attempt["carrier_ids"].values()}
    assert run_uvcall("dial", BUSY, "--provider", carrier, env=env).code == 10


@pytest.mark.parametrize("carrier", CARRIERS)
def test_killed_while_a_lost_call_is_looked_for(run_uvcall, killed, env, events, faults, carrier):
    # Every other request is slow, so that the process dies before it has found the leg.
    faults(f"{carrier}.server-error-after=1,{carrier}.slow=1")
    killed("no answer from the carrier", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    faults("off")
    ran = run_uvcall("reconcile", "--json", env=env)
    [attempt] = ran.json
    assert (ran.code, attempt["action"], attempt["state"]) == (0, "leave", "placed")
    placed = events("call.placed")
    assert len(placed) == 1
    assert placed[0]["carrier_call_id"] in {attempt["carrier_call_id"], *attempt["carrier_ids"].values()}
    ended = run_uvcall("reconcile", attempt["carrier_call_id"], "--hang-up", "--json", env=env)
    assert (ended.code, ended.json[0]["outcome"]) == (0, "no_answer")
    assert len(events("call.ended", carrier)) == 1


@pytest.mark.parametrize("carrier", ["twilio"])
def test_killed_before_the_carrier_was_asked(run_uvcall, killed, env, events, faults, carrier):
    faults(f"{carrier}.rate-limit=1")
    killed("agent ready", ANSWERS, "--provider", carrier)
    ran = run_uvcall("reconcile", "--json", env=env)
    [attempt] = ran.json
    if attempt["action"] == "close":
        assert (ran.code, attempt["placed"], attempt["retry_safe"], attempt["state"]) == (0, "no", True, "ended")
    else:  # it died between the intent and the refusal, which it has not read: nobody can know
        assert (ran.code, attempt["action"], attempt["placed"]) == (75, "unread", "unknown")
    assert events("call.placed") == []


@pytest.mark.parametrize("carrier", CARRIERS)
def test_never_placed_and_never_known(run_uvcall, env, events, faults, aged, journal, carrier):
    faults(f"{carrier}.server-error=1")
    dialed = run_uvcall("dial", ANSWERS, "--provider", carrier, "--settle", "0s", "--json", "-q", env=env)
    assert (dialed.code, dialed.json["placed"]) == (20, "unknown")
    attempt_id = dialed.json["attempt_id"]
    before = journal("SELECT * FROM steps")

    unread = run_uvcall("reconcile", "--json", env=env)
    assert (unread.code, unread.json[0]["action"], unread.json[0]["error"]["code"]) == (75, "unread", "temporary")
    assumed = run_uvcall("reconcile", "--assume-not-placed", attempt_id, "--json", env=env)
    assert (assumed.code, assumed.json[0]["placed"]) == (75, "unknown")
    assert journal("SELECT * FROM steps") == before

    faults("off")
    early = run_uvcall("reconcile", "--assume-not-placed", attempt_id, "--json", env=env)
    assert (early.code, early.json[0]["action"]) == (20, "wait")
    assert early.json[0]["error"]["code"] == "policy_refused"
    aged(seconds=120)
    kept = run_uvcall("reconcile", "--json", env=env)
    assert (kept.code, kept.json[0]["action"], kept.json[0]["state"]) == (20, "keep", "unknown")
    assert kept.json[0]["next"] == f"uvcall reconcile --assume-not-placed {attempt_id}"
    assert run_uvcall("dial", ANSWERS, "--provider", carrier, env=env).code == 3

    words = kept.json[0]["next"].split()[1:]
    ended = run_uvcall(*words, "--json", env=env)
    assert (ended.code, ended.json[0]["action"], ended.json[0]["placed"]) == (0, "assume", "no")
    assert ended.json[0]["assumed_by"]
    assert events("call.placed") == []
    assert run_uvcall("dial", ANSWERS, "--provider", carrier, env=env).code == 0


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_the_carrier_has_forgotten_is_released(run_uvcall, killed, env, sandbox_server, aged, carrier):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    url = f"{sandbox_server.ready['ultravox']}/_sandbox/reset"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
        pass
    if carrier != "telnyx":  # which answers 404 for a call that is over, and remembers it for ten minutes only
        left = run_uvcall("reconcile", "--json", env=env)
        assert (left.code, left.json[0]["action"], left.json[0]["state"]) == (0, "leave", "placed")
    aged(hours=1)
    ended = run_uvcall("reconcile", "--json", env=env)
    assert (ended.code, ended.json[0]["action"]) == (0, "end" if carrier == "telnyx" else "release")
    assert (ended.json[0]["outcome"], ended.json[0]["exit_code"], ended.json[0]["placed"]) == ("unobserved", 21, "yes")


@pytest.mark.parametrize("carrier", ["plivo"])
def test_a_leg_past_its_death_date_is_hung_up(run_uvcall, killed, env, events, aged, carrier):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    aged(hours=1)
    ran = run_uvcall("reconcile", env=env)
    assert ran.code == 0
    assert "hung up; ended: no_answer" in ran.stdout
    assert len(events("call.ended", carrier)) == 1


@pytest.mark.parametrize("carrier", CARRIERS)
def test_ultravox_dialed(run_uvcall, killed, unhurried, carrier):
    env = unhurried.ready["env"]
    before = len(unhurried.history())
    killed("ringing", RINGS, "--provider", carrier, "--via", "ultravox", env=env)
    left = run_uvcall("reconcile", "--json", env=env)
    assert (left.code, left.json[0]["action"], left.json[0]["placed"]) == (0, "leave", "yes")
    ended = run_uvcall("reconcile", "--hang-up", "--json", env=env)
    assert (ended.code, ended.json[0]["action"], ended.json[0]["outcome"]) == (0, "hang_up", "no_answer")
    seen = [event["type"] for event in unhurried.history()[before:] if event["peer"] == carrier]
    assert (seen.count("call.placed"), seen.count("call.ended")) == (1, 1)


# ---- vendors that ask for a pause


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_carrier_that_asks_for_a_pause_is_waited_for(start_uvcall, killed, env, events, faults, carrier):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    faults(f"{carrier}.rate-limit=1")
    before = len(events("fault", carrier))
    process = start_uvcall("reconcile", "--hang-up", "--json", env=env)
    until(lambda: len(events("fault", carrier)) > before)
    faults("off")
    out, _ = process.communicate(timeout=50)
    [attempt] = json.loads(out)
    assert (process.returncode, attempt["action"], attempt["outcome"]) == (0, "hang_up", "no_answer")


@pytest.mark.parametrize(
    ("carrier", "pause"),
    [("telnyx", "86400"), ("twilio", "Fri, 31 Dec 2099 23:59:59 GMT"), ("plivo", "999999999.5")],
)
def test_a_carrier_that_asks_for_a_day_is_not_waited_for(run_uvcall, killed, env, journal, carrier, pause):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s")
    before = journal("SELECT * FROM steps")
    with serving() as vendor:
        too_many = says(429, {"message": "Too many requests", "code": 20429}, headers={"Retry-After": pause})
        vendor.will(*[too_many] * 20)
        base = vendor.url + ("/v2" if carrier == "telnyx" else "")
        ran = run_uvcall("reconcile", "--json", env={**env, f"UVCALL_{carrier.upper()}_BASE_URL": base})
        asked = len(vendor.heard)
    assert (ran.code, ran.json[0]["action"], ran.json[0]["error"]["status"]) == (75, "unread", 429)
    assert asked == 1
    assert journal("SELECT * FROM steps") == before


# ---- the next dial looks by itself


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_next_dial_settles_what_is_over_and_goes_on(run_uvcall, killed, unhurried, carrier):
    env = unhurried.ready["env"]
    number = "+12025550130"  # answers too, and no call of another test is in the carrier's list
    before = len(unhurried.history())

    def events(kind):
        return [e for e in unhurried.history()[before:] if (e["peer"], e["type"]) == (carrier, kind)]

    killed("talking", number, "--provider", carrier, "--idempotency-key", "k", env=env)
    until(lambda: events("call.ended"))
    same = run_uvcall("dial", number, "--provider", carrier, "--idempotency-key", "k", "--json", env=env)
    assert (same.code, same.json["outcome"], len(events("call.placed"))) == (0, "completed", 1)
    assert events("call.placed")[0]["carrier_call_id"] in {
        same.json["carrier_call_id"],
        *same.json["carrier_ids"].values(),
    }
    assert "was left open" in same.stderr
    other = run_uvcall("dial", number, "--provider", carrier, "--detach", env=env)
    assert (other.code, len(events("call.placed"))) == (0, 2)
    assert "was left open" not in other.stderr
    assert run_uvcall("reconcile", "--hang-up", env=env).code == 0
    until(lambda: len(events("call.ended")) == 2)  # other tests have the same sandbox


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_next_dial_is_refused_while_the_phone_rings(run_uvcall, killed, env, events, carrier):
    killed("ringing", RINGS, "--provider", carrier, "--ring-timeout", "600s", "--idempotency-key", "k")
    for more in ([], ["--idempotency-key", "k"]):
        again = run_uvcall("dial", RINGS, "--provider", carrier, "--ring-timeout", "600s", *more, "--json", env=env)
        assert (again.code, again.json["placed"], again.json["outcome"]) == (3, "no", "policy_refused")
        assert "uvcall reconcile" in again.json["error"]["hint"]
        assert "left alone" in again.stderr
    assert (len(events("call.placed")), events("call.ended")) == (1, [])
    [attempt] = run_uvcall("calls", "list", "--json").json
    assert (attempt["state"], attempt["placed"]) == ("placed", "yes")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_next_dial_is_refused_while_nobody_knows(run_uvcall, killed, env, events, faults, carrier):
    faults(f"{carrier}.server-error=1")
    killed("no answer from the carrier", ANSWERS, "--provider", carrier)
    asked = len(events("request", carrier))
    again = run_uvcall("dial", ANSWERS, "--provider", carrier, "--json", env=env)
    assert (again.code, again.json["placed"]) == (3, "no")
    assert "not settled" in again.stderr
    assert len(events("request", carrier)) > asked
    faults("off")
    again = run_uvcall("dial", ANSWERS, "--provider", carrier, "--json", env=env)
    assert (again.code, "uvcall reconcile" in again.json["error"]["hint"]) == (3, True)
    assert events("call.placed") == []


def test_a_detached_call_is_settled_when_it_is_over(run_uvcall, env, events):
    dialed = run_uvcall("dial", BUSY, "--provider", "twilio", "--detach", "--json", "-q", env=env)
    assert dialed.json["outcome"] == "accepted"
    until(lambda: events("call.ended", "twilio"))
    ran = run_uvcall("reconcile", dialed.json["attempt_id"][:8], env=env)
    assert ran.code == 0
    assert ran.stdout == f"{dialed.json['attempt_id'][:8]}  {BUSY} via twilio: ended: busy\n"


def test_an_attempt_whose_process_lives_is_left_to_it(start_uvcall, run_uvcall, env, events):
    process = start_uvcall("dial", RINGS, "--provider", "telnyx", "--ring-timeout", "600s", "--json", env=env)
    for line in process.stderr:
        if line.startswith("ringing"):
            break
    ran = run_uvcall("reconcile", "--hang-up", "--json", env=env)
    [attempt] = ran.json
    assert (ran.code, attempt["action"], str(process.pid) in attempt["message"]) == (0, "owned", True)
    assert events("call.ended") == []
    assumed = run_uvcall("reconcile", "--assume-not-placed", attempt["attempt_id"], env=env)
    assert assumed.code == 3
    assert "cannot be taken for not placed" in assumed.stderr
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert json.loads(out)["outcome"] == "interrupted"
    assert run_uvcall("reconcile", env=env).stderr == "no attempt is open\n"


def test_nothing_to_do(run_uvcall, env):
    ran = run_uvcall("reconcile", "--json")
    assert (ran.code, ran.json) == (0, [])


@pytest.mark.parametrize("argv", [["0123456789"], ["--assume-not-placed", "0123456789"], ["\u202e"]])
def test_an_id_that_there_is_not(run_uvcall, argv):
    ran = run_uvcall("reconcile", *argv)
    assert (ran.code, ran.stdout) == (2, "")
    assert "calls list" in ran.stderr


def test_without_credentials_nothing_is_changed(run_uvcall, killed, env):
    killed("ringing", RINGS, "--provider", "twilio", "--ring-timeout", "600s")
    ran = run_uvcall("reconcile")
    assert (ran.code, "not settled" in ran.stdout, "twilio" in ran.stderr) == (4, True, True)
    wrong = {**env, "UVCALL_TWILIO_BASE_URL": "http://twilio.example"}
    assert run_uvcall("reconcile", env=wrong).code == 6
    assert run_uvcall("reconcile", "--hang-up", env=env).code == 0


def test_a_damaged_journal_is_refused(run_uvcall, home, env):
    (home / "uvcall").mkdir(mode=0o700)
    (home / "uvcall" / "journal.db").write_bytes(b"no journal" * 500)
    (home / "uvcall" / "journal.db").chmod(0o600)
    for argv in (["reconcile"], ["calls", "list"], ["calls", "show", "0123456789"]):
        ran = run_uvcall(*argv, env=env)
        assert (ran.code, ran.stdout) == (7, "")
