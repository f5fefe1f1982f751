"""Record why hsup stops, and compute its exit status."""

from __future__ import annotations

import asyncio
from signal import SIGINT, SIGTERM, Signals


class Stopping:
    """The signals that told hsup to stop, or the dyno with which all end.

    `begun` is set after the first.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._signals: list[Signals] = []
        self._end: str | None = None
        self.aborted_with = 0

    def take(self, number: Signals) -> None:
        """Record a signal that tells hsup to stop."""
        self._signals.append(number)
        self.begun.set()

    def abort(self, end: str, status: int) -> None:
        """Record the first end of a dyno with which all others are to end, and its status."""
        if not self.begun.is_set():
            self._end, self.aborted_with = end, status
            self.begun.set()

    @property
    def is_aborted(self) -> bool:
        """Tell whether all dynos end because one has ended."""
        return self._end is not None

    @property
    def is_hurried(self) -> bool:
        """Tell whether hsup was told to stop when it was stopping already."""
        return len(self._signals) > (0 if self.is_aborted else 1)

    @property
    def is_typed(self) -> bool:
        """Tell whether someone at a terminal stops hsup: with ^C."""
        return self._signals[:1] == [SIGINT]

    @property
    def reason(self) -> str:
        """Return why hsup stops."""
        return self._end or f"{self._signals[0].name} received"

    def exit_status(self, *, highest: int, has_killed: bool) -> int:
        """Return hsup's exit status.

        It is 128 + N for a signal N that came while hsup was stopping, else `highest` (of the
        dynos that ended by themselves) if that is not 0, else 128 + N for a first signal N other
        than SIGTERM, else 1 if something had to be killed, else 0.
        """
        if self.is_hurried:
            return 128 + self._signals[-1]
        if highest:
            return highest
        if self._signals and self._signals[0] != SIGTERM:
            return 128 + self._signals[0]
        return int(has_killed)
