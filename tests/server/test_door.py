"""Who does not ring but knocks: forged, broken, slow, endless and lying requests."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import callers

from uvcall.core.carrier import Provider
from uvcall.core.webhook import FORM, HttpRequest
from uvcall.sandbox import credentials
from uvcall.server.door import WAITING, WHOLE_S

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import inbound as bench

EVERY = pytest.mark.parametrize("provider", Provider)
TWILIO = Provider.TWILIO


@EVERY
def test_altered_requests_are_refused_and_cost_nothing(provider, scene):
    async def play(house, peer):
        statuses = await bench.alterations(provider, house.port, 1000)
        assert sum(statuses.values()) == 1000
        assert set(statuses) <= {400, 403}, statuses
        assert peer.asked == []
        assert house.said("bug") == []

    scene(play)


def cut(request, old, new):
    """The same signed characters, cut into other fields."""
    assert old in request.body
    return replace(request, body=request.body.replace(old, new))


@pytest.mark.parametrize(
    ("provider", "old", "new"),
    [
        (TWILIO, b"CallStatus=ringing", b"CallStatusringing="),
        (TWILIO, b"&CallStatus=", b"CallStatus"),
        (TWILIO, b"ApiVersion=2010-04-01&CallSid=", b"ApiVersion=2010-04-01CallSid"),
        (Provider.PLIVO, b"&CallUUID=", b"CallUUID"),
        (Provider.PLIVO, b"CallUUID=0", b"CallUUID0="),
    ],
)
def test_signed_characters_cut_into_other_fields_are_no_call(provider, old, new, scene):
    async def play(house, peer):
        form = dict(sorted(callers.fields(provider, 1).items()))
        ring = cut(callers.signed(provider, house.base, form), old, new)
        assert (await house.ask(ring))[0] in {400, 403}
        assert peer.asked == []

    scene(play)


def resized(request, **headers):
    return replace(request, headers=(*request.headers, *headers.items()))


def knocks(base):
    """What a stranger may send, and the answers that are right."""
    good = callers.ring(TWILIO, base, 1)
    form = callers.fields(TWILIO, 1)
    many = b"&".join(b"F%d=x" % n for n in range(10_000))
    text = callers.raw(good)
    host = text.index(b"Host:")
    return {
        "no signature": (callers.raw(replace(good, headers=(("Content-Type", FORM),))), {403}),
        "doubled signature": (callers.raw(replace(good, headers=good.headers + good.headers[-1:])), {403}),
        "lying proxy": (
            callers.raw(
                resized(
                    callers.signed(TWILIO, "https://evil.example", form),
                    **{
                        "X-Forwarded-Host": "evil.example",
                        "X-Forwarded-Proto": "https",
                        "Forwarded": "host=evil.example",
                    },
                )
            ).replace(b"Host: evil.example", b"Host: x"),
            {403},
        ),
        "too large": (callers.raw(callers.signed(TWILIO, base, form | {"Big": "x" * 70_000})), {413}),
        "many fields": (callers.raw(replace(good, body=many)), {413}),
        "some fields": (callers.raw(replace(good, body=many[:4000])), {403}),
        "gzip": (callers.raw(resized(good, **{"Content-Encoding": "gzip"})), {415}),
        "JSON": (callers.raw(replace(good, headers=(("Content-Type", "application/json"), *good.headers[1:]))), {403}),
        "no type": (callers.raw(replace(good, headers=good.headers[1:])), {403}),
        "NUL": (callers.raw(callers.signed(TWILIO, base, form | {"From": "+1202555\x00100"})), {400}),
        "broken percent": (callers.raw(replace(good, body=good.body + b"&A=%zz%")), {403}),
        "not ASCII": (callers.raw(replace(good, body=good.body + b"&A=\xff\xfe")), {403}),
        "empty": (callers.raw(replace(good, body=b"")), {403}),
        "GET": (text.replace(b"POST", b"GET"), {405}),
        "PUT": (text.replace(b"POST", b"PUT"), {405}),
        "unknown path": (text.replace(b"/twilio", b"/twilix"), {404}),
        "dots": (text.replace(b"/twilio", b"/x/../twilio"), {403, 404}),
        "long path": (text.replace(b"/twilio", b"/" + b"x" * 9000), {400}),
        "large header": (text[:host] + b"X: " + b"x" * 9000 + b"\r\n" + text[host:], {400}),
        "many headers": (text[:host] + b"".join(b"X%d: 1\r\n" % n for n in range(200)) + text[host:], {400}),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", {400}),
        "two lengths": (text[:host] + b"Content-Length: 3\r\n" + text[host:], {400}),
        "length and chunks": (text[:host] + b"Transfer-Encoding: chunked\r\n" + text[host:], {400, 403}),
        "long header, no end": (text[:host] + b"X: " + b"x" * 100_000, {0, 400}),
        "blank before the colon": (text.replace(b"Content-Length:", b"Content-Length :"), {400}),
        "length with a sign": (text.replace(b"Content-Length: ", b"Content-Length: +"), {400}),
        "folded header": (text[:host] + b"X: 1\r\n 2\r\n" + text[host:], {200, 400}),
        "other coding": (text[:host] + b"Transfer-Encoding: xchunked\r\n" + text[host:], {400}),
        "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 405}),
        "OPTIONS of all": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        "no path": (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        "path beyond ASCII": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
        "query beyond ASCII": (text.replace(b"/twilio", b"/twilio?\xff=\xfe"), {400, 403}),
        "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404}),
        "WebSocket": (
            text[:host].replace(b"POST", b"GET")
            + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            {405},
        ),
        "HTTP/1.0": (text.replace(b"HTTP/1.1", b"HTTP/1.0"), {200}),
        "nothing but an end": (b"\r\n\r\n" + text.replace(b"/twilio", b"/healthzz"), {404}),
        "metrics": (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
        "bad chunk": (
            text[:host].replace(b"\r\n", b"\r\nTransfer-Encoding: chunked\r\nX-Twilio-Signature: x\r\n")
            + b"\r\nzz\r\n",
            {400, 403, 0},
        ),
    }


@pytest.mark.parametrize("name", list(knocks("http://127.0.0.1:1")))
def test_what_a_stranger_sends_is_answered_and_costs_nothing(name, scene):
    async def play(house, peer):
        data, right = knocks(house.base)[name]
        try:
            status, body = await callers.ask(house.port, data)
        except ConnectionError:
            status, body = 0, b""
        assert status in right, body
        assert b"Traceback" not in body
        assert len(peer.asked) == (status == 200)
        assert house.said("bug") == []
        token = credentials.TWILIO_AUTH_TOKEN
        assert token not in json.dumps(house.lines)
        # It is still there for who rings next.
        assert (await house.ask(callers.ring(TWILIO, house.base, 2)))[0] == 200

    scene(play)


def test_chunks_are_read_and_counted(scene):
    async def play(house, peer):
        ring = callers.ring(TWILIO, house.base, 1)
        head = callers.raw(ring).partition(b"\r\n\r\n")[0]
        head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length"))
        head += b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ring.body), ring.body)
        assert (await callers.ask(house.port, head + chunks))[0] == 200
        assert len(peer.created) == 1
        endless = head + b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"8001\r\n" + b"x" * 0x8001 + b"\r\n"
        assert (await callers.ask(house.port, endless))[0] == 413

    scene(play)


def test_a_body_that_nobody_wants_is_not_taken_for_the_next_request(scene):
    async def play(house, peer):
        ring = callers.raw(callers.ring(TWILIO, house.base, 1))
        inside = b"POST /twilio HTTP/1.1\r\nHost: y\r\nContent-Length: %d\r\n\r\n" % len(ring) + ring
        line = await callers.dialed(house.port)
        assert (await line.ask(inside))[0] == 403  # without a signature its body is not read
        assert peer.created == []
        assert (await line.ask(ring))[0] == 200
        assert len(peer.created) == 1
        line.close()

    scene(play)


def test_a_refused_request_whose_body_never_ends_is_cut_off(scene):
    async def play(house, peer):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        start = time.perf_counter()
        assert b" 404 " in await reader.readline()

        async def on_and_on():
            while time.perf_counter() - start < WHOLE_S + 10:
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)

        with pytest.raises(ConnectionError):
            await on_and_on()
        assert time.perf_counter() - start > WHOLE_S - 0.1
        writer.close()

    scene(play)


def test_who_waits_for_leave_to_go_on_gets_it(scene):
    async def play(house, peer):
        ring = callers.raw(callers.ring(TWILIO, house.base, 1))
        head, _, body = ring.partition(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert b" 100 " in await reader.readline()
        await reader.readline()
        writer.write(body)
        assert b" 200 " in await reader.readline()
        writer.close()

    scene(play)


def test_every_answer_has_a_date_and_names_no_software(scene):
    async def play(house, peer):
        for path in (b"/healthz", b"/nowhere"):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert b"\r\ndate: " in head
            assert b"\r\nserver:" not in head
            writer.close()

    scene(play)


def test_half_sentences_do_not_keep_a_caller_waiting_and_are_cut_off(scene):
    async def play(house, peer):
        assert await bench.besieged(house.port, WAITING + 100) < 5
        line = await callers.dialed(house.port)
        start = time.perf_counter()
        with pytest.raises(ConnectionError):
            await line.ask(
                b"POST /twilio HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: x\r\nContent-Length: 100\r\n\r\nhalf"
            )
        assert WHOLE_S - 0.1 < time.perf_counter() - start < WHOLE_S + 3

    scene(play)


@pytest.mark.parametrize("provider", [TWILIO, Provider.PLIVO])
@pytest.mark.parametrize(
    "mistake",
    ["http://voice.example.com", "https://voice.example.com:8443", "https://voice.example.com/app", "slash", "host"],
)
def test_a_wrong_public_url_is_named_beside_the_one_that_was_signed(provider, mistake, scene):
    """The carrier calls one address, another is configured: the words name both, and the caller is not let in."""
    right = {"http://voice.example.com": "https://voice.example.com"}
    called = right.get(mistake, "https://voice.example.com")
    if provider is TWILIO and mistake.endswith(":8443"):
        mistake = "https://other.example.com:8443"  # Twilio signs with the port or without it, and either is right

    async def play(house, peer):
        signed = callers.ring(provider, called, 1)
        if mistake == "slash":
            request = HttpRequest("POST", f"{called}/{provider}/", signed.headers[:1], signed.body)
            from uvcall.core.wire import wire

            signed = wire(provider).sign(
                request, credentials.SIGNING_KEYS[provider], now=0, nonce="12345678901234567890"
            )
        assert (await house.ask(signed))[0] == 403
        (line,) = house.said("forged")
        assert line["signed"] == signed.url
        assert line["configured"] != signed.url
        assert peer.asked == []

    base = {"slash": "https://voice.example.com", "host": "https://other.example.com"}.get(mistake, mistake)
    scene(play, base=base)


def test_an_old_signature_of_telnyxs_is_refused(scene):
    async def play(house, peer):
        from uvcall.core.wire import wire

        ring = callers.ring(Provider.TELNYX, house.base, 1)
        old = wire(Provider.TELNYX).sign(ring, credentials.TELNYX_SEED, now=time.time() - 301, nonce="")
        assert (await house.ask(old))[0] == 403
        assert (await house.ask(ring))[0] == 200
        assert 'uvcall_signature_failures_total{carrier="telnyx",reason="expired"} 1.0' in await house.metrics()

    scene(play)


def test_keep_alive_answers_one_after_the_other_and_pipelined(scene):
    async def play(house, peer):
        line = await callers.dialed(house.port)
        for number in range(3):
            assert (await line.ask(callers.raw(callers.ring(TWILIO, house.base, number))))[0] == 200
        line.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(
            callers.raw(callers.ring(TWILIO, house.base, 8)) + callers.raw(callers.ring(TWILIO, house.base, 9))
        )
        for _ in range(2):
            assert b" 200 " in await reader.readline()
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
        writer.close()
        assert len(peer.created) == 5

    scene(play)
