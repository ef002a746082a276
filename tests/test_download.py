"""A recording on its way: hosts that must not see the key, connections that break, servers that know ranges or not."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vendor import Vendor, half, huge, nothing, packed, reset, says, serving

from uvcall import download
from uvcall.core.secret import Secret
from uvcall.download import Download, Fetched
from uvcall.errors import ContractBroken, LocalError, ProviderRefused, Temporary
from uvcall.ultravox import Ultravox

ID = "5a2c1b60-0000-4000-8000-0242ac110002"
KEY = Secret("abcdefgh." + "1" * 32)
PATH = f"/api/calls/{ID}/recording"
SOUND = bytes(range(256)) * 400
WAV = b"RIFF" + (len(SOUND) + 4).to_bytes(4, "little") + b"WAVE" + SOUND


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as made:
        yield made


@pytest.fixture
def storage() -> Iterator[Vendor]:
    with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)


@pytest.fixture
def client(vendor: Vendor) -> Iterator[Ultravox]:
    made = Ultravox(KEY, base_url=vendor.url, timeout_s=10)
    yield made
    made.close()


class Pipe(io.BytesIO):
    """A sink that cannot go back."""

    def seekable(self) -> bool:
        return False


class Shelf:
    """A file server: cuts each answer after so many bytes, and knows ranges and tags or not."""

    def __init__(self, vendor: Vendor, *, cuts: list[int], ranges: bool = True, tag: str | None = '"v1"', wav=WAV):
        self.vendor, self.cuts, self.ranges, self.tag, self.wav = vendor, cuts, ranges, tag, wav
        vendor.on("GET", PATH, self.answer)

    def answer(self, handler: Any) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("range") or "")
        start = int(asked[1]) if asked and self.ranges and handler.headers.get("if-range") == self.tag else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.wav) - 1}/{len(self.wav)}")
        if self.tag:
            handler.send_header("ETag" if self.tag.startswith(('"', "W/")) else "Last-Modified", self.tag)
        handler.send_header("Content-Length", str(len(self.wav) - start))
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(self.wav)
        handler.wfile.write(self.wav[start : start + cut])
        handler.close_connection = start + cut < len(self.wav)

    @property
    def ranges_asked(self) -> list[str | None]:
        return [heard.headers.get("range") for heard in self.vendor.heard]


def test_whole_and_watched(vendor, client):
    vendor.on("GET", PATH, says(200, WAV, kind="audio/wav"))
    sink, seen = io.BytesIO(), []
    assert client.download_recording(ID, sink, lambda *now: seen.append(now)) == Fetched(len(WAV))
    assert sink.getvalue() == WAV
    assert seen[-1] == (len(WAV), len(WAV))
    assert vendor.heard[0].headers["x-api-key"] == KEY.reveal()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_elsewhere_it_is_fetched_without_the_key(vendor, storage, client, status):
    storage.on("GET", "/b/a.wav", says(307, headers={"Location": "/b/b.wav?sig=2"}))
    storage.on("GET", "/b/b.wav", says(200, WAV, kind="audio/wav"))
    vendor.on("GET", PATH, says(status, headers={"Location": f"{storage.url}/b/a.wav?sig=1"}))
    assert client.download_recording(ID, io.BytesIO()).size == len(WAV)
    assert [heard.query for heard in storage.heard] == [{"sig": "1"}, {"sig": "2"}]
    for heard in storage.heard:
        assert KEY.reveal() not in json.dumps(heard.headers)
        assert "x-api-key" not in heard.headers


def test_a_redirect_back_to_the_api_takes_no_key_along_either(vendor, client):
    vendor.on("GET", PATH, says(302, headers={"Location": "/api/elsewhere"}))
    vendor.on("GET", "/api/elsewhere", says(200, WAV))
    client.download_recording(ID, io.BytesIO())
    assert ["x-api-key" in heard.headers for heard in vendor.heard] == [True, False]


def test_redirects_that_never_end(vendor, client):
    vendor.on("GET", PATH, says(302, headers={"Location": PATH}))
    with pytest.raises(ContractBroken, match="never end"):
        client.download_recording(ID, io.BytesIO())
    assert len(vendor.heard) == 6


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://storage.example/a.wav", "https"),
        ("file:///etc/passwd", "https"),
        ("", "https"),
        ("https://", "https"),
        ("https://user:word@storage.example/a.wav", "https"),
        ("https://127.0.0.1/a.wav", "this machine"),
        ("https://127.1/a.wav", "this machine"),
        ("https://2130706433/a.wav", "this machine"),
        ("https://0x7f.0.0.1/a.wav", "this machine"),
        ("https://0.0.0.0/a.wav", "this machine"),
        ("https://169.254.169.254/latest/meta-data", "this machine"),
        ("https://[::1]/a.wav", "this machine"),
        ("https://[::ffff:127.0.0.1]/a.wav", "this machine"),
        ("https://LOCALHOST./a.wav", "this machine"),
        ("https://x.localhost/a.wav", "this machine"),
    ],
)
def test_an_unsafe_redirect_is_not_followed(vendor, client, target, words):
    client.loopback = False
    vendor.on("GET", PATH, says(302, headers={"Location": target}))
    with pytest.raises(ContractBroken, match=words) as caught:
        client.download_recording(ID, io.BytesIO())
    assert len(vendor.heard) == 1
    assert "word" not in caught.value.message


def test_a_public_redirect_is_one():
    walk = Download(lambda *_, **__: None, "https://api.example", {}, False, io.BytesIO(), lambda *_: None)
    for url in ("https://storage.googleapis.com/b/a.wav?sig=1", "https://8.8.8.8/a.wav", "https://[2001:4860::1]/a"):
        assert walk._target("https://api.example/x", url) == url
    with pytest.raises(ContractBroken, match="no URL"):
        walk._target("https://api.example/x", "https://[::1")


def test_what_was_cut_is_continued(vendor, client):
    shelf = Shelf(vendor, cuts=[30_000, 40_000, 5])
    sink = io.BytesIO()
    assert client.download_recording(ID, sink).size == len(WAV)
    assert sink.getvalue() == WAV
    assert shelf.ranges_asked == [None, "bytes=30000-", "bytes=70000-", "bytes=70005-"]
    assert {heard.headers.get("if-range") for heard in vendor.heard[1:]} == {'"v1"'}


def test_the_time_of_the_last_change_is_a_tag_too(vendor, client):
    shelf = Shelf(vendor, cuts=[30_000], tag="Wed, 21 Oct 2026 07:28:00 GMT")
    assert client.download_recording(ID, io.BytesIO()).size == len(WAV)
    assert shelf.ranges_asked == [None, "bytes=30000-"]


@pytest.mark.parametrize("tag", [None, 'W/"v1"'])
@pytest.mark.parametrize("ranges", [True, False])
def test_without_proof_that_it_is_the_same_file_it_starts_anew(vendor, client, tag, ranges):
    shelf = Shelf(vendor, cuts=[30_000], tag=tag, ranges=ranges)
    sink = io.BytesIO()
    assert client.download_recording(ID, sink).size == len(WAV)
    assert sink.getvalue() == WAV
    assert shelf.ranges_asked == [None, None]


def test_a_server_without_ranges_starts_anew(vendor, client):
    Shelf(vendor, cuts=[30_000, 50_000], ranges=False)
    sink = io.BytesIO()
    assert client.download_recording(ID, sink).size == len(WAV)
    assert sink.getvalue() == WAV


def test_a_file_that_was_replaced_starts_anew(vendor, client):
    other = WAV[:12] + bytes(reversed(SOUND))
    shelf = Shelf(vendor, cuts=[30_000])
    first = shelf.answer

    def answer(handler: Any) -> None:
        if len(vendor.heard) == 2:
            shelf.wav, shelf.tag = other, '"v2"'
        first(handler)

    vendor.on("GET", PATH, answer)
    sink = io.BytesIO()
    client.download_recording(ID, sink)
    assert sink.getvalue() == other


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
def test_a_pipe_gets_each_byte_once(vendor, client, ranges):
    Shelf(vendor, cuts=[30_000, 20_000, 60_000], ranges=ranges)
    sink = Pipe()
    assert client.download_recording(ID, sink).size == len(WAV)
    assert sink.getvalue() == WAV


def test_a_pipe_cannot_be_begun_anew(vendor, client):
    Shelf(vendor, cuts=[30_000], ranges=False, tag=None)
    with pytest.raises(ContractBroken, match="name a file"):
        client.download_recording(ID, Pipe())


@pytest.mark.parametrize(
    "reply",
    [
        says(206, WAV, headers={"Content-Range": "bytes 7-99/100"}),
        says(206, WAV, headers={"Content-Range": "bytes=all"}),
        says(206, WAV, headers={"Content-Range": f"bytes 30000-{len(WAV) - 1}/*", "ETag": '"v2"'}),
        says(416, b""),
    ],
    ids=["another-range", "no-range", "another-file", "unsatisfiable"],
)
def test_a_rest_that_does_not_fit_is_not_glued_on(vendor, client, reply):
    shelf = Shelf(vendor, cuts=[30_000])
    vendor.will(shelf.answer, reply)
    sink = io.BytesIO()
    client.download_recording(ID, sink)
    assert sink.getvalue() == WAV
    assert len(vendor.heard) == 3


def test_a_recording_that_its_length_does_not_bound_is_measured_by_its_head(vendor, client):
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(WAV if len(vendor.heard) > 1 else WAV[:5000])
        handler.close_connection = True

    vendor.on("GET", PATH, endless)
    sink = io.BytesIO()
    assert client.download_recording(ID, sink) == Fetched(len(WAV))
    assert sink.getvalue() == WAV
    assert len(vendor.heard) == 2


def test_a_recording_that_is_stored_cut_is_had_and_told(vendor, client):
    vendor.on("GET", PATH, says(200, WAV[:-1000]))
    assert client.download_recording(ID, io.BytesIO()) == Fetched(len(WAV) - 1000, 1000)
    unknown = WAV[:4] + b"\xff\xff\xff\xff" + WAV[8:]
    vendor.on("GET", PATH, says(200, unknown))
    assert client.download_recording(ID, io.BytesIO()) == Fetched(len(WAV))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (says(404, {"detail": "No recording."}), ProviderRefused),
        (says(425, {"detail": "Not yet."}), ProviderRefused),
        (says(425, ""), Temporary),
        (says(429, {"detail": "Slow down."}), Temporary),
        (says(500, "<html>", kind="text/html"), Temporary),
        (says(403, "<Error>ExpiredToken</Error>", kind="application/xml"), Temporary),
        (says(200, "<html>hotel wifi</html>", kind="text/html"), ContractBroken),
        (says(200, b""), ContractBroken),
        (says(200, b"RIFF"), ContractBroken),
        (says(200, WAV, headers={"Content-Length": str(3 * 1024**3)}), ContractBroken),
        (says(204, b""), Temporary),
        (packed, ContractBroken),
        (huge, ContractBroken),
        (half, Temporary),
        (nothing, Temporary),
        (reset, Temporary),
    ],
    ids=["404", "425", "425-bare", "429", "500", "expired", "html", "empty", "stub", "3-GB", "204", "packed", "json",
         "half-json", "nothing", "reset"],
)  # fmt: skip
def test_what_is_no_recording(vendor, client, reply, error):
    vendor.on("GET", PATH, reply)
    with pytest.raises(error) as caught:
        client.download_recording(ID, io.BytesIO())
    assert type(caught.value) is error
    assert len(vendor.heard) <= 3


def test_the_limit_holds_also_where_no_length_is_told(vendor, client, monkeypatch):
    monkeypatch.setattr(download, "LIMIT", 20_000)

    def bare(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(WAV)
        handler.close_connection = True

    vendor.on("GET", PATH, bare)
    sink = io.BytesIO()
    with pytest.raises(ContractBroken, match="larger"):
        client.download_recording(ID, sink)
    assert len(sink.getvalue()) <= 20_000


def test_a_server_that_only_drips_is_left(monkeypatch):
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr(download.time, "monotonic", lambda: next(clock))

    @contextmanager
    def dripping(*_: Any, **__: Any):
        response = type("Response", (), {"status_code": 200, "headers": {}})()
        yield response, iter([WAV[:12]] + [b"x"] * 100)

    sink = io.BytesIO()
    walk = Download(dripping, "https://api.example", {}, False, sink, lambda *_: None)
    with pytest.raises(Temporary, match="slowly"):
        walk.run()
    assert len(sink.getvalue()) < 60


def test_a_full_disk_is_not_ultravoxs_fault(vendor, client):
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    vendor.on("GET", PATH, says(200, WAV, kind="audio/wav"))
    with pytest.raises(LocalError, match="No space"):
        client.download_recording(ID, Full())
    assert len(vendor.heard) == 1


@settings(max_examples=60)
@given(st.lists(st.integers(1, 200), max_size=12), st.booleans(), st.sampled_from(['"a"', None]), st.booleans())
def test_however_it_is_cut_the_file_is_whole(cuts, ranges, tag, seekable):
    """A peer in this process: the bytes and the headers are what matters here."""
    wav = b"RIFF" + (392).to_bytes(4, "little") + b"WAVE" + bytes(range(97)) * 4
    left = list(cuts)

    @contextmanager
    def open_(method: str, url: str, headers: dict[str, str]):
        asked = headers.get("range")
        start = int(asked[6:-1]) if asked and ranges else 0
        cut = start + (left.pop(0) if left else 10**6)
        told = {"content-length": str(len(wav) - start), **({"etag": tag} if tag else {})}
        if start:
            told["content-range"] = f"bytes {start}-{len(wav) - 1}/{len(wav)}"
        response = type("Response", (), {"status_code": 206 if start else 200, "headers": told})()

        def chunks() -> Iterator[bytes]:
            yield from (wav[at : min(at + 7, cut)] for at in range(start, min(len(wav), cut), 7))
            if cut < len(wav):
                raise Temporary("cut")

        yield response, chunks()

    sink = io.BytesIO() if seekable else Pipe()
    walk = Download(open_, "https://api.example", {}, False, sink, lambda *_: None, pause_s=0)
    try:
        assert walk.run() == Fetched(len(wav))
    except ContractBroken:
        assert not seekable
        assert tag is None
    except Temporary:
        assert len(cuts) >= 3
        assert not ranges or tag is None
    else:
        assert sink.getvalue() == wav
    assert wav.startswith(sink.getvalue())
