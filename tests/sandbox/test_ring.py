"""A caller who rings a webhook: verified by the vendors' validators, answered by their builders, streamed to an agent."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plivo import plivoxml
from plivo.utils import validate_v3_signature
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, VoiceResponse

from uvcall.core.carrier import Provider
from uvcall.core.model import Cause
from uvcall.core.webhook import FORM, HttpRequest, SignatureInvalid, WebhookInvalid
from uvcall.core.wire import wire
from uvcall.core.wire.events import WebhookKind
from uvcall.errors import ContractBroken, LocalError, UsageError
from uvcall.sandbox import credentials as c
from uvcall.sandbox.ring import ring
from uvcall.sandbox.ring_call import Caller, Rung, Signature, Trouble, checked
from uvcall.sandbox.ring_webhook import TRIES, form, signed, tries
from uvcall.sandbox.ring_window import ring_at
from uvcall.sandbox.world import Options

TELNYX, TWILIO, PLIVO = Provider.TELNYX, Provider.TWILIO, Provider.PLIVO
VERIFYING = {TELNYX: c.TELNYX_PUBLIC_KEY, TWILIO: c.TWILIO_AUTH_TOKEN, PLIVO: c.PLIVO_AUTH_TOKEN}


class Hook:
    """A webhook of anybody's: `decide` gets a request and gives status, content type and body; None: no answer ever."""

    def __init__(self) -> None:
        self.seen: list[HttpRequest] = []
        self.url = ""
        self.decide: Callable[[HttpRequest], tuple[int, str, str] | None] = lambda request: (200, "text/xml", "")
        self.closing = threading.Event()

    def says(self, document: str, status: int = 200, kind: str = "text/xml") -> None:
        self.decide = lambda request: (status, kind, document)

    def at(self, path: str) -> list[HttpRequest]:
        return [request for request in self.seen if urlsplit(request.url).path == path]


@pytest.fixture
def hook() -> Iterator[Hook]:
    one = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = HttpRequest("POST", one.url + self.path, tuple(self.headers.items()), body)
            one.seen.append(request)
            answer = one.decide(request)
            if answer is None:
                one.closing.wait(20)
                self.close_connection = True
                return
            status, kind, document = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(document.encode())))
            self.end_headers()
            self.wfile.write(document.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield one
    one.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


def dial_in(
    provider: Provider, hook: Hook, path: str = "/in", *, options: dict[str, Any] | None = None, **given: Any
) -> Rung:
    ways = {name: given.pop(name) for name in ("key", "public_base", "listener") if name in given}
    return ring(Options(speed=20.0, seed=1, **(options or {})), Caller(provider, hook.url + path, **given), **ways)


def fields(request: HttpRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def header(request: HttpRequest, name: str) -> str:
    return next((value for key, value in request.headers if key.lower() == name.lower()), "")


def vendor_accepts(provider: Provider, request: HttpRequest, key: str | None = None, url: str | None = None) -> bool:
    """Ask the vendor's own validator, with the key that verifies."""
    key, url = key or VERIFYING[provider], url or request.url
    if provider is TWILIO:
        return bool(RequestValidator(key).validate(url, fields(request), header(request, "X-Twilio-Signature")))
    if provider is PLIVO:
        nonce, signature = header(request, "X-Plivo-Signature-V3-Nonce"), header(request, "X-Plivo-Signature-V3")
        return bool(validate_v3_signature("POST", url, nonce, key, signature, fields(request)))
    from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

    try:
        verify_webhook_signature(request.body, dict(request.headers), key)
    except WebhookVerificationError:
        return False
    return True


def connect(provider: Provider, join_url: str) -> str:
    """Answer as the vendor's builder writes it; Telnyx has none."""
    if provider is TWILIO:
        response = VoiceResponse()
        inner = Connect()
        inner.stream(url=join_url)
        response.append(inner)
        response.hangup()
        return str(response)
    if provider is PLIVO:
        stream = plivoxml.StreamElement(
            join_url, bidirectional=True, keepCallAlive=True, contentType="audio/x-l16;rate=16000"
        )
        return str(plivoxml.ResponseElement().add(stream).to_string(False))
    return (
        f'<Response><Connect><Stream url="{join_url}" bidirectionalMode="rtp" codec="L16" bidirectionalCodec="L16" '
        'bidirectionalSamplingRate="16000"/></Connect><Hangup/></Response>'
    )


@pytest.mark.parametrize("provider", Provider)
def test_a_whole_incoming_call(hook, run_sandbox, join_url, until, provider):
    """Verify with the SDK, create the Ultravox call only then, answer with the builder's XML; the agent talks."""
    vendors = run_sandbox()
    events: list[dict[str, Any]] = []

    def decide(request: HttpRequest) -> tuple[int, str, str]:
        if urlsplit(request.url).path == "/status":
            return 200, "text/plain", ""
        if not vendor_accepts(provider, request):
            return 403, "text/plain", "no"
        return 200, "application/xml", connect(provider, join_url(vendors, provider.value))

    hook.decide = decide
    rung = dial_in(provider, hook, status_url=hook.url + "/status", listener=events.append)
    assert (rung.trouble, rung.joined, rung.stream_end, rung.leg.cause) == (None, True, "agent", Cause.NORMAL)
    assert [knock.kind for knock in rung.knocks] == ["first"]
    (request,) = hook.at("/in")
    seen = wire(provider).parse_webhook(request)
    assert (seen.kind, seen.direction, seen.from_) == (WebhookKind.INCOMING, "inbound", "+12025550100")
    assert (seen.to, seen.carrier_call_id) == (rung.leg.to, rung.leg.id)
    (status,) = hook.at("/status")
    assert vendor_accepts(provider, status)
    ended = wire(provider).parse_webhook(status)
    assert (ended.kind, ended.carrier_call_id, ended.status) == (WebhookKind.STATUS, rung.leg.id, "completed")
    (stopped,) = [event for event in events if event["type"] == "media.stopped"]
    assert stopped["frames_played"] > 20  # the caller heard the agent
    assert stopped["frames_sent"] > 20
    (call,) = until(lambda: [e for e in vendors.history() if e["type"] == "call.joined"])
    assert call["peer"] == "ultravox"


TURNED_AWAY = {
    TWILIO: ('<Response><Reject reason="{}"/></Response>', {"busy": "busy", "rejected": "no-answer"}),
    TELNYX: ('<Response><Reject reason="{}"/></Response>', {"busy": "busy", "rejected": "busy"}),
    PLIVO: ('<Response><Hangup reason="{}"/></Response>', {"busy": "busy", "rejected": "busy"}),
}


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_a_caller_is_turned_away_unanswered(hook, provider, reason):
    document, words = TURNED_AWAY[provider]
    hook.says(document.format(reason))
    rung = dial_in(provider, hook, status_url=hook.url + "/status")
    assert (rung.leg.cause, rung.leg.answered_at, rung.joined) == (Cause(reason), None, False)
    (status,) = hook.at("/status")
    assert fields(status)["CallStatus"] == words[reason]


@pytest.mark.parametrize("provider", [TELNYX, TWILIO])
def test_a_rejection_after_the_answer_is_a_hangup(hook, provider):
    hook.says('<Response><Say>Wait.</Say><Reject reason="busy"/></Response>')
    rung = dial_in(provider, hook)
    assert rung.leg.answered_at is not None
    assert (rung.leg.cause, rung.verbs) == (Cause.NORMAL, ("Say", "Reject"))


def test_a_redirect_comes_before_the_answer(hook):
    def decide(request: HttpRequest) -> tuple[int, str, str]:
        first = urlsplit(request.url).path == "/in"
        body = f"<Redirect>{hook.url}/next</Redirect>" if first else "<Reject/>"
        return 200, "text/xml", f"<Response>{body}</Response>"

    hook.decide = decide
    rung = dial_in(TWILIO, hook)
    assert (rung.leg.cause, rung.leg.answered_at) == (Cause.REJECTED, None)
    assert [knock.kind for knock in rung.knocks] == ["first", "redirect"]
    assert all(vendor_accepts(TWILIO, request) for request in hook.seen)

    hook.says(f"<Response><Redirect>{hook.url}/in</Redirect></Response>")
    rung = dial_in(TWILIO, hook)
    assert (rung.leg.cause, rung.trouble and rung.trouble.code) == (Cause.FAILED, "redirects")


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize(("digit", "answered"), [(0, True), (1, False)])
def test_a_document_can_forward_the_caller_to_a_human(hook, provider, digit, answered):
    number = f"+1202555010{digit}"
    body = f"<Dial><Number>{number}</Number></Dial><Hangup/>"
    hook.says(f"<Response>{body}</Response>")
    events: list[dict[str, Any]] = []
    rung = dial_in(provider, hook, listener=events.append)
    (placed,) = [event for event in events if event["type"] == "call.placed"]
    assert placed["to"] == number
    assert (
        any(e["type"] == "call.answered" and e["carrier_call_id"] == placed["carrier_call_id"] for e in events)
        is answered
    )
    assert (rung.leg.cause, rung.leg.end_source) == (Cause.NORMAL, "carrier")


def test_the_caller_can_hang_up_while_the_webhook_thinks(hook):
    def decide(request: HttpRequest) -> tuple[int, str, str]:
        if urlsplit(request.url).path == "/in":
            time.sleep(0.3)
        return 200, "text/xml", "<Response><Say>Hello?</Say></Response>"

    hook.decide = decide
    rung = dial_in(TWILIO, hook, hang_up_after_s=1.0, status_url=hook.url + "/status")
    assert (rung.leg.cause, rung.leg.end_source, rung.leg.answered_at) == (Cause.CANCELED, "caller", None)
    assert fields(hook.at("/status")[0])["CallStatus"] == "canceled"
    assert rung.knocks[0].status == 200  # the carrier waits for its answer all the same


@pytest.mark.parametrize("provider", Provider)
def test_the_caller_can_hang_up_in_the_middle(hook, run_sandbox, join_url, provider):
    hook.says(connect(provider, join_url(run_sandbox(), provider.value)))
    rung = dial_in(provider, hook, scenario="hangup-early")
    assert (rung.joined, rung.stream_end, rung.leg.end_source) == (True, "leg", "caller")


# ---- signatures


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("signature", [one for one in Signature if one is not Signature.GOOD])
def test_forgeries_are_what_they_say(hook, provider, signature):
    try:
        checked(Caller(provider, hook.url, signature=signature))
    except UsageError:
        assert (provider, signature) in {
            (TELNYX, Signature.RESPLIT),
            (TWILIO, Signature.EXPIRED),
            (PLIVO, Signature.EXPIRED),
        }
        return

    def decide(request: HttpRequest) -> tuple[int, str, str]:
        try:
            wire(provider).verify(request, VERIFYING[provider], now=time.time())
            wire(provider).parse_webhook(request)
        except (SignatureInvalid, WebhookInvalid):
            return 403, "text/plain", "no"
        return 200, "text/xml", "<Response/>"

    hook.decide = decide
    rung = dial_in(provider, hook, signature=signature, fallback_url=hook.url + "/fallback")
    (request,) = hook.seen  # one try, and no fallback for whoever is no carrier
    assert (rung.trouble and rung.trouble.status, rung.leg.cause) == (403, Cause.FAILED)
    if signature is Signature.RESPLIT:
        assert vendor_accepts(provider, request)  # the vendor's validator takes it: the signature is right
        name = "CallSid" if provider is TWILIO else "CallUUID"
        assert rung.leg.id != fields(request)[name]
        assert fields(request)[name].startswith(rung.leg.id)
    elif signature is Signature.MISSING:
        assert not [name for name, _ in request.headers if "signature" in name.lower()]
    else:
        assert not vendor_accepts(provider, request)
    if signature is Signature.EXPIRED:
        wire(provider).verify(request, VERIFYING[provider], now=time.time() - 600)  # it was right ten minutes ago


@given(pairs=st.dictionaries(st.text("ABCDEFabc", min_size=1, max_size=6), st.text(max_size=8), min_size=2, max_size=8))
@settings(max_examples=60)
def test_a_resplit_form_keeps_its_signature(pairs):
    for provider, name in ((TWILIO, "CallSid"), (PLIVO, "CallUUID")):
        given_pairs = {name: "1", "Direction": "inbound", **pairs}
        plain = form(provider, "http://127.0.0.1/x", given_pairs)
        request = signed(provider, plain, Signature.RESPLIT, VERIFYING[provider], now=0.0)
        wire(provider).verify(request, VERIFYING[provider], now=0.0)
        assert fields(request).get(name) != "1"


@pytest.mark.parametrize("provider", [TWILIO, PLIVO])
def test_the_address_that_is_signed_can_be_another(hook, provider):
    hook.says("<Response/>")
    dial_in(provider, hook, "/in?a=1", public_base="https://voice.example.com/", status_url=hook.url + "/status")
    request, status = hook.seen
    assert vendor_accepts(provider, request, url="https://voice.example.com/in?a=1")
    assert not vendor_accepts(provider, request)
    assert vendor_accepts(provider, status, url="https://voice.example.com/status")


@pytest.mark.parametrize("provider", Provider)
def test_another_key_can_sign(hook, provider):
    import base64

    from uvcall.core.wire.telnyx_webhook import public_key

    seed = base64.b64encode(b"a seed of thirty-two bytes, fake").decode()
    hook.says("<Response/>")
    dial_in(provider, hook, key=seed, status_url=hook.url + "/status")
    for request in hook.seen:
        assert vendor_accepts(provider, request, key=public_key(seed) if provider is TELNYX else seed)
    assert len(hook.seen) == 2


# ---- patience


@pytest.mark.parametrize("provider", Provider)
def test_what_is_not_2xx_is_asked_again_only_by_telnyx(hook, provider):
    hook.says("", status=500)
    rung = dial_in(provider, hook)
    kinds = ["first", "retry", "retry"] if provider is TELNYX else ["first"]
    assert [knock.kind for knock in rung.knocks] == kinds
    codes = {TELNYX: "", TWILIO: "11200", PLIVO: "7011"}
    assert rung.trouble is not None
    assert (rung.trouble.status, rung.trouble.code, rung.leg.cause) == (500, codes[provider], Cause.FAILED)


@pytest.mark.parametrize("provider", Provider)
def test_the_fallback_is_asked_then(hook, provider):
    def decide(request: HttpRequest) -> tuple[int, str, str]:
        if urlsplit(request.url).path == "/in":
            return 503, "text/plain", ""
        verb = "Speak" if provider is PLIVO else "Say"
        return 200, "application/xml", f"<Response><{verb}>Sorry.</{verb}><Hangup/></Response>"

    hook.decide = decide
    rung = dial_in(provider, hook, fallback_url=hook.url + "/fallback")
    (request,) = hook.at("/fallback")
    assert vendor_accepts(provider, request)
    assert (rung.trouble, rung.knocks[-1].kind, rung.verbs[-1:]) == (None, "fallback", ("Hangup",))
    assert wire(provider).parse_webhook(request).carrier_call_id == rung.leg.id
    if provider is TWILIO:
        assert (fields(request)["ErrorCode"], fields(request)["ErrorUrl"]) == ("11200", hook.url + "/in")


BROKEN = {
    "not XML": ("Hello", "text/xml"),
    "another root": ("<Answer/>", "text/xml"),
    "no such verb": ("<Response><Sing/></Response>", "text/xml"),
    "another type": ("<Response/>", "application/json"),
}


@pytest.mark.parametrize("provider", Provider)
@pytest.mark.parametrize("name", BROKEN)
def test_a_document_that_is_none(hook, provider, name):
    document, kind = BROKEN[name]
    hook.says(document, kind=kind)
    rung = dial_in(provider, hook)
    if name == "another type" and provider is TELNYX:
        assert rung.trouble is None  # Telnyx documents no rule
        return
    assert rung.trouble is not None
    assert rung.leg.cause is Cause.FAILED
    codes = {"another type": "12300", "no such verb": "12200"}
    assert rung.trouble.code == {TWILIO: codes.get(name, "12100"), PLIVO: "8011", TELNYX: "texml"}[provider]


def test_a_fragment_changes_patience(hook):
    hook.decide = lambda request: None
    began = time.monotonic()
    rung = dial_in(TWILIO, hook, "/in#rt=200&rc=2&rp=rt,5xx")
    assert time.monotonic() - began < 3
    assert [(knock.kind, knock.failure) for knock in rung.knocks] == [
        ("first", "timeout"),
        ("retry", "timeout"),
        ("retry", "timeout"),
    ]
    assert all(knock.seconds < 1 for knock in rung.knocks)
    assert rung.trouble is not None
    assert rung.trouble.code == "11205"


def test_patience_is_that_of_the_carrier():
    plain = "http://127.0.0.1/x"
    assert tries(TWILIO, plain) == TRIES[TWILIO]
    assert tries(TELNYX, plain + "#rc=5") == TRIES[TELNYX]  # Telnyx has no such fragment
    changed = tries(PLIVO, plain + "#ct=1&rt=99999&tt=abc&rc=9&rp=all")
    assert (changed.connect_s, changed.read_s, changed.total_s, changed.again) == (0.1, 40.0, 55.0, 5)
    assert changed.after == {"ct", "rt", "4xx", "5xx"}


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/in"
    rung = ring(Options(speed=20.0), Caller(TWILIO, url))
    assert [(knock.kind, knock.failure) for knock in rung.knocks] == [
        ("first", "unreachable"),
        ("retry", "unreachable"),
    ]
    assert rung.trouble is not None
    assert (rung.trouble.code, rung.trouble.status, rung.leg.cause) == ("11205", None, Cause.FAILED)


# ---- duplicates


@pytest.mark.parametrize("provider", Provider)
def test_duplicates_are_the_same_to_the_byte(hook, provider):
    words = "Please hold the line for a while. " * 2
    hook.says(
        f"<Response><{'Speak' if provider is PLIVO else 'Say'}>{words}</{'Speak' if provider is PLIVO else 'Say'}></Response>"
    )
    rung = dial_in(provider, hook, duplicates=5)
    assert len({(request.body, request.headers) for request in hook.seen}) == 1
    assert sorted(knock.kind for knock in rung.knocks) == ["first", *["late"] * 2, *["parallel"] * 3]
    assert [knock.same for knock in rung.knocks if knock.kind != "first"] == [True] * 5
    assert rung.differing == 0


def test_duplicates_that_are_answered_otherwise_are_counted(hook):
    hook.decide = lambda request: (
        200,
        "text/xml",
        f"<Response><!-- {len(hook.seen)} --><Say>{'a' * 60}</Say></Response>",
    )
    rung = dial_in(TWILIO, hook, duplicates=4)
    assert rung.differing >= 3  # two answers of one moment may be the same


# ---- Call Control


def test_call_control_by_the_vendors_sdk(hook, run_sandbox, join_url, until):
    """The owner of the webhook acts by REST, on the Telnyx face that the caller's world has."""
    from telnyx import Telnyx

    ready: list[str] = []
    heard: set[str] = set()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = Telnyx(
        api_key=c.TELNYX_API_KEY, base_url=f"http://127.0.0.1:{port}/v2", public_key=c.TELNYX_PUBLIC_KEY, max_retries=0
    )

    # The SDK builds these at first use, in seconds that no carrier waits and no join URL lasts.
    assert client.calls.actions
    client.webhooks.unsafe_unwrap('{"data": {"event_type": "call.answered"}}')
    url = join_url(run_sandbox(), "telnyx")

    def decide(request: HttpRequest) -> tuple[int, str, str]:
        event = client.webhooks.unwrap(request.body.decode(), headers=dict(request.headers))
        payload = event.data.payload
        if event.data.id in heard:  # sent again, because the first answer was late
            return 200, "application/json", ""
        heard.add(event.data.id)
        ready.append(event.data.event_type)
        if event.data.event_type == "call.initiated":
            assert (payload.direction, payload.state) == ("incoming", "parked")
            client.calls.actions.answer(payload.call_control_id, command_id="one")
            client.calls.actions.answer(payload.call_control_id, command_id="one")  # once only
        if event.data.event_type == "call.answered":
            client.calls.actions.start_streaming(
                payload.call_control_id,
                stream_url=url,
                stream_bidirectional_mode="rtp",
                stream_codec="L16",
                stream_bidirectional_codec="L16",
                stream_bidirectional_sampling_rate=16000,
            )
        return 200, "application/json", ""

    hook.decide = decide
    try:
        rung = dial_in(TELNYX, hook, call_control=True, options={"port": port})
    finally:
        client.close()
    assert (rung.joined, rung.stream_end, rung.trouble) == (True, "agent", None)
    assert ready.count("call.answered") == 1
    assert set(ready) >= {"call.initiated", "call.answered", "streaming.started", "streaming.stopped", "call.hangup"}


@pytest.fixture
def commands(hook) -> Callable[..., tuple[Rung, list[Any]]]:
    """Ring a Call Control application that sends these commands at each event; give what came of it and the answers."""

    def run(plan: dict[str, list[tuple[str, dict[str, Any]]]], **given: Any) -> tuple[Rung, list[Any]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        answers: list[Any] = []

        def decide(request: HttpRequest) -> tuple[int, str, str]:
            data = json.loads(request.body)["data"]
            for action, body in plan.get(data["event_type"], []):
                call = data["payload"]["call_control_id"]
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/v2/calls/{call}/actions/{action}",
                    headers={"Authorization": f"Bearer {c.TELNYX_API_KEY}"},
                    json=body,
                )
                answers.append((action, answer.status_code, answer.json().get("errors", [{}])[0].get("code")))
            return 200, "application/json", ""

        hook.decide = decide
        return dial_in(TELNYX, hook, call_control=True, options={"port": port}, **given), answers

    return run


def test_call_control_turns_a_caller_away(commands):
    rung, answers = commands({"call.initiated": [("reject", {"cause": "NO"}), ("reject", {"cause": "USER_BUSY"})]})
    assert answers == [("reject", 422, "10015"), ("reject", 200, None)]
    assert (rung.leg.cause, rung.leg.answered_at) == (Cause.BUSY, None)


def test_call_control_says_sorry_or_forwards(commands, hook):
    plan = {
        "call.initiated": [
            ("speak", {"payload": "Sorry.", "voice": "female"}),
            ("answer", {"client_state": "c3RhdGU="}),
            ("answer", {}),
            ("reject", {"cause": "USER_BUSY"}),
            ("speak", {"payload": "Sorry."}),
            ("streaming_start", {}),
            ("streaming_start", {"stream_url": "ws://127.0.0.1:9/", "stream_codec": "MP3"}),
            ("speak", {"payload": "Sorry, nobody is here.", "voice": "female"}),
        ],
        "call.speak.ended": [("transfer", {"to": "+12025550100"})],
    }
    rung, answers = commands(plan)
    assert [(status, code) for _, status, code in answers] == [
        (422, "90034"),
        (200, None),
        (422, "10027"),
        (422, "10027"),
        (422, "10004"),
        (422, "10004"),
        (422, "10015"),
        (200, None),
        (200, None),
    ]
    assert (rung.leg.cause, rung.joined) == (Cause.NORMAL, False)
    events = [json.loads(request.body)["data"] for request in hook.seen]
    hangup = next(event for event in events if event["event_type"] == "call.hangup")
    assert hangup["payload"]["client_state"] == "c3RhdGU="


def test_a_call_control_caller_gives_up(hook):
    rung = ring(Options(speed=100.0, port=0), Caller(TELNYX, hook.url + "/in", call_control=True))
    assert (rung.leg.cause, rung.leg.end_source) == (Cause.CANCELED, "caller")
    kinds = [json.loads(request.body)["data"]["event_type"] for request in hook.seen]
    assert kinds == ["call.initiated", "call.hangup"]


def test_a_call_control_application_that_fails(hook):
    def decide(request: HttpRequest) -> tuple[int, str, str]:
        return (200 if urlsplit(request.url).path == "/spare" else 500), "application/json", ""

    hook.decide = decide
    rung = ring(
        Options(speed=100.0, port=0),
        Caller(TELNYX, hook.url + "/in", call_control=True, fallback_url=hook.url + "/spare"),
    )
    told = [json.loads(request.body) for request in hook.at("/in")]
    assert [one["meta"]["attempt"] for one in told if one["data"]["event_type"] == "call.initiated"] == [1, 2, 3]
    assert len(hook.at("/spare")) == 1
    assert (rung.trouble, rung.leg.cause) == (None, Cause.CANCELED)


def test_a_port_that_is_taken(hook):
    port = int(urlsplit(hook.url).port or 0)
    with pytest.raises(LocalError):
        ring(Options(port=port), Caller(TELNYX, hook.url, call_control=True))


# ---- what makes no sense

NONSENSE = {
    "elsewhere": {"to": "http://192.0.2.1/in"},
    "a name elsewhere": {"to": "https://hooks.example.com/in"},
    "looks like here": {"to": "http://127.0.0.1@example.com/in"},
    "no URL": {"to": "127.0.0.1:8080"},
    "status elsewhere": {"status_url": "http://192.0.2.1/"},
    "fallback elsewhere": {"fallback_url": "http://192.0.2.1/"},
    "no number": {"from_": "12025550100"},
    "no caller": {"called": "anonymous"},
    "a callee's scenario": {"scenario": "busy"},
    "no such scenario": {"scenario": "x"},
    "too many": {"duplicates": 1001},
    "too few": {"duplicates": -1},
    "never": {"hang_up_after_s": -1.0},
    "another carrier's": {"call_control": True},
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_before_anybody_is_rung(hook, name):
    with pytest.raises(UsageError) as refused:
        ring(Options(), Caller(**{"provider": TWILIO, "to": hook.url, **NONSENSE[name]}))
    assert refused.value.hint
    assert "\n" not in refused.value.message
    assert hook.seen == []


def test_call_control_has_no_status_url(hook):
    with pytest.raises(UsageError):
        checked(Caller(TELNYX, hook.url, call_control=True, status_url=hook.url))


@pytest.mark.parametrize("provider", Provider)
def test_a_withheld_number(hook, provider):
    hook.says("<Response/>")
    dial_in(provider, hook, from_="anonymous")
    assert wire(provider).parse_webhook(hook.seen[0]).from_ == ""


def test_the_bodys_type_is_the_carriers(hook):
    hook.says("<Response/>")
    for provider in Provider:
        dial_in(provider, hook)
    assert all(header(request, "Content-Type").startswith(FORM) for request in hook.seen)


# ---- from inside a sandbox that runs already


@pytest.mark.parametrize("provider", Provider)
def test_a_caller_inside_a_sandbox_is_understood(hook, run_sandbox, join_url, provider):
    vendors = run_sandbox(speed=8.0)
    hook.says(connect(provider, join_url(vendors, provider.value)))
    events: list[dict[str, Any]] = []
    caller = Caller(provider, hook.url + "/in", duplicates=2, status_url=hook.url + "/status")
    rung = ring_at(vendors.ready["ultravox"], caller, events.append)
    assert (rung.joined, rung.stream_end, rung.leg.cause, rung.leg.direction) == (
        True,
        "agent",
        Cause.NORMAL,
        "inbound",
    )
    assert [knock.same for knock in rung.knocks].count(True) == 2
    assert {"call.incoming", "webhook", "call.answered", "media.stopped", "call.ended"} <= {e["type"] for e in events}
    assert len(hook.at("/status")) == 1
    calls = f"{vendors.ready['ultravox']}/api/calls"
    key = {"X-API-Key": c.ULTRAVOX_API_KEY}
    (call,) = httpx.get(calls, headers=key).json()["results"]
    messages = httpx.get(f"{calls}/{call['callId']}/messages", headers=key).json()["results"]
    assert {message["role"] for message in messages} == {"MESSAGE_ROLE_USER", "MESSAGE_ROLE_AGENT"}


def test_call_control_inside_a_sandbox(hook, run_sandbox, join_url):
    """The application's own settings lead to the API that knows the call: no port to agree on."""
    vendors = run_sandbox()
    url = join_url(vendors, "telnyx")

    def decide(request: HttpRequest) -> tuple[int, str, str]:
        data = json.loads(request.body)["data"]
        if data["event_type"] == "call.initiated":
            wire(TELNYX).verify(request, c.TELNYX_PUBLIC_KEY, now=time.time())
            httpx.post(
                f"{vendors.ready['telnyx']}/calls/{data['payload']['call_control_id']}/actions/answer",
                headers={"Authorization": f"Bearer {c.TELNYX_API_KEY}"},
                json={"stream_url": url, "stream_bidirectional_mode": "rtp"},
            )
        return 200, "application/json", ""

    hook.decide = decide
    rung = ring_at(vendors.ready["telnyx"], Caller(TELNYX, hook.url + "/in", call_control=True))
    assert (rung.joined, rung.leg.answered_at is not None, rung.trouble) == (True, True, None)


def test_trouble_comes_through(hook, run_sandbox):
    hook.says("", status=500)
    vendors = run_sandbox()
    rung = ring_at(vendors.ready["ultravox"], Caller(TWILIO, hook.url, fallback_url=hook.url + "/fallback"))
    assert rung.trouble == Trouble("11200", "the webhook answered HTTP 500", 500)
    assert [knock.kind for knock in rung.knocks] == ["first", "fallback"]
    assert rung.leg.cause is Cause.FAILED


def test_a_reset_ends_the_callers_call(hook, run_sandbox, until):
    vendors = run_sandbox(speed=1.0)
    hook.says("<Response><Pause length='60'/></Response>")
    found: list[UsageError] = []

    def call() -> None:
        try:
            ring_at(vendors.ready["ultravox"], Caller(TWILIO, hook.url))
        except UsageError as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: [e for e in vendors.history() if e["type"] == "call.answered"])
    httpx.post(f"{vendors.ready['ultravox']}/_sandbox/reset")
    thread.join(10)
    assert [error.message for error in found] == ["the sandbox was reset"]


@pytest.mark.parametrize(
    "body", [{}, {"provider": "x", "to": "y"}, {"provider": "twilio"}, {"provider": "twilio", "to": 5}, [], "x"]
)
def test_the_doorbell_refuses_what_is_no_caller(run_sandbox, body):
    answer = httpx.post(f"{run_sandbox().ready['ultravox']}/_sandbox/ring", json=body)
    assert (answer.status_code, set(answer.json())) == (400, {"error", "hint"})


def test_no_sandbox_there(hook):
    with pytest.raises(UsageError):
        ring_at("http://192.0.2.1", Caller(TWILIO, hook.url))
    with pytest.raises(ContractBroken):
        ring_at(hook.url, Caller(TWILIO, hook.url))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(LocalError):
        ring_at(url, Caller(TWILIO, hook.url))
