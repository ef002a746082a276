"""How `talk` reaches the agent: what each medium is called, what of it can be chosen, and its transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from uvcall.cli import options as opt
from uvcall.cli.talk_flags import Medium, TalkFlags
from uvcall.core.duration import wire_duration
from uvcall.errors import UsageError

if TYPE_CHECKING:
    from uvcall.core.secret import JoinUrl
    from uvcall.softphone.manner import Manner
    from uvcall.softphone.transport import Transport


#: Ultravox's names of them. https://docs.ultravox.ai/api-reference/calls/calls-post
NAMES: Final[Mapping[str, str]] = {Medium.WEBSOCKET: "serverWebSocket", Medium.WEBRTC: "webRtc"}
#: Samples per second, unless somebody asks for others: what speech models hear, and what WebRTC carries.
#: https://docs.ultravox.ai/apps/websockets
_RATES: Final[Mapping[str, int]] = {Medium.WEBSOCKET: 16_000, Medium.WEBRTC: 48_000}
_LOWEST, _HIGHEST = 8_000, 48_000
#: A large buffer and `playback_clear_buffer` are what the vendor recommends: no gaps, and quick interruptions.
_BUFFER_MS: Final = 30_000
#: Ultravox's own, when the call does not say. https://docs.ultravox.ai/api-reference/calls/calls-post
_THEIR_BUFFER_MS: Final = 60
#: WebRTC brings the agent's voice in its time.
_LIVE_BUFFER_S: Final = 1.0


def fields(flags: TalkFlags, base: Mapping[str, Any], medium: str) -> dict[str, Any]:
    """Return the medium's fields for the Create Call: a flag, then the body's own, then a default.

    Raises:
        UsageError: An option that this medium does not have, or cannot be used.
    """
    theirs = _theirs(base, NAMES[medium])
    found: dict[str, Any] = {}
    if medium == Medium.WEBSOCKET:
        given = {
            "inputSampleRate": flags.input_rate,
            "outputSampleRate": flags.output_rate,
            "clientBufferSizeMs": _ms(flags.client_buffer),
            "mediaIdleTimeout": _idle(flags.media_idle_timeout),
        }
        defaults = {"inputSampleRate": _RATES[medium], "clientBufferSizeMs": _BUFFER_MS}
        found = {name: value for name, value in defaults.items() if name not in theirs}
        found |= {name: value for name, value in given.items() if value is not None}
    else:
        for name in ("client_buffer", "media_idle_timeout"):
            if getattr(flags, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is about the WebSocket medium, and this call is over WebRTC",
                    hint="leave it out, or --medium webrtc",
                )
    if flags.data_message:
        known = theirs.get("dataMessages")
        found["dataMessages"] = {**(known if isinstance(known, Mapping) else {}), **_switches(flags.data_message)}
    return found


def sound(flags: TalkFlags, medium: str, created: Mapping[str, Any] | None) -> tuple[int, int, float]:
    """Return the rate of what is sent, that of the agent's voice, and how far ahead of its playing that comes.

    Args:
        flags: The command line.
        medium: How the agent is reached.
        created: The medium's fields in the call that is created; None with a join URL.

    Raises:
        UsageError: A rate that speech is not sent at.
    """
    rate, output_rate, buffer_s = flags.input_rate or _RATES[medium], flags.output_rate, _LIVE_BUFFER_S
    if medium == Medium.WEBSOCKET:
        form = created or {}
        rate, output_rate = form.get("inputSampleRate", rate), form.get("outputSampleRate", output_rate)
        buffer_s = form.get("clientBufferSizeMs", _THEIR_BUFFER_MS) / 1000
    for name, value in (("--input-rate", rate), ("--output-rate", output_rate or rate)):
        if not _LOWEST <= value <= _HIGHEST or value % 100:
            raise UsageError(
                f"{name}: {value} Hz is not a rate that speech is sent at",
                hint=f"a multiple of 100 from {_LOWEST} to {_HIGHEST}: 16000, 24000, 48000",
            )
    return rate, output_rate or rate, buffer_s


def reach(medium: str, manner: Manner, *, sandbox: bool) -> Callable[[JoinUrl], Transport]:
    """Return what makes the transport for a join URL, once everything that it needs is there.

    Raises:
        LocalError: LiveKit's SDK is not installed, or, with the sandbox, what its room needs is missing.
    """
    if medium == Medium.WEBSOCKET:
        from uvcall.softphone.websocket import WebSocketTransport

        return WebSocketTransport
    from uvcall.cli.context import silencing
    from uvcall.softphone import webrtc

    with silencing("RUST_LOG"):
        webrtc.load()
    if sandbox:
        from uvcall.sandbox.room import require

        require()
    return lambda url: webrtc.WebRtcTransport(url, rate=manner.rate, output_rate=manner.output_rate)


def _theirs(base: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    medium = base.get("medium")
    found = medium.get(name) if isinstance(medium, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _switches(given: list[str]) -> dict[str, bool]:
    """Read every `--data-message NAME[=on|off]`; the names are checked with the whole body."""
    switches = {}
    for text in given:
        name, sign, word = text.partition("=")
        if sign and word not in {"on", "off"}:
            raise UsageError(f"--data-message: {text[:60]!a} is neither on nor off", hint="--data-message debug=on")
        switches[name] = word != "off"
    return switches


def _ms(text: str | None) -> int | None:
    if text is None:
        return None
    seconds = opt.duration(text, "--client-buffer")
    if not 0 < seconds <= 120:
        raise UsageError("--client-buffer is out of range", hint="from 20ms to 2m; 30s hides every gap")
    return round(seconds * 1000)


def _idle(text: str | None) -> str | None:
    return None if text is None else wire_duration(opt.duration(text, "--media-idle-timeout"))
