"""Commands to Telnyx about a call that has come in: answer, stream, speak, transfer, reject, hang up.

https://developers.telnyx.com/docs/voice/programmable-voice/voice-api-fundamentals
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uvcall.carriers._errors import AnswerError, AnswerLost, complaint, failed_read
from uvcall.carriers._telnyx_errors import ALREADY_OVER, MANNER
from uvcall.carriers.telnyx import RATES, TRACK, Client, _ask
from uvcall.core.carrier import StreamOptions
from uvcall.core.secret import JoinUrl

#: Command → the SDK's method.
COMMANDS: Final = frozenset({"answer", "start_streaming", "speak", "transfer", "reject", "hangup"})


def command(client: Client, call_id: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """Give one command, once. Returns False when the call is over already.

    Raises:
        Temporary, ProviderRefused, AuthError: What became of it; a command with a `command_id` may be given again.
    """
    if name not in COMMANDS:
        raise ValueError(name)
    try:
        _ask(client, lambda: getattr(client.sdk.calls.actions, name)(call_id, **arguments))
    except AnswerError as error:
        said = complaint(MANNER, error.answer)
        if error.answer.status == 404 or (said is not None and said.code == ALREADY_OVER):
            return False
        raise failed_read(MANNER, error, strict=True) from error
    except AnswerLost as error:
        raise failed_read(MANNER, error) from error
    return True


def streaming(join_url: JoinUrl, stream: StreamOptions) -> dict[str, Any]:
    """Return the arguments of `start_streaming`.

    Not of `answer`: that one cannot say the sampling rate, and Telnyx would take 8,000 Hz.
    https://developers.telnyx.com/api/call-control/start-call-streaming
    """
    codec = stream.codec or "L16"
    return {
        "stream_url": join_url.reveal(),
        "stream_track": stream.track or TRACK,
        "stream_bidirectional_mode": "rtp",
        "stream_codec": codec,
        "stream_bidirectional_codec": codec,
        "stream_bidirectional_sampling_rate": RATES[codec],
        "stream_bidirectional_target_legs": stream.target_legs or "opposite",
    }
