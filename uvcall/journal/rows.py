"""Entries as rows and back: the statements and the two conversions, every column named in each."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, cast

from uvcall.core.model import Failure, Outcome
from uvcall.journal.entry import Entry, Via, moment, plain, stamp
from uvcall.journal.owner import Owner
from uvcall.journal.states import State

ALL: Final = "SELECT * FROM attempts "
INSERT: Final = """INSERT INTO attempts (
  attempt_id, key, digest, provider, to_number, from_number, via, created_at, death_at, owner_pid, owner_start, command,
  state, placed, leg_at, ring_timeout_s, time_limit_s, ultravox_call_id, carrier_call_id, carrier_ids, outcome,
  exit_code, answered_at, ended_at, duration_s, end_reason, cost, error, reason, assumed_by, updated_at,
  blocks_number, spends_key
) VALUES (
  :attempt_id, :key, :digest, :provider, :to, :from_, :via, :created_at, :death_at, :owner_pid, :owner_start, :command,
  :state, :placed, :leg_at, :ring_timeout_s, :time_limit_s, :ultravox_call_id, :carrier_call_id, :carrier_ids, :outcome,
  :exit_code, :answered_at, :ended_at, :duration_s, :end_reason, :cost, :error, :reason, :assumed_by, :updated_at,
  :blocks_number, :spends_key
)"""
_SET: Final = """UPDATE attempts SET
  provider = :provider, from_number = :from_, death_at = :death_at, state = :state, placed = :placed, leg_at = :leg_at,
  ring_timeout_s = :ring_timeout_s, time_limit_s = :time_limit_s, ultravox_call_id = :ultravox_call_id,
  carrier_call_id = :carrier_call_id, carrier_ids = :carrier_ids, outcome = :outcome, exit_code = :exit_code,
  answered_at = :answered_at, ended_at = :ended_at, duration_s = :duration_s, end_reason = :end_reason, cost = :cost,
  error = :error, reason = :reason, assumed_by = :assumed_by, updated_at = :updated_at"""
_THERE: Final = " WHERE attempt_id = :attempt_id"
UPDATE: Final = _SET + _THERE
CLOSE: Final = _SET + ", blocks_number = :blocks_number, spends_key = :spends_key" + _THERE
RECENT: Final = """SELECT * FROM attempts
WHERE (:provider IS NULL OR provider = :provider) AND (:to IS NULL OR to_number = :to)
  AND (:outcome IS NULL OR outcome = :outcome) AND (:state IS NULL OR state = :state)
  AND (:since IS NULL OR created_at >= :since) AND (:until IS NULL OR created_at < :until)
ORDER BY seq DESC LIMIT :limit"""
# By name: without it SQLite would read every attempt there ever was.
OPEN: Final = "SELECT * FROM attempts INDEXED BY one_open_attempt_per_number WHERE blocks_number ORDER BY seq"
OPEN_AT: Final = """SELECT * FROM attempts INDEXED BY one_open_attempt_per_number
WHERE blocks_number AND to_number = ?"""
BY_VENDOR_ID: Final = """SELECT * FROM attempts
WHERE attempt_id = :low OR attempt_id IN (SELECT attempt_id FROM ids WHERE id = :text)"""
TRAIL: Final = """INSERT INTO steps
SELECT seq, (SELECT coalesce(max(number), 0) + 1 FROM steps WHERE attempt = seq), :at, :step, :state, :facts
FROM attempts WHERE attempt_id = :attempt_id"""
HISTORY: Final = """SELECT at, step, steps.state, facts FROM steps JOIN attempts ON seq = attempt
WHERE attempt_id = ? ORDER BY number"""


def row_of(entry: Entry) -> dict[str, Any]:
    """Return the values of `INSERT`, `UPDATE` and `CLOSE` for an entry."""
    owner = entry.owner
    return {
        "attempt_id": entry.attempt_id,
        "key": entry.key,
        "digest": entry.digest,
        "provider": entry.provider,
        "to": entry.to,
        "from_": entry.from_,
        "via": entry.via,
        "created_at": stamp(entry.created_at),
        "death_at": stamp(entry.death_at),
        "owner_pid": owner.pid if owner else None,
        "owner_start": owner.start if owner else None,
        "command": entry.command,
        "state": entry.state.value,
        "placed": entry.placed,
        "leg_at": stamp(entry.leg_at),
        "ring_timeout_s": entry.ring_timeout_s,
        "time_limit_s": entry.time_limit_s,
        "ultravox_call_id": entry.ultravox_call_id,
        "carrier_call_id": entry.carrier_call_id,
        "carrier_ids": json.dumps(dict(entry.carrier_ids), sort_keys=True),
        "outcome": entry.outcome.value if entry.outcome else None,
        "exit_code": entry.exit_code,
        "answered_at": stamp(entry.answered_at),
        "ended_at": stamp(entry.ended_at),
        "duration_s": entry.duration_s,
        "end_reason": entry.end_reason,
        "cost": entry.cost,
        "error": json.dumps(plain(entry.error)) if entry.error else None,
        "reason": entry.reason,
        "assumed_by": entry.assumed_by,
        "updated_at": stamp(entry.updated_at),
        "blocks_number": entry.open,
        "spends_key": entry.spent,
    }


def entry_of(row: dict[str, Any]) -> Entry:
    """Return the entry that a row of `attempts` holds."""
    return Entry(
        attempt_id=row["attempt_id"],
        key=row["key"],
        digest=row["digest"],
        provider=row["provider"],
        to=row["to_number"],
        from_=row["from_number"],
        via=cast("Via", row["via"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        death_at=datetime.fromisoformat(row["death_at"]),
        owner=None if row["owner_pid"] is None else Owner(row["owner_pid"], row["owner_start"]),
        command=row["command"],
        state=State(row["state"]),
        placed=row["placed"],
        leg_at=moment(row["leg_at"]),
        ring_timeout_s=row["ring_timeout_s"],
        time_limit_s=row["time_limit_s"],
        ultravox_call_id=row["ultravox_call_id"],
        carrier_call_id=row["carrier_call_id"],
        carrier_ids=json.loads(row["carrier_ids"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        exit_code=row["exit_code"],
        answered_at=moment(row["answered_at"]),
        ended_at=moment(row["ended_at"]),
        duration_s=row["duration_s"],
        end_reason=row["end_reason"],
        cost=row["cost"],
        error=None if row["error"] is None else Failure(**json.loads(row["error"])),
        reason=row["reason"],
        assumed_by=row["assumed_by"],
        updated_at=moment(row["updated_at"]),
    )
