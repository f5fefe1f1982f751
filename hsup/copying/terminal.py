"""The caller's terminal, while the program has one of its own.

What is typed is passed on key by key: ^C is a signal in the program's terminal, not here. If the
program's job stops there, so does hsup's here, and the caller's shell has its terminal back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hsup.foreground.streams import Feed
from hsup.terminal import is_foreground, raw_mode

if TYPE_CHECKING:
    import asyncio


class _Keys:
    """Where what is typed is written."""

    def __init__(self, master: int) -> None:
        self._master = master

    def fileno(self) -> int:
        return self._master

    def write(self, data: bytes, /) -> int:
        return os.write(self._master, data)

    def end(self) -> None:
        """Keep the terminal open: the program may still write to it."""


class Keyboard:
    """Passes on what is typed, as long as hsup is in the foreground and the program runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, master: int) -> None:
        self._loop = loop
        self._keys = _Keys(master)
        self._feed: Feed | None = None
        self._modes = ExitStack()
        self._is_wanted = False

    def begin(self) -> None:
        """Pass on what is typed from now on, at the latest when hsup is in the foreground."""
        self._is_wanted = True
        self.resume()

    def resume(self) -> None:
        """Do so again if hsup has come to the foreground."""
        if self._is_wanted and self._feed is None and is_foreground():
            self._modes.enter_context(raw_mode())
            self._feed = Feed(self._loop, self._keys)

    def pause(self) -> None:
        """Leave the terminal to others, as it was."""
        if self._feed is not None:
            self._feed.stop()
            self._feed = None
            self._modes.close()

    def end(self) -> None:
        """Leave the terminal to others for good."""
        self._is_wanted = False
        self.pause()


def stop_job(keyboard: Keyboard, go_on: Callable[[], None]) -> None:
    """Stop hsup's job in the caller's shell; return when it is continued, and so is the program."""
    keyboard.pause()
    os.kill(0, signal.SIGTSTP)  # as ^Z does; the shell continues what stops here
    keyboard.resume()
    go_on()
