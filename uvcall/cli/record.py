"""A call's record on the screen, and the exit code that it ends the command with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from uvcall.cli.output import Output
from uvcall.core.model import CallRecord, Outcome
from uvcall.errors import Interrupted, UsageError, UvcallError

if TYPE_CHECKING:
    from uvcall.cli.context import Context

#: The exit code when `--expect` names other outcomes than the one that came.
UNEXPECTED: Final = 32


def show(out: Output, record: CallRecord) -> None:
    """Show the record: one JSON object, or a line of result and the error, if any, on stderr.

    Where it cannot be printed, the call is what it was, and so is the exit code: code 7 would say that nothing was
    placed.
    """
    _print(out, record)
    if out.unprinted:
        out.warn(f"the result could not be printed: {out.unprinted}; the outcome is {record.outcome}; {_ids(record)}")
        out.unprinted = ""


def _print(out: Output, record: CallRecord) -> None:
    if out.as_json:
        from uvcall.core.outcome import as_json

        out.json(as_json(record))
        return
    if record.error is not None:
        said = f" ({record.error.vendor_code})" if record.error.vendor_code else ""
        out.error(record.error.message + said, record.error.hint)
    if record.placed == "no" and record.error is not None:
        return
    facts = [f"{record.outcome}: {record.to}" if record.to else record.outcome.value]
    if record.provider:
        facts.append(f"via {record.provider}")
    if record.duration_s:
        facts.append(f"{record.duration_s:.1f} s")
    if record.end_reason and record.end_reason != record.outcome:
        facts.append(record.end_reason)
    if record.recording:
        facts.append(f"recording {record.recording}")
    out.result(", ".join(facts))
    if record.outcome in {Outcome.UNKNOWN, Outcome.UNOBSERVED, Outcome.INTERRUPTED, Outcome.ACCEPTED}:
        out.say(_ids(record))
    else:
        out.detail(_ids(record))


def _ids(record: CallRecord) -> str:
    carrier = f", carrier {record.carrier_call_id}" if record.to else ""
    return f"attempt {record.attempt_id}, Ultravox {record.ultravox_call_id}{carrier}"


def carry_out(
    context: Context,
    work: Callable[[], CallRecord | None],
    bare: Callable[[Outcome, int], CallRecord],
    *,
    expect: str | None,
    ok_codes: str | None,
) -> int:
    """Do a command's work, show its record, whatever happens, and return the exit code.

    Args:
        context: Where the record is shown, and a bug's report goes.
        work: Returns the record; None where there is none to show. `Interrupted` may leave it only before anybody is
            called.
        bare: Makes a record for an error that came before there was one.
        expect: `--expect`.
        ok_codes: `--ok-codes`.
    """
    codes: frozenset[int] = frozenset()
    try:
        accepted = accepted_codes(expect, ok_codes)
        record = work()
        codes = accepted
    except UvcallError as error:
        from uvcall.core.outcome import ENDINGS, failure, outcome_of

        outcome = outcome_of(error)
        record = bare(outcome, ENDINGS[outcome].exit_code)
        record = record._replace(error=failure(error), placed=error.placed, retry_safe=error.placed == "no")
    except Interrupted as stop:
        from uvcall.core.model import Failure

        found = Failure("interrupted", "interrupted before anybody was called", "the same command may be run again")
        record = bare(Outcome.INTERRUPTED, 128 + stop.signum)._replace(error=found, retry_safe=True)
    except Exception as bug:  # noqa: BLE001 - the record must come, whatever happens
        from uvcall.cli.errors import report_bug
        from uvcall.core.model import Failure

        message, hint = report_bug(context, bug)
        found = Failure("internal_error", message, hint)
        record = bare(Outcome.INTERNAL_ERROR, 1)._replace(placed="unknown", error=found)
    if record is None:
        return 0
    show(context.out, record)
    return exit_code(record, expect, codes)


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
