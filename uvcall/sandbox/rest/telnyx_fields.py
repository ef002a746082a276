"""Telnyx's parameters that stand on more than one command, read as Telnyx reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uvcall.sandbox.documents import TELNYX_RATES, stream_url_problem, telnyx_stream
from uvcall.sandbox.rest import E164, Refusal, telnyx_error
from uvcall.sandbox.world import StreamSpec

#: Parameters with a fixed choice of values. Source: Telnyx's OpenAPI document, schema `CallRequest`.
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "stream_track": ("inbound_track", "outbound_track", "both_tracks"),
    "stream_codec": ("PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16", "default"),
    "stream_bidirectional_mode": ("mp3", "rtp"),
    "stream_bidirectional_codec": ("PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16"),
    "stream_bidirectional_sampling_rate": (8000, 16000, 22050, 24000, 48000),
    "stream_bidirectional_target_legs": ("both", "self", "opposite"),
    "answering_machine_detection": (
        "premium",
        "premium_ios_call_screening_detection",
        "detect",
        "detect_beep",
        "detect_words",
        "greeting_end",
        "disabled",
    ),
    "webhook_url_method": ("POST", "GET"),
    "record": ("record-from-answer",),
}


def bad(code: str, title: str, detail: str, name: str) -> Refusal:
    """Build the 422 for one parameter."""
    return telnyx_error(422, code, title, detail, f"/{name}")


def number_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a parameter that must be an E.164 number.

    Raises:
        Refusal: It is missing or not that.
    """
    value = fields.get(name)
    if value is None or value == "":
        raise bad("10004", "Missing required parameter", f"The '{name}' parameter is required.", name)
    if not isinstance(value, str) or not E164.fullmatch(value):
        raise bad("10016", "Phone number must be in +E164 format", f"The '{name}' parameter is not +E164.", name)
    return value


def check_choices(fields: Mapping[str, Any]) -> None:
    """Look at every parameter with a fixed choice of values.

    Raises:
        Refusal: One has another.
    """
    for name, allowed in _CHOICES.items():
        if fields.get(name) is not None and fields[name] not in allowed:
            raise bad("10015", "Bad Request", f"{name} must be one of {', '.join(map(str, allowed))}.", name)


def stream_of(fields: Mapping[str, Any]) -> StreamSpec | None:
    """Return the media stream that the parameters ask for, or None.

    Raises:
        Refusal: Telnyx would refuse it, or it has a codec that the sandbox does not speak.
    """
    url = fields.get("stream_url")
    if not url:
        return None
    problem = stream_url_problem(str(url))
    if problem:
        raise bad("90045", "Invalid stream URL", f"{problem}.", "stream_url")
    codec = fields.get("stream_codec") or "default"
    back = fields.get("stream_bidirectional_codec") or "PCMU"
    for name, value in (("stream_codec", codec), ("stream_bidirectional_codec", back)):
        if value not in TELNYX_RATES:
            raise bad("10015", "Bad Request", f"The sandbox does not speak {value}.", name)
    return telnyx_stream(
        str(url),
        track=fields.get("stream_track") or "inbound_track",
        codec=codec,
        mode=fields.get("stream_bidirectional_mode") or "mp3",
        back_codec=back,
        back_rate=fields.get("stream_bidirectional_sampling_rate") or 8000,
        parameters={},
    )
