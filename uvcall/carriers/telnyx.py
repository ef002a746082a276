"""Telnyx through its official SDK: Call Control's dial, with the agent's stream on it from the first ring.

https://developers.telnyx.com/api/call-control/dial-call and
https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

from uvcall.carriers import Account
from uvcall.carriers._errors import (
    SLACK_S,
    Answer,
    AnswerError,
    AnswerLost,
    begun_within,
    complaint,
    credential,
    failed_create,
    failed_read,
    instant,
    no_id,
    plain_id,
)
from uvcall.carriers._httpx import Sending, why
from uvcall.carriers._httpx import client as httpx_client
from uvcall.carriers._lazy_telnyx import load as load_sdk
from uvcall.carriers._options import in_range, merge, only
from uvcall.carriers._telnyx_errors import ALREADY_OVER, MANNER, TITLE
from uvcall.carriers._telnyx_events import field_of, from_events, over
from uvcall.core.carrier import Provider
from uvcall.core.model import LegOrder, LegState, LegStatus, PlacedCall
from uvcall.errors import ConfigError, Temporary, UsageError
from uvcall.imports import quiet

#: Codec → the rate at which Telnyx streams it. Ultravox wants the same codec both ways.
#: https://docs.ultravox.ai/telephony/telephony-platforms
RATES: Final = {"L16": 16000, "PCMU": 8000, "PCMA": 8000}
STREAMS: Final = {
    "codec": tuple(RATES),
    "track": ("both_tracks", "inbound_track", "outbound_track"),
    "target_legs": ("opposite", "self", "both"),
}
#: The owner's choice for the product; Ultravox's newest page shows inbound_track.
TRACK: Final = "both_tracks"

#: timeout_secs and time_limit_secs: https://developers.telnyx.com/api/call-control/dial-call, error 90029
RING_S: Final = (5, 600)
LIMIT_S: Final = (60, 14400)

#: What would undo the single attempt or replace the stream.
BARRED: Final = frozenset(
    {"extra_headers", "extra_query", "extra_body", "timeout", "assistant", "conversation_relay_config", "link_to"}
)


@dataclass(slots=True)
class Client:
    """The SDK's client with the note of what it has sent."""

    sdk: Any
    http: Any
    sending: Sending


def load() -> None:
    """Import the SDK, only the part that a call needs, and keep its loggers quiet: they print URLs."""
    load_sdk()
    quiet("httpx", "httpcore", "telnyx")


def base_url(given: str) -> str:
    """Return the API's base as the SDK wants it, with the version in the path."""
    trimmed = given.rstrip("/")
    return trimmed if urlsplit(trimmed).path.endswith("/v2") else f"{trimmed}/v2"


def connect(account: Account) -> Client:
    """Return a client that sends once. Contacts nobody."""
    key = credential("Telnyx API key", "telnyx.api_key", account.text("api_key"))
    load()
    telnyx = load_sdk()
    base = base_url(account.base_url)
    http, sending = httpx_client(base, account.timeout_s)
    sdk = telnyx.Telnyx(api_key=key, base_url=base, timeout=http.timeout, max_retries=0, http_client=http)
    return Client(sdk, http, sending)


def close(client: Client) -> None:
    """Close the client's connections."""
    client.http.close()


def request(account: Account, order: LegOrder) -> Mapping[str, Any]:
    """Return the arguments of `client.calls.dial`."""
    if order.join_url is None:
        raise UsageError("Telnyx needs the join URL to dial", hint="create the Ultravox call first", peer="telnyx")
    connection = account.text("connection_id")
    if not connection:
        raise ConfigError(
            "telnyx.connection_id is missing",
            hint="portal.telnyx.com → Voice → Programmable Voice: the id of a Voice API application",
            peer="telnyx",
        )
    only(TITLE, order.stream, STREAMS)
    codec = order.stream.codec or "L16"
    own: dict[str, Any] = {
        "connection_id": connection,
        "to": order.to,
        "from_": order.from_,
        "stream_url": order.join_url.reveal(),
        "stream_track": order.stream.track or TRACK,
        "stream_bidirectional_mode": "rtp",
        "stream_codec": codec,
        "stream_bidirectional_codec": codec,
        "stream_bidirectional_sampling_rate": RATES[codec],
        "stream_bidirectional_target_legs": order.stream.target_legs or "opposite",
        "command_id": order.attempt_id,
        "client_state": client_state(order.attempt_id),
        "timeout_secs": in_range(
            TITLE, "ring timeout", order.ring_timeout_s, *RING_S, hint="choose another --ring-timeout"
        ),
        # The limit is uvcall's last resort, so a shorter one than Telnyx can do is lengthened, not refused.
        "time_limit_secs": in_range(
            TITLE,
            "call limit",
            max(order.time_limit_s, LIMIT_S[0]),
            *LIMIT_S,
            hint="choose a shorter --max-duration",
        ),
    }
    if order.detect_machine:
        own["answering_machine_detection"] = "detect"
    return merge(TITLE, _sdk_call, own, order.options, barred=BARRED)


def _sdk_call() -> Any:
    load_sdk()
    from telnyx.resources.calls.calls import CallsResource

    return CallsResource.dial


def client_state(attempt_id: str) -> str:
    """Return the attempt's id as Telnyx carries it through every event: base64, here of a small JSON object."""
    return base64.b64encode(json.dumps({"uvcall_attempt": attempt_id}).encode()).decode()


def place(client: Client, account: Account, order: LegOrder) -> PlacedCall:
    """Place the leg: exactly one POST."""
    arguments = request(account, order)
    try:
        reply = _ask(client, lambda: client.sdk.calls.dial(**arguments))
    except (AnswerError, AnswerLost) as error:
        raise failed_create(MANNER, error) from error
    placed = _placed(getattr(reply, "data", None))
    if placed is None:
        raise no_id(MANNER, "its answer holds no call_control_id")
    return placed


def _placed(data: Any) -> PlacedCall | None:
    call = plain_id(getattr(data, "call_control_id", None))
    if not call:
        return None
    further = {name: plain_id(getattr(data, name, None)) for name in ("call_leg_id", "call_session_id")}
    return PlacedCall(Provider.TELNYX, call, {name: value for name, value in further.items() if value})


def status(client: Client, account: Account, placed: PlacedCall) -> LegStatus:  # noqa: ARG001 - the Protocol's shape
    """Ask the call events, which alone know why a call ended, and the call itself, which knows first that it did."""
    seen = LegStatus(LegState.QUEUED, ids=placed.ids)
    leg = placed.ids.get("call_leg_id")
    if leg:
        events = _read(client, lambda: client.sdk.call_events.list(filter={"leg_id": leg}, page_size=250))
        seen = from_events(_items(events), placed)
    if seen.state is LegState.ENDED:
        return seen
    try:
        reply = _ask(client, lambda: client.sdk.calls.retrieve_status(placed.carrier_call_id))
    except AnswerError as error:
        if error.answer.status == 404:
            return over(seen, None)
        raise failed_read(MANNER, error) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    data: Any = getattr(reply, "data", None)
    if not isinstance(getattr(data, "is_alive", None), bool):
        raise Temporary("Telnyx does not say whether the call is alive", hint="ask again", peer="telnyx")
    if data.is_alive:
        return seen if seen.state is not LegState.QUEUED else LegStatus(LegState.RINGING, raw="alive", ids=placed.ids)
    # Dialing is asynchronous: "not alive" without an end means not yet.
    ended_at = instant(data.end_time)
    return over(seen, ended_at) if ended_at else seen


def hang_up(client: Client, account: Account, placed: PlacedCall) -> bool:  # noqa: ARG001 - the Protocol's shape
    """End the leg. 422 with 90018, and 404, mean that it was over."""
    try:
        _ask(client, lambda: client.sdk.calls.actions.hangup(placed.carrier_call_id))
    except AnswerError as error:
        said = complaint(MANNER, error.answer)
        if error.answer.status == 404 or (said and said.code == ALREADY_OVER):
            return False
        raise failed_read(MANNER, error) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    return True


PAGES: Final = 20


def find(
    client: Client, account: Account, order: LegOrder, *, since: float, until: float = inf
) -> Sequence[PlacedCall]:
    """Look for the attempt's id among the connection's live calls and the events of the numbers.

    A leg that Ultravox places is a TeXML call without our mark: only its numbers and the time tell it.
    """
    mark = client_state(order.attempt_id) if order.ours else None
    earliest = datetime.fromtimestamp(since - SLACK_S, UTC)
    found: dict[str, PlacedCall] = {}
    calls = _pages(
        client,
        lambda page: client.sdk.connections.list_active_calls(
            account.text("connection_id"), page_number=page, page_size=250
        ),
    )
    for call in calls:
        placed = _placed(call) if mark and getattr(call, "client_state", None) == mark else None
        if placed:
            found[placed.carrier_call_id] = placed
    about = {"to": order.to, "from": order.from_, "occurred_at": {"gte": earliest.isoformat()}}
    events = _pages(client, lambda page: client.sdk.call_events.list(filter=about, page_number=page, page_size=250))
    for event in events:
        call_id = plain_id(field_of(event, "call_control_id"))
        at = instant(getattr(event, "event_timestamp", None))
        if mark is None:
            marked = at is None or begun_within(at, since, until)
        else:
            marked = field_of(event, "client_state") == mark
        if call_id and marked and (at is None or at >= earliest):
            ids = {name: plain_id(getattr(event, name, None)) for name in ("call_leg_id", "call_session_id")}
            placed = PlacedCall(Provider.TELNYX, call_id, {name: value for name, value in ids.items() if value})
            found.setdefault(call_id, placed)
    return tuple(found.values())


def check(client: Client, account: Account) -> str:
    """Read the application that calls go out from, or the balance where none is set."""
    connection = account.text("connection_id")
    try:
        if connection:
            reply = _ask(client, lambda: client.sdk.call_control_applications.retrieve(connection))
            name = getattr(getattr(reply, "data", None), "application_name", None)
            return f"application {name}" if name else f"application {connection}"
        reply = _ask(client, client.sdk.balance.retrieve)
    except AnswerError as error:
        if error.answer.status == 404 and connection:
            raise ConfigError(
                f"Telnyx knows no Voice API application {connection}",
                hint="check telnyx.connection_id: portal.telnyx.com → Voice → Programmable Voice",
                status=404,
                peer="telnyx",
            ) from error
        raise failed_read(MANNER, error, strict=True) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    data = getattr(reply, "data", None)
    return f"balance {getattr(data, 'balance', '?')} {getattr(data, 'currency', '') or ''}".rstrip()


def _ask(client: Client, call: Callable[[], Any]) -> Any:
    """Make one SDK call.

    Raises:
        AnswerError: Telnyx answered, but not with success.
        AnswerLost: It did not, or with something that the SDK cannot read.
    """
    telnyx = load_sdk()
    client.sending.begun = False
    try:
        return call()
    except telnyx.APIStatusError as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        raise AnswerError(Answer(answer.status_code, headers, answer.content)) from error
    except telnyx.APIConnectionError as error:
        raise AnswerLost(why(error), sent=client.sending.begun) from error
    except Exception as error:
        # After a request has left, an SDK that stumbles over the answer must not hide that a phone may ring.
        if not client.sending.begun:
            raise
        raise AnswerLost(why(error), sent=True) from error


def _read(client: Client, call: Callable[[], Any]) -> Any:
    try:
        return _ask(client, call)
    except (AnswerError, AnswerLost) as error:
        raise failed_read(MANNER, error) from error


def _items(page: Any) -> list[Any]:
    """Return a list's entries.

    Raises:
        Temporary: It is no list: absence would prove nothing.
    """
    data = getattr(page, "data", None)
    if not isinstance(data, list):
        raise Temporary("Telnyx answered without a list", hint="ask again", peer="telnyx")
    return data


def _pages(client: Client, ask: Callable[[int], Any]) -> Iterator[Any]:
    for number in range(1, PAGES + 1):
        page = _read(client, functools.partial(ask, number))
        yield from _items(page)
        total = getattr(getattr(page, "meta", None), "total_pages", None)
        if not isinstance(total, int) or number >= total:
            return
