"""Run one container on hsup's own streams and terminal, to its end."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from signal import SIGHUP, SIGPIPE, SIGTERM, SIGWINCH

from hsup.errors import DriverError, TooManyProcesses
from hsup.model import ExitStatus
from hsup.terminal import (
    ENDING,
    HURRYING,
    Listeners,
    Repeats,
    hears_hang_ups,
    is_foreground,
    raw_mode,
    window_size,
)
from hsup.threads import start_thread
from hsup_driver_docker.connection import EngineError, Stream, end_writing, read_some
from hsup_driver_docker.container import Terminal
from hsup_driver_docker.engine import KILLED, NOT_FOUND, State, exit_status, status_of
from hsup_driver_docker.events import OUT_OF_MEMORY, Lines
from hsup_driver_docker.frames import STDOUT, Demultiplexer
from hsup_driver_docker.handle import Handle

_READ_BYTES = 1 << 16
#: What a pipe with room takes at once (man 7 pipe, PIPE_BUF).
_PIPE_BYTES = 4096
#: What was read of the input and not yet taken by the engine, before reading stops.
_MOST_PENDING_BYTES = 1 << 16
#: How often an engine that was told to kill is asked whether it answers at all, and for how long.
_LOOK_SECONDS, _PING_SECONDS = 4.0, 4.0
#: What an engine that answers takes at most to kill a process.
_KILLED_SECONDS = 30.0
#: What an engine may say of an end before it knows better: that memory was used up, or, up to
#: version 23, that containerd did not tell the status. It does once the container is removed.
_DOUBTFUL = frozenset({KILLED, 255})


def terminal_of(environ: Mapping[str, str]) -> Terminal | None:
    """Return the terminal that a container gets: where input and output are hsup's."""
    if os.isatty(0) and os.isatty(1):
        return Terminal(window_size(0), environ.get("TERM"))
    return None


class Session:
    """A container whose streams are hsup's own: what it shows, what is typed, signals, its end."""

    def __init__(
        self,
        handle: Handle,
        stream: Stream,
        events: Stream,
        removal: Stream,
        *,
        has_terminal: bool,
    ) -> None:
        self._handle = handle
        self._socket = stream.socket
        self._first = stream.first
        self._events = events.socket
        self._lines = Lines(events.first)
        self._removal = removal.socket
        self._removed = removal.first
        self._code: int | None = None
        self._has_terminal = has_terminal
        self._frames = Demultiplexer()
        self._listeners = Listeners()
        self._typed = b""
        self._is_input_over = False
        self._deadline = math.inf
        self._look_at = math.inf
        self._ask_at = math.inf
        self._repeats = Repeats()
        self._ran_out_of_memory = False
        self._broken: dict[int, OSError] = {}
        self._is_removed = False
        self._is_over = False

    def run(self, grace_seconds: float, woken: int) -> ExitStatus:
        """Relay until the container has ended; `woken` is what `signals_woken` gives.

        Raises DriverError where the engine went away, or where the output could not
        be written.
        """
        self._grace_seconds = grace_seconds
        self._woken = woken
        with self._raw_mode(), self._events, self._removal:
            self._begin()
            while not self._is_sure_of_end or self._socket.fileno() >= 0:
                self._turn()
            self._hear()
        return self._status()

    @property
    def has_ended(self) -> bool:
        """Tell whether the container has ended, of which the engine removes the rest then."""
        return self._code is not None

    @property
    def _is_sure_of_end(self) -> bool:
        """Tell whether nothing that comes later can change what is known of the end."""
        return self._is_removed or (self._code is not None and self._code not in _DOUBTFUL)

    def _raw_mode(self) -> AbstractContextManager[None]:
        return raw_mode() if self._has_terminal else nullcontext()

    def _begin(self) -> None:
        self._socket.settimeout(0)
        self._events.settimeout(0)
        self._removal.settimeout(0)
        self._listeners.listen(self._socket.fileno(), self._relay)
        self._listeners.listen(self._events.fileno(), self._hear)
        self._listeners.listen(self._removal.fileno(), self._see_removal)
        self._listeners.listen(self._woken, self._take_signals)
        if not os.isatty(0) or is_foreground():
            self._listeners.listen(0, self._read_input)
        self._show(self._first)
        self._see(b"")

    def _status(self) -> ExitStatus:
        for error in self._broken.values():
            if not isinstance(error, BrokenPipeError):
                text = f"cannot write what the dyno wrote: {error.strerror}"
                raise DriverError(text, hint="see where standard output goes") from error
        if self._code is None:
            raise self._handle.engine.cut()
        ended = State(is_running=False, code=self._code)
        return exit_status(ended, ran_out_of_memory=self._ran_out_of_memory)

    def _turn(self) -> None:
        self._listeners.turn(self._left_milliseconds())
        self._kill_late()
        self._look_late()
        self._ask_late()

    def _left_milliseconds(self) -> float | None:
        next_at = min(self._look_at if self._is_over else self._deadline, self._ask_at)
        left = next_at - time.monotonic()
        return None if left == math.inf else max(0.0, left) * 1000

    def _kill_late(self) -> None:
        if time.monotonic() >= self._deadline and not self._is_over:
            self._is_over = True
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._beside(self._handle.kill)

    def _look_late(self) -> None:
        """Raise EngineAway where an engine does not answer, or DriverError if it cannot kill."""
        if time.monotonic() < self._look_at:
            return
        engine = self._handle.engine
        try:
            engine.ping(_PING_SECONDS)
        except DriverError:
            engine.give_up()
            raise
        if time.monotonic() > self._deadline + _KILLED_SECONDS:
            text = f"the Docker Engine does not end the container {self._handle.name}"
            raise DriverError(text, hint="restart the engine")
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def _ask_late(self) -> None:
        """Ask how it is where nothing more was told: Podman may miss what it should wait for.

        Raises EngineError where it has removed the container, and not told the status.
        """
        if time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + _LOOK_SECONDS
        state = self._handle.state()
        if state is not None and state.is_running:
            return
        self._is_removed = True
        if self._code is None:
            if state is None:
                raise EngineError("Podman did not tell how the command ended", status=NOT_FOUND)
            self._code = state.code

    def _hear(self) -> None:
        """Hear what happens to the container."""
        data = read_some(self._events)
        if data == b"":  # the engine went away
            self._listeners.ignore(self._events.fileno())
        elif data is not None:
            self._see(data)

    def _see(self, told: bytes) -> None:
        for event in self._lines.feed(told):
            if event.what == OUT_OF_MEMORY:
                self._ran_out_of_memory = True
                self._beside(self._handle.kill)
            elif event.code is not None:
                self._code = event.code
                self._listeners.ignore(0)

    def _see_removal(self) -> None:
        """Hear that nothing is left of the container, or that the engine went away."""
        data = read_some(self._removal)
        if data is None:
            return
        self._removed += data
        if not data:
            self._is_removed = True
            self._listeners.ignore(self._removal.fileno())
            self._listeners.ignore(0)
            if self._removed.strip():
                self._take_status()

    def _take_status(self) -> None:
        """Believe what the removal tells, but a failure only where nothing else is known."""
        try:
            self._code = status_of(self._removed)
        except EngineError:
            if self._code is None:
                raise

    def _leave(self) -> None:
        if self._socket.fileno() >= 0:
            self._listeners.ignore(self._socket.fileno())
            self._socket.close()
            if self._handle.engine.is_podman:
                self._ask_at = time.monotonic() + _LOOK_SECONDS

    def _relay(self) -> None:
        data = read_some(self._socket)
        if data:
            self._show(data)
        elif data is not None:
            self._leave()
            return
        self._pass_on()

    def _show(self, data: bytes) -> None:
        if self._has_terminal:
            self._write(1, memoryview(data))
            return
        for stream, piece in self._frames.feed(data):
            self._write(stream - STDOUT + 1, piece)

    def _write(self, stream: int, data: memoryview) -> None:
        while data and stream not in self._broken:
            if not self._can_write(stream):
                return
            try:
                data = data[os.write(stream, data[:_PIPE_BYTES]) :]
            except BlockingIOError:
                continue  # somebody has made it non-blocking
            except OSError as error:  # a full disk, or nobody reads
                if self._has_terminal:
                    self._hang_up()
                    return
                self._broken[stream] = error
                self._break_off()

    def _can_write(self, stream: int) -> bool:
        """Wait for room, and for signals meanwhile; tell whether to go on."""
        room = select.poll()
        room.register(stream, select.POLLOUT)
        room.register(self._woken, select.POLLIN)
        while True:
            ready = room.poll(0 if self._is_over else self._left_milliseconds())
            if any(descriptor == stream for descriptor, _ in ready):
                return True
            if self._is_over:
                return False
            if ready:
                self._take_signals()
            self._kill_late()

    def _hang_up(self) -> None:
        """Pass on that the terminal was closed; SIGHUP may tell so later, or never."""
        if self._deadline == math.inf and hears_hang_ups():
            self._end_soon(SIGHUP)

    def _break_off(self) -> None:
        """Have who still writes get SIGPIPE, and the others end: nothing more can be shown."""
        if self._deadline == math.inf:
            self._deadline = time.monotonic() + self._grace_seconds
            self._beside(partial(self._handle.signal, SIGPIPE), then_end_by=SIGTERM)

    def _read_input(self) -> None:
        try:
            typed = os.read(0, _READ_BYTES)
        except OSError:
            typed = b""
        self._typed += typed
        if not typed:  # its end, or the terminal was closed
            self._is_input_over = True
            self._listeners.ignore(0)
        self._pass_on()

    def _pass_on(self) -> None:
        """Write what was typed as far as the engine takes it."""
        if self._socket.fileno() < 0:
            return
        if self._typed:
            self._send()
        elif self._is_input_over:
            self._end_input()
        self._listeners.wait_for(self._socket.fileno(), writing=bool(self._typed))
        if 0 in self._listeners:
            self._listeners.wait_for(0, reading=len(self._typed) < _MOST_PENDING_BYTES)

    def _send(self) -> None:
        try:
            self._typed = self._typed[self._socket.send(self._typed) :]
        except OSError as error:
            if not isinstance(error, BlockingIOError) and "Want" not in type(error).__name__:
                self._typed = b""  # the dyno reads no more
        if not self._typed and self._is_input_over:
            self._end_input()

    def _end_input(self) -> None:
        self._is_input_over = False
        try:
            end_writing(self._socket)
        except OSError:
            pass  # the dyno has ended

    def _take_signals(self) -> None:
        for number in os.read(self._woken, 4096):
            if number == SIGWINCH:
                self._resize()
            elif self._repeats.is_one(number):
                continue
            elif number in ENDING:
                self._end_soon(number)
            else:
                self._beside(partial(self._handle.signal, number))

    def _end_soon(self, number: int) -> None:
        """Give all processes the grace, until another SIGTERM."""
        if self._deadline == math.inf:
            self._deadline = time.monotonic() + self._grace_seconds
            self._beside(then_end_by=number)
        elif number in HURRYING:
            self._deadline = time.monotonic()

    def _resize(self) -> None:
        if self._has_terminal:
            try:
                size = window_size(0)
            except OSError:  # it was closed
                return
            self._beside(partial(self._handle.engine.resize, self._handle.id, size))

    def _beside(
        self, work: Callable[[], object] = lambda: None, *, then_end_by: int | None = None
    ) -> None:
        """Ask the engine for something while the streams are relayed.

        Where no thread can be started they have to wait, but not until all processes have ended.
        """

        def run(end: Callable[[int], object]) -> None:
            try:
                work()
                if then_end_by is not None:
                    end(then_end_by)
            except DriverError:
                pass  # the end of the container, or of the engine, is seen all the same

        try:
            start_thread(partial(run, self._handle.end_and_wait))
        except TooManyProcesses:
            run(self._handle.end_program)
