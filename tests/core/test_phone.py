"""E.164, strictly; suggestions, masks, and what the numbering plans know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.core.phone import facts, is_e164, mask, require_e164, suggest
from uvcall.errors import UsageError

HOME = "+12025550199"


@pytest.mark.parametrize("number", ["+12025550100", "+15551234567", "+4915112345678", "+1234567", "+123456789012345"])
def test_e164(number):
    assert require_e164(number, "TO") == number


@pytest.mark.parametrize(
    ("text", "home", "right"),
    [
        ("+1 202 555 0100", None, "+12025550100"),
        ("+1-202-555-0100", None, "+12025550100"),
        ("+1 (202) 555.0100", None, "+12025550100"),
        ("0012025550100", None, "+12025550100"),
        ("+44 (0) 7911 123456", None, "+447911123456"),
        ("+\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff10\uff10", None, "+12025550100"),
        ("+١٢٠٢٥٥٥٠١٠٠", None, "+12025550100"),
        ("\u200e+12025550100", None, "+12025550100"),
        ("\u202a+1\u2011202\u2011555\u20110100\u202c", None, "+12025550100"),
        ("+12025550100\n", None, "+12025550100"),
        ("12025550100", None, "+12025550100"),
        ("(202) 555-0100", HOME, "+12025550100"),
        ("07911 123456", "+447911000000", "+447911123456"),
        ("030 901820", "+4930901821", "+4930901820"),
    ],
)
def test_a_repairable_number_is_refused_with_its_right_form(text, home, right):
    with pytest.raises(UsageError) as caught:
        require_e164(text, "TO", home=home)
    assert caught.value.hint == f"did you mean {right}?"
    assert caught.value.message.startswith("TO is not an E.164 number: '")
    assert caught.value.message.isascii()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "+", "abc", "+1202555010x", "+0123456789", "tel:+12025550100", "sip:a@b", "+1234567890123456", "9" * 500,
     "+12025550100;ext=5", "2025550100", "+1202\x00", "++12025550100", "+12025550100,+12025550101", "½12025550100"],
)  # fmt: skip
def test_what_cannot_be_repaired_is_refused_with_the_form(text):
    with pytest.raises(UsageError) as caught:
        require_e164(text, "TO")
    assert "+12025550100: a plus sign" in caught.value.hint
    assert len(caught.value.message) < 300


@given(st.text(max_size=45))
def test_a_suggestion_is_always_e164(text):
    right = suggest(text)
    assert right is None or is_e164(right)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_mask_hides_the_last_four(number):
    assert is_e164(number)
    hidden = mask(number)
    assert hidden.endswith("••••")
    assert sum(char.isdigit() for char in hidden) == len(number) - 5
    assert facts(number).possible


@pytest.mark.parametrize(
    ("number", "hidden"), [("+12025550100", "+1 202 555 ••••"), ("+4930901820", "+493090 ••••"), ("oops", "••••")]
)
def test_masks(number, hidden):
    assert mask(number) == hidden


@pytest.mark.parametrize(
    ("number", "region", "kind"),
    [
        ("+12025550100", "US", "fixed_line_or_mobile"),
        ("+4915112345678", "DE", "mobile"),
        ("+18765550100", "JM", "mobile"),
        ("+19005550123", "US", "premium_rate"),
        ("+447012345678", "GB", "personal_number"),
        ("+88213300655", None, "voip"),
        ("+9995551234", None, "unknown"),
        ("+15551234567", None, "unknown"),
    ],
)
def test_facts(number, region, kind):
    known = facts(number)
    assert (known.region, known.kind) == (region, kind)


def test_phonenumbers_is_whole_for_whoever_wants_the_rest():
    facts("+12025550100")
    from phonenumbers.asyoutypeformatter import AsYouTypeFormatter
    from phonenumbers.phonenumbermatcher import PhoneNumberMatcher

    assert AsYouTypeFormatter("US").input_digit("2") == "2"
    assert PhoneNumberMatcher("call +12025550100", None).has_next()
