"""Know when a terminal that echoes what is typed has begun a new line."""

from __future__ import annotations

import fcntl
import os
import sys
import termios

_LOCAL_MODES = 3  # man 3 termios: c_lflag
_ENOUGH_BYTES = 1 << 12


class Echo:
    """Watches the terminal at a descriptor, whose keys end the line that was printed last.

    If it `has_reader`, a dyno may have read a line before hsup looks: the kernel tells of that
    (man 7 inotify, IN_ACCESS) before it hands the line over. A read of half a line, which ^D hands
    over, counts as a line: what is printed next then stands in the same row.
    """

    def __init__(self, terminal: int, *, has_reader: bool) -> None:
        self._terminal = terminal
        self._waiting_bytes = self._waiting()
        self._echoes = False
        self._reads = _watch_reads(terminal) if has_reader else None

    def has_ended_line(self) -> bool:
        """Tell whether a line was typed, and echoed, since the last call."""
        before, self._waiting_bytes = self._waiting_bytes, self._waiting()
        was_typed = self._was_read() or self._waiting_bytes != before
        echoed, self._echoes = self._echoes, _echoes_lines(self._terminal)
        return was_typed and echoed

    def close(self) -> None:
        """Stop watching."""
        if self._reads is not None:
            os.close(self._reads)
            self._reads = None

    def _waiting(self) -> int:
        """Return how many bytes of whole lines nobody has read yet."""
        try:
            count = fcntl.ioctl(self._terminal, termios.FIONREAD, bytes(4))
        except OSError:  # it was closed
            return 0
        return int.from_bytes(count, sys.byteorder)

    def _was_read(self) -> bool:
        if self._reads is None:
            return False
        try:
            return bool(os.read(self._reads, _ENOUGH_BYTES))
        except BlockingIOError:
            return False


def _echoes_lines(terminal: int) -> bool:
    """Tell whether a terminal echoes whole lines, and nobody draws what is typed himself."""
    wanted = termios.ECHO | termios.ICANON
    try:
        modes = termios.tcgetattr(terminal)[_LOCAL_MODES]
    except termios.error:  # it was closed
        return False
    return isinstance(modes, int) and modes & wanted == wanted


def _watch_reads(terminal: int) -> int | None:
    """Return a descriptor that can be read after every read of the terminal, None if none can."""
    from asyncinotify import Inotify, Mask  # slow to import, rarely needed

    try:
        watch = Inotify()
        watch.add_watch(f"/proc/self/fd/{terminal}", Mask.ACCESS)
        reads = os.dup(watch.fd)
        watch.close()
    except OSError:  # no more watches may be set up
        return None
    os.set_blocking(reads, False)
    return reads
