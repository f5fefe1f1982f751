"""Draw the progress of one step on a line of a terminal, whose window may change its size."""

from __future__ import annotations

import os
import time
from typing import TextIO

from hsup.columns import columns, cut
from hsup.long_work import amount
from hsup.visible import visible

_SHOW_SECONDS = 0.1
#: How wide a bar is, with its brackets; where there is less room, there is none.
_LEAST_BAR, _MOST_BAR = 10, 38
_GAP = "  "
_ERASE_BELOW = "\x1b[J"
#: The width of a terminal that does not know it.
_USUAL_COLUMNS = 80


class ProgressLine:
    """Shows a label, a bar, how much is done and how fast: `12 of 45 MB, 3.4 MB/s`.

    The line is drawn ten times a second at most, and is narrower than the window. The cursor waits
    at its start: if the window becomes so narrow that the terminal breaks the line, all its rows
    are below the cursor, and are erased. Nothing is drawn any more once the terminal has gone.
    """

    def __init__(self, stream: TextIO, label: str, length: int) -> None:
        """Take the terminal, and the number of bytes to process, 0 if unknown."""
        self._stream = stream
        self._label = visible(label)
        self._length = length
        self._done = 0
        self._begun = time.monotonic()
        self._drawn_at = 0.0
        self._has_gone = False

    def advance(self, count: int) -> None:
        """Count bytes as done."""
        self._done += count
        if time.monotonic() - self._drawn_at > _SHOW_SECONDS:
            self._drawn_at = time.monotonic()
            self._draw("\r")

    def end(self) -> None:
        """Leave the line as it is now, and begin another one."""
        self._draw("\n")

    def _draw(self, end: str) -> None:
        if self._has_gone:
            return
        try:
            text = self._text(_columns(self._stream) - 1)
            self._stream.write(f"\r{_ERASE_BELOW}{text}{end}")
            self._stream.flush()
        except (OSError, ValueError):  # it has hung up, or the stream is closed
            self._has_gone = True

    def _text(self, width: int) -> str:
        """Return what has room: the bar is left out first, then the end of the label."""
        pace = self._pace()
        room = width - columns(self._label) - len(pace) - 2 * len(_GAP)
        if self._length and room >= _LEAST_BAR:
            return _joined(self._label, self._bar(min(room, _MOST_BAR)), pace)
        label = cut(self._label, width - len(pace) - len(_GAP))
        return cut(_joined(label, pace), width)

    def _bar(self, width: int) -> str:
        inner = width - len("[]")
        filled = inner * min(self._done, self._length) // self._length
        return f"[{'#' * filled}{'-' * (inner - filled)}]"

    def _pace(self) -> str:
        seconds = max(time.monotonic() - self._begun, _SHOW_SECONDS)
        return f"{amount(self._done, self._length)}, {self._done / 1e6 / seconds:.1f} MB/s"


def _joined(*parts: str) -> str:
    return _GAP.join(filter(None, parts))


def _columns(terminal: TextIO) -> int:
    return os.get_terminal_size(terminal.fileno()).columns or _USUAL_COLUMNS
