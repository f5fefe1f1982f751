"""Relay between one dyno and hsup's own streams, terminal and signals, to its end."""

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
from hsup.foreground.streams import Feed, Output, Sink
from hsup.model import ExitStatus
from hsup.terminal import Repeats, WindowSize, hears_hang_ups, raw_mode, window_size

_MOST_SIGNALS = 4096
#: How long somebody may take to read on when the dyno was killed.
_LAST_SECONDS = 1.0

#: What a signal is to the table; each other one is a `SIGNAL`.
_INPUTS: dict[int, Input] = {
    SIGHUP: Input.HANG_UP,
    SIGTERM: Input.TERMINATE,
    SIGWINCH: Input.RESIZE,
}


class ForegroundDyno(Protocol):
    """A dyno that was started for the foreground, as its driver has it.

    Nothing here may block for long: hsup does nothing else meanwhile. The dyno may have
    ended, or not have begun, whenever it is told something.
    """

    def begin(self, session: Session) -> None:
        """Have `session.loop` call for what tells of the dyno. Called once, before all else.

        What is called gives what the dyno writes to `session.write` or `session.show`;
        `session.feed` passes on what it is to read, and `session.take` is for inputs of the
        table. What it raises ends the session.
        """

    def is_over(self) -> bool:
        """Tell whether the dyno has ended, and all that it wrote was shown."""

    def status(self) -> ExitStatus:
        """Return how the program ended. Called once, when it is over. Raises DriverError."""

    def send(self, number: int) -> None:
        """Send a signal to every process."""

    def stop(self, numbers: Sequence[int]) -> None:
        """Send signals to every process, in order, the last of which is to end it."""

    def kill(self) -> None:
        """End every process at once. May be called again."""

    def resize(self, size: WindowSize) -> None:
        """Tell the dyno's terminal how large the window is."""


class Session:
    """A dyno in the foreground, from its start to its end.

    `woken` is what `signals_woken` gives. `terminal` are those of hsup's streams that the
    terminal of the dyno stands for, none where it has no terminal.
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
        """Relay until the dyno is over, and return how it ended.

        Raises what the dyno does, and DriverError where its output could not be written.
        """
        with raw_mode() if 0 in self._terminal else nullcontext():
            self._dyno.begin(self)
            self.loop.add_reader(self._signals.woken, self._take_signals)
            while not self._dyno.is_over():
                self.loop.run_once()
        self._check_output()
        return self._dyno.status()

    def feed(self, sink: Sink) -> Feed:
        """Pass hsup's standard input on, unless the terminal is another job's."""
        return Feed(self.loop, sink)

    def write(self, stream: int, data: bytes | memoryview) -> bool:
        """Write what the dyno wrote to a stream; tell whether that still takes anything.

        May wait, and then serves signals, but not what else the loop calls for.
        """
        return self._output.write(stream, data)

    def show(self, data: bytes | memoryview) -> None:
        """Write what the dyno wrote to its terminal; where hsup's was closed, it hangs up.

        SIGHUP may tell so later, or never.
        """
        shown = next(one for one in (1, 2, 0) if one in self._terminal)
        if not self._output.write(shown, data) and hears_hang_ups():
            self.take(Input.HANG_UP, SIGHUP)

    def take(self, given: Input, number: int = 0) -> None:
        """Do what the table has for an input; `number` is that of a signal."""
        self._state, action = step(self._state, given)
        match action:
            case Action.STOP:
                self._stop((number,))
            case Action.BREAK_OFF:  # whoever still writes is to end as if into a pipe
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
        """Wait for room in a stream, and serve signals meanwhile; tell whether there is any."""
        while self._state is not State.KILLED:
            if self.loop.wait_writable(stream, self._signals.woken, self._take_signals):
                return True
        return is_writable(stream, _LAST_SECONDS)

    def _check_output(self) -> None:
        """Raise DriverError for a stream that took no more, but for one that nobody reads."""
        for stream, error in self._output.broken.items():
            if stream not in self._terminal and not isinstance(error, BrokenPipeError):
                text = f"cannot write what the dyno wrote: {error.strerror}"
                raise DriverError(text, hint="see where standard output goes") from error


class _Signals:
    """The signals that have come, of which two may be one."""

    def __init__(self, woken: int) -> None:
        self.woken = woken
        self._repeats = Repeats()

    def take(self) -> Iterator[int]:
        """Yield the numbers of those that have come since."""
        numbers = os.read(self.woken, _MOST_SIGNALS)
        return (number for number in numbers if not self._repeats.is_one(number))
