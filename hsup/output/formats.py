"""Format a batch of log lines for printing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from hsup.api import LogBatch
from hsup.output.paint import Paint, prefixed
from hsup.output.screen import ScreenFormatter


class Formatter(Protocol):
    """Formats a batch as bytes to print."""

    @property
    def prefix_columns(self) -> int:
        """Return how many columns of a terminal the longest prefix so far takes."""

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return the bytes; `goes_on` means that the batch continues the last printed line."""


def formatter(name: str, *, coloured: bool) -> Formatter:
    """Return the formatter of that name: a value of `--log-format`."""
    return _FORMATTERS[name](coloured=coloured)


class HerokuFormatter:
    """`2026-01-02T15:04:05.123456+00:00 app[web.1]: line`, as `heroku logs` prints."""

    def __init__(self, *, coloured: bool) -> None:
        self._paint = Paint() if coloured else None
        self._second = -1
        self._second_text = b""
        self.prefix_columns = 0

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        origin = f" {batch.source}[{batch.dyno}]:".encode()
        prefix = self._timestamp(batch.time) + origin
        self.prefix_columns = max(self.prefix_columns, len(prefix) + 1)
        if self._paint:
            prefix = self._paint(batch, prefix)
        return prefixed(prefix + b" ", batch, goes_on=goes_on)

    def _timestamp(self, nanoseconds: int) -> bytes:
        second, rest = divmod(nanoseconds, 1_000_000_000)
        if second != self._second:
            self._second = second
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second_text = text.encode()
        return b"%b%06d+00:00" % (self._second_text, rest // 1000)


class PlainFormatter:
    """`web.1 | line`, for reading while developing."""

    def __init__(self, *, coloured: bool) -> None:
        self._paint = Paint() if coloured else None
        self._width = 0

    @property
    def prefix_columns(self) -> int:
        """Return how many columns the name and the mark take."""
        return self._width + len(" | ")

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        self._width = max(self._width, len(batch.dyno))
        mark = b"|" if batch.event is None else b"*"
        prefix = batch.dyno.ljust(self._width).encode() + b" " + mark
        if self._paint:
            prefix = self._paint(batch, prefix)
        return prefixed(prefix + b" ", batch, goes_on=goes_on)


class RawFormatter:
    """The bytes as the dyno wrote them."""

    prefix_columns = 0

    def __init__(self, *, coloured: bool) -> None:
        del coloured  # the bytes are the dyno's

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch."""
        del goes_on
        return batch.lines


class NoFormatter:
    """Nothing: for lines that only go to log drains."""

    prefix_columns = 0

    def __init__(self, *, coloured: bool) -> None:
        del coloured

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return nothing."""
        del batch, goes_on
        return b""


def _json_formatter(*, coloured: bool) -> Formatter:
    from hsup.output.json_lines import JsonFormatter  # slow to import, rarely needed

    return JsonFormatter(coloured=coloured)


_FORMATTERS: dict[str, Callable[..., Formatter]] = {
    "screen": ScreenFormatter,
    "heroku": HerokuFormatter,
    "plain": PlainFormatter,
    "json": _json_formatter,
    "raw": RawFormatter,
    "none": NoFormatter,
}
