"""Read what dynos write, cut it into lines, and give it to the log sinks."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from select import PIPE_BUF
from typing import Protocol, runtime_checkable

from hsup.api import SUPERVISOR, LogBatch, LogEvent, LogSink
from hsup.model import DynoName
from hsup.visible import visible

logger = logging.getLogger(__name__)

#: Of a line that is longer, what there is is passed on before its end.
LONGEST_LINE_BYTES = 1 << 20
#: So much of unfinished lines is kept of all dynos together.
UNFINISHED_BYTES = 8 << 20
#: So much may hsup say of its own while nobody reads: no dyno is started then.
UNREAD_BYTES = 1 << 20

#: As much as an unwidened pipe holds. With more at a time, or wider pipes, the
#: bytes leave the processor's cache between reading and writing (bench/relay.py).
_READ_BYTES = 1 << 16
#: What a pipe is widened to when a dyno fills it.
_WIDE_PIPE_BYTES = 1 << 18

_WARNING = "Warning: "

#: The bytes of a character of UTF-8 but for its first one (RFC 3629).
_FIRST_OF_LATER_BYTES, _AFTER_LATER_BYTES = 0x80, 0xC0


class Unfinished:
    """How much all streams together keep of lines that have no end yet."""

    __slots__ = ("kept_bytes",)

    def __init__(self) -> None:
        self.kept_bytes = 0

    @property
    def most_bytes_a_line(self) -> int:
        """Return how much one stream may keep now: a page where all together keep too much."""
        return LONGEST_LINE_BYTES if self.kept_bytes <= UNFINISHED_BYTES else PIPE_BUF


class LineFramer:
    """Turns pieces of a stream into whole lines, keeping every byte.

    A line that is too long, or that comes when all streams together keep too much, is given
    out in pieces without a newline. The last piece has a character at least, so that its end
    is seen.
    """

    __slots__ = ("_kept", "_rest")

    def __init__(self, kept: Unfinished | None = None) -> None:
        self._kept = kept or Unfinished()
        # A bytearray as soon as it grows: pieces of a few bytes must not be copied each time.
        self._rest: bytes | bytearray = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return the lines that are whole now, and of a line what cannot be kept.

        Return b"" if there is nothing of either.
        """
        before = self._rest
        end = data.rfind(b"\n") + 1
        if end == len(data) and not before:
            return data
        whole = b""
        if end:
            whole = b"".join((before, memoryview(data)[:end])) if before else data[:end]
            self._rest = data[end:]
        elif isinstance(before, bytearray):
            before += data
        else:
            self._rest = bytearray(before) + data
        rest = self._rest
        self._kept.kept_bytes += len(data) - len(whole)
        if len(rest) > PIPE_BUF and len(rest) > self._kept.most_bytes_a_line:
            whole += self._take(_before_last_character(rest))
        return whole

    def finish(self) -> bytes:
        """Return what is left without its newline, b"" if nothing is."""
        return self._take(len(self._rest))

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._rest)[:size])
        self._rest = self._rest[size:]
        self._kept.kept_bytes -= size
        return taken


def _before_last_character(text: bytes | bytearray) -> int:
    """Return where the last character of UTF-8 begins, which may lack bytes."""
    last = len(text) - 1
    for start in range(last, max(last - 4, 0), -1):
        if not _FIRST_OF_LATER_BYTES <= text[start] < _AFTER_LATER_BYTES:
            return start
    return last


@runtime_checkable
class CountsTaken(Protocol):
    """The ability of a sink to tell a slow reader from one that is stuck."""

    @property
    def taken_bytes(self) -> int:
        """Return how much the reader has taken so far."""


class LogRouter:
    """Gives every batch to every sink, and stops reading while one is full."""

    def __init__(self, sinks: Sequence[LogSink]) -> None:
        self.unfinished = Unfinished()
        self._sinks = tuple(sinks)
        self._readers: set[StreamReader] = set()
        self._waiting: asyncio.Task[None] | None = None
        self._said_bytes = 0
        self._unsaid = 0
        self._releases: dict[str, tuple[str, int]] = {}

    @property
    def is_full(self) -> bool:
        """Tell whether a sink takes no more for now."""
        return self._waiting is not None

    async def room(self) -> None:
        """Return when all sinks take more."""
        while self._waiting is not None and not self._waiting.done():
            await asyncio.wait([self._waiting])

    def publish(self, batch: LogBatch) -> None:
        """Give a batch to all sinks."""
        for sink in self._sinks:
            sink.write(batch)
        if self._waiting is None and any(sink.is_full for sink in self._sinks):
            for reader in self._readers:
                reader.pause()
            self._waiting = asyncio.get_running_loop().create_task(self._resume())

    def runs(self, dyno: str, app: str, release: int) -> None:
        """Note what a dyno, or the supervisor, runs from now on."""
        self._releases[dyno] = (app, release)

    def forget(self, dyno: str) -> None:
        """Note that a dyno has gone for good."""
        self._releases.pop(dyno, None)

    def release_of(self, dyno: str) -> tuple[str | None, int | None]:
        """Return the application and the release that a dyno runs, if any is known."""
        return self._releases.get(dyno, (None, None))

    def say(self, dyno: str, text: str, event: LogEvent | None = None) -> None:
        """Add a line of hsup's own about a dyno.

        What is said for long while nobody reads is counted only.
        """
        if self._waiting is None:
            self._said_bytes = 0
        elif self._said_bytes > UNREAD_BYTES:
            self._unsaid += 1
            return
        lines = visible(text).encode() + b"\n"
        self._said_bytes += len(lines)
        app, release = self.release_of(dyno)
        self.publish(
            LogBatch(
                time=time.time_ns(),
                source="hsup",
                dyno=dyno,
                stream="stdout",
                lines=lines,
                app=app,
                release=release,
                event=event or LogEvent("warning" if text.startswith(_WARNING) else "notice"),
            )
        )

    def add(self, reader: StreamReader) -> None:
        """Take on a stream; it is read from now on unless a sink is full."""
        self._readers.add(reader)
        if self._waiting is None:
            reader.resume()

    def remove(self, reader: StreamReader) -> None:
        """Forget a stream that has ended."""
        self._readers.discard(reader)

    async def close(self, *, stuck_seconds: float = 5.0) -> None:
        """Deliver everything and close the sinks.

        A sink whose reader takes nothing for `stuck_seconds`, or that cannot
        tell and is not done by then, is cancelled and loses the rest; so is
        every sink when this is cancelled.
        """
        if self._waiting is not None:
            self._waiting.cancel()
        await asyncio.gather(*(_close(sink, stuck_seconds) for sink in self._sinks))

    async def _resume(self) -> None:
        try:
            for sink in self._sinks:
                await sink.drained()
        finally:
            self._waiting = None
            self._tell_unsaid()
            if self._waiting is None:
                for reader in self._readers:
                    reader.resume()

    def _tell_unsaid(self) -> None:
        if unsaid := self._unsaid:
            self._unsaid = 0
            self.say(SUPERVISOR, f"Left out {unsaid} lines of hsup's own, which nobody read")


async def _close(sink: LogSink, stuck_seconds: float) -> None:
    closing = asyncio.ensure_future(sink.close())
    taken = -1
    try:
        while not closing.done() and (now := _taken_bytes(sink)) != taken:
            taken = now
            await asyncio.wait([closing], timeout=stuck_seconds)
    finally:
        closing.cancel()
        await asyncio.wait([closing])
    if not closing.cancelled() and (error := closing.exception()):
        logger.error("%r could not be closed", sink, exc_info=error)


def _taken_bytes(sink: LogSink) -> int:
    return sink.taken_bytes if isinstance(sink, CountsTaken) else 0


class StreamReader:
    """Reads one stream of one dyno from the pipe that it writes to."""

    __slots__ = (
        "_app",
        "_descriptor",
        "_dyno",
        "_framer",
        "_is_wide",
        "_release",
        "_router",
        "_stream",
    )

    def __init__(self, descriptor: int, dyno: str, stream: str, router: LogRouter) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._dyno = dyno
        self._stream = stream
        self._router = router
        self._app, self._release = router.release_of(dyno)
        self._framer = LineFramer(router.unfinished)
        self._is_wide = False

    def resume(self) -> None:
        """Read from now on, as the dyno writes."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self.read)

    def pause(self) -> None:
        """Leave what the dyno writes in the pipe, so that it has to wait."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def finish(self) -> None:
        """Pass on all that is in the pipe, and close it; called when nobody writes any more."""
        while self.read():
            pass
        self._close()

    def read(self) -> bool:
        """Pass on one piece; tell whether there was one."""
        if self._descriptor < 0:
            return False
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close()
            return False
        if len(data) == _READ_BYTES and not self._is_wide:
            self._widen()
        lines = self._framer.feed(data)
        self._publish(lines, is_partial=not lines.endswith(b"\n"))
        return True

    def _publish(self, lines: bytes, *, is_partial: bool) -> None:
        if lines:
            self._router.publish(
                LogBatch(
                    time=time.time_ns(),
                    source="app",
                    dyno=self._dyno,
                    stream=self._stream,
                    lines=lines,
                    is_partial=is_partial,
                    app=self._app,
                    release=self._release,
                )
            )

    def _widen(self) -> None:
        self._is_wide = True
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _WIDE_PIPE_BYTES)
        except OSError:  # over the user's limit for pipes, see man 7 pipe
            pass

    def _close(self) -> None:
        if self._descriptor < 0:
            return
        self.pause()
        self._publish(self._framer.finish(), is_partial=False)
        self._router.remove(self)
        os.close(self._descriptor)
        self._descriptor = -1


class DynoOutput:
    """Both streams of one dyno, from before its start until after its end.

    `stdout` and `stderr` are the writing ends that its driver is given. Raises
    OSError, and leaves nothing open then, where no more pipes can be had.
    """

    __slots__ = ("_readers", "_router", "stderr", "stdout")

    def __init__(self, name: DynoName, router: LogRouter) -> None:
        self._router = router
        self.stdout, stdout_reader = _pipe(str(name), "stdout", router)
        try:
            self.stderr, stderr_reader = _pipe(str(name), "stderr", router)
        except OSError:  # too many descriptors are open
            os.close(self.stdout)
            stdout_reader.finish()
            raise
        self._readers = (stdout_reader, stderr_reader)

    def close_writing_ends(self) -> None:
        """Leave the writing to the dyno, so that its end can be seen."""
        for descriptor in (self.stdout, self.stderr):
            with suppress(OSError):  # a driver has closed it, though it is not the driver's
                os.close(descriptor)

    async def drain(self) -> None:
        """Pass on what the dyno wrote, no faster than it is taken."""
        for reader in self._readers:
            await self._router.room()
            while reader.read():
                await self._router.room()

    def finish(self) -> None:
        """Pass on all that the dyno wrote; called when nothing of it is left."""
        for reader in self._readers:
            reader.finish()


def _pipe(dyno: str, stream: str, router: LogRouter) -> tuple[int, StreamReader]:
    reading_end, writing_end = os.pipe()
    reader = StreamReader(reading_end, dyno, stream, router)
    router.add(reader)
    return writing_end, reader
