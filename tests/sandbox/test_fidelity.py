"""The table of known differences says something in every row, once."""

from __future__ import annotations

from uvcall.sandbox.faults import PEERS
from uvcall.sandbox.fidelity import DIFFERENCES


def test_every_row_is_whole_and_stands_there_once():
    for row in DIFFERENCES:
        assert row.peer in {*PEERS, "carriers", "all"}
        for text in (row.what, row.sandbox, row.vendor):
            assert text.strip() == text != ""
            assert "\n" not in text
    assert len({(row.peer, row.what) for row in DIFFERENCES}) == len(DIFFERENCES)
    assert {row.peer for row in DIFFERENCES} == {*PEERS, "carriers", "all"}
