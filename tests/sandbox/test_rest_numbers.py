"""Numbers and applications as the vendors' SDKs see them, checked against the vendors' own documents."""

import httpx
import plivo
import pytest
import telnyx
from twilio.base.exceptions import TwilioRestException

from uvcall.core.carrier import Provider
from uvcall.errors import UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.rest import plivo_numbers, telnyx_numbers, twilio_numbers
from uvcall.sandbox.ring_call import Caller, Signature, checked
from uvcall.sandbox.ring_window import routed

TWILIO_PATH = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers"


def test_telnyx_applications_and_numbers_conform(run_sandbox, sdks, conforms):
    running = run_sandbox()
    client = sdks.telnyx(running)

    def ask(method, path, template, status, body=None):
        send = getattr(client, method)
        answer = send(path, cast_to=httpx.Response, **({"body": body} if body is not None else {}))
        assert answer.status_code == int(status)
        conforms(answer.json(), "telnyx", template, method, status)
        return answer.json()["data"]

    kinds = {
        "texml_applications": {"friendly_name": "mine", "voice_url": "https://a.example.com/x", "voice_method": "get"},
        "call_control_applications": {"application_name": "mine", "webhook_event_url": "https://a.example.com/x"},
    }
    number = client.phone_numbers.list(filter={"phone_number": c.TELNYX_FROM[1:]}).data[0].id
    for path, body in kinds.items():
        made = ask("post", f"/{path}", f"/{path}", "201", body)
        assert {name: made[name] for name in body} == body
        one = f"/{path}/{made['id']}"
        assert ask("get", one, f"/{path}/{{id}}", "200") == made
        changed = ask("patch", one, f"/{path}/{{id}}", "200", {**body, "active": False})
        assert changed["active"] is False
        ask("get", f"/{path}", f"/{path}", "200")
        ask("get", f"/connections/{made['id']}", "/connections/{id}", "200")
        moved = ask("patch", f"/phone_numbers/{number}", "/phone_numbers/{id}", "200", {"connection_id": made["id"]})
        assert (moved["connection_id"], moved["connection_name"]) == (made["id"], "mine")
        assert ask("get", f"/phone_numbers/{number}", "/phone_numbers/{id}", "200")["connection_id"] == made["id"]
        with pytest.raises(telnyx.UnprocessableEntityError):
            client.delete(one, cast_to=httpx.Response)
        moved = ask("patch", f"/phone_numbers/{number}", "/phone_numbers/{id}", "200", {"connection_id": ""})
        assert moved["connection_id"] is None
        ask("delete", one, f"/{path}/{{id}}", "200")
        with pytest.raises(telnyx.NotFoundError):
            client.get(one, cast_to=httpx.Response)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"voice_url": "https://a.example.com"}, "10004"),
        ({"friendly_name": "mine"}, "10004"),
        ({"friendly_name": "mine", "voice_url": "nowhere"}, "10015"),
        ({"friendly_name": "mine", "voice_url": "https://a.example.com", "voice_method": "PUT"}, "10015"),
        ({"friendly_name": "mine", "voice_url": "https://a.example.com", "status_callback": "x"}, "10015"),
    ],
)
def test_telnyx_refuses_an_application_that_could_not_be_asked(sandbox, sdks, fields, code):
    client = sdks.telnyx(sandbox)
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        client.post("/texml_applications", body=fields, cast_to=httpx.Response)
    assert caught.value.body["errors"][0]["code"] == code
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        client.phone_numbers.update("2000000000000000002", connection_id="99")
    assert caught.value.body["errors"][0]["code"] == "85004"
    with pytest.raises(telnyx.NotFoundError):
        client.phone_numbers.update("99", connection_id=c.TELNYX_CONNECTION_ID)


def test_twilio_numbers_conform_and_change(sandbox, sdks, conforms):
    client = sdks.twilio(sandbox)
    auth = (c.TWILIO_ACCOUNT_SID, c.TWILIO_AUTH_TOKEN)
    number = client.incoming_phone_numbers.list(phone_number=c.TWILIO_FROM)[0]
    base = f"{sandbox.ready['twilio']}{TWILIO_PATH.format(AccountSid=c.TWILIO_ACCOUNT_SID)}"
    shown = httpx.get(f"{base}/{number.sid}.json", auth=auth)
    conforms(shown.json(), "twilio", f"{TWILIO_PATH}/{{Sid}}.json", "get", "200")
    conforms(httpx.get(f"{base}.json", auth=auth).json(), "twilio", f"{TWILIO_PATH}.json", "get", "200")
    changed = httpx.post(f"{base}/{number.sid}.json", auth=auth, data={"VoiceUrl": "https://a.example.com/"})
    conforms(changed.json(), "twilio", f"{TWILIO_PATH}/{{Sid}}.json", "post", "200")
    one = client.incoming_phone_numbers(number.sid)
    assert one.update(trunk_sid="TK" + "1" * 32).trunk_sid == "TK" + "1" * 32
    rival = one.update(voice_application_sid="AP" + "1" * 32, voice_method="GET")
    assert (rival.trunk_sid, rival.voice_application_sid, rival.voice_method) == (None, "AP" + "1" * 32, "GET")
    cleared = one.update(voice_application_sid="", voice_url="")
    assert (cleared.voice_application_sid, cleared.voice_url) == (None, None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"voice_url": "nowhere"}, 21205),
        ({"voice_method": "PUT"}, 20422),
        ({"trunk_sid": "AP" + "1" * 32}, 20422),
        ({"voice_application_sid": "AP1"}, 20422),
    ],
)
def test_twilio_refuses_what_could_not_be_asked(sandbox, sdks, fields, code):
    client = sdks.twilio(sandbox)
    sid = client.incoming_phone_numbers.list(phone_number=c.TWILIO_FROM)[0].sid
    with pytest.raises(TwilioRestException) as caught:
        client.incoming_phone_numbers(sid).update(**fields)
    assert caught.value.code == code
    with pytest.raises(TwilioRestException) as caught:
        client.incoming_phone_numbers("PN" + "9" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_plivo_applications_and_numbers(sandbox, sdks):
    client = sdks.plivo(sandbox)
    digits = c.PLIVO_FROM[1:]
    before = client.numbers.get(digits).application
    made = client.applications.create("mine", answer_url="https://a.example.com/", hangup_url="https://a.example.com/h")
    assert made.message == "created"
    shown = client.applications.get(made.app_id)
    assert (shown.app_name, shown.answer_url, shown.answer_method) == ("mine", "https://a.example.com/", "POST")
    assert client.applications.update(made.app_id, answer_method="GET").message == "changed"
    assert client.applications.get(made.app_id).answer_method == "GET"
    assert [one.app_name for one in client.applications.list(app_name="mine").objects] == ["mine"]
    assert client.numbers.update(digits, app_id=made.app_id).message == "changed"
    assert client.numbers.get(digits).application.endswith(f"/Application/{made.app_id}/")
    with pytest.raises(plivo.exceptions.ValidationError, match="in use"):
        client.applications.delete(made.app_id)
    client.numbers.update(digits, app_id="")
    assert client.numbers.get(digits).application == before
    client.applications.delete(made.app_id)
    with pytest.raises(plivo.exceptions.ResourceNotFoundError):
        client.applications.get(made.app_id)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda client: client.applications.create("uvcall sandbox"), "exists"),
        (lambda client: client.applications.create("a/b"), "app_name"),
        (lambda client: client.applications.create("mine", answer_method="PUT"), "answer_method"),
        (lambda client: client.numbers.update(c.PLIVO_FROM[1:], app_id="99"), "app_id"),
    ],
)
def test_plivo_refuses_what_could_not_be_asked(sandbox, sdks, work, words):
    with pytest.raises(plivo.exceptions.ValidationError, match=words):
        work(sdks.plivo(sandbox))


@pytest.mark.parametrize("room", [telnyx_numbers, twilio_numbers, plivo_numbers])
def test_a_reset_takes_back_what_was_changed(run_sandbox, room):
    running = run_sandbox()
    book = running.world.rooms[room.Book]
    before = repr(book.numbers)
    book.numbers = {}
    httpx.post(f"{running.ready['ultravox']}/_sandbox/reset")
    assert repr(book.numbers) == before


def caller(provider, **more):
    return checked(Caller(Provider(provider), "", **more), routed=True)


def test_a_caller_goes_where_the_number_leads(sandbox, sdks):
    world = sandbox.world
    for provider in Provider:
        with pytest.raises(UsageError, match="leads to no webhook"):
            routed(world, caller(provider))
    telnyx_sdk, twilio_sdk = sdks.telnyx(sandbox), sdks.twilio(sandbox)
    telnyx_sdk.call_control_applications.update(
        c.TELNYX_CONNECTION_ID, application_name="mine", webhook_event_url="http://127.0.0.1:9/events"
    )
    found = routed(world, caller("telnyx"))
    assert (found.to, found.call_control, found.status_url) == ("http://127.0.0.1:9/events", True, "")
    sid = twilio_sdk.incoming_phone_numbers.list(phone_number=c.TWILIO_FROM)[0].sid
    number = twilio_sdk.incoming_phone_numbers(sid)
    base = "http://127.0.0.1:9"
    number.update(voice_url=f"{base}/voice", voice_fallback_url=f"{base}/fallback", status_callback=f"{base}/status")
    found = routed(world, caller("twilio"))
    assert (found.to, found.fallback_url, found.status_url) == (f"{base}/voice", f"{base}/fallback", f"{base}/status")
    forged = routed(world, caller("twilio", signature=Signature.BAD))
    assert (forged.to, forged.fallback_url) == (f"{base}/voice", ""), "whoever forges knows one address"
    number.update(voice_method="GET")
    with pytest.raises(UsageError, match="by GET"):
        routed(world, caller("twilio"))
    number.update(voice_method="POST", voice_url="https://voice.example.com/")
    with pytest.raises(UsageError, match="this machine only"):
        routed(world, caller("twilio"))
