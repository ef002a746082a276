"""Who may be connected, as values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.inbound_policy import ADMIT, Book, Circuit, Rules, Step

A, B, OURS = "+12025550123", "+12025550124", "+12025550199"
DAY = 86_400.0


def rung(book, key, at, caller=A):
    verdict = book.verdict(OURS, caller, at)
    if verdict == ADMIT:
        book.note(key, Step.CLAIMED, at, caller)
    return verdict.reason


@pytest.mark.parametrize(
    ("rules", "caller", "reason"),
    [
        (Rules(), A, ""),
        (Rules(numbers=frozenset({OURS})), A, ""),
        (Rules(numbers=frozenset({B})), A, "number not served"),
        (Rules(numbers=frozenset({"199", "2025550199"})), A, "number not served"),
        (Rules(), "", "unknown caller"),
        (Rules(allow_unknown=True), "", ""),
        (Rules(allow_unknown=True, allow_from=frozenset({A})), "", "caller not allowed"),
        (Rules(deny_from=frozenset({A})), A, "caller denied"),
        (Rules(deny_from=frozenset({A}), allow_from=frozenset({A})), A, "caller denied"),
        (Rules(allow_from=frozenset({B})), A, "caller not allowed"),
        (Rules(allow_from=frozenset({A[:-1]})), A, "caller not allowed"),
        (Rules(allow_from=frozenset({A + "4"})), A, "caller not allowed"),
    ],
)
def test_numbers_are_compared_whole(rules, caller, reason):
    assert Book(rules).verdict(OURS, caller, 0).reason == reason


def test_a_caller_has_three_calls_in_ten_minutes_and_everybody_thirty_an_hour():
    book = Book(Rules(max_concurrent=100))
    assert [rung(book, str(n), 1000.0 + n) for n in range(4)] == ["", "", "", "too many calls of this caller"]
    assert rung(book, "later", 1600.5) == "", "the first has left the window"
    for n in range(26):
        assert rung(book, f"b{n}", 1700.0 + n, f"+1202555{n:04}") == ""
    assert rung(book, "31", 1800, B) == "too many calls this hour"
    assert rung(book, "31", 4600.1, B) == ""


def test_a_call_whose_end_is_lost_does_not_count_for_ever():
    book = Book(Rules(max_concurrent=1, longest_s=600, join_s=30))
    assert rung(book, "unjoined", 0) == ""
    assert rung(book, "x", 39, B) == "too many calls at once"
    assert rung(book, "joined", 41, B) == ""
    book.note("joined", Step.JOINED, 42)
    assert rung(book, "x", 600, "+12025550125") == "too many calls at once"
    assert rung(book, "x", 42 + 631, "+12025550125") == ""


def test_minutes_are_those_of_the_day_and_those_that_go_on_count():
    book = Book(Rules(minutes_a_day=10, per_caller=100, longest_s=3600))
    rung(book, "a", 100)
    book.note("a", Step.JOINED, 100)
    book.note("a", Step.JOINED, 400)
    book.note("a", Step.ENDED, 400)
    book.note("a", Step.ENDED, 900)
    assert book.seconds_today(1000) == 300
    rung(book, "b", 1000)
    book.note("b", Step.JOINED, 1000)
    assert book.verdict(OURS, A, 1299) == ADMIT
    assert book.verdict(OURS, A, 1300).reason == "minutes of the day used up"
    book.note("b", Step.ENDED, 1300)
    assert book.seconds_today(DAY + 1) == 0
    assert book.verdict(OURS, A, DAY + 1) == ADMIT


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(list(Step)), st.integers(0, 4), st.integers(0, 400)), max_size=60))
def test_the_book_never_counts_wrong(steps):
    """Whatever steps come in whatever order, the sums are those of the calls, and nothing is negative."""
    book = Book(Rules(max_concurrent=3, per_caller=5))
    at = 0.0
    for step, key, pause in steps:
        at += pause
        if step is Step.CLAIMED:
            if str(key) not in book.live:
                rung(book, str(key), at)
        else:
            book.note(str(key), step, at)
        talking = [call for call in book.live.values() if call.joined]
        assert len(book.live) <= 3
        assert book.seconds_today(at) >= sum(at - call.since for call in talking) - 1e-6


def test_the_circuit_opens_after_five_failures_and_lets_one_in_ten_seconds_try():
    circuit = Circuit()
    for n in range(4):
        circuit.failed(n)
    assert circuit.admits(4)
    assert circuit.closed
    circuit.failed(40)
    assert circuit.closed, "the others are long ago"
    for n in range(4):
        circuit.failed(41 + n)
    assert not circuit.closed
    assert not circuit.admits(45)
    assert circuit.admits(54.1)
    assert not circuit.admits(55)
    circuit.succeeded()
    assert circuit.admits(55)
    assert circuit.closed
