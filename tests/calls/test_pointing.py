"""Numbers led here and back, killed at every step: real SDKs, a sandbox's API, a real file."""

import importlib
import itertools
import json

import pytest

from uvcall.calls import pointing
from uvcall.calls.pointing import Back, NumberLine
from uvcall.carriers import Account, carrier
from uvcall.carriers.numbers import numbers
from uvcall.cli.number_file import NumberFile
from uvcall.core.carrier import Provider
from uvcall.core.number import Here
from uvcall.core.secret import Secret
from uvcall.errors import ConfigError, ContractBroken, LocalError, Temporary
from uvcall.sandbox import credentials as c
from uvcall.sandbox.rest import plivo_numbers, telnyx_numbers, twilio_numbers

ALL = list(Provider)
BOOKS = {
    Provider.TELNYX: telnyx_numbers.Book,
    Provider.TWILIO: twilio_numbers.Book,
    Provider.PLIVO: plivo_numbers.Book,
}
NUMBERS = {Provider.TELNYX: c.TELNYX_FROM, Provider.TWILIO: c.TWILIO_FROM, Provider.PLIVO: c.PLIVO_FROM}
FIELDS = {
    Provider.TELNYX: {"api_key": Secret(c.TELNYX_API_KEY), "connection_id": c.TELNYX_CONNECTION_ID},
    Provider.TWILIO: {"account_sid": c.TWILIO_ACCOUNT_SID, "auth_token": Secret(c.TWILIO_AUTH_TOKEN)},
    Provider.PLIVO: {"auth_id": c.PLIVO_AUTH_ID, "auth_token": Secret(c.PLIVO_AUTH_TOKEN)},
}
WAS = "https://was.example.com/answer"


class Killed(BaseException):
    """The process is gone: nothing of it may catch this."""


class Steps:
    """Counts what happens at the disk and at the carrier, before and after, and ends the run at one of them."""

    def __init__(self):
        self.count, self.stop = 0, 0

    def begin(self, stop):
        self.count, self.stop = 0, stop

    def reach(self):
        self.count += 1
        if self.count == self.stop:
            raise Killed

    def around(self, work):
        def stepped(*args, **kwargs):
            self.reach()
            result = work(*args, **kwargs)
            self.reach()
            return result

        return stepped


@pytest.fixture
def scene(sandbox, tmp_path, monkeypatch):
    """A carrier's number that led somewhere, the file, and the steps that are counted."""

    class Scene:
        def __init__(self, provider):
            self.provider, self.number = provider, NUMBERS[provider]
            self.book = sandbox.world.rooms[BOOKS[provider]]
            self.steps = Steps()
            self.memory = NumberFile(tmp_path / provider.value / "numbers.json")
            monkeypatch.setattr(NumberFile, "save", self.steps.around(NumberFile.save))
            room = importlib.import_module(f"uvcall.carriers.{provider.value}_numbers")
            asking = room.asking
            monkeypatch.setattr(room, "asking", lambda manner, call: asking(manner, self.steps.around(call)))
            self.account = Account(FIELDS[provider], sandbox.ready[provider.value])
            self.lines = []
            self.begin()

        def begin(self):
            """Make the world as it was before anybody came."""
            self.steps.begin(0)
            self.book.begin()
            self.memory.path.unlink(missing_ok=True)
            if self.provider is Provider.TWILIO:
                self.book.numbers[self.number] |= {"voice_url": WAS, "voice_application_sid": "AP" + "1" * 32}
            self.original = self.shown()

        def shown(self):
            """Return all that the carrier holds, without the time."""
            kept = json.loads(json.dumps([self.book.numbers, getattr(self.book, "applications", {})]))
            for one in kept[1].values():
                one.pop("updated_at", None)
                one.pop("created_at", None)
            return kept

        @property
        def line(self):
            return self.lines[0]

        def lead(self, base="https://here.example.com", foreign=None):
            name = self.provider.value
            here = Here(f"{base}/{name}", f"{base}/{name}/status", f"uvcall-{self.number[1:]}-{next(TAGS)}")
            foreign = foreign or (lambda led: pytest.fail("nobody else was there"))
            pointing.lead(self.memory, self.line, self.number, here, pause=lambda _: None, foreign=foreign)

        def put_back(self):
            return [pointing.put_back(self.memory, self.line, led, pause=lambda _: None) for led in self.memory.load()]

        def leads_to(self):
            return self.book.webhook(self.number)

    scenes = []

    def make(provider):
        one = Scene(provider)
        one.lines.append(NumberLine(provider, numbers(provider), carrier(provider), one.account))
        scenes.append(one)
        return one

    yield make
    for one in scenes:
        one.line.close()


TAGS = itertools.count(1)


@pytest.mark.parametrize("provider", ALL)
def test_a_number_leads_here_and_back(scene, provider):
    one = scene(provider)
    one.lead()
    leads = one.leads_to()
    assert leads[0] == f"https://here.example.com/{provider.value}"
    assert (leads.status_url, leads.method) == (f"https://here.example.com/{provider.value}/status", "POST")
    assert one.memory.path.stat().st_mode & 0o777 == 0o600
    assert one.put_back() == [Back.DONE]
    assert one.shown() == one.original
    assert not one.memory.path.exists()


@pytest.mark.parametrize("provider", ALL)
@pytest.mark.parametrize("then", ["restore", "again"])
def test_a_run_that_is_killed_at_any_step_can_be_put_back(scene, provider, then):
    one = scene(provider)
    one.lead()
    steps_up = one.steps.count
    for stop in range(1, steps_up + 1):
        one.begin()
        one.steps.begin(stop)
        with pytest.raises(Killed):
            one.lead()
        one.steps.begin(0)
        if one.leads_to() is not None and "here" in one.leads_to().url:
            assert one.memory.load(), f"changed before it was written down, step {stop}"
        if then == "again":
            one.lead("https://other.example.com")
            assert one.leads_to().url == f"https://other.example.com/{provider.value}"
        assert set(one.put_back()) <= {Back.DONE, Back.WAS}
        assert one.shown() == one.original, f"step {stop} of {steps_up}"
        assert not one.memory.path.exists()


@pytest.mark.parametrize("provider", ALL)
def test_putting_back_that_is_killed_at_any_step_can_be_done_again(scene, provider):
    one = scene(provider)
    for stop in range(1, 100):
        one.begin()
        one.lead()
        one.steps.begin(stop)
        try:
            one.put_back()
        except Killed:
            one.steps.begin(0)
            assert one.memory.load() or one.shown() == one.original
            assert set(one.put_back()) <= {Back.DONE, Back.WAS}
        else:
            break
        assert one.shown() == one.original, f"step {stop}"
    assert stop > 6
    assert one.shown() == one.original


@pytest.mark.parametrize("provider", ALL)
def test_a_second_run_that_is_killed_keeps_the_first_original(scene, provider):
    one = scene(provider)
    for stop in range(1, 100):
        one.begin()
        one.lead("https://first.example.com")
        one.steps.begin(stop)
        try:
            one.lead("https://second.example.com")
        except Killed:
            one.steps.begin(0)
        else:
            break
        assert set(one.put_back()) <= {Back.DONE, Back.WAS}
        assert one.shown() == one.original, f"step {stop}"
    assert stop > 6


def by_somebody_else(one):
    """Lead the number elsewhere, as its owner would in the console."""
    if one.provider is Provider.TWILIO:
        one.book.numbers[one.number] |= {"voice_url": "https://owner.example.com/", "voice_application_sid": None}
    elif one.provider is Provider.TELNYX:
        made = one.book.add(telnyx_numbers.TEXML, {"friendly_name": "owner", "voice_url": "https://owner.example.com/"})
        next(n for n in one.book.numbers.values() if n["phone_number"] == one.number)["connection_id"] = made["id"]
    else:
        made = one.book.add({"app_name": "owner", "answer_url": "https://owner.example.com/"})
        one.book.numbers[one.number] = made["app_id"]


@pytest.mark.parametrize("provider", ALL)
def test_what_somebody_else_has_changed_is_left_alone(scene, provider):
    one = scene(provider)
    one.lead()
    by_somebody_else(one)
    assert one.put_back() == [Back.FOREIGN]
    assert one.leads_to().url == "https://owner.example.com/"
    assert not one.memory.path.exists()
    assert not [a for a in getattr(one.book, "applications", {}).values() if "uvcall-" in json.dumps(a)]


@pytest.mark.parametrize("provider", ALL)
def test_a_later_run_takes_what_somebody_else_has_set_for_the_original(scene, provider):
    one = scene(provider)
    one.lead()
    by_somebody_else(one)
    told = []
    one.lead(foreign=told.append)
    assert [led.number for led in told] == [one.number]
    assert one.leads_to().url == f"https://here.example.com/{provider.value}"
    assert one.put_back() == [Back.DONE]
    assert one.leads_to().url == "https://owner.example.com/"


@pytest.mark.parametrize("provider", ALL)
def test_nothing_is_changed_when_it_cannot_be_written_down(scene, provider, monkeypatch):
    one = scene(provider)

    def full(memory, led):
        raise LocalError("no space left", hint="make some")

    monkeypatch.setattr(NumberFile, "save", full)
    with pytest.raises(LocalError):
        one.lead()
    assert one.shown() == one.original


@pytest.mark.parametrize("provider", ALL)
def test_a_carrier_that_is_down_keeps_the_file(scene, provider, sandbox):
    one = scene(provider)
    one.lead()
    before = one.memory.path.read_bytes()
    from uvcall.sandbox.faults import Faults, parse_faults

    faults = sandbox.world.rooms[Faults]
    faults.plan = parse_faults(f"{provider.value}.server-error=1")
    try:
        with pytest.raises(Temporary):
            one.put_back()
    finally:
        faults.plan = parse_faults("off")
    assert one.memory.path.read_bytes() == before
    assert one.put_back() == [Back.DONE]
    assert one.shown() == one.original


@pytest.mark.parametrize("provider", ALL)
def test_a_number_of_nobody_is_said(scene, provider):
    one = scene(provider)
    one.number = "+12025550142"
    with pytest.raises(ConfigError, match=r"\+12025550142") as caught:
        one.lead()
    assert (caught.value.exit_code, caught.value.peer) == (6, provider.value)
    assert not one.memory.path.exists()


@pytest.mark.parametrize("provider", ALL)
def test_a_change_that_does_not_take_is_said(scene, provider, monkeypatch):
    one = scene(provider)
    monkeypatch.setattr(one.line.numbers, "write", lambda *_: None)
    with pytest.raises(ContractBroken, match="shows the number"):
        one.lead()
    monkeypatch.undo()
    assert one.put_back() == [Back.WAS]
    assert one.shown() == one.original


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"numbers": [{}]}', '{"numbers": 1}', "\xff", '{"numbers": [[', "null"]
)
def test_a_file_that_says_something_else_is_not_overlooked(tmp_path, text):
    path = tmp_path / "numbers.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(LocalError, match="does not say"):
        NumberFile(path).load()


def test_what_answered_before_answers_when_nothing_does_here(scene):
    one = scene(Provider.TWILIO)
    one.book.numbers[one.number] |= {"voice_url": WAS, "voice_application_sid": None, "voice_method": "GET"}
    one.lead()
    assert one.leads_to().fallback_url == WAS
    assert one.book.numbers[one.number]["voice_fallback_method"] == "GET"
    for provider in (Provider.TELNYX, Provider.PLIVO):
        one = scene(provider)
        by_somebody_else(one)
        one.lead()
        assert one.leads_to().fallback_url == "https://owner.example.com/"


def test_telnyx_forwards_through_the_profile_that_was_there(scene):
    one = scene(Provider.TELNYX)
    one.lead()
    made = [a for a in one.book.applications.values() if "uvcall-" in a.get("friendly_name", "")]
    assert [a["outbound"]["outbound_voice_profile_id"] for a in made] == [c.TELNYX_PROFILE_ID]


def test_twilio_trunk_and_application_come_back(scene):
    one = scene(Provider.TWILIO)
    one.book.numbers[one.number] |= {"voice_application_sid": None, "trunk_sid": "TK" + "a" * 32, "voice_url": None}
    original = one.shown()
    one.lead()
    assert one.leads_to().url == "https://here.example.com/twilio"
    assert one.put_back() == [Back.DONE]
    assert one.shown() == original
