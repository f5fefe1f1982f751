"""Wait for descriptors and points of time: asyncio takes a third of the time of `hsup run`."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

_Action = Callable[[], object]

#: poll(2) takes no more than 24 days.
_LONGEST_SECONDS = 3600.0


class Loop:
    """Calls what waits for descriptors and for points of time, one after the other."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, _Action] = {}
        self._writers: dict[int, _Action] = {}
        self._timers: list[tuple[float, _Action]] = []

    def add_reader(self, descriptor: int, action: _Action, /) -> None:
        """Call an action whenever a descriptor can be read, or its other end is closed."""
        self._readers[descriptor] = action
        self._register(descriptor)

    def remove_reader(self, descriptor: int, /) -> None:
        """Call it no more; nothing if there is none."""
        if self._readers.pop(descriptor, None):
            self._register(descriptor)

    def add_writer(self, descriptor: int, action: _Action, /) -> None:
        """Call an action whenever a descriptor can be written, or its other end is closed."""
        self._writers[descriptor] = action
        self._register(descriptor)

    def remove_writer(self, descriptor: int, /) -> None:
        """Call it no more; nothing if there is none."""
        if self._writers.pop(descriptor, None):
            self._register(descriptor)

    def call_later(self, seconds: float, action: _Action) -> None:
        """Call an action once, when so many seconds have passed."""
        self._timers.append((time.monotonic() + seconds, action))

    def run_once(self) -> None:
        """Wait for anything, and call for all that is there."""
        for descriptor, events in self._poll.poll(self._milliseconds_left()):
            self._call(descriptor, events)
        self._call_timers()

    def wait_writable(self, descriptor: int, other: int, action: _Action) -> bool:
        """Wait for room in a descriptor; tell whether there is, or something else was done.

        That is the action, when the other descriptor can be read, and what a timer calls.
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
        """Call for what has come; an end or an error is for both."""
        if events & ~select.POLLOUT and (reader := self._readers.get(descriptor)):
            reader()
        if events & ~select.POLLIN and (writer := self._writers.get(descriptor)):
            writer()

    def _milliseconds_left(self) -> float | None:
        """Return the time until the next timer, None where there is none."""
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
    """Tell whether there is room in a descriptor, having waited so long for it."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    return bool(room.poll(seconds * 1000))
