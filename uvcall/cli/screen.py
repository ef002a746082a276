"""Who watches a call: one plain line per event, or one live line and the growing transcript on a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO, cast

from uvcall.calls.ports import Moment, Progress
from uvcall.cli.output import Canvas, Output
from uvcall.core.printable import clean

if TYPE_CHECKING:
    from rich.console import Console

_WORDS: Final = {
    Moment.CREATED: "agent ready",
    Moment.DIALING: "dialing",
    Moment.PLACED: "placed",
    Moment.RINGING: "ringing",
    Moment.ANSWERED: "answered",
    Moment.TALKING: "talking",
    Moment.WAITING: "waiting",
    Moment.SETTLING: "no answer from the carrier: looking whether the call was placed",
    Moment.HANGING_UP: "hanging up",
    Moment.OVER: "over",
}


class Screen(Protocol):
    """Something that watches a call, for as long as it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, progress: Progress) -> None:
        """Show one thing that happened."""


def screen(out: Output, title: str) -> Screen:
    """Return the screen that suits the output."""
    return LiveScreen(out, title) if out.live() else PlainScreen(out)


def console(out: Output) -> Console:
    """Return a console on stderr that takes nobody's words for its own markup."""
    from rich.console import Console

    # Rich keeps bold and dim under NO_COLOR unless the color system is off altogether.
    plain = bool(out.env.get("NO_COLOR"))
    canvas = cast("TextIO", Canvas(out))
    return Console(file=canvas, color_system=None if plain else "auto", highlight=False, emoji=False, markup=False)


def note(on: Console, text: str) -> None:
    """Print a note. A word that is longer than a line, as a link may be, stays in one piece: the terminal folds it."""
    from rich.text import Text

    words = clean(text)
    on.print(Text(words, style="yellow"), soft_wrap=any(len(word) > on.width for word in words.split()))


def _plain(progress: Progress) -> str:
    if progress.line is not None:
        return f"{progress.line.role}: {progress.line.text}"
    words = _WORDS.get(progress.moment, "")
    return f"{words}: {progress.text}" if words and progress.text else words or progress.text


class PlainScreen:
    """One line per event on stderr."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, progress: Progress) -> None:
        """Print the line."""
        self._out.say(_plain(progress))


class LiveScreen:
    """One line of state that counts the seconds; the transcript scrolls above it."""

    def __init__(self, out: Output, title: str) -> None:
        from rich.live import Live

        self._console = console(out)
        self._out = out
        self._title = title
        self._words = "starting"
        self._since = time.monotonic()
        self._live = Live(get_renderable=self._line, console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Move the line, or let the transcript grow."""
        from rich.text import Text

        if progress.line is not None:
            style = "cyan" if progress.line.role == "agent" else "green"
            text = Text.assemble((f"{progress.line.role:>6} ", style), clean(progress.line.text))
            self._console.print(text)
        elif progress.moment is Moment.NOTE:
            note(self._console, progress.text)
        else:
            self._words = clean(_plain(progress))
            self._since = time.monotonic()

    def _line(self) -> Any:
        from rich.spinner import Spinner
        from rich.text import Text

        text = Text.assemble(
            (self._title, "bold"), "  ", self._words, (f"  {time.monotonic() - self._since:.0f} s", "dim")
        )
        return Spinner("dots", text=text)
