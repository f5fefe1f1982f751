"""End processes that were stopped by a signal and so block the start or the end of a dyno."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from hsup.errors import DynoStartError
from hsup_driver_libcontainer.child.processes import children_of, holders_of, is_stopped, pid_of
from hsup_driver_libcontainer.conversation import Conversation
from hsup_driver_libcontainer.program import start_error

logger = logging.getLogger(__name__)

#: How often to look for stopped processes that a dyno's start depends on.
_LOOK_SECONDS = 5.0


class Lookout:
    """Looks at the processes of a dyno at intervals, from the beginning, while it depends on them.

    `end_stuck` ends a zygote that makes no progress, and is given the seconds for which that
    has been so. `fail` is given the reason why the dyno cannot be started.
    """

    def __init__(
        self,
        conversation: Conversation,
        end_stuck: Callable[[float], None],
        fail: Callable[[DynoStartError], None],
    ) -> None:
        self._conversation = conversation
        self._end_stuck = end_stuck
        self._fail = fail
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.look()

    def look(self) -> None:
        """Begin to look, anew if that was begun before."""
        self.rest()
        self._count = 0
        self._look_later()

    def rest(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def end_stopped(self) -> None:
        """Kill processes of the dyno that were stopped before hsup knew them."""
        try:
            for pid in filter(is_stopped, holders_of(self._conversation.held)):
                self._fail_stopped()
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        except OSError:  # too many files are open to look into /proc
            logger.debug("cannot look for the processes of a dyno", exc_info=True)

    def see_first_process(self) -> None:
        """Block until the first process is known, or can no longer become known."""
        if not self._conversation.await_first_process(_LOOK_SECONDS):
            self._end_stuck(math.inf)
            self.end_stopped()
            self._conversation.await_first_process(None)

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        self._count += 1
        try:
            if self._conversation.pidfd < 0:
                self._end_stuck(self._count * _LOOK_SECONDS)
                self.end_stopped()
            elif self._is_stopped():
                self._fail_stopped()
                self._conversation.kill()
        except OSError:  # too many files are open to look into /proc
            logger.debug("cannot look at the processes of a dyno", exc_info=True)

    def _is_stopped(self) -> bool:
        first = pid_of(self._conversation.pidfd)
        return any(map(is_stopped, (first, *children_of(first))))

    def _fail_stopped(self) -> None:
        self._fail(start_error(f"one of its processes was stopped for {_LOOK_SECONDS:g} s"))
