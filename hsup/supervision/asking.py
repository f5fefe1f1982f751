"""Decide when to ask the source for its release."""

from __future__ import annotations

import asyncio


class Asking:
    """Wakes the supervisor to ask the source: it changed, a user wants it, or it is time."""

    def __init__(self) -> None:
        self._reason = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._has_changed = False
        self._is_wanted = False

    def change(self) -> None:
        """Ask because the source says that it has changed."""
        self._has_changed = True
        self._reason.set()

    def want(self) -> None:
        """Ask because the user wants it."""
        self._is_wanted = True
        self._reason.set()

    def now(self) -> None:
        """Ask for any other reason."""
        self._reason.set()

    def later(self, seconds: float) -> None:
        """Ask in that many seconds, replacing an earlier such request."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._reason.set)

    async def wait(self) -> None:
        """Return once there is a reason to ask."""
        await self._reason.wait()

    def clear(self) -> None:
        """Note that the source is about to be asked while a release is built."""
        self._reason.clear()

    def take(self) -> int:
        """Clear all reasons; return how many times to ask.

        The answer is 2 if a user wants it and the source has changed, too: a source may read
        only what it knows to have changed.
        """
        times = 2 if self._has_changed and self._is_wanted else 1
        self._reason.clear()
        self._has_changed = self._is_wanted = False
        return times
