"""The devices that the command line names: `mic`, `speaker`, a file, `-`, or nothing at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from uvcall.cli.context import Context
from uvcall.cli.talk_flags import TalkFlags
from uvcall.errors import LocalError, UsageError
from uvcall.softphone.devices import Nowhere, PipeSink, PipeSource, Silence, Sink, Source, WavSink, WavSource
from uvcall.softphone.manner import Manner

if TYPE_CHECKING:
    from uvcall.softphone.soundcard import Listed


def source(context: Context, flags: TalkFlags, manner: Manner) -> Source:
    """Return where the person's voice comes from: by default the microphone, if nothing else speaks or listens.

    Raises:
        UsageError: A file that cannot be used; LocalError: stdin is closed.
    """
    given = flags.input_
    if given is None:
        given = "silence" if flags.text else "mic"
    kind, _, name = given.partition(":")
    if kind == "mic":
        from uvcall.softphone.soundcard import Microphone

        return Microphone(name or None, manner.rate)
    if given == "silence":
        return Silence()
    if given == "-":
        return PipeSource(binary(context.stdin, "--input -: stdin is closed", "pipe raw PCM into it"), manner.rate)
    from uvcall.cli.talk_plan import read_sound

    return WavSource(read_sound(given), manner.rate)


def sink(context: Context, flags: TalkFlags, manner: Manner) -> Sink:
    """Return where the agent is heard: by default the speaker, if the microphone listens, else nowhere.

    Raises:
        UsageError: stdout is to hold both sound and JSON; LocalError: stdout is closed.
    """
    given = flags.output
    if given is None:
        speaks = flags.input_ is None or flags.input_.partition(":")[0] == "mic"
        given = "speaker" if speaks and not flags.text else "none"
    kind, _, name = given.partition(":")
    if kind == "speaker":
        from uvcall.softphone.soundcard import Speaker

        return Speaker(name or None, manner.output_rate)
    if given == "none":
        return Nowhere()
    if given == "-":
        if context.out.as_json:
            raise UsageError("--output - and --json both want stdout", hint="write the sound to a file")
        stream = binary(context.out.stdout, "--output -: stdout is closed", "pipe it into something that plays PCM")
        # The result is words, and stdout holds samples.
        context.out.stdout = context.out.stderr
        return PipeSink(stream)
    return WavSink(Path(given), manner.output_rate)


def binary(stream: Any, what: str, hint: str) -> IO[bytes]:
    """Return the bytes under a text stream.

    Raises:
        LocalError: There are none: it was closed before uvcall began.
    """
    try:
        raw: IO[bytes] = stream.buffer
        raw.fileno()
    except (AttributeError, OSError, ValueError) as error:
        raise LocalError(what, hint=hint) from error
    return raw


def listed(devices: Iterable[Listed]) -> Iterator[str]:
    """Yield one line for each device."""
    for device in devices:
        ways = [f"--input mic:{device.number}"] * bool(device.inputs)
        ways += [f"--output speaker:{device.number}"] * bool(device.outputs)
        yield f"{device.number:>3}  {device.name}{' (default)' if device.default else ''}  {', '.join(ways)}"


@contextlib.contextmanager
def closing(phone: Any) -> Iterator[None]:
    """Close the phone's devices in the end, also when it was never run."""
    try:
        yield
    finally:
        with contextlib.suppress(LocalError):  # said already, by the conversation that it ended
            phone.close()
