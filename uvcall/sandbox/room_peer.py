"""The two peer connections between a room and its participant, over aiortc, on loopback and nowhere else.

Each side offers the connection on which it sends: the server the one with the agent's voice (`subscriber`, as the
client sees it), the client the one with its microphone (`publisher`). Data goes the same ways.
https://docs.livekit.io/reference/internals/client-protocol/
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from uvcall.sandbox.room_signal import Description, Identity, Target, Trickle
from uvcall.sandbox.room_tracks import AgentVoice, listen

# What they have to say is for whoever asks for it, and not for the terminal.
for _name in ("aiortc", "aioice"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_ADDRESS: Final = "127.0.0.1"
#: LiveKit's names. https://docs.livekit.io/reference/internals/client-protocol/
_RELIABLE: Final = "_reliable"
_LOSSY: Final = "_lossy"
_MSID: Final = re.compile(r"^(a=msid:)\S+", re.MULTILINE)
_CREDENTIALS: Final = re.compile(r"^a=ice-(ufrag|pwd):(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ends:
    """Who is told what comes in, and asked for what goes out."""

    play: Callable[[int], bytes]  #: give so many bytes of the agent's voice
    heard: Callable[[bytes], None]  #: 20 ms of the participant
    packet: Callable[[bytes], None]  #: a data packet came
    changed: Callable[[str], None]  #: `connected`: the participant is there; `failed`: there is no way to it


@dataclass(slots=True)
class Connections:
    """Both connections of one participant."""

    who: Identity
    ends: Ends
    subscriber: Any = field(init=False)
    publisher: Any = field(init=False)
    _out: Any = field(init=False)
    _unsent: list[bytes] = field(default_factory=list)
    _early: dict[Target, list[Trickle]] = field(default_factory=lambda: {"publisher": [], "subscriber": []})
    _ears: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.subscriber, self.publisher = _new_connection(), _new_connection()
        self.subscriber.addTransceiver(AgentVoice(self.who.track_sid, self.ends.play), "sendonly")
        self._out = self.subscriber.createDataChannel(_RELIABLE)
        self.subscriber.createDataChannel(_LOSSY, ordered=False, maxRetransmits=0)
        self._out.on("open", self._send_waiting)
        self.subscriber.on("connectionstatechange", self._subscriber_changed)
        self.publisher.on("connectionstatechange", self._publisher_changed)
        self.publisher.on("track", self._track)
        self.publisher.on("datachannel", self._channel)

    async def offer(self) -> str:
        """Return the offer of the connection with the agent's voice, with every way to reach the server in it."""
        _keep_to_loopback(self.subscriber)
        await self.subscriber.setLocalDescription(await self.subscriber.createOffer())
        return _MSID.sub(rf"\g<1>{self.who.stream}", self.subscriber.localDescription.sdp)

    async def accept(self, answer: Description) -> None:
        """Take the client's answer to the offer.

        Raises:
            ValueError: It is no answer to it.
        """
        await self._describe("subscriber", answer)

    async def answer(self, offer: Description) -> str:
        """Take the client's offer of the connection with its microphone; return the answer.

        Raises:
            ValueError: The offer cannot be used.
        """
        await self._describe("publisher", offer)
        _keep_to_loopback(self.publisher)
        _restart(self.publisher, offer.sdp)
        await self.publisher.setLocalDescription(await self.publisher.createAnswer())
        return str(self.publisher.localDescription.sdp)

    async def candidate(self, found: Trickle) -> None:
        """Take a way to reach the client."""
        connection = self._connection(found.target)
        if connection.remoteDescription is None:
            self._early[found.target].append(found)
            return
        fields = found.line.split()
        # Only UDP goes over loopback here, and a name (Chromium hides addresses behind them) would be asked for
        # on the local network: the client's own checks tell the address as well.
        if len(fields) < 8 or fields[2].lower() != "udp" or fields[4].endswith(".local"):
            return
        try:
            candidate = candidate_from_sdp(found.line)
        except (ValueError, AssertionError, IndexError):
            return
        candidate.sdpMid, candidate.sdpMLineIndex = found.mid, found.index
        if candidate.sdpMid is not None or candidate.sdpMLineIndex is not None:
            await connection.addIceCandidate(candidate)

    def send(self, packet: bytes) -> None:
        """Send a data packet, in order, as soon as the channel is open."""
        if self._out.readyState == "open":
            self._out.send(packet)
        elif self._out.readyState == "connecting":
            self._unsent.append(packet)

    async def close(self) -> None:
        """End both connections. Safe to repeat."""
        for ear in self._ears:
            ear.cancel()
        await asyncio.gather(self.subscriber.close(), self.publisher.close(), *self._ears, return_exceptions=True)

    def _connection(self, target: Target) -> Any:
        return self.subscriber if target == "subscriber" else self.publisher

    async def _describe(self, target: Target, said: Description) -> None:
        try:
            await self._connection(target).setRemoteDescription(RTCSessionDescription(said.sdp, said.kind))
        except Exception as error:  # a broken SDP ends in whatever aiortc's parser stumbles over
            raise ValueError(f"the {said.kind} cannot be used: {error}"[:200]) from error
        early, self._early[target] = self._early[target], []
        for found in early:
            await self.candidate(found)

    def _send_waiting(self) -> None:
        waiting, self._unsent = self._unsent, []
        for packet in waiting:
            self._out.send(packet)

    def _subscriber_changed(self) -> None:
        if self.subscriber.connectionState in {"connected", "failed"}:
            self.ends.changed(self.subscriber.connectionState)

    def _publisher_changed(self) -> None:
        if self.publisher.connectionState == "failed":
            self.ends.changed("failed")

    def _track(self, track: Any) -> None:
        if track.kind == "audio":
            ear = asyncio.ensure_future(listen(track, self.ends.heard))
            self._ears.add(ear)
            ear.add_done_callback(self._ears.discard)

    def _channel(self, channel: Any) -> None:
        channel.on("message", self._message)

    def _message(self, packet: str | bytes) -> None:
        if isinstance(packet, bytes):
            self.ends.packet(packet)


def _new_connection() -> Any:
    # aiortc's default asks a public STUN server for the machine's address.
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def _ice(connection: Any) -> Any:
    """Return the one ICE connection, which everything is bundled on; aiortc has no public way to it."""
    transceivers = connection.getTransceivers()
    dtls = transceivers[0].receiver.transport if transceivers else connection.sctp.transport
    return dtls.transport._connection  # noqa: SLF001  # see above


def _keep_to_loopback(connection: Any) -> None:
    """Have candidates gathered on 127.0.0.1 alone: aioice takes every address but that one."""
    ice = _ice(connection)
    gather = type(ice).get_component_candidates

    async def on_loopback(component: int, **options: Any) -> Any:
        return await gather(ice, component, **{**options, "addresses": [_ADDRESS]})

    ice.get_component_candidates = on_loopback


def _restart(connection: Any, sdp: str) -> None:
    """Let a client whose signalling was lost go on under the new ICE credentials of its offer.

    aiortc keeps the first ones, and the connection would be given up half a minute later.
    """
    found = dict(_CREDENTIALS.findall(sdp))
    ice = _ice(connection)
    if ice.remote_username is not None and {"ufrag", "pwd"} <= found.keys():
        ice.remote_username, ice.remote_password = found["ufrag"], found["pwd"]
