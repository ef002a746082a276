"""Who watches a conversation: plain lines, or one live line with both levels and what is being said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Protocol, Self

from uvcall.calls.ports import Moment, Progress
from uvcall.cli.output import Output
from uvcall.cli.screen import PlainScreen, console, note
from uvcall.core.model import Line
from uvcall.core.printable import clean
from uvcall.softphone import session as s
from uvcall.softphone.manner import Joined, Levels, News
from uvcall.softphone.transcript import Utterance

_BARS: Final = " ▁▂▃▄▅▆▇█"
_BARS_ASCII: Final = " .:-=+*#%"
#: The loudest of 16-bit samples is 32,768; speech that comes near the half of it is loud.
_LOUD: Final = 12_000
_LONGEST_SHOWN: Final = 400


class TalkScreen(Protocol):
    """Something that watches a conversation, for as long as it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def progress(self, progress: Progress) -> None:
        """Show what the use case tells."""

    def news(self, news: News) -> None:
        """Show what the softphone tells, in its thread."""


def talk_screen(out: Output, *, typing: bool, keys: str) -> TalkScreen:
    """Return the screen that suits the output. `typing`: a line that moves would be typed into."""
    return LiveTalk(out, keys) if out.live() and not typing else PlainTalk(out)


def bar(loudness: int, *, ascii_only: bool = False) -> str:
    """Return the loudness as one character."""
    steps = _BARS_ASCII if ascii_only else _BARS
    # Ears hear ratios, not differences: soft speech shows, too.
    return steps[min(len(steps) - 1, int(len(steps) * (loudness / _LOUD) ** 0.5))]


class PlainTalk:
    """One line per event on stderr: each utterance when it is complete."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._plain = PlainScreen(out)
        self._unsaid: dict[int, Utterance] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ordinal in sorted(self._unsaid):
            self._line(self._unsaid[ordinal])
        self._unsaid.clear()

    def progress(self, progress: Progress) -> None:
        """Print the line."""
        self._plain(progress)

    def news(self, news: News) -> None:
        """Print what is worth a line."""
        if isinstance(news, s.Spoken):
            self._unsaid[news.utterance.ordinal] = news.utterance
            if news.utterance.final:
                self._line(self._unsaid.pop(news.utterance.ordinal))
        elif isinstance(news, Joined):
            self._out.say("connected")
        elif isinstance(news, s.Started):
            self._out.say(f"talking: {news.call_id}")
        elif isinstance(news, s.AgentState):
            self._out.detail(f"agent: {news.state}")
        elif isinstance(news, s.Note):
            (self._out.detail if news.detail else self._out.say)(news.text)

    def _line(self, utterance: Utterance) -> None:
        if utterance.text.strip():
            self._plain(Progress(Moment.LINE, utterance.text, Line(utterance.role, utterance.text)))


class LiveTalk:
    """One line that lives: state, time, both levels, what is being said; what was said scrolls above it."""

    def __init__(self, out: Output, keys: str) -> None:
        from rich.live import Live

        self._console = console(out)
        self._out = out
        self._keys = keys
        self._ascii = not (self._console.encoding or "").lower().startswith("utf")
        self._state = "starting"
        self._since = time.monotonic()
        self._levels = Levels(0, 0, open=True)
        self._round_trip = ""
        self._speaking: dict[int, Utterance] = {}
        self._live = Live(get_renderable=self._line, console=self._console, refresh_per_second=10, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for ordinal in sorted(self._speaking):
            self._say(self._speaking[ordinal])
        self._speaking.clear()

    def progress(self, progress: Progress) -> None:
        """Move the line."""
        if progress.moment is Moment.NOTE:
            note(self._console, progress.text)
        else:
            self._state = progress.moment.value.replace("_", " ")

    def news(self, news: News) -> None:
        """Move the line, or let the transcript grow."""
        _SHOW[type(news)](self, news)

    def spoken(self, news: s.Spoken) -> None:
        """Show what is being said; print what was."""
        said = news.utterance
        self._speaking[said.ordinal] = said
        if said.final:
            self._say(self._speaking.pop(said.ordinal))

    def note(self, news: s.Note) -> None:
        """Print a note."""
        if not news.detail or self._out.verbose:
            note(self._console, news.text)

    def joined(self, _: Joined) -> None:
        """Begin to count."""
        self._state, self._since = "connected", time.monotonic()

    def state(self, news: s.AgentState) -> None:
        """Show what the agent does."""
        self._state = clean(news.state)

    def started(self, news: s.Started) -> None:
        """Tell the call's id: it is what others can watch it by."""
        self._console.print(f"call {clean(news.call_id)}", style="dim")

    def round_trip(self, news: s.RoundTrip) -> None:
        """Show how far away the agent is."""
        self._round_trip = f"{news.seconds * 1000:.0f} ms"

    def levels(self, news: Levels) -> None:
        """Show how loud it is."""
        self._levels = news

    def _say(self, utterance: Utterance) -> None:
        from rich.text import Text

        if utterance.text.strip():
            style = "cyan" if utterance.role == "agent" else "green"
            self._console.print(Text.assemble((f"{utterance.role:>6} ", style), clean(utterance.text)))

    def _line(self) -> Any:
        from rich.text import Text

        levels = self._levels
        you = bar(levels.person, ascii_only=self._ascii) if levels.open else "muted"
        text = Text.assemble(
            (f"{self._state:<9}", "bold"),
            (f" {time.monotonic() - self._since:4.0f} s ", "dim"),
            f" you [{you}]  agent [{bar(levels.agent, ascii_only=self._ascii)}] ",
            (f" {self._round_trip} " if self._round_trip else "", "dim"),
            (f" {self._keys}", "dim"),
        )
        for ordinal in sorted(self._speaking)[-2:]:
            said = self._speaking[ordinal]
            text.append(f"\n{said.role:>6} ", "cyan" if said.role == "agent" else "green")
            text.append(clean(said.text[-_LONGEST_SHOWN:]), "italic")
        return text


_SHOW: Final[Mapping[type, Callable[[LiveTalk, Any], None]]] = {
    s.Spoken: LiveTalk.spoken,
    s.Note: LiveTalk.note,
    s.AgentState: LiveTalk.state,
    s.Started: LiveTalk.started,
    s.RoundTrip: LiveTalk.round_trip,
    Joined: LiveTalk.joined,
    Levels: LiveTalk.levels,
}
