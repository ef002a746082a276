"""The keyboard while a conversation lasts: keys on a terminal, lines for those who type."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterator
from typing import IO, Any, Final

from uvcall.softphone.phone import Softphone

#: What the keys do, in one line.
HELP: Final = "m mutes, q hangs up"
HELP_PUSH: Final = "hold the space bar to speak, q hangs up"

#: A terminal tells of a key that is held by repeating it, first after half a second or more, then fast.
_FIRST_REPEAT_S: Final = 0.75
_REPEAT_S: Final = 0.2
_LOOK_S: Final = 0.05
_LONGEST_LINE: Final = 4000


class Keys:
    """What each key does. Times are seconds of a clock that never jumps.

    Args:
        phone: What is moved.
        push_to_talk: The microphone is open only while the space bar is held.
    """

    def __init__(self, phone: Softphone, *, push_to_talk: bool) -> None:
        self._phone = phone
        self._push = push_to_talk
        self._shut_at: float | None = None
        self._repeats = False

    def press(self, key: str, now: float) -> None:
        """Do what the key means."""
        if key in {"q", "Q"}:
            self._phone.hang_up()
        elif key == " " and self._push:
            self._repeats = self._shut_at is not None
            self._shut_at = now + (_REPEAT_S if self._repeats else _FIRST_REPEAT_S)
            self._phone.open_microphone(wanted=True)
        elif key in {"m", "M"} and not self._push:
            self._phone.open_microphone(wanted=not self._phone.microphone_open)

    def look(self, now: float) -> None:
        """Notice that the space bar was let go."""
        if self._shut_at is not None and now >= self._shut_at:
            self._shut_at = None
            self._phone.open_microphone(wanted=False)


@contextlib.contextmanager
def keys(stream: Any, phone: Softphone, *, push_to_talk: bool) -> Iterator[None]:
    """Read keys from a terminal as long as this lasts; its manner is given back in the end."""
    import termios
    import tty

    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)
    table, stop = Keys(phone, push_to_talk=push_to_talk), threading.Event()

    def read() -> None:
        while not stop.is_set():
            if select.select([descriptor], [], [], _LOOK_S)[0]:
                typed = _typed(descriptor)
                if not typed:
                    return  # the terminal is gone
                for key in typed.decode("utf-8", "ignore"):
                    table.press(key, time.monotonic())
            table.look(time.monotonic())

    thread = threading.Thread(target=read, daemon=True, name="uvcall-keys")
    try:
        tty.setcbreak(descriptor)  # Ctrl-C still is a signal
        thread.start()
        yield
    finally:
        stop.set()
        if thread.is_alive():
            thread.join(1.0)
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _typed(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 64)
    except OSError:
        return b""


def type_lines(stream: IO[bytes], phone: Softphone, *, hang_up: bool) -> None:
    """Say each line of the stream in writing, in a thread of its own. `hang_up`: its end is the call's."""

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):  # a stream that breaks has ended
            while line := stream.readline(_LONGEST_LINE):
                text = line.decode("utf-8", "replace").strip()
                if text:
                    phone.say(text)
        if hang_up:
            phone.hang_up()
        else:
            phone.end_input()

    threading.Thread(target=read, daemon=True, name="uvcall-typing").start()
