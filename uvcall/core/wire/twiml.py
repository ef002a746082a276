"""The verbs that Twilio and Telnyx share: TeXML was made after TwiML.

https://www.twilio.com/docs/voice/twiml and
https://developers.telnyx.com/docs/voice/programmable-voice/texml-twiml-compatibility
"""

from __future__ import annotations

from typing import Final

from uvcall.core.wire import speech
from uvcall.core.wire.xml import document, element

HANGUP: Final = "<Hangup/>"


def connect(stream: dict[str, str]) -> str:
    """Return the document that hands the call to the media stream.

    The verbs after `<Connect>` run when the stream's socket closes, after a good call as after a broken one, so the
    only thing that may stand there is the end. https://www.twilio.com/docs/voice/twiml/stream
    """
    return document(element("Connect", children=element("Stream", stream)) + HANGUP)


def fallback(*, say: str, forward_to: str | None, language: str) -> str:
    """Return the document for when no agent can be had.

    Nothing is said after `<Dial>`: what follows it runs also when the human has talked and hung up.
    https://www.twilio.com/docs/voice/twiml/dial

    Raises:
        UsageError: The number or the language is not one, or the text cannot stand in XML.
    """
    if forward_to is not None:
        number = element("Number", text=speech.forwarded(forward_to))
        return document(element("Dial", speech.DIAL, children=number) + HANGUP)
    words = speech.sentence(say)
    said = element("Say", {"language": speech.spoken(language)}, text=words) if words else ""
    return document(said + HANGUP)


def reject(*, busy: bool) -> str:
    """Return the document that turns a caller away unanswered.

    https://www.twilio.com/docs/voice/twiml/reject
    """
    return document(element("Reject", {"reason": "busy" if busy else "rejected"}))
