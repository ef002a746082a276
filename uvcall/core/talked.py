"""What is known of a conversation in the terminal when it is over: said by the softphone, heard by the use case."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from uvcall.core.model import Line
from uvcall.errors import UvcallError


class Parting(StrEnum):
    """How the conversation ended, as its own side saw it."""

    USER = "user"  #: the person here hung up
    AGENT = "agent"  #: the agent's side closed in order
    BROKEN = "broken"  #: the connection was lost
    SILENT = "silent"  #: it stood, and not one word ever came from the agent's side
    UNSEEN = "unseen"  #: held elsewhere, and whoever could tell does not answer: it may go on


class Talked(NamedTuple):
    """A conversation that is over."""

    parting: Parting
    lines: tuple[Line, ...] = ()
    call_id: str | None = None  #: as the agent's side gave it
    joined_at: datetime | None = None  #: None: the agent's side was never reached, as far as is known
    ended_at: datetime | None = None
    words: str = ""  #: how the connection ended, in one line
    error: UvcallError | None = None  #: what cut it short, if anything did
