"""What `dial` does about everything that peers and signals can do to it."""

import threading
from collections import deque

import pytest
from support.scripted import (
    ANSWERED,
    HUNG_UP,
    JOINED,
    LEG,
    NOON,
    ORDER,
    QUICK,
    RINGING,
    WAITING,
    Peers,
    left,
    leg_ended,
)

from uvcall.calls.ports import CarrierLine, Moment
from uvcall.calls.preview import preview
from uvcall.calls.route import Route
from uvcall.carriers import Account
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, CreatedCall, LegState, LegStatus, Outcome, PlacedCall, UltravoxCall
from uvcall.errors import AuthError, FateUnknown, ProviderRefused, Temporary
from uvcall.journal import State


def test_a_call_from_nothing_to_its_end(run, peers):
    seen = []
    peers.calls = deque([WAITING, WAITING, JOINED, left("hangup")])
    peers.statuses = deque([LegStatus(LegState.QUEUED), RINGING, ANSWERED, ANSWERED, HUNG_UP])
    record = run(watch=lambda p: seen.append(p.moment))
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.COMPLETED, 0, "yes")
    assert record.carrier_call_id == "CA1"
    assert record.ultravox_call_id == "uv-1"
    assert [line.role for line in record.transcript] == ["agent", "user"]
    assert (record.answered_at, record.duration_s, record.end_reason) == (NOON, 3.0, "hangup")
    assert record.carrier_ids == {"x": "y"}
    assert peers.log.count("place") == peers.log.count("create") == 1
    assert [m for m in seen if m is not Moment.LINE] == [
        Moment.CREATED, Moment.DIALING, Moment.PLACED, Moment.RINGING, Moment.ANSWERED, Moment.TALKING, Moment.OVER,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "code"),
    [(Cause.BUSY, 10), (Cause.NO_ANSWER, 11), (Cause.FAILED, 12), (Cause.REJECTED, 14), (Cause.MACHINE, 13)],
)
def test_a_leg_without_a_conversation(run, peers, cause, code):
    peers.statuses = deque([RINGING, leg_ended(cause)])
    peers.calls = deque([WAITING])
    record = run()
    assert (record.exit_code, record.placed, record.duration_s) == (code, "yes", 0.0)


def test_a_cause_that_comes_late_is_waited_for(run, peers):
    peers.statuses = deque([RINGING, leg_ended(Cause.UNKNOWN), leg_ended(Cause.UNKNOWN), leg_ended(Cause.BUSY)])
    peers.calls = deque([WAITING])
    assert run().outcome is Outcome.BUSY


# -- the create at Ultravox ---------------------------------------------------------------------------------------------


def test_ultravox_refuses_and_nobody_is_called(run, peers):
    peers.creates = deque([ProviderRefused("voice: unknown", hint="see voices", status=400, peer="ultravox")])
    record = run()
    assert (record.exit_code, record.placed, record.retry_safe) == (5, "no", True)
    assert record.error.message == "voice: unknown"
    assert "place" not in peers.log


def test_ultravox_that_stumbles_is_asked_again_because_it_rings_nobody(run, peers):
    peers.creates = deque([Temporary("503", retry_after=0), Temporary("503", retry_after=0), peers.creates[0]])
    assert run().outcome is Outcome.COMPLETED
    assert peers.log.count("create") == 3
    assert peers.log.count("place") == 1


def test_ultravox_that_stays_down_is_temporary(run, peers):
    peers.creates = deque([Temporary("down", retry_after=0.0)])
    record = run()
    assert (record.exit_code, record.placed) == (75, "no")
    assert peers.log.count("create") == 3


def test_a_wait_longer_than_patience_is_not_waited(run, peers):
    peers.creates = deque([Temporary("429", retry_after=3600)])
    assert run().exit_code == 75
    assert peers.log.count("create") == 1


def test_ultravox_that_never_answers(run, peers):
    gate = threading.Event()
    peers.creates = deque([gate.wait])
    assert run(timing=QUICK._replace(create_s=0.02)).exit_code == 75
    gate.set()
    assert "place" not in peers.log


# -- the create at the carrier ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "code"), [(ProviderRefused("no", vendor_code="21215"), 5), (AuthError("who"), 4)])
def test_a_refusal_is_final(run, peers, error, code):
    peers.places = deque([error])
    record = run()
    assert (record.exit_code, record.placed) == (code, "no")
    assert peers.log.count("place") == 1


def test_not_sent_is_sent_again_and_rings_once(run, peers):
    peers.places = deque([Temporary("refused", retry_after=0), peers.places[0]])
    assert run().outcome is Outcome.COMPLETED
    assert peers.log.count("place") == 2


def test_not_sent_three_times_is_temporary(run, peers):
    peers.places = deque([Temporary("refused", retry_after=0)])
    record = run()
    assert (record.exit_code, record.placed) == (75, "no")
    assert peers.log.count("place") == 3


def test_a_lost_reply_is_looked_for_and_never_sent_again(run, peers):
    peers.places = deque([FateUnknown("the answer was lost")])
    peers.finds = deque([Temporary("list down"), [], [PlacedCall(Provider.TWILIO, "CA9")]])
    record = run(settle_s=5)
    assert (record.outcome, record.carrier_call_id) == (Outcome.COMPLETED, "CA9")
    assert peers.log.count("place") == 1
    assert peers.log.count("find") == 3


def test_a_lost_reply_that_is_not_found_is_unknown(run, peers):
    peers.places = deque([FateUnknown("the answer was lost")])
    record = run()
    assert (record.outcome, record.exit_code, record.placed, record.retry_safe) == (
        Outcome.UNKNOWN, 20, "unknown", False,
    )  # fmt: skip
    assert peers.log.count("place") == 1
    assert "hang_up agent" not in peers.log  # if the person answers, the agent must be there


def test_a_carrier_that_never_answers_is_unknown(run, peers):
    gate = threading.Event()
    peers.places = deque([gate.wait])
    record = run(timing=QUICK._replace(create_s=0.02))
    gate.set()
    assert (record.outcome, record.placed) == (Outcome.UNKNOWN, "unknown")
    assert peers.log.count("place") == 1


# -- following ----------------------------------------------------------------------------------------------------------


def test_answered_and_nobody_there_is_hung_up(run, peers):
    peers.calls = deque([WAITING])
    peers.statuses = deque([RINGING, lambda: HUNG_UP if "hang_up leg" in peers.log else ANSWERED])
    assert run(max_duration_s=5).outcome is Outcome.SILENT
    assert peers.log.count("hang_up leg") == 1


def test_a_leg_that_outlives_its_agent_is_hung_up(run, peers):
    peers.calls = deque([JOINED, left("agent_hangup")])
    peers.statuses = deque([ANSWERED, lambda: HUNG_UP if "hang_up leg" in peers.log else ANSWERED])
    assert run(max_duration_s=5).outcome is Outcome.COMPLETED
    assert peers.log.count("hang_up leg") == 1


def test_hanging_up_is_given_up_after_three_times(run, peers):
    peers.calls = deque([left("agent_hangup")])
    peers.statuses = deque([ANSWERED])
    peers.hang_ups = deque([Temporary("down")])
    run(max_duration_s=5)
    assert peers.log.count("hang_up leg") == 3


def test_an_agent_left_behind_is_hung_up(run, peers):
    peers.calls = deque([JOINED])
    peers.statuses = deque([HUNG_UP])
    assert run(max_duration_s=5).outcome is Outcome.COMPLETED
    assert peers.log.count("hang_up agent") == 1


@pytest.mark.parametrize(("policy", "hang_ups"), [("hangup", 1), ("leave", 0)])
def test_an_answering_machine(run, peers, policy, hang_ups):
    machine = LegStatus(LegState.ANSWERED, raw="in-progress", answered=True, machine=True)
    over = LegStatus(LegState.ENDED, Cause.NORMAL, "completed", answered=True, machine=True)
    peers.calls = deque([JOINED, JOINED, JOINED, left("hangup")])
    peers.statuses = deque([RINGING, machine, over])
    assert run(voicemail=policy).outcome is Outcome.VOICEMAIL
    assert peers.log.count("hang_up leg") == hang_ups


def test_polls_that_fail_leave_the_call_alone(run, peers):
    peers.statuses = deque([RINGING, Temporary("500"), Temporary("500"), ANSWERED, HUNG_UP])
    assert run(max_duration_s=5, timing=QUICK._replace(agent_grace_s=5)).outcome is Outcome.COMPLETED
    assert "hang_up leg" not in peers.log


def test_an_end_that_is_never_seen(run, peers):
    peers.statuses = deque([Temporary("500")])
    peers.calls = deque([Temporary("500")])
    record = run(timing=QUICK._replace(overtime_s=0.1))
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.UNOBSERVED, 21, "yes")


def test_timeout_leaves_the_call_alone(run, peers):
    peers.statuses = deque([ANSWERED])
    peers.calls = deque([JOINED])
    record = run(timeout_s=0.05, max_duration_s=60)
    assert (record.outcome, record.placed) == (Outcome.UNOBSERVED, "yes")
    assert not {"hang_up leg", "hang_up agent"} & set(peers.log)


def test_detach_returns_at_once(run, peers):
    record = run(detach=True)
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.ACCEPTED, 0, "yes")
    assert "status" not in peers.log


# -- Plivo's answer listener --------------------------------------------------------------------------------------------


class Listener:
    answer_url = "http://127.0.0.1:1/token/answer"
    machine_url = "http://127.0.0.1:1/token/machine"

    def __init__(self, after=0, verdict=None):
        self.asked, self.after, self.verdict, self.held = 0, after, verdict, None

    def open(self):
        self.opened = True

    def serve(self, join_url):
        assert self.opened
        self.held = join_url

    def fetched(self):
        self.asked += 1
        return self.asked > self.after

    def machine(self):
        return self.verdict


def test_detach_waits_for_plivos_fetch(run, peers):
    peers.statuses = deque([RINGING])
    peers.calls = deque([WAITING])
    listener = Listener(after=4)
    assert run(detach=True, listener=listener, max_duration_s=5).outcome is Outcome.ACCEPTED
    assert peers.log.count("status") >= 3
    assert listener.held.reveal().startswith("wss://")


def test_detach_tells_when_nobody_answered(run, peers):
    peers.statuses = deque([RINGING, leg_ended(Cause.BUSY)])
    peers.calls = deque([WAITING])
    assert run(detach=True, listener=Listener(after=10**6), max_duration_s=5).outcome is Outcome.BUSY


def test_the_listeners_verdict_on_who_answered_counts(run, peers):
    assert run(listener=Listener(verdict=True), voicemail="leave").outcome is Outcome.VOICEMAIL


# -- Ultravox dials -----------------------------------------------------------------------------------------------------


def outgoing(peers):
    peers.creates = deque([CreatedCall("uv-1", None)])


def test_via_ultravox_adopts_the_leg(run, peers):
    outgoing(peers)
    peers.finds = deque([[], [PlacedCall(Provider.TWILIO, "CA7")]])
    record = run(via="ultravox")
    assert (record.outcome, record.carrier_call_id) == (Outcome.COMPLETED, "CA7")
    assert "place" not in peers.log


def test_via_ultravox_without_the_carrier(run, peers):
    outgoing(peers)
    record = run(via="ultravox", with_line=False)
    assert (record.outcome, record.carrier_call_id) == (Outcome.COMPLETED, None)


def test_via_ultravox_unanswered_is_failed_when_nobody_else_can_be_asked(run, peers):
    outgoing(peers)
    peers.calls = deque([UltravoxCall("uv-1", ended_at=NOON, end_reason="unjoined")])
    record = run(via="ultravox", with_line=False)
    assert (record.outcome, record.end_reason) == (Outcome.FAILED, "unjoined")


def test_via_ultravox_a_lost_reply_is_looked_for_by_metadata(run, peers):
    peers.creates = deque([FateUnknown("lost")])
    peers.by_metadata = deque([[], [JOINED]])
    peers.finds = deque([[PlacedCall(Provider.TWILIO, "CA7")]])
    record = run(via="ultravox", settle_s=5)
    assert record.outcome is Outcome.COMPLETED
    assert peers.log.count("create") == 1


def test_via_ultravox_a_lost_reply_not_found_is_unknown(run, peers):
    peers.creates = deque([FateUnknown("lost")])
    record = run(via="ultravox")
    assert (record.outcome, record.placed) == (Outcome.UNKNOWN, "unknown")


def test_via_ultravox_a_refusal_places_nothing(run, peers):
    peers.creates = deque([ProviderRefused("no")])
    assert (run(via="ultravox").placed, peers.log.count("create")) == ("no", 1)


# -- signals ------------------------------------------------------------------------------------------------------------


def interrupting(desk, signum, value):
    def act():
        desk.interrupt(signum)
        return value

    return act


def test_interrupted_while_talking_hangs_up_both_sides(run, peers, desk):
    peers.calls = deque([JOINED])
    peers.statuses = deque([RINGING, ANSWERED, interrupting(desk, 15, ANSWERED)])
    record = run(max_duration_s=60)
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.INTERRUPTED, 143, "yes")
    assert record.end_reason == "hung up"
    assert {"hang_up leg", "hang_up agent"} <= set(peers.log)


def test_interrupted_before_dialing_calls_nobody(run, peers, desk):
    peers.creates = deque([interrupting(desk, 2, peers.creates[0])])
    record = run()
    assert (record.exit_code, record.placed, record.end_reason) == (130, "no", "before dialing")
    assert "place" not in peers.log


def test_interrupted_while_the_carrier_is_asked_waits_for_its_answer_and_hangs_up(run, peers, desk):
    placed = peers.places[0]
    peers.places = deque([interrupting(desk, 2, placed)])
    record = run()
    assert (record.exit_code, record.placed, record.carrier_call_id) == (130, "yes", "CA1")
    assert "hang_up leg" in peers.log


def test_interrupted_while_the_carrier_is_asked_and_never_answers_is_unknown(run, peers, desk):
    gate = threading.Event()

    def act():
        desk.interrupt(2)
        gate.wait(5)
        return peers.places[0]

    peers.places = deque([act])
    record = run(timing=QUICK._replace(hang_up_s=0.05))
    gate.set()
    assert (record.exit_code, record.placed) == (130, "unknown")


def test_a_second_signal_leaves_at_once_with_the_ids(run, peers, desk):
    gate = threading.Event()

    def again():
        desk.interrupt(2)
        gate.wait(5)
        return True

    peers.calls = deque([JOINED])
    peers.statuses = deque([ANSWERED, interrupting(desk, 2, ANSWERED)])
    peers.hang_ups = deque([again])
    record = run(max_duration_s=60)
    gate.set()
    assert (record.exit_code, record.end_reason, record.carrier_call_id) == (130, "left", "CA1")


def test_a_hang_up_that_fails_is_said(run, peers, desk):
    peers.calls = deque([JOINED])
    peers.statuses = deque([ANSWERED, interrupting(desk, 2, ANSWERED)])
    peers.hang_ups = deque([Temporary("down")])
    assert run(max_duration_s=60).end_reason == "left"


# -- preview ------------------------------------------------------------------------------------------------------------


def test_preview_contacts_nobody_and_shows_no_join_url():
    peers = Peers()
    shown = preview(ORDER, CarrierLine(peers, Account()))
    assert shown["carrier"] == {"stream_url": "[join URL]", "to": LEG.to}
    assert shown["ultravox"]["path"] == "/api/calls"
    assert peers.log == []
    assert preview(ORDER, None)["carrier"] is None


# -- the journal --------------------------------------------------------------------------------------------------------


def states(journal):
    entry = journal.get(LEG.attempt_id)
    return entry.state, [taken.step for taken in journal.history(LEG.attempt_id)]


def test_the_journal_of_a_good_call(run, journal):
    run()
    state, steps = states(journal)
    assert (state, steps) == (State.ENDED, ["intent", "leg_intent", "placed", "ended"])
    entry = journal.get(LEG.attempt_id)
    assert (entry.outcome, entry.carrier_call_id, entry.ultravox_call_id) == ("completed", "CA1", "uv-1")


def test_the_intent_is_on_disk_before_the_carrier_is_asked(run, peers, journal):
    seen = []
    placed = peers.places[0]

    def look():
        seen.append(journal.get(LEG.attempt_id).state)
        return placed

    peers.places = deque([look])
    run()
    assert seen == [State.LEG_INTENT]


@pytest.mark.parametrize(
    ("error", "steps"),
    [
        (ProviderRefused("no"), ["intent", "leg_intent", "leg_refused", "ended"]),
        (Temporary("down", retry_after=3600), ["intent", "leg_intent", "leg_not_sent", "ended"]),
        (FateUnknown("lost"), ["intent", "leg_intent", "unknown", "unknown"]),
    ],
)
def test_the_journal_of_a_create_that_failed(run, peers, journal, error, steps):
    peers.places = deque([error])
    run(settle_s=0)
    assert states(journal)[1] == steps


def test_an_unknown_fate_blocks_the_number(run, peers, journal):
    peers.places = deque([FateUnknown("lost")])
    assert run(settle_s=0).next == f"uvcall reconcile {LEG.attempt_id}"
    again = LEG._replace(attempt_id="11111111-2222-4333-8444-555555555555")
    record = run(leg=again)
    assert (record.outcome, record.exit_code, record.placed) == (Outcome.POLICY_REFUSED, 3, "no")
    assert peers.log.count("place") == 1


def test_a_call_left_alone_stays_open(run, journal):
    assert run(detach=True).outcome is Outcome.ACCEPTED
    assert states(journal) == (State.PLACED, ["intent", "leg_intent", "placed", "left"])


def test_a_journal_that_breaks_after_the_carrier_has_answered_loses_no_call(run, peers, journal):
    placed = peers.places[0]

    def close():
        journal.close()
        return placed

    peers.places = deque([close])
    notes = []
    record = run(watch=lambda p: notes.append(p.text))
    assert record.outcome is Outcome.COMPLETED
    assert any(note.startswith("the journal misses this") for note in notes)


def test_an_earlier_attempts_leg_is_not_taken_for_this_ones(run, peers, journal):
    peers.places = deque([PlacedCall(Provider.TWILIO, "CA1", {})])
    assert run().outcome is Outcome.COMPLETED
    again = LEG._replace(attempt_id="11111111-2222-4333-8444-555555555555")
    peers.places = deque([FateUnknown("lost"), FateUnknown("lost")])
    peers.finds = deque([[PlacedCall(Provider.TWILIO, "CA1")]])
    record = run(leg=again, settle_s=0.02)
    assert (record.outcome, record.placed, record.carrier_call_id) == (Outcome.UNKNOWN, "unknown", None)
    journal.assume_not_placed(again.attempt_id, NOON, "the test")
    peers.statuses, peers.calls = deque([HUNG_UP]), deque([left("hangup")])
    peers.finds = deque([[PlacedCall(Provider.TWILIO, "CA2"), PlacedCall(Provider.TWILIO, "CA1")]])
    record = run(leg=LEG._replace(attempt_id="22222222-2222-4333-8444-555555555555"))
    assert (record.outcome, record.carrier_call_id) == (Outcome.COMPLETED, "CA2")


def test_a_journal_that_breaks_before_the_leg_is_found_loses_no_call(run, peers, journal):
    def lose():
        journal.close()
        return FateUnknown("lost")

    peers.places, peers.finds = deque([lose]), deque([[PlacedCall(Provider.TWILIO, "CA1")]])
    assert run().outcome is Outcome.COMPLETED


# -- fail-over ----------------------------------------------------------------------------------------------------------


def second():
    other = Peers()
    order = ORDER._replace(provider=Provider.PLIVO)
    return other, Route(order, CarrierLine(other, Account()))


@pytest.mark.parametrize(
    "error", [ProviderRefused("no", peer="twilio"), Temporary("no", retry_after=99, peer="twilio")]
)
def test_the_next_carrier_is_asked_when_nothing_was_placed(run, peers, journal, error):
    peers.places = deque([error])
    other, route = second()
    record = run(more=[route])
    assert (record.outcome, record.provider) == (Outcome.COMPLETED, "plivo")
    assert peers.log.count("create") == 2
    assert other.log.count("place") == 1
    assert states(journal)[1].count("leg_intent") == 2


def test_no_other_carrier_is_asked_when_a_phone_may_ring(run, peers):
    peers.places = deque([FateUnknown("lost", peer="twilio")])
    other, route = second()
    assert run(more=[route]).outcome is Outcome.UNKNOWN
    assert "place" not in other.log


def test_a_key_reports_the_earlier_call(run, peers, journal):
    run(key="k")
    again = LEG._replace(attempt_id="11111111-2222-4333-8444-555555555555")
    record = run(key="k", leg=again)
    assert (record.outcome, record.attempt_id) == (Outcome.COMPLETED, LEG.attempt_id)
    assert peers.log.count("place") == 1
    assert run(key="k", leg=again._replace(to="+12025550123")).outcome is Outcome.USAGE
