"""Choose the format of what is printed."""

from __future__ import annotations

from hsup.api import LogBatch
from hsup.formats import formatters
from hsup.formats.formatters import Formatter
from hsup.output.screen import ScreenFormatter

__all__ = ["Formatter", "formatter"]


def formatter(name: str, *, coloured: bool) -> Formatter:
    """Return the formatter of that name: a value of `--log-format`."""
    if name == "screen":
        return ScreenFormatter(coloured=coloured)
    if name == "none":
        return NoFormatter()
    return formatters.formatter(name, coloured=coloured)


class NoFormatter:
    """Nothing: for lines that only go to log drains."""

    prefix_columns = 0

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return nothing."""
        del batch, goes_on
        return b""
