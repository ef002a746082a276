"""What to do about an attempt that no process follows any more: one table, from what the vendors show and its age.

Absence from a list is never proof that nothing was placed: only the operator may say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from uvcall.calls.lookup import Seen, ended, joined
from uvcall.core.model import Outcome
from uvcall.core.outcome import ENDINGS, decide
from uvcall.journal import GRACE, Entry, Facts

#: After a request whose answer was lost, a carrier may list the call so much later: calls have been seen to start 84 s
#: after the request that made them.
LISTED_WITHIN: Final = timedelta(seconds=120)


class Sight(StrEnum):
    """What the vendors show of an attempt."""

    LIVE = "live"  #: a leg that is up
    OVER = "over"  #: a leg that has ended
    LOST = "lost"  #: it was placed, and is not in the carrier's list (yet, or any more)
    NOWHERE = "nowhere"  #: not in the list, and perhaps never placed
    DOUBTFUL = "doubtful"  #: a live call between the two numbers, and nothing tells whether it is this attempt's


class Age(StrEnum):
    """How old an attempt is."""

    FRESH = "fresh"  #: its leg was asked for within `LISTED_WITHIN`
    YOUNG = "young"  #: before its death date
    DEAD = "dead"  #: past it: every limit that the vendors were given is over
    STALE = "stale"  #: past it by more than the journal's grace


class Move(StrEnum):
    """What is done about an attempt."""

    OWNED = "owned"  #: its process lives: left to it
    SETTLED = "settled"  #: it has ended already
    CLOSE = "close"  #: no leg was ever asked for: ended as not placed
    LEAVE = "leave"  #: placed, and its end is still to come
    HANG_UP = "hang_up"
    END = "end"  #: ended with the outcome that the vendors tell
    WAIT = "wait"  #: too early to say anything
    KEEP = "keep"  #: stays unknown, its number stays blocked
    RELEASE = "release"  #: ended as unobserved, its number is free
    ASSUME = "assume"  #: ended as not placed on the operator's word
    UNREAD = "unread"  #: a vendor could not be asked: nothing was changed


_A, _M = Age, Move
_AGES: Final = (_A.FRESH, _A.YOUNG, _A.DEAD, _A.STALE)

#: (sight, age) → move. Attempts for which nothing was sent are closed without being looked for.
MOVES: Final[Mapping[tuple[Sight, Age], Move]] = MappingProxyType(
    {
        (sight, age): move
        for sight, moves in {
            Sight.LIVE: (_M.LEAVE, _M.LEAVE, _M.HANG_UP, _M.HANG_UP),
            Sight.OVER: (_M.END, _M.END, _M.END, _M.END),
            Sight.LOST: (_M.LEAVE, _M.LEAVE, _M.LEAVE, _M.RELEASE),
            Sight.NOWHERE: (_M.WAIT, _M.KEEP, _M.KEEP, _M.KEEP),
            Sight.DOUBTFUL: (_M.KEEP, _M.KEEP, _M.KEEP, _M.KEEP),
        }.items()
        for age, move in zip(_AGES, moves, strict=True)
    }
)


def age_of(entry: Entry, now: datetime) -> Age:
    """Return how old an attempt is."""
    if now >= entry.death_at + GRACE:
        return Age.STALE
    if now >= entry.death_at:
        return Age.DEAD
    return Age.FRESH if now < (entry.leg_at or entry.created_at) + LISTED_WITHIN else Age.YOUNG


def sight_of(entry: Entry, seen: Seen, age: Age) -> Sight:
    """Return what the vendors' words mean for an attempt for which something was sent."""
    if seen.over() or (seen.several and seen.several_over):
        return Sight.OVER
    # Found by its numbers, and up long after this attempt's leg can have been: it may be anybody's.
    belated = seen.leg is not None and age is Age.STALE and entry.carrier_call_id is None
    if seen.leg is not None and not belated:
        return Sight.LIVE
    if joined(seen.call) or (entry.via == "ultravox" and seen.call is not None):
        if ended(seen.call):
            return Sight.OVER
        # Ultravox dialed and nobody has joined: it may ring, until nothing can ring any more.
        return Sight.LIVE if joined(seen.call) or age in {Age.FRESH, Age.YOUNG} else Sight.LOST
    if entry.placed == "yes":
        return Sight.LOST
    if belated or seen.several:
        return Sight.DOUBTFUL
    return Sight.LOST if seen.placed is not None else Sight.NOWHERE


def result_of(seen: Seen) -> Facts:
    """Return how a leg that is over has ended, as the journal is told."""
    if seen.several:
        outcome, why = Outcome.UNOBSERVED, f"one of {len(seen.several)} calls: {', '.join(seen.several)}"
    elif seen.told() or joined(seen.call):
        outcome, why = decide(seen.leg, seen.call)
    else:
        outcome, why = Outcome.UNOBSERVED, "over, and the carrier does not say why"
    leg, call = seen.leg, seen.call
    answered_at = (leg.answered_at if leg else None) or (call.joined_at if call else None)
    ended_at = (leg.ended_at if leg else None) or (call.ended_at if call else None)
    duration = leg.duration_s if leg else None
    if duration is None and answered_at and ended_at:
        duration = max(0.0, round((ended_at - answered_at).total_seconds(), 3))
    return {
        "outcome": outcome.value,
        "exit_code": ENDINGS[outcome].exit_code,
        "answered_at": answered_at,
        "ended_at": ended_at,
        "duration_s": 0.0 if duration is None and leg is not None and not leg.answered else duration,
        "end_reason": why or None,
        "cost": leg.cost if leg else None,
    }


def ids_of(entry: Entry, seen: Seen) -> Facts:
    """Return the vendors' ids of the attempt, those that have been learned by looking too."""
    ids = {**(seen.placed.ids if seen.placed else {}), **(seen.leg.ids if seen.leg else {})}
    found = seen.placed.carrier_call_id if seen.placed else None
    return {
        "ultravox_call_id": entry.ultravox_call_id or (seen.call.call_id if seen.call else None),
        "carrier_call_id": entry.carrier_call_id or found,
        "carrier_ids": ids,
    }
