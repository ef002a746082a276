"""What is known to differ between the sandbox's LiveKit room and Ultravox's."""

from __future__ import annotations

from typing import Final

from uvcall.sandbox.difference import SILENT, Difference

ROOM: Final = (
    Difference(
        "ultravox",
        "WebRTC: what it takes",
        "the extra `sandbox-webrtc`, and a network interface beside loopback with an IPv4 address; without them a join "
        "is refused with 501",
        "nothing",
    ),
    Difference(
        "ultravox",
        "WebRTC: time",
        "media run in real time whatever `--speed` says; limits and timeouts are shortened",
        "real time",
    ),
    Difference(
        "ultravox",
        "WebRTC: the room's server",
        "serves LiveKit's signalling with two peer connections (`/rtc`); `/rtc/v1` is 404, on which LiveKit's SDKs "
        "fall back to it",
        "LiveKit's own",
    ),
    Difference(
        "ultravox",
        "WebRTC: network",
        "media over UDP on 127.0.0.1 only: no STUN, no TURN, no TCP, no IPv6; nothing is lost or late",
        "public addresses and relays; loss and jitter",
    ),
    Difference(
        "ultravox",
        "WebRTC: audio",
        "Opus without forward error correction, redundancy or pauses in transmission; video is not taken",
        "as LiveKit negotiates it",
    ),
    Difference(
        "ultravox",
        "WebRTC: a room's token used twice",
        "401 as long as its participant is in the room",
        "the second participant takes the first one's place",
    ),
    Difference(
        "ultravox",
        "WebRTC: a lost signalling socket",
        "resumed, or begun anew, within 15 s; then the call ends as connection_error",
        SILENT,
    ),
    Difference(
        "ultravox",
        "WebRTC: data packets",
        "user packets only; RPC, text and byte streams and transcriptions of LiveKit's are passed over",
        "what LiveKit has",
    ),
    Difference(
        "ultravox",
        "WebRTC: names in the room",
        "`user_{id}` and `agent`; all ids are made of the call's",
        "opaque",
    ),
)
