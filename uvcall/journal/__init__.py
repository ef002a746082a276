"""The ledger of attempts: intent before bytes leave, result before anything is printed. SQLite, on disk when told.

    with open_journal(state_dir) as journal:
        journal.begin(intent)                                   # raises where the call must not be made
        journal.step(id, Step.ULTRAVOX_CREATED, now, ultravox_call_id=…)
        journal.step(id, Step.LEG_INTENT, now, provider=…)      # and only then the carrier is asked
        journal.step(id, Step.PLACED, now, carrier_call_id=…)
        journal.step(id, Step.ENDED, now, outcome=…, exit_code=…, placed="yes")

It keeps no credential and no join URL, and it places no calls: a state that may have rung a phone leads to no other
request (`journal.states`).
"""

from uvcall.journal.entry import GRACE, Entry, Facts, Intent, Taken, digest_of
from uvcall.journal.ledger import Journal, KeyTaken, NumberTaken, open_journal
from uvcall.journal.owner import Owner, Probe, process_alive, this_process
from uvcall.journal.states import TRANSITIONS, IllegalStep, State, Step

__all__ = [
    "GRACE",
    "TRANSITIONS",
    "Entry",
    "Facts",
    "IllegalStep",
    "Intent",
    "Journal",
    "KeyTaken",
    "NumberTaken",
    "Owner",
    "Probe",
    "State",
    "Step",
    "Taken",
    "digest_of",
    "open_journal",
    "process_alive",
    "this_process",
]
