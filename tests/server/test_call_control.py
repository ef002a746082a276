"""Callers of Telnyx's Call Control: real events in, commands out through the real SDK to a stand-in of Telnyx's API."""

import asyncio
import json
import time

import pytest
from aiohttp import web
from support import callers
from support.house import Ultravox, serving, ultravox_at

from uvcall.carriers import Account
from uvcall.core.carrier import Provider
from uvcall.core.inbound_policy import Rules
from uvcall.core.secret import Secret
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import wire
from uvcall.sandbox import credentials

CALL = "v3:" + "ab" * 20


def event(base, name, number=1, **payload):
    """The event, signed as Telnyx signs."""
    body = {
        "data": {
            "record_type": "event", "event_type": name, "id": callers.uuid(number), "occurred_at": "2026-01-01T00:00:00Z",
            "payload": {
                "call_control_id": CALL, "call_leg_id": callers.uuid(5), "call_session_id": callers.uuid(6),
                "connection_id": credentials.TELNYX_CONNECTION_ID, "from": "+12025550123", "to": callers.CALLED,
                "direction": "incoming", "state": "parked", **payload,
            },
        }
    }  # fmt: skip
    request = HttpRequest("POST", f"{base}/telnyx", (("Content-Type", "application/json"),), json.dumps(body).encode())
    return wire(Provider.TELNYX).sign(request, credentials.TELNYX_SEED, now=time.time(), nonce="")


def scene(tmp_path, play, *, peer=None, rules=callers.OPEN_DOORS, status=200, **more):
    """Run the test's coroutine with a house, Ultravox, and the commands that Telnyx was given."""
    commands = []

    async def telnyx(request):
        commands.append((request.path.rpartition("/")[2], json.loads(await request.read() or b"{}")))
        return web.json_response({"data": {"result": "ok"}}, status=status)

    async def given(name):
        for _ in range(300):
            found = [body for one, body in commands if one == name]
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {name} in {commands}")

    async def main():
        handler = web.Server(telnyx, access_log=None)
        server = await asyncio.get_running_loop().create_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        account = Account({"api_key": Secret(credentials.TELNYX_API_KEY)}, f"http://127.0.0.1:{port}/v2")
        async with (
            ultravox_at(peer or Ultravox()) as up,
            serving(tmp_path, up, rules, telnyx=account, **more) as house,
        ):
            await play(house, up, commands, given)
        server.close()
        await handler.shutdown(0.1)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_caller_is_answered_and_streamed_and_hung_up(tmp_path):
    async def play(house, peer, commands, given):
        start = time.perf_counter()
        assert (await house.ask(event(house.base, "call.initiated")))[0] == 204
        assert time.perf_counter() - start < 0.7, "Telnyx does not wait for Ultravox"
        await house.ask(event(house.base, "call.initiated"))  # again, by Telnyx
        await given("answer")
        assert (await house.ask(event(house.base, "call.answered", 2)))[0] == 204
        (stream,) = await given("streaming_start")
        (call,) = peer.calls.values()
        assert stream["stream_url"] == call["joinUrl"]
        assert stream["stream_bidirectional_mode"] == "rtp"
        assert stream["stream_codec"] == stream["stream_bidirectional_codec"] == "L16"
        assert stream["stream_bidirectional_sampling_rate"] == 16000
        await house.ask(event(house.base, "streaming.stopped", 3))
        await given("hangup")
        await house.ask(event(house.base, "call.hangup", 4, hangup_cause="normal_clearing"))
        assert len(peer.created) == 1
        assert [name for name, _ in commands].count("answer") == 1
        assert "secret-join" not in json.dumps(house.lines)

    scene(tmp_path, play, peer=Ultravox(delay_s=0.8))


def test_an_event_after_a_restart_finds_the_call_again(tmp_path):
    async def arrive(house, peer, commands, given):
        await house.ask(event(house.base, "call.initiated"))
        await given("answer")

    async def later(house, peer, commands, given):
        await house.ask(event(house.base, "call.answered", 2))
        (stream,) = await given("streaming_start")
        assert stream["stream_url"] == next(iter(peer.calls.values()))["joinUrl"]
        assert len(peer.created) == 1

    peer = Ultravox()
    scene(tmp_path, arrive, peer=peer)
    scene(tmp_path, later, peer=peer)


@pytest.mark.parametrize(
    ("rules", "cause"),
    [
        (Rules(deny_from=frozenset({"+12025550123"})), "CALL_REJECTED"),
        (Rules(minutes_a_day=0), "USER_BUSY"),
    ],
)
def test_whom_the_rules_refuse_is_rejected_unanswered(rules, cause, tmp_path):
    async def play(house, peer, commands, given):
        await house.ask(event(house.base, "call.initiated"))
        (body,) = await given("reject")
        assert body["cause"] == cause
        assert peer.asked == []

    scene(tmp_path, play, rules=rules)


def test_without_an_agent_the_caller_is_told_so_and_hung_up(tmp_path):
    async def down(request, _):
        return web.Response(status=401, body=b'{"detail": "Invalid API key."}')

    async def play(house, peer, commands, given):
        await house.ask(event(house.base, "call.initiated"))
        await given("answer")
        await house.ask(event(house.base, "call.answered", 2))
        (said,) = await given("speak")
        assert said["payload"].startswith("Sorry")
        await house.ask(event(house.base, "call.speak.ended", 3))
        await given("hangup")

    scene(tmp_path, play, peer=Ultravox(reply=down))


def test_events_of_other_calls_are_left_alone(tmp_path):
    async def play(house, peer, commands, given):
        for number, name in enumerate(
            ("call.answered", "streaming.stopped", "streaming.failed", "call.speak.ended"), 1
        ):
            assert (await house.ask(event(house.base, name, number)))[0] == 204
        outbound = event(house.base, "call.initiated", 9, direction="outgoing")
        assert (await house.ask(outbound))[0] == 204
        await asyncio.sleep(0.2)
        assert commands == []
        assert peer.asked == []

    scene(tmp_path, play)
