"""Be what a service sees of the supervisor that it runs beside."""

from __future__ import annotations


class MemorySupervisor:
    """Has the states of dynos that a test says, and counts how often it was told to reload."""

    def __init__(self, **states: str) -> None:
        """Have dynos: `MemorySupervisor(**{"web.1": "up"})`."""
        self.states = states
        self.reloads = 0

    def dynos(self) -> dict[str, str]:
        """Return the state of every dyno by its name."""
        return dict(self.states)

    def reload(self) -> None:
        """Count that the source was to be asked again."""
        self.reloads += 1
