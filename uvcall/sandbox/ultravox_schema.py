"""What a Create Call may hold: the table of its fields, read off the vendor's API reference.

https://docs.ultravox.ai/api-reference/calls/calls-post and
https://docs.ultravox.ai/api-reference/agents/agents-calls-post
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from uvcall.sandbox.fields import Anything, Flag, Free, Kind, ListOf, Number, Shape, Text

_DURATION: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?s")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def seconds(text: str) -> float:
    """Return a duration of the API (`3.5s`) in seconds."""
    return float(text.removesuffix("s"))


def _enum(prefix: str, *names: str) -> Text:
    return Text(choices=tuple(f"{prefix}_{name}" for name in ("UNSPECIFIED", *names)))


_DURATION_FIELD: Final = Text(whole=_DURATION)
_STRINGS: Final = ListOf(Text())
_MEDIUM: Final = _enum("MESSAGE_MEDIUM", "VOICE", "TEXT")
_REACTION: Final = _enum("AGENT_REACTION", "SPEAKS", "LISTENS", "SPEAKS_ONCE")
_LOCATION: Final = _enum("PARAMETER_LOCATION", "QUERY", "PATH", "HEADER", "BODY")
_SPAN: Final = Shape({"start": _DURATION_FIELD, "end": _DURATION_FIELD})
_MESSAGE: Final = Shape(
    {
        "role": _enum("MESSAGE_ROLE", "USER", "AGENT", "TOOL_CALL", "TOOL_RESULT"),
        "medium": _MEDIUM,
        "callStageMessageIndex": Number(whole=True),
        "callState": Free(),
        "metadata": Free(),
        "timespan": _SPAN,
        "wallClockTimespan": _SPAN,
        **{name: Text() for name in ("text", "invocationId", "toolName", "errorDetails", "callStageId")},
    }
)
_PARAMETER: Final = {"name": Text(), "location": _LOCATION}
_TOOL: Final = Shape(
    {
        "modelToolName": Text(whole=_TOOL_NAME),
        "description": Text(),
        "dynamicParameters": ListOf(Shape({**_PARAMETER, "schema": Free(), "required": Flag()})),
        "staticParameters": ListOf(Shape({**_PARAMETER, "value": Anything()})),
        "automaticParameters": ListOf(Shape({**_PARAMETER, "knownValue": Text(whole=re.compile(r"KNOWN_PARAM_\w+"))})),
        "requirements": Free(),
        "timeout": _DURATION_FIELD,
        "precomputable": Flag(),
        "http": Shape({"baseUrlPattern": Text(), "httpMethod": Text()}),
        "client": Free(),
        "dataConnection": Free(),
        "defaultReaction": _REACTION,
        "staticResponse": Shape({"responseText": Text()}),
    },
    one_of=("http", "client", "dataConnection"),
)
SELECTED_TOOL: Final = Shape(
    {
        "toolId": Text(),
        "toolName": Text(),
        "temporaryTool": _TOOL,
        "nameOverride": Text(whole=_TOOL_NAME),
        "descriptionOverride": Text(),
        "authTokens": Free(strings=True),
        "parameterOverrides": Free(),
        "transitionId": Text(),
    },
    one_of=("toolId", "toolName", "temporaryTool"),
)


def _numbers(*names: str) -> dict[str, Kind]:
    return {name: Number() for name in names}


_VOICE_ID: Final[Mapping[str, Kind]] = {"voiceId": Text(), "model": Text()}
EXTERNAL_VOICES: Final[Mapping[str, Kind]] = {
    "elevenLabs": Shape(
        {
            **_VOICE_ID,
            **_numbers("speed", "style", "similarityBoost", "stability"),
            "useSpeakerBoost": Flag(),
            "enableSsmlParsing": Flag(),
            "optimizeStreamingLatency": Number(whole=True),
            "maxSampleRate": Number(whole=True),
            "pronunciationDictionaries": ListOf(Shape({"dictionaryId": Text(), "versionId": Text()})),
        }
    ),
    "cartesia": Shape(
        {
            **_VOICE_ID,
            "speed": Number(),
            "emotion": Text(),
            "emotions": _STRINGS,
            "generationConfig": Shape(
                {
                    "volume": Number(0.5, 2.0),
                    "speed": Number(0.6, 2.0),
                    "emotion": Text(),
                    "pronunciationDictId": Text(),
                }
            ),
        }
    ),
    "lmnt": Shape({**_VOICE_ID, "speed": Number(), "conversational": Flag()}),
    "google": Shape({"voiceId": Text(), "speakingRate": Number()}),
    "inworld": Shape(
        {
            "voiceId": Text(),
            "modelId": Text(),
            **_numbers("speakingRate", "temperature"),
            "applyTextNormalization": Flag(),
        }
    ),
    "respeecher": Shape(
        {
            **_VOICE_ID,
            "seed": Number(whole=True),
            "topK": Number(whole=True),
            **_numbers("temperature", "topP", "minP", "presencePenalty", "repetitionPenalty", "frequencyPenalty"),
        }
    ),
    "generic": Shape(
        {
            "url": Text(),
            "headers": Free(strings=True),
            "body": Free(),
            "responseSampleRate": Number(whole=True),
            "responseWordsPerMinute": Number(whole=True),
            "responseMimeType": Text(),
            "jsonAudioFieldPath": Text(),
            "jsonByteEncoding": _enum("JSON_BYTE_ENCODING", "BASE64", "HEX"),
        },
        required=("url",),
    ),
}
_EXTERNAL_VOICE: Final = Shape(EXTERNAL_VOICES, one_of=tuple(EXTERNAL_VOICES))
_DATA_MESSAGES: Final = Shape(
    dict.fromkeys(
        (
            *("pong", "state", "transcript", "clientToolInvocation", "dataConnectionToolInvocation"),
            *("playbackClearBuffer", "callStarted", "debug", "callEvent", "toolUsed", "userStartedSpeaking"),
            *("userStoppedSpeaking", "invokingTool"),
        ),
        Flag(),
    )
)
_DTMF: Final = Shape(
    {
        "ignore": Flag(),
        "userTextMessage": Shape({"text": Text(), "urgency": _enum("URGENCY", "IMMEDIATE", "SOON", "LATER")}),
    },
    one_at_most=("ignore", "userTextMessage"),
)
_OUTGOING: Final = Shape({"to": Text(), "from": Text(), "additionalParams": Free()}, required=("to", "from"))
_CARRIER: Final = Shape({"outgoing": _OUTGOING, "dtmfHandling": _DTMF})
MEDIA: Final[Mapping[str, Kind]] = {
    "webRtc": Shape({"dataMessages": _DATA_MESSAGES}),
    "twilio": _CARRIER,
    "telnyx": _CARRIER,
    "plivo": _CARRIER,
    "exotel": Shape({"dtmfHandling": _DTMF}),
    "serverWebSocket": Shape(
        {
            "inputSampleRate": Number(8000, 48000, whole=True),
            "outputSampleRate": Number(8000, 48000, whole=True),
            "clientBufferSizeMs": Number(0, whole=True),
            "dataMessages": _DATA_MESSAGES,
            "mediaIdleTimeout": _DURATION_FIELD,
        },
        required=("inputSampleRate",),
    ),
    "sip": Shape(
        {"incoming": Free(), "outgoing": Shape({n: Text() for n in ("to", "from", "username", "password")})},
        one_of=("incoming", "outgoing"),
    ),
}
_SECRET: Final = Text(120, 16)
_CALLBACK: Final = Shape({"url": Text(), "secrets": _STRINGS}, required=("url",))
_OPENING: Final[Mapping[str, Kind]] = {"text": Text(), "prompt": Text(), "delay": _DURATION_FIELD}
_SHARED: Final[Mapping[str, Kind]] = {
    "voice": Text(),
    "voiceOverrides": _EXTERNAL_VOICE,
    "initialMessages": ListOf(_MESSAGE),
    "joinTimeout": _DURATION_FIELD,
    "maxDuration": _DURATION_FIELD,
    "medium": Shape(MEDIA, one_at_most=tuple(MEDIA)),
    "recordingEnabled": Flag(),
    "initialOutputMedium": _MEDIUM,
    "firstSpeakerSettings": Shape(
        {
            "user": Shape({"fallback": Shape(_OPENING, one_at_most=("text", "prompt"))}),
            "agent": Shape({**_OPENING, "uninterruptible": Flag()}, one_at_most=("text", "prompt")),
        },
        one_of=("user", "agent"),
    ),
    "experimentalSettings": Free(),
    "metadata": Free(strings=True),
    "dataConnection": Shape(
        {
            "websocketUrl": Text(),
            "audioConfig": Shape(
                {"sampleRate": Number(whole=True), "channelMode": _enum("CHANNEL_MODE", "MIXED", "SEPARATED")}
            ),
            "dataMessages": _DATA_MESSAGES,
            "headers": Free(strings=True),
        }
    ),
    "callbacks": Shape(dict.fromkeys(("joined", "ended", "billed"), _CALLBACK)),
    "retentionPolicy": _enum("CALL_RETENTION_POLICY", "RETAIN", "AUTO_DELETE"),
    "sharedSecrets": ListOf(_SECRET),
}
START_CALL: Final = Shape(
    {
        **_SHARED,
        "systemPrompt": Text(),
        "temperature": Number(0, 1),
        "model": Text(),
        "externalVoice": _EXTERNAL_VOICE,
        "languageHint": Text(16),
        "timeExceededMessage": Text(),
        "inactivityMessages": ListOf(
            Shape(
                {
                    "duration": _DURATION_FIELD,
                    "message": Text(),
                    "endBehavior": _enum("END_BEHAVIOR", "HANG_UP_SOFT", "HANG_UP_STRICT"),
                }
            )
        ),
        "selectedTools": ListOf(SELECTED_TOOL),
        "firstSpeaker": _enum("FIRST_SPEAKER", "AGENT", "USER"),
        "transcriptOptional": Flag(),
        "vadSettings": Shape(
            {
                "turnEndpointDelay": _DURATION_FIELD,
                "minimumTurnDuration": _DURATION_FIELD,
                "minimumInterruptionDuration": _DURATION_FIELD,
                "frameActivationThreshold": Number(0.1, 1),
            }
        ),
        "initialState": Free(),
    }
)
START_AGENT_CALL: Final = Shape(
    {
        **_SHARED,
        "templateContext": Free(),
        "toolOverrides": Shape(
            {"remove": _STRINGS, "removeAll": Flag(), "add": ListOf(SELECTED_TOOL)}, one_at_most=("remove", "removeAll")
        ),
        "agentId": Text(),
    }
)
