"""Read the output of dynos, split it into lines, and pass it to the log sinks."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import struct
import termios
import time
import tty
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import attrgetter
from select import PIPE_BUF
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hsup.api import SUPERVISOR, LogBatch, LogEvent, LogSink
from hsup.model import DynoName
from hsup.terminal import WindowSize
from hsup.visible import visible

if TYPE_CHECKING:
    from hsup.output.backlog import Backlog
    from hsup.output.history import History

logger = logging.getLogger(__name__)

#: A longer line is passed on in pieces.
LONGEST_LINE_BYTES = 1 << 20
#: The most bytes of unfinished lines that are kept for all dynos together.
UNFINISHED_BYTES = 8 << 20
#: The most bytes of hsup's own lines kept while no one reads; no dyno starts meanwhile.
UNREAD_BYTES = 1 << 20

#: The default capacity of a pipe. With larger reads, or larger pipes, the bytes
#: leave the processor's cache between reading and writing (bench/relay.py).
_READ_BYTES = 1 << 16
#: The capacity of a pipe once a dyno has filled it.
_WIDE_PIPE_BYTES = 1 << 18

#: How long a line may stay unfinished before its beginning is shown, where someone reads.
_SHOWN_SECONDS = 0.1

_WARNING = "Warning: "

#: The range of all bytes of a UTF-8 character except the first (RFC 3629).
_FIRST_OF_LATER_BYTES, _AFTER_LATER_BYTES = 0x80, 0xC0


class Unfinished:
    """Counts the bytes of unfinished lines that all streams together keep."""

    __slots__ = ("kept_bytes",)

    def __init__(self) -> None:
        self.kept_bytes = 0

    @property
    def most_bytes_a_line(self) -> int:
        """Return how much one stream may keep now: a page if all together keep too much."""
        return LONGEST_LINE_BYTES if self.kept_bytes <= UNFINISHED_BYTES else PIPE_BUF


class LineFramer:
    """Turns pieces of a stream into whole lines, keeping every byte.

    A line that is too long, or that comes when all streams together keep too much, is passed
    on in pieces without a newline. The last piece has at least one character, so that the end
    of the line is seen.
    """

    __slots__ = ("_kept", "_rest")

    def __init__(self, kept: Unfinished | None = None) -> None:
        self._kept = kept or Unfinished()
        # A bytearray once it grows, so that adding a few bytes does not copy the rest.
        self._rest: bytes | bytearray = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return the complete lines, and the part of a line that cannot be kept.

        Return b"" if there is neither.
        """
        unfinished = self._rest
        end = data.rfind(b"\n") + 1
        if end == len(data) and not unfinished:
            return data
        whole = b""
        if end:
            whole = b"".join((unfinished, memoryview(data)[:end])) if unfinished else data[:end]
            self._rest = data[end:]
        elif isinstance(unfinished, bytearray):
            unfinished += data
        else:
            self._rest = bytearray(unfinished) + data
        rest = self._rest
        self._kept.kept_bytes += len(data) - len(whole)
        if len(rest) > PIPE_BUF and len(rest) > self._kept.most_bytes_a_line:
            whole += self._take(_before_last_character(rest))
        return whole

    @property
    def unfinished(self) -> bytes:
        """Return the beginning of a line whose end has not come."""
        return bytes(self._rest)

    def finish(self) -> bytes:
        """Return the last line, which has no newline; b"" if there is none."""
        return self._take(len(self._rest))

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._rest)[:size])
        self._rest = self._rest[size:]
        self._kept.kept_bytes -= size
        return taken


def _before_last_character(text: bytes | bytearray) -> int:
    """Return where the last UTF-8 character begins, which may be incomplete."""
    last = len(text) - 1
    for start in range(last, max(last - 4, 0), -1):
        if not _FIRST_OF_LATER_BYTES <= text[start] < _AFTER_LATER_BYTES:
            return start
    return last


@runtime_checkable
class ShowsBeginnings(Protocol):
    """The ability of a sink to show the beginning of a line: a prompt, a progress bar."""

    def show(self, batch: LogBatch) -> None:
        """Show the beginning of one line, which a later batch begins with again."""


@runtime_checkable
class CountsTaken(Protocol):
    """The ability of a sink to distinguish a slow reader from a stuck one."""

    @property
    def taken_bytes(self) -> int:
        """Return how many bytes the reader has taken so far."""


class LogRouter:
    """Passes each batch to every sink, and stops reading from dynos while one is full.

    `now` returns the time in nanoseconds since the epoch.
    """

    def __init__(self, sinks: Sequence[LogSink], now: Callable[[], int] = time.time_ns) -> None:
        self.now = now
        self.unfinished = Unfinished()
        #: Where lines are kept for others than the sinks, if there are any.
        self.backlog: Backlog | None = None
        self._history: History | None = None
        self._sinks = tuple(sinks)
        self._showing = [one for one in sinks if isinstance(one, ShowsBeginnings)]
        self._readers: set[StreamReader] = set()
        self.read_count = 0  # of pieces, for `StreamReader.last_read`
        self._waiting: asyncio.Task[None] | None = None
        self._said_bytes = 0
        self._unsaid = 0
        self._releases: dict[str, tuple[str, int]] = {}

    @property
    def is_full(self) -> bool:
        """Tell whether a sink is full."""
        return self._waiting is not None

    async def room(self) -> None:
        """Return when no sink is full."""
        while self._waiting is not None and not self._waiting.done():
            await asyncio.wait([self._waiting])

    def publish(self, batch: LogBatch) -> None:
        """Pass a batch to all sinks."""
        for sink in self._sinks:
            sink.write(batch)
        if self.backlog is not None:
            self.backlog.append(batch)
        if self._waiting is None and (
            any(sink.is_full for sink in self._sinks)
            or (self.backlog is not None and self.backlog.is_full)
        ):
            for reader in self._readers:
                reader.pause()
            self._waiting = asyncio.get_running_loop().create_task(self._resume())

    def remember(self, lines: int) -> None:
        """Remember the last lines from now on."""
        from hsup.output.backlog import Backlog  # only where somebody asks for them
        from hsup.output.history import History

        self.backlog = self.backlog or Backlog()
        self._history = History(self.backlog, lines)

    @property
    def history(self) -> History:
        """Return the last lines; call `remember` first."""
        assert self._history is not None
        return self._history

    @property
    def shows_beginnings(self) -> bool:
        """Tell whether a sink shows lines before their end has come."""
        return bool(self._showing)

    def show(self, batch: LogBatch) -> None:
        """Have those sinks show the beginning of a line."""
        for sink in self._showing:
            sink.show(batch)

    def runs(self, dyno: str, app: str, release: int) -> None:
        """Note which release a dyno or the supervisor runs from now on."""
        self._releases[dyno] = (app, release)

    def forget(self, dyno: str) -> None:
        """Forget a dyno that has ended for good."""
        self._releases.pop(dyno, None)

    def release_of(self, dyno: str) -> tuple[str | None, int | None]:
        """Return the application and the release that a dyno runs, None if unknown."""
        return self._releases.get(dyno, (None, None))

    def say(
        self, dyno: str, text: str, event: LogEvent | None = None, source: str = "hsup"
    ) -> None:
        """Add a line of hsup's own about a dyno; `source` says in whose words, see LogBatch.

        While no one reads, lines beyond UNREAD_BYTES are only counted.
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
                time=self.now(),
                source=source,
                dyno=dyno,
                stream="stdout",
                lines=lines,
                app=app,
                release=release,
                event=event or LogEvent("warning" if text.startswith(_WARNING) else "notice"),
            )
        )

    def add(self, reader: StreamReader) -> None:
        """Add a stream, which is read from now on unless a sink is full."""
        self._readers.add(reader)
        if self._waiting is None:
            reader.resume()

    def remove(self, reader: StreamReader) -> None:
        """Remove a stream that has ended."""
        self._readers.discard(reader)

    async def close(self, *, stuck_seconds: float = 5.0) -> None:
        """Deliver everything and close the sinks.

        A sink is cancelled and loses the rest if its reader takes nothing for
        `stuck_seconds`, or if it cannot tell (see CountsTaken) and is not done by
        then. All sinks are cancelled if this is cancelled.
        """
        if self._waiting is not None:
            self._waiting.cancel()
        await asyncio.gather(*(_close(sink, stuck_seconds) for sink in self._sinks))

    async def _resume(self) -> None:
        try:
            for sink in self._sinks:
                await sink.drained()
            if self.backlog is not None:
                await self.backlog.drained()
        finally:
            self._waiting = None
            self._tell_unsaid()
            if self._waiting is None:
                # epoll tells of them in this order: whoever has waited longest comes first.
                for reader in sorted(self._readers, key=attrgetter("last_read")):
                    reader.resume()

    def _tell_unsaid(self) -> None:
        if unsaid := self._unsaid:
            self._unsaid = 0
            text = f"Dropped {unsaid} of hsup's own lines because nobody read the output"
            self.say(SUPERVISOR, text)


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
        logger.error("could not close %r", sink, exc_info=error)


def _taken_bytes(sink: LogSink) -> int:
    return sink.taken_bytes if isinstance(sink, CountsTaken) else 0


class StreamReader:
    """Reads one stream of one dyno from its pipe."""

    __slots__ = (
        "_app",
        "_descriptor",
        "_dyno",
        "_framer",
        "_is_wide",
        "_release",
        "_router",
        "_showing",
        "_stream",
        "last_read",
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
        self.last_read = 0
        self._showing: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """Read whenever the dyno writes, from now on."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self.read)

    def resize(self, window: WindowSize) -> None:
        """Set the size of the terminal that is read, unless the dyno has closed it."""
        if self._descriptor >= 0:
            with suppress(OSError):  # the dyno is just closing it
                _set_size(self._descriptor, window)

    def pause(self) -> None:
        """Stop reading; the dyno blocks once its pipe is full."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def finish(self) -> None:
        """Pass on what is left in the pipe, and close it; called when it has no writer."""
        while self.read():
            pass
        self._close()

    def read(self) -> bool:
        """Pass on one piece; return whether there was one."""
        if self._descriptor < 0:
            return False
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # a terminal that nobody writes to any more
        if not data:
            self._close()
            return False
        self._router.read_count += 1
        self.last_read = self._router.read_count
        if len(data) == _READ_BYTES and not self._is_wide:
            self._widen()
        lines = self._framer.feed(data)
        self._publish(lines, is_partial=not lines.endswith(b"\n"))
        if self._router.shows_beginnings and self._showing is None and self._framer.unfinished:
            loop = asyncio.get_running_loop()
            self._showing = loop.call_later(_SHOWN_SECONDS, self._show_beginning)
        return True

    def _publish(self, lines: bytes, *, is_partial: bool) -> None:
        if lines:
            self._router.publish(self._batch(lines, is_partial=is_partial))

    def _show_beginning(self) -> None:
        self._showing = None
        if unfinished := self._framer.unfinished:
            self._router.show(self._batch(unfinished, is_partial=True))

    def _batch(self, lines: bytes, *, is_partial: bool) -> LogBatch:
        return LogBatch(
            time=self._router.now(),
            source="app",
            dyno=self._dyno,
            stream=self._stream,
            lines=lines,
            is_partial=is_partial,
            app=self._app,
            release=self._release,
        )

    def _widen(self) -> None:
        self._is_wide = True
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _WIDE_PIPE_BYTES)
        except OSError:  # above the user's limit for pipes (man 7 pipe)
            pass

    def _close(self) -> None:
        if self._descriptor < 0:
            return
        self.pause()
        if self._showing is not None:
            self._showing.cancel()
        self._publish(self._framer.finish(), is_partial=False)
        self._router.remove(self)
        os.close(self._descriptor)
        self._descriptor = -1


class DynoOutput:
    """Both streams of one dyno, from before its start until after its end.

    `stdout` and `stderr` are the writing ends, which its driver gets: of two pipes, or with a
    `window` of one terminal. Raises OSError if they cannot be created, and leaves nothing open
    then.
    """

    __slots__ = ("_readers", "_router", "stderr", "stdout")

    def __init__(self, name: DynoName, router: LogRouter, window: WindowSize | None = None) -> None:
        self._router = router
        self._readers: tuple[StreamReader, ...]
        if window is not None:
            self.stdout, self.stderr, reader = _terminal(str(name), router, window)
            self._readers = (reader,)
            return
        self.stdout, stdout_reader = _pipe(str(name), "stdout", router)
        try:
            self.stderr, stderr_reader = _pipe(str(name), "stderr", router)
        except OSError:  # too many descriptors are open
            os.close(self.stdout)
            stdout_reader.finish()
            raise
        self._readers = (stdout_reader, stderr_reader)

    def begin(self) -> None:
        """Pass on from now on what the dyno writes, and has written."""
        for reader in self._readers:
            self._router.add(reader)

    def close_writing_ends(self) -> None:
        """Close hsup's writing ends, so that the dyno's end closes the pipes."""
        for descriptor in (self.stdout, self.stderr):
            with suppress(OSError):  # the driver closed it, against its contract
                os.close(descriptor)

    def resize(self, window: WindowSize) -> None:
        """Set the size of the terminal that the dyno writes to."""
        for reader in self._readers:
            reader.resize(window)

    async def drain(self) -> None:
        """Pass on what the dyno wrote, no faster than the sinks take it."""
        for reader in self._readers:
            await self._router.room()
            while reader.read():
                await self._router.room()

    def finish(self) -> None:
        """Pass on all remaining output; called when the dyno has ended."""
        for reader in self._readers:
            reader.finish()


def _pipe(dyno: str, stream: str, router: LogRouter) -> tuple[int, StreamReader]:
    reading_end, writing_end = os.pipe()
    return writing_end, StreamReader(reading_end, dyno, stream, router)


def _terminal(dyno: str, router: LogRouter, window: WindowSize) -> tuple[int, int, StreamReader]:
    """Return two descriptors of a new terminal, which passes on what is written as it is."""
    reading_end, writing_end = os.openpty()
    try:
        tty.setraw(writing_end)
        _set_size(writing_end, window)
        again = os.dup(writing_end)
    except OSError:
        os.close(reading_end)
        os.close(writing_end)
        raise
    return writing_end, again, StreamReader(reading_end, dyno, "stdout", router)


def _set_size(terminal: int, window: WindowSize) -> None:
    """Set the size of a terminal, at either end (man 2 ioctl_tty). Raises OSError."""
    size = struct.pack("HHHH", window.rows, window.columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
