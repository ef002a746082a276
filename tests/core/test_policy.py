"""Which numbers may be called at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.core.policy import REFUSED_TYPES, check_number
from uvcall.errors import PolicyRefused, UsageError


@pytest.mark.parametrize(
    "text",
    ["911", "112", "999", "0", "00", "000", "08", "110", "+911", "+112", "+1911", "+44999", "+49110", "+33112",
     "9-1-1", " 911 ", "+1 911", "411", "88222"],
)  # fmt: skip
def test_emergency_and_short_numbers_are_never_called(text):
    with pytest.raises(PolicyRefused, match="never calls"):
        check_number(text)


@pytest.mark.parametrize("text", ["+19115550100", "+14115550100", "+49110123456", "+331122334455", "+1800555"])
def test_nor_with_digits_around_them(text):
    with pytest.raises(PolicyRefused):
        check_number(text)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+19005550123", "premium_rate"),
        ("+33899123456", "premium_rate"),
        ("+4918012345", "shared_cost"),
        ("+447012345678", "personal_number"),
        ("+447640123456", "pager"),
        ("+445512345678", "uan"),
        ("+49177991234567", "voicemail"),
    ],
)
def test_costly_types_are_refused(number, kind):
    with pytest.raises(PolicyRefused, match=REFUSED_TYPES[kind].split("(")[0].strip()):
        check_number(number)


@pytest.mark.parametrize("number", ["+88213300655", "+8821234567", "+97912345", "+870773123456", "+97912345678"])
def test_numbers_of_no_country_are_refused(number):
    with pytest.raises(PolicyRefused, match="satellite or international"):
        check_number(number)


@pytest.mark.parametrize(
    "number", ["+12025550100", "+12025550109", "+4915112345678", "+33155123456", "+18005550123", "+442079460018"]
)
def test_ordinary_numbers_pass_without_a_word(number):
    assert check_number(number, from_="+12025550199") == ()


def test_the_readmes_number_passes_with_a_warning():
    (warning,) = check_number("+15551234567")
    assert "555" in warning


def test_a_possible_number_out_of_use_passes_with_a_warning():
    (warning,) = check_number("+441632960961")
    assert "no range" in warning
    assert "+441632960961" not in warning


@pytest.mark.parametrize(
    ("number", "words"),
    [("+9995551234", "no country has that code"), ("+44791112345678", "too long"), ("+1202555010", "too short")],
)
def test_impossible_numbers_are_wrong_arguments(number, words):
    with pytest.raises(UsageError, match=words):
        check_number(number)


def test_a_number_cannot_call_itself():
    with pytest.raises(UsageError, match="the same"):
        check_number("+12025550100", from_="+12025550100")


def test_a_wrong_form_is_a_wrong_argument_with_the_right_form():
    with pytest.raises(UsageError) as caught:
        check_number("(202) 555-0100", from_="+12025550199", what="row 3: to")
    assert caught.value.hint == "did you mean +12025550100?"
    assert caught.value.message.startswith("row 3: to")


def test_countries_are_decided_by_region_not_by_country_code():
    assert check_number("+12025550100", countries=("US",)) == ()
    with pytest.raises(PolicyRefused, match=r"lies in JM; policy\.countries allows DE, US") as caught:
        check_number("+18765550100", countries=("US", "DE"))
    assert caught.value.hint == "uvcall config set policy.countries DE,JM,US"
    with pytest.raises(PolicyRefused, match="no known country") as caught:
        check_number("+15551234567", countries=("US",))
    assert caught.value.hint == "uvcall config unset policy.countries"
    with pytest.raises(PolicyRefused):
        check_number("+12025550100", countries=())


@given(st.text(max_size=20) | st.from_regex(r"\+[1-9][0-9]{0,16}", fullmatch=True))
def test_whatever_comes_there_is_a_verdict(text):
    verdict: object
    try:
        verdict = check_number(text)
    except (PolicyRefused, UsageError) as error:
        verdict = error
    if isinstance(verdict, tuple):
        assert len(text) >= 8
    else:
        assert verdict.hint
        assert len(verdict.message) <= 300
