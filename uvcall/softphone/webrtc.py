"""The WebRTC transport: a socket that says where the room is, and the room, through LiveKit's SDK.

Ultravox's own SDKs are the description of it: https://github.com/fixie-ai/ultravox-client-sdk-python
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from uvcall.core.secret import LOOPBACK_HOSTS, JoinUrl
from uvcall.core.wire import ultravox as uv
from uvcall.core.wire.events import WireError
from uvcall.errors import LocalError, ProviderRefused, Temporary, UvcallError
from uvcall.softphone.bursts import Bursts
from uvcall.softphone.signal_guard import SignalGuard
from uvcall.softphone.transport import Arrival, AudioIn, DataIn, Ended
from uvcall.softphone.websocket import WebSocketTransport

#: Seconds from the open socket to the place where the room is, and from the beginning until sound can flow.
ROOM_INFO_S: Final = 10.0
REACH_S: Final = 13.0
#: Seconds that the SDK is given to find back to a room that was lost. It takes about three, and gives up after 25.
RESUME_S: Final = 10.0
#: Bytes of a data message from which on the socket carries it, as Ultravox's SDKs have it.
_LARGEST_PACKET: Final = 1024
#: Milliseconds of the person's voice that the SDK keeps at most: what is kept is heard later for the rest of the call.
_QUEUE_MS: Final = 100
#: What this client says about itself, as Ultravox's SDKs do.
_QUERY: Final = {"clientVersion": "uvcall", "apiVersion": "1"}
#: LiveKit's reasons for an end that was meant: by the client, removed, deleted, closed. (livekit_models.proto,
#: DisconnectReason) https://github.com/livekit/protocol
_IN_ORDER: Final = frozenset({1, 4, 5, 10})
_REFUSED: Final = re.compile(r"\b(401|403|404)\b")

_PEER: Final = "ultravox"
_FRESH: Final = "a join URL is used once and not kept for long: take a fresh one"
_OTHERWISE: Final = "the WebSocket medium needs neither: leave --medium webrtc out"


def load() -> Any:
    """Import LiveKit's SDK, which then says nothing through `logging`, and start its library.

    The library has a log of its own besides, for as long as Python's is not there: at a process's end, to stderr. What
    it writes there is settled by `RUST_LOG` at this moment.

    Raises:
        LocalError: The extra is not installed.
    """
    log = logging.getLogger("livekit")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    try:
        rtc = import_module("livekit.rtc")
        rtc.AudioResampler(48_000, 16_000)  # anything that the library makes
    except (ImportError, OSError) as error:  # OSError: the wheel's library does not fit this machine
        raise LocalError(
            "the WebRTC medium needs LiveKit's SDK, which is not installed",
            hint=f"pip install 'uvcall[webrtc]'; {_OTHERWISE}",
        ) from error
    return rtc


class WebRtcTransport:
    """One call's socket and room.

    Args:
        url: The join URL.
        rate: Samples per second of what is sent.
        output_rate: Samples per second of the agent's voice.
    """

    def __init__(self, url: JoinUrl, *, rate: int, output_rate: int) -> None:
        self._url = url
        self._rate = rate
        self._output_rate = output_rate
        self._socket = WebSocketTransport(_introduced(url))
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing: asyncio.Task[None] | None = None
        self._guard: SignalGuard | None = None
        self._rtc: Any = None
        self._room: Any = None
        self._source: Any = None
        self._patience: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        """Open the socket and enter the room. Raises as `Transport.connect`, and LocalError without the extra."""
        self._rtc = await asyncio.to_thread(load)
        due = asyncio.get_running_loop().time() + REACH_S
        await self._socket.connect()
        try:
            arrivals = self._socket.arrivals()
            place, token = await self._room_info(arrivals, due)
            self._begin(self._relay(arrivals), "socket")
            await self._enter(place, token, due)
        except BaseException:
            await self.close()
            raise

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield what comes, from the room and by the socket."""
        while True:
            arrival = await self._queue.get()
            yield arrival
            if isinstance(arrival, Ended):
                return

    async def send_audio(self, samples: bytes) -> None:
        """Send a frame."""
        if self._source is not None:
            frame = self._rtc.AudioFrame(samples, self._rate, 1, len(samples) // 2)
            # The SDK raises no more special exception when the room is gone.
            with contextlib.suppress(Exception):
                await self._source.capture_frame(frame)

    async def send_data(self, text: str) -> None:
        """Send a data message: a small one as a packet, a large one by the socket."""
        raw = text.encode()
        if self._room is None or len(raw) > _LARGEST_PACKET:
            await self._socket.send_data(text)
            return
        try:
            await self._room.local_participant.publish_data(raw)
        except self._rtc.participant.PublishDataError:
            await self._socket.send_data(text)

    async def close(self) -> None:
        """Leave the room and close the socket."""
        self._found()
        room, self._room, self._source = self._room, None, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if room is not None:
            await room.disconnect()
        if self._guard is not None:
            await self._guard.close()
        await self._socket.close()

    async def _room_info(self, arrivals: AsyncIterator[Arrival], due: float) -> tuple[str, str]:
        """Return the room's URL and the token for it, which the socket says first."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(due, now + ROOM_INFO_S)):
                first = await anext(arrivals)
        except TimeoutError:
            raise Temporary(
                "Ultravox has not said in time where the room is",
                hint="run it again in a moment",
                peer=_PEER,
            ) from None
        if isinstance(first, Ended):
            raise ProviderRefused(f"the call was over before it began: {first.words}", hint=_FRESH, peer=_PEER)
        info = _read(first)
        if info is None:
            raise ProviderRefused(
                "the join URL is not of a WebRTC call: it names no room", hint="leave --medium webrtc out", peer=_PEER
            )
        place, token = info.get("roomUrl"), info.get("token")
        if not isinstance(place, str) or not isinstance(token, str) or not self._trusted(place):
            raise ProviderRefused("Ultravox names a room that cannot be entered", hint=_FRESH, peer=_PEER)
        return place, token

    def _trusted(self, place: str) -> bool:
        """Say whether the token may be shown there: over TLS, or on this machine if the join URL was there, too."""
        try:
            parts, join = urlsplit(place), urlsplit(self._url.reveal())
        except ValueError:
            return False
        at_home = parts.hostname in LOOPBACK_HOSTS and join.hostname in LOOPBACK_HOSTS
        return bool(parts.hostname) and (parts.scheme == "wss" or (parts.scheme == "ws" and at_home))

    async def _enter(self, place: str, token: str, due: float) -> None:
        rtc = self._rtc
        room = self._room = rtc.Room()
        room.on("track_subscribed", self._subscribed)
        room.on("data_received", lambda packet: self._queue.put_nowait(DataIn(packet.data.decode(errors="replace"))))
        room.on("reconnecting", self._missed)
        room.on("reconnected", self._found)
        room.on("disconnected", self._disconnected)
        try:
            async with asyncio.timeout_at(due):
                self._guard = SignalGuard(place)
                await room.connect(await self._guard.open(), token, rtc.RoomOptions(single_peer_connection=False))
                self._source = rtc.AudioSource(self._rate, 1, queue_size_ms=_QUEUE_MS)
                track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await room.local_participant.publish_track(track, options)
                # The way out stands a little later, and what is said before is lost. A packet to oneself, which nobody
                # gets, is sent as soon as it stands.
                me = room.local_participant
                await me.publish_data(b"", destination_identities=[me.identity])
        except TimeoutError:
            raise Temporary(
                f"no media connection with the room came about within {REACH_S:g} s",
                hint=f"WebRTC needs UDP, and a network interface beside loopback; {_OTHERWISE}",
                peer=_PEER,
            ) from None
        except rtc.ConnectError as error:
            raise _refusal(error) from None  # its text may hold the room's URL
        except rtc.participant.PublishTrackError:
            raise Temporary("the room takes no microphone", hint="run it again in a moment", peer=_PEER) from None

    def _subscribed(self, track: Any, _publication: Any, _participant: Any) -> None:
        if track.kind != self._rtc.TrackKind.KIND_AUDIO:
            return
        if self._hearing is not None:  # after a restart the agent comes with a new track
            self._hearing.cancel()
        self._hearing = self._begin(self._hear(track), "agent's voice")

    async def _hear(self, track: Any) -> None:
        bursts = Bursts(self._output_rate)
        stream = self._rtc.AudioStream(track, sample_rate=self._output_rate, num_channels=1)
        try:
            async for event in stream:
                piece = bursts.take(bytes(event.frame.data))
                if piece:
                    self._queue.put_nowait(AudioIn(piece))
        finally:
            await stream.aclose()

    async def _relay(self, arrivals: AsyncIterator[Arrival]) -> None:
        async for arrival in arrivals:
            self._queue.put_nowait(arrival)

    def _disconnected(self, reason: Any) -> None:
        in_order = int(reason) in _IN_ORDER
        self._queue.put_nowait(Ended(in_order, "the room was closed" if in_order else "the room was lost"))

    def _missed(self) -> None:
        """Wait for the SDK to find back to the room, but not for long."""
        self._found()
        self._patience = asyncio.get_running_loop().call_later(RESUME_S, self._disconnected, 0)

    def _found(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _begin(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _introduced(url: JoinUrl) -> JoinUrl:
    """Return the join URL with what a client says about itself."""
    parts = urlsplit(url.reveal())
    query = "&".join(filter(None, (parts.query, urlencode(_QUERY))))
    return JoinUrl(urlunsplit(parts._replace(query=query)))


def _read(arrival: Arrival) -> Mapping[str, Any] | None:
    """Return what the first message says about the room; None if it is another one."""
    if not isinstance(arrival, DataIn):
        return None
    try:
        message = uv.decode(arrival.text)
    except WireError:
        return None
    return message.raw if isinstance(message, uv.Other) and message.type == "room_info" else None


def _refusal(error: Exception) -> UvcallError:
    status = _REFUSED.search(str(error))
    if status is not None:
        code = int(status[1])
        words = f"the call's room does not let this client in: status {code}"
        return ProviderRefused(words, hint=_FRESH, status=code, peer=_PEER)
    return Temporary("the call's room cannot be entered now", hint="check the network, and run it again", peer=_PEER)
