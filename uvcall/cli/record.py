"""A call's record on the screen, and the exit code that it ends the command with."""

from __future__ import annotations

from typing import Final

from uvcall.cli.output import Output
from uvcall.core.model import CallRecord, Outcome
from uvcall.errors import UsageError

#: The exit code when `--expect` names other outcomes than the one that came.
UNEXPECTED: Final = 32


def show(out: Output, record: CallRecord) -> None:
    """Show the record: one JSON object, or a line of result and the error, if any, on stderr."""
    if out.as_json:
        from uvcall.core.outcome import as_json

        out.json(as_json(record))
        return
    if record.error is not None:
        said = f" ({record.error.vendor_code})" if record.error.vendor_code else ""
        out.error(record.error.message + said, record.error.hint)
    if record.placed == "no" and record.error is not None:
        return
    facts = [f"{record.outcome}: {record.to}"]
    if record.provider:
        facts.append(f"via {record.provider}")
    if record.duration_s:
        facts.append(f"{record.duration_s:.1f} s")
    if record.end_reason and record.end_reason != record.outcome:
        facts.append(record.end_reason)
    if record.recording:
        facts.append(f"recording {record.recording}")
    out.result(", ".join(facts))
    ids = f"attempt {record.attempt_id}, Ultravox {record.ultravox_call_id}, carrier {record.carrier_call_id}"
    if record.outcome in {Outcome.UNKNOWN, Outcome.UNOBSERVED, Outcome.INTERRUPTED, Outcome.ACCEPTED}:
        out.say(ids)
    else:
        out.detail(ids)


def accepted_codes(expect: str | None, ok_codes: str | None) -> frozenset[int]:
    """Return the exit codes of `--ok-codes`; `--expect` is checked, too.

    Raises:
        UsageError: A code is no number, or an outcome does not exist.
    """
    known = {outcome.value for outcome in Outcome}
    for word in expect.split(",") if expect is not None else ():
        if word not in known:
            from difflib import get_close_matches

            close = get_close_matches(word, known, n=1)
            raise UsageError(
                f"--expect: there is no outcome {word[:40]!r}",
                hint=f"did you mean {close[0]}?" if close else "the README lists the outcomes",
            )
    codes: set[int] = set()
    for word in ok_codes.split(",") if ok_codes is not None else ():
        if not (word.isascii() and word.isdigit() and int(word[:4]) <= 255):
            raise UsageError(f"--ok-codes: {word[:40]!r} is not an exit code", hint="--ok-codes 10,11")
        codes.add(int(word))
    return frozenset(codes)


def exit_code(record: CallRecord, expect: str | None, accepted: frozenset[int]) -> int:
    """Return the process's exit code: the outcome's own, unless `--expect` or `--ok-codes` say otherwise."""
    if expect is not None:
        if record.outcome.value in expect.split(","):
            return 0
        return record.exit_code or UNEXPECTED
    return 0 if record.exit_code in accepted else record.exit_code
