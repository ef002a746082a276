"""The page of `talk --web`, without a browser: who gets what of it, over a real socket."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from uvcall.core.secret import JoinUrl
from uvcall.server import talk_page

URL = "wss://voice.ultravox.ai/calls/secret"
FILES = Path(talk_page.__file__).with_name("page")


@pytest.fixture
def page():
    with contextlib.closing(talk_page.listen()) as page:
        page.offer(JoinUrl(URL))
        yield page


def ask(page, name="", method="GET", *, path=None, **headers):
    """Ask the page and return status, headers and body."""
    parts = urlsplit(page.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, parts.path + name if path is None else path, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def take(page, **headers):
    return ask(page, "join", "POST", **{"Origin": f"http://{urlsplit(page.url).netloc}", **headers})


def test_the_page_and_all_that_it_names(page):
    status, headers, body = ask(page)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for name in re.findall(r'(?:href|src)="([^":]+)"', body.decode()):
        assert ask(page, name)[0] == 200, name
    for name in re.findall(r'from "\./([^"]+)"', ask(page, "page.js")[2].decode()):
        assert ask(page, name)[1]["Content-Type"].startswith("text/javascript"), name


def test_every_reply_says_what_the_page_may_do(page):
    for name in ("", "page.js", "join", "nothing"):
        _, headers, _ = ask(page, name)
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert policy["connect-src"] == "'self' wss: https:"
        assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "microphone=(self)" in headers["Permissions-Policy"]
        assert headers["Server"] == "uvcall"


def test_the_join_url_is_given_once(page):
    assert not page.taken()
    status, headers, body = take(page)
    assert (status, headers["Content-Type"], json.loads(body)) == (200, "application/json", {"joinUrl": URL})
    assert page.taken()
    status, _, body = take(page)
    assert status == 410
    assert body.count(b"\n") == 1
    assert URL.encode() not in body


def test_nothing_but_that_reply_has_it(page):
    for name in talk_page._KINDS:
        status, headers, body = ask(page, name)
        assert status == 200
        assert b"calls/secret" not in body
        assert "secret" not in str(headers)


def test_a_page_that_is_shut_gives_it_to_nobody(page):
    page.shut()
    assert take(page)[0] == 410
    assert not page.taken()


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1"])
def test_another_host_is_another_page(page, host):
    assert ask(page, Host=host)[0] == 421
    assert take(page, Host=host)[0] == 421
    assert not page.taken()


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_another_page_does_not_get_it(page, headers):
    assert take(page, **headers)[0] == 403
    assert ask(page, "join", "POST")[0] == 403
    assert not page.taken()


def test_a_wrong_path_is_nothing(page):
    path = urlsplit(page.url).path
    for wrong in (
        "/",
        "/join",
        "/favicon.ico",
        path[:-2] + "/",
        path.upper() + "join",
        f"{path}../join",
        f"{path}%6aoin",
    ):
        assert ask(page, path=wrong)[0] == 404, wrong
        assert ask(page, path=wrong, method="POST")[0] == 404, wrong


def test_a_wrong_method_is_refused(page):
    assert ask(page, "join")[0] == 405
    assert ask(page, "", "POST")[0] == 405
    assert not page.taken()


def test_two_hosts_or_none(page):
    parts = urlsplit(page.url)
    for hosts in ("", f"Host: {parts.netloc}\r\nHost: evil.example\r\n"):
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as peer:
            peer.sendall(f"GET {parts.path} HTTP/1.0\r\n{hosts}\r\n".encode())
            assert peer.makefile("rb").readline().split()[1] in {b"400", b"421"}


def test_nothing_is_logged(page, capfd, caplog):
    take(page)
    parts = urlsplit(page.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as peer:
        peer.sendall(f"GET {parts.path} nonsense\r\n\r\n".encode())
        assert b" 400 " in peer.makefile("rb").readline()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_with_the_sandbox_only_this_machine_is_reached():
    with contextlib.closing(talk_page.listen()) as page:
        page.offer(JoinUrl("ws://127.0.0.1:1/calls/x"))
        policy = ask(page)[1]["Content-Security-Policy"]
    assert "wss:" not in policy
    assert "ws://127.0.0.1:*" in policy


def test_a_page_that_is_closed_lets_its_port_go():
    page = talk_page.listen()
    page.offer(JoinUrl(URL))
    parts = urlsplit(page.url)
    page.close()
    page.close()
    with pytest.raises(OSError):
        socket.create_connection((parts.hostname, parts.port), timeout=30)


def test_paths_are_not_guessed():
    pages = [talk_page.listen() for _ in range(3)]
    try:
        tokens = {urlsplit(page.url).path.strip("/") for page in pages}
    finally:
        for page in pages:
            page.close()
    assert len(tokens) == 3
    assert all(len(token) >= 32 for token in tokens)


def test_the_bundle_is_the_one_that_its_note_describes():
    note = (FILES / "ultravox-client.md").read_text(encoding="utf-8")
    (digest,) = re.findall(r"SHA-256: `([0-9a-f]{64})`", note)
    assert hashlib.sha256((FILES / "ultravox-client.js").read_bytes()).hexdigest() == digest
    licences = (FILES / "licences.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^\| (\S+) \| (\d\S+) \|", note, re.MULTILINE):
        assert f"\n{name} {version} (" in licences, name
