"""HTTP as plain values."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.webhook import HttpRequest, SignatureInvalid, WebhookInvalid, form_fields, header


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))), max_size=8))
def test_forms_parse_back(pairs: list[tuple[str, str]]) -> None:
    assert form_fields(urlencode(pairs).encode()) == tuple(pairs)


def test_forms_keep_blanks_order_and_repetition() -> None:
    assert form_fields(b"b=&a=1&a=2&c=+%2B") == (("b", ""), ("a", "1"), ("a", "2"), ("c", " +"))
    assert form_fields(b"") == ()


@pytest.mark.parametrize("body", [b"a", b"a=1&b", b"a=1&&b=2", b"\xff=1", b"a=%ff", b"a=%C3", "a=é".encode()])
def test_what_is_no_form(body: bytes) -> None:
    with pytest.raises(WebhookInvalid):
        form_fields(body)


def test_too_many_fields() -> None:
    assert len(form_fields(b"&".join([b"a=1"] * 100))) == 100
    with pytest.raises(WebhookInvalid):
        form_fields(b"&".join([b"a=1"] * 101))
    with pytest.raises(WebhookInvalid):
        form_fields(b"a=1&a=1", limit=1)


def test_headers_are_found_whatever_their_case() -> None:
    headers = (("Content-Type", "text/xml"), ("X-A", "1"), ("x-a", "2"), ("X-Empty", ""))
    assert header(headers, "content-TYPE") == "text/xml"
    assert header(headers, "X-Empty") == ""
    assert header(headers, "X-A") is None  # two values: neither can be trusted
    assert header(headers, "X-B") is None


def test_errors_have_a_code_and_place_no_call() -> None:
    for kind, code in ((SignatureInvalid, "signature_invalid"), (WebhookInvalid, "webhook_invalid")):
        error = kind("no")
        assert (error.code, error.placed, str(error)) == (code, "no", "no")


def test_requests_are_values() -> None:
    assert HttpRequest("GET", "https://x") == HttpRequest("GET", "https://x", (), b"")
    with pytest.raises(AttributeError):
        HttpRequest("GET", "https://x").method = "POST"  # type: ignore[misc]  # that it cannot be set is the point
