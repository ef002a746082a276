"""How many media calls the sandbox holds in real time, both ends of each played.

    python tests/bench/media.py                    100, 150, 200, … calls, until a frame in a hundred is 10 ms late
    python tests/bench/media.py 200 400            these numbers of calls
    python tests/bench/media.py --profile 200      and where the time goes (cProfile, which itself takes time)

The sandbox runs as a user would run it. The calls are placed by the carriers' REST APIs: most by Telnyx, in three
codecs, a few by Twilio, which starts one a second. Nothing of it is shortened: a carrier sends every
20 ms frame of the person over a WebSocket, the agent hears it, and speaks nearly all the time. The first process shown is
the agent's (and the API's), the second one the carriers'; uvloop is used where it is installed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).parents[2]
LIMIT_MS = 10
MEASURE_S = 15.0
#: Lines of some ten seconds each: the agent is silent for half a second between them.
LINE = "This is a rather long line of the agent, and it goes on and on so that there is always something to play. " * 2
SCRIPT = "\n".join([LINE] * 60)
TWILIO = 8


@dataclass
class Sandbox:
    """The sandbox in a process of its own, and a connection to it."""

    ready: dict[str, Any]
    pid: int
    line: http.client.HTTPConnection

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        form = isinstance(body, dict) and headers.pop("form", None)
        data = None if body is None else (urlencode(body) if form else json.dumps(body)).encode()
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        self.line.request(method, path, data, {"Content-Type": kind, **headers})
        answer = self.line.getresponse()
        raw = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {raw[:300]!r}")
        return json.loads(raw)

    def media(self, *, restart: bool = False) -> Any:
        return self.ask("POST" if restart else "GET", "/_sandbox/media")

    def join_url(self, medium: str) -> str:
        body = {
            "systemPrompt": "x",
            "medium": {medium: {}},
            "firstSpeakerSettings": {"user": {}},
            "maxDuration": "3600s",
        }
        return str(
            self.ask("POST", "/api/calls", body, **{"X-API-Key": self.ready["env"]["ULTRAVOX_API_KEY"]})["joinUrl"]
        )

    def place(self, number: int) -> None:
        env, to = self.ready["env"], f"+1202555{number + 1000:04d}"
        if number < TWILIO:
            xml = f'<Response><Connect><Stream url="{self.join_url("twilio")}"/></Connect></Response>'
            account = env["TWILIO_ACCOUNT_SID"]
            self.ask("POST", f"/2010-04-01/Accounts/{account}/Calls.json", {"To": to, "From": env["UVCALL_TWILIO_FROM"], "Twiml": xml},
                     form="1", Authorization=basic(account, env["TWILIO_AUTH_TOKEN"]))  # fmt: skip
            return
        codec, rate = (("L16", 16000), ("PCMU", 8000), ("PCMA", 8000))[number % 3]
        order = {
            "connection_id": env["UVCALL_TELNYX_CONNECTION_ID"],
            "to": to,
            "from": env["UVCALL_TELNYX_FROM"],
            "stream_url": self.join_url("telnyx"),
            "stream_track": "inbound_track",
            "stream_codec": codec,
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": codec,
            "stream_bidirectional_sampling_rate": rate,
        }
        self.ask("POST", "/v2/calls", order, Authorization=f"Bearer {env['TELNYX_API_KEY']}")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def sandbox(*, profile: str = "") -> Iterator[Sandbox]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script, tempfile.TemporaryDirectory() as state:
        script.write(SCRIPT)
        script.flush()
        watch = ["-m", "cProfile", "-o", profile] if profile else []
        command = [sys.executable, *watch, "-m", "uvcall", "sandbox", "serve", "--agent-script", script.name]
        env = {
            **os.environ,
            "UVCALL_STATE_DIR": state,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, cwd=ROOT, text=True)
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            parts = urlsplit(ready["ultravox"])
            line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
            yield Sandbox(ready, process.pid, line)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def seconds_of(pid: int) -> dict[int, tuple[float, float]]:
    """Return the processor time so far of a process and its children: in all, and in the kernel."""
    times = {}
    for one in [pid, *children(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        user, kernel = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13])
        times[one] = (user + kernel, kernel)
    return times


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def measure(count: int, *, profile: str = "") -> dict[str, Any]:
    with sandbox(profile=profile) as one:
        start = time.monotonic()
        for number in range(count):
            one.place(number)
            time.sleep(0.004)
        placed = time.monotonic() - start
        time.sleep(max(3.0, TWILIO + 2 - placed))
        before, began = seconds_of(one.pid), time.monotonic()
        one.media(restart=True)
        time.sleep(MEASURE_S)
        found = one.media()
        lasted, after = time.monotonic() - began, seconds_of(one.pid)
        none = (0.0, 0.0)
        shares = [
            [(now - then) / lasted for now, then in zip(after[pid], before.get(pid, none), strict=True)]
            for pid in after
        ]
        cores = [f"{whole:.2f} (kernel {kernel:.2f})" for whole, kernel in shares]
        found["calls"] = round(found["sent"]["frames"] / lasted / 50, 1)
        return {"cores": cores, **found}


def show(count: int, found: dict[str, Any]) -> None:
    sent, heard = found["sent"], found["heard"]
    print(
        f"{count:4} calls ({found['calls']:6.1f} by frames): sent late p99 {sent['p99_ms']:4} ms, worst {sent['worst_ms']:4};"
        f" heard late p99 {heard['p99_ms']:4} ms, worst {heard['worst_ms']:4}; starved {found['starved']:4};"
        f" cores {' + '.join(map(str, found['cores']))}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("calls", type=int, nargs="*")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    held, limit = 0, ""
    for count in given.calls or range(100, 1000, 50):
        file = str(Path(tempfile.gettempdir()) / f"media-{count}.prof") if given.profile else ""
        found = measure(count, profile=file)
        show(count, found)
        if file:
            import pstats

            pstats.Stats(file).sort_stats("tottime").print_stats(40)
        late = max(found["sent"]["p99_ms"], found["heard"]["p99_ms"])
        if late <= LIMIT_MS and found["calls"] > 0.98 * count:
            held = count
        else:
            limit = f"; at {count} a frame in a hundred is {late} ms late, the processes take {' and '.join(found['cores'])} of a core"
            if not given.calls:
                break
    print(f"held with a frame in a hundred at most {LIMIT_MS} ms late: {held} calls{limit}")


if __name__ == "__main__":
    main()
