"""Deliver lines to one destination, whatever it does.

backlog ──▶ reader ──▶ lane ──▶ block ──▶ drain, again and again until it has it
              │          lane ──▶ block ──▶   │
              │ too slow                      │ refused, or failed too often
              ▼                               ▼
            losses: told to the destination at the beginning of the next block
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable
from zlib import crc32

from hsup.api import LogBatch, LogEvent
from hsup.drains.lane import Filling, Outgoing, without_taken
from hsup.drains.losses import UNDELIVERED, Losses
from hsup.drains.outage import Outage
from hsup.drains.pace import Pace
from hsup.errors import DrainError, DrainRefused, DrainUnreachable
from hsup.log_drain import DrainLimits, LogDrain
from hsup.output.backlog import Dropped, line_count
from hsup.output.losses import Loss

#: The longest wait before another try once hsup is to end.
_LAST_WAIT_SECONDS = 0.5
#: How soon lines come to a lane that waits for them, unless the reader's disk is slow.
_LOOK_SECONDS = 0.005
#: For how long hsup delivers at its end what is kept for the next start all the same.
_KEPT_WAIT_SECONDS = 2.0


class LineReader(Protocol):
    """Where lines wait for a destination."""

    @property
    def pending_bytes(self) -> int:
        """Return how many bytes of lines wait."""

    async def ready(self) -> None:
        """Return when there is something to read."""

    def next(self, most_bytes: int) -> LogBatch | None:
        """Return the next lines, None if there are none."""

    def dropped(self) -> Dropped | None:
        """Return what was dropped since the last call."""

    def line_count(self) -> int:
        """Return how many lines wait."""

    def close(self) -> None:
        """Release what waits."""


class Kept(NamedTuple):
    """How many lines stay for the next start of hsup, where, and how many are lost with it."""

    line_count: int = 0
    directory: str = ""
    lost_count: int = 0


@runtime_checkable
class Lasting(Protocol):
    """The ability of a reader to keep lines for the next hsup, until they are acknowledged."""

    def acknowledge(self, count: int) -> None:
        """Forget the first so many of all batches that `next` has returned: they are done with."""

    def kept(self) -> Kept:
        """Return what stays if hsup ends now."""

    async def stirred(self) -> None:
        """Return when `next` may give something, or nothing waits; others run meanwhile."""

    async def store(self) -> None:
        """Put what waits where it stays, as far as possible; called once, before `close`."""


class Delivery:
    """Delivers what a reader gives to a drain, and counts what is lost.

    `say` gets lines about failures and their end, which begin with `name`, or are the platform's
    if their event has a code.
    """

    def __init__(
        self,
        drain: LogDrain,
        reader: LineReader,
        *,
        name: str,
        say: Callable[[str, LogEvent], None],
        pace: Pace | None = None,
    ) -> None:
        self.name = name
        self._pace = pace or Pace()
        self._drain = drain
        self._reader = reader
        self._say = say
        self._lasting = reader if isinstance(reader, Lasting) else None
        self._limits = drain.limits
        if self._lasting is not None:  # what fails stays, however often
            self._limits = self._limits._replace(tries=None)
        self._read_count = 0  # of batches
        self._losses = Losses()
        self._outage = Outage()
        self._recovered = asyncio.Event()
        self._failed = asyncio.Event()
        self._is_closing = False
        self._lanes = [_Lane(self._limits, self) for _ in range(self._limits.lanes)]
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(self._note_end)
        self._is_closed = False

    async def finish(self) -> None:
        """Return when everything is delivered, or given up; no more lines come.

        What is kept for the next start is not waited for, once the destination fails.
        """
        self._is_closing = True
        self._recovered.set()  # whoever waits tries again now
        if self._lasting is None:
            await self._deliver_rest()
            return
        tasks = [asyncio.create_task(one) for one in (self._deliver_rest(), self._failed.wait())]
        try:
            await asyncio.wait(
                tasks, timeout=_KEPT_WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()

    async def _deliver_rest(self) -> None:
        while self._reader.pending_bytes or not all(lane.is_idle for lane in self._lanes):
            if self._running.done():  # a fault of hsup: nothing more will be delivered
                return
            self._hasten()
            await self._until_something_is_sent()
        self._note_dropped()
        if not self._losses.is_told:
            self._lanes[0].send_losses()
            await self._lanes[0].idle()

    @property
    def undelivered(self) -> int:
        """Return how many lines were lost, or are not delivered yet, but for those that stay."""
        self._note_dropped()
        if self._lasting is not None:
            return self._losses.total + self._lasting.kept().lost_count
        waiting = self._reader.line_count() + sum(lane.line_count for lane in self._lanes)
        return self._losses.total + waiting

    @property
    def kept(self) -> Kept:
        """Return what stays for the next start."""
        return Kept() if self._lasting is None else self._lasting.kept()

    async def close(self) -> int:
        """End at once; return how many lines were not delivered in all; may be called again."""
        undelivered = self.undelivered
        if self._is_closed:
            return undelivered
        self._is_closed = True
        try:
            for task in self._tasks():
                task.cancel()
            await asyncio.gather(*self._tasks(), return_exceptions=True)
            if self._lasting is not None:
                await self._lasting.store()
                undelivered = self.undelivered
        finally:
            self._reader.close()
        await self._drain.close()
        return undelivered

    def take_losses(self) -> tuple[Loss, ...]:
        """Return what the destination is to be told at the beginning of the next block."""
        self._note_dropped()
        return self._losses.take_untold()

    def _note_dropped(self) -> None:
        if dropped := self._reader.dropped():
            self._losses.add(Loss(self._limits.overflow_code, dropped.line_count, dropped.since))

    async def send(self, outgoing: Outgoing, note: Callable[[int], None]) -> None:
        """Deliver a block, or count it as lost; `note` gets how many lines are not delivered."""
        failures = 0
        while True:
            try:
                await self._deliver(outgoing)
            except DrainRefused as error:
                self._fail(error)
                return self._lose(without_taken(outgoing, error.taken_lines))
            except DrainError as error:
                self._fail(error)
                outgoing = without_taken(outgoing, error.taken_lines)
                note(outgoing.block.line_count)
                failures += not isinstance(error, DrainUnreachable)
                if failures == self._limits.tries:
                    return self._lose(outgoing)
                await self._wait(error)
            else:
                return self._recover()

    async def _deliver(self, outgoing: Outgoing) -> None:
        """Have the drain deliver a block. Raises DrainError, whatever is at fault."""
        try:
            await self._drain.deliver(outgoing.block)
        except DrainError:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            # The text of what was raised may have a secret of the destination.
            raise DrainError(f"it failed unexpectedly: {type(error).__name__}") from None

    def _note_end(self, running: asyncio.Task[None]) -> None:
        """Say that no more lines are delivered, if that is so: only a fault of hsup can end it."""
        if not running.cancelled() and (error := running.exception()) is not None:
            self._pace.note_failure()  # no dyno waits for it
            text = f"{self.name} gets no more lines: {type(error).__name__}"
            self._say(f"Warning: {text}", LogEvent("warning"))

    async def _run(self) -> None:
        """Pass lines on to the lanes."""
        while True:
            await self._reader.ready()
            while batch := self._reader.next(self._limits.bytes):
                number, self._read_count = self._read_count, self._read_count + 1
                lane = self._lanes[crc32(batch.dyno.encode()) % len(self._lanes)]
                await lane.put(batch, number)

    def acknowledge(self) -> None:
        """Have the reader forget what is before all that is not delivered yet."""
        if self._lasting is not None:
            oldest = [lane.oldest for lane in self._lanes if lane.oldest is not None]
            self._lasting.acknowledge(min(oldest, default=self._read_count))

    def _hasten(self) -> None:
        for lane in self._lanes:
            lane.send()

    async def _until_something_is_sent(self) -> None:
        idle = [asyncio.ensure_future(lane.idle()) for lane in self._lanes if not lane.is_idle]
        if not idle and self._lasting is not None:
            await self._lasting.stirred()
            return
        if not idle:  # the lanes are about to get what the reader has
            await asyncio.wait([self._running], timeout=_LOOK_SECONDS)
            return
        await asyncio.wait(idle, return_when="FIRST_COMPLETED")
        for one in idle:
            one.cancel()

    def _tasks(self) -> Iterator[asyncio.Task[None]]:
        yield self._running
        for lane in self._lanes:
            if lane.sending is not None:
                yield lane.sending

    def _lose(self, outgoing: Outgoing) -> None:
        if count := outgoing.block.line_count:
            self._losses.add(Loss(UNDELIVERED, count, outgoing.since))
        self._losses.add_untold(outgoing.losses)

    def _fail(self, error: DrainError) -> None:
        self._pace.note_failure()
        if self._outage.fail(str(error), time.monotonic(), self._losses.total):
            if error.code is None:
                self._say(f"Warning: {self.name}: {error}", LogEvent("warning"))
            else:
                self._say(str(error), LogEvent("error", code=error.code))

    def _recover(self) -> None:
        self._pace.note_success()
        self._note_dropped()
        self._recovered.set()
        self._failed.clear()
        if (ended := self._outage.end(time.monotonic(), self._losses.total)) is not None:
            seconds, lost = ended
            lines = f"{lost} lines were lost" if lost else "no line was lost"
            text = f"{self.name} takes lines again after {seconds:.0f} s; {lines}"
            self._say(text, LogEvent("notice"))

    async def _wait(self, error: DrainError) -> None:
        """Wait before another try, unless another lane has got through."""
        seconds = self._outage.wait_seconds()
        if error.retry_seconds is not None:
            seconds = max(seconds, error.retry_seconds)
        if self._is_closing:
            seconds = min(seconds, _LAST_WAIT_SECONDS)
        self._failed.set()
        self._recovered.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._recovered.wait()
        except TimeoutError:
            pass


class _Lane:
    """Lines of some dynos: a block that is filled while another one is delivered."""

    def __init__(self, limits: DrainLimits, delivery: Delivery) -> None:
        self._limits = limits
        self._delivery = delivery
        self._filling = Filling(limits)
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._sent = asyncio.Event()
        self._underway = 0
        self._held: LogBatch | None = None  # until there is room
        self._numbers: deque[int] = deque()  # of the batches that are not delivered yet
        self.sending: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether there is nothing to deliver."""
        return self.sending is None and self._filling.is_empty and self._held is None

    @property
    def line_count(self) -> int:
        """Return how many lines are not delivered yet."""
        held = 0 if self._held is None else line_count(self._held.lines)
        return self._filling.line_count + self._underway + held

    @property
    def oldest(self) -> int | None:
        """Return the number of the oldest batch that is not delivered yet, None without any."""
        return self._numbers[0] if self._numbers else None

    async def put(self, batch: LogBatch, number: int) -> None:
        """Take the lines of a batch as soon as there is room; numbers rise."""
        self._held = batch
        self._numbers.append(number)
        while self._held is not None:
            while self._filling.is_full:
                self._sent.clear()
                await self._sent.wait()
            self._held = self._filling.add(self._held)
            if self._held is None:
                self._filling.through = number
            if self._filling.is_full or self._is_due:
                self.send()
            elif self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._limits.wait_seconds, self.send)

    def send(self) -> None:
        """Begin to deliver what there is, or do so once the block before is delivered."""
        self._is_due = True
        if self.sending is None and not self._filling.is_empty:
            filled, self._filling = self._filling, Filling(self._limits)
            self._begin(filled.sealed(self._delivery.take_losses()))

    def send_losses(self) -> None:
        """Tell what was lost, without any line."""
        self._begin(Filling(self._limits).sealed(self._delivery.take_losses()))

    async def idle(self) -> None:
        """Return when the block that is being delivered has been."""
        while self.sending is not None:
            self._sent.clear()
            await self._sent.wait()

    def _begin(self, outgoing: Outgoing) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._note_underway(outgoing.block.line_count)
        sending = self._delivery.send(outgoing, self._note_underway)
        self.sending = asyncio.create_task(sending)
        self.sending.add_done_callback(partial(self._end, through=outgoing.through))

    def _note_underway(self, lines: int) -> None:
        self._underway = lines

    def _end(self, sending: asyncio.Task[None], *, through: int) -> None:
        self.sending = None
        if sending.cancelled():
            return
        sending.result()  # a fault of hsup, as `send` raises nothing
        self._underway = 0
        while self._numbers and self._numbers[0] <= through:
            self._numbers.popleft()
        self._delivery.acknowledge()
        if self._filling.is_full or self._is_due:
            self.send()
        self._sent.set()
