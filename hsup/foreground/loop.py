"""Wait for descriptors and timers: importing asyncio takes a third of the time of `hsup run`."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

_Action = Callable[[], object]

#: poll(2) accepts no more than 24 days.
_LONGEST_SECONDS = 3600.0


class Loop:
    """Calls actions when descriptors are ready and when timers expire, one after the other."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, _Action] = {}
        self._writers: dict[int, _Action] = {}
        self._timers: list[tuple[float, _Action]] = []

    def add_reader(self, descriptor: int, action: _Action, /) -> None:
        """Call an action whenever a descriptor is readable, or its other end is closed."""
        self._readers[descriptor] = action
        self._register(descriptor)

    def remove_reader(self, descriptor: int, /) -> None:
        """Remove the reader of a descriptor, if there is one."""
        if self._readers.pop(descriptor, None):
            self._register(descriptor)

    def add_writer(self, descriptor: int, action: _Action, /) -> None:
        """Call an action whenever a descriptor is writable, or its other end is closed."""
        self._writers[descriptor] = action
        self._register(descriptor)

    def remove_writer(self, descriptor: int, /) -> None:
        """Remove the writer of a descriptor, if there is one."""
        if self._writers.pop(descriptor, None):
            self._register(descriptor)

    def call_later(self, seconds: float, action: _Action) -> None:
        """Call an action once, after so many seconds."""
        self._timers.append((time.monotonic() + seconds, action))

    def run_once(self) -> None:
        """Wait for any event, and call the actions of all events."""
        for descriptor, events in self._poll.poll(self._milliseconds_left()):
            self._call(descriptor, events)
        self._call_timers()

    def wait_writable(self, descriptor: int, other: int, action: _Action) -> bool:
        """Wait for room in a descriptor; return True if there is room, False after other events.

        Calls `action` if `other` becomes readable first, and the actions of expired timers.
        """
        room = select.poll()
        room.register(descriptor, select.POLLOUT)
        room.register(other, select.POLLIN)
        ready = dict(room.poll(self._milliseconds_left()))
        if descriptor in ready:
            return True
        if ready:
            action()
        self._call_timers()
        return False

    def _register(self, descriptor: int) -> None:
        reading = select.POLLIN if descriptor in self._readers else 0
        writing = select.POLLOUT if descriptor in self._writers else 0
        if reading | writing:
            self._poll.register(descriptor, reading | writing)
        else:
            self._poll.unregister(descriptor)

    def _call(self, descriptor: int, events: int) -> None:
        """Call the actions of a descriptor's events; a hang-up or an error is for both."""
        if events & ~select.POLLOUT and (reader := self._readers.get(descriptor)):
            reader()
        if events & ~select.POLLIN and (writer := self._writers.get(descriptor)):
            writer()

    def _milliseconds_left(self) -> float | None:
        """Return the time until the next timer, None if there is none."""
        if not self._timers:
            return None
        left = min(when for when, _ in self._timers) - time.monotonic()
        return max(0.0, min(left, _LONGEST_SECONDS)) * 1000

    def _call_timers(self) -> None:
        now = time.monotonic()
        due = [action for when, action in self._timers if when <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for action in due:
            action()


def is_writable(descriptor: int, seconds: float) -> bool:
    """Tell whether there is room in a descriptor, after waiting for it so long at most."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    return bool(room.poll(seconds * 1000))
