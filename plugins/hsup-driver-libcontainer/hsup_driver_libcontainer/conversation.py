"""What hsup and the processes of one dyno say to each other, as hsup hears it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hsup_driver_libcontainer.child import messages
from hsup_driver_libcontainer.child.messages import Channels, Exited, Message, Signal, Watch


class Readers(Protocol):
    """What calls when descriptors can be read: a loop of asyncio's, or of `hsup.foreground`."""

    def add_reader(self, descriptor: int, action: Callable[[], object], /) -> None:
        """Call an action whenever a descriptor can be read."""

    def remove_reader(self, descriptor: int, /) -> object:
        """Call it no more."""


class BuilderGone(NamedTuple):
    """The builder has become the program, or is no more."""


class AllGone(NamedTuple):
    """The first process is no more, and so is every other; nothing follows."""


class Unheard(NamedTuple):
    """What the builder said cannot be taken, as too many files are open."""

    error: OSError


Heard = Message | BuilderGone | AllGone | Unheard


class Conversation:
    """The channels to a dyno's processes, and what its first process is known by.

    `tell` is given all that is heard, in the order in which it happened, and the descriptors
    that came with it. `pidfd` is -1 while no first process is known.
    """

    def __init__(
        self,
        channels: Channels,
        readers: Readers,
        tell: Callable[[Heard, Sequence[int]], None],
    ) -> None:
        self._channels = channels
        self._readers = readers
        self._tell = tell
        self.pidfd = -1
        self.is_over = False
        for channel, hear in (
            (channels.setup, self.hear_builder),
            (channels.first, self._hear_first),
        ):
            os.set_blocking(channel.fileno(), False)
            readers.add_reader(channel.fileno(), hear)

    def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        try:
            messages.say(self._channels.first, Signal(number))
        except BlockingIOError:
            pass  # it was stopped, and has more of them to read than a process can have waiting

    def kill(self) -> None:
        """End the first process, and so all others (man 7 pid_namespaces)."""
        if self.is_over:
            return
        if self.pidfd < 0:
            self._shut_down()
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    def hear_builder(self) -> None:
        """Take all that the builder has said so far."""
        setup = self._channels.setup
        while setup.fileno() >= 0:
            try:
                received = messages.receive(setup)
            except BlockingIOError:
                return
            except OSError as error:
                self._tell(Unheard(error), ())
                continue
            if received is None:
                self._leave_builder()
            else:
                if isinstance(received.message, Watch):
                    self._watch(*received.descriptors)
                self._tell(received.message, received.descriptors)

    def _watch(self, pidfd: int) -> None:
        self.pidfd = pidfd
        self._readers.add_reader(pidfd, self.end)

    def _hear_first(self) -> None:
        """Take all that the first process has said so far."""
        first = self._channels.first
        while first.fileno() >= 0:
            try:
                received = messages.receive(first)
            except BlockingIOError:
                return
            if received is None:
                self._close(first)
            else:
                if isinstance(received.message, Exited):
                    self.hear_builder()  # what was said before the end
                self._tell(received.message, received.descriptors)

    def end(self) -> None:
        """Hear the rest: the kernel has ended all other processes by now."""
        if self.is_over:
            return
        self.is_over = True
        self._forget_first_process()
        self.hear_builder()
        self._hear_first()
        if self._channels.setup.fileno() >= 0:
            self._leave_builder()
        self._close(self._channels.first)
        self._tell(AllGone(), ())

    def _forget_first_process(self) -> None:
        if self.pidfd >= 0:
            self._readers.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1

    def _leave_builder(self) -> None:
        self._close(self._channels.setup)
        self._tell(BuilderGone(), ())
        if self.pidfd < 0:  # nor will it ever be known
            self.end()

    def _close(self, channel: socket.socket) -> None:
        if channel.fileno() >= 0:
            self._readers.remove_reader(channel.fileno())
            channel.close()

    def _shut_down(self) -> None:
        """Have a first process that nobody has seen end by itself."""
        for channel in (self._channels.first, self._channels.setup):
            if channel.fileno() >= 0:
                channel.shutdown(socket.SHUT_RDWR)
