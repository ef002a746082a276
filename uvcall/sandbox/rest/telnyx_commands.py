"""Telnyx's commands for a call: what is to be done with one that has come in, and what any answered one can do.

https://developers.telnyx.com/api-reference/call-commands/answer-call · …/reject-a-call · …/streaming-start ·
…/speak-text · …/transfer-call
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from uvcall.core.model import Cause
from uvcall.sandbox import answers
from uvcall.sandbox.exchange import GOODBYE_S, Exchange
from uvcall.sandbox.notices import notices
from uvcall.sandbox.rest import telnyx_error
from uvcall.sandbox.rest.telnyx_fields import bad, check_choices, number_of, stream_of
from uvcall.sandbox.world import Leg

#: A caller who has been answered waits so long for whatever comes next.
_PATIENCE_S: Final = 60.0
_CHARACTERS_A_SECOND: Final = 15
COMMAND_S: Final = 60  #: a command_id is remembered so long (real seconds)

#: https://developers.telnyx.com/api-reference/call-commands/reject-a-call
_REJECTIONS: Final = {"CALL_REJECTED": Cause.REJECTED, "USER_BUSY": Cause.BUSY}


class Commands:
    """What can be done with a call. Each command returns at once; what it does goes on."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.known: Mapping[str, Callable[[Leg, Mapping[str, Any]], None]] = {
            "answer": self.answer,
            "reject": self.reject,
            "streaming_start": self.stream,
            "speak": self.speak,
            "transfer": self.transfer,
        }
        self._seen: dict[tuple[str, str], float] = {}
        exchange.world.on_reset.append(self._seen.clear)

    def do(self, leg: Leg, action: str, fields: Mapping[str, Any]) -> None:
        """Do a command, unless one with its `command_id` was done within a minute.

        Raises:
            Refusal: Telnyx would refuse it.
        """
        name, now = (leg.id, str(fields.get("command_id"))), time.monotonic()
        if fields.get("command_id") and now - self._seen.get(name, -COMMAND_S) < COMMAND_S:
            return
        self.known[action](leg, fields)
        self._seen[name] = now
        if fields.get("client_state"):
            leg.options = {**leg.options, "client_state": fields["client_state"]}
        self.exchange.world.history.record("telnyx", "command", carrier_call_id=leg.id, command=action)

    def answer(self, leg: Leg, fields: Mapping[str, Any]) -> None:
        """Answer, and stream when the command says so."""
        if leg.answered_at is not None:
            raise telnyx_error(422, "10027", "Unprocessable", "The call has already been answered.")
        check_choices(fields)
        spec = stream_of(fields)
        run = self.exchange.runs[leg.id]
        run.order = replace(run.order, script=spec, patience_s=_PATIENCE_S)
        self.exchange.world.spawn(self.exchange.talk(leg, run), f"talk {leg.id}")

    def reject(self, leg: Leg, fields: Mapping[str, Any]) -> None:
        """Turn the caller away."""
        if leg.answered_at is not None:
            raise telnyx_error(422, "10027", "Unprocessable", "The call has already been answered.")
        if fields.get("cause") not in _REJECTIONS:
            raise bad("10015", "Bad Request", f"cause must be one of {', '.join(_REJECTIONS)}.", "cause")
        self.exchange.end(leg, _REJECTIONS[fields["cause"]], "carrier")

    def stream(self, leg: Leg, fields: Mapping[str, Any]) -> None:
        """Begin a media stream."""
        _answered(leg)
        check_choices(fields)
        spec = stream_of(fields)
        if spec is None:
            raise bad("10004", "Missing required parameter", "The 'stream_url' parameter is required.", "stream_url")

        async def stream() -> None:
            with self.exchange.at_work(leg):
                await self.exchange.stream(leg, answers.Stream(spec))
            # A person whose stream has ended hears silence and hangs up.
            await self.exchange.world.pace.sleep(GOODBYE_S)
            self.exchange.end(leg, Cause.NORMAL, "callee")

        self.exchange.world.spawn(stream(), f"stream {leg.id}")

    def speak(self, leg: Leg, fields: Mapping[str, Any]) -> None:
        """Say something, which lasts as long as it would."""
        _answered(leg)
        words = fields.get("payload")
        if not isinstance(words, str) or not words:
            raise bad("10004", "Missing required parameter", "The 'payload' parameter is required.", "payload")
        if not fields.get("voice"):
            raise bad("10004", "Missing required parameter", "The 'voice' parameter is required.", "voice")
        tell = notices(leg.provider).tell

        async def speak() -> None:
            tell(self.exchange, leg, "speak_started", {})
            with self.exchange.at_work(leg):
                await self.exchange.world.pace.sleep(len(words) / _CHARACTERS_A_SECOND)
            if leg.ended_at is None:
                tell(self.exchange, leg, "speak_ended", {})

        self.exchange.world.spawn(speak(), f"speak {leg.id}")

    def transfer(self, leg: Leg, fields: Mapping[str, Any]) -> None:
        """Ring another number and connect the two; when that is over, so is the call."""
        _answered(leg)
        number = number_of(fields, "to")
        caller = str(fields.get("from") or "")
        seconds = float(fields.get("timeout_secs") or 30)

        async def transfer() -> None:
            with self.exchange.at_work(leg):
                await self.exchange.forward(leg, answers.Dial(number, caller, seconds))
            self.exchange.end(leg, Cause.NORMAL, "callee")

        self.exchange.world.spawn(transfer(), f"transfer {leg.id}")


def _answered(leg: Leg) -> None:
    if leg.answered_at is None:
        raise telnyx_error(422, "90034", "Call not answered yet", "This call can't receive this command yet.")
