"""What a person is told while a stack is being fetched."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_BAR_CELLS = 30
_SECONDS_BETWEEN = 0.1
_MIB = 1 << 20


class Progress:
    """Prints steps as lines; on a terminal also a bar, which each step replaces."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take where to print: standard error by default."""
        self._stream = stream or sys.stderr
        self._has_bar = False
        self._drawn_at = 0.0

    def say(self, text: str) -> None:
        """Tell the step that begins."""
        self.clear()
        print(f"hsup: {text}", file=self._stream, flush=True)

    def show(self, done: int, total: int | None = None) -> None:
        """Tell how many bytes of the step are done, of how many."""
        now = time.monotonic()
        if not self._stream.isatty() or now - self._drawn_at < _SECONDS_BETWEEN:
            return
        self._drawn_at = now
        self._has_bar = True
        print(f"\r\x1b[K{_bar(done, total)}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self._has_bar:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._has_bar = False


def _bar(done: int, total: int | None) -> str:
    if not total:
        return f"{done / _MIB:.1f} MiB"
    share = min(done / total, 1.0)
    filled = int(share * _BAR_CELLS)
    cells = "#" * filled + "-" * (_BAR_CELLS - filled)
    return f"[{cells}] {share:4.0%}  {done / _MIB:.1f} of {total / _MIB:.1f} MiB"
