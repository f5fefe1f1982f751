"""The side of the process that runs the program."""

from __future__ import annotations

import os
import select
import signal
import time
from types import TracebackType

from hsup.copying.channel import BEGUN, COPIED, ENDED, HURRY, LEFT, SAID, Channel
from hsup.copying.ends import Ends, copy_of
from hsup.terminal import ENDING, REPEAT_SECONDS, signals_woken

_HURRYING = {signal.SIGINT, *ENDING}


class Runner:
    """Gives the program its ends of what is copied, inside a block.

    `relay` is the process that copies, None if it is this one's parent.
    """

    def __init__(self, ends: Ends, channel: Channel, relay: int | None) -> None:
        self._ends = ends
        self._channel = channel
        self._relay = relay
        self._own: dict[int, int] = {}
        self._has_begun = False

    @property
    def processes(self) -> tuple[int, ...]:
        """Return the child that copies, if it is one."""
        return () if self._relay is None else (self._relay,)

    def __enter__(self) -> None:
        """Replace hsup's streams: what starts now has the ends."""
        for stream, end in self._ends.given.items():
            self._own[stream] = copy_of(stream)
            os.dup2(end, stream)
        self._ends.leave()
        self._has_begun = True
        self._channel.tell(BEGUN)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the streams back, once the caller has everything that was written."""
        self._take_back()
        self._channel.tell(ENDED)
        self._wait(self._channel.fileno())
        self._channel.waits_for(COPIED)

    def say(self, text: str) -> None:
        """Have a line of hsup's own delivered, too."""
        self._channel.tell(SAID, text)

    def leave(self) -> None:
        """Wait until the relay has delivered everything, or has given up.

        The program need not have begun.
        """
        if not self._has_begun:
            self._take_back()
            self._ends.leave()
            self._channel.tell(ENDED)
        self._channel.tell(LEFT)
        if self._relay is None:  # it waits for this process
            return
        ended = os.pidfd_open(self._relay)
        self._wait(ended)
        os.close(ended)
        os.waitpid(self._relay, 0)

    def _take_back(self) -> None:
        for stream, own in self._own.items():
            os.dup2(own, stream)
            os.close(own)

    def _wait(self, descriptor: int) -> None:
        """Wait until a descriptor is readable; tell the relay if the user does not want to wait.

        A signal at the beginning may be the second of the two that have ended the program.
        """
        begun = time.monotonic()
        with signals_woken() as woken:
            ready = select.poll()
            ready.register(descriptor, select.POLLIN)
            ready.register(woken, select.POLLIN)
            while descriptor not in [one for one, _ in ready.poll()]:
                numbers = {*os.read(woken, 64)}
                if numbers & _HURRYING and time.monotonic() - begun > REPEAT_SECONDS:
                    self._channel.tell(HURRY)
