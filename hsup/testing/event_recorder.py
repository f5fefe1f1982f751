"""Record the events of a supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hsup.events import DynoExited, DynoStateChanged, Event
from hsup.model import ExitStatus

_Event = TypeVar("_Event", bound=Event)


class EventRecorder:
    """An observer that keeps every event in `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._arrived = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        self._arrived.set()

    def of(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of one type."""
        return [event for event in self.events if isinstance(event, kind)]

    def states(self, dyno: str) -> list[str]:
        """Return the states that a dyno has entered, in order."""
        changes = self.of(DynoStateChanged)
        return [change.after.value for change in changes if str(change.dyno) == dyno]

    def statuses(self, dyno: str) -> list[ExitStatus]:
        """Return the exit statuses of the dynos with a name, in order."""
        return [exited.status for exited in self.of(DynoExited) if str(exited.dyno) == dyno]

    async def until(self, is_so: Callable[[EventRecorder], object]) -> None:
        """Wait until a condition on this recorder holds."""
        while not is_so(self):
            self._arrived.clear()
            await self._arrived.wait()

    async def state(self, dyno: str, state: str, times: int = 1) -> None:
        """Wait until a dyno has entered a state so many times."""
        await self.until(lambda recorder: recorder.states(dyno).count(state) >= times)
