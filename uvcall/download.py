"""Fetch a call's recording: through redirects, the key on no host but the first, and over connections that break.

What a break means follows RFC 9110: a server that knows ranges is asked for the rest of the very file that was begun
(`If-Range`), and whatever it answers but that rest is the file from its start.
https://www.rfc-editor.org/rfc/rfc9110.html#name-range-requests
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from uvcall.core.secret import LOOPBACK_HOSTS
from uvcall.core.ultravox_api import failures
from uvcall.core.webhook import HttpResponse
from uvcall.errors import ContractBroken, LocalError, Temporary, UvcallError

#: An hour of stereo at 48,000 Hz is 0.7 GB.
LIMIT: Final = 2 * 1024**3

#: Redirects after the first request.
_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
#: Requests in a row that bring nothing, and requests in all.
_VAIN: Final = 3
_REQUESTS: Final = 40
#: Whoever sends less than this in so many seconds has stalled.
_STALL_S: Final = 30.0
_STALL_BYTES: Final = 4096
_HEAD: Final = 12
#: What writers put where the size stands while they do not know it.
_UNKNOWN_SIZES: Final = frozenset({0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFE - 8})

Opened = AbstractContextManager[tuple[Any, Iterator[bytes]]]


class Fetched(NamedTuple):
    """A recording that has been written."""

    size: int  #: bytes
    missing: int = 0  #: bytes that the file says of itself it has, and has not


@dataclass(slots=True, eq=False)
class Download:
    """One recording on its way into a sink.

    Attributes:
        open_: Opens a request: method, URL, headers.
        url: Where it is asked for first.
        key: The headers that only this first host may see.
        loopback: The first host is this machine: only then may a redirect lead to it.
        sink: Where the bytes go; one that cannot seek is written to once, from the first byte to the last.
        watch: Is told the bytes so far and those in all, None when nobody has said.
        pause_s: Seconds before a broken download goes on; twice as long after each vain attempt.
    """

    open_: Callable[..., Opened]
    url: str
    key: Mapping[str, str]
    loopback: bool
    sink: BinaryIO
    watch: Callable[[int, int | None], None]
    pause_s: float = 0.5
    got: int = 0
    total: int | None = None
    tag: str | None = None
    _head: bytearray = field(default_factory=bytearray)
    _skip: int = 0

    def run(self) -> Fetched:
        """Write the whole recording.

        Raises:
            ProviderRefused: There is none, or not yet.
            ContractBroken: It is no WAV file, too large, or a redirect leads nowhere safe.
            Temporary: It cannot be had now.
            LocalError: It cannot be written.
        """
        vain = 0
        for request in range(1, _REQUESTS + 1):
            before = self.got
            try:
                self._fetch()
                return Fetched(self.got, self._missing())
            except Temporary as error:
                vain = 0 if self.got > before else vain + 1
                if vain == _VAIN or request == _REQUESTS or (not self.got and error.status in {425, 429}):
                    raise
                time.sleep(self.pause_s * 2 ** max(0, vain - 1))
        raise failures.lost("it broke off too often", sent=True)

    def _fetch(self) -> None:
        headers = {**self.key, "accept": "audio/wav, */*"}
        if self.got and self.tag is not None:
            headers |= {"range": f"bytes={self.got}-", "if-range": self.tag}
        url = self.url
        for _ in range(_HOPS + 1):
            with self.open_("GET", url, headers=headers) as (response, chunks):
                if response.status_code not in _REDIRECTS:
                    self._take(response, chunks)
                    return
                url = self._target(url, response.headers.get("location", ""))
            for name in self.key:
                headers.pop(name, None)
        raise _broken("redirects to the recording never end")

    def _target(self, url: str, location: str) -> str:
        """Return where a redirect leads.

        Raises:
            ContractBroken: Not to https, or to this machine though the API is elsewhere.
        """
        try:
            target = urljoin(url, location)
            parts = urlsplit(target)
            host, named = parts.hostname or "", parts.username is not None
        except ValueError:
            raise _broken("the recording's redirect is no URL") from None
        if self.loopback and host in LOOPBACK_HOSTS and parts.scheme in {"http", "https"} and not named:
            return target
        if parts.scheme != "https" or not host or named:
            raise _broken("the recording's redirect does not lead to https")
        if _is_here(host):
            raise _broken("the recording's redirect leads to this machine or its network")
        return target

    def _take(self, response: Any, chunks: Iterator[bytes]) -> None:
        status, headers = response.status_code, response.headers
        tag = _validator(headers)
        if status == 206 and self.got:
            start, total = _content_range(headers.get("content-range", ""))
            if start != self.got or (tag is not None and tag != self.tag):
                self._restart(None)
                raise failures.lost("the rest of the recording does not fit to its beginning", sent=True)
            self.total = total
        elif status == 200:
            self._restart(tag)
            length = headers.get("content-length", "")
            self.total = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
            self.tag = tag
        elif status == 416 and self.got:
            self._restart(None)
            raise failures.lost("the recording is not what it was", sent=True)
        else:
            raise _refusal(status, chunks)
        if self.total is not None and self.total > LIMIT:
            raise _too_large()
        self._pour(chunks)

    def _pour(self, chunks: Iterator[bytes]) -> None:
        since, arrived = time.monotonic(), 0
        for chunk in chunks:
            arrived += len(chunk)
            if time.monotonic() - since > _STALL_S:
                if arrived < _STALL_BYTES:
                    raise failures.lost("the recording comes too slowly", sent=True)
                since, arrived = time.monotonic(), 0
            fresh = chunk[self._skip :]
            self._skip -= len(chunk) - len(fresh)
            if fresh:
                self._write(fresh)
                self.watch(self.got, self.total)
        if len(self._head) < _HEAD:
            raise _broken("the recording is empty")
        if (self.total is not None and self.got < self.total) or (self.total is None and self._missing()):
            raise failures.lost("the recording broke off", sent=True)

    def _write(self, data: bytes) -> None:
        if self.got + len(data) > LIMIT:
            raise _too_large()
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]
            if len(self._head) == _HEAD and not _is_wav(self._head):
                raise _broken("what came for the recording is no WAV file")
        try:
            self.sink.write(data)
        except OSError as error:
            raise LocalError(
                f"the recording cannot be written: {error.strerror}", hint="check the disk and the folder"
            ) from error
        self.got += len(data)

    def _restart(self, tag: str | None) -> None:
        """Begin anew; where the sink cannot go back, step over what it has, if it is surely the same file."""
        if not self.got:
            return
        if self.sink.seekable():
            self.sink.seek(0)
            self.sink.truncate()
            self.got = 0
            self._head.clear()
        elif tag is not None and tag == self.tag:
            self._skip = self.got
        else:
            raise _broken("the recording broke off, and its server cannot send the rest alone: name a file for it")

    def _missing(self) -> int:
        size = int.from_bytes(self._head[4:8], "little")
        if self._head[:4] != b"RIFF" or size in _UNKNOWN_SIZES:
            return 0
        return max(0, size + 8 - self.got)


def _is_wav(head: bytes | bytearray) -> bool:
    """Say whether a file begins as WAV files do, those beyond 4 GB among them."""
    return bytes(head[:4]) in {b"RIFF", b"RF64"} and bytes(head[8:12]) == b"WAVE"


def _is_here(host: str) -> bool:
    """Say whether a host is this machine by its name or address, however that is written, or a link-local one."""
    from ipaddress import ip_address

    bare = host.rstrip(".")
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        address = ip_address(bare)
    except ValueError:
        # What resolvers still take for an IPv4 address: 127.1, 0x7f.0.0.1, 2130706433.
        return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", bare.rpartition(".")[2]) is not None
    inner = getattr(address, "ipv4_mapped", None) or address
    return bool(inner.is_loopback or inner.is_unspecified or inner.is_link_local)


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what proves that two answers are of one file: a strong tag, else the time of its last change."""
    tag = headers.get("etag", "")
    if re.fullmatch(r'"[!#-~]{1,200}"', tag):
        return tag
    changed = headers.get("last-modified", "")
    return changed if re.fullmatch(r"[\w,: +-]{10,60}", changed) and not tag else None


def _content_range(text: str) -> tuple[int | None, int | None]:
    found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", text.strip())
    if found is None:
        return None, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _refusal(status: int, chunks: Iterator[bytes]) -> UvcallError:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > failures.LIMIT:
            break
    return failures.failure(HttpResponse(status, (), bytes(body)), now=datetime.now(UTC))


def _too_large() -> ContractBroken:
    return _broken(f"the recording is larger than {LIMIT:,} bytes")


def _broken(what: str) -> ContractBroken:
    return ContractBroken(what, hint="ask again later: uvcall calls recording", peer=failures.PEER)
