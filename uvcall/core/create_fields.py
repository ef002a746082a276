"""What a Create Call body may hold, field by field, and a strict check against it.

Ultravox passes over fields that it does not know in silence, so a misspelt one would change the call unnoticed.
https://docs.ultravox.ai/api-reference/calls/calls-post
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from uvcall.errors import UsageError

#: Seconds as Ultravox takes them; the vendor's own pattern without its minus sign.
DURATION_TEXT: Final = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?s")
DEEPEST: Final = 64

_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Fields(NamedTuple):
    """An object with these fields and no others; `one_of`: exactly one of them must be there."""

    known: Mapping[str, Any]
    one_of: Sequence[str] = ()


class ListOf(NamedTuple):
    """A list with items of one shape."""

    item: Any


class MapOf(NamedTuple):
    """An object with free names and values of one shape."""

    value: Any


class OneOf(NamedTuple):
    """One of these words."""

    words: tuple[str, ...]


TEXT, NUMBER, INT, BOOL, DURATION, ANY_OBJECT = "text", "number", "whole number", "true or false", "duration", "object"

_REFERENCE: Final = "https://docs.ultravox.ai/api-reference/calls/calls-post"
_BRACES: Final = 'an object stands in braces: {"name": …}'

_OUTPUT_MEDIUM: Final = OneOf(("MESSAGE_MEDIUM_VOICE", "MESSAGE_MEDIUM_TEXT"))
_DATA_MESSAGES: Final = Fields(
    dict.fromkeys(
        (
            "pong", "state", "transcript", "clientToolInvocation", "dataConnectionToolInvocation",
            "playbackClearBuffer", "callStarted", "debug", "callEvent", "toolUsed", "userStartedSpeaking",
            "userStoppedSpeaking", "invokingTool",
        ),
        BOOL,
    )
)  # fmt: skip
_DTMF: Final = Fields(
    {
        "ignore": BOOL,
        "userTextMessage": Fields(
            {"text": TEXT, "urgency": OneOf(("URGENCY_IMMEDIATE", "URGENCY_SOON", "URGENCY_LATER"))}
        ),
    }
)
_CARRIER: Final = Fields(
    {"outgoing": Fields({"to": TEXT, "from": TEXT, "additionalParams": ANY_OBJECT}), "dtmfHandling": _DTMF}
)
MEDIA: Final = Fields(
    {
        "webRtc": Fields({"dataMessages": _DATA_MESSAGES}),
        "serverWebSocket": Fields(
            {
                "inputSampleRate": INT,
                "outputSampleRate": INT,
                "clientBufferSizeMs": INT,
                "dataMessages": _DATA_MESSAGES,
                "mediaIdleTimeout": DURATION,
            }
        ),
        "twilio": _CARRIER,
        "telnyx": _CARRIER,
        "plivo": _CARRIER,
        "exotel": Fields({"dtmfHandling": _DTMF}),
        "sip": Fields(
            {
                "incoming": Fields({}),
                "outgoing": Fields({"to": TEXT, "from": TEXT, "username": TEXT, "password": TEXT}),
            },
            one_of=("incoming", "outgoing"),
        ),
    },
    one_of=("webRtc", "serverWebSocket", "twilio", "telnyx", "plivo", "exotel", "sip"),
)
TOOL: Final = Fields(
    {
        "toolId": TEXT,
        "toolName": TEXT,
        "temporaryTool": ANY_OBJECT,
        "nameOverride": TEXT,
        "descriptionOverride": TEXT,
        "authTokens": MapOf(TEXT),
        "parameterOverrides": ANY_OBJECT,
        "transitionId": TEXT,
    },
    one_of=("toolId", "toolName", "temporaryTool"),
)
_SPAN: Final = Fields({"start": DURATION, "end": DURATION})
_MESSAGE: Final = Fields(
    {
        "role": OneOf(
            ("MESSAGE_ROLE_USER", "MESSAGE_ROLE_AGENT", "MESSAGE_ROLE_TOOL_CALL", "MESSAGE_ROLE_TOOL_RESULT")
        ),
        "text": TEXT,
        "invocationId": TEXT,
        "toolName": TEXT,
        "errorDetails": TEXT,
        "medium": _OUTPUT_MEDIUM,
        "callStageMessageIndex": INT,
        "callStageId": TEXT,
        "callState": ANY_OBJECT,
        "timespan": _SPAN,
        "wallClockTimespan": _SPAN,
        "metadata": ANY_OBJECT,
    }
)
_VOICE: Final = Fields(
    names := dict.fromkeys(
        ("elevenLabs", "cartesia", "lmnt", "google", "inworld", "respeecher", "generic"), ANY_OBJECT
    ),
    one_of=tuple(names),
)
_CALLBACK: Final = Fields({"url": TEXT, "secrets": ListOf(TEXT)})
FIRST_SPEAKER: Final = Fields(
    {
        "user": Fields({"fallback": Fields({"delay": DURATION, "text": TEXT, "prompt": TEXT})}),
        "agent": Fields({"uninterruptible": BOOL, "text": TEXT, "prompt": TEXT, "delay": DURATION}),
    },
    one_of=("user", "agent"),
)

_BOTH: Final[Mapping[str, Any]] = {
    "initialMessages": ListOf(_MESSAGE),
    "metadata": MapOf(TEXT),
    "medium": MEDIA,
    "joinTimeout": DURATION,
    "maxDuration": DURATION,
    "recordingEnabled": BOOL,
    "initialOutputMedium": _OUTPUT_MEDIUM,
    "firstSpeakerSettings": FIRST_SPEAKER,
    "experimentalSettings": ANY_OBJECT,
    "dataConnection": Fields(
        {
            "websocketUrl": TEXT,
            "audioConfig": Fields(
                {"sampleRate": INT, "channelMode": OneOf(("CHANNEL_MODE_MIXED", "CHANNEL_MODE_SEPARATED"))}
            ),
            "dataMessages": _DATA_MESSAGES,
            "headers": MapOf(TEXT),
        }
    ),
    "callbacks": Fields({"joined": _CALLBACK, "ended": _CALLBACK, "billed": _CALLBACK}),
    "voice": TEXT,
    "voiceOverrides": _VOICE,
    "retentionPolicy": OneOf(("CALL_RETENTION_POLICY_RETAIN", "CALL_RETENTION_POLICY_AUTO_DELETE")),
    "sharedSecrets": ListOf(TEXT),
}

#: `POST /api/calls`
CALL: Final = Fields(
    {
        **_BOTH,
        "systemPrompt": TEXT,
        "temperature": NUMBER,
        "model": TEXT,
        "externalVoice": _VOICE,
        "languageHint": TEXT,
        "timeExceededMessage": TEXT,
        "inactivityMessages": ListOf(
            Fields(
                {
                    "duration": DURATION,
                    "message": TEXT,
                    "endBehavior": OneOf(
                        (
                            "END_BEHAVIOR_UNSPECIFIED",
                            "END_BEHAVIOR_HANG_UP_SOFT",
                            "END_BEHAVIOR_HANG_UP_STRICT",
                        )
                    ),
                }
            )
        ),
        "selectedTools": ListOf(TOOL),
        "firstSpeaker": OneOf(("FIRST_SPEAKER_AGENT", "FIRST_SPEAKER_USER")),
        "transcriptOptional": BOOL,
        "vadSettings": Fields(
            {
                "turnEndpointDelay": DURATION,
                "minimumTurnDuration": DURATION,
                "minimumInterruptionDuration": DURATION,
                "frameActivationThreshold": NUMBER,
            }
        ),
        "initialState": ANY_OBJECT,
    }
)

#: `POST /api/agents/{agent_id}/calls`: https://docs.ultravox.ai/api-reference/agents/agents-calls-post
AGENT_CALL: Final = Fields(
    {
        **_BOTH,
        "agentId": TEXT,
        "templateContext": ANY_OBJECT,
        "toolOverrides": Fields({"remove": ListOf(TEXT), "removeAll": BOOL, "add": ListOf(TOOL)}),
    }
)

#: What Python makes of a JSON value of this kind, and how such a value is written.
_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    TEXT: ((str,), 'a text stands in double quotes: "7"'),
    NUMBER: ((int, float), "a number stands without quotes: 0.7"),
    INT: ((int,), "a whole number has no quotes and no point: 16000"),
    BOOL: ((bool,), "write true or false, without quotes"),
    ANY_OBJECT: ((Mapping,), _BRACES),
}


def check_fields(value: object, shape: Any, path: str) -> None:
    """Check a value against a shape.

    Raises:
        UsageError: A field is unknown, of the wrong kind, or excluded by another; the message begins with its path.
    """
    match shape:
        case Fields():
            _check_object(value, shape, path)
        case ListOf():
            if not isinstance(value, (list, tuple)):
                raise UsageError(f"{path} must be a list", hint="a list stands in brackets, even with one item: [ … ]")
            for index, item in enumerate(value):
                check_fields(item, shape.item, f"{path}[{index}]")
        case MapOf():
            if not isinstance(value, Mapping):
                raise UsageError(f"{path} must be an object", hint=_BRACES)
            for name, item in value.items():
                check_fields(item, shape.value, f"{path}.{_short(name)}")
        case OneOf():
            if value not in shape.words:
                hint = did_you_mean(str(value).upper(), shape.words) or "write the whole word, in double quotes"
                raise UsageError(f"{path} must be one of {', '.join(shape.words)}", hint=hint)
        case _:
            _check_scalar(value, shape, path)


def check_depth(value: object, path: str) -> None:
    """Refuse what is nested deeper than any call needs.

    Raises:
        UsageError: There are more than 64 levels.
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for each in level
            for child in (
                each.values() if isinstance(each, Mapping) else each if isinstance(each, (list, tuple)) else ()
            )
        ]
        if not level:
            return
    raise UsageError(f"{path} is nested deeper than {DEEPEST} levels", hint="is it the right file?")


def check_tool_name(name: str, path: str) -> None:
    """Refuse a tool name that the model could not be told.

    Raises:
        UsageError: It is not up to 64 ASCII letters, digits, dashes and underscores.
    """
    if not _TOOL_NAME.fullmatch(name):
        raise UsageError(
            f"{path}: a tool's name is up to 64 ASCII letters, digits, dashes and underscores",
            hint="give the name that the tool has at Ultravox, or its id",
        )


def _check_object(value: object, shape: Fields, path: str) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"{path} must be an object", hint=_BRACES)
    for name, item in value.items():
        if name not in shape.known:
            hint = did_you_mean(name, shape.known) or f"its fields are listed at {_REFERENCE}"
            raise UsageError(f"{path} has no field {_short(name)}", hint=hint)
        check_fields(item, shape.known[name], f"{path}.{name}")
    present = [name for name in shape.one_of if name in value]
    if shape.one_of and len(present) != 1:
        got = " and ".join(present) or "none"
        raise UsageError(
            f"{path} must have exactly one of {', '.join(shape.one_of)}; it has {got}",
            hint=f"keep {present[0]} or another, not both" if present else f"add one: {shape.one_of[0]}, for example",
        )


def _check_scalar(value: object, shape: str, path: str) -> None:
    if shape == DURATION:
        if not isinstance(value, str) or not DURATION_TEXT.fullmatch(value):
            raise UsageError(
                f'{path} must be seconds in Ultravox\'s form: "600s" or "0.384s"',
                hint='seconds in double quotes and no other unit: ten minutes are "600s"',
            )
        return
    types, hint = _KINDS[shape]
    if not isinstance(value, types) or (isinstance(value, bool) and shape != BOOL):
        raise UsageError(f"{path} must be {'an' if shape == ANY_OBJECT else 'a'} {shape}", hint=hint)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint that names the nearest known name, or an empty text."""
    from difflib import get_close_matches

    close = get_close_matches(str(name)[:80], list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""


def _short(name: object) -> str:
    return ascii(str(name)[:60])
