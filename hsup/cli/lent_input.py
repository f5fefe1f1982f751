"""hsup's own standard input while a dyno has it, which may change its flags and its modes."""

from __future__ import annotations

import fcntl
import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from hsup.terminal import is_foreground


class _State(NamedTuple):
    """The flags of an open file, and the modes of a terminal if it is one."""

    flags: int
    modes: list[Any] | None


class LentInput:
    """A descriptor that hsup and a dyno share with the caller's shell.

    A program that reads keys one by one, and is killed, would leave a terminal without an echo. In
    the background, hsup leaves the modes alone: they are those of the program in the foreground.
    """

    def __init__(self, stream: int = 0) -> None:
        self._stream = stream
        self._own: _State | None = None
        self._lent: _State | None = None
        self.lend()

    def has_terminal(self) -> bool:
        """Tell whether no other job has the terminal, if it is one."""
        return is_foreground(self._stream)

    def lend(self) -> None:
        """Note what to restore, when no dyno has the input; in the background, nothing."""
        if self.has_terminal():
            self._own = self._state()

    def restore(self) -> None:
        """Undo what the dyno has changed."""
        self._lent = None
        self._set(self._own)

    def take_back(self) -> None:
        """Do the same until the input is lent again."""
        lent = self._state()
        self.restore()
        self._lent = lent

    def lend_again(self) -> None:
        """Return to what the dyno has changed; what is there now is restored later."""
        lent = self._lent
        self.lend()
        self._set(lent)

    def _state(self) -> _State:
        try:
            modes = termios.tcgetattr(self._stream)
        except termios.error:  # it is no terminal, or was closed
            modes = None
        return _State(fcntl.fcntl(self._stream, fcntl.F_GETFL), modes)

    def _set(self, state: _State | None) -> None:
        if state is None:
            return
        if fcntl.fcntl(self._stream, fcntl.F_GETFL) != state.flags:
            fcntl.fcntl(self._stream, fcntl.F_SETFL, state.flags)
        if state.modes is None or not self.has_terminal():
            return
        # Else hsup would be stopped if it goes to the background now (man 3 tcsetattr).
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(termios.error):  # it was closed
            termios.tcsetattr(self._stream, termios.TCSANOW, state.modes)
        signal.signal(signal.SIGTTOU, before)


@contextmanager
def input_lent() -> Iterator[LentInput]:
    """Yield hsup's own input, and restore it at the end of the block."""
    lent = LentInput()
    try:
        yield lent
    finally:
        lent.restore()


def has_job_control(stream: int = 0) -> bool:
    """Tell whether a stream is the terminal of hsup's session, which has jobs."""
    try:
        os.tcgetpgrp(stream)
    except OSError:
        return False
    return True
