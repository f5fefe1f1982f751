"""What relay and runner tell one another."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from hsup.copying.ends import lifted

_PIECE_BYTES = 1 << 16

#: Of the relay: the program may begin; all that it wrote has been passed on.
READY, COPIED = b"ready", b"copied"
#: Of the runner: its own pid; the program begins; it has ended; a line about it; nothing more
#: comes; the user does not want to wait.
PID, BEGUN, ENDED, SAID = b"pid", b"begun", b"ended", b"said"
LEFT, HURRY = b"left", b"hurry"


def pair() -> tuple[Channel, Channel]:
    """Return both ends of a new channel."""
    one, other = socket.socketpair()
    return Channel(lifted(one.detach())), Channel(lifted(other.detach()))


class Channel:
    """One end: lines with a word, and something after it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def fileno(self) -> int:
        """Return the descriptor, which is readable when the other end has told something."""
        return self._descriptor

    def tell(self, word: bytes, more: str = "") -> None:
        """Tell the other end, if it is still there."""
        line = b"%b %b\n" % (word, more.replace("\n", " ").encode(errors="surrogateescape"))
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:  # it has gone
            pass

    def heard(self) -> Iterator[tuple[bytes, str]] | None:
        """Return what the other end has told, None at its end; waits if there is nothing yet."""
        try:
            data = os.read(self._descriptor, _PIECE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        parts = (line.partition(b" ") for line in lines)
        return ((word, more.decode(errors="surrogateescape")) for word, _, more in parts)

    def waits_for(self, word: bytes) -> bool:
        """Wait for a word; return False if the other end has gone without it."""
        while (heard := self.heard()) is not None:
            if word in [one for one, _ in heard]:
                return True
        return False

    def close(self) -> None:
        """Close this end."""
        os.close(self._descriptor)
