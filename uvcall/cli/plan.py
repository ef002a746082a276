"""From flags and settings to an order: everything that can be known to be wrong, before anybody is contacted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvcall.calls.attempt import DialOrder
from uvcall.cli import files
from uvcall.cli import options as opt
from uvcall.cli.context import Context, configured
from uvcall.core import payload
from uvcall.core.duration import parse_duration
from uvcall.core.model import LOOPBACK_HOSTS, LegOrder, Provider, StreamOptions
from uvcall.core.phone import require_e164
from uvcall.core.policy import check_number
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
    base = _base(context, flags)
    ring = settings.get("call.ring_timeout")
    longest = settings.get("call.max_duration")
    if settings.source("call.max_duration") == DEFAULT:
        longest = _seconds(base, "maxDuration") or longest
    attempt_id = str(uuid.uuid4())
    carrier_options = opt.pairs(flags.carrier_option, "--carrier-option")
    settings.require("ultravox.api_key", "every call needs an agent")
    with_line = flags.via.value == "sdk" or configured(settings, provider)
    create = payload.create_call(
        spec(
            context,
            flags,
            settings,
            base,
            medium=_medium(flags, provider, to, from_, carrier_options),
            attempt_id=attempt_id,
            # Ringing eats join time: with the vendor's default of 30 s, whoever answers at second 31 hears silence.
            join_s=max(ring + 60, _seconds(base, "joinTimeout") or 0),
            longest_s=longest,
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


def spec(
    context: Context,
    flags: DialFlags,
    settings: Settings,
    base: Mapping[str, Any],
    *,
    medium: Mapping[str, Any],
    attempt_id: str,
    join_s: float,
    longest_s: float,
) -> payload.CallSpec:
    """Return the `CallSpec`: flags and settings of the agent's side."""
    agent = flags.agent or (None if flags.prompt is not None else settings.get("call.agent"))
    prompt = (
        files.read_text(flags.prompt, "--prompt", stdin=context.stdin)
        if flags.prompt is not None
        else (None if agent else settings.get("call.prompt"))
    )
    tools = files.read_json(flags.tools, "--tools", stdin=context.stdin) if flags.tools is not None else []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UsageError("--tools: not a JSON array of objects", hint='[{"toolName": "hangUp"}]')
    speaks_first = settings.get("call.first_speaker")
    if speaks_first is None and not {"firstSpeakerSettings", "firstSpeaker"} & set(base):
        speaks_first = "user"
    return payload.CallSpec(
        medium=medium,
        agent=agent,
        prompt=prompt,
        variables=opt.pairs(flags.var, "--var"),
        voice=settings.get("call.voice"),
        model=settings.get("call.model"),
        language=settings.get("call.language"),
        temperature=flags.temperature,
        tools=tuple(flags.tool or ()),
        tool_definitions=tuple(tools),
        metadata=opt.pairs(flags.metadata, "--metadata"),
        record=True if flags.save is not None else settings.get("call.record"),
        first_speaker=speaks_first,
        greeting=settings.get("call.greeting"),
        greeting_delay_s=_duration(flags.greeting_delay, "--greeting-delay") if flags.greeting_delay else None,
        max_duration_s=longest_s,
        join_timeout_s=join_s,
        base=base,
        attempt_id=attempt_id,
        prior_call_id=flags.prior_call,
        throttle=flags.throttle,
        leave_voicemail=flags.voicemail.value == "leave",
    )


def _base(context: Context, flags: DialFlags) -> Mapping[str, Any]:
    """Read `--call`."""
    base = files.read_json(flags.call, "--call", stdin=context.stdin) if flags.call is not None else {}
    if not isinstance(base, dict):
        raise UsageError("--call: not a JSON object", hint='{"systemPrompt": "…"}')
    return base


def _seconds(base: Mapping[str, Any], name: str) -> float | None:
    """Return a duration of the `--call` body; what is wrong with it is said where the whole body is checked."""
    text = base.get(name)
    if not isinstance(text, str):
        return None
    try:
        return parse_duration(text)
    except ValueError:
        return None


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
