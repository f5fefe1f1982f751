"""Record what happens in a supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hsup.events import DynoExited, DynoStateChanged, Event
from hsup.model import ExitStatus

_Event = TypeVar("_Event", bound=Event)


class EventRecorder:
    """Keeps every event that it is called with in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        self._arrived.set()

    def of(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def states(self, dyno: str) -> list[str]:
        """Return the states that a dyno has come into, in their order."""
        changes = self.of(DynoStateChanged)
        return [one.after.value for one in changes if str(one.dyno) == dyno]

    def statuses(self, dyno: str) -> list[ExitStatus]:
        """Return how the dynos of a name have ended."""
        return [one.status for one in self.of(DynoExited) if str(one.dyno) == dyno]

    async def until(self, is_so: Callable[[EventRecorder], object]) -> None:
        """Return once something holds of what was recorded."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()

    async def state(self, dyno: str, state: str, times: int = 1) -> None:
        """Return once a dyno has come into a state so many times."""
        await self.until(lambda told: told.states(dyno).count(state) >= times)
