"""Plivo through its official SDK: a call with an answer URL, followed through three lists (queued, live, ended).

https://www.plivo.com/docs/voice/api/call
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from uvcall.carriers import BEGINS_WITHIN_S, Account
from uvcall.carriers._errors import (
    AnswerError,
    AnswerLost,
    Complaint,
    Manner,
    begun_within,
    credential,
    failed_create,
    failed_read,
    instant,
    no_id,
    plain_id,
)
from uvcall.carriers._options import in_range, merge, only
from uvcall.carriers._plivo_records import LIVE, UUID, between, from_record, of_request, placed_as
from uvcall.core.carrier import Provider
from uvcall.core.model import Cause, LegOrder, LegState, LegStatus, PlacedCall
from uvcall.errors import AuthError, Temporary, UsageError
from uvcall.imports import quiet, undisturbed

TITLE: Final = "Plivo"
OWN_BASE: Final = "https://api.plivo.com"
NOT_FOUND: Final = 404

#: With bidirectional streams the person's track is the only one. https://www.plivo.com/docs/voice/xml/stream
STREAMS: Final = {"codec": ("L16", "PCMU"), "track": ("inbound_track",)}
RING_S: Final = (1, 600)
LIMIT_S: Final = (1, 86400)
#: callback_url makes the API answer before it knows the call.
BARRED: Final = frozenset({"callback_url", "callback_method"})


def _complaint(body: Mapping[str, Any]) -> Complaint | None:
    """Read `{"api_id", "error"}`; the error is words, or an object of words by field. Plivo has no codes."""
    error = body.get("error")
    if isinstance(error, dict):
        error = "; ".join(f"{name}: {words}" for name, words in error.items())
    return Complaint(error) if isinstance(error, str) and error else None


MANNER: Final = Manner(
    peer="plivo",
    title=TITLE,
    read=_complaint,
    # 403 on a call is the geographic permission; 401 alone speaks of the credentials.
    # https://www.plivo.com/docs/voice/api/overview
    is_auth=lambda status, _said: status == 401,
    auth_hint="check plivo.auth_id and plivo.auth_token: console.plivo.com → Overview",
)


@dataclass(slots=True)
class Client:
    """The SDK's client, and what it must remember because Plivo's three lists do not."""

    sdk: Any
    adapter: Any
    orders: dict[str, tuple[LegOrder, float]] = field(default_factory=dict)  #: by request UUID, with the time
    own: set[str] = field(default_factory=set)  #: request UUIDs of what this client has placed
    seen: set[str] = field(default_factory=set)  #: UUIDs that were alive once


def load() -> None:
    """Import the SDK and keep its loggers quiet."""
    with undisturbed():
        import plivo

        import uvcall.carriers._requests  # noqa: F401 - imports requests, which the SDK brings anyway
    quiet(plivo.__name__, "urllib3", "requests")


def connect(account: Account) -> Client:
    """Return a client that sends once and prints nothing. Contacts nobody."""
    auth_id = credential("Plivo auth id", "plivo.auth_id", account.text("auth_id"))
    token = credential("Plivo auth token", "plivo.auth_token", account.text("auth_token"))
    load()
    import plivo

    from uvcall.carriers._requests import OneShot, mount

    base = account.base_url.rstrip("/")

    class OneBase(plivo.RestClient):  # type: ignore[misc]  # the SDK has no types
        """The SDK's client at the base URL that was given, with the proxies that the environment gives."""

        def send_request(self, prepared: Any, **kwargs: Any) -> Any:
            prepared.url = base + prepared.url.removeprefix(OWN_BASE)
            session: Any = kwargs.get("session", self.session)
            settings = session.merge_environment_settings(prepared.url, {}, None, None, None)
            # The adapter raises for anything but 2xx, which also ends the SDK's loop of three attempts.
            return session.send(prepared, timeout=self.timeout, **settings)

    try:
        sdk = OneBase(auth_id, token, timeout=account.timeout_s)
    except plivo.exceptions.AuthenticationError as error:
        raise AuthError(
            "the Plivo auth id is not one: it has 20 characters and begins with MA or SA",
            hint=MANNER.auth_hint,
            peer="plivo",
        ) from error
    adapter = OneShot(account.timeout_s)
    mount(sdk.session, adapter, account.base_url)
    return Client(sdk, adapter)


def close(client: Client) -> None:
    """Close the client's connections."""
    client.sdk.session.close()
    client.sdk.multipart_session.close()


def request(account: Account, order: LegOrder) -> Mapping[str, Any]:  # noqa: ARG001 - the Protocol's shape
    """Return the arguments of `client.calls.create`."""
    if not order.answer_url:
        raise UsageError(
            "Plivo takes no inline XML: it needs an answer URL that it can reach",
            hint="give --answer-url, or let Ultravox dial with --via ultravox",
            peer="plivo",
        )
    only(TITLE, order.stream, STREAMS)
    own: dict[str, Any] = {
        "from_": order.from_,
        "to_": order.to,
        "answer_url": order.answer_url,
        "answer_method": "GET",
        "ring_timeout": in_range(
            TITLE, "ring timeout", order.ring_timeout_s, *RING_S, hint="choose another --ring-timeout"
        ),
        # A longer one would be cut by Plivo without a word.
        "time_limit": in_range(
            TITLE, "call limit", order.time_limit_s, *LIMIT_S, hint="choose a shorter --max-duration"
        ),
    }
    # https://www.plivo.com/docs/voice/concepts/answering-machine-detection
    if order.detect_machine and order.hang_up_on_machine:
        own["machine_detection"] = "hangup"
    elif order.detect_machine and order.machine_url:
        own |= {"machine_detection": "true", "machine_detection_url": order.machine_url}
    elif order.detect_machine:
        raise UsageError(
            "Plivo tells of an answering machine only at a URL that it can reach",
            hint="use --voicemail hangup or --voicemail ignore",
            peer="plivo",
        )
    return merge(TITLE, _sdk_call, own, order.options, barred=BARRED)


def _sdk_call() -> Any:
    with undisturbed():
        import plivo

    return plivo.resources.calls.Calls.create


def place(client: Client, account: Account, order: LegOrder) -> PlacedCall:
    """Place the leg: exactly one POST."""
    import plivo

    arguments = request(account, order)
    try:
        reply = _ask(client, lambda: client.sdk.calls.create(**arguments))
    except (AnswerError, AnswerLost) as error:
        raise failed_create(MANNER, error) from error
    except plivo.exceptions.ValidationError as error:
        raise UsageError(f"Plivo's SDK refuses the call: {error}", hint="nobody was contacted", peer="plivo") from error
    uuid = plain_id(getattr(reply, "request_uuid", None), UUID)
    if not uuid:
        raise no_id(MANNER, "its answer holds no request_uuid")
    client.orders[uuid] = (order, time.time())
    client.own.add(uuid)
    return PlacedCall(Provider.PLIVO, uuid, {"request_uuid": uuid})


def status(client: Client, account: Account, placed: PlacedCall) -> LegStatus:
    """Look for the call among the live, the queued and the ended, in this order."""
    uuid = placed.ids.get("call_uuid", placed.carrier_call_id)
    found = _look(client, uuid)
    if found is None and "call_uuid" not in placed.ids and uuid in client.orders:
        # The call's own UUID may differ from the request's: then only the numbers lead to it.
        order, since = client.orders[uuid]
        found_ones = find(client, account, order, since=since, until=since + BEGINS_WITHIN_S)
        call = of_request(found_ones, uuid, newest=uuid in client.own)
        if call is not None:
            uuid = call.carrier_call_id
            found = _look(client, uuid)
    if found is not None:
        client.seen.add(placed.carrier_call_id)
        return found
    if placed.carrier_call_id in client.seen or "call_uuid" in placed.ids:
        # It was alive and is not: the record that says why is written a little later.
        return LegStatus(LegState.ENDED, Cause.UNKNOWN, ids={"call_uuid": uuid}, carrier_call_id=uuid)
    return LegStatus(LegState.QUEUED, raw="not listed yet")


def _look(client: Client, uuid: str) -> LegStatus | None:
    ids = {"call_uuid": uuid}
    live = _lookup(client, lambda: client.sdk.live_calls.get(uuid))
    if live is not None:
        spoken = str(getattr(live, "call_status", "")).lower()
        if spoken not in LIVE:
            raise Temporary(f"Plivo says a status that it does not document: {spoken[:40]!r}", peer="plivo")
        state = LIVE[spoken]
        return LegStatus(state, raw=spoken, answered=state is LegState.ANSWERED, ids=ids, carrier_call_id=uuid)
    if _lookup(client, lambda: client.sdk.queued_calls.get(uuid)) is not None:
        return LegStatus(LegState.QUEUED, raw="queued", ids=ids)
    record = _lookup(client, lambda: client.sdk.calls.get(uuid))
    return None if record is None else from_record(vars(record), ids)


def hang_up(client: Client, account: Account, placed: PlacedCall) -> bool:  # noqa: ARG001 - the Protocol's shape
    """End the leg, or take back the request that has not started. 404 for both means that it was over."""
    uuid = placed.ids.get("call_uuid", placed.carrier_call_id)
    request_uuid = placed.ids.get("request_uuid", placed.carrier_call_id)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: client.sdk.calls.delete(uuid),
        lambda: client.sdk.calls.cancel(request_uuid),
    )
    for attempt in attempts:
        try:
            _ask(client, attempt)
        except AnswerError as error:
            if error.answer.status != NOT_FOUND:
                raise failed_read(MANNER, error) from error
        except AnswerLost as error:
            raise failed_read(MANNER, error) from error
        else:
            return True
    return False


def find(
    client: Client,
    account: Account,  # noqa: ARG001 - the Protocol's shape
    order: LegOrder,
    *,
    since: float,
    until: float = inf,
) -> Sequence[PlacedCall]:
    """Look between the two numbers among the live, the queued and the ended calls."""
    numbers: dict[str, Any] = {"from_number": order.from_, "to_number": order.to}
    live = _list(client, lambda: client.sdk.live_calls.list_ids(call_direction="outbound", **numbers), "calls")
    queued = _list(client, client.sdk.queued_calls.list_ids, "calls")
    ended = _list(client, lambda: client.sdk.calls.list(call_direction="outbound", **numbers), "objects")
    found: dict[str, PlacedCall] = {}
    for uuids, getter in ((live, client.sdk.live_calls.get), (queued, client.sdk.queued_calls.get)):
        for uuid in uuids:
            if not plain_id(uuid, UUID):
                continue
            call = _lookup(client, functools.partial(getter, uuid))
            at = instant(getattr(call, "session_start", None))
            if (
                call is not None
                and between(call, "from", "to", order)
                and (at is None or begun_within(at, since, until))
            ):
                placed = placed_as(uuid, call)
                client.orders[placed.carrier_call_id] = (order, since)
                found[placed.carrier_call_id] = placed
    for record in ended:
        uuid = plain_id(getattr(record, "call_uuid", None), UUID)
        at = instant(getattr(record, "initiation_time", None))
        if uuid and at and begun_within(at, since, until) and between(record, "from_number", "to_number", order):
            found.setdefault(uuid, placed_as(uuid, record))
    return tuple(found.values())


def check(client: Client, account: Account) -> str:
    """Read the account itself."""
    try:
        found = _ask(client, client.sdk.account.get)
    except (AnswerError, AnswerLost) as error:
        raise failed_read(MANNER, error, strict=True) from error
    credit = getattr(found, "cash_credits", None)
    name = getattr(found, "name", None) or account.text("auth_id")
    return f"account {name}" + (f", credit {credit}" if credit else "")


def _ask(client: Client, call: Callable[[], Any]) -> Any:
    from uvcall.carriers._requests import ask

    return ask(client.adapter, call)


def _lookup(client: Client, call: Callable[[], Any]) -> Any:
    """Return one entry, or None where Plivo has none under this UUID."""
    try:
        found = _ask(client, call)
    except AnswerError as error:
        if error.answer.status == NOT_FOUND:
            return None
        raise failed_read(MANNER, error) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    if not hasattr(found, "__dict__"):
        raise Temporary("Plivo's answer is no object", hint="ask again", peer="plivo")
    return found


def _list(client: Client, call: Callable[[], Any], name: str) -> list[Any]:
    """Return a list's entries.

    Raises:
        Temporary: It cannot be read: absence would prove nothing.
    """
    page = _lookup(client, call)
    entries = getattr(page, name, None)
    if not isinstance(entries, list):
        raise Temporary("Plivo answered without a list", hint="ask again", peer="plivo")
    return entries
