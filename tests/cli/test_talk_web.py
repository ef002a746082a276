"""`uvcall talk --web`: a browser holds the conversation with the sandbox's room; nobody comes; what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import wave

import pytest
from conftest import clean_environment
from support.chromium import needs_chromium, tab
from support.rooms import needs_room
from support.stage import goertzel, loudest, tone
from support.terminal import on_a_terminal

from uvcall.core.audio import write_wav

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("webrtc")]

RATE, TONE_HZ, SILENCE_S = 48_000, 440, 120
LINE = "Oh, go home, old crow, do go slow."
#: The agent is still speaking when the test has done what it is about, however busy the machine is.
TALKATIVE = (LINE * 60, "Bye.")
OFFLINE = ("talk", "--web", "--sandbox", "--json")
JOIN = "document.getElementById('join').click()"
TALKS = "['listening', 'thinking', 'speaking'].includes(document.body.dataset.state)"
LINK = re.compile(r"open (http://127\.0\.0\.1:\d+/\S+/) in a browser")
READY = "document.body?.dataset.state == 'ready'"


def speaks(home, *lines):
    """Return the options that make the agent say this, and hang up."""
    (home / "script.txt").write_text("\n".join(lines))
    return ("--agent-script", "script.txt")


def link(talk):
    """Wait for the link and return it."""
    said = []
    while (found := LINK.search(said[-1] if said else "")) is None:
        said.append(talk.stderr.readline())
        assert said[-1], said
    return found[1]


@pytest.fixture
def microphone(home):
    """Make the file that the browser's microphone hears: so much of a tone, and then silence."""

    def microphone(seconds):
        path = home / "microphone.wav"
        path.write_bytes(write_wav(tone(TONE_HZ, seconds, RATE) + bytes(2 * RATE * SILENCE_S), RATE))
        return path

    return microphone


def test_a_browser_talks_until_the_agent_hangs_up(start_uvcall, home, microphone):
    chromium = needs_chromium()
    answers = ("--first-speaker", "user", *speaks(home, LINE))
    talk = start_uvcall(*OFFLINE, *answers, "--record", "--save", "kept")
    url = link(talk)

    async def visit():
        async with tab(chromium, home, url, microphone(2.0)) as page:
            await page.until(READY)
            await page.run(JOIN)
            await page.until("document.body.dataset.state == 'over'")
            who = "[...document.querySelectorAll('#transcript li')].map((line) => line.dataset.who)"
            assert {"Agent", "You"} == set(await page.run(who)), page.said
            assert not [line for line in page.said if "Content Security Policy" in line], page.said

    asyncio.run(visit())
    out, errors = talk.communicate(timeout=60)
    record = json.loads(out)
    assert (talk.returncode, record["outcome"], record["end_reason"]) == (0, "completed", "agent_hangup"), errors
    assert {line["role"] for line in record["transcript"]} == {"agent", "user"}
    assert "ws://" not in errors
    with wave.open(str(home / record["recording"])) as file:
        rate, stereo = file.getframerate(), file.readframes(file.getnframes())
    sides = [memoryview(stereo).cast("h")[side::2].tobytes() for side in (0, 1)]
    assert max(goertzel(loudest(side, rate), rate, TONE_HZ) for side in sides) > 0.5


def test_a_browser_hears_mutes_and_hangs_up(start_uvcall, home, microphone):
    chromium = needs_chromium()
    talk = start_uvcall(*OFFLINE, *speaks(home, *TALKATIVE))
    url = link(talk)

    async def visit():
        async with tab(chromium, home, url, microphone(0)) as page:
            await page.until(READY)
            await page.run(JOIN)
            await page.until(TALKS)
            await page.until("heard().then((energy) => energy > 0)")
            pressed = "(mute => { mute.click(); return mute.getAttribute('aria-pressed') })"
            assert [await page.run(f"{pressed}(document.getElementById('mute'))") for _ in "12"] == ["true", "false"]
            # Whoever opens the page now is told that the call is taken.
            again = "fetch('join', {method: 'POST'}).then(async (answer) => [answer.status, await answer.text()])"
            status, words = await page.run(again)
            assert (status, words.count("\n"), "taken already" in words) == (410, 1, True)
            await page.run("document.getElementById('leave').click()")
            await page.until("document.body.dataset.state == 'over'")

    asyncio.run(visit())
    out, errors = talk.communicate(timeout=60)
    record = json.loads(out)
    assert (talk.returncode, record["outcome"], record["end_reason"]) == (0, "completed", "hangup"), errors


def test_a_microphone_that_is_refused_does_not_use_the_call_up(start_uvcall, home):
    chromium = needs_chromium()
    talk = start_uvcall(*OFFLINE)
    url = link(talk)

    async def visit():
        async with tab(chromium, home, url, None) as page:
            await page.until(READY)
            await page.run(JOIN)
            await page.until("document.body.innerText.includes('There is no microphone to be had')")
            assert await page.run(f"{READY} && !document.getElementById('join').hidden")

    asyncio.run(visit())
    talk.send_signal(signal.SIGINT)
    out, errors = talk.communicate(timeout=60)
    assert (talk.returncode, json.loads(out)["placed"]) == (130, "no"), errors


def test_nobody_takes_the_call(run_uvcall):
    needs_room()
    ran = run_uvcall(*OFFLINE, "--call", '{"joinTimeout": "1s"}', timeout=100)
    assert (ran.code, ran.json["outcome"], ran.json["placed"]) == (75, "temporary", "no"), ran.stderr
    assert ran.json["error"]["message"] == "nobody took the call from the page within 1 s"


def test_a_signal_before_anybody_came(start_uvcall):
    needs_room()
    talk = start_uvcall(*OFFLINE)
    link(talk)
    talk.send_signal(signal.SIGINT)
    out, errors = talk.communicate(timeout=60)
    record = json.loads(out)
    assert (talk.returncode, record["outcome"], record["placed"]) == (130, "interrupted", "no"), errors


def test_on_a_terminal_the_screen_lives_and_ctrl_c_hangs_up(home, microphone):
    chromium = needs_chromium()
    argv = (*OFFLINE[:-1], *speaks(home, *TALKATIVE))
    with on_a_terminal(*argv, environment=clean_environment(home), home=home) as terminal:
        url = LINK.search(terminal.until(" in a browser"))[1]

        async def visit():
            async with tab(chromium, home, url, microphone(0)) as page:
                await page.until(READY)
                await page.run(JOIN)
                await page.until(TALKS)
                await asyncio.to_thread(terminal.until, "agent ")
                shown = await asyncio.to_thread(terminal.until, "talking")
                assert "in the browser" in shown
                terminal.press(b"\x03")
                await page.until("document.body.dataset.state == 'over'")

        asyncio.run(visit())
        assert terminal.end() == 130, terminal.shown
    last = terminal.shown.rpartition("hanging up")[2]
    assert "interrupted, via ultravox" in last
    assert ", hung up" in last


def test_on_a_narrow_terminal_the_link_is_whole(home):
    needs_room()
    with on_a_terminal(*OFFLINE[:-1], environment=clean_environment(home), home=home, columns=40) as terminal:
        url = LINK.search(terminal.until("within 300 s"))[1]
        assert len(url) > 40
        terminal.press(b"\x03")
        assert terminal.end() == 130
    assert "before it began" in terminal.shown


def test_the_browser_is_opened_when_asked(start_uvcall, home):
    needs_room()
    opened = home / "opened"
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    talk = start_uvcall(*OFFLINE, "--open", env={"BROWSER": f"{browser} %s", "PATH": os.environ["PATH"]})
    url = link(talk)

    async def there():
        async with asyncio.timeout(60):
            while not opened.exists():  # noqa: ASYNC110  # another process makes it
                await asyncio.sleep(0.02)

    asyncio.run(there())
    assert opened.read_text().strip() == url


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--input", "silence"), "--input is about a conversation held here"),
        (("--half-duplex",), "--half-duplex is about a conversation held here"),
        (("--medium", "websocket"), "browsers join by WebRTC"),
    ],
)
def test_what_is_held_here_is_refused(run_uvcall, argv, words):
    ran = run_uvcall(*OFFLINE, *argv)
    assert (ran.code, ran.json["placed"]) == (2, "no")
    assert words in ran.json["error"]["message"]


def test_open_alone_is_refused(run_uvcall):
    ran = run_uvcall("talk", "--open", "--json")
    assert ran.code == 2
    assert "--web" in ran.json["error"]["message"]


def test_what_would_be_sent(run_uvcall):
    env = {"ULTRAVOX_API_KEY": "k" * 20}
    body = run_uvcall("talk", "--web", "--dry-run", "--prompt", "x", "--json", env=env).json["ultravox"]["body"]
    assert (body["medium"], body["joinTimeout"]) == ({"webRtc": {}}, "300s")
