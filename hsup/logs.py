"""Read what dynos write, cut it into lines, and give it to the log sinks."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hsup.api import LogBatch, LogSink
from hsup.model import DynoName

logger = logging.getLogger(__name__)

#: A line that is longer is passed on in pieces, so that memory stays bounded.
LONGEST_LINE_BYTES = 16 << 20

#: As much as an unwidened pipe holds. With more at a time, or wider pipes, the
#: bytes leave the processor's cache between reading and writing (bench/relay.py).
_READ_BYTES = 1 << 16
#: What a pipe is widened to when a dyno fills it.
_WIDE_PIPE_BYTES = 1 << 18


class LineFramer:
    """Turns pieces of a stream into whole lines, keeping every byte."""

    __slots__ = ("_rest", "_rest_bytes")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return the lines that are whole now, b"" if none is."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return self.finish() if self._rest_bytes > LONGEST_LINE_BYTES else b""
        if not self._rest and end == len(data):
            return data
        whole = b"".join([*self._rest, data[:end]])
        self._rest = []
        self._rest_bytes = 0
        self._keep(data[end:])
        return whole

    def finish(self) -> bytes:
        """Return what is left without its newline, b"" if nothing is."""
        rest = b"".join(self._rest)
        self._rest = []
        self._rest_bytes = 0
        return rest

    def _keep(self, data: bytes) -> None:
        if data:
            self._rest.append(data)
            self._rest_bytes += len(data)


@runtime_checkable
class CountsTaken(Protocol):
    """The ability of a sink to tell a slow reader from one that is stuck."""

    @property
    def taken_bytes(self) -> int:
        """Return how much the reader has taken so far."""


class LogRouter:
    """Gives every batch to every sink, and stops reading while one is full."""

    def __init__(self, sinks: Sequence[LogSink]) -> None:
        self._sinks = tuple(sinks)
        self._readers: set[StreamReader] = set()
        self._waiting: asyncio.Task[None] | None = None

    def publish(self, batch: LogBatch) -> None:
        """Give a batch to all sinks."""
        for sink in self._sinks:
            sink.write(batch)
        if self._waiting is None and any(sink.is_full for sink in self._sinks):
            self._waiting = asyncio.get_running_loop().create_task(self._pause())

    def say(self, dyno: str, text: str) -> None:
        """Add a line of hsup's own about a dyno."""
        lines = text.encode(errors="surrogateescape") + b"\n"
        self.publish(
            LogBatch(time=time.time_ns(), source="hsup", dyno=dyno, stream="stdout", lines=lines)
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

    async def _pause(self) -> None:
        for reader in self._readers:
            reader.pause()
        try:
            for sink in self._sinks:
                await sink.drained()
        finally:
            self._waiting = None
            for reader in self._readers:
                reader.resume()


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

    __slots__ = ("_descriptor", "_dyno", "_framer", "_is_wide", "_router", "_stream")

    def __init__(self, descriptor: int, dyno: str, stream: str, router: LogRouter) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._dyno = dyno
        self._stream = stream
        self._router = router
        self._framer = LineFramer()
        self._is_wide = False

    def resume(self) -> None:
        """Read from now on, as the dyno writes."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def pause(self) -> None:
        """Leave what the dyno writes in the pipe, so that it has to wait."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def finish(self) -> None:
        """Pass on all that is in the pipe, and close it; called when nobody writes any more."""
        while self._descriptor >= 0 and self._read():
            pass
        self._close()

    def _read(self) -> bool:
        """Pass on one piece; tell whether there was one."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close()
            return False
        if len(data) == _READ_BYTES and not self._is_wide:
            self._widen()
        self._publish(self._framer.feed(data))
        return True

    def _publish(self, lines: bytes) -> None:
        if lines:
            self._router.publish(
                LogBatch(
                    time=time.time_ns(),
                    source="app",
                    dyno=self._dyno,
                    stream=self._stream,
                    lines=lines,
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
        self._publish(self._framer.finish())
        self._router.remove(self)
        os.close(self._descriptor)
        self._descriptor = -1


class DynoOutput:
    """Both streams of one dyno, from before its start until after its end.

    `stdout` and `stderr` are the writing ends that its driver is given. Raises
    OSError, and leaves nothing open then, where no more pipes can be had.
    """

    __slots__ = ("_readers", "stderr", "stdout")

    def __init__(self, name: DynoName, router: LogRouter) -> None:
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
        os.close(self.stdout)
        os.close(self.stderr)

    def finish(self) -> None:
        """Pass on all that the dyno wrote; called when nothing of it is left."""
        for reader in self._readers:
            reader.finish()


def _pipe(dyno: str, stream: str, router: LogRouter) -> tuple[int, StreamReader]:
    reading_end, writing_end = os.pipe()
    reader = StreamReader(reading_end, dyno, stream, router)
    router.add(reader)
    return writing_end, reader
