"""`uvcall calls`: which module holds which of its commands."""

from __future__ import annotations

from typing import Final

#: Command → the module that holds it, what to register there, and what the help says of it.
COMMANDS: Final = {
    "list": (
        "uvcall.cli.calls_list",
        "list_",
        "List attempts, newest first; with --json the audit trail, one array of records.",
    ),
    "show": (
        "uvcall.cli.calls_show",
        "show",
        "Show an attempt: its record, and every step as it was written down.",
    ),
    "watch": (
        "uvcall.cli.calls_watch",
        "watch",
        "Watch a call live until it is over; the exit code is its outcome's.",
    ),
    "say": ("uvcall.cli.calls_say", "say", "Have the agent of a live call say something, or hear it."),
    "hangup": ("uvcall.cli.calls_hangup", "hangup", "End a call, both its sides."),
    "transcript": ("uvcall.cli.calls_transcript", "transcript", "Print or save what was said."),
    "recording": ("uvcall.cli.calls_recording", "recording", "Save a call's recording."),
    "events": ("uvcall.cli.calls_events", "events", "List what Ultravox noted of a call."),
}
