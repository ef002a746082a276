"""A carrier and an Ultravox that say what a test wants them to say: values behind the ports, no vendor imitated."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from uvcall.calls.attempt import DialOrder
from uvcall.calls.follow import Timing
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, CreatedCall, LegOrder, LegState, LegStatus, Line, PlacedCall, UltravoxCall
from uvcall.core.payload import CreateCall
from uvcall.core.secret import JoinUrl

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RINGING = LegStatus(LegState.RINGING, raw="ringing")
ANSWERED = LegStatus(LegState.ANSWERED, raw="in-progress", answered=True, answered_at=NOON)
HUNG_UP = LegStatus(LegState.ENDED, Cause.NORMAL, "completed", answered=True, answered_at=NOON, duration_s=3.0)


def leg_ended(cause, **more):
    return LegStatus(LegState.ENDED, cause, str(cause), **more)


WAITING = UltravoxCall("uv-1")
JOINED = UltravoxCall("uv-1", joined_at=NOON)


def left(reason):
    return UltravoxCall("uv-1", joined_at=NOON, ended_at=NOON + timedelta(seconds=3), end_reason=reason)


def play(script):
    """Return the script's next entry, raising it if it is an error; the last one repeats."""
    entry = script[0] if len(script) == 1 else script.popleft()
    if callable(entry):
        entry = entry()
    if isinstance(entry, BaseException):
        raise entry
    return entry


@dataclass
class Peers:
    """Both peers. Every request is noted in `log`."""

    creates: deque = field(default_factory=lambda: deque([CreatedCall("uv-1", JoinUrl("wss://voice.ultravox.ai/x"))]))
    calls: deque = field(default_factory=lambda: deque([JOINED, left("hangup")]))
    lines: list = field(default_factory=lambda: [Line("agent", "Hello", 0.1), Line("user", "Hi", 1.0)])
    by_metadata: deque = field(default_factory=lambda: deque([[]]))
    places: deque = field(default_factory=lambda: deque([PlacedCall(Provider.TWILIO, "CA1", {"x": "y"})]))
    statuses: deque = field(default_factory=lambda: deque([RINGING, ANSWERED, HUNG_UP]))
    finds: deque = field(default_factory=lambda: deque([[]]))
    hang_ups: deque = field(default_factory=lambda: deque([True]))
    log: list = field(default_factory=list)

    # the Ultravox API

    def load(self):
        """Import the SDK: there is none."""

    def create_call(self, create, *, rings, sent):
        self.log.append("create")
        return play(self.creates)

    def get_call(self, call_id):
        self.log.append("get")
        return play(self.calls)

    def calls_by_metadata(self, key, value):
        self.log.append("metadata")
        return play(self.by_metadata)

    def transcript(self, call_id):
        self.log.append("transcript")
        return list(self.lines)

    # the carrier; `hang_up` of both has another number of arguments

    def connect(self, account):
        return object()

    def close(self, client):
        pass

    def request(self, account, order):
        return {"stream_url": order.join_url.reveal() if order.join_url else None, "to": order.to}

    def place(self, client, account, order):
        self.log.append("place")
        return play(self.places)

    def status(self, client, account, placed):
        self.log.append("status")
        return play(self.statuses)

    def find(self, client, account, order, *, since, until):
        self.log.append("find")
        return play(self.finds)

    def hang_up(self, *arguments):
        self.log.append("hang_up agent" if len(arguments) == 1 else "hang_up leg")
        return play(self.hang_ups)


class Clock:
    def now(self):
        return NOON

    def monotonic(self):
        return monotonic()


QUICK = Timing(
    poll_ringing_s=0.001, poll_talking_s=0.001, poll_failed_s=0.001, join_grace_s=0.05, agent_grace_s=0.01,
    leg_grace_s=0.05, overtime_s=5, create_s=2, request_s=2, hang_up_s=0.5, max_wait_s=2, settle_poll_s=0.005,
)  # fmt: skip

LEG = LegOrder(
    to="+12025550100",
    from_="+12025550199",
    attempt_id="0b6c2f1e-8f3c-4b6e-9f0a-1d2e3f4a5b6c",
    ring_timeout_s=0,
    time_limit_s=60,
)
ORDER = DialOrder(
    Provider.TWILIO, CreateCall("/api/calls", {"medium": {"twilio": {}}}), LEG, max_duration_s=0, settle_s=0.05
)
