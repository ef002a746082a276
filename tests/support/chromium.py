"""A headless Chromium with a fake microphone, driven through its own protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.rooms import needs_room

#: Seconds that anything may take on a machine with other things to do.
PATIENCE_S = 45.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--autoplay-policy=user-gesture-required", "--remote-debugging-port=0",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def needs_chromium() -> str:
    """Return the browser, or skip the test where there is none, or no room for it to come to."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    needs_room()
    return found


#: Keeps every peer connection of the page, to be asked what it has received.
KEEP_PEERS = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers.push(this); }
};
window.heard = async () => {
  let energy = 0;
  for (const peer of window.peers)
    for (const one of (await peer.getStats()).values())
      if (one.type === "inbound-rtp" && one.kind === "audio") energy += one.totalAudioEnergy ?? 0;
  return energy;
};
"""


@dataclass
class Tab:
    """One page, and all that its console said."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    said: list[str] = field(default_factory=list)
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a command and return its result."""
        number = next(self.numbers)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        wish = {"id": number, "method": method, "params": params}
        await self.socket.send_json(wish | ({"sessionId": self.session} if self.session else {}))
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def run(self, script: str) -> Any:
        """Run a script as if a person had clicked."""
        done = await self.ask(
            "Runtime.evaluate", expression=script, userGesture=True, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until the script's value is true."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (value := await self.run(script)):  # noqa: ASYNC110  # a poll, as from outside
                    await asyncio.sleep(0.1)
                return value
        except BaseException as error:
            shown = await self.run("document.body.innerText")
            error.add_note(f"never true: {script}\nthe page: {shown}\nits console: {self.said}")
            raise

    async def listen(self) -> None:
        """Take in what the browser says."""
        async for message in self.socket:
            it = message.json()
            if "id" in it:
                answer = self.answers.pop(it["id"])
                if not answer.done():
                    if "error" in it:
                        answer.set_exception(RuntimeError(str(it["error"])))
                    else:
                        answer.set_result(it["result"])
            elif it["method"] == "Log.entryAdded":
                self.said.append(f"{it['params']['entry']['level']}: {it['params']['entry']['text']}")
            elif it["method"] == "Runtime.consoleAPICalled":
                words = [str(each.get("value", each.get("description"))) for each in it["params"]["args"]]
                self.said.append(f"{it['params']['type']}: {' '.join(words)}")


@contextlib.asynccontextmanager
async def tab(program: str, home: Path, url: str, microphone: Path | None) -> AsyncIterator[Tab]:
    """Open the URL in a browser of its own, which ends with this.

    Its microphone hears the WAV file; None: the person does not allow it.
    """
    sound = ("--deny-permission-prompts",)
    if microphone is not None:
        sound = ("--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}")
    profile = home / "chromium"
    profile.mkdir()
    with (home / "chromium.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220  # it starts at once, and ends by its group
            [
                program, *FLAGS, f"--user-data-dir={profile}",
                *sound, "about:blank",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)},
        )  # fmt: skip
    try:
        place = profile / "DevToolsActivePort"
        async with asyncio.timeout(PATIENCE_S):
            while not (place.exists() and len(lines := place.read_text().splitlines()) == 2):
                assert process.poll() is None, (home / "chromium.log").read_text()[-2000:]
                await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as http:
            address = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            async with http.ws_connect(address, max_msg_size=1 << 26) as socket:
                one = Tab(socket)
                listening = asyncio.create_task(one.listen())
                target = (await one.ask("Target.createTarget", url="about:blank"))["targetId"]
                one.session = (await one.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
                await one.ask("Log.enable")
                await one.ask("Runtime.enable")
                await one.ask("Page.enable")
                await one.ask("Page.addScriptToEvaluateOnNewDocument", source=KEEP_PEERS)
                await one.ask("Page.navigate", url=url)
                try:
                    yield one
                finally:
                    listening.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
