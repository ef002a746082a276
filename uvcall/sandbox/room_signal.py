"""What a LiveKit client and its server say to each other about a room, as values; no socket and no clock.

https://docs.livekit.io/reference/internals/client-protocol/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from uvcall.sandbox.room_schema import messages

Target = Literal["publisher", "subscriber"]

#: Samples per second of all sound in a room. Opus in WebRTC is always counted so.
#: https://www.rfc-editor.org/rfc/rfc7587#section-4.1
RATE: Final = 48_000
#: What the server claims to speak. A client that asks for more falls back to it.
_PROTOCOL: Final = 16
#: Seconds. An interval of 0, which is what a message without it says, aborts the process of LiveKit's own SDK.
PING_INTERVAL_S: Final = 5
PING_TIMEOUT_S: Final = 15
#: Numbers of LiveKit's enumerations (livekit_models.proto, livekit_rtc.proto).
_ACTIVE: Final = 2
_AGENT: Final = 4
_MICROPHONE: Final = 2
_TARGETS: Final[dict[int, Target]] = {0: "publisher", 1: "subscriber"}
REASONS: Final = {"participant_removed": 4, "room_deleted": 5, "media_failure": 15}
_DISCONNECT: Final = 0


class SignalError(Exception):
    """A message that is not of this protocol."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How the participants and the agent's track are called in one room."""

    room: str
    participant: str
    agent: str = "agent"

    @property
    def room_sid(self) -> str:
        """The room's own id."""
        return f"RM_{self.room}"

    @property
    def participant_sid(self) -> str:
        """The participant's."""
        return f"PA_{self.participant}"

    @property
    def agent_sid(self) -> str:
        """The agent's."""
        return f"PA_{self.agent}_{self.room}"

    @property
    def track_sid(self) -> str:
        """Of the track with the agent's voice."""
        return f"TR_{self.agent}_{self.room}"

    @property
    def stream(self) -> str:
        """The media stream of that track: a client drops the track if it is called otherwise."""
        return f"{self.agent_sid}|{self.track_sid}"


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or answer of the client. `number` is its own count of offers, to be repeated in the answer."""

    kind: Literal["offer", "answer"]
    sdp: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Trickle:
    """A way to reach the client; `line` is empty when it has told them all."""

    target: Target
    line: str
    mid: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class AddTrack:
    """The client is going to publish a track."""

    cid: str
    name: str
    kind: int
    source: int


@dataclass(frozen=True, slots=True)
class Mute:
    """The client has muted a track of its own, or has not."""

    sid: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """Milliseconds since the epoch by the client's clock."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class Leaves:
    """The client leaves the room."""


@dataclass(frozen=True, slots=True)
class Unheeded:
    """A message that a room of one has nothing to do with, as there are about layers, quality and subscriptions."""


Request = Description | Trickle | AddTrack | Mute | Ping | Leaves | Unheeded


def read(raw: bytes) -> Request:
    """Read a message of the client.

    Raises:
        SignalError: It is no protobuf message of this kind, or a candidate in it is not JSON.
    """
    request = _parse("SignalRequest", raw)
    kind = request.WhichOneof("one")
    body: Any = getattr(request, kind) if kind else None
    match kind:
        case "offer" | "answer":
            return Description(kind, body.sdp, body.id)
        case "trickle":
            return _trickle(body)
        case "add_track":
            return AddTrack(body.cid, body.name, body.type, body.source)
        case "mute":
            return Mute(body.sid, body.muted)
        case "ping_req":
            return Ping(body.timestamp)
        case "leave":
            return Leaves()
    return Unheeded()


def _trickle(body: Any) -> Trickle:
    target = _TARGETS.get(body.target)
    if target is None:
        raise SignalError("a candidate is for neither connection")
    try:
        found = json.loads(body.candidateInit)
    except (ValueError, RecursionError) as error:
        raise SignalError("a candidate is not JSON") from error
    if not isinstance(found, dict):
        raise SignalError("a candidate is not a JSON object")
    line, mid, index = found.get("candidate"), found.get("sdpMid"), found.get("sdpMLineIndex")
    return Trickle(
        target,
        line.removeprefix("candidate:") if isinstance(line, str) else "",
        mid if isinstance(mid, str) else None,
        index if isinstance(index, int) else None,
    )


def join(who: Identity) -> bytes:
    """Return the first message: the room, whom it is said to, and the agent, who is there already."""
    return _response(
        join=_new(
            "JoinResponse",
            room=_new("Room", sid=who.room_sid, name=who.room, num_participants=2),
            participant=_new(
                "ParticipantInfo",
                sid=who.participant_sid,
                identity=who.participant,
                state=_ACTIVE,
                permission=_new("ParticipantPermission", can_subscribe=True, can_publish=True, can_publish_data=True),
            ),
            other_participants=[_agent(who)],
            subscriber_primary=True,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            server_info=_server(),
        )
    )


def reconnected(who: Identity) -> tuple[bytes, ...]:
    """Return what a client is told whose signalling socket was lost: it has a new one, and the agent is still there.

    Without the second message LiveKit's SDK lets the agent go.
    """
    return (
        _response(reconnect=_new("ReconnectResponse", server_info=_server())),
        _response(update=_new("ParticipantUpdate", participants=[_agent(who)])),
    )


def describe(kind: Literal["offer", "answer"], sdp: str, number: int = 0) -> bytes:
    """Return the server's offer, or its answer to the offer of that number."""
    return _response(**{kind: _new("SessionDescription", type=kind, sdp=sdp, id=number)})


def pong(ping: Ping, now_ms: int) -> bytes:
    """Return the answer to a ping."""
    return _response(pong_resp=_new("Pong", last_ping_timestamp=ping.timestamp, timestamp=now_ms))


def published(track: AddTrack, sid: str) -> bytes:
    """Return the consent to a track of the client."""
    info = _new("TrackInfo", sid=sid, type=track.kind, name=track.name, source=track.source)
    return _response(track_published=_new("TrackPublishedResponse", cid=track.cid, track=info))


def leave(reason: str) -> bytes:
    """Return what sends the client away for good; `reason` is one of `REASONS`."""
    return _response(leave=_new("LeaveRequest", reason=REASONS[reason], action=_DISCONNECT))


def pack(payload: bytes, who: Identity) -> bytes:
    """Return a data packet of the agent."""
    sent = {"participant_identity": who.agent, "participant_sid": who.agent_sid}
    packet: bytes = _new("DataPacket", user=_new("UserPacket", payload=payload, **sent), **sent).SerializeToString()
    return packet


def unpack(raw: bytes, who: Identity) -> bytes | None:
    """Return what a data packet of the client tells the agent; None for one to somebody else, or an RPC, a stream, ….

    Raises:
        SignalError: It is no data packet.
    """
    packet = _parse("DataPacket", raw)
    meant = not packet.destination_identities or who.agent in packet.destination_identities
    return packet.user.payload if meant and packet.WhichOneof("one") == "user" else None


def _parse(name: str, raw: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return messages()[name].FromString(raw)
    except DecodeError as error:
        raise SignalError("the message is not what LiveKit's protocol has") from error


def _new(name: str, /, **fields: Any) -> Any:
    return messages()[name](**fields)


def _response(**one: Any) -> bytes:
    raw: bytes = _new("SignalResponse", **one).SerializeToString()
    return raw


def _server() -> Any:
    return _new("ServerInfo", version="0.0.0-uvcall-sandbox", protocol=_PROTOCOL)


def _agent(who: Identity) -> Any:
    track = _new("TrackInfo", sid=who.track_sid, name="agent", source=_MICROPHONE, mime_type="audio/opus")
    return _new(
        "ParticipantInfo",
        sid=who.agent_sid,
        identity=who.agent,
        name=who.agent,
        state=_ACTIVE,
        kind=_AGENT,
        is_publisher=True,
        tracks=[track],
    )
