"""The phone network by itself: legs, causes, timers, scripts, and what Ultravox places."""

from __future__ import annotations

import asyncio
import random

import pytest

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.sandbox import credentials as c
from uvcall.sandbox.answers import DocumentRefused
from uvcall.sandbox.callbacks import Messenger
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.orders import Detection, Order, Script
from uvcall.sandbox.originate import Originator
from uvcall.sandbox.scenarios import SCENARIOS, scenario_for
from uvcall.sandbox.world import History, Options, Pace, PlacementRefused, StreamEnd, StreamSpec, World

LOOP = "ws://127.0.0.1:1/agent"


class Network:
    """An exchange whose streams end as told, after so many seconds of life."""

    def __init__(self, how="agent", lasts=1.0, **options):
        pace = Pace(50.0)
        self.world = World(
            options=Options(**options), pace=pace, history=History(pace), chance=random.Random(1), seed=1
        )
        self.messenger = Messenger(self.world)
        self.streams: list[StreamSpec] = []

        async def play(world, leg, spec):
            self.streams.append(spec)
            if how != "refused" and spec.opened:
                spec.opened()
            try:
                async with asyncio.timeout(lasts / pace.speed):
                    await leg.over.wait()
            except TimeoutError:
                return StreamEnd(how)
            return StreamEnd("leg")

        self.exchange = Exchange(self.world, self.messenger, play)

    def order(self, provider=Provider.TELNYX, to="+12025550100", **more):
        ids = {
            "call_leg_id": "l",
            "call_session_id": "s",
            "connection_id": "c",
            "product": "call_control",
            "request_uuid": "r",
        }
        given = {"ring_timeout_s": 10.0, "time_limit_s": 600.0, "ids": ids, **more}
        return Order(provider, to, c.TELNYX_FROM, **given)

    async def live(self, order):
        """Place a leg and wait for its end."""
        leg = self.exchange.place(order)
        async with asyncio.timeout(5):
            await leg.over.wait()
            while self.world.tasks:
                await asyncio.gather(*self.world.tasks, return_exceptions=True)
        await self.messenger.close()
        return leg

    async def seen(self, kind, count=1):
        """Wait until so many events of a kind are in the history."""
        async with asyncio.timeout(5):
            while self.kinds().count(kind) < count:  # noqa: ASYNC110 - the history is a list, it wakes nobody
                await asyncio.sleep(0.005)

    def kinds(self):
        return [event["type"] for event in self.world.history.events]


def run(network, order):
    return asyncio.run(network.live(order))


def events(leg):
    return [event["name"] for event in leg.events]


@pytest.mark.parametrize(
    ("name", "cause", "source", "answered"),
    [
        ("answer", Cause.NORMAL, "callee", True),
        ("busy", Cause.BUSY, "callee", False),
        ("no-answer", Cause.NO_ANSWER, "carrier", False),
        ("rejected", Cause.REJECTED, "callee", False),
        ("voicemail", Cause.NORMAL, "callee", True),
        ("failed", Cause.FAILED, "carrier", False),
        ("mute", Cause.NORMAL, "callee", True),
        ("hangup-early", Cause.NORMAL, "callee", True),
        ("lost-reply", Cause.NORMAL, "callee", True),
        ("rate-limited", Cause.NORMAL, "callee", True),
        ("no-join", Cause.NORMAL, "callee", True),
        ("agent-drop", Cause.NORMAL, "callee", True),
    ],
)
def test_every_scenario_by_name(name, cause, source, answered):
    network = Network(scenario=name)
    leg = run(network, network.order(to="+13125550123"))
    assert (leg.cause, leg.end_source, leg.answered_at is not None) == (cause, source, answered)
    assert leg.scenario == name
    assert network.kinds()[0] == "call.placed"
    assert network.kinds()[-1] == "call.ended"


def test_every_scenario_with_a_number_is_chosen_by_it():
    for digit in range(10):
        chosen = scenario_for(None, f"+1202555010{digit}")
        assert chosen.digit == digit
        assert scenario_for(None, f"1202555010{digit}") is chosen
    assert scenario_for(None, "+13125550123").name == "answer"
    assert scenario_for("busy", "+12025550100").name == "busy"
    assert {s.name for s in SCENARIOS.values() if s.number is None} == {"no-join", "agent-drop"}


def test_an_end_stands_whoever_else_wants_one():
    async def story():
        network = Network()
        leg = network.exchange.place(network.order())
        assert network.world.hang_up is not None
        network.world.hang_up(leg, Cause.NORMAL, "callee")
        network.exchange.end(leg, Cause.FAILED, "api")
        assert (leg.cause, leg.end_source) == (Cause.NORMAL, "callee")
        await asyncio.gather(*network.world.tasks)
        return network

    assert asyncio.run(story()).kinds() == ["call.placed", "call.ended"]


def test_a_stream_ends_and_the_person_hangs_up():
    network = Network()
    leg = run(network, network.order(script=StreamSpec(LOOP, "L16", 16000)))
    assert events(leg) == ["call.initiated", "call.answered", "streaming.started", "streaming.stopped", "call.hangup"]
    assert (leg.cause, leg.end_source) == (Cause.NORMAL, "callee")


def test_a_refused_stream_is_told_as_failed():
    network = Network(how="refused", lasts=0.1)
    leg = run(network, network.order(script=StreamSpec(LOOP, "PCMU", 8000)))
    assert "streaming.failed" in events(leg)
    assert "streaming.started" not in events(leg)


def test_a_stream_beyond_this_machine_is_not_opened():
    network = Network()
    leg = run(network, network.order(script=StreamSpec("wss://voice.ultravox.ai/x", "PCMU", 8000)))
    assert network.streams == []
    assert "streaming.failed" in events(leg)


def test_the_time_limit_counts_from_the_answer():
    network = Network(lasts=1000)
    leg = run(network, network.order(time_limit_s=3.0, script=StreamSpec(LOOP, "PCMU", 8000)))
    assert leg.cause is Cause.TIME_LIMIT
    assert 2.9 < (leg.ended_at - leg.answered_at).total_seconds() < 6


def test_the_document_is_done_step_by_step_and_its_end_hangs_up():
    network = Network()
    document = (
        f"<Response><Pause length='1'/><Connect><Stream url='{LOOP}'/></Connect><Say>Thank you, bye</Say></Response>"
    )
    leg = run(network, network.order(Provider.TWILIO, script=Script(document=document)))
    assert (leg.cause, leg.end_source) == (Cause.NORMAL, "carrier")
    assert (leg.ended_at - leg.answered_at).total_seconds() > 2.8
    assert network.streams[0].stream_id.startswith("MZ")
    assert "X-Twilio-Signature" in network.streams[0].headers


def test_a_hangup_verb_leaves_the_rest_undone():
    network = Network()
    document = f"<Response><Hangup/><Connect><Stream url='{LOOP}'/></Connect></Response>"
    leg = run(network, network.order(Provider.TWILIO, script=Script(document=document)))
    assert leg.cause is Cause.NORMAL
    assert network.streams == []


@pytest.mark.parametrize(("number", "answered"), [("+12025550100", True), ("+12025550101", False)])
def test_a_call_can_be_forwarded(number, answered):
    network = Network()
    document = f"<Response><Dial>{number}</Dial></Response>"
    leg = run(network, network.order(Provider.TWILIO, to="+13125550123", script=Script(document=document)))
    child = next(one for one in network.world.legs.values() if one.ids.get("parent") == leg.id)
    assert (child.to, child.answered_at is not None) == (number, answered)
    assert leg.cause is Cause.NORMAL
    assert leg.ended_at >= child.ended_at


def test_who_hangs_up_ends_what_was_forwarded():
    async def story():
        network = Network()
        document = "<Response><Dial>+12025550102</Dial></Response>"
        leg = network.exchange.place(
            network.order(Provider.TWILIO, to="+13125550123", script=Script(document=document))
        )
        await network.seen("call.ringing", 2)
        network.exchange.end(leg, Cause.NORMAL, "callee")
        async with asyncio.timeout(5):
            await asyncio.gather(*network.world.tasks, return_exceptions=True)
        return [one.ended_at is not None for one in network.world.legs.values()]

    assert asyncio.run(story()) == [True, True]


def test_a_faulty_document_ends_the_call_with_the_carriers_code():
    network = Network()
    leg = run(network, network.order(Provider.TWILIO, script=Script(document="<Response>")))
    assert (leg.cause, network.exchange.runs[leg.id].fault) == (Cause.FAILED, "12100")


@pytest.mark.parametrize(
    ("scenario", "detection", "cause", "machine"),
    [
        ("voicemail", Detection(), Cause.NORMAL, True),
        ("voicemail", Detection(waits=True), Cause.NORMAL, True),
        ("voicemail", Detection(hangs_up=True), Cause.MACHINE, True),
        ("answer", Detection(hangs_up=True), Cause.NORMAL, False),
        ("voicemail", None, Cause.NORMAL, None),
    ],
)
def test_machine_detection(scenario, detection, cause, machine):
    network = Network(scenario=scenario, lasts=3.0)
    leg = run(network, network.order(script=StreamSpec(LOOP, "PCMU", 8000), detection=detection))
    assert (leg.cause, leg.machine) == (cause, machine)


def test_a_hangup_during_the_ringing_is_no_answer_at_all():
    async def story():
        network = Network(scenario="no-answer")
        leg = network.exchange.place(network.order(ring_timeout_s=500.0))
        await network.seen("call.ringing")
        network.exchange.end(leg, Cause.CANCELED, "api")
        async with asyncio.timeout(2):
            await asyncio.gather(*network.world.tasks)
        return leg

    leg = asyncio.run(story())
    assert events(leg)[-1] == "call.hangup"
    assert leg.events[-1]["metadata"]["payload"]["hangup_cause"] == "originator_cancel"


def test_documents_that_redirect_without_end_are_stopped():
    network = Network()

    async def fetch(leg, url, method, fields):
        return "<Response><Redirect>http://127.0.0.1:1/again</Redirect></Response>"

    network.messenger.fetch = fetch
    leg = run(network, network.order(Provider.PLIVO, script=Script(url="http://127.0.0.1:1/")))
    assert leg.cause is Cause.FAILED
    assert network.exchange.runs[leg.id].fault == "redirects"
    assert isinstance(DocumentRefused("1", "x"), Exception)


class TestOriginate:
    """Legs that Ultravox places."""

    def place(self, provider, to="+12025550100", from_=c.TELNYX_FROM, parameters=None, **options):
        async def story():
            network = Network(**options)
            leg = await Originator(network.exchange).originate(
                provider, to=to, from_=from_, join_url=LOOP + "?a=1&b=2", parameters=parameters or {}
            )
            async with asyncio.timeout(5):
                await leg.over.wait()
                await asyncio.gather(*network.world.tasks, return_exceptions=True)
            await network.messenger.close()
            return network, leg

        return asyncio.run(story())

    @pytest.mark.parametrize(
        ("provider", "encoding", "url"),
        [
            (Provider.TELNYX, "L16", LOOP + "?a=1&b=2"),
            (Provider.TWILIO, "PCMU", LOOP),
            (Provider.PLIVO, "L16", LOOP + "?a=1&b=2"),
        ],
    )
    def test_the_stream_goes_both_ways(self, provider, encoding, url):
        network, leg = self.place(provider)
        (spec,) = network.streams
        assert (spec.url, spec.encoding, spec.bidirectional) == (url, encoding, True)
        assert (leg.cause, leg.end_source) == (Cause.NORMAL, "carrier")

    def test_additional_parameters_reach_the_carrier(self):
        _, leg = self.place(
            Provider.TWILIO, parameters={"timeout": 5, "statusCallbackEvent": ["answered", "completed"]}
        )
        assert leg.options["StatusCallbackEvent"] == ["answered", "completed"]
        _, busy = self.place(Provider.PLIVO, to="+12025550101", parameters={"ring_timeout": 5})
        assert busy.cause is Cause.BUSY

    @pytest.mark.parametrize("provider", list(Provider))
    def test_what_the_carrier_refuses_is_refused(self, provider):
        with pytest.raises(PlacementRefused, match=provider.value):
            self.place(provider, to="12")
        with pytest.raises(PlacementRefused, match="429"):
            self.place(provider, to="+12025550109")
