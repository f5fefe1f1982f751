"""Split the stream in which an engine sends both outputs of a container.

Each frame has a header of eight bytes: its output (1 is standard output, 2 standard error), three
zeros, and its length in bytes, big-endian; see the Engine API, ContainerAttach.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

STDOUT, STDERR = 1, 2

_HEADER = struct.Struct(">BxxxI")


class Demultiplexer:
    """Turns pieces of the stream into pieces of the outputs, without buffering them."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, memoryview]]:
        """Yield pieces with the number of their output, in order."""
        rest = memoryview(data)
        while rest:
            if not self._left:
                rest = self._read_header(rest)
                continue
            piece, rest = rest[: self._left], rest[self._left :]
            self._left -= len(piece)
            yield self._stream, piece

    def _read_header(self, data: memoryview) -> memoryview:
        missing = _HEADER.size - len(self._header)
        self._header += data[:missing]
        if len(self._header) == _HEADER.size:
            self._stream, self._left = _HEADER.unpack(self._header)
            self._header = b""
        return data[missing:]
