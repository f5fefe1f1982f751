"""Read HTTP requests strictly, and the frames in them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hsup_log_drain.testing.octet_counted import split_frames

_REQUEST_LINE = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([ -~]*[!-~])")
_HEAD = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00)"
    rb" ([!-~]+) ([!-~]{1,48}) ([!-~]{1,128}) - (.*)",
    re.DOTALL,
)
LOGPLEX = "application/logplex-1"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS

#: Returns so many bytes, or raises EOFError.
Read = Callable[[int], bytes]
#: Returns a line with its end, or raises EOFError.
ReadLine = Callable[[], bytes]


class InvalidRequest(ValueError):
    """A request is not as it has to be."""


class Frame(NamedTuple):
    """A frame of a drain; what follows the message id is the message."""

    priority: int
    time: str
    host: str
    app: str
    process: str
    message: bytes


class RequestHead(NamedTuple):
    """What comes before a body; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """Return how long the body is. Raises InvalidRequest."""
        length = self.headers.get("content-length", "")
        if not re.fullmatch("[0-9]+", length) or "transfer-encoding" in self.headers:
            raise InvalidRequest(f"a body has no length: {dict(self.headers)}")
        return int(length)


class SeenRequest(NamedTuple):
    """A request, and the number of its connection, from 1."""

    connection: int
    head: RequestHead
    body: bytes

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers; names are in lower case."""
        return self.head.headers

    @property
    def frames(self) -> list[Frame]:
        """Return the frames in the body. Raises InvalidRequest or FramingError."""
        body = self.body
        if self.headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, _GZIP_FORMAT)
        return [_frame(one) for one in split_frames(body)]

    @property
    def messages(self) -> list[bytes]:
        """Return the messages of the frames."""
        return [one.message for one in self.frames]

    def check(self) -> None:
        """Raise InvalidRequest, or FramingError, if this is not what a drain has to send."""
        if (self.head.method, self.headers.get("content-type")) != ("POST", LOGPLEX):
            raise InvalidRequest(f"a drain does not send a {self.head.method} of such a type")
        if self.headers.get("logplex-msg-count") != str(len(self.frames)):
            raise InvalidRequest(f"there are {len(self.frames)} frames: {dict(self.headers)}")


def read_head(read_line: ReadLine) -> RequestHead:
    """Read the head of a request. Raises InvalidRequest, or EOFError if there is none."""
    line = read_line()
    found = _REQUEST_LINE.fullmatch(_without_end(line))
    if not found:
        raise InvalidRequest(f"this is no request: {line!r}")
    headers: dict[str, str] = {}
    while line := _without_end(read_line()):
        header = _HEADER.fullmatch(line)
        name = header[1].decode().lower() if header else ""
        if not header or name in headers:
            raise InvalidRequest(f"this is no header, or comes twice: {line!r}")
        headers[name] = header[2].decode()
    if "host" not in headers:
        raise InvalidRequest("a request has no Host")
    return RequestHead(found[1].decode(), found[2].decode(), headers)


def _without_end(line: bytes) -> bytes:
    if not line.endswith(b"\r\n"):
        raise InvalidRequest(f"a line has no end: {line!r}")
    return line[:-2]


def _frame(data: bytes) -> Frame:
    found = _HEAD.fullmatch(data)
    if not found:
        raise InvalidRequest(f"this is no head of a frame: {data[:100]!r}")
    time, host, app, process = (one.decode() for one in found.group(2, 3, 4, 5))
    return Frame(int(found[1]), time, host, app, process, found[6])
