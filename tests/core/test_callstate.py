"""The transition table: every pair is walked, nothing moves backwards."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.core.callstate import TRANSITIONS, CallState, Sighting, sight_agent, sight_leg, step
from uvcall.core.model import LegState, LegStatus, UltravoxCall

RANK = {
    CallState.PLACED: 0,
    CallState.RINGING: 1,
    CallState.ANSWERED: 2,
    CallState.TALKING: 3,
    CallState.LEG_OVER: 4,
    CallState.AGENT_OVER: 4,
    CallState.OVER: 5,
}


@pytest.mark.parametrize(("state", "sighting"), list(itertools.product(CallState, Sighting)))
def test_every_pair_moves_as_the_table_says_or_not_at_all(state, sighting):
    new = step(state, sighting)
    assert new is TRANSITIONS.get((state, sighting), state)
    assert RANK[new] >= RANK[state]


def test_illegal_moves_are_absent():
    assert (CallState.RINGING, Sighting.QUEUED) not in TRANSITIONS
    assert (CallState.ANSWERED, Sighting.RINGING) not in TRANSITIONS
    assert (CallState.OVER, Sighting.JOINED) not in TRANSITIONS
    assert (CallState.LEG_OVER, Sighting.RINGING) not in TRANSITIONS


@given(st.lists(st.sampled_from(list(Sighting)), max_size=30))
def test_any_order_of_sightings_ends_over_once_both_sides_have_ended(sightings):
    state = CallState.PLACED
    for sighting in [*sightings, Sighting.LEG_ENDED, Sighting.AGENT_ENDED]:
        state = step(state, sighting)
    assert state is CallState.OVER


def test_sightings_of_the_leg():
    seen = [sight_leg(LegStatus(state)) for state in LegState]
    assert seen == [Sighting.QUEUED, Sighting.RINGING, Sighting.ANSWERED, Sighting.LEG_ENDED]


def test_sightings_of_the_agent(instant):
    assert sight_agent(UltravoxCall("c")) is None
    assert sight_agent(UltravoxCall("c", joined_at=instant)) is Sighting.JOINED
    assert sight_agent(UltravoxCall("c", joined_at=instant, ended_at=instant)) is Sighting.AGENT_ENDED
    assert sight_agent(UltravoxCall("c", end_reason="unjoined")) is Sighting.AGENT_ENDED
