"""XML: what is written parses back to the same characters, and what XML 1.0 cannot hold is refused."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uvcall.core.wire.xml import document, element, escape_attribute, escape_text
from uvcall.errors import UsageError


def allowed(char: str) -> bool:
    code = ord(char)
    return code in {0x9, 0xA, 0xD} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF


ANY_TEXT = st.text(st.characters(blacklist_categories=()), max_size=30)
XML_TEXT = st.text(st.characters(blacklist_categories=()).filter(allowed), max_size=30)


@pytest.mark.parametrize("char", [chr(code) for code in (0x0, 0x1B, 0x8, 0xB, 0xFFFE, 0xFFFF, 0xD800, 0xDFFF)])
def test_refuses_what_xml_cannot_hold(char: str) -> None:
    for escape in (escape_attribute, escape_text):
        with pytest.raises(UsageError) as caught:
            escape(f"ab{char}c")
        assert f"U+{ord(char):04X} at position 3" in caught.value.message
        assert caught.value.message.isascii()
        assert caught.value.hint


@pytest.mark.parametrize(
    "char", ["\t", "\n", "\r", " ", "\x7f", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"]
)
def test_keeps_what_xml_can_hold(char: str) -> None:
    parsed = ET.fromstring(element("A", {"b": char}, text=char).encode())
    assert parsed.get("b") == char
    assert parsed.text == char


@settings(max_examples=150, deadline=None)
@given(XML_TEXT, XML_TEXT)
def test_parses_back(attribute: str, text: str) -> None:
    parsed = ET.fromstring(document(element("A", {"b": attribute}, text=text)).encode())
    assert parsed[0].get("b") == attribute
    assert (parsed[0].text or "") == text


@settings(max_examples=150, deadline=None)
@given(ANY_TEXT)
def test_writes_only_what_parses(text: str) -> None:
    try:
        written = element("A", {"b": text}, text=text)
    except UsageError:
        assert not all(map(allowed, text))
    else:
        assert all(map(allowed, text))
        ET.fromstring(written.encode())


def test_markup_cannot_be_smuggled() -> None:
    evil = '"/><Dial>+19005550100</Dial><X a="]]>&amp;\''
    parsed = ET.fromstring(document(element("Say", {"language": evil}, text=evil)).encode())
    assert [child.tag for child in parsed.iter()] == ["Response", "Say"]
    assert parsed[0].text == evil


def test_document_starts_with_its_declaration() -> None:
    assert document("<Hangup/>") == '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'
