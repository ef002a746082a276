"""A sandbox for a test, the vendors' own SDKs pointed at it, a web server that gets its callbacks, and the schemas."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from uvcall.sandbox import credentials
from uvcall.sandbox.app import Running, start
from uvcall.sandbox.world import Options

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs"


@pytest.fixture
def run_sandbox() -> Iterator[Callable[..., Running]]:
    """Start sandboxes, twenty times faster than life unless told otherwise; all are closed afterwards."""
    running: list[Running] = []

    def begin(**options: Any) -> Running:
        one = start(Options(**{"speed": 20.0, "seed": 1, **options}))
        running.append(one)
        return one

    yield begin
    for one in running:
        one.close()


@pytest.fixture
def sdks(monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    """Return the vendors' SDKs: each method makes a client that talks to a running sandbox."""
    opened: list[Any] = []

    class Sdks:
        @staticmethod
        def telnyx(running: Running, **options: Any) -> Any:
            from telnyx import Telnyx

            env = running.ready["env"]
            given = {"api_key": env["TELNYX_API_KEY"], "max_retries": 0, **options}
            client = Telnyx(base_url=env["TELNYX_BASE_URL"], public_key=env["TELNYX_PUBLIC_KEY"], **given)
            opened.append(client)
            return client

        @staticmethod
        def twilio(running: Running, **options: Any) -> Any:
            from twilio.http.http_client import TwilioHttpClient
            from twilio.rest import Client

            env = running.ready["env"]
            http_client = TwilioHttpClient(timeout=10.0)
            opened.append(http_client.session)
            account = options.get("account", env["TWILIO_ACCOUNT_SID"])
            client = Client(account, options.get("token", env["TWILIO_AUTH_TOKEN"]), http_client=http_client)
            client.api.base_url = running.ready["twilio"]
            client.insights.base_url = running.ready["twilio"]
            return client

        @staticmethod
        def plivo(running: Running, **options: Any) -> Any:
            import plivo
            import plivo.rest.client as module

            env = running.ready["env"]
            base = f"{running.ready['plivo']}/v1/Account"
            for name in ("PLIVO_API_BASE_URI", "API_VOICE_BASE_URI"):
                monkeypatch.setattr(module, name, base)
            for name in ("API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"):
                monkeypatch.setattr(module, name, base)
            client = plivo.RestClient(
                options.get("account", env["PLIVO_AUTH_ID"]), options.get("token", env["PLIVO_AUTH_TOKEN"]), timeout=10
            )
            opened.extend((client.session, client.multipart_session))
            return client

    yield Sdks
    for one in opened:
        one.close()


@dataclass
class Mail:
    """A request that the user's web server got."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """Return the form's or the query's fields."""
        text = urlsplit(self.url).query if self.method == "GET" else self.body.decode()
        return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}

    @property
    def data(self) -> Any:
        """Return the JSON body."""
        return json.loads(self.body)


@dataclass
class Mailbox:
    """The user's web server: it keeps what it gets, and answers by path: (status, document)."""

    url: str = ""
    mails: list[Mail] = field(default_factory=list)
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def at(self, path: str) -> list[Mail]:
        """Return what came to a path."""
        return [mail for mail in self.mails if urlsplit(mail.url).path == path]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A web server on loopback for callbacks and answer documents. The last answer of a path is repeated."""
    box = Mailbox()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            box.mails.append(Mail(self.command, f"{box.url}{self.path}", dict(self.headers.items()), body))
            queue = box.answers.get(urlsplit(self.path).path, [(200, "")])
            status, document = queue.pop(0) if len(queue) > 1 else queue[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(document.encode())))
            self.end_headers()
            self.wfile.write(document.encode())

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield box
    server.shutdown()
    server.server_close()
    thread.join()


def until(what: Callable[[], Any], within_s: float = 8.0) -> Any:
    """Return the first true value of `what`; fail when it stays false."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"it did not happen within {within_s} s")


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    """Return `until`."""
    return until


@pytest.fixture
def ended() -> Callable[..., dict[str, Any]]:
    """Return a function that waits until a sandbox has seen a leg end, and gives that event."""

    def wait(running: Running, count: int = 1) -> dict[str, Any]:
        def last() -> dict[str, Any] | None:
            events = [e for e in running.history() if e["type"] == "call.ended" and e["peer"] != "ultravox"]
            return events[count - 1] if len(events) >= count else None

        found: dict[str, Any] = until(last)
        return found

    return wait


@pytest.fixture
def join_url() -> Callable[..., str]:
    """Return a function that creates an Ultravox call for a carrier and gives its join URL."""

    def create(running: Running, carrier: str, **settings: Any) -> str:
        import httpx

        answer = httpx.post(
            f"{running.ready['ultravox']}/api/calls",
            headers={"X-API-Key": credentials.ULTRAVOX_API_KEY},
            json={"systemPrompt": "You are a test.", "medium": {carrier: {}}, **settings},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["joinUrl"])

    return create


def _nullable(node: Any) -> Any:
    """Turn OpenAPI 3.0's `nullable` into JSON Schema."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    new = {key: _nullable(value) for key, value in node.items()}
    if new.pop("nullable", False) is True and "type" in new:
        new["type"] = [new["type"], "null"]
        if "enum" in new:
            new["enum"] = [*new["enum"], None]
    return new


def _document(vendor: str) -> Any:
    file = SPECS / f"{vendor}.calls.openapi.json"
    if not file.exists():
        pytest.skip(f"the OpenAPI document of {vendor} is not at ../shared/specs")
    if vendor not in _DOCUMENTS:
        _DOCUMENTS[vendor] = _nullable(json.loads(file.read_text()))
    return _DOCUMENTS[vendor]


_DOCUMENTS: dict[str, Any] = {}


def _check(body: Any, vendor: str, schema: Any) -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator({"components": _document(vendor)["components"], **schema})
    problems = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(body)]
    assert not problems, problems


@pytest.fixture(scope="session")
def conforms() -> Callable[..., None]:
    """Return a function that checks a JSON answer against a vendor's OpenAPI document."""

    def check(body: Any, vendor: str, path: str, method: str, status: str) -> None:
        document = _document(vendor)
        response = document["paths"][path][method]["responses"][status]
        while "$ref" in response:
            _, kind, name = response["$ref"].rsplit("/", 2)
            response = document["components"][kind][name]
        _check(body, vendor, response["content"]["application/json"]["schema"])

    return check


@pytest.fixture(scope="session")
def conforms_to_schema() -> Callable[..., None]:
    """Return a function that checks a JSON value against a named schema of a vendor's OpenAPI document."""

    def check(body: Any, vendor: str, name: str) -> None:
        _check(body, vendor, {"$ref": f"#/components/schemas/{name}"})

    return check
