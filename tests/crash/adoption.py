"""Creates whose reply is lost: is the leg found again, how soon, and is nothing sent twice?

`dial` is as patient here as it is with the vendors. Beside each create's reply the carrier's lists are in trouble too,
now and then, as they would be in an outage.
"""

from __future__ import annotations

import json
import os
import statistics
from typing import Any, Final

from crash import case
from crash.case import Case
from crash.children import Nest

#: How the reply is lost, and the trouble that the carrier's other answers are in.
LOSSES: Final = ("lost-reply=1", "server-error-after=1")
TROUBLE: Final = ("", "server-error=0.2", "rate-limit=0.2", "reset=0.1", "slow=0.3")


def cases(count: int, seed: int) -> list[Case]:
    """Return so many losses, spread over carriers, kinds of loss, and troubles."""
    found = []
    for index in range(count):
        carrier = ("telnyx", "twilio", "plivo")[index % 3]
        loss = LOSSES[index // 3 % 2]
        trouble = TROUBLE[index // 6 % len(TROUBLE)]
        # The loss comes first: every create meets it, and only other requests meet the trouble.
        spec = ",".join(f"{carrier}.{name}" for name in (loss, trouble) if name)
        found.append(Case(carrier, ("busy", "hangup-early", "rejected")[index // 7 % 3], spec, seed + index))
    return found


def carry_out(given: Case, nest: Nest) -> dict[str, Any]:
    """Dial once, uninterrupted, and say what became of the leg."""
    with case.world(given) as (home, running, env):
        # Detached: what is measured is over when the leg is found.
        told = nest.run(argv=[*case.dial(given), "--detach"], env=env, quick=False)
        record = json.loads(told["out"])
        (attempt,) = case.attempts(home)
        at = case.when(home, attempt["attempt_id"])
        history = running.history()
    legs = [event for event in history if event["type"] == "call.placed"]
    asked = [event for event in history if event["type"] == "request" and case.creates_leg(event)]
    adopted = record["placed"] == "yes" and "placed" in at
    wrong = [] if len(legs) == 1 else [f"{len(legs)} legs"]
    if len(asked) != 1:
        wrong.append(f"{len(asked)} creates were sent")
    if adopted and not {record["carrier_call_id"], *record["carrier_ids"].values()} & {
        legs[0]["carrier_call_id"],
        *legs[0]["carrier_ids"].values(),
    }:
        wrong.append("another leg was adopted")
    if not adopted and record["exit_code"] != 20:
        wrong.append(f"not adopted, and the exit code is {record['exit_code']}")
    return {
        "case": given.name, "wrong": wrong, "adopted": adopted, "carrier": given.carrier,
        "after_s": at["placed"] - at["unknown"] if adopted and "unknown" in at else None, "pid": os.getpid(),
    }  # fmt: skip


def figures(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all losses."""
    times = sorted(each["after_s"] for each in results if each.get("after_s") is not None)
    adopted = sum(each.get("adopted", False) for each in results)
    return {
        "creates whose reply was lost": len(results),
        "adopted": adopted,
        "adopted, %": round(100 * adopted / len(results), 2),
        "sent or rung twice": sum(bool(each["wrong"]) for each in results),
        "median seconds until found": round(statistics.median(times), 3) if times else None,
        "longest seconds until found": round(times[-1], 3) if times else None,
        "wrong": [f"{each['case']}: {words}" for each in results for words in each["wrong"]],
    }
