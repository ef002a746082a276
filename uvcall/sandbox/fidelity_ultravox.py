"""What is known to differ between the sandbox's Ultravox and the real one."""

from __future__ import annotations

from typing import Final

from uvcall.sandbox.difference import SILENT, Difference

ULTRAVOX: Final = (
    Difference("ultravox", "the agent", "says the lines of a script, whatever the prompt", "a language model"),
    Difference(
        "ultravox",
        "understanding",
        "the transcript has what the callee is known to say; other audio, and a caller who rings from another process, "
        "is heard but not understood",
        "speech recognition",
    ),
    Difference(
        "ultravox", "languages, voices, tools, knowledge", "accepted, without effect on what is said", "in effect"
    ),
    Difference("ultravox", "bodies of errors", "as Django REST framework words them", "not documented but for a few"),
    Difference("ultravox", "unknown fields of a Create Call", "ignored, and noted in the history", SILENT),
    Difference(
        "ultravox", "the path of a join URL", "/calls/{id}/ and then telephony, server_web_socket or web_rtc", "opaque"
    ),
    Difference(
        "ultravox",
        "dialing by itself (`outgoing`)",
        "a carrier's refusal is a 400 of the Create Call; `additionalParams` by their REST names",
        SILENT,
    ),
    Difference("ultravox", "a recording", "always a redirect to the file, under another name of this machine", SILENT),
    Difference(
        "ultravox",
        "the agent's patience after its own line",
        "half a second on the phone, three seconds elsewhere; then it goes on with its script",
        "waits; inactivityMessages",
    ),
    Difference(
        "ultravox",
        "when the agent calls a client tool",
        "once each, without arguments, between greeting and farewell; or where the script has a line `!name {…}`",
        "when the model wants to",
    ),
    Difference(
        "ultravox",
        "stages",
        "always one; the response type `new-stage` of a tool has no effect",
        "a tool may begin another",
    ),
    Difference(
        "ultravox",
        "WebSocket: too little audio",
        "noted after a second at the beginning, later after 0.1 s, once each time",
        "noted as warnings; after how long is not documented",
    ),
    Difference(
        "ultravox",
        "WebSocket: too much audio",
        "noted when it is 0.5 s ahead of time; what is more than 2 s ahead is dropped",
        "noted as warnings, and dropped when excessive; the limits are not documented",
    ),
    Difference("ultravox", "WebSocket: an odd number of bytes", "the half sample waits for its other byte", SILENT),
    Difference("ultravox", "WebSocket: size of the agent's pieces", "20 ms each", SILENT),
    Difference(
        "ultravox",
        "WebSocket: a message that is not understood",
        "noted as a warning `data_message` and passed over",
        SILENT,
    ),
    Difference("ultravox", "WebSocket: the largest message", "1 MiB, then close code 1009", SILENT),
    Difference("ultravox", "WebSocket: a client that does not read", "is given up after 10 s", SILENT),
    Difference("ultravox", "WebSocket: close codes at the end", "1000", SILENT),
    Difference(
        "ultravox",
        "a join URL that is unknown, taken, over, or served elsewhere",
        "404, 409, 410, 404 instead of the handshake",
        SILENT,
    ),
    Difference("ultravox", "states", "listening, thinking and speaking; never idle", "idle too"),
    Difference("ultravox", "transcripts of the user", "whole at the end of a turn", SILENT),
    Difference(
        "ultravox",
        "data messages callEvent, toolUsed, userStartedSpeaking, userStoppedSpeaking, invokingTool; threads",
        "never sent",
        "there when asked for; their names on the wire are not documented",
    ),
    Difference("ultravox", "data connections", "accepted, and no connection is made", "there"),
    Difference(
        "ultravox", "agents, voices, models, tools", "a few fixed ones", "the account's own; they can be created"
    ),
    Difference(
        "ultravox", "scheduled batches, corpora, webhooks' management, SIP, exotel", "404, or not joined", "there"
    ),
    Difference("ultravox", "rate limits and concurrency", "none but faults", "by plan"),
)
