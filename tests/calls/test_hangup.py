"""Ending a call from outside, in whatever state it is: both sides are told, seen to end, and what is left is said."""

from collections import deque
from dataclasses import replace

import pytest
from support.tended import (
    ASKED,
    BAD_WEATHER,
    BUSY,
    CALL,
    DONE,
    FROM,
    GONE,
    JOINED,
    LEFT,
    LEG,
    NOT_FOUND,
    OVER,
    PLACED,
    QUEUED,
    RINGING,
    TO,
    UNJOINED,
    UP,
    WAITS,
    Peers,
    attempt,
    tools,
    up,
)

from uvcall.calls.hangup import Side, hang_up
from uvcall.calls.lookup import Vendors
from uvcall.calls.subject import find
from uvcall.core.inbound_policy import Step as Inbound
from uvcall.core.model import Cause, LegState, LegStatus, Outcome
from uvcall.errors import AuthError, ConfigError, FateUnknown, ProviderRefused, Temporary, UsageError
from uvcall.journal import State, Step, this_process
from uvcall.journal.inbound import Known, Seen

CANCELED = LegStatus(LegState.ENDED, Cause.CANCELED, "canceled")


@pytest.fixture
def peers():
    return Peers()


def end(peers, journal, text, **more):
    kit = tools(peers, journal, **more)
    return hang_up(kit, find(kit, text))


def sides(done):
    return done.carrier, done.agent


def test_a_conversation(peers, journal):
    peers.statuses, peers.calls = deque([UP, DONE]), deque([JOINED, LEFT])
    done = end(peers, journal, up(journal))
    assert (sides(done), done.error, done.left) == ((Side.HUNG_UP, Side.HUNG_UP), None, "")
    assert {"hang up CA1", f"end {CALL}"} <= set(peers.log)
    # Nobody follows it: its end is written down here.
    assert (done.entry.state, done.entry.outcome) == (State.ENDED, Outcome.COMPLETED)


def test_whoever_follows_it_writes_its_end_down(peers, journal):
    done = end(peers, journal, up(journal, mine=True))
    assert done.error is None
    assert done.entry.open
    assert "find" not in peers.log


def test_while_it_rings(peers, journal):
    peers.statuses, peers.agent_hang_ups, peers.calls = deque([RINGING, CANCELED]), deque([False]), deque([WAITS])
    done = end(peers, journal, up(journal))
    assert sides(done) == (Side.HUNG_UP, Side.WAITING)
    assert "join time" in done.left
    assert done.error is None
    assert done.entry.outcome is Outcome.NO_ANSWER


def test_an_agent_that_joins_between_two_looks_is_told_again(peers, journal):
    """The first hang-up came before the join, and Ultravox refused it."""
    peers.statuses = deque([UP, DONE])
    peers.agent_hang_ups = deque([False, True])
    peers.calls = deque([JOINED] * 4 + [JOINED, LEFT])
    done = end(peers, journal, up(journal))
    assert peers.log.count(f"end {CALL}") >= 2
    assert sides(done) == (Side.HUNG_UP, Side.HUNG_UP)


def test_again_does_no_harm(peers, journal):
    text = up(journal)
    end(peers, journal, text)
    asked = len(peers.log)
    done = end(peers, journal, text)
    assert (sides(done), done.error) == ((Side.OVER, Side.OVER), None)
    assert len(peers.log) == asked


def test_a_leg_that_the_carrier_has_forgotten_is_over(peers, journal):
    """Queued is also what a carrier says of a call that it does not list any more; this one took no hang-up."""
    peers.phone_hang_ups, peers.statuses = deque([False]), deque([QUEUED])
    peers.agent_hang_ups = deque([False])
    done = end(peers, journal, up(journal, mine=True))
    assert sides(done) == (Side.OVER, Side.OVER)
    peers.statuses = deque([NOT_FOUND])
    done = end(peers, journal, "CA1")
    assert (sides(done), done.error) == ((Side.OVER, Side.OVER), None)


def test_one_that_ended_before_is_seen_so(peers, journal):
    peers.phone_hang_ups, peers.agent_hang_ups = deque([False]), deque([False])
    done = end(peers, journal, up(journal))
    assert (sides(done), done.entry.outcome) == ((Side.OVER, Side.OVER), Outcome.COMPLETED)


def test_a_busy_line_is_still_a_busy_line(peers, journal):
    peers.phone_hang_ups, peers.agent_hang_ups = deque([False]), deque([False])
    peers.statuses, peers.calls = deque([BUSY]), deque([WAITS])
    assert end(peers, journal, up(journal)).entry.outcome is Outcome.BUSY


def test_a_leg_that_does_not_end(peers, journal):
    peers.statuses, peers.calls = deque([UP]), deque([JOINED, LEFT])
    done = end(peers, journal, up(journal))
    assert done.carrier is Side.UP
    assert isinstance(done.error, Temporary)
    assert "12:15:00Z" in done.left
    assert done.entry.open
    assert peers.log.count("hang up CA1") == 3


@pytest.mark.parametrize("error", [BAD_WEATHER, AuthError("wrong key", hint="mend it")], ids=["502", "wrong-key"])
def test_a_carrier_that_fails_keeps_nobody_from_ending_the_agent(peers, journal, error):
    peers.phone_hang_ups, peers.statuses = deque([error]), deque([error])
    done = end(peers, journal, up(journal, mine=True))
    assert (done.agent, done.error) == (Side.HUNG_UP, error)
    assert f"end {CALL}" in peers.log


def test_a_carrier_without_credentials_keeps_nobody_either(peers, journal):
    missing = ConfigError("twilio.account_sid is not set", hint="set it")

    def nowhere(_provider):
        raise missing

    kit = tools(peers, journal)
    kit = replace(kit, vendors=Vendors(nowhere, kit.agents))
    done = hang_up(kit, find(kit, up(journal, mine=True)))
    assert (sides(done), done.error) == ((Side.UNKNOWN, Side.HUNG_UP), missing)
    assert "12:15:00Z" in done.left


def test_an_ultravox_that_fails_is_told_of(peers, journal):
    peers.agent_hang_ups, peers.calls = deque([BAD_WEATHER]), deque([BAD_WEATHER])
    done = end(peers, journal, up(journal, mine=True))
    assert (sides(done), done.error) == ((Side.HUNG_UP, Side.UNKNOWN), None)
    assert "502" in done.left


def test_an_attempt_that_nobody_places_any_more_is_closed(peers, journal):
    done = end(peers, journal, attempt(journal, owner=GONE))
    assert (done.entry.state, done.entry.placed) == (State.ENDED, "no")
    assert done.error is None
    assert end(peers, journal, done.entry.attempt_id).carrier is Side.UNKNOWN


def test_one_that_is_being_placed_is_left_to_its_process(peers, journal):
    for steps in ((), (ASKED,)):
        text = attempt(journal, *steps, owner=this_process(), to=TO if steps else "+12025550103")
        with pytest.raises(Temporary, match="is being placed by process"):
            end(peers, journal, text)


def test_one_whose_leg_only_the_list_shows(peers, journal):
    peers.finds, peers.by_metadata = deque([[LEG]]), deque([[JOINED]])
    peers.statuses, peers.calls = deque([UP, UP, DONE]), deque([LEFT])
    done = end(peers, journal, attempt(journal, ASKED, owner=GONE))
    assert sides(done)[0] is Side.HUNG_UP
    assert done.entry.carrier_call_id == "CA1"


def test_one_that_nobody_shows_stays_unknown(peers, journal):
    text = attempt(journal, ASKED, (Step.UNKNOWN, {"reason": "lost"}), owner=GONE)
    with pytest.raises(FateUnknown, match="proves nothing") as caught:
        end(peers, journal, text)
    assert "reconcile" in caught.value.hint
    assert "hang up CA1" not in peers.log


def test_a_call_that_ultravox_dials_cannot_be_taken_back(peers, journal):
    def nowhere(_provider):
        raise ConfigError("not set", hint="set it")

    placed = (Step.PLACED, {"ultravox_call_id": CALL})
    text = attempt(journal, ASKED, placed, owner=GONE, via="ultravox")
    peers.calls = deque([WAITS])
    kit = tools(peers, journal)
    kit = replace(kit, vendors=Vendors(nowhere, kit.agents))
    with pytest.raises(Temporary, match="dialed by Ultravox"):
        hang_up(kit, find(kit, text))
    peers.calls = deque([JOINED, JOINED, LEFT])
    done = hang_up(kit, find(kit, text))
    assert sides(done) == (Side.UNKNOWN, Side.HUNG_UP)
    assert done.error is None


def test_a_call_of_another_machine(peers, journal):
    peers.calls = deque([JOINED, LEFT])
    done = end(peers, journal, CALL)
    assert (sides(done), done.entry) == ((Side.UNKNOWN, Side.HUNG_UP), None)
    assert "not known here" in done.left
    peers.calls, peers.agent_hang_ups = deque([WAITS]), deque([False])
    done = end(peers, journal, CALL)
    assert done.agent is Side.WAITING
    peers.calls = deque([UNJOINED])
    assert end(peers, journal, CALL).agent is Side.OVER
    peers.calls = deque([NOT_FOUND])
    with pytest.raises(ProviderRefused, match="no such call"):
        end(peers, journal, CALL)


def test_a_call_that_was_answered_here(peers, journal):
    seen = Seen(Known("twilio:CA7", Inbound.JOINED, 0.0, CALL), FROM)
    peers.statuses, peers.calls = deque([DONE]), deque([LEFT])
    done = end(peers, journal, "CA7", answered={"CA7": seen}.get)
    assert sides(done) == (Side.HUNG_UP, Side.HUNG_UP)
    assert "hang up CA7" in peers.log


@pytest.mark.parametrize("text", ["CA9", "x", "", "é" * 9, "\udc80", "0123456789", CALL + "0"])
def test_an_id_that_means_nothing(peers, journal, text):
    with pytest.raises(UsageError):
        end(peers, journal, text)
    assert peers.log == []


def test_an_id_that_means_several(peers, journal):
    attempt(journal, ASKED, PLACED, OVER)
    attempt(journal, ASKED, PLACED)
    with pytest.raises(UsageError, match="several"):
        end(peers, journal, "CA1")
