"""A supervisor in memory, for the tests of services."""

from __future__ import annotations

from hsup.output.backlog import Backlog
from hsup.output.history import History


class MemorySupervisor:
    """Has dynos in the states that a test sets, and counts reloads.

    What a test appends to `backlog` is in `history`.
    """

    def __init__(self, **states: str) -> None:
        """Set the states of dynos: `MemorySupervisor(**{"web.1": "up"})`."""
        self.states = states
        self.reloads = 0
        self.backlog = Backlog()
        self.history = History(self.backlog, 1500)

    def dynos(self) -> dict[str, str]:
        """Return the state of every dyno by its name."""
        return dict(self.states)

    def reload(self) -> None:
        """Count a request to ask the source again."""
        self.reloads += 1
