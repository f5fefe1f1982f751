"""Connect one dyno with hsup's own streams, terminal and signals until the dyno ends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from signal import SIGHUP, SIGPIPE, SIGTERM, SIGWINCH
from typing import Protocol

from hsup.errors import DriverError
from hsup.foreground.loop import Loop, is_writable
from hsup.foreground.states import Action, Input, State, step
from hsup.foreground.streams import DynoInput, Feed, Output
from hsup.model import ExitStatus
from hsup.terminal import Repeats, WindowSize, hears_hang_ups, raw_mode, window_size

_MOST_SIGNALS = 4096
#: How long a reader may take to make room once the dyno is killed.
_LAST_SECONDS = 1.0

#: The table's inputs for signals; every other signal is a `SIGNAL`.
_INPUTS: dict[int, Input] = {
    SIGHUP: Input.HANG_UP,
    SIGTERM: Input.TERMINATE,
    SIGWINCH: Input.RESIZE,
}


class ForegroundDyno(Protocol):
    """A dyno in the foreground, implemented by its driver.

    No method may block for long: hsup does nothing else meanwhile. Methods may be called
    before the program begins and after the dyno has ended.
    """

    def begin(self, session: Session) -> None:
        """Add the dyno's descriptors to `session.loop`. Called once, before all other methods.

        The actions pass the dyno's output to `session.write` or `session.show`, and inputs of
        the table to `session.take`; `session.feed` passes standard input to the dyno. An error
        that an action raises ends the session.
        """

    def is_over(self) -> bool:
        """Tell whether the dyno has ended and all of its output was written."""

    def status(self) -> ExitStatus:
        """Return how the program ended. Called once, after the end. Raises DriverError."""

    def send(self, number: int) -> None:
        """Send a signal to every process."""

    def stop(self, numbers: Sequence[int]) -> None:
        """Send signals to every process, in order; the last one asks the dyno to end."""

    def kill(self) -> None:
        """Kill every process. May be called again."""

    def resize(self, size: WindowSize) -> None:
        """Set the window size of the dyno's terminal."""


class Session:
    """The relay between hsup and a dyno in the foreground, from its start to its end.

    `woken` is the descriptor from `signals_woken`. `terminal` names those of hsup's streams
    that are replaced by the dyno's terminal, none if it has no terminal.
    """

    def __init__(
        self,
        dyno: ForegroundDyno,
        woken: int,
        grace_seconds: float,
        terminal: Sequence[int] = (),
    ) -> None:
        self.loop = Loop()
        self._dyno = dyno
        self._signals = _Signals(woken)
        self._grace_seconds = grace_seconds
        self._terminal = terminal
        self._state = State.RUNNING
        self._output = Output(self._waits_for_room)

    def run(self) -> ExitStatus:
        """Relay until the dyno has ended, and return how it ended.

        Raises the errors of the dyno, and DriverError if its output could not be written.
        """
        with raw_mode() if 0 in self._terminal else nullcontext():
            self._dyno.begin(self)
            self.loop.add_reader(self._signals.woken, self._take_signals)
            while not self._dyno.is_over():
                self.loop.run_once()
        self._check_output()
        return self._dyno.status()

    def feed(self, dyno_input: DynoInput) -> Feed:
        """Pass hsup's standard input to the dyno, unless another job has the terminal."""
        return Feed(self.loop, dyno_input)

    def write(self, stream: int, data: bytes | memoryview) -> bool:
        """Write output of the dyno to a stream; tell whether the stream still accepts any.

        While this waits for room, it handles signals, but no other events of the loop.
        """
        return self._output.write(stream, data)

    def show(self, data: bytes | memoryview) -> None:
        """Write output of the dyno's terminal; if hsup's own terminal was closed, hang up.

        The SIGHUP for that may come later, or never.
        """
        stream = next(stream for stream in (1, 2, 0) if stream in self._terminal)
        if not self._output.write(stream, data) and hears_hang_ups():
            self.take(Input.HANG_UP, SIGHUP)

    def take(self, given: Input, number: int = 0) -> None:
        """Handle an input as the table says; `number` is the signal's, if it is one."""
        self._state, action = step(self._state, given)
        match action:
            case Action.STOP:
                self._stop((number,))
            case Action.BREAK_OFF:  # writers end as they would with a closed pipe
                self._stop((SIGPIPE, SIGTERM))
            case Action.SEND:
                self._dyno.send(number)
            case Action.KILL:
                self._dyno.kill()
            case Action.RESIZE:
                self._resize()

    def _stop(self, numbers: Sequence[int]) -> None:
        self.loop.call_later(self._grace_seconds, partial(self.take, Input.GRACE_OVER))
        self._dyno.stop(numbers)

    def _resize(self) -> None:
        if self._terminal:
            try:
                size = window_size(self._terminal[0])
            except OSError:  # it was closed
                return
            self._dyno.resize(size)

    def _take_signals(self) -> None:
        for number in self._signals.take():
            self.take(_INPUTS.get(number, Input.SIGNAL), number)

    def _waits_for_room(self, stream: int) -> bool:
        """Wait for room in a stream, handling signals meanwhile; tell whether there is room."""
        while self._state is not State.KILLED:
            if self.loop.wait_writable(stream, self._signals.woken, self._take_signals):
                return True
        return is_writable(stream, _LAST_SECONDS)

    def _check_output(self) -> None:
        """Raise DriverError for a broken stream, unless it is a terminal or its reader has gone."""
        for stream, error in self._output.broken.items():
            if stream not in self._terminal and not isinstance(error, BrokenPipeError):
                text = f"cannot write the output of the dyno: {error.strerror}"
                raise DriverError(text, hint="check where standard output goes") from error


class _Signals:
    """The signals that hsup received, without repeats."""

    def __init__(self, woken: int) -> None:
        self.woken = woken
        self._repeats = Repeats()

    def take(self) -> Iterator[int]:
        """Yield the numbers of the signals received since the last call."""
        numbers = os.read(self.woken, _MOST_SIGNALS)
        return (number for number in numbers if not self._repeats.is_one(number))
