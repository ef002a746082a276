"""The media stream of an answer document, as the settings want it."""

from __future__ import annotations

from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.settings import DEFAULT, Settings


def answer_stream(settings: Settings, provider: Provider) -> StreamOptions:
    """Return how the carrier's XML streams the call.

    Telnyx's track and target legs are those of Ultravox's recipe for TeXML unless somebody has set them: their
    defaults here are meant for calls that go out through Call Control.
    https://docs.ultravox.ai/telephony/telephony-platforms
    """
    if provider is Provider.TELNYX:
        return StreamOptions(
            codec=settings.get("telnyx.codec"),
            track=_chosen(settings, "telnyx.stream_track"),
            target_legs=_chosen(settings, "telnyx.target_legs"),
        )
    return StreamOptions(codec=settings.get("plivo.codec")) if provider is Provider.PLIVO else StreamOptions()


def _chosen(settings: Settings, name: str) -> str | None:
    value: str = settings.get(name)
    return None if settings.source(name) == DEFAULT else value
