"""The ledger of inbound calls, as somebody sees it who only looks: by any id, beside the process that writes it."""

import pytest

from uvcall.core.inbound_policy import Rules, Step
from uvcall.errors import LocalError
from uvcall.journal.inbound import NAME, Claim, InboundLedger, Note, seen

CALL = "5a2c1b60-0000-4000-8000-0242ac110002"
CALLER, CALLED = "+12025550101", "+12025550199"


@pytest.fixture
def ledger(tmp_path):
    tmp_path.chmod(0o700)
    made = InboundLedger(tmp_path, Rules(), now=1000.0)
    yield made
    made.close()


def test_there_is_no_ledger(tmp_path):
    assert seen(tmp_path, CALL) is None
    assert list(tmp_path.iterdir()) == []


def test_a_call_by_any_of_its_ids_while_it_goes_on(ledger, tmp_path):
    ledger.batch([Claim("telnyx:v3:abc", CALLER, CALLED, 1000.0)])
    found = seen(tmp_path, "v3:abc")
    assert (found.known.step, found.known.ultravox_id, found.caller) == (Step.CLAIMED, "", CALLER)
    ledger.batch([Note("telnyx:v3:abc", Step.CREATED, 1001.0, CALL), Note("telnyx:v3:abc", Step.JOINED, 1002.0)])
    for text in ("v3:abc", "telnyx:v3:abc", CALL, CALL.upper()):
        found = seen(tmp_path, text)
        assert (found.known.key, found.known.step, found.known.ultravox_id) == ("telnyx:v3:abc", Step.JOINED, CALL)
        assert found.caller == CALLER
    ledger.batch([Note("telnyx:v3:abc", Step.ENDED, 1003.0, word="hangup")])
    assert (seen(tmp_path, CALL).known.step, seen(tmp_path, CALL).known.word) == (Step.ENDED, "hangup")


@pytest.mark.parametrize("text", ["", "v3:ab", "telnyx", "%", "_" * 6, "' OR 1 --", "x" * 5000])
def test_an_id_that_means_nothing(ledger, tmp_path, text):
    ledger.batch([Claim("telnyx:v3:abc", CALLER, CALLED, 1000.0)])
    assert seen(tmp_path, text) is None


def test_whoever_looks_writes_nothing(ledger, tmp_path):
    ledger.batch([Claim("twilio:CA1", CALLER, CALLED, 1000.0)])
    before = (tmp_path / NAME).read_bytes()
    seen(tmp_path, "CA1")
    assert (tmp_path / NAME).read_bytes() == before


def test_a_ledger_that_is_none(tmp_path):
    (tmp_path / NAME).write_text("this is no ledger, and not even a database")
    with pytest.raises(LocalError):
        seen(tmp_path, "CA1")
