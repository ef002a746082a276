"""From flags and settings to an order: everything that can be known to be wrong, before anybody is contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from uvcall.calls.attempt import DialOrder
from uvcall.cli import agent_side
from uvcall.cli import options as opt
from uvcall.cli.context import Context, configured
from uvcall.core import payload
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.model import LegOrder
from uvcall.core.phone import require_e164
from uvcall.core.policy import check_number
from uvcall.core.secret import is_loopback
from uvcall.core.settings import Settings
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.calls.ports import CarrierLine
    from uvcall.cli.dial_flags import DialFlags


class Plan(NamedTuple):
    """Everything decided before anybody is contacted."""

    legs: tuple[tuple[DialOrder, CarrierLine | None], ...]  #: one per carrier, in the order in which they are tried
    settings: Settings
    warnings: tuple[str, ...]
    answer_host: str


def plan_call(context: Context, flags: DialFlags) -> Plan:
    """Turn flags and settings into orders.

    Raises:
        UvcallError: Whatever can be known to be wrong before anybody is contacted.
    """
    steering = (flags.scenario, flags.seed, flags.callee_audio, flags.agent_script)
    if not flags.sandbox and (any(steering) or flags.speed != 1 or flags.faults != "off"):
        raise UsageError("--scenario, --speed, --faults and their like steer the sandbox", hint="add --sandbox")
    named = opt.providers(flags.provider) if flags.provider is not None else ()
    settings = context.settings(
        {
            "provider": named[0].value if named else None,
            "call.ring_timeout": flags.ring_timeout,
            **opt.overrides(flags),
            "plivo.answer_url": flags.answer_url,
            "plivo.answer_port": flags.answer_port,
        }
    )
    # The number first: what is wrong with it is wrong whatever else is missing.
    homes = (str(settings.raw[f"{p}.from"][0]) for p in Provider if f"{p}.from" in settings.raw)
    check_number(flags.to, from_=flags.from_ or next((home for home in homes if home != flags.to), None))
    carriers = named or (context.provider(settings),)
    if flags.answer_url is not None and Provider.PLIVO not in carriers:
        raise UsageError(f"--answer-url is Plivo's; {carriers[0]} takes the join URL itself", hint="leave it out")
    if flags.via.value == "ultravox" and len(carriers) > 1:
        raise UsageError("--via ultravox takes one carrier", hint="name one with --provider")
    if flags.idempotency_key is not None and not (
        0 < len(flags.idempotency_key) <= 200 and flags.idempotency_key.isprintable()
    ):
        raise UsageError("--idempotency-key is empty, too long or not printable", hint="1 to 200 printable characters")
    warnings: dict[str, None] = {}
    callers = {provider: _caller(flags, settings, provider) for provider in carriers}
    for from_ in callers.values():
        warnings |= dict.fromkeys(check_number(flags.to, from_=from_, countries=settings.get("policy.countries")))
    spec = _spec(context, flags, settings, str(uuid.uuid4()))
    legs = tuple(_leg(context, flags, settings, *caller, spec) for caller in callers.items())
    return Plan(legs, settings, tuple(warnings), flags.answer_host)


def _caller(flags: DialFlags, settings: Settings, provider: Provider) -> str:
    home = settings.get(f"{provider}.from")
    from_ = flags.from_ or home
    if from_ is None:
        settings.require(f"{provider}.from", "the number that the callee sees")
    return require_e164(str(from_), "--from" if flags.from_ else f"{provider}.from", home=home)


def _spec(context: Context, flags: DialFlags, settings: Settings, attempt_id: str) -> payload.CallSpec:
    """Return what every carrier's call says to Ultravox; the medium is each one's own."""
    base = agent_side.base(context, flags)
    longest = agent_side.longest_s(settings, base)
    settings.require("ultravox.api_key", "every call needs an agent")
    return agent_side.spec(
        context,
        flags,
        settings,
        base,
        medium={},
        attempt_id=attempt_id,
        join_s=agent_side.join_s(settings, base),
        longest_s=longest,
        speaks_first="user",
        greeting_delay_s=opt.duration(flags.greeting_delay, "--greeting-delay") if flags.greeting_delay else None,
        leave_voicemail=flags.voicemail.value == "leave",
        record=flags.save is not None,
    )


def _leg(
    context: Context,
    flags: DialFlags,
    settings: Settings,
    provider: Provider,
    from_: str,
    spec: payload.CallSpec,
) -> tuple[DialOrder, CarrierLine | None]:
    longest = spec.max_duration_s or settings.get("call.max_duration")
    carrier_options = opt.pairs(flags.carrier_option, "--carrier-option")
    with_line = flags.via.value == "sdk" or configured(settings, provider)
    create = payload.create_call(spec._replace(medium=_medium(flags, provider, from_, carrier_options)))
    leg = LegOrder(
        to=flags.to,
        from_=from_,
        attempt_id=spec.attempt_id or "",
        ring_timeout_s=round(settings.get("call.ring_timeout")),
        # The carrier's limit stands behind Ultravox's own: whoever fails to end the call, the other does.
        time_limit_s=round(longest) + 30,
        detect_machine=flags.voicemail.value != "ignore",
        hang_up_on_machine=flags.voicemail.value == "hangup",
        stream=_stream(settings, provider),
        options=carrier_options if flags.via.value == "sdk" else {},
        ours=flags.via.value == "sdk",
    )
    order = DialOrder(
        provider=provider,
        create=create,
        leg=leg,
        via=flags.via.value,
        voicemail=flags.voicemail.value,
        max_duration_s=longest,
        detach=flags.detach,
        timeout_s=opt.duration(flags.timeout, "--timeout") if flags.timeout is not None else None,
        settle_s=opt.duration(flags.settle, "--settle"),
        key=flags.idempotency_key,
    )
    line = context.line(settings, provider) if with_line else None
    _check_answer_url(settings, order)
    return order, line


def _medium(flags: DialFlags, provider: Provider, from_: str, carrier_options: Mapping[str, str]) -> dict[str, Any]:
    if flags.via.value == "sdk":
        return {provider.value: {}}
    outgoing: dict[str, Any] = {"to": flags.to, "from": from_}
    if carrier_options:
        outgoing["additionalParams"] = dict(carrier_options)
    return {provider.value: {"outgoing": outgoing}}


def _stream(settings: Settings, provider: Provider) -> StreamOptions:
    if provider is Provider.TELNYX:
        return StreamOptions(
            codec=settings.get("telnyx.codec"),
            track=settings.get("telnyx.stream_track"),
            target_legs=settings.get("telnyx.target_legs"),
        )
    return StreamOptions(codec=settings.get("plivo.codec")) if provider is Provider.PLIVO else StreamOptions()


def needs_listener(order: DialOrder) -> bool:
    """Say whether the carrier must fetch the call's XML from us: Plivo takes none inline."""
    return order.provider is Provider.PLIVO and order.via == "sdk"


def _check_answer_url(settings: Settings, order: DialOrder) -> None:
    """Refuse a Plivo call that Plivo could never fetch the XML for.

    Raises:
        ConfigError: There is no public answer URL, and Plivo is the real one.
    """
    if not needs_listener(order) or settings.get("plivo.answer_url"):
        return
    if not is_loopback(settings.text("plivo.base_url")):
        settings.require(
            "plivo.answer_url",
            "Plivo fetches the call's XML from a public URL; with Plivo's credentials imported at Ultravox,"
            " --via ultravox needs none",
        )
