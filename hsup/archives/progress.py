"""Show the progress of fetching and unpacking a slug."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hsup.cancellation import require_wanted
from hsup.long_work import amount, current

#: Called with the number of bytes that were processed since the last call.
Advance = Callable[[int], None]
#: Called with a label ("unpacking slug.tgz") and the number of bytes to process, 0 if unknown.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@contextmanager
def bar(label: str, length: int) -> Iterator[Advance]:
    """Draw a bar on standard error if that is a terminal, without one if `length` is 0.

    Without a terminal, the progress is available to whoever waits for the work.
    """
    work = current()
    if not (work.is_drawn and sys.stderr.isatty()):
        done = _Done(label, length)
        with work.doing(done.describe):
            yield done.advance
        if done.was_told:
            work.say_end(done.end())
        return
    from hsup.archives.progress_line import ProgressLine  # only where there is a terminal

    line = ProgressLine(sys.stderr, label, length)
    with work.doing(_nothing):
        try:
            yield line.advance
        finally:
            line.end()


def while_wanted(progress: Progress) -> Progress:
    """Return a progress that raises GivenUp once the work is no longer wanted."""

    @contextmanager
    def watched(label: str, length: int) -> Iterator[Advance]:
        with progress(label, length) as advance:

            def advance_if_wanted(count: int) -> None:
                require_wanted()
                advance(count)

            yield advance_if_wanted

    return watched


def tell_of_waiting() -> None:
    """Log that another hsup is fetching or unpacking the same slug."""
    import logging  # only here: `hsup run` seldom needs it

    text = "waiting for another hsup to fetch or unpack the same slug"
    logging.getLogger(__name__).warning(text)


class _Done:
    """The progress of one step."""

    def __init__(self, label: str, length: int) -> None:
        self._label = label
        self._length = length
        self._bytes = 0
        self._begun = time.monotonic()
        self.was_told = False

    def advance(self, count: int) -> None:
        self._bytes += count

    def describe(self) -> str:
        self.was_told = True
        return f"{self._label} ({amount(self._bytes, self._length)})"

    def end(self) -> str:
        seconds = time.monotonic() - self._begun
        return f"{self._label}: done, {amount(self._bytes, 0)} in {seconds:.0f} s"


def _nothing() -> str:
    return ""
