"""The sandbox's options, from the flags of a command that starts one."""

from __future__ import annotations

from typing import Any

from uvcall.cli import files
from uvcall.errors import UsageError
from uvcall.sandbox.faults import parse_faults
from uvcall.sandbox.scenarios import SCENARIOS
from uvcall.sandbox.world import Options


def sandbox_options(flags: Any) -> Options:
    """Return the sandbox's options from a command's flags.

    Raises:
        UsageError: A scenario that does not exist, a speed out of range, or a file that cannot be used.
    """
    if flags.scenario is not None and flags.scenario not in SCENARIOS:
        from difflib import get_close_matches

        close = get_close_matches(flags.scenario, SCENARIOS, n=1)
        raise UsageError(
            f"--scenario: there is no scenario {flags.scenario[:40]!r}",
            hint=f"did you mean {close[0]}?" if close else f"one of: {', '.join(SCENARIOS)}",
        )
    if not 0.1 <= flags.speed <= 100:
        raise UsageError(f"--speed: {flags.speed:g} is out of range", hint="from 0.1 to 100; 1 is life")
    parse_faults(flags.faults)
    audio = files.read_bytes(flags.callee_audio, "--callee-audio") if flags.callee_audio is not None else None
    if audio is not None:
        from uvcall.core.audio import read_wav

        read_wav(audio)
    script: tuple[str, ...] | None = None
    if flags.agent_script is not None:
        text = files.read_text("@" + flags.agent_script, "--agent-script", stdin=None)
        script = tuple(line.strip() for line in text.splitlines() if line.strip())
        if not script:
            raise UsageError("--agent-script: the file has no lines", hint="one line for each time the agent speaks")
    return Options(
        port=getattr(flags, "port", 0),
        scenario=flags.scenario,
        speed=flags.speed,
        faults=flags.faults,
        seed=flags.seed,
        callee_audio=audio,
        agent_script=script,
    )
