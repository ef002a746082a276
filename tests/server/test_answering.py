"""Callers ring a real server over real sockets; Ultravox is a stand-in that can be told how to fail."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web
from support import callers
from support.house import Ultravox, serving, ultravox_at

from uvcall.calls.answer import EMPTY, attempt_of
from uvcall.core.carrier import Provider, StreamOptions
from uvcall.core.inbound_policy import Rules
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import ultravox_webhook, wire
from uvcall.server.inbound import webhook_secret
from uvcall.server.tally import Kin

EVERY = pytest.mark.parametrize("provider", Provider)
FALLBACK = "Sorry, nobody can take your call."


def fallback(provider):
    return wire(provider).fallback_xml(say=FALLBACK).encode()


def reject(provider, *, busy):
    return wire(provider).reject_xml(busy=busy).encode()


def ended(provider, base, number):
    over = {"CallStatus": "completed"} | ({"Event": "Hangup"} if provider is Provider.PLIVO else {})
    more = {"CallbackSource": "call-progress-events"} if provider is Provider.TELNYX else {}
    return callers.signed(provider, base, callers.fields(provider, number) | over | more, path="/status")


@EVERY
def test_a_caller_is_connected_with_the_very_document_that_render_xml_prints(provider, scene):
    async def play(house, peer):
        status, body = await house.ask(callers.ring(provider, house.base, 1))
        (call,) = peer.calls.values()
        assert status == 200
        assert body == wire(provider).answer_xml(JoinUrl(call["joinUrl"]), StreamOptions()).encode()
        assert peer.created[0]["medium"] == {provider.value: {}}
        key = f"{provider}:{callers.call_id(provider, 1)}"
        assert peer.created[0]["metadata"] == {"uvcall_attempt": attempt_of(key)}
        (line,) = house.said("answered")
        assert line["result"] == "connected"
        assert line["caller"] == "+1 202 555 ••••"
        assert "secret-join" not in json.dumps(house.lines)
        assert f'uvcall_webhooks_total{{carrier="{provider}",result="connected"}} 1.0' in await house.metrics()

    scene(play)


@EVERY
def test_duplicates_get_the_same_bytes_and_one_call_is_created_and_nothing_after_its_end(provider, scene):
    async def play(house, peer):
        rings = [callers.ring(provider, house.base, 7) for _ in range(8)]
        answers = await asyncio.gather(*(house.ask(one) for one in rings))
        answers.append(await house.ask(rings[0]))
        assert len(set(answers)) == 1
        assert len(peer.created) == 1
        assert (await house.ask(ended(provider, house.base, 7)))[0] == 200
        assert await house.ask(rings[0]) == (200, EMPTY.body)
        assert len(peer.created) == 1

    scene(play, peer=Ultravox(delay_s=0.1))


@EVERY
def test_a_restart_and_another_worker_answer_the_same_and_create_nothing(provider, tmp_path):
    async def main():
        async with ultravox_at(Ultravox(delay_s=0.2)) as peer:
            async with serving(tmp_path, peer, port=(port := callers.free_port()), kin=Kin()) as one:
                ring = callers.ring(provider, one.base, 3)
                async with serving(tmp_path, peer, port=port, kin=Kin()) as other:
                    # The kernel deals connections out: with so many, both processes' places get some.
                    answers = await asyncio.gather(*(one.ask(ring) for _ in range(16)))
                    told = [house.said("answered") for house in (one, other)]
            async with serving(tmp_path, peer, port=port) as again:
                answers.append(await again.ask(ring))
                next(iter(peer.calls.values()))["joined"] = "2026-01-01T00:00:05Z"
            async with serving(tmp_path, peer, port=port) as late:
                answers_late = await late.ask(ring)
            assert len(set(answers)) == 1
            assert all(told), "both have answered"
            assert len(peer.created) == 1
            assert answers_late == (200, EMPTY.body)

    asyncio.run(asyncio.wait_for(main(), 30))


@EVERY
@pytest.mark.parametrize(
    ("rules", "more", "busy"),
    [
        (Rules(numbers=frozenset({"+12025550111"})), {}, False),
        (Rules(deny_from=frozenset({"+12025550123"})), {}, False),
        (Rules(allow_from=frozenset({"+12025550124"})), {}, False),
        (Rules(allow_from=frozenset({"+2025550123", "2025550123"})), {}, False),
        (Rules(), {"caller": "anonymous"}, False),
        (Rules(), {"caller": "+266696687"}, False),
        (Rules(minutes_a_day=0), {}, True),
    ],
    ids=["number", "denied", "not allowed", "ending", "withheld", "withheld digits", "minutes"],
)  # fmt: skip
def test_whom_the_rules_refuse_costs_nothing(provider, rules, more, busy, scene):
    async def play(house, peer):
        if more.get("caller") == "anonymous" and provider is Provider.PLIVO:
            ring = callers.signed(provider, house.base, callers.fields(provider, 1) | {"From": "anonymous"})
        else:
            ring = callers.ring(provider, house.base, 1, **more)
        for _ in range(2):
            assert await house.ask(ring) == (200, reject(provider, busy=busy))
        assert peer.asked == []

    scene(play, rules=rules)


def test_counters_survive_a_restart(tmp_path):
    rules = Rules(per_caller=2, per_hour=3, max_concurrent=10)

    async def main():
        async with ultravox_at(Ultravox()) as peer:
            results = []
            for number, caller in enumerate(["+12025550123"] * 3 + ["+12025550124"] * 2):
                async with serving(tmp_path, peer, rules) as house:
                    await house.ask(callers.ring(Provider.TWILIO, house.base, number, caller=caller))
                    results.append(house.said("answered")[0]["result"])
        assert results == [
            "connected", "connected", "busy: too many calls of this caller", "connected", "busy: too many calls this hour",
        ]  # fmt: skip

    asyncio.run(main())


def test_too_many_at_once_are_told_busy_at_once_until_one_has_ended(scene):
    async def play(house, peer):
        base, twilio = house.base, Provider.TWILIO
        await asyncio.gather(*(house.ask(callers.ring(twilio, base, n)) for n in (1, 2)))
        waits = []
        for number in range(10, 20):
            ring = callers.ring(twilio, base, number)
            start = time.perf_counter()
            assert await house.ask(ring) == (200, reject(twilio, busy=True))
            waits.append(time.perf_counter() - start)
        assert min(waits) < 0.05, "the others may have waited for the machine"
        await house.ask(ended(twilio, base, 1))
        assert b"<Connect>" in (await house.ask(callers.ring(twilio, base, 4)))[1]
        assert len(peer.created) == 3

    scene(play, rules=Rules(per_caller=100))


# When Ultravox cannot


def answers(status, body=b"", headers=None):
    async def reply(request, _):
        return web.Response(
            status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers
        )

    return reply


async def hangs_up(request, _):
    request.transport.abort()
    return web.Response()


def joins(url):
    return answers(201, {"callId": callers.uuid(1), "joinUrl": url})


@EVERY
@pytest.mark.parametrize(
    "reply",
    [
        answers(401, {"detail": "Invalid API key."}),
        answers(402, {"detail": "Pay first."}),
        answers(403, {"detail": "No."}),
        answers(429, {"detail": "Too many."}, {"Retry-After": "60"}),
        answers(500, b"<html>oops</html>"),
        answers(503),
        answers(302, headers={"Location": "https://example.com"}),
        answers(201, b"<html>hello</html>"),
        answers(201, b"x" * (2 << 20)),
        answers(201, b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}),
        answers(201, {"callId": "5"}),
        joins("wss://evil.example/x"),
        joins("wss://evil.example\\@api.ultravox.ai/"),
        joins(None),
        hangs_up,
    ],
    ids=["401", "402", "403", "429", "500", "503", "302", "html", "huge", "gzip", "no id", "elsewhere", "trick", "none", "lost"],
)  # fmt: skip
def test_whatever_breaks_the_caller_hears_a_sentence(provider, reply, scene):
    async def play(house, peer):
        peer.reply = reply
        ring = callers.ring(provider, house.base, 1)
        assert await house.ask(ring) == (200, fallback(provider))
        assert await house.ask(ring) == (200, fallback(provider))
        assert len(peer.created) <= 2
        assert house.said("bug") == []
        assert "evil" not in json.dumps(house.lines)
        assert "uvcall_fallback_total" in await house.metrics()

    scene(play)


def test_a_slow_ultravox_is_waited_for_six_seconds_in_all_and_a_dripping_one_no_longer(scene):
    async def drips(request, _):
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.2)

    async def play(house, peer):
        peer.reply = drips
        start = time.perf_counter()
        assert await house.ask(callers.ring(Provider.TWILIO, house.base, 1)) == (200, fallback(Provider.TWILIO))
        assert 5.5 < time.perf_counter() - start < 8
        assert len(peer.created) == 1

    scene(play)


def test_a_lost_create_is_tried_once_more_and_a_429_is_waited_for(scene):
    async def play(house, peer):
        for number, first in enumerate((answers(500), answers(429, {"detail": "Later."}, {"Retry-After": "0.1"})), 1):

            async def once(request, body, first=first):
                peer.reply = None
                return await first(request, body)

            peer.reply = once
            body = (await house.ask(callers.ring(Provider.TWILIO, house.base, number)))[1]
            assert b"<Connect>" in body
            assert len(peer.created) == 2 * number

    scene(play)


def test_after_five_failures_nobody_waits_and_readiness_says_so(scene):
    async def play(house, peer):
        peer.reply = answers(500)
        assert await house.get("/readyz") == (200, b"ok\n")
        for number in range(4):
            await house.ask(callers.ring(Provider.TWILIO, house.base, number))
        asked = len(peer.created)
        assert asked >= 5
        assert await house.ask(callers.ring(Provider.TWILIO, house.base, 9)) == (200, fallback(Provider.TWILIO))
        assert len(peer.created) == asked
        assert (await house.get("/readyz"))[0] == 503
        assert await house.get("/healthz") == (200, b"ok\n")

    scene(play)


# Ultravox's own webhooks


def told(base, secret, body, *, when=None):
    data = json.dumps(body).encode()
    stamp = (when or datetime.now(UTC)).isoformat()
    headers = (
        ("Content-Type", "application/json"),
        (ultravox_webhook.TIMESTAMP, stamp),
        (ultravox_webhook.SIGNATURE, ultravox_webhook.sign(data, secret, stamp)),
    )
    return HttpRequest("POST", f"{base}/ultravox", headers, data)


def test_ultravox_tells_of_the_end_without_being_asked(scene, tmp_path):
    async def play(house, peer):
        ring = callers.ring(Provider.TWILIO, house.base, 1)
        await house.ask(ring)
        (call_id,) = peer.calls
        secret = webhook_secret(tmp_path)
        for event, more in (("call.joined", {}), ("call.ended", {"endReason": "hangup"})):
            asked = told(house.base, secret, {"event": event, "call": {"callId": call_id, **more}})
            assert (await house.ask(asked))[0] == 204
        assert await house.ask(ring) == (200, EMPTY.body)
        assert "uvcall_active_calls 0.0" in await house.metrics()
        over = {"event": "call.ended", "call": {"callId": call_id}}
        assert (await house.ask(told(house.base, "another secret", over)))[0] == 403
        assert (await house.ask(told(house.base, secret, over, when=datetime(2020, 1, 1, tzinfo=UTC))))[0] == 403
        assert (await house.ask(told(house.base, secret, {"event": "call.ended"})))[0] == 400
        unsigned = replace(told(house.base, secret, over), headers=(("Content-Type", "application/json"),))
        assert (await house.ask(unsigned))[0] == 403

    scene(play)


def test_draining_answers_those_who_wait_and_ends_with_zero(tmp_path):
    async def main():
        async with ultravox_at(Ultravox(delay_s=0.5)) as peer, serving(tmp_path, peer) as house:
            waiting = [
                asyncio.ensure_future(house.ask(callers.ring(Provider.TWILIO, house.base, n))) for n in range(20)
            ]
            await asyncio.sleep(0.2)
            house.stop.set()
            assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
            assert await house.done == 0
            with pytest.raises(ConnectionError):
                await house.get("/healthz")

    asyncio.run(main())
