"""How soon the carrier hears of a call: `python tests/bench/first_byte.py [--uvcall FILE]`.

`uvcall dial` and a ten-line script that uses httpx and the same SDK as its documentation shows take turns. Both talk to
the same loopback peers: an Ultravox that takes 200 ms to answer, and a carrier that notes when the first byte of a request
arrives. The time from the start of the process to that byte is printed, less the 200 ms.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

from installed import environment, find

ULTRAVOX_S = 0.2
PATIENCE_S = 20.0
TO, FROM = "+12025550100", "+12025550199"

SCRIPTS = {
    "telnyx": """
import os, httpx
from telnyx import Telnyx
call = httpx.post(os.environ["ULTRAVOX"] + "/api/calls", headers={"X-API-Key": os.environ["ULTRAVOX_API_KEY"]},
    json={"systemPrompt": "Be brief.", "medium": {"telnyx": {}}}, timeout=30).json()
client = Telnyx(api_key=os.environ["TELNYX_API_KEY"], base_url=os.environ["CARRIER"] + "/v2")
client.calls.dial(connection_id="1000000000000000001", to=os.environ["TO"], from_=os.environ["FROM"],
    stream_url=call["joinUrl"], stream_track="both_tracks", stream_bidirectional_mode="rtp")
""",
    "twilio": """
import os, httpx
from twilio.rest import Client
call = httpx.post(os.environ["ULTRAVOX"] + "/api/calls", headers={"X-API-Key": os.environ["ULTRAVOX_API_KEY"]},
    json={"systemPrompt": "Be brief.", "medium": {"twilio": {}}}, timeout=30).json()
client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
client.api.base_url = os.environ["CARRIER"]
twiml = f'<Response><Connect><Stream url="{call["joinUrl"]}"/></Connect></Response>'
client.calls.create(to=os.environ["TO"], from_=os.environ["FROM"], twiml=twiml)
""",
    "plivo": """
import os, httpx, plivo
call = httpx.post(os.environ["ULTRAVOX"] + "/api/calls", headers={"X-API-Key": os.environ["ULTRAVOX_API_KEY"]},
    json={"systemPrompt": "Be brief.", "medium": {"plivo": {}}}, timeout=30).json()
plivo.rest.client.API_VOICE_BASE_URI = os.environ["CARRIER"] + "/v1/Account"
client = plivo.RestClient(os.environ["PLIVO_AUTH_ID"], os.environ["PLIVO_AUTH_TOKEN"])
client.calls.create(from_=os.environ["FROM"], to_=os.environ["TO"], answer_url="http://127.0.0.1/answer")
""",
}
TARGETS = {"telnyx": 0.3, "twilio": 0.8, "plivo": 0.8}


class Ultravox(BaseHTTPRequestHandler):
    """Creates a call in 200 ms, and knows nothing else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a Create Call."""
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        time.sleep(ULTRAVOX_S)
        host, port = self.server.server_address[:2]
        call = {
            "callId": "3ac6983f-09d8-4cea-9552-a9c933e6c2bf",
            "created": "2026-01-01T00:00:00Z",
            "joinUrl": f"ws://{host}:{port}/calls/x",
        }
        body = json.dumps(call).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Carrier:
    """Listens, and notes when the first byte of a connection arrives. It never answers."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.heard: Queue[tuple[float, bytes]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with connection:
            first = connection.recv(4096)
            if first:
                self.heard.put((time.perf_counter(), first))
            while first:
                first = connection.recv(4096)


def first_byte(command: list[str], env: Mapping[str, str], carrier: Carrier, home: Path) -> float:
    """Return the milliseconds from the start of the process to the carrier's first byte, less Ultravox's."""
    while not carrier.heard.empty():
        carrier.heard.get()
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        at, first = carrier.heard.get(timeout=PATIENCE_S)
    except Empty:
        process.kill()
        said = process.communicate()[0].decode(errors="replace")
        sys.exit(f"{' '.join(command[:4])} … never reached the carrier:\n{said}")
    process.kill()
    process.communicate()
    if not first.startswith(b"POST "):
        sys.exit(f"{' '.join(command[:4])} … asked the carrier something else first: {first[:80]!r}")
    return (at - begin - ULTRAVOX_S) * 1000


def main() -> int:
    """Measure, print a table, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvcall", metavar="FILE", help="console script to measure")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    installed = find(given.uvcall)
    ultravox = ThreadingHTTPServer(("127.0.0.1", 0), Ultravox)
    threading.Thread(target=ultravox.serve_forever, daemon=True).start()
    carrier = Carrier()
    where = f"http://127.0.0.1:{ultravox.server_port}"
    peers = {
        "ULTRAVOX": where, "UVCALL_ULTRAVOX_BASE_URL": where, "ULTRAVOX_API_KEY": "notakey0." + "0" * 32,
        "CARRIER": carrier.url, "UVCALL_TELNYX_BASE_URL": carrier.url + "/v2", "UVCALL_TWILIO_BASE_URL": carrier.url,
        "UVCALL_PLIVO_BASE_URL": carrier.url, "TO": TO, "FROM": FROM,
        "TELNYX_API_KEY": "KEY0000_bench", "UVCALL_TELNYX_CONNECTION_ID": "1000000000000000001",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "0" * 32,
        "PLIVO_AUTH_ID": "MA" + "0" * 18, "PLIVO_AUTH_TOKEN": "0" * 40,
    }  # fmt: skip
    missed = 0
    print(f"{'carrier':<10}{'script ms':>10}{'uvcall ms':>10}{'ratio':>8}{'target':>8}")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        env = {**environment(home), **peers}
        # The runs are killed in mid-dial, and a number with an open attempt is not dialed again: one for each.
        numbers = (f"+1202555{number:04}" for number in range(100, 10_000))
        for provider, script in SCRIPTS.items():
            (home / f"{provider}_call.py").write_text(script, encoding="utf-8")
            commands = {
                "script": [installed.python, f"{provider}_call.py"],
                "uvcall": [
                    installed.uvcall,
                    "dial",
                    "",
                    "--provider",
                    provider,
                    "--from",
                    FROM,
                    "--prompt",
                    "Be brief.",
                ],
            }
            taken: dict[str, list[float]] = {name: [] for name in commands}
            for number in range(given.rounds + 1):
                commands["uvcall"][2] = next(numbers)
                for name, command in commands.items():
                    took = first_byte(command, env, carrier, home)
                    if number:  # the first one wrote bytecode and filled the disk's cache
                        taken[name].append(took)
            theirs, ours = (statistics.median(taken[name]) for name in ("script", "uvcall"))
            verdict = "" if ours / theirs <= TARGETS[provider] else "  missed"
            missed += bool(verdict)
            print(f"{provider:<10}{theirs:>10.0f}{ours:>10.0f}{ours / theirs:>8.2f}{TARGETS[provider]:>8.1f}{verdict}")
    ultravox.shutdown()
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
