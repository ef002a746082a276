"""The carriers' names, and how they are asked to stream."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Provider(StrEnum):
    """A carrier that uvcall can place calls through."""

    TELNYX = "telnyx"
    TWILIO = "twilio"
    PLIVO = "plivo"


class StreamOptions(NamedTuple):
    """How the carrier streams the call's audio to the agent and back.

    `None` means the carrier's recipe as Ultravox documents it.
    https://docs.ultravox.ai/telephony/telephony-platforms
    """

    codec: str | None = None  #: Telnyx: L16, PCMU, PCMA. Plivo: L16, PCMU. Twilio: mu-law, nothing to choose
    track: str | None = None  #: Telnyx only: inbound_track, both_tracks
    target_legs: str | None = None  #: Telnyx only: opposite, self, both
