"""What is said: prompts with variables, and the words for those who gave none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from uvcall.core.create_fields import did_you_mean
from uvcall.errors import UsageError

#: Who speaks when nobody was asked for. It does not pretend to be a person.
DEFAULT_PROMPT: Final = (
    "You are a friendly AI voice assistant on a phone call. Say in your first sentence that you are an AI assistant. "
    "Speak in short, plain sentences. You know nothing about the person and have no task but to answer their "
    "questions honestly; say so when you do not know. When the person says goodbye or wants to end the call, say "
    "goodbye and end it."
)

#: For a silent callee, when no greeting was given.
DEFAULT_GREETING_PROMPT: Final = "Greet the person briefly, say who you are and why you call."

#: Added to the prompt with `leaveVoicemail`. https://docs.ultravox.ai/gettingstarted/faq
VOICEMAIL_PROMPT: Final = (
    "If you reach an answering machine or voicemail, use the leaveVoicemail tool with a short message that says who "
    "called and why."
)

#: What a caller hears when no agent can be had.
FALLBACK_SAY: Final = "Sorry, nobody can take your call right now. Please try again later."

#: A callee who falls silent is asked once and then told goodbye: else the call runs to its longest duration.
SILENCE: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("Are you still there?", "I cannot hear you, so I will hang up now. Goodbye."),
    "de": ("Sind Sie noch da?", "Ich kann Sie nicht hören und lege jetzt auf. Auf Wiederhören."),
    "es": ("¿Sigue ahí?", "No le oigo, así que voy a colgar. Adiós."),
    "fr": ("Vous êtes toujours là ?", "Je ne vous entends pas, je vais donc raccrocher. Au revoir."),
    "it": ("È ancora in linea?", "Non la sento, quindi chiudo la chiamata. Arrivederci."),
    "pt": ("Ainda está aí?", "Não consigo ouvir, por isso vou desligar. Até logo."),
}
SILENCE_AFTER_S: Final = (30.0, 15.0)

LONGEST_TEXT: Final = 200_000
_TAG: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}")
_BROKEN: Final = re.compile(r"[\x00\ud800-\udfff]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_VALUE: Final = 500


def fill(text: str, variables: Mapping[str, str], what: str) -> str:
    """Put the variables in place of `{{name}}`, once: what a value brings along is never looked at again.

    Raises:
        UsageError: A variable is missing, or something in double braces is not a name.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{what} holds {match[0][:40]!a}, which is not a variable",
                hint="uvcall fills in {{name}} and knows no conditions, loops or filters",
            )
        if name not in variables:
            raise UsageError(
                f"{what} needs the variable {name}",
                hint=did_you_mean(name, variables) or f"add --var {name}=VALUE",
            )
        return variables[name]

    return _TAG.sub(value, text)


def check_variables(variables: Mapping[str, str]) -> None:
    """Refuse what must not get into a prompt.

    Raises:
        UsageError: A name is malformed, or a value is longer than 500 characters or holds a control character.
    """
    for name, value in variables.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"--var {name[:40]!a} is not a name", hint="a name has letters, digits, _ . and -")
        if len(value) > _LONGEST_VALUE:
            raise UsageError(
                f"--var {name} is longer than {_LONGEST_VALUE} characters",
                hint="a long text belongs into the prompt itself: --prompt @FILE",
            )
        if _CONTROLS.search(value):
            raise UsageError(f"--var {name} holds a control character", hint="only plain text and line feeds")


def check_text(text: str, what: str) -> None:
    """Refuse a prompt or a greeting that no request should carry.

    Raises:
        UsageError: It is longer than 200,000 characters, or holds a NUL or half a character.
    """
    if len(text) > LONGEST_TEXT:
        raise UsageError(
            f"{what} is longer than {LONGEST_TEXT:,} characters", hint="shorten it; a tool can look up what is long"
        )
    if _BROKEN.search(text):
        raise UsageError(f"{what} holds a NUL or half a character", hint="write it as plain UTF-8 text")


def variable_names(text: str) -> set[str]:
    """Return what stands in double braces."""
    return {match[1].strip() for match in _TAG.finditer(text)}
