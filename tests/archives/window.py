"""A pseudo terminal as standard error, with a window of any size."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Window:
    """The other side of a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def resize(self, columns: int) -> None:
        """Make the window as wide, as a person does."""
        assert self._descriptor is not None
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def close(self) -> None:
        """Hang up, as a terminal emulator does that ends."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def drawn(self) -> str:
        """Return what was written to the terminal since the last call."""
        assert self._descriptor is not None
        drawn = b""
        while select.select([self._descriptor], [], [], 0.2)[0]:
            drawn += os.read(self._descriptor, 65536)
        return drawn.decode()


@contextmanager
def pseudo_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> Iterator[Window]:
    """Yield a window of a terminal that is standard error during the block."""
    controller, terminal = pty.openpty()
    window = Window(controller)
    window.resize(columns)
    with open(terminal, "w", encoding="utf-8") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        yield window
    window.close()
