"""Pass on what is read at one end as it is, and line by line."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from hsup.copying.ends import STDERR, Copied, follow_size
from hsup.output.descriptor import DescriptorWriter
from hsup.output.logs import LineFramer, Unfinished

_READ_BYTES = 1 << 16
#: How long to wait for the end of what the program wrote once it has ended: a process that hsup
#: could not find may still have it open.
_END_SECONDS = 1.0


class Lines(Protocol):
    """What gets the lines."""

    def write(self, stream: str, lines: bytes, *, is_partial: bool) -> None:
        """Take lines of a stream; must not block."""

    @property
    def is_full(self) -> bool:
        """Tell whether a destination is about to catch up: see `hsup.drains.pace`."""

    async def room(self) -> None:
        """Return when none does."""


class Copy:
    """Copies from one end to a stream of the caller, no faster than the caller reads.

    `lost` is called if the caller's terminal was closed.
    """

    def __init__(
        self, copied: Copied, lines: Lines, unfinished: Unfinished, lost: Callable[[], None]
    ) -> None:
        self._copied = copied
        self._name = "stderr" if copied.stream == STDERR else "stdout"
        self._lines = lines
        self._lost = lost
        self._framer = LineFramer(unfinished)
        self._writer = DescriptorWriter(copied.stream, self._break, full_bytes=0)
        self._ended = asyncio.Event()
        self._waiting: asyncio.Task[None] | None = None
        self.error: OSError | None = None
        os.set_blocking(copied.reading, False)
        self._listen()

    def resize(self) -> None:
        """Give the program's terminal, if it is one, the size of the caller's."""
        if self._copied.is_terminal and not self._ended.is_set():
            follow_size(self._copied.reading, self._copied.stream)

    async def finish(self) -> None:
        """Pass on everything that is left; the program has ended."""
        try:
            with suppress(TimeoutError):
                while not self._ended.is_set():
                    # Who reads slowly is waited for, until the user does not want to wait.
                    async with asyncio.timeout(None if self._waiting else _END_SECONDS):
                        await self._moved()
        finally:
            self._end()
        await self._writer.close()

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._copied.reading, self._read)

    def _read(self) -> None:
        """Copy one piece."""
        try:
            data = os.read(self._copied.reading, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # a terminal that nobody has open any more
        if not data:
            self._end()
            return
        self._writer.write(data)
        self._publish(self._framer.feed(data))
        if (self._writer.is_full or self._lines.is_full) and not self._ended.is_set():
            asyncio.get_running_loop().remove_reader(self._copied.reading)
            self._waiting = asyncio.create_task(self._go_on())

    async def _moved(self) -> None:
        """Return when everything was read, or when the caller has taken what there was."""
        if self._waiting is not None:
            await asyncio.wait([self._waiting])
        else:
            await self._ended.wait()

    async def _go_on(self) -> None:
        await self._writer.drained()
        await self._lines.room()
        self._waiting = None
        if not self._ended.is_set():
            self._listen()

    def _publish(self, lines: bytes) -> None:
        if lines:
            self._lines.write(self._name, lines, is_partial=not lines.endswith(b"\n"))

    def _break(self, error: OSError) -> None:
        """Note that the caller takes no more: the program sees it when it writes next."""
        if self._copied.is_terminal:
            self._lost()
            return
        if not isinstance(error, BrokenPipeError):
            self.error = error
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        asyncio.get_running_loop().remove_reader(self._copied.reading)
        if not self._copied.is_terminal:  # closing one hangs up, and hsup may not have left it yet
            os.close(self._copied.reading)
        if rest := self._framer.finish():
            self._lines.write(self._name, rest, is_partial=False)
