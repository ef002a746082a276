"""A live call to tend: a carrier's line and an Ultravox that say what a test wants, and a journal with one attempt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from support.scripted import play

from uvcall.calls.desk import Desk
from uvcall.calls.follow import Timing
from uvcall.calls.lookup import Vendors
from uvcall.calls.subject import Tools
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, LegState, LegStatus, Line, PlacedCall, UltravoxCall
from uvcall.core.transcripts import Message
from uvcall.errors import ProviderRefused, Temporary
from uvcall.journal import Intent, Journal, Owner, Step, digest_of, this_process

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = "5a2c1b60-0000-4000-8000-0242ac110002"
TO, FROM = "+12025550100", "+12025550199"
QUICK = Timing(
    poll_ringing_s=0.001, poll_talking_s=0.001, poll_failed_s=0.001, leg_grace_s=0.004, request_s=10, hang_up_s=10
)
GONE = Owner(1, "gone")

LEG = PlacedCall(Provider.TWILIO, "CA1")
QUEUED = LegStatus(LegState.QUEUED)
RINGING = LegStatus(LegState.RINGING, raw="ringing")
UP = LegStatus(LegState.ANSWERED, raw="in-progress", answered=True, answered_at=NOW)
DONE = LegStatus(
    LegState.ENDED, Cause.NORMAL, "completed", answered=True, answered_at=NOW, ended_at=NOW + timedelta(seconds=9)
)
BUSY = LegStatus(LegState.ENDED, Cause.BUSY, "busy")

WAITS = UltravoxCall(CALL, created_at=NOW)
JOINED = UltravoxCall(CALL, created_at=NOW, joined_at=NOW)
LEFT = UltravoxCall(CALL, created_at=NOW, joined_at=NOW, ended_at=NOW + timedelta(seconds=9), end_reason="hangup")
UNJOINED = UltravoxCall(CALL, created_at=NOW, ended_at=NOW, end_reason="unjoined")

HELLO, HI = Line("agent", "Hello.", 0.4), Line("user", "Hi.", 2.0)

NOT_FOUND = ProviderRefused("no such call", status=404)
BAD_WEATHER = Temporary("it answered with HTTP 502", status=502)


@dataclass
class Peers:
    """Both peers; the last entry of a script is said for ever. Every request is noted."""

    statuses: deque[Any] = field(default_factory=lambda: deque([DONE]))
    finds: deque[Any] = field(default_factory=lambda: deque([[]]))
    phone_hang_ups: deque[Any] = field(default_factory=lambda: deque([True]))
    calls: deque[Any] = field(default_factory=lambda: deque([LEFT]))
    by_metadata: deque[Any] = field(default_factory=lambda: deque([[]]))
    agent_hang_ups: deque[Any] = field(default_factory=lambda: deque([True]))
    transcripts: deque[Any] = field(default_factory=lambda: deque([[HELLO, HI]]))
    says: deque[Any] = field(default_factory=lambda: deque([None]))
    downloads: deque[Any] = field(default_factory=lambda: deque([None]))
    log: list[str] = field(default_factory=list)

    # the carrier's line

    def open(self) -> None:
        self.log.append("open")

    def status(self, placed: PlacedCall) -> Any:
        self.log.append(f"status {placed.carrier_call_id}")
        return play(self.statuses)

    def find(self, order: Any, **window: float) -> Any:
        self.log.append("find")
        return play(self.finds)

    def hang_up(self, placed: PlacedCall) -> Any:
        self.log.append(f"hang up {placed.carrier_call_id}")
        return play(self.phone_hang_ups)


@dataclass
class Ultravox:
    """Ultravox's half of the peers; `hang_up` of both takes one argument."""

    peers: Peers

    def get_call(self, call_id: str) -> Any:
        self.peers.log.append(f"get {call_id}")
        return play(self.peers.calls)

    def calls_by_metadata(self, key: str, value: str) -> Any:
        self.peers.log.append(f"by {key}")
        return play(self.peers.by_metadata)

    def hang_up(self, call_id: str) -> Any:
        self.peers.log.append(f"end {call_id}")
        return play(self.peers.agent_hang_ups)

    def transcript(self, call_id: str) -> Any:
        self.peers.log.append("transcript")
        return play(self.peers.transcripts)

    def messages(self, call_id: str) -> Any:
        self.peers.log.append(f"messages {call_id}")
        return [Message(line.role, line.text, line.at_s) for line in play(self.peers.transcripts)]

    def events(self, call_id: str, *, severity: str, kind: str | None) -> Any:
        self.peers.log.append(f"events {severity} {kind}")
        return []

    def agent_says(self, call_id: str, text: str, *, urgency: str, uninterruptible: bool) -> None:
        self.peers.log.append(f"agent: {text} ({urgency}, {uninterruptible})")
        play(self.peers.says)

    def user_says(self, call_id: str, text: str, *, urgency: str) -> None:
        self.peers.log.append(f"user: {text} ({urgency})")
        play(self.peers.says)

    def download_recording(self, call_id: str, sink: Any, watch: Callable[..., None]) -> Any:
        self.peers.log.append(f"download {call_id}")
        found = play(self.peers.downloads)
        sink.write(b"RIFF")
        watch(4, 4)
        return found


def tools(peers: Peers, journal: Journal, **more: Any) -> Tools:
    """Return what the use cases need, with the peers behind it."""
    given: dict[str, Any] = {
        "now": lambda: NOW + timedelta(seconds=30),
        "timing": QUICK,
        "desk": Desk(),
        "vendors": Vendors(lambda _: peers, lambda: Ultravox(peers)),
        "agents": lambda: Ultravox(peers),
    }
    return Tools(journal, **(given | more))


def attempt(journal: Journal, *steps: tuple[Step, dict[str, Any]], owner: Owner | None = GONE, **more: Any) -> str:
    """Begin an attempt and take it some steps on; returns its id."""
    attempt_id = str(uuid4())
    given: dict[str, Any] = {
        "attempt_id": attempt_id, "provider": "twilio", "to": TO, "from_": FROM, "created_at": NOW,
        "death_at": NOW + timedelta(minutes=15), "digest": digest_of({}), "owner": owner,
    }  # fmt: skip
    journal.begin(Intent(**(given | more)), alive=lambda *_: False)
    for step, facts in steps:
        journal.step(attempt_id, step, NOW, **facts)
    return attempt_id


ASKED = (Step.LEG_INTENT, {"provider": "twilio", "from_": FROM, "ring_timeout_s": 30, "time_limit_s": 600})
PLACED = (Step.PLACED, {"ultravox_call_id": CALL, "carrier_call_id": "CA1"})
OVER = (
    Step.ENDED,
    {"outcome": "completed", "exit_code": 0, "placed": "yes", "answered_at": NOW, "end_reason": "hangup"},
)


def up(journal: Journal, *, mine: bool = False, **more: Any) -> str:
    """Return an attempt whose call is up, followed by this process or by none."""
    return attempt(journal, ASKED, PLACED, owner=this_process() if mine else GONE, **more)
