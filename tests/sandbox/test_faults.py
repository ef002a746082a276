"""Faults on purpose: their language, their repeatability, and what a client sees of each."""

from __future__ import annotations

import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.errors import UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.faults import FAULTS, PEERS, FaultPlan, Faults, parse_faults

PAUSE = "<Response><Pause length='1'/></Response>"
CREATES = {
    "telnyx": (
        "/v2/calls",
        {"json": {"connection_id": c.TELNYX_CONNECTION_ID, "to": "+12025550100", "from": c.TELNYX_FROM}},
    ),
    "twilio": (
        f"/2010-04-01/Accounts/{c.TWILIO_ACCOUNT_SID}/Calls.json",
        {"data": {"To": "+12025550100", "From": c.TWILIO_FROM, "Twiml": PAUSE}},
    ),
    "plivo": (
        f"/v1/Account/{c.PLIVO_AUTH_ID}/Call/",
        {"json": {"to": "+12025550100", "from": c.PLIVO_FROM, "answer_url": "http://127.0.0.1:1/"}},
    ),
}
AUTH = {
    "telnyx": {"headers": {"Authorization": f"Bearer {c.TELNYX_API_KEY}"}},
    "twilio": {"auth": (c.TWILIO_ACCOUNT_SID, c.TWILIO_AUTH_TOKEN)},
    "plivo": {"auth": (c.PLIVO_AUTH_ID, c.PLIVO_AUTH_TOKEN)},
}


def create(running, peer):
    path, fields = CREATES[peer]
    return httpx.post(f"{running.ready['ultravox']}{path}", **AUTH[peer], **fields, timeout=5)


def placed(running):
    return sum(event["type"] == "call.placed" for event in running.history())


def test_off_and_on():
    assert parse_faults("off").rates == parse_faults("").rates == {}
    on = parse_faults("on")
    assert set(on.rates) == {(peer, name) for peer in PEERS for name in FAULTS}
    assert all(0 < rate < 0.2 for rate in on.rates.values())


def test_a_fault_may_be_one_peers_alone():
    assert parse_faults("telnyx.lost-reply=0.5, slow=1").rates == {
        ("telnyx", "lost-reply"): 0.5,
        **{(peer, "slow"): 1.0 for peer in PEERS},
    }


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lost-replies=1", "did you mean lost-reply?"),
        ("explode=1", "there are: rate-limit"),
        ("vonage.slow=1", "there are: ultravox"),
        ("slow=1.5", "from 0 to 1"),
        ("slow", "for example"),
        ("slow=-1", "for example"),
        ("slow=1,,", "for example"),
        ("slow=1\n", None),
    ],
)
def test_what_is_no_plan_is_refused_with_a_hint(text, hint):
    if hint is None:
        assert parse_faults(text).rates
        return
    with pytest.raises(UsageError) as caught:
        parse_faults(text)
    assert hint in caught.value.hint


@given(
    st.dictionaries(st.tuples(st.sampled_from(PEERS), st.sampled_from(list(FAULTS))), st.sampled_from([0.0, 0.25, 1.0]))
)
def test_a_plan_reads_its_own_text(rates):
    assert parse_faults(FaultPlan(rates).as_text()).rates == rates


def test_the_same_seed_gives_the_same_faults():
    plan = parse_faults("on")

    def run(faults):
        return [(f := faults.choose("telnyx", creates=True)) and f.name for _ in range(300)]

    first = Faults(plan, 7)
    names = run(first)
    first.restart()
    assert run(first) == names == run(Faults(plan, 7)) != run(Faults(plan, 8))
    assert {*names} - {None}


@pytest.mark.parametrize("peer", list(CREATES))
@pytest.mark.parametrize(
    ("fault", "status", "rings"), [("rate-limit", 429, 0), ("server-error", 500, 0), ("server-error-after", 500, 1)]
)
def test_refusals_are_in_the_peers_own_words(run_sandbox, peer, fault, status, rings):
    running = run_sandbox(faults=f"{fault}=1")
    answer = create(running, peer)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) is (status == 429)
    keys = {"telnyx": {"errors"}, "twilio": {"code", "message", "more_info", "status"}, "plivo": {"api_id", "error"}}
    assert set(answer.json()) == keys[peer]
    assert placed(running) == rings
    assert [e["fault"] for e in running.history() if e["type"] == "fault"] == [fault]


@pytest.mark.parametrize("peer", list(CREATES))
def test_a_lost_reply_and_a_reset(run_sandbox, peer):
    lost = run_sandbox(faults="lost-reply=1")
    with pytest.raises(httpx.RemoteProtocolError):
        create(lost, peer)
    assert placed(lost) == 1
    reset = run_sandbox(faults="reset=1")
    with pytest.raises(httpx.ReadError):
        create(reset, peer)
    assert placed(reset) == 0


def test_a_slow_answer_arrives(run_sandbox):
    running = run_sandbox(faults="twilio.slow=1", speed=10.0)
    begun = time.monotonic()
    assert create(running, "twilio").status_code == 201
    assert 0.29 < time.monotonic() - begun < 2


def test_ultravox_has_faults_too(run_sandbox):
    running = run_sandbox(faults="ultravox.rate-limit=1")
    answer = httpx.get(f"{running.ready['ultravox']}/api/accounts/me", headers={"X-API-Key": c.ULTRAVOX_API_KEY})
    assert (answer.status_code, answer.headers["Retry-After"], set(answer.json())) == (429, "1", {"detail"})


def test_faults_can_be_set_while_it_runs(run_sandbox):
    running = run_sandbox()
    url = f"{running.ready['telnyx']}/_sandbox/faults"
    assert httpx.get(url).json() == {"faults": "off"}
    assert httpx.post(url, json={"faults": "twilio.rate-limit=1"}).json() == {"faults": "twilio.rate-limit=1"}
    assert create(running, "twilio").status_code == 429
    assert create(running, "telnyx").status_code == 200
    for wrong in ({"faults": "nonsense=1"}, {"faults": 1}, []):
        assert httpx.post(url, json=wrong).status_code == 400
    assert httpx.post(url, json={"faults": "off"}).json() == {"faults": "off"}
    assert create(running, "twilio").status_code == 201
