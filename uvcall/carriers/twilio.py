"""Twilio through its official SDK: one call with inline TwiML, followed by polling.

https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

from uvcall.carriers import Account
from uvcall.carriers._errors import (
    AnswerError,
    AnswerLost,
    Complaint,
    Manner,
    begun_within,
    complaint,
    credential,
    failed_create,
    failed_read,
    instant,
    mapping,
    no_id,
    plain_id,
)
from uvcall.carriers._options import in_range, merge, only
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, LegOrder, LegState, LegStatus, PlacedCall
from uvcall.core.wire import wire
from uvcall.errors import AuthError, FateUnknown, Temporary, UsageError, UvcallError
from uvcall.imports import quiet, undisturbed

TITLE: Final = "Twilio"
OWN_HOST: Final = "api.twilio.com"
SID: Final = re.compile(r"[A-Za-z0-9]{1,64}")

#: A two-way stream is mu-law at 8,000 Hz and hears the person only. https://www.twilio.com/docs/voice/twiml/stream
STREAMS: Final = {"codec": ("PCMU",), "track": ("inbound_track",)}
RING_S: Final = (1, 600)
#: What would take the place of the inline TwiML.
BARRED: Final = frozenset({"url", "application_sid"})

#: A call that waits longer in Twilio's queue could ring at any hour, even tomorrow: it is taken back.
#: https://www.twilio.com/docs/voice/api/call-resource#call-properties (queue_time, in milliseconds)
QUEUE_LIMIT_MS: Final = 5000

#: status → state and cause. https://www.twilio.com/docs/voice/api/call-resource#call-status-values
STATUSES: Final[Mapping[str, tuple[LegState, Cause | None]]] = {
    "queued": (LegState.QUEUED, None),
    "initiated": (LegState.QUEUED, None),
    "ringing": (LegState.RINGING, None),
    "in-progress": (LegState.ANSWERED, None),
    "completed": (LegState.ENDED, Cause.NORMAL),
    "busy": (LegState.ENDED, Cause.BUSY),
    "failed": (LegState.ENDED, Cause.FAILED),
    "no-answer": (LegState.ENDED, Cause.NO_ANSWER),
    "canceled": (LegState.ENDED, Cause.CANCELED),
}
#: answered_by. https://www.twilio.com/docs/voice/answering-machine-detection
MACHINES: Final[Mapping[str, bool]] = {
    "human": False,
    "machine_start": True,
    "machine_end_beep": True,
    "machine_end_silence": True,
    "machine_end_other": True,
    "fax": True,
}

#: A person who declines is "busy" or "no-answer" to Twilio; only Voice Insights keeps the SIP answer that tells.
#: Decline, Unwanted, Rejected: https://www.iana.org/assignments/sip-parameters
#: https://www.twilio.com/docs/voice/voice-insights/api/call/details-call-summary
DECLINED: Final = frozenset({603, 607, 608})
MAYBE_DECLINED: Final = frozenset({"busy", "failed", "no-answer"})
INSIGHTS_S: Final = 3.0

NOT_FOUND: Final = frozenset({"20404"})
#: The call is not in a state that allows it: it is over.
WRONG_STATE: Final = frozenset({"21220"})


def _complaint(body: Mapping[str, Any]) -> Complaint | None:
    """Read `{"code", "message", "status"}`, or RFC 9457's `{"type", "title", "status", "code", "detail"}`."""
    words = body.get("message") or body.get("detail") or body.get("title")
    code = body.get("code")
    if not isinstance(words, str) or not isinstance(code, int | str) or not str(code):
        return None
    return Complaint(words, str(code))


MANNER: Final = Manner(
    peer="twilio",
    title=TITLE,
    read=_complaint,
    is_auth=lambda _status, said: said.code == "20003",
    auth_hint="check twilio.account_sid and twilio.auth_token: console.twilio.com → Account Info",
    hints={
        "21210": "twilio.from must be a number that the account owns or has verified",
        "21211": "check the number that was dialed",
        "21212": "check twilio.from: a number of the account, with +",
        "21214": "check the number that was dialed",
        "21215": "allow the country: console.twilio.com → Voice → Settings → Geo permissions",
        "21216": "Twilio blocks this number; choose another",
        "21219": "a trial account calls verified numbers only: verify it in the console or upgrade",
        "20005": "the account is suspended or closed: see the console",
        "10004": "wait until another call of the account has ended",
    },
)


@dataclass(slots=True)
class Client:
    """The SDK's client with the adapter that it sends through."""

    sdk: Any
    session: Any
    adapter: Any
    asked_insights: set[str] = field(default_factory=set)


def load() -> None:
    """Import the SDK with the part that makes calls, and keep its loggers quiet."""
    with undisturbed():
        import uvcall.carriers._requests  # noqa: F401 - imports requests, which the SDK brings anyway

        wire(Provider.TWILIO)  # what writes the TwiML: not only once the join URL is there
    quiet("twilio", "urllib3", "requests")


def connect(account: Account) -> Client:
    """Return a client that sends once, with a timeout. Contacts nobody."""
    sid = credential("Twilio account SID", "twilio.account_sid", account.text("account_sid"))
    token = credential("Twilio auth token", "twilio.auth_token", account.text("auth_token"))
    if not SID.fullmatch(sid):
        raise AuthError("the Twilio account SID is not one", hint=MANNER.auth_hint, peer="twilio")
    load()
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client as Sdk

    from uvcall.carriers._requests import OneShot, mount

    adapter = OneShot(account.timeout_s)
    http = TwilioHttpClient(timeout=account.timeout_s)
    mount(http.session, adapter, account.base_url)
    if urlsplit(account.base_url).hostname == OWN_HOST:
        sdk = Sdk(sid, token, http_client=http)
    else:
        # Another base is meant as it stands: TWILIO_EDGE and TWILIO_REGION would rewrite its host.
        sdk = Sdk(sid, token, http_client=http, environment={"TWILIO_EDGE": ""})
        sdk.api.base_url = account.base_url
        sdk.insights.base_url = account.base_url
    return Client(sdk, http.session, adapter)


def close(client: Client) -> None:
    """Close the client's connections."""
    client.session.close()


def request(account: Account, order: LegOrder) -> Mapping[str, Any]:  # noqa: ARG001 - the Protocol's shape
    """Return the arguments of `client.calls.create`."""
    if order.join_url is None:
        raise UsageError("Twilio needs the join URL to dial", hint="create the Ultravox call first", peer="twilio")
    only(TITLE, order.stream, STREAMS)
    own: dict[str, Any] = {
        "to": order.to,
        "from_": order.from_,
        "twiml": wire(Provider.TWILIO).answer_xml(order.join_url, order.stream),
        "timeout": in_range(TITLE, "ring timeout", order.ring_timeout_s, *RING_S, hint="choose another --ring-timeout"),
        "time_limit": order.time_limit_s,
    }
    if order.detect_machine:
        # Without async_amd the agent would be connected only after the verdict, seconds after "hello".
        own |= {"machine_detection": "Enable", "async_amd": "true"}
    return merge(TITLE, _sdk_call, own, order.options, barred=BARRED)


def _sdk_call() -> Any:
    with undisturbed():
        from twilio.rest.api.v2010.account.call import CallList

    return CallList.create


def place(client: Client, account: Account, order: LegOrder) -> PlacedCall:
    """Place the leg: exactly one POST. A call that Twilio puts into its queue is taken back."""
    arguments = request(account, order)
    try:
        call = _ask(client, lambda: client.sdk.calls.create(**arguments))
    except (AnswerError, AnswerLost) as error:
        raise failed_create(MANNER, error) from error
    sid = plain_id(call.sid, SID)
    if not sid:
        raise no_id(MANNER, "its answer holds no call SID")
    placed = PlacedCall(Provider.TWILIO, sid)
    waits_ms = _number(call.queue_time)
    if waits_ms is not None and waits_ms > QUEUE_LIMIT_MS:
        raise _taken_back(client, account, placed, waits_ms / 1000)
    return placed


def _taken_back(client: Client, account: Account, placed: PlacedCall, seconds: float) -> UvcallError:
    for _ in range(3):
        try:
            hang_up(client, account, placed)
        except Temporary:
            continue
        return Temporary(
            f"Twilio queued the call for {seconds:.0f} s, so it was taken back",
            hint="wait until fewer calls are queued, then run the command again",
            retry_after=seconds,
            peer="twilio",
        )
    return FateUnknown(
        f"Twilio queued the call {placed.carrier_call_id} for {seconds:.0f} s, and taking it back failed",
        hint="cancel it in the console, or run `uvcall reconcile`",
        peer="twilio",
    )


def status(client: Client, account: Account, placed: PlacedCall) -> LegStatus:  # noqa: ARG001 - the Protocol's shape
    """Fetch the call; ask Voice Insights once why an unanswered one ended."""
    sid = placed.carrier_call_id
    call = _read(client, lambda: client.sdk.calls(sid).fetch())
    spoken = str(call.status or "")
    if spoken not in STATUSES:
        raise Temporary(f"Twilio says a status that it does not document: {spoken[:40]!r}", peer="twilio")
    state, cause = STATUSES[spoken]
    if spoken in MAYBE_DECLINED and _declined(client, sid):
        cause = Cause.REJECTED
    started, ended = instant(call.start_time), instant(call.end_time)
    answered = spoken in {"in-progress", "completed"}
    return LegStatus(
        state,
        cause,
        raw=spoken,
        answered=answered,
        machine=MACHINES.get(str(call.answered_by)),
        answered_at=started if answered else None,
        ended_at=ended,
        duration_s=_number(call.duration),
        cost=f"{call.price} {call.price_unit or ''}".strip() if call.price else None,
    )


def _declined(client: Client, sid: str) -> bool:
    if sid in client.asked_insights:
        return False
    client.asked_insights.add(sid)
    try:
        with client.adapter.patience(INSIGHTS_S):
            summary = _ask(client, lambda: client.sdk.insights.v1.calls(sid).summary().fetch())
    except (AnswerError, AnswerLost):
        # Not every account has Voice Insights, and a summary takes its time: the plain status stands.
        return False
    places = (mapping(summary.properties), mapping(mapping(summary.carrier_edge).get("properties")))
    return any(_number(place.get("last_sip_response_num")) in DECLINED for place in places)


def hang_up(client: Client, account: Account, placed: PlacedCall) -> bool:  # noqa: ARG001 - the Protocol's shape
    """End the leg in whatever state. 404 and 21220 mean that it was over."""
    try:
        _ask(client, lambda: client.sdk.calls(placed.carrier_call_id).update(status="completed"))
    except AnswerError as error:
        said = complaint(MANNER, error.answer)
        if said and said.code in NOT_FOUND | WRONG_STATE:
            return False
        raise failed_read(MANNER, error) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    return True


#: Newest first, so an attempt of the last minutes is among these.
NEWEST: Final = 100


def find(
    client: Client,
    account: Account,  # noqa: ARG001 - the Protocol's shape
    order: LegOrder,
    *,
    since: float,
    until: float = inf,
) -> Sequence[PlacedCall]:
    """List the calls between the two numbers, queued ones too, which have no start time to filter by."""
    calls = _read(
        client,
        lambda: client.sdk.calls.list(to=order.to, from_=order.from_, limit=NEWEST, page_size=NEWEST),
    )
    found = []
    for call in calls:
        sid, at = plain_id(call.sid, SID), instant(call.date_created)
        # `from` of the answer is checked too: a list that ignores its filter must not lend us another's call.
        if sid and at and begun_within(at, since, until) and call.to == order.to and call._from == order.from_:  # noqa: SLF001 - the SDK's name for "from"
            found.append(PlacedCall(Provider.TWILIO, sid))
    return tuple(found)


def check(client: Client, account: Account) -> str:
    """Read the account itself."""
    sid = account.text("account_sid")
    try:
        found = _ask(client, lambda: client.sdk.api.v2010.accounts(sid).fetch())
    except (AnswerError, AnswerLost) as error:
        raise failed_read(MANNER, error, strict=True) from error
    return f"account {found.friendly_name or sid} ({found.status or 'status unknown'})"


def _ask(client: Client, call: Any) -> Any:
    from uvcall.carriers._requests import ask

    return ask(client.adapter, call)


def _read(client: Client, call: Any) -> Any:
    try:
        return _ask(client, call)
    except (AnswerError, AnswerLost) as error:
        raise failed_read(MANNER, error) from error


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
