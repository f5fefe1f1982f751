"""Show the progress of fetching a stack."""

from __future__ import annotations

import sys
from typing import TextIO

from hsup.archives.progress_line import ProgressLine
from hsup.long_work import amount, current
from hsup.visible import visible


class StepPrinter:
    """Prints steps as lines, and on a terminal a progress bar for each long step."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take the stream to print to: standard error by default."""
        self._stream = stream or sys.stderr
        self._bar: ProgressLine | None = None
        self._step = ""
        self._done, self._total = 0, 0

    def say(self, text: str) -> None:
        """Print the step that begins."""
        self.finish()
        self._step, self._done, self._total = text, 0, 0
        print(f"hsup: {visible(text)}", file=self._stream, flush=True)

    def show(self, done: int, total: int | None) -> None:
        """Show how many bytes of the step are done; `total` is None if it is not known."""
        more = done - self._done
        self._done, self._total = done, total or 0
        if not total or not self._draws:
            return
        if self._bar is None:
            self._bar = ProgressLine(self._stream, "", total)
        self._bar.advance(more)

    def describe(self) -> str:
        """Return the progress of the step in words, "" if a bar shows it."""
        if self._draws or not self._done:
            return "" if self._draws else self._step
        return f"{self._step} ({amount(self._done, self._total)})"

    @property
    def _draws(self) -> bool:
        return current().is_drawn and self._stream.isatty()

    def finish(self) -> None:
        """End the step; its bar stays on the terminal."""
        if self._bar is not None:
            self._bar.end()
            self._bar = None
