"""A container that runs on hsup's own streams and terminal, for `hsup.foreground`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

from hsup.errors import DriverError, TooManyProcesses
from hsup.foreground import Input, Session
from hsup.model import ExitStatus
from hsup.terminal import WindowSize
from hsup.threads import start_thread
from hsup_driver_docker.containers.container import TERMINAL_STREAMS
from hsup_driver_docker.containers.ending import Ending
from hsup_driver_docker.containers.handle import AttachedRun, Handle
from hsup_driver_docker.engine.connection import Stream, end_writing, read_some
from hsup_driver_docker.engine.frames import STDOUT, Demultiplexer

#: How often an engine that was asked to kill is pinged, and how long a ping may take.
_LOOK_SECONDS, _PING_SECONDS = 4.0, 4.0
#: How long an engine that answers takes to kill a process, at most.
_KILLED_SECONDS = 30.0


class AttachedContainer:
    """A container whose streams are hsup's own.

    `terminal` is for the `Session` that runs it.
    """

    def __init__(self, attached: AttachedRun, *, has_terminal: bool) -> None:
        self.terminal = TERMINAL_STREAMS if has_terminal else ()
        self._attached = attached
        self._ending = Ending(attached.events.first, attached.removal.first)

    @property
    def has_ended(self) -> bool:
        """Tell whether the container has ended; the engine removes it then."""
        return self._ending.code is not None

    def begin(self, session: Session) -> None:
        """Follow the engine's streams, and show the output that has arrived already."""
        self._loop = session.loop
        has_terminal = bool(self.terminal)
        self._relay = ForegroundRelay(
            session, self._attached.stream, self._see_output_end, has_terminal=has_terminal
        )
        for stream, action in (
            (self._attached.events, self._hear),
            (self._attached.removal, self._see_removal),
        ):
            stream.socket.settimeout(0)
            self._loop.add_reader(stream.socket.fileno(), action)
        self._take(b"")

    def is_over(self) -> bool:
        """Tell whether the status is final, and all output was shown."""
        return self._ending.is_sure and not self._relay.is_open

    def status(self) -> ExitStatus:
        """Return how the program ended. Raises EngineUnreachable if the engine did not say."""
        self._hear()  # an event "oom" may come after that of the end
        status = self._ending.status()
        if status is None:
            raise self._handle.engine.cut()
        return status

    def send(self, number: int) -> None:
        """Send a signal to every process."""
        _in_thread(partial(self._handle.signal, number))

    def stop(self, numbers: Sequence[int]) -> None:
        """Send signals to every process; the last one ends them."""
        *first, last = numbers

        def stop(end: Callable[[int], object]) -> None:
            for number in first:
                self._handle.signal(number)
            end(last)

        _in_thread(
            partial(stop, self._handle.end_and_wait), partial(stop, self._handle.end_program)
        )

    def kill(self) -> None:
        """End every process, and check that the engine does so."""
        _in_thread(self._handle.kill)
        self._look_later(time.monotonic() + _KILLED_SECONDS)

    def resize(self, size: WindowSize) -> None:
        """Set the size of the container's terminal."""
        _in_thread(partial(self._handle.engine.resize, self._handle.id, size))

    @property
    def _handle(self) -> Handle:
        return self._attached.handle

    def _hear(self) -> None:
        """Read the events of the container."""
        data = read_some(self._attached.events.socket)
        if data == b"":  # the connection broke
            self._loop.remove_reader(self._attached.events.socket.fileno())
        elif data is not None:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if self._ending.hear(data):
            _in_thread(self._handle.kill)
        if self.has_ended:
            self._relay.stop_input()

    def _see_removal(self) -> None:
        """Read the stream that ends with the removal of the container, or with the engine."""
        data = read_some(self._attached.removal.socket)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._attached.removal.socket.fileno())
            self._relay.stop_input()
        self._ending.see_removal(data)

    def _see_output_end(self) -> None:
        if self._handle.engine.is_podman:
            self._loop.call_later(_LOOK_SECONDS, self._ask)

    def _ask(self) -> None:
        """Ask for the state, as Podman may miss the end of a container that it waits for."""
        if not self._ending.see_state(self._handle.state()):
            self._loop.call_later(_LOOK_SECONDS, self._ask)

    def _look_later(self, deadline: float) -> None:
        self._loop.call_later(_LOOK_SECONDS, partial(self._look, deadline))

    def _look(self, deadline: float) -> None:
        """Raise EngineUnreachable if the engine is silent, DriverError if it is late to kill."""
        engine = self._handle.engine
        try:
            engine.ping(_PING_SECONDS)
        except DriverError:
            engine.give_up()
            raise
        if time.monotonic() > deadline:
            text = f"the Docker Engine did not kill container {self._handle.name}"
            raise DriverError(text, hint="restart the engine")
        self._look_later(deadline)


class ForegroundRelay:
    """Copies between a container's stream and hsup's own; `ended` is called at the end of it."""

    def __init__(
        self, session: Session, stream: Stream, ended: Callable[[], None], *, has_terminal: bool
    ) -> None:
        self._session = session
        self._socket = stream.socket
        self._frames = None if has_terminal else Demultiplexer()
        self._ended = ended
        self._socket.settimeout(0)
        session.loop.add_reader(self._socket.fileno(), self._read)
        self._feed = session.feed(_StreamInput(self._socket))
        self._show(stream.first)

    @property
    def is_open(self) -> bool:
        """Tell whether the container may still write something."""
        return self._socket.fileno() >= 0

    def stop_input(self) -> None:
        """Stop reading hsup's input, because nothing reads it any longer."""
        self._feed.stop()

    def _read(self) -> None:
        data = read_some(self._socket)
        if data:
            self._show(data)
        elif data is not None:
            self._close()

    def _close(self) -> None:
        self._session.loop.remove_reader(self._socket.fileno())
        self._feed.stop()
        self._socket.close()
        self._ended()

    def _show(self, data: bytes) -> None:
        if self._frames is None:
            self._session.show(data)
            return
        for stream, piece in self._frames.feed(data):
            if not self._session.write(stream - STDOUT + 1, piece):
                self._session.take(Input.OUTPUT_BROKEN)


class _StreamInput:
    """The stream of a container, as a sink for its input."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.fileno = connected.fileno

    def write(self, data: bytes) -> int:
        """Write as much as the engine takes; return how much that was."""
        try:
            return self._socket.send(data)
        except OSError as error:
            if "Want" in type(error).__name__:  # of TLS, which continues after the next read
                return 0
            raise

    def end(self) -> None:
        """End the input."""
        try:
            end_writing(self._socket)
        except OSError:
            pass  # the dyno has ended


def _in_thread(work: Callable[[], object], at_once: Callable[[], object] | None = None) -> None:
    """Do work in a thread, so that the relay of the streams need not wait for it.

    If no thread can be started, do the work `at_once` instead, and let the relay wait.
    """
    try:
        start_thread(partial(_ask, work))
    except TooManyProcesses:
        _ask(at_once or work)


def _ask(work: Callable[[], object]) -> None:
    try:
        work()
    except DriverError:
        pass  # the streams show the end of container or engine
