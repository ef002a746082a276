"""Plivo's answer URL: one signed fetch gets the document, nobody else gets anything."""

import socket
import time
import urllib.error
import urllib.request

import pytest

from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl
from uvcall.core.webhook import HttpRequest
from uvcall.core.wire import plivo
from uvcall.errors import LocalError
from uvcall.server.answer_once import listen

TOKEN = "t" * 40
JOIN = JoinUrl("wss://voice.ultravox.ai/calls/x/telephony")
CALL = "CallUUID=0b6c2f1e-8f3c-4b6e-9f0a-1d2e3f4a5b6c&From=12025550199&To=12025550100&Direction=outbound&CallStatus="
ANSWERED = CALL + "in-progress&Event=StartApp"


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def listener(complaints):
    made = listen(
        base_url=None, host="127.0.0.1", port=0, auth_token=TOKEN, stream=StreamOptions(codec="L16"),
        complain=complaints.append,
    )  # fmt: skip
    made.open()
    made.serve(JOIN)
    yield made
    made.close()


def fetch(url, query=ANSWERED, *, key=TOKEN, method="GET", signed_url=None, body=b""):
    target = f"{url}?{query}" if method == "GET" else url
    request = HttpRequest(method, signed_url or target, (), body)
    headers = dict(plivo.sign(request, key, now=time.time(), nonce="12345").headers)
    asked = urllib.request.Request(target, headers=headers, method=method, data=body or None)
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {}


def test_the_document_is_given_once(listener):
    status, document, headers = fetch(listener.answer_url)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/xml", "no-store")
    assert document.decode() == plivo.answer_xml(JOIN, StreamOptions(codec="L16"))
    assert listener.fetched()
    assert fetch(listener.answer_url)[:2] == (410, b"")


def test_nothing_is_given_before_there_is_a_join_url(complaints):
    made = listen(
        base_url=None, host="127.0.0.1", port=0, auth_token=TOKEN, stream=StreamOptions(), complain=complaints.append
    )
    made.open()
    assert fetch(made.answer_url)[:2] == (410, b"")
    made.close()


def test_a_wrong_signature_gets_nothing_and_is_told(listener, complaints):
    assert fetch(listener.answer_url, key="wrong" * 8)[:2] == (403, b"")
    assert not listener.fetched()
    assert "turned away" in complaints[0]
    assert "/answer" not in complaints[0]  # the path is a secret


def test_a_wrong_path_gets_nothing_without_a_word(listener, complaints):
    base = listener.answer_url.rsplit("/", 2)[0]
    assert fetch(f"{base}/guess/answer")[0] == 404
    assert fetch(f"{base}/")[0] == 404
    assert complaints == []


def test_behind_a_proxy_the_public_url_is_the_signed_one(complaints):
    made = listen(
        base_url="https://calls.example.com/plivo/", host="127.0.0.1", port=0, auth_token=TOKEN,
        stream=StreamOptions(), complain=complaints.append,
    )  # fmt: skip
    made.open()
    made.serve(JOIN)
    assert made.answer_url.startswith("https://calls.example.com/plivo/")
    port = made._held.getsockname()[1]
    path = made.answer_url.removeprefix("https://calls.example.com/plivo")
    status, document, _ = fetch(f"http://127.0.0.1:{port}{path}", signed_url=f"{made.answer_url}?{ANSWERED}")
    assert (status, b"<Stream" in document) == (200, True)
    made.close()


def test_the_verdict_on_who_answered(listener):
    body = (CALL + "in-progress&Event=MachineDetection&Machine=true").encode()
    assert listener.machine() is None
    asked = HttpRequest("POST", listener.machine_url, (("Content-Type", "application/x-www-form-urlencoded"),), body)
    signed = plivo.sign(asked, TOKEN, now=time.time(), nonce="1")
    request = urllib.request.Request(listener.machine_url, data=body, headers=dict(signed.headers), method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
    assert listener.machine() is True
    assert not listener.fetched()


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_rubbish_does_not_disturb(listener, raw, capfd):
    with socket.create_connection(("127.0.0.1", listener._held.getsockname()[1]), timeout=5) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    assert fetch(listener.answer_url)[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_said():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(LocalError, match="cannot be listened on") as caught,
    ):
        listen(
            base_url=None, host="127.0.0.1", port=taken.getsockname()[1], auth_token=TOKEN,
            stream=StreamOptions(), complain=print,
        )  # fmt: skip
    assert "--answer-port" in caught.value.hint
