"""The channel of media streams, held against aiohttp's WebSockets at the other end, and against what RFC 6455 forbids."""

import asyncio
import contextlib
import struct

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import serving

from uvcall.sandbox.upgrade import HandshakeFailed, accept, connect
from uvcall.sandbox.websocket import NO_CODE, Channel

LARGEST = 1 << 20


class Ears:
    """A listener that keeps everything."""

    def __init__(self):
        self.heard, self.ends = [], []
        self.done = asyncio.Event()

    def take(self, message):
        self.heard.append(message)

    def over(self, code):
        self.ends.append(code)
        self.done.set()


class Pipe(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self):
        super().__init__()
        self.sent, self.closed, self.aborted = b"", False, False

    def write(self, data):
        self.sent += data

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def get_write_buffer_size(self):
        return len(self.sent)

    def get_protocol(self):
        return asyncio.Protocol()

    def set_protocol(self, protocol):
        pass


def frame(payload, kind=1, *, final=True, masked=True, rsv=0):
    """A frame, written here and not by the code under test."""
    first = (0x80 if final else 0) | rsv | kind
    size = len(payload)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + struct.pack(">H", size)
        if size < 65536
        else b"\x7f" + struct.pack(">Q", size)
    )
    if not masked:
        return bytes([first]) + length + payload
    key = b"\x11\x22\x33\x44"
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes([first, length[0] | 0x80]) + length[1:] + key + body


def served(pieces, *, largest=LARGEST):
    """Give a server's end these bytes; return what it heard, how it ended, and what it wrote."""

    async def inside():
        channel, pipe, ears = Channel(largest, masks=False), Pipe(), Ears()
        channel.connection_made(pipe)
        channel.listen(ears)
        for piece in pieces:
            channel.data_received(piece)
        return ears, pipe

    return asyncio.run(inside())


@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=200)), max_size=6), st.data())
@settings(max_examples=80, deadline=None)
def test_messages_come_whole_however_the_bytes_are_cut(messages, data):
    sent = b"".join(frame(m.encode() if isinstance(m, str) else m, 1 if isinstance(m, str) else 2) for m in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    ears, pipe = served(pieces)
    assert ears.heard == messages
    assert pipe.sent == b""


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_every_length_has_its_form(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    ears, _ = served([frame(payload[:size], 2)])
    assert ears.heard == [payload[:size]]


def test_fragments_are_put_together_and_pings_answered_between_them():
    ears, pipe = served([frame(b"ab", 1, final=False), frame(b"?", 9), frame(b"c", 0, final=False), frame(b"d", 0)])
    assert ears.heard == ["abcd"]
    assert pipe.sent == b"\x8a\x01?"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"x", masked=False), 1002),
        (frame(b"x", rsv=0x40), 1002),
        (frame(b"x", 3), 1002),
        (frame(b"x", 0), 1002),
        (frame(b"x", 1, final=False) + frame(b"y", 1), 1002),
        (frame(b"x", 9, final=False), 1002),
        (frame(b"x" * 126, 9), 1002),
        (frame(b"\xff", 1), 1007),
        (frame(b"x" * 2000), 1009),
        (b"\x81\xff" + b"\xff" * 8, 1009),
        (frame(b"x" * 600, 1, final=False) + frame(b"x" * 600, 0), 1009),
    ],
)
def test_what_the_protocol_forbids_closes_the_channel(bad, code):
    ears, pipe = served([bad + frame(b"after")], largest=1000)
    assert ears.heard == []
    assert pipe.sent == b"\x88\x02" + code.to_bytes(2)
    assert pipe.closed


@given(st.lists(st.binary(max_size=60), max_size=5))
@settings(max_examples=100, deadline=None)
def test_no_bytes_bring_it_down(pieces):
    served(pieces)


def test_a_peer_that_does_not_read_is_given_up():
    async def inside():
        channel, pipe = Channel(LARGEST, masks=False), Pipe()
        channel.connection_made(pipe)
        for _ in range(3):
            channel.send(b"x" * 500_000)
        return pipe, channel

    pipe, channel = asyncio.run(inside())
    assert pipe.aborted
    assert channel.closing


def test_both_ends_against_another_implementation():
    """A client of ours at aiohttp's server, and aiohttp's client at a server of ours, with messages of every size."""
    messages = ["", "héllo", "x" * 300, b"\x00\xff" * 40, b"y" * 70_000]

    async def theirs(request):
        socket = web.WebSocketResponse(max_msg_size=LARGEST)
        await socket.prepare(request)
        async for message in socket:
            await (socket.send_str if isinstance(message.data, str) else socket.send_bytes)(message.data)
        return socket

    async def ours(request):
        channel, ears = accept(request, LARGEST), Ears()
        ears.take = channel.send
        channel.listen(ears)
        await ears.done.wait()
        await channel.close()
        return web.Response(status=500)

    async def inside():
        async with serving([web.get("/theirs", theirs), web.get("/ours", ours)]) as base:
            channel, ears = await connect(base.replace("http", "ws") + "/theirs?a=b", {}, LARGEST), Ears()
            for message in messages:
                channel.send(message)
            channel.listen(ears)
            async with asyncio.timeout(10):
                while len(ears.heard) < len(messages):  # noqa: ASYNC110  # a poll, from outside
                    await asyncio.sleep(0.002)
            await channel.close()
            back = []
            async with aiohttp.ClientSession() as http, http.ws_connect(base + "/ours") as socket:
                for message in messages:
                    await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)
                    back.append((await socket.receive(10)).data)
                await socket.close()
                code = socket.close_code
            return ears, back, code

    ears, back, code = asyncio.run(inside())
    assert ears.heard == back == messages
    assert ears.ends == [1000]
    assert code == 1000


@pytest.mark.parametrize(("how", "code"), [("close", 1000), ("silent close", NO_CODE), ("abort", None)])
def test_how_the_other_side_ends(how, code):
    async def behave(request):
        socket = web.WebSocketResponse(timeout=0.5)
        await socket.prepare(request)
        if how == "close":
            await socket.close()
        elif how == "silent close":
            request.transport.write(b"\x88\x00")
            await asyncio.sleep(0.05)
        else:
            request.transport.abort()
        return socket

    async def inside():
        async with serving([web.get("/", behave)]) as base:
            channel, ears = await connect(base.replace("http", "ws"), {}, LARGEST), Ears()
            channel.listen(ears)
            await asyncio.wait_for(ears.done.wait(), 10)
            await channel.close()
            channel.send("into the void")
            return ears.ends

    assert asyncio.run(inside()) == [code]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 503 No\r\n\r\n", "HTTP 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "not a WebSocket"),
        (b"SSH-2.0\r\n\r\n", "no HTTP"),
        (b"x" * 70_000, ConnectionResetError),
        (b"", ConnectionResetError),
    ],
)
def test_handshakes_that_fail(answer, words):
    async def behave(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def inside():
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await connect(f"ws://127.0.0.1:{port}/", {}, LARGEST)
        finally:
            server.close()

    if isinstance(words, str):
        with pytest.raises(HandshakeFailed, match=words):
            asyncio.run(inside())
    else:
        with pytest.raises(words):
            asyncio.run(inside())


@pytest.mark.parametrize(
    ("url", "headers"), [("http://127.0.0.1/", {}), ("ws:///x", {}), ("ws://127.0.0.1:9/", {"X-A": "b\r\nX-C: d"})]
)
def test_urls_and_headers_that_are_none(url, headers):
    with pytest.raises(ValueError):
        asyncio.run(connect(url, headers, LARGEST))
