"""What users hand over: every kind of bad file is one line and exit code 2."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvcall.cli.files import read_bytes, read_json, read_text
from uvcall.errors import UsageError


def refused(call, *args, **kwargs):
    with pytest.raises(UsageError) as caught:
        call(*args, **kwargs)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) <= 300
    return caught.value.message


def test_text_comes_from_argv_file_and_stdin(tmp_path):
    file = tmp_path / "p.txt"
    file.write_bytes("\ufeffGrüß Gott\n".encode())
    assert read_text("Hello @ {{name}}", "--prompt", stdin=None) == "Hello @ {{name}}"
    assert read_text(f"@{file}", "--prompt", stdin=None) == "Grüß Gott\n"
    assert read_text("-", "--prompt", stdin=io.StringIO("from stdin")) == "from stdin"
    stdin = io.TextIOWrapper(io.BytesIO("é".encode()))
    assert read_text("-", "--prompt", stdin=stdin) == "é"


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(name):
    assert "not a regular file" in refused(read_text, f"@{name}", "--prompt", stdin=None)


def test_a_fifo_is_refused_without_waiting(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "not a regular file" in refused(read_text, f"@{fifo}", "--prompt", stdin=None)


def test_endless_input_stops_at_the_limit(tmp_path):
    with Path("/dev/zero").open(encoding="utf-8") as zeros:
        assert "stdin is longer than 1,048,576 bytes" in refused(read_text, "-", "--prompt", stdin=zeros)
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1024 * 1024 + 1)
    assert "longer than 1,048,576 bytes" in refused(read_text, f"@{large}", "--prompt", stdin=None)
    assert "longer than 10 bytes" in refused(read_text, "x" * 11, "--prompt", stdin=None, limit=10)
    assert len(read_bytes(str(large), "--callee-audio")) == 1024 * 1024 + 1


def test_what_cannot_be_opened(tmp_path):
    assert "No such file" in refused(read_text, f"@{tmp_path}/none", "--prompt", stdin=None)
    assert "not a regular file" in refused(read_text, f"@{tmp_path}", "--prompt", stdin=None)
    assert "empty or broken" in refused(read_text, "@", "--prompt", stdin=None)
    assert "empty or broken" in refused(read_text, "@a\x00b", "--prompt", stdin=None)
    closed = io.StringIO()
    closed.close()
    assert "stdin cannot be read" in refused(read_text, "-", "--prompt", stdin=closed)


def test_not_utf8(tmp_path):
    file = tmp_path / "latin1"
    file.write_bytes(b"Gr\xfc\xdfe")
    assert refused(read_text, f"@{file}", "--prompt", stdin=None).endswith("is not UTF-8 text: byte 3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n "b": }', "is not JSON: Expecting value, line 2, column 7"),
        ("", "is not JSON"),
        ('{"a": 1,\n "a": 2}', "the name 'a' stands twice in one object, line 2"),
        ('{"a": {"b": 1, "b": 2}, "b": 3}', "the name 'b' stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too many digits"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"a": 1} x', "Extra data, line 1, column 10"),
    ],
)
def test_broken_json(tmp_path, text, words):
    file = tmp_path / "c.json"
    file.write_text(text, encoding="utf-8")
    message = refused(read_json, f"@{file}", "--call", stdin=None)
    assert words in message
    assert message.startswith(f"--call: {file}")


def test_json_comes_from_file_stdin_and_argv():
    assert read_json("-", "--call", stdin=io.StringIO('{"a": [1, 2.5, "é"]}')) == {"a": [1, 2.5, "é"]}
    assert read_json('[{"toolName": "x"}]', "--tools", stdin=None) == [{"toolName": "x"}]
    assert "neither a file nor JSON" in refused(read_json, "call.json", "--call", stdin=None)


@given(st.text(max_size=200))
def test_whatever_is_no_json_is_one_line(text):
    try:
        read_json("-", "--call", stdin=io.StringIO(text))
    except UsageError as error:
        caught = error
    else:
        return
    assert len(caught.message) < 300
    assert "\n" not in caught.message
