"""Know when the source is to be asked for its release, and why."""

from __future__ import annotations

import asyncio


class Asking:
    """Wakes whoever asks the source: it has changed, a user wants it, or it is time."""

    def __init__(self) -> None:
        self._reason = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._has_changed = False
        self._is_wanted = False

    def change(self) -> None:
        """Ask, as the source says that it has changed."""
        self._has_changed = True
        self._reason.set()

    def want(self) -> None:
        """Ask, as the user wants it."""
        self._is_wanted = True
        self._reason.set()

    def now(self) -> None:
        """Ask, whatever the reason is."""
        self._reason.set()

    def later(self, seconds: float) -> None:
        """Ask in some seconds, instead of when that was last said."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._reason.set)

    async def wait(self) -> None:
        """Return once there is a reason."""
        await self._reason.wait()

    def clear(self) -> None:
        """Be about to ask, for the reasons that there are."""
        self._reason.clear()

    def take(self) -> int:
        """Be about to ask; return how many times.

        That is twice where a user wants it of a source that has changed, too: it may look for
        no more than what it knows to have changed.
        """
        times = 2 if self._has_changed and self._is_wanted else 1
        self._reason.clear()
        self._has_changed = self._is_wanted = False
        return times
