"""The room's signalling and tokens as values."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.sandbox import room_signal as signal
from uvcall.sandbox import room_token as token
from uvcall.sandbox.room_schema import FIELDS, messages

WHO = signal.Identity("room-1", "user-1")
KEY = b"k" * 32
CLAIMS = token.Claims("room-1", "user-1", 2_000_000_000)


@pytest.fixture
def classes():
    pytest.importorskip("google.protobuf", reason="protobuf comes with the extra sandbox-webrtc")
    return messages()


def said(classes, raw):
    """Return a server's message: its name and its body."""
    response = classes["SignalResponse"].FromString(raw)
    kind = response.WhichOneof("one")
    return kind, getattr(response, kind)


def asked(classes, **one):
    return signal.read(classes["SignalRequest"](**one).SerializeToString())


# -- what the server says ---------------------------------------------------------------------------------------------


def test_the_first_message_names_the_agents_track_and_asks_for_pings(classes):
    kind, body = said(classes, signal.join(WHO))
    assert kind == "join"
    assert body.subscriber_primary
    # 0 aborts the process of LiveKit's SDK.
    assert (body.ping_interval, body.ping_timeout) == (5, 15)
    agent = body.other_participants[0]
    assert (agent.sid, agent.state, agent.kind) == (WHO.agent_sid, 2, 4)
    assert [track.sid for track in agent.tracks] == [WHO.track_sid]
    assert body.participant.permission.can_publish
    assert f"{agent.sid}|{agent.tracks[0].sid}" == WHO.stream


def test_who_comes_back_is_told_that_the_agent_is_still_there(classes):
    (first, _), (second, update) = (said(classes, raw) for raw in signal.reconnected(WHO))
    assert (first, second) == ("reconnect", "update")
    assert update.participants[0].sid == WHO.agent_sid


def test_answers_carry_what_they_answer(classes):
    kind, body = said(classes, signal.describe("answer", "v=0", 7))
    assert (kind, body.type, body.sdp, body.id) == ("answer", "answer", "v=0", 7)
    kind, body = said(classes, signal.pong(signal.Ping(123), 456))
    assert (kind, body.last_ping_timestamp, body.timestamp) == ("pong_resp", 123, 456)
    kind, body = said(classes, signal.published(signal.AddTrack("cid-1", "mic", 0, 2), "TR_1"))
    assert (kind, body.cid, body.track.sid, body.track.source) == ("track_published", "cid-1", "TR_1", 2)
    kind, body = said(classes, signal.leave("room_deleted"))
    assert (kind, body.reason, body.action) == ("leave", 5, 0)


@given(payload=st.binary(max_size=200))
@settings(max_examples=30)
def test_data_packets_come_back_whole(payload):
    pytest.importorskip("google.protobuf")
    assert signal.unpack(signal.pack(payload, WHO), WHO) == payload


def test_packets_that_are_not_for_the_agent_are_passed_over(classes):
    for names, payload in ((["agent", "x"], b"hi"), (["x"], None), ([], b"hi")):
        packet = classes["DataPacket"](user={"payload": b"hi"}, destination_identities=names)
        assert signal.unpack(packet.SerializeToString(), WHO) == payload
    assert signal.unpack(b"", WHO) is None
    assert signal.unpack(b"\x52\x00", WHO) is None  # field 10: an RPC request
    with pytest.raises(signal.SignalError):
        signal.unpack(b"\xff", WHO)


# -- what a client says -----------------------------------------------------------------------------------------------


def test_a_clients_messages(classes):
    assert asked(classes, offer={"type": "offer", "sdp": "v=0", "id": 3}) == signal.Description("offer", "v=0", 3)
    assert asked(classes, answer={"type": "answer", "sdp": "v=0"}) == signal.Description("answer", "v=0")
    track = {"cid": "c", "name": "mic", "type": 0, "source": 2}
    assert asked(classes, add_track=track) == signal.AddTrack("c", "mic", 0, 2)
    assert asked(classes, mute={"sid": "TR_1", "muted": True}) == signal.Mute("TR_1", muted=True)
    assert asked(classes, ping_req={"timestamp": 9}) == signal.Ping(9)
    assert asked(classes, leave={}) == signal.Leaves()
    assert signal.read(b"") == signal.Unheeded()
    assert signal.read(b"\x32\x00") == signal.Unheeded()  # field 6: subscriptions


def test_candidates(classes):
    line = "candidate:1 1 udp 2122260223 10.0.0.1 5000 typ host"
    init = json.dumps({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0})
    found = asked(classes, trickle={"candidateInit": init, "target": 1})
    assert found == signal.Trickle("subscriber", line.removeprefix("candidate:"), "0", 0)
    odd = json.dumps({"candidate": 1, "sdpMid": 2, "sdpMLineIndex": "x"})
    assert asked(classes, trickle={"candidateInit": odd}) == signal.Trickle("publisher", "")
    for bad in ({"candidateInit": "{"}, {"candidateInit": "[]"}, {"candidateInit": init, "target": 9}):
        with pytest.raises(signal.SignalError):
            asked(classes, trickle=bad)


@given(raw=st.binary(max_size=64))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused(raw):
    pytest.importorskip("google.protobuf")
    try:
        signal.read(raw)
        signal.unpack(raw, WHO)
    except signal.SignalError:
        pass


def test_names_numbers_and_kinds_are_livekits_own():
    theirs = pytest.importorskip("livekit.protocol", reason="pip install livekit-protocol, which has LiveKit's schema")
    from livekit.protocol import models, rtc

    assert theirs
    for name, fields in FIELDS.items():
        message = getattr(rtc, name, None) or getattr(models, name)
        for field, (number, kind) in fields.items():
            found = message.DESCRIPTOR.fields_by_name[field]
            # An enumeration is a plain number here, which is the same on the wire.
            plain = kind.rstrip("*|")
            kinds = {3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32", 14: "int32"}
            assert found.number == number, (name, field)
            assert kinds.get(found.type, found.message_type and found.message_type.name) == plain, (name, field)
            assert found.is_repeated == kind.endswith("*"), (name, field)
            assert (found.containing_oneof is not None) == kind.endswith("|"), (name, field)


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_opens_what_it_was_made_for():
    assert token.check(token.issue(CLAIMS, KEY), KEY, CLAIMS.expires - 1) == CLAIMS


def test_a_token_is_a_jwt_as_livekits_servers_take_it():
    header, body, signature = token.issue(CLAIMS, KEY).split(".")

    def plain(part):
        return base64.urlsafe_b64decode(part + "==")

    assert json.loads(plain(header)) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(plain(body))["video"]["roomJoin"] is True
    assert plain(signature) == hmac.new(KEY, f"{header}.{body}".encode(), hashlib.sha256).digest()


def test_tokens_that_open_nothing():
    good = token.issue(CLAIMS, KEY)
    other = token.issue(CLAIMS, b"other")
    for bad in ("", ".", "..", "é.ü.ö", "\ud800.x", other, good[:-1], good.upper(), good + "x", "a" * 5000):
        with pytest.raises(token.TokenRefused, match="not of this server"):
            token.check(bad, KEY, 0)
    with pytest.raises(token.TokenRefused, match="expired"):
        token.check(good, KEY, CLAIMS.expires)
