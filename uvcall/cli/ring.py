"""What `sandbox ring` makes of its options, and how it tells what came of the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from uvcall.core.model import CallRecord, Cause, Failure, LegState, LegStatus, UltravoxCall
from uvcall.core.outcome import ENDINGS, as_json, decide
from uvcall.errors import ConfigError, UsageError
from uvcall.sandbox.ring_call import Caller, Rung
from uvcall.sandbox.world import Options

#: How a media stream ended, in the words of an Ultravox call's end.
_STREAM_ENDS: Final = {"agent": "agent_hangup", "leg": "hangup", "broken": "connection_error"}

#: What is wrong with the webhook, and how to mend it.
_HINTS: Final[Mapping[int | None, str]] = {
    None: "is the webhook listening at --to? see also its own log",
    401: "the webhook did not take the signature: it must check with the sandbox's key (uvcall sandbox env), "
    "or name the variable with yours in --key-env; --public-url says which address is signed",
    404: "the webhook's server has no such path",
    405: "the webhook's server takes no POST there",
}


def signing_key(env: Mapping[str, str], name: str | None) -> str | None:
    """Return the key from the environment variable of that name.

    Raises:
        ConfigError: It is not set.
    """
    if name is None:
        return None
    if not env.get(name):
        raise ConfigError(f"--key-env: the variable {name[:60]} is not set", hint=f"export {name[:60]}=…, then again")
    return env[name]


def ring(
    options: Options,
    caller: Caller,
    *,
    key: str | None,
    public_base: str,
    at: str | None,
    listener: Callable[[Mapping[str, Any]], None],
) -> Rung:
    """Ring from a world of this process, or from inside the sandbox at `at`. Raises as either does.

    Raises:
        UsageError: Something that the other sandbox decides by itself.
    """
    if at is None:
        from uvcall.sandbox.ring import ring as alone

        return alone(options, caller, key=key, public_base=public_base, listener=listener)
    given = (
        ("--key-env", key is not None),
        ("--public-url", bool(public_base)),
        ("--callee-audio", options.callee_audio is not None),
        ("--speed", options.speed != 1.0),
    )
    theirs = [name for name, is_given in given if is_given]
    if theirs:
        raise UsageError(f"{theirs[0]} and --at: that sandbox has its own", hint=f"leave {theirs[0]} out")
    from uvcall.sandbox.ring_window import ring_at

    return ring_at(at, caller, listener)


def record(rung: Rung) -> CallRecord:
    """Return what came of the call as the record of a call."""
    leg = rung.leg
    status = LegStatus(
        LegState.ENDED,
        leg.cause,
        raw=" ".join(rung.verbs) or (leg.cause or Cause.UNKNOWN).value,
        answered=leg.answered_at is not None,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
    )
    agent = None
    if rung.joined:
        agent = UltravoxCall("", joined_at=leg.answered_at, end_reason=_STREAM_ENDS.get(rung.stream_end))
    outcome, reason = decide(status, agent)
    trouble = rung.trouble
    failure = None
    if trouble is not None:
        code = "webhook_refused" if trouble.status is not None else "webhook_unanswered"
        hint = _HINTS.get(401 if trouble.status == 403 else trouble.status, "see the webhook's own log")
        if trouble.status is not None and 200 <= trouble.status < 300:
            code, hint = "webhook_invalid", "see what the carrier takes as an answer"
        failure = Failure(code, trouble.words, hint, vendor_code=trouble.code or None, status=trouble.status)
        reason = code
    return CallRecord(
        outcome=outcome,
        exit_code=ENDINGS[outcome].exit_code,
        placed="yes",
        provider=leg.provider.value,
        to=leg.to,
        from_=leg.from_,
        carrier_call_id=leg.id,
        carrier_ids={name: value for name, value in leg.ids.items() if name not in {"product", "sequence"}},
        created_at=leg.created_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
        duration_s=_seconds(rung),
        end_reason=reason,
        error=failure,
    )


def _seconds(rung: Rung) -> float:
    leg = rung.leg
    if leg.answered_at is None or leg.ended_at is None:
        return 0.0
    return round((leg.ended_at - leg.answered_at).total_seconds(), 3)


def as_object(rung: Rung, told: CallRecord) -> dict[str, Any]:
    """Return the record's object, and with it every request that was made of the webhook."""
    webhooks = [
        {
            "url": knock.url,
            "kind": knock.kind,
            "status": knock.status,
            "seconds": knock.seconds,
            "failure": knock.failure or None,
            "same": knock.same,
        }
        for knock in rung.knocks
    ]
    return {**as_json(told), "webhooks": webhooks}


def line(told: CallRecord) -> str:
    """Return the result in one line."""
    how = f", {told.duration_s:.1f} s" if told.answered_at else ""
    why = f", {told.end_reason}" if told.end_reason else ""
    return f"{told.outcome.value}: {told.from_} → {told.to}, via {told.provider}{how}{why}"


def warnings(rung: Rung, *, forged: str) -> list[str]:
    """Return what deserves a warning, whatever the outcome: a forgery that was taken, copies answered otherwise."""
    found = []
    first = rung.knocks[0] if rung.knocks else None
    if forged and first is not None and first.status is not None and 200 <= first.status < 300:
        found.append(f"the webhook has taken a request with a forged signature ({forged})")
    if rung.differing:
        copies = sum(knock.same is not None for knock in rung.knocks)
        found.append(f"{rung.differing} of {copies} duplicates were answered in another way than the original")
    return found


def telling(say: Callable[[str], None]) -> Callable[[Mapping[str, Any]], None]:
    """Return a listener that says each event of the call in a line."""

    def tell(event: Mapping[str, Any]) -> None:
        words = _WORDS.get(str(event["type"]))
        if words is not None and event["peer"] != "ultravox":
            say(words(event))

    return tell


def _webhook(event: Mapping[str, Any]) -> str:
    came = f"HTTP {event['status']}" if event["status"] else f"no answer ({event['failure']})"
    took = f" in {event['seconds'] * 1000:.0f} ms" if event.get("seconds") is not None else ""
    return f"webhook ({event['event']}): {came}{took}"


def _document(event: Mapping[str, Any]) -> str:
    return (
        f"document: {event['problem']}" if event.get("problem") else f"document: {', '.join(event['verbs']) or 'empty'}"
    )


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "call.incoming": lambda event: f"ringing: {event['from']} → {event['to']}, {event['carrier_call_id']}",
    "call.placed": lambda event: f"forwarded to {event['to']}",
    "call.answered": lambda _event: "answered",
    "webhook": _webhook,
    "document": _document,
    "command": lambda event: f"command: {event['command']}",
    "media.started": lambda event: f"talking ({event['encoding']} at {event['sample_rate']})",
    "media.refused": lambda event: f"the agent's side refused the stream ({event['detail']})",
    "media.stopped": lambda event: (
        f"the stream is over ({event['how']}): {event['frames_sent'] / 50:.1f} s of caller, "
        f"{event['frames_played'] / 50:.1f} s of agent"
    ),
    "call.ended": lambda event: f"over: {event['cause']}, by the {event['source']}",
}
