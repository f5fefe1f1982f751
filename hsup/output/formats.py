"""Format a batch of log lines for printing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from hsup.api import LogBatch
from hsup.output.paint import Paint, prefixed
from hsup.output.screen import ScreenFormatter
from hsup.visible import visible


class Formatter(Protocol):
    """Formats a batch as bytes to print."""

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return the bytes; `goes_on` means that the batch continues the last printed line."""


#: The noncharacters (The Unicode Standard, 23.7), which I-JSON excludes.
_ENDS_OF_PLANES = (
    chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)
)
_NONCHARACTERS = re.compile(f"[\ufdd0-\ufdef{''.join(_ENDS_OF_PLANES)}]")


def formatter(name: str, *, coloured: bool) -> Formatter:
    """Return the formatter of that name: a value of `--log-format`."""
    return _FORMATTERS[name](coloured=coloured)


class HerokuFormatter:
    """`2026-01-02T15:04:05.123456+00:00 app[web.1]: line`, as `heroku logs` prints."""

    def __init__(self, *, coloured: bool) -> None:
        self._paint = Paint() if coloured else None
        self._second = -1
        self._second_text = b""

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        origin = f" {batch.source}[{batch.dyno}]:".encode()
        prefix = self._timestamp(batch.time) + origin
        if self._paint:
            prefix = self._paint(batch, prefix)
        return prefixed(prefix + b" ", batch, goes_on=goes_on)

    def _timestamp(self, nanoseconds: int) -> bytes:
        second, rest = divmod(nanoseconds, 1_000_000_000)
        if second != self._second:
            self._second = second
            moment = datetime.fromtimestamp(second, UTC)
            self._second_text = moment.strftime("%Y-%m-%dT%H:%M:%S.").encode()
        return b"%b%06d+00:00" % (self._second_text, rest // 1000)


class PlainFormatter:
    """`web.1 | line`, for reading while developing."""

    def __init__(self, *, coloured: bool) -> None:
        self._paint = Paint() if coloured else None
        self._width = 0

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        self._width = max(self._width, len(batch.dyno))
        mark = b"|" if batch.source == "app" else b"*"
        prefix = batch.dyno.ljust(self._width).encode() + b" " + mark
        if self._paint:
            prefix = self._paint(batch, prefix)
        return prefixed(prefix + b" ", batch, goes_on=goes_on)


class JsonFormatter:
    """One I-JSON object (RFC 7493) per line, in ASCII.

    Each has time, source, dyno, stream, app, release and message; hsup's own lines also have
    event, state, status and code. Bytes that I-JSON cannot represent (invalid UTF-8 and
    noncharacters) become U+FFFD in the message, and `base64` has the original line.
    """

    def __init__(self, *, coloured: bool) -> None:
        del coloured  # a program reads this

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        del goes_on  # each piece of a line is an object of its own
        moment = datetime.fromtimestamp(batch.time // 1_000_000_000, UTC)
        stamp = moment.replace(microsecond=batch.time // 1000 % 1_000_000)
        fields: dict[str, str | int | None] = {
            "time": stamp.isoformat(timespec="microseconds"),
            "source": batch.source,
            "dyno": batch.dyno,
            "stream": batch.stream,
            "app": None if batch.app is None else visible(batch.app),
            "release": None if batch.release is None else f"v{batch.release}",
        }
        if batch.event is not None:
            event, state, status, code, _ = batch.event
            fields |= {"event": event, "state": state, "status": status, "code": code}
        head = json.dumps(fields)[:-1]
        lines = batch.lines.removesuffix(b"\n").split(b"\n")
        text = "}\n".join(f"{head}, {_message(line)}" for line in lines)
        end = ', "partial": true}\n' if batch.is_partial else "}\n"
        return f"{text}{end}".encode()


class RawFormatter:
    """The bytes as the dyno wrote them."""

    def __init__(self, *, coloured: bool) -> None:
        del coloured  # the bytes are the dyno's

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        del goes_on
        return batch.lines


_FORMATTERS: dict[str, Callable[..., Formatter]] = {
    "screen": ScreenFormatter,
    "heroku": HerokuFormatter,
    "plain": PlainFormatter,
    "json": JsonFormatter,
    "raw": RawFormatter,
}


def _message(line: bytes) -> str:
    """Return the JSON members for a line of arbitrary bytes."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        pass
    else:
        if text.isascii() or not _NONCHARACTERS.search(text):
            return f'"message": {json.dumps(text)}'
    shown = _NONCHARACTERS.sub("\N{REPLACEMENT CHARACTER}", line.decode(errors="replace"))
    return f'"message": {json.dumps(shown)}, "base64": "{b64encode(line).decode()}"'
