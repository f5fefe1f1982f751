"""What hsup and the processes of one dyno say to each other, as hsup hears it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hsup_driver_libcontainer.child import kernel, protocol
from hsup_driver_libcontainer.child.protocol import (
    Channels,
    Exited,
    Launch,
    Message,
    Signal,
    Watch,
)


class Readers(Protocol):
    """What calls when descriptors can be read: a loop of asyncio's, or of `hsup.foreground`."""

    def add_reader(self, descriptor: int, action: Callable[[], object], /) -> None:
        """Call an action whenever a descriptor can be read."""

    def remove_reader(self, descriptor: int, /) -> object:
        """Call it no more."""


class BuilderGone(NamedTuple):
    """The builder has become the program, or is no more."""


class AllGone(NamedTuple):
    """The first process is no more, and so is every other."""


class Unheard(NamedTuple):
    """What the builder said cannot be taken, as too many files are open."""

    error: OSError


Heard = Message | BuilderGone | AllGone | Unheard


class Conversation:
    """The channels to a dyno's processes, and the pidfd of its first process.

    `tell` is given all that is heard, with the descriptors that came with it: what the builder
    said, BuilderGone, what the first process said of the program, and AllGone. `pidfd` is -1
    before a first process `was_seen`, and when it is no more.
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
        self.was_seen = False
        for channel, hear in (
            (channels.setup, self._hear_builder),
            (channels.first, self._hear_first),
        ):
            os.set_blocking(channel.fileno(), False)
            readers.add_reader(channel.fileno(), hear)

    @property
    def held(self) -> str:
        """Return what /proc calls what all processes have that may be the first one."""
        return self._channels.held

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more can be heard."""
        return not self._descriptors()

    def launch(self, descriptors: Sequence[int]) -> None:
        """Have the builder start a program; the descriptors are those of `Launch`."""
        protocol.say(self._channels.setup, Launch(), descriptors)

    def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        try:
            protocol.say(self._channels.first, Signal(number))
        except BlockingIOError:
            pass  # it was stopped, and has more of them to read than a process can have waiting

    def kill(self) -> None:
        """End the first process, and so all others (man 7 pid_namespaces)."""
        if self.pidfd < 0:
            self._shut_down()
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    def catch_up(self) -> None:
        """Take what was said, and an end that has come, before anybody is called for it."""
        self._hear_builder()
        if self.pidfd >= 0 and kernel.has_ended(self.pidfd):
            self._end()

    def leave(self) -> None:
        """Be called no more. The event loop is running, or closed already."""
        for descriptor in self._descriptors():
            self._readers.remove_reader(descriptor)

    def await_first_process(self, seconds: float | None) -> bool:
        """Block until it is known, or never will be; tell whether it took no longer than that.

        This has been left; None is for as long as it takes.
        """
        setup = self._channels.setup
        milliseconds = None if seconds is None else int(seconds * 1000)
        while self.pidfd < 0 and setup.fileno() >= 0:
            if not kernel.is_ready(setup.fileno(), milliseconds):
                return False
            received = protocol.receive(setup)
            if received is None:
                setup.close()
            elif isinstance(received.message, Watch):
                (self.pidfd,) = received.descriptors
        return True

    def close(self, *, awaits_end: bool) -> None:
        """End all processes, and block until they have ended if that is awaited.

        This has been left.
        """
        self.kill()
        self._channels.first.close()
        self._channels.setup.close()
        if self.pidfd >= 0:
            if awaits_end:
                kernel.has_ended(self.pidfd, timeout_ms=None)
            os.close(self.pidfd)
            self.pidfd = -1

    def _hear_builder(self) -> None:
        """Take all that the builder has said so far."""
        setup = self._channels.setup
        while setup.fileno() >= 0:
            try:
                received = protocol.receive(setup)
            except BlockingIOError:
                return
            except OSError as error:
                self._tell(Unheard(error), ())
                continue
            if received is None:
                self._leave_builder()
            else:
                self._watch(received)
                self._tell(*received)

    def _hear_first(self) -> None:
        """Take all that the first process has said so far."""
        first = self._channels.first
        while first.fileno() >= 0:
            try:
                received = protocol.receive(first)
            except BlockingIOError:
                return
            if received is None:
                self._close(first)
            else:
                if isinstance(received.message, Exited):
                    self._hear_rest_of_builder()
                if first.fileno() >= 0:  # else no first process was ever seen
                    self._tell(*received)

    def _watch(self, received: protocol.Received) -> None:
        if isinstance(received.message, Watch):
            (self.pidfd,) = received.descriptors
            self.was_seen = True
            self._readers.add_reader(self.pidfd, self._end)

    def _end(self) -> None:
        """Hear the rest: the kernel has ended all other processes by now."""
        if self.pidfd >= 0:
            self._readers.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        self._hear_rest_of_builder()
        self._hear_first()
        self._close(self._channels.first)
        self._tell(AllGone(), ())

    def _hear_rest_of_builder(self) -> None:
        """Take what was said before the end of the program that it has become, or of itself."""
        self._hear_builder()
        if self._channels.setup.fileno() >= 0:  # somebody else has the other end, too
            self._leave_builder()

    def _leave_builder(self) -> None:
        self._close(self._channels.setup)
        self._tell(BuilderGone(), ())
        if not self.was_seen:  # nor will it ever be
            self._end()

    def _close(self, channel: socket.socket) -> None:
        if channel.fileno() >= 0:
            self._readers.remove_reader(channel.fileno())
            channel.close()

    def _shut_down(self) -> None:
        """Have a first process that nobody has seen end by itself."""
        for channel in (self._channels.first, self._channels.setup):
            if channel.fileno() >= 0:
                channel.shutdown(socket.SHUT_RDWR)

    def _descriptors(self) -> list[int]:
        """Return what is open."""
        first, setup, _ = self._channels
        return [one for one in (first.fileno(), setup.fileno(), self.pidfd) if one >= 0]
