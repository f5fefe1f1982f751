"""Cut lines that do not fit in a datagram, and count them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup_log_drain.frames import timestamp
from hsup_log_drain.utf8 import cut_before

#: How often the receiver is told how many lines were cut.
TELLING_SECONDS = 60.0


class Cutting:
    """Cuts datagrams to a size, and tells how many it has cut."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._since = 0
        self._told_at: float | None = None

    def cut(self, datagrams: Sequence[bytes]) -> Sequence[bytes]:
        """Return datagrams of which none is too long."""
        if max(map(len, datagrams), default=0) <= self._size:
            return datagrams
        return [_cut(one, self._size) for one in datagrams]

    def note(self, datagrams: Sequence[bytes]) -> None:
        """Count those that were too long, of datagrams that have been sent."""
        if count := sum(len(one) > self._size for one in datagrams):
            if not self._count:
                self._since = time.time_ns()
            self._count += count

    def is_due(self, now: float) -> bool:
        """Tell whether there is something to tell, and it was not told a moment ago.

        `now` is in seconds of any clock.
        """
        is_quiet = self._told_at is None or now - self._told_at >= TELLING_SECONDS
        return self._count > 0 and is_quiet

    def take(self, now: float) -> LogBatch | None:
        """Return the line that tells it, None if there is nothing to tell."""
        if not self._count:
            return None
        lines = "1 line" if self._count == 1 else f"{self._count} lines"
        since = timestamp(self._since).decode()
        text = f"Warning: Cut {lines} to fit in datagrams of {self._size} bytes since {since}"
        self._count, self._told_at = 0, now
        return LogBatch(
            time.time_ns(),
            "hsup",
            SUPERVISOR,
            "stdout",
            text.encode() + b"\n",
            event=LogEvent("warning"),
        )


def _cut(datagram: bytes, size: int) -> bytes:
    """Return the beginning of a datagram, whose last character of UTF-8 is whole."""
    return datagram if len(datagram) <= size else datagram[: cut_before(datagram, size)]
