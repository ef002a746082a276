"""From the flags and settings of `serve-inbound` to the place that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvcall.cli.context import SIGNED_BY, Context
from uvcall.core.carrier import Provider
from uvcall.core.secret import Secret, is_loopback
from uvcall.core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from uvcall.calls.inbound_ports import InboundLine
    from uvcall.cli.serve_flags import ServeFlags
    from uvcall.core.inbound_policy import Rules
    from uvcall.core.payload import CallSpec
    from uvcall.server.inbound import Place

#: Seconds that Ultravox keeps a call for a caller whose carrier has its document already.
JOIN_S: Final = 30.0
#: Stands in the Create Call's body where each call's own id goes.
_MARK: Final = "@uvcall-attempt@"


def place_of(
    context: Context, flags: ServeFlags, settings: Settings, providers: tuple[Provider, ...], directory: Path
) -> Place:
    """Return everything that a server must know, or say what is wrong before anybody rings."""
    from uvcall.calls.inbound_ports import House
    from uvcall.carriers import Account
    from uvcall.cli import agent_side
    from uvcall.core.carrier import StreamOptions
    from uvcall.core.prompt import FALLBACK_SAY
    from uvcall.server import inbound

    api_key: Secret = settings.require("ultravox.api_key", "every call needs an agent")
    host, port = settings.text("server.host"), settings.get("server.port")
    if port == 0:
        # Ultravox is told where to report before anybody listens there.
        with inbound.listen(host, 0) as free:
            port = free.getsockname()[1]
    base = settings.get("server.public_url") or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    body = agent_side.base(context, flags)
    longest = agent_side.longest_s(settings, body)
    join_s = max(JOIN_S, agent_side.seconds(body, "joinTimeout") or 0)
    callbacks = _callbacks(settings, base, directory)
    # Once for all carriers: a prompt that comes from stdin comes once.
    spec = agent_side.spec(
        context,
        flags,
        settings,
        body,
        medium={},
        attempt_id=_MARK,
        join_s=join_s,
        longest_s=longest,
        speaks_first="agent",
    )
    lines = {one: _line(flags, settings, one, spec, callbacks) for one in providers}
    telnyx = Provider.TELNYX in providers and settings.get("telnyx.api_key")
    return inbound.Place(
        house=House(
            lines=lines,
            rules=_rules(settings, flags, longest, join_s),
            say=settings.get("server.fallback_say") or FALLBACK_SAY,
            forward_to=settings.get("server.forward_to"),
            language=settings.get("call.language") or "en-US",
        ),
        directory=directory,
        api_key=api_key,
        ultravox_url=settings.text("ultravox.base_url"),
        base=base,
        host=host,
        port=port,
        metrics_port=flags.metrics_port or 0,
        telnyx=Account({"api_key": telnyx}, settings.text("telnyx.base_url")) if telnyx else None,
        control_stream=StreamOptions(
            settings.get("telnyx.codec"), settings.get("telnyx.stream_track"), settings.get("telnyx.target_legs")
        ),
    )


def _rules(settings: Settings, flags: ServeFlags, longest: float, join_s: float) -> Rules:
    from uvcall.core.inbound_policy import Rules

    return Rules(
        numbers=frozenset(settings.get("server.numbers") or ()),
        allow_from=frozenset(settings.get("server.allow_from") or ()),
        deny_from=frozenset(settings.get("server.deny_from") or ()),
        allow_unknown=flags.allow_unknown,
        max_concurrent=settings.get("server.max_concurrent"),
        per_caller=flags.calls_per_caller or None,
        per_hour=flags.calls_per_hour or None,
        minutes_a_day=flags.daily_minutes,
        longest_s=longest,
        join_s=join_s,
    )


def _callbacks(settings: Settings, base: str, directory: Path) -> dict[str, Any]:
    """Return the Create Call's callbacks, through which Ultravox tells of a call's end; none that it cannot reach.

    https://docs.ultravox.ai/webhooks/overview
    """
    from uvcall.server.inbound import webhook_secret

    if not is_loopback(settings.text("ultravox.base_url")) and not base.startswith("https://"):
        return {}
    told = {"url": f"{base}/ultravox", "secrets": [webhook_secret(directory)]}
    return {"callbacks": {"joined": told, "ended": told}}


def _line(
    flags: ServeFlags, settings: Settings, provider: Provider, spec: CallSpec, callbacks: dict[str, Any]
) -> InboundLine:
    """Return how a carrier's callers are connected; what is wrong with it is said before anybody rings."""
    import json
    from urllib.parse import urlencode

    from uvcall.calls.inbound_ports import InboundLine
    from uvcall.cli.streams import answer_stream
    from uvcall.core.payload import create_call
    from uvcall.core.secret import JoinUrl
    from uvcall.core.wire import wire

    create = create_call(spec._replace(medium={provider.value: {}}))
    before, _, after = json.dumps({**callbacks, **create.body}).encode().partition(_MARK.encode())
    stream = answer_stream(settings, provider)
    wire(provider).answer_xml(JoinUrl("wss://voice.ultravox.ai/calls/x"), stream)
    key = None if flags.insecure_skip_signature else settings.require(SIGNED_BY[provider])
    return InboundLine(
        provider=provider,
        key=key.reveal() if isinstance(key, Secret) else key,
        stream=stream,
        path=create.path + (f"?{urlencode(dict(create.query))}" if create.query else ""),
        body=(before, after),
    )
