"""A supervisor in memory, for the tests of services."""

from __future__ import annotations


class MemorySupervisor:
    """Has dynos in the states that a test sets, and counts reloads."""

    def __init__(self, **states: str) -> None:
        """Set the states of dynos: `MemorySupervisor(**{"web.1": "up"})`."""
        self.states = states
        self.reloads = 0

    def dynos(self) -> dict[str, str]:
        """Return the state of every dyno by its name."""
        return dict(self.states)

    def reload(self) -> None:
        """Count a request to ask the source again."""
        self.reloads += 1
