"""Read bytes in order from pieces of any size, and no more than a limit."""

from __future__ import annotations

from collections.abc import Iterator

from hsup.archives.errors import HostileSlug, SlugError
from hsup.archives.limits import MAX_SIZE
from hsup.archives.numbers import MAKE_AGAIN


class Stream:
    """Bytes in order, of which at most `limit` are taken from `pieces`."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._received = 0
        self._piece = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Return how many bytes were read."""
        return self._received - len(self._piece) + self._at

    @property
    def left(self) -> int:
        """Return how many more bytes the limit allows."""
        return self._limit - self.position

    def peek(self, size: int) -> bytes:
        """Return the next bytes without consuming them, fewer where the stream ends."""
        while len(self._piece) - self._at < size and self._fill():
            pass
        return self._piece[self._at : self._at + size]

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises SlugError if the stream ends too early."""
        content = self._piece[self._at : self._at + size]
        self._at += len(content)
        if len(content) == size:
            return content
        parts = [content]
        missing = size - len(content)
        while missing:
            part = self.block(missing)
            parts.append(bytes(part))
            missing -= len(part)
        return b"".join(parts)

    def block(self, size: int) -> memoryview:
        """Return the next bytes of one piece, `size` at most. Raises SlugError at the end."""
        if self._at == len(self._piece) and not self._fill():
            text = f"the archive ends too early, after {self.position} bytes"
            raise SlugError(text, hint=MAKE_AGAIN)
        block = memoryview(self._piece)[self._at : self._at + size]
        self._at += len(block)
        return block

    def skip_to(self, position: int) -> None:
        """Skip the bytes before a position. Raises SlugError if the stream ends too early."""
        size = position - self.position
        while size:
            size -= len(self.block(size))

    def drain(self) -> None:
        """Read to the end, so that the checksum of the compression is verified."""
        self._at = len(self._piece)
        while self._fill():
            self._at = len(self._piece)

    def _fill(self) -> bool:
        """Add a piece to the unread bytes; tell whether there was one."""
        piece = next(self._pieces, b"")
        self._received += len(piece)
        self._piece, self._at = self._piece[self._at :] + piece, 0
        if self._received > self._limit:
            text = f"it unpacks to more than {self._limit} bytes"
            raise HostileSlug(text, hint=f"raise {MAX_SIZE} if you trust the archive")
        return bool(piece)
