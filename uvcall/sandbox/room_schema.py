"""The few messages of LiveKit's protocol that a room with one participant needs, as protobuf classes.

Names, numbers and kinds are LiveKit's; enumerations are plain numbers here, which is the same on the wire. A table of
our own is small to look at and costs a twentieth of a second to load; LiveKit's generated classes would be a package
more, of which this is a fiftieth.
https://github.com/livekit/protocol/tree/main/protobufs (livekit_rtc.proto, livekit_models.proto)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_PACKAGE: Final = "uvcall_room"  # not `livekit`: an SDK in the same process registers that one

#: Message → field → (number, kind). A kind is a scalar's or a message's name; `*` after it: repeated; `|` after it: one
#: of those that exclude each other.
FIELDS: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "SignalRequest": {
        "offer": (1, "SessionDescription|"),
        "answer": (2, "SessionDescription|"),
        "trickle": (3, "TrickleRequest|"),
        "add_track": (4, "AddTrackRequest|"),
        "mute": (5, "MuteTrackRequest|"),
        "leave": (8, "LeaveRequest|"),
        "ping_req": (16, "Ping|"),
    },
    "SignalResponse": {
        "join": (1, "JoinResponse|"),
        "answer": (2, "SessionDescription|"),
        "offer": (3, "SessionDescription|"),
        "update": (5, "ParticipantUpdate|"),
        "track_published": (6, "TrackPublishedResponse|"),
        "leave": (8, "LeaveRequest|"),
        "reconnect": (19, "ReconnectResponse|"),
        "pong_resp": (20, "Pong|"),
    },
    "JoinResponse": {
        "room": (1, "Room"),
        "participant": (2, "ParticipantInfo"),
        "other_participants": (3, "ParticipantInfo*"),
        "subscriber_primary": (6, "bool"),
        "ping_timeout": (10, "int32"),
        "ping_interval": (11, "int32"),
        "server_info": (12, "ServerInfo"),
    },
    "ReconnectResponse": {"server_info": (3, "ServerInfo")},
    "SessionDescription": {"type": (1, "string"), "sdp": (2, "string"), "id": (3, "uint32")},
    "TrickleRequest": {"candidateInit": (1, "string"), "target": (2, "int32"), "final": (3, "bool")},
    "AddTrackRequest": {"cid": (1, "string"), "name": (2, "string"), "type": (3, "int32"), "source": (8, "int32")},
    "MuteTrackRequest": {"sid": (1, "string"), "muted": (2, "bool")},
    "LeaveRequest": {"can_reconnect": (1, "bool"), "reason": (2, "int32"), "action": (3, "int32")},
    "TrackPublishedResponse": {"cid": (1, "string"), "track": (2, "TrackInfo")},
    "ParticipantUpdate": {"participants": (1, "ParticipantInfo*")},
    "Ping": {"timestamp": (1, "int64"), "rtt": (2, "int64")},
    "Pong": {"last_ping_timestamp": (1, "int64"), "timestamp": (2, "int64")},
    "Room": {"sid": (1, "string"), "name": (2, "string"), "num_participants": (9, "uint32")},
    "ServerInfo": {"version": (2, "string"), "protocol": (3, "int32")},
    "ParticipantPermission": {
        "can_subscribe": (1, "bool"),
        "can_publish": (2, "bool"),
        "can_publish_data": (3, "bool"),
    },
    "ParticipantInfo": {
        "sid": (1, "string"),
        "identity": (2, "string"),
        "state": (3, "int32"),
        "tracks": (4, "TrackInfo*"),
        "name": (9, "string"),
        "permission": (11, "ParticipantPermission"),
        "is_publisher": (13, "bool"),
        "kind": (14, "int32"),
    },
    "TrackInfo": {
        "sid": (1, "string"),
        "type": (2, "int32"),
        "name": (3, "string"),
        "muted": (4, "bool"),
        "source": (9, "int32"),
        "mime_type": (11, "string"),
    },
    "DataPacket": {
        "participant_identity": (4, "string"),
        "destination_identities": (5, "string*"),
        "participant_sid": (17, "string"),
        "user": (2, "UserPacket|"),
    },
    "UserPacket": {
        "participant_sid": (1, "string"),
        "payload": (2, "bytes"),
        "participant_identity": (5, "string"),
    },
}

#: https://protobuf.dev/reference/protobuf/google.protobuf/#field-descriptor-proto (FieldDescriptorProto.Type)
_SCALARS: Final = {"int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
_MESSAGE: Final = 11
_OPTIONAL: Final = 1
_REPEATED: Final = 3


@cache
def messages() -> Mapping[str, Any]:
    """Return the protobuf class of each message. An unknown field of a peer is passed over, as protobuf wants it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        if any(kind.endswith("|") for _, kind in fields.values()):
            message.oneof_decl.add(name="one")
        for field, (number, kind) in fields.items():
            plain = kind.rstrip("*|")
            more: dict[str, Any] = {"type": _SCALARS.get(plain, _MESSAGE)}
            if plain not in _SCALARS:
                more["type_name"] = f".{_PACKAGE}.{plain}"
            if kind.endswith("|"):
                more["oneof_index"] = 0
            label: Any = _REPEATED if kind.endswith("*") else _OPTIONAL
            message.field.add(name=field, number=number, label=label, **more)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in FIELDS}
