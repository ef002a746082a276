"""What the sandbox's Ultravox account has: agents, voices, models and tools, all visibly made up.

https://docs.ultravox.ai/api-reference/agents/agents-list · https://docs.ultravox.ai/tools/built-in-tools
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_CREATED: Final = "2026-01-01T00:00:00Z"
ACCOUNT_ID: Final = "00000000-0000-4000-8000-00000000acc0"

#: `ultravox-v0.7` is what a call gets that names none. `fixie-ai/ultravox` is an older name for it, not listed.
#: https://docs.ultravox.ai/changelog/news
MODELS: Final = ("ultravox-v0.7", "ultravox-v0.6", "ultravox-v0.6-llama3.3-70b", "ultravox-v0.6-gemma3-27b")
MODEL_ALIASES: Final = ("fixie-ai/ultravox",)


def _voice(number: int, name: str, language: str, provider: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "voiceId": f"00000000-0000-4000-8000-0000000001{number:02x}",
        "name": name,
        "description": "A voice of the sandbox: it sounds like every other one here.",
        "primaryLanguage": language,
        "languageLabel": {"en-US": "English (United States)", "de-DE": "German"}[language],
        "previewUrl": f"https://sandbox.invalid/voices/{name.lower()}.wav",
        "ownership": "public",
        "billingStyle": "VOICE_BILLING_STYLE_INCLUDED",
        "provider": provider,
        "definition": dict(definition),
    }


VOICES: Final = (
    _voice(1, "Mark", "en-US", "inworld", {"inworld": {"voiceId": "sandbox-mark"}}),
    _voice(2, "Jessica", "en-US", "eleven_labs", {"elevenLabs": {"voiceId": "sandbox-jessica"}}),
    _voice(3, "Susi-German", "de-DE", "cartesia", {"cartesia": {"voiceId": "sandbox-susi"}}),
)


def _agent(number: int, name: str, template: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "agentId": f"00000000-0000-4000-8000-0000000000a{number}",
        "publishedRevisionId": f"00000000-0000-4000-8000-0000000000e{number}",
        "name": name,
        "created": _CREATED,
        "callTemplate": {"name": name, "created": _CREATED, "updated": _CREATED, **template},
        "statistics": {"calls": 0},
    }


AGENTS: Final = (
    _agent(
        1,
        "Sandbox-Assistant",
        {
            "systemPrompt": "You are a friendly assistant on the phone. Keep it short.",
            "temperature": 0.0,
            "model": MODELS[0],
            "voice": "Mark",
            "languageHint": "en-US",
            "joinTimeout": "30s",
            "maxDuration": "3600s",
            "medium": {"webRtc": {}},
            "recordingEnabled": False,
            "initialOutputMedium": "MESSAGE_MEDIUM_VOICE",
            "firstSpeakerSettings": {"agent": {}},
            "selectedTools": [{"toolName": "hangUp"}],
        },
    ),
    _agent(
        2,
        "Sandbox-Reminder",
        {
            "systemPrompt": "Remind {{name}} of the appointment on {{day}}.",
            "temperature": 0.2,
            "model": MODELS[0],
            "voice": "Jessica",
            "joinTimeout": "60s",
            "maxDuration": "300s",
            "medium": {"webRtc": {}},
            "recordingEnabled": True,
            "initialOutputMedium": "MESSAGE_MEDIUM_VOICE",
            "firstSpeakerSettings": {"user": {"fallback": {"delay": "2s", "text": "Hello, this is a reminder."}}},
            "selectedTools": [{"toolName": "hangUp"}],
            "contextSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "day": {"type": "string"}},
                "required": ["name"],
            },
        },
    ),
)


def _tool(number: int, name: str, description: str, parameters: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "toolId": f"00000000-0000-4000-8000-0000000002{number:02x}",
        "name": name,
        "created": _CREATED,
        "definition": {
            "modelToolName": name,
            "description": description,
            "dynamicParameters": [
                {
                    "name": parameter,
                    "location": "PARAMETER_LOCATION_BODY",
                    "schema": {"type": "string"},
                    "required": True,
                }
                for parameter in parameters
            ],
            "http": {"baseUrlPattern": f"https://sandbox.invalid/tools/{name}", "httpMethod": "POST"},
        },
        "ownership": "public",
    }


TOOLS: Final = (
    _tool(1, "hangUp", "Ends the call."),
    _tool(2, "leaveVoicemail", "Leaves a message and ends the call.", ("message",)),
    _tool(3, "queryCorpus", "Looks something up in a corpus.", ("query",)),
    _tool(4, "playDtmfSounds", "Plays the tones of keys.", ("digits",)),
    _tool(5, "coldTransfer", "Hands the call to a human.", ("target",)),
)


def find(items: tuple[dict[str, Any], ...], id_field: str, wanted: str) -> dict[str, Any] | None:
    """Return the item with that id, or with that name in any case."""
    for item in items:
        if wanted == item[id_field] or wanted.lower() == item["name"].lower():
            return item
    return None
