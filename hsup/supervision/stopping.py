"""Know that hsup was told to stop, by which signals, and how its end is told to its caller."""

from __future__ import annotations

import asyncio
from signal import SIGTERM, Signals


class Stopping:
    """What hsup was told about its end; `begun` is set once it was told to stop."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._signals: list[Signals] = []

    def take(self, number: Signals) -> None:
        """Be told to stop, by a signal."""
        self._signals.append(number)
        self.begun.set()

    @property
    def is_hurried(self) -> bool:
        """Tell whether hsup was told to stop more than once."""
        return len(self._signals) > 1

    @property
    def reason(self) -> str:
        """Return why hsup stops."""
        return f"{self._signals[0].name} received"

    def exit_status(self, *, highest: int, has_killed: bool) -> int:
        """Return hsup's exit status: 128 + N for a signal N but SIGTERM, or for a second one.

        `highest` is that of the dynos that ended by themselves, where it counts. Else it is 1
        if something had to be killed.
        """
        if self.is_hurried:
            return 128 + self._signals[-1]
        if highest:
            return highest
        if self._signals and self._signals[0] != SIGTERM:
            return 128 + self._signals[0]
        return int(has_killed)
