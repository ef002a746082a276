"""From flags and settings to an order: everything that can be known to be wrong, before anybody is contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvcall.calls.attempt import DialOrder
from uvcall.cli import agent_side
from uvcall.cli import options as opt
from uvcall.cli.context import Context, configured
from uvcall.core import payload
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.duration import parse_duration
from uvcall.core.model import LegOrder
from uvcall.core.phone import require_e164
from uvcall.core.policy import check_number
from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.settings import DEFAULT, Settings
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.calls.ports import CarrierLine
    from uvcall.cli.dial import DialFlags


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before anybody is contacted."""

    order: DialOrder
    settings: Settings
    warnings: tuple[str, ...]
    line: CarrierLine | None
    answer_host: str


def plan_call(context: Context, flags: DialFlags) -> Plan:
    """Turn flags and settings into an order.

    Raises:
        UvcallError: Whatever can be known to be wrong before anybody is contacted.
    """
    if not flags.sandbox and (flags.scenario or flags.speed != 1 or flags.faults != "off"):
        raise UsageError("--scenario, --speed and --faults steer the sandbox", hint="add --sandbox")
    settings = context.settings(
        {
            "provider": flags.provider.value if flags.provider else None,
            "call.ring_timeout": flags.ring_timeout,
            "call.max_duration": flags.max_duration,
            "call.voice": flags.voice,
            "call.model": flags.model,
            "call.language": flags.language,
            "call.greeting": flags.greeting,
            "call.first_speaker": flags.first_speaker.value if flags.first_speaker else None,
            "call.record": flags.record,
            "plivo.answer_url": flags.answer_url,
            "plivo.answer_port": flags.answer_port,
        }
    )
    provider = context.provider(settings)
    if flags.answer_url is not None and provider is not Provider.PLIVO:
        raise UsageError(f"--answer-url is Plivo's; {provider} takes the join URL itself", hint="leave it out")
    home = settings.get(f"{provider}.from")
    from_ = flags.from_ or home
    if from_ is None:
        settings.require(f"{provider}.from", "the number that the callee sees")
    from_ = require_e164(str(from_), "--from" if flags.from_ else f"{provider}.from", home=home)
    to = flags.to
    warnings = check_number(to, from_=from_, countries=settings.get("policy.countries"))
    base = agent_side.base(context, flags)
    ring = settings.get("call.ring_timeout")
    longest = settings.get("call.max_duration")
    if settings.source("call.max_duration") == DEFAULT:
        longest = agent_side.seconds(base, "maxDuration") or longest
    attempt_id = str(uuid.uuid4())
    carrier_options = opt.pairs(flags.carrier_option, "--carrier-option")
    settings.require("ultravox.api_key", "every call needs an agent")
    with_line = flags.via.value == "sdk" or configured(settings, provider)
    create = payload.create_call(
        agent_side.spec(
            context,
            flags,
            settings,
            base,
            medium=_medium(flags, provider, to, from_, carrier_options),
            attempt_id=attempt_id,
            # Ringing eats join time: with the vendor's default of 30 s, whoever answers at second 31 hears silence.
            join_s=max(ring + 60, agent_side.seconds(base, "joinTimeout") or 0),
            longest_s=longest,
            speaks_first="user",
            greeting_delay_s=_duration(flags.greeting_delay, "--greeting-delay") if flags.greeting_delay else None,
            leave_voicemail=flags.voicemail.value == "leave",
            record=flags.save is not None,
        )
    )
    leg = LegOrder(
        to=to,
        from_=from_,
        attempt_id=attempt_id,
        ring_timeout_s=round(ring),
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
        timeout_s=_duration(flags.timeout, "--timeout") if flags.timeout is not None else None,
        settle_s=_duration(flags.settle, "--settle"),
    )
    line = context.line(settings, provider) if with_line else None
    _check_answer_url(settings, order)
    return Plan(order, settings, warnings, line, flags.answer_host)


def _medium(
    flags: DialFlags, provider: Provider, to: str, from_: str, carrier_options: Mapping[str, str]
) -> dict[str, Any]:
    if flags.via.value == "sdk":
        return {provider.value: {}}
    outgoing: dict[str, Any] = {"to": to, "from": from_}
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


def _duration(text: str, option: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"{option} 90s, {option} 10m") from error


def needs_listener(order: DialOrder) -> bool:
    """Say whether the carrier must fetch the call's XML from us: Plivo takes none inline."""
    return order.provider is Provider.PLIVO and order.via == "sdk"


def _loopback(url: str) -> bool:
    from urllib.parse import urlsplit

    return (urlsplit(url).hostname or "") in LOOPBACK_HOSTS


def _check_answer_url(settings: Settings, order: DialOrder) -> None:
    """Refuse a Plivo call that Plivo could never fetch the XML for.

    Raises:
        ConfigError: There is no public answer URL, and Plivo is the real one.
    """
    if not needs_listener(order) or settings.get("plivo.answer_url"):
        return
    if not _loopback(settings.text("plivo.base_url")):
        settings.require(
            "plivo.answer_url",
            "Plivo fetches the call's XML from a public URL; with Plivo's credentials imported at Ultravox,"
            " --via ultravox needs none",
        )
