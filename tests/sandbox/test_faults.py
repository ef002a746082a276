"""Faults on purpose: their language, their repeatability, and what a client sees of each."""

from __future__ import annotations

import time
from datetime import datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.errors import UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.faults import FAULTS, LATE_S, PEERS, FaultPlan, Faults, parse_faults

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


def at_webhook(running, peer, url):
    """Let a busy number be called, whose carrier tells of it at the URL."""
    path, fields = CREATES[peer]
    kind = "data" if "data" in fields else "json"
    told = {"telnyx": {"webhook_url": url}, "twilio": {"StatusCallback": url}, "plivo": {"hangup_url": url}}[peer]
    to = {"twilio": {"To": "+12025550101"}}.get(peer, {"to": "+12025550101"})
    body = {**fields[kind], **told, **to}
    answer = httpx.post(f"{running.ready['ultravox']}{path}", **AUTH[peer], **{kind: body}, timeout=5)
    assert answer.status_code < 300, answer.text


@pytest.mark.parametrize("peer", list(CREATES))
def test_a_webhook_comes_twice(run_sandbox, mailbox, until, peer):
    running = run_sandbox(faults=f"{peer}.duplicate-webhook=1")
    at_webhook(running, peer, f"{mailbox.url}/hook")
    count = {"telnyx": 4}.get(peer, 2)  # Telnyx tells of the beginning, too
    until(lambda: len(mailbox.at("/hook")) == count)
    bodies = [mail.data["data"]["id"] if peer == "telnyx" else mail.body for mail in mailbox.at("/hook")]
    assert sorted(bodies.count(body) for body in bodies) == [2] * count
    assert all("fault" in event for event in running.history() if event["type"] == "fault")


@pytest.mark.parametrize("peer", list(CREATES))
def test_a_webhook_comes_late(run_sandbox, mailbox, until, peer):
    running = run_sandbox(faults=f"{peer}.late-webhook=1")
    at_webhook(running, peer, f"{mailbox.url}/hook")
    until(lambda: mailbox.at("/hook"))
    until(lambda: any(event["type"] == "webhook" for event in running.history()))
    at = {event["type"]: datetime.fromisoformat(event["at"]) for event in reversed(running.history())}
    assert (at["webhook"] - at["fault"]).total_seconds() >= LATE_S


def test_ultravoxs_webhooks_are_struck_too(run_sandbox, mailbox, until, join_url):
    running = run_sandbox(faults="ultravox.duplicate-webhook=1")
    callbacks = {"ended": {"url": f"{mailbox.url}/uv"}}
    join_url(running, "twilio", callbacks=callbacks, joinTimeout="1s")
    until(lambda: len(mailbox.at("/uv")) == 2)
    first, second = mailbox.at("/uv")
    assert first.body == second.body


@pytest.mark.parametrize("peer", ["twilio", "ultravox"])
def test_a_stream_drops_and_a_join_fails(run_sandbox, until, join_url, peer):
    def call(fault):
        running = run_sandbox(faults=f"{peer}.{fault}=1")
        path, fields = CREATES["twilio"]
        twiml = f'<Response><Connect><Stream url="{join_url(running, "twilio")}"/></Connect></Response>'
        body = {**fields["data"], "Twiml": twiml}
        httpx.post(f"{running.ready['ultravox']}{path}", **AUTH["twilio"], data=body, timeout=5)
        until(lambda: [e for e in running.history() if e["type"] == "call.ended" and e["peer"] == "twilio"])
        assert [e["fault"] for e in running.history() if e["type"] == "fault"] == [fault]
        return running.history()

    (stopped,) = [event for event in call("stream-drop") if event["type"] == "media.stopped"]
    assert stopped["how"] == "broken"
    history = call("join-failed")
    (refused,) = [event for event in history if event["type"] == "media.refused"]
    assert refused["detail"] == {"twilio": "no connection", "ultravox": "HTTP 503"}[peer]
    assert not [event for event in history if event["type"] == "call.joined"]


def test_what_strikes_where_does_not_shift_the_rest():
    faults, alone = (Faults(parse_faults("on"), 7) for _ in range(2))

    def run(faults, more):
        found = []
        for _ in range(300):
            found.append(faults.choose("telnyx", creates=True))
            if more:
                faults.choose("twilio")
                faults.choose("telnyx", "webhook")
        return found

    assert run(faults, more=True) == run(alone, more=False)


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
