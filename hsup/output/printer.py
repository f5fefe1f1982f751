"""The log sink that prints on hsup's own standard streams."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup.formats.formatters import Formatter, RawWithNotices
from hsup.model import Release
from hsup.output.descriptor import DescriptorWriter
from hsup.output.screen import LOGGED, ScreenFormatter

if TYPE_CHECKING:
    from hsup.output.echo import Echo

logger = logging.getLogger(__name__)

#: How long what hsup says may wait for the names of the dynos, which tell how wide its column is.
_HOLD_SECONDS = 0.5


class Printer:
    """Prints all batches on one stream, so that their order is kept.

    If `marks_gaps` is set, a line of hsup's own says where output could not be printed.
    """

    def __init__(self, descriptor: int, form: Formatter, *, marks_gaps: bool = True) -> None:
        self._marks_gaps = marks_gaps
        self._format: UnmixedLines[Formatter] = UnmixedLines(form)
        self._writer = DescriptorWriter(descriptor, _report_broken)
        self._lost_bytes = 0

    def write(self, batch: LogBatch) -> None:
        """Print a batch; say how much was lost before, once there is room again."""
        self._print(self._format(batch))

    def _print(self, printed: bytes) -> None:
        if lost := self._writer.write(printed):
            self._lost_bytes += lost
            self._format.begin_line()
        elif self._lost_bytes:
            lost, self._lost_bytes = self._lost_bytes, 0
            self._tell_lost(lost)

    def write_own(self, text: bytes) -> bool:
        """Print lines of hsup's own between batches, unless the reader has fallen behind.

        Return False if this printer has ended.
        """
        if not (self._writer.is_over or self._writer.is_full):
            self._writer.write(self._format.between(text))
        return not self._writer.is_over

    def write_log(self, text: str, level: int) -> bool:
        """Print a record of hsup's own log, as `write_own` does."""
        del level
        return self.write_own(f"hsup: {text}\n".encode(errors="backslashreplace"))

    def _tell_lost(self, lost: int) -> None:
        text = f"lost {lost} bytes of output while its file had no room; printing again"
        logger.warning(text)
        if self._marks_gaps:
            self.write(_own_batch(f"Warning: {text}\n".encode(), LogEvent("warning")))

    @property
    def prefix_columns(self) -> int:
        """Return how many columns of a terminal are before a line; see Formatter."""
        return self._format.form.prefix_columns

    @property
    def is_full(self) -> bool:
        """Tell whether the reader of hsup's output has fallen behind."""
        return self._writer.is_full

    @property
    def taken_bytes(self) -> int:
        """Return how much the reader has taken so far."""
        return self._writer.taken_bytes

    async def drained(self) -> None:
        """Return when the reader has caught up."""
        await self._writer.drained()

    async def close(self) -> None:
        """Return when the reader has everything; drop the rest if cancelled."""
        await self._writer.close()


class ScreenPrinter(Printer):
    """Prints for a person, who also wants to see lines that have not ended yet."""

    _format: UnmixedLines[ScreenFormatter]

    def __init__(self, descriptor: int, form: ScreenFormatter, echo: Echo | None = None) -> None:
        super().__init__(descriptor, form)
        self._format = UnmixedLines(form, echo)
        self._echo = echo
        self._has_announced = False
        self._held: list[LogBatch] = []
        self._holding: asyncio.TimerHandle | None = None

    def write(self, batch: LogBatch) -> None:
        """Print a batch; hold what hsup says before it has announced the dynos."""
        if self._has_announced or batch.event is None:
            self.print_held()
            super().write(batch)
            return
        self._held.append(batch)
        if self._holding is None:
            loop = asyncio.get_running_loop()
            self._holding = loop.call_later(_HOLD_SECONDS, self.print_held)

    def print_held(self) -> None:
        """Print now what hsup has said."""
        if self._holding is None:
            return
        self._holding.cancel()
        self._holding = None
        held, self._held = self._held, []
        for batch in held:
            super().write(batch)

    def write_own(self, text: bytes) -> bool:
        """Print lines of hsup's own between batches; see Printer."""
        self.print_held()
        return super().write_own(self._format.form.interrupted() + text)

    def write_log(self, text: str, level: int) -> bool:
        """Print a record of hsup's own log like its other lines; see Printer."""
        if not (self._writer.is_over or self._writer.is_full):
            label = "Error: " if level >= logging.ERROR else "Warning: "
            line = f"{label if level >= logging.WARNING else ''}{text}\n"
            self.write(_own_batch(line.encode(errors="backslashreplace"), LOGGED))
        return not self._writer.is_over

    def announce(
        self,
        source: str,
        driver: str,
        release: Release,
        ports: Mapping[str, int | None],
        may_listen: Callable[[int], bool],
    ) -> None:
        """Print what runs here, before what was held until now; see ScreenFormatter."""
        self._has_announced = True
        moment = self._held[0].time if self._held else time.time_ns()
        form = self._format.form
        super().write_own(form.announce(source, driver, release, ports, may_listen, moment=moment))
        self.print_held()

    async def close(self) -> None:
        """Return when the reader has everything; see Printer."""
        self.print_held()
        await super().close()
        if self._echo is not None:
            self._echo.close()

    def show(self, batch: LogBatch) -> None:
        """Show the beginning of a line, which comes again with its end."""
        self.print_held()
        if not self._writer.is_full:
            self._print(self._format.unfinished(batch))


class RawPrinter:
    """Prints the bytes of dynos as they are, each stream on the same stream of hsup.

    hsup's own lines go to standard error. If both streams of hsup are one file,
    as after `2>&1`, a single queue keeps the order and whole lines.
    """

    prefix_columns = 0

    def __init__(self, stdout: int, stderr: int) -> None:
        self.errors = self._stderr = Printer(stderr, RawWithNotices(), marks_gaps=False)
        self._stdout = self._stderr
        if not os.path.sameopenfile(stdout, stderr):
            self._stdout = Printer(stdout, RawWithNotices(), marks_gaps=False)

    def write(self, batch: LogBatch) -> None:
        """Print a batch."""
        if batch.event is not None or batch.stream == "stderr":
            self._stderr.write(batch)
        else:
            self._stdout.write(batch)

    @property
    def is_full(self) -> bool:
        """Tell whether a reader has fallen behind."""
        return self._stdout.is_full or self._stderr.is_full

    @property
    def taken_bytes(self) -> int:
        """Return how much the readers have taken so far."""
        return sum(one.taken_bytes for one in self._printers)

    async def drained(self) -> None:
        """Return when both readers have caught up."""
        for one in self._printers:
            await one.drained()

    async def close(self) -> None:
        """Return when both readers have everything; drop the rest if cancelled."""
        await asyncio.gather(*(one.close() for one in self._printers))

    @property
    def _printers(self) -> set[Printer]:
        return {self._stdout, self._stderr}


class ErrorPrinter:
    """Prints hsup's own log on standard error, from any thread, without waiting for a reader.

    `printer` also prints batches there if both streams are one file, as after `2>&1`.
    """

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def print(self, text: str) -> None:
        """Print lines; once the printer has ended, write them to sys.stderr directly."""
        self._in_loop(partial(self._print, text))

    def log(self, text: str, level: int) -> None:
        """Print a record of hsup's own log in the way of the printer; see `print`."""
        self._in_loop(partial(self._log, text, level))

    def _in_loop(self, act: Callable[[], None]) -> None:
        if threading.get_ident() != self._thread and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)
        else:
            act()

    async def close(self, *, stuck_seconds: float) -> None:
        """Return when all is printed, or after `stuck_seconds`."""
        try:
            async with asyncio.timeout(stuck_seconds):
                await self._printer.close()
        except TimeoutError:
            pass

    def _print(self, text: str) -> None:
        if not self._printer.write_own(text.encode(errors="backslashreplace")):
            _print_directly(text)

    def _log(self, text: str, level: int) -> None:
        if not self._printer.write_log(text, level):
            _print_directly(f"hsup: {text}\n")


def _print_directly(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


#: Where a line comes from: source, dyno and stream.
_Origin = tuple[str, str, str]
_END_OF_LINE = re.compile(rb"\A\r?\n")


_Form_co = TypeVar("_Form_co", bound=Formatter, covariant=True)


class UnmixedLines(Generic[_Form_co]):
    """Continues a line that came in pieces, and begins a new line for all else.

    The next piece of a line continues it, unless something else was printed in between.
    The last line of a dyno that has ended may lack its newline. The beginning of a line may be
    shown before its end has come. Each byte is printed once: if something else was printed since,
    or if the `echo` of what was typed has ended the line, the rest has a line of its own.
    """

    def __init__(self, form: _Form_co, echo: Echo | None = None) -> None:
        self.form = form
        self._echo = echo
        self._halfway: _Origin | None = None
        self._is_line_end = True
        self._shown: dict[_Origin, int] = {}  # how many bytes of unfinished lines

    def begin_line(self) -> None:
        """Begin a new line: the last output could not be printed."""
        self._is_line_end = True

    def between(self, text: bytes) -> bytes:
        """Return what to print for whole lines that belong to no batch."""
        self._look_at_echo()
        printed = text if self._is_line_end else b"\n" + text
        self._is_line_end = True
        return printed

    def unfinished(self, batch: LogBatch) -> bytes:
        """Return what to print of a line whose end has not come, and which will come again."""
        self._look_at_echo()
        origin = (batch.source, batch.dyno, batch.stream)
        shown, self._shown[origin] = self._shown.get(origin, 0), len(batch.lines)
        rest = batch.lines[shown:]
        return self._joined(batch._replace(lines=rest, is_partial=True)) if rest else b""

    def __call__(self, batch: LogBatch) -> bytes:
        """Return what to print for a batch."""
        if batch.is_partial or not self._is_line_end:
            self._look_at_echo()
        if self._shown:
            rest = self._unshown(batch)
            if not rest:
                return b""
            batch = batch._replace(lines=rest)
        if self._is_line_end and not batch.is_partial:
            printed = self.form(batch)
        else:
            printed = self._joined(batch)
        if printed:
            self._is_line_end = printed.endswith(b"\n")
        return printed

    def _look_at_echo(self) -> None:
        if self._echo is not None and self._echo.has_ended_line():
            self._is_line_end = True

    def _unshown(self, batch: LogBatch) -> bytes:
        """Return what of a batch was not shown as the beginning of a line.

        A line of which all was shown has ended already if something else was printed since.
        """
        origin = (batch.source, batch.dyno, batch.stream)
        shown = self._shown.pop(origin, 0)
        if not shown:
            return batch.lines
        if shown > len(batch.lines):
            self._shown[origin] = shown - len(batch.lines)
        rest = batch.lines[shown:]
        if self._goes_on(origin):
            return rest if rest or batch.is_partial else b"\n"
        return _END_OF_LINE.sub(b"", rest, count=1)

    def _goes_on(self, origin: _Origin) -> bool:
        return not self._is_line_end and self._halfway == origin

    def _joined(self, batch: LogBatch) -> bytes:
        origin = (batch.source, batch.dyno, batch.stream)
        goes_on = self._goes_on(origin)
        begins_late = not self._is_line_end and not goes_on
        printed = self.form(batch, goes_on=goes_on)
        if not printed:
            return b""
        self._halfway = origin if batch.is_partial else None
        self._is_line_end = False
        return b"\n" + printed if begins_late else printed


def _own_batch(lines: bytes, event: LogEvent) -> LogBatch:
    return LogBatch(time.time_ns(), "hsup", SUPERVISOR, "stdout", lines, event=event)


def _report_broken(error: OSError) -> None:
    text = "cannot print the output of the dynos, which keep running: %s"
    logger.warning(text, error.strerror)
