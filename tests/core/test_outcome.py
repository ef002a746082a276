"""Outcomes and exit codes, against the contract's table written out again."""

import itertools
import json
from datetime import timedelta

import pytest

from uvcall import errors
from uvcall.core.model import CallRecord, Cause, LegState, LegStatus, Line, Outcome, UltravoxCall
from uvcall.core.outcome import ENDINGS, JOINED, UNANSWERED, as_json, decide, failure, outcome_of

CONTRACT = {
    "completed": (0, "yes"),
    "accepted": (0, "yes"),
    "internal_error": (1, None),
    "usage": (2, "no"),
    "policy_refused": (3, "no"),
    "auth_error": (4, "no"),
    "provider_refused": (5, "no"),
    "config_error": (6, "no"),
    "local_error": (7, "no"),
    "busy": (10, "yes"),
    "no_answer": (11, "yes"),
    "failed": (12, "yes"),
    "voicemail": (13, "yes"),
    "rejected": (14, "yes"),
    "silent": (15, "yes"),
    "agent_failed": (16, "yes"),
    "max_duration": (17, "yes"),
    "unknown": (20, "unknown"),
    "unobserved": (21, "yes"),
    "temporary": (75, "no"),
    "interrupted": (130, None),
}


def test_the_table_is_the_contracts():
    assert {o.value: (e.exit_code, e.placed) for o, e in ENDINGS.items()} == CONTRACT
    assert set(ENDINGS) == set(Outcome)


def test_tables_are_total():
    assert set(UNANSWERED) == set(Cause)
    documented = {"unjoined", "hangup", "agent_hangup", "timeout", "connection_error", "system_error", None}
    assert set(JOINED) == documented


@pytest.fixture
def joined(instant):
    def make(reason):
        return UltravoxCall("c", joined_at=instant, ended_at=instant, end_reason=reason)

    return make


UNJOINED = UltravoxCall("c", end_reason="unjoined")


def ended(cause, **more):
    return LegStatus(LegState.ENDED, cause=cause, raw=f"raw {cause}", **more)


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        (Cause.BUSY, "busy"),
        (Cause.NO_ANSWER, "no_answer"),
        (Cause.REJECTED, "rejected"),
        (Cause.FAILED, "failed"),
        (Cause.CANCELED, "no_answer"),
        (Cause.MACHINE, "voicemail"),
        (Cause.UNKNOWN, "failed"),
    ],
)
def test_unanswered(cause, outcome):
    assert decide(ended(cause), None) == (Outcome(outcome), f"raw {cause}")
    assert decide(ended(cause), UNJOINED)[0] is Outcome(outcome)


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("hangup", "completed"),
        ("agent_hangup", "completed"),
        ("timeout", "max_duration"),
        ("connection_error", "agent_failed"),
        ("system_error", "agent_failed"),
        ("a reason of tomorrow", "completed"),
    ],
)
def test_answered_and_joined(joined, reason, outcome):
    got = decide(ended(Cause.NORMAL, answered=True), joined(reason))
    assert got == (Outcome(outcome), reason)


def test_answered_and_never_joined_is_silent():
    assert decide(ended(Cause.NORMAL, answered=True), UltravoxCall("c"))[0] is Outcome.SILENT
    assert decide(ended(Cause.NORMAL, answered=True), UNJOINED) == (Outcome.SILENT, "unjoined")


def test_a_machine_wins_over_a_conversation(joined):
    leg = ended(Cause.NORMAL, answered=True, machine=True)
    assert decide(leg, joined("hangup"))[0] is Outcome.VOICEMAIL


def test_the_carriers_time_limit(joined):
    assert decide(ended(Cause.TIME_LIMIT, answered=True), joined("hangup"))[0] is Outcome.MAX_DURATION


def test_an_agent_on_the_line_proves_that_somebody_answered(joined):
    # The carrier's list lags behind its media: "completed" without a word about an answer.
    assert decide(ended(Cause.NORMAL), joined("hangup"))[0] is Outcome.COMPLETED


def test_ultravox_alone(joined):
    assert decide(None, joined("hangup"))[0] is Outcome.COMPLETED
    assert decide(None, UNJOINED) == (Outcome.FAILED, "unjoined")
    assert decide(None, UltravoxCall("c"))[0] is Outcome.UNOBSERVED


def test_a_leg_that_lives_is_unobserved():
    assert decide(LegStatus(LegState.ANSWERED, answered=True), None)[0] is Outcome.UNOBSERVED
    assert decide(LegStatus(LegState.RINGING), UltravoxCall("c"))[0] is Outcome.UNOBSERVED


def test_decide_is_total(joined, instant):
    legs = [
        None,
        *(
            LegStatus(s, cause=c, answered=a, machine=m)
            for s, c, a, m in itertools.product(LegState, [None, *Cause], [True, False], [None, True, False])
        ),
    ]
    calls = [None, UltravoxCall("c"), UNJOINED, *(joined(r) for r in JOINED), UltravoxCall("c", joined_at=instant)]
    for leg, call in itertools.product(legs, calls):
        outcome, reason = decide(leg, call)
        assert ENDINGS[outcome].placed == "yes"
        assert isinstance(reason, str)


@pytest.mark.parametrize("kind", errors.EXPECTED)
def test_every_error_has_its_outcome(kind):
    error = kind("words", hint="mend")
    outcome = outcome_of(error)
    assert ENDINGS[outcome].exit_code == error.exit_code
    assert failure(error).message == "words"


def test_the_json_record(instant):
    record = CallRecord(
        Outcome.BUSY, 10, "yes", "twilio", "+12025550101", "+12025550199", "a", "u", "CA1",
        created_at=instant, ended_at=instant + timedelta(seconds=2.5), duration_s=0.0, end_reason="busy",
        transcript=(Line("agent", "Hi", 1.2),),
    )  # fmt: skip
    got = as_json(record)
    assert json.loads(json.dumps(got)) == got
    assert list(got)[:6] == ["schema", "outcome", "exit_code", "placed", "retry_safe", "provider"]
    assert got["schema"] == "uvcall.call/1"
    assert got["created_at"] == "2026-03-01T12:00:00.000Z"
    assert got["ended_at"] == "2026-03-01T12:00:02.500Z"
    assert got["answered_at"] is None
    assert got["from"] == "+12025550199"
    assert got["transcript"] == [{"role": "agent", "text": "Hi", "at_s": 1.2}]
    assert set(got) >= {
        "schema", "outcome", "exit_code", "placed", "retry_safe", "provider", "to", "from", "attempt_id",
        "ultravox_call_id", "carrier_call_id", "created_at", "answered_at", "ended_at", "duration_s", "end_reason",
        "transcript", "recording", "cost", "error", "next",
    }  # fmt: skip


def test_the_json_error(instant):
    error = errors.ProviderRefused("no", hint="pay", vendor_code="21215", status=400)
    record = CallRecord(Outcome.PROVIDER_REFUSED, 5, "no", "twilio", "", "", created_at=instant, error=failure(error))
    assert as_json(record)["error"] == {
        "code": "provider_refused", "message": "no", "hint": "pay", "retryable": False,
        "vendor_code": "21215", "status": 400,
    }  # fmt: skip
