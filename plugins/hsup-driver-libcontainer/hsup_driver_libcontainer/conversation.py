"""Exchange messages with the processes of one dyno, at hsup's end of the channels."""

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
    """An event loop that watches descriptors: asyncio's, or that of `hsup.foreground`."""

    def add_reader(self, descriptor: int, action: Callable[[], object], /) -> None:
        """Call an action whenever a descriptor is readable."""

    def remove_reader(self, descriptor: int, /) -> object:
        """Stop watching a descriptor."""


class BuilderGone(NamedTuple):
    """The builder has become the program, or has ended."""


class AllGone(NamedTuple):
    """The first process has ended, and with it all others."""


class Unheard(NamedTuple):
    """A message of the builder could not be received, because too many files are open."""

    error: OSError


Heard = Message | BuilderGone | AllGone | Unheard


class Conversation:
    """The channels to a dyno's processes, and the pidfd of its first process.

    `tell` is called with each message and the descriptors that came with it: the messages of the
    builder, BuilderGone, those of the first process about the program, and AllGone. `pidfd` is -1
    until the first process `was_seen`, and again after it has ended.
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
        """Return what /proc calls the socket by which the dyno's processes can be found."""
        return self._channels.held

    @property
    def is_over(self) -> bool:
        """Tell whether no more messages can arrive."""
        return not self._descriptors()

    def launch(self, descriptors: Sequence[int]) -> None:
        """Tell the builder to start a program; the descriptors are those of `Launch`."""
        protocol.say(self._channels.setup, Launch(), descriptors)

    def signal(self, number: int) -> None:
        """Send a signal to every process, in one step."""
        try:
            protocol.say(self._channels.first, Signal(number))
        except BlockingIOError:
            pass  # it was stopped, and the channel is full of signals that it has not read

    def kill(self) -> None:
        """Kill the first process, and with it all others (man 7 pid_namespaces)."""
        if self.pidfd < 0:
            self._shut_down()
            return
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just ended

    def catch_up(self) -> None:
        """Handle what has arrived already, without waiting for the event loop."""
        self._hear_builder()
        if self.pidfd >= 0 and kernel.has_ended(self.pidfd):
            self._end()

    def leave(self) -> None:
        """Stop watching all descriptors. The event loop is running, or closed already."""
        for descriptor in self._descriptors():
            self._readers.remove_reader(descriptor)

    def await_first_process(self, seconds: float | None) -> bool:
        """Block until the first process is known, or can no longer be; tell if that was in time.

        `leave` was called before. None waits without a limit.
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
        """Kill all processes, and block until they have ended if `awaits_end`.

        `leave` was called before.
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
        """Handle all messages that the builder has sent so far."""
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
        """Handle all messages that the first process has sent so far."""
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
                if first.fileno() >= 0:  # otherwise no first process was ever seen
                    self._tell(*received)

    def _watch(self, received: protocol.Received) -> None:
        if isinstance(received.message, Watch):
            (self.pidfd,) = received.descriptors
            self.was_seen = True
            self._readers.add_reader(self.pidfd, self._end)

    def _end(self) -> None:
        """Handle the remaining messages: the kernel has ended all other processes by now."""
        if self.pidfd >= 0:
            self._readers.remove_reader(self.pidfd)
            os.close(self.pidfd)
            self.pidfd = -1
        self._hear_rest_of_builder()
        self._hear_first()
        self._close(self._channels.first)
        self._tell(AllGone(), ())

    def _hear_rest_of_builder(self) -> None:
        """Handle the builder's remaining messages, which precede the end of the program."""
        self._hear_builder()
        if self._channels.setup.fileno() >= 0:  # another process holds the other end as well
            self._leave_builder()

    def _leave_builder(self) -> None:
        self._close(self._channels.setup)
        self._tell(BuilderGone(), ())
        if not self.was_seen:  # and never will be
            self._end()

    def _close(self, channel: socket.socket) -> None:
        if channel.fileno() >= 0:
            self._readers.remove_reader(channel.fileno())
            channel.close()

    def _shut_down(self) -> None:
        """Make a first process that was not seen yet end by itself."""
        for channel in (self._channels.first, self._channels.setup):
            if channel.fileno() >= 0:
                channel.shutdown(socket.SHUT_RDWR)

    def _descriptors(self) -> list[int]:
        """Return the descriptors that are open."""
        first, setup, _ = self._channels
        descriptors = (first.fileno(), setup.fileno(), self.pidfd)
        return [descriptor for descriptor in descriptors if descriptor >= 0]
