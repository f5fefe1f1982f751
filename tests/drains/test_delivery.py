from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hsup.api import LogBatch, LogEvent
from hsup.drains.delivery import Delivery, Kept
from hsup.errors import DrainError, DrainRefused, DrainUnreachable
from hsup.log_drain import DrainLimits, LogBlock
from hsup.output.backlog import Backlog, BacklogReader
from hsup.testing import MemoryDrain, make_batch

NOW = DrainLimits(wait_seconds=0.0)


class Delivered:
    """A delivery to a drain in memory, with what it says."""

    def __init__(self, drain: MemoryDrain, most_bytes: int = 1 << 20) -> None:
        self.drain = drain
        self.backlog = Backlog()
        self.said: list[str] = []
        self.events: list[LogEvent] = []
        self.delivery = Delivery(
            drain, self.backlog.reader(most_bytes), name="drain https://logs.example", say=self._say
        )

    def _say(self, text: str, event: LogEvent) -> None:
        self.said.append(text)
        self.events.append(event)

    def add(self, *lines: bytes, dyno: str = "web.1") -> None:
        for one in lines:
            self.backlog.append(make_batch(one, dyno=dyno, time=1_000_000_000))


@asynccontextmanager
async def delivering(
    limits: DrainLimits = NOW, most_bytes: int = 1 << 20, *errors: DrainError
) -> AsyncIterator[Delivered]:
    drain = MemoryDrain(limits)
    drain.errors.extend(errors)
    delivered = Delivered(drain, most_bytes)
    try:
        yield delivered
    finally:
        await delivered.delivery.close()


def texts(batches: list[LogBatch]) -> list[bytes]:
    return [batch.lines for batch in batches]


async def test_lines_arrive_whole_and_in_order() -> None:
    async with delivering() as delivered:
        delivered.add(b"one\ntwo\n", b"three\n")
        await delivered.delivery.finish()
        assert delivered.drain.lines() == b"one\ntwo\nthree\n"
        assert delivered.said == []


async def test_a_block_has_at_most_so_many_lines_and_bytes() -> None:
    limits = DrainLimits(lines=10, bytes=100, wait_seconds=0.0)
    async with delivering(limits) as delivered:
        delivered.add(b"x\n" * 35, b"0123456789abcde\n" * 20)
        await delivered.delivery.finish()
        blocks = delivered.drain.blocks
        assert delivered.drain.lines() == b"x\n" * 35 + b"0123456789abcde\n" * 20
        assert max(block.line_count for block in blocks) == 10
        assert max(sum(len(one.lines) for one in block.batches) for block in blocks) <= 100
        assert sum(block.line_count for block in blocks) == 55


async def test_lines_wait_for_others_until_their_time_is_up() -> None:
    async with delivering(DrainLimits(wait_seconds=3600)) as delivered:
        delivered.add(b"one\n")
        await asyncio.sleep(0.01)
        delivered.add(b"two\n")
        await asyncio.sleep(0.01)
        assert delivered.drain.tried == []
        await delivered.delivery.finish()
        assert texts(delivered.drain.batches) == [b"one\n", b"two\n"]
        assert len(delivered.drain.blocks) == 1


async def test_dynos_are_delivered_at_once_but_each_in_order() -> None:
    limits = DrainLimits(lines=2, wait_seconds=0.0, lanes=4)
    async with delivering(limits) as delivered:
        delivered.drain.open.clear()
        for number in range(50):
            for dyno in range(20):
                delivered.add(b"%d\n" % number, dyno=f"web.{dyno}")
        await delivered.drain.until(lambda drain: drain.most_at_once > 1)
        delivered.drain.open.set()
        await delivered.delivery.finish()
        expected = b"".join(b"%d\n" % number for number in range(50))
        for dyno in range(20):
            assert delivered.drain.lines(dyno=f"web.{dyno}") == expected
        assert delivered.drain.most_at_once <= 4


async def test_a_block_that_failed_is_sent_again_as_it_was() -> None:
    async with delivering(NOW, 1 << 20, DrainError("status 500")) as delivered:
        delivered.add(b"one\n")
        await delivered.drain.until(lambda drain: drain.blocks)
        first, second = delivered.drain.tried
        assert first == second
        assert len(first) == 32
        assert delivered.drain.lines() == b"one\n"
        assert delivered.said[0] == "Warning: drain https://logs.example: status 500"
        await delivered.delivery.finish()
        assert delivered.said[1].startswith("drain https://logs.example takes lines again after ")
        assert delivered.said[1].endswith("; no line was lost")


async def test_a_block_that_fails_too_often_is_lost_and_told_with_the_next() -> None:
    limits = DrainLimits(wait_seconds=0.0, tries=2)
    async with delivering(limits, 1 << 20, DrainError("no"), DrainError("no")) as delivered:
        delivered.add(b"one\ntwo\n")
        await delivered.drain.until(lambda drain: len(drain.tried) == 2)
        delivered.add(b"three\n")
        await delivered.delivery.finish()
        told, line = delivered.drain.batches
        expected = b"Error L13: 2 messages lost since 1970-01-01T00:00:01.000000+00:00\n"
        assert told.lines == expected
        assert (told.source, told.dyno) == ("heroku", "logplex")
        assert told.event is not None
        assert told.event.code == "L13"
        assert line.lines == b"three\n"
        assert delivered.drain.blocks[0].line_count == 1
        assert delivered.delivery.undelivered == 2


async def test_what_is_refused_is_not_sent_again_and_told_even_if_nothing_follows() -> None:
    async with delivering(NOW, 1 << 20, DrainRefused("status 400")) as delivered:
        delivered.add(b"one\n")
        await delivered.delivery.finish()
        (told,) = delivered.drain.batches
        assert told.lines.startswith(b"Error L13: 1 messages lost since ")
        assert delivered.drain.blocks[0].line_count == 0
        assert len(set(delivered.drain.tried)) == 2


async def test_of_a_block_that_is_refused_in_part_only_the_rest_is_lost() -> None:
    error = DrainRefused("it rejected 2 of 5 lines", taken_lines=3)
    async with delivering(NOW, 1 << 20, error) as delivered:
        delivered.add(b"1\n2\n3\n4\n5\n")
        await delivered.delivery.finish()
        (told,) = delivered.drain.batches
        assert told.lines.startswith(b"Error L13: 2 messages lost since ")


async def test_a_loss_is_told_again_if_what_told_it_was_lost() -> None:
    errors = (DrainRefused("no"), DrainRefused("no"))
    async with delivering(DrainLimits(lines=1, wait_seconds=0.0), 1 << 20, *errors) as delivered:
        delivered.add(b"one\n", b"two\n", b"three\n")
        await delivered.delivery.finish()
        told, line = delivered.drain.batches
        assert told.lines.startswith(b"Error L13: 2 messages lost since ")
        assert line.lines == b"three\n"


async def test_while_nothing_can_be_reached_no_try_counts_and_the_buffer_fills() -> None:
    limits = DrainLimits(lines=100, bytes=10_000, wait_seconds=0.0, tries=1)
    away = [DrainUnreachable("cannot connect: Connection refused")] * 2
    async with delivering(limits, 100_000, *away) as delivered:
        delivered.add(b"x" * 99 + b"\n")
        await delivered.drain.until(lambda drain: len(drain.tried) == 1)
        for _ in range(2000):
            delivered.add(b"y" * 99 + b"\n")
        await delivered.delivery.finish()
        told = [one for one in delivered.drain.batches if one.event is not None]
        assert told[0].lines.startswith(b"Error L10 (output buffer overflow): ")
        assert told[0].lines.endswith(b" messages dropped since 1970-01-01T00:00:01+00:00.\n")
        dropped = int(told[0].lines.split()[5])
        assert delivered.drain.lines().count(b"\n") + dropped == 2001
        assert f"; {dropped} lines were lost" in delivered.said[-1]


async def test_what_a_destination_took_of_a_block_is_not_sent_again() -> None:
    error = DrainError("the connection was reset", taken_lines=3)
    async with delivering(NOW, 1 << 20, error) as delivered:
        delivered.add(b"1\n2\n3\n4\n5\n")
        await delivered.delivery.finish()
        assert delivered.drain.lines() == b"4\n5\n"
        assert delivered.delivery.undelivered == 0


async def test_closing_counts_what_no_one_has_taken() -> None:
    limits = DrainLimits(lines=20, wait_seconds=0.0, lanes=2)
    async with delivering(limits) as delivered:
        delivered.drain.open.clear()
        for _ in range(5):
            for dyno in range(10):
                delivered.add(b"x\n", dyno=f"web.{dyno}")
        await delivered.drain.until(lambda drain: drain.most_at_once == 2)
        assert await delivered.delivery.close() == 50
        assert delivered.drain.is_closed


async def test_the_same_failure_is_said_once() -> None:
    errors = [DrainError("status 500")] * 2
    async with delivering(NOW, 1 << 20, *errors) as delivered:
        delivered.add(b"one\n")
        await delivered.delivery.finish()
        assert len(delivered.said) == 2


async def test_what_the_platform_says_of_a_failure_is_said_in_its_words() -> None:
    text = 'Error L14 (certificate validation): error="expired" uri="syslog+tls://logs.example"'
    async with delivering(NOW, 1 << 20, DrainUnreachable(text, code="L14")) as delivered:
        delivered.add(b"one\n")
        await delivered.drain.until(lambda drain: drain.blocks)
        assert delivered.said[0] == text
        assert delivered.events[0].code == "L14"


class LastingReader(BacklogReader):
    """Keeps what was not acknowledged, as a spool does, and notes when it is told what."""

    def __init__(self, backlog: Backlog) -> None:
        super().__init__(backlog, 1 << 20, None)
        backlog.watch(self)
        self.acknowledged = [0]
        self.is_stored = False

    def acknowledge(self, count: int) -> None:
        self.acknowledged.append(count)

    def kept(self) -> Kept:
        return Kept(self.line_count(), "/spool")

    async def stirred(self) -> None:
        await asyncio.sleep(0)

    async def store(self) -> None:
        self.is_stored = True


class HeldReader(LastingReader):
    """Gives nothing until it may, though lines wait; counts how often that is looked at."""

    def __init__(self, backlog: Backlog) -> None:
        self.may_give = asyncio.Event()
        self.looks = 0
        super().__init__(backlog)

    @property
    def pending_bytes(self) -> int:
        self.looks += 1
        return super().pending_bytes

    async def ready(self) -> None:
        await self.may_give.wait()
        await super().ready()

    async def stirred(self) -> None:
        await self.may_give.wait()
        await asyncio.sleep(0)


async def test_lines_that_cannot_be_read_yet_are_waited_for_without_work() -> None:
    backlog = Backlog()
    reader = HeldReader(backlog)
    drain = MemoryDrain(NOW)
    delivery = Delivery(drain, reader, name="x", say=lambda _, __: None)
    backlog.append(make_batch(b"one\n"))
    finishing = asyncio.create_task(delivery.finish())
    await several_steps()
    before = reader.looks
    await several_steps()
    assert reader.looks == before
    reader.may_give.set()
    await finishing
    assert drain.lines() == b"one\n"
    await delivery.close()


async def several_steps() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def lasting(drain: MemoryDrain) -> AsyncIterator[tuple[Delivery, LastingReader]]:
    backlog = Backlog()
    reader = LastingReader(backlog)
    delivery = Delivery(drain, reader, name="x", say=lambda _, __: None)
    for number in range(20):
        for dyno in ("web.1", "web.2", "web.3"):
            backlog.append(make_batch(b"%d\n" % number, dyno=dyno))
    try:
        yield delivery, reader
    finally:
        await delivery.close()


async def test_what_is_delivered_is_acknowledged_up_to_the_oldest_that_is_not() -> None:
    drain = MemoryDrain(DrainLimits(lines=3, wait_seconds=0.0, lanes=4))
    async with lasting(drain) as (delivery, reader):
        await delivery.finish()
        assert reader.acknowledged == sorted(reader.acknowledged)
        assert reader.acknowledged[-1] == 60
        assert len(drain.batches) == 60


class StuckDrain(MemoryDrain):
    """Never takes lines of web.2."""

    async def deliver(self, block: LogBlock) -> None:
        if block.batches[0].dyno == "web.2":
            await asyncio.Event().wait()
        await super().deliver(block)


async def test_what_waits_is_not_acknowledged_though_later_lines_are_delivered() -> None:
    drain = StuckDrain(DrainLimits(lines=1, wait_seconds=0.0, lanes=64))
    async with lasting(drain) as (delivery, reader):
        await drain.until(lambda one: len(one.blocks) >= 3)
        assert reader.acknowledged[-1] == 1
        assert await delivery.close() == 0
        assert reader.is_stored


async def test_a_block_that_is_kept_is_tried_until_it_is_taken() -> None:
    drain = MemoryDrain(DrainLimits(wait_seconds=0.0, tries=1))
    drain.errors.extend([DrainError("status 500")] * 2)
    async with lasting(drain) as (delivery, _):
        await drain.until(lambda one: one.blocks)
        await delivery.finish()
        assert drain.lines().count(b"\n") == 60
        assert delivery.undelivered == 0


async def test_what_is_kept_is_not_waited_for_while_the_destination_fails() -> None:
    drain = MemoryDrain(NOW)
    drain.errors.extend([DrainUnreachable("away", retry_seconds=3600)] * 2)
    async with lasting(drain) as (delivery, reader):
        await drain.until(lambda one: one.tried)
        await delivery.finish()
        assert drain.blocks == []
        assert reader.acknowledged == [0]
        assert delivery.kept.directory == "/spool"


async def test_what_is_refused_is_lost_and_acknowledged_even_if_lines_are_kept() -> None:
    drain = MemoryDrain(NOW)
    drain.errors.append(DrainRefused("status 400"))
    async with lasting(drain) as (delivery, reader):
        await delivery.finish()
        assert reader.acknowledged[-1] == 60
        assert delivery.undelivered == 60


class FaultyDrain(MemoryDrain):
    """Raises once what a drain never should."""

    async def deliver(self, block: LogBlock) -> None:
        if not self.tried:
            self.tried.append(block.id)
            raise ValueError("https://user:secret@logs.example")
        await super().deliver(block)


async def test_a_fault_of_a_drain_is_a_failure_whose_text_nobody_sees() -> None:
    drain = FaultyDrain(NOW)
    delivered = Delivered(drain)
    delivered.add(b"one\n")
    await delivered.delivery.finish()
    assert drain.lines() == b"one\n"
    assert delivered.said[0].endswith(": it failed unexpectedly: ValueError")
    assert await delivered.delivery.close() == 0


async def test_what_waits_for_another_try_is_tried_at_once_at_the_end() -> None:
    error = DrainError("status 429", retry_seconds=3600.0)
    async with delivering(NOW, 1 << 20, error) as delivered:
        delivered.add(b"one\n")
        await delivered.drain.until(lambda drain: drain.tried)
        await asyncio.sleep(0)
        await delivered.delivery.finish()
        assert delivered.drain.lines() == b"one\n"


@pytest.mark.parametrize(("reasons", "said"), [(1, 2), (20, 12)])
async def test_a_destination_that_fails_now_and_then_is_not_spoken_of_each_time(
    reasons: int, said: int
) -> None:
    async with delivering() as delivered:
        for number in range(20):
            delivered.drain.errors.append(DrainRefused(f"status {400 + number % reasons}"))
            delivered.add(b"line\n")
            await delivered.drain.until(lambda drain: not drain.errors)
            await delivered.delivery.finish()
        assert len(delivered.said) == said


async def test_a_line_that_does_not_fit_at_all_is_told() -> None:
    async with delivering(NOW, 1 << 16) as delivered:
        delivered.add(b"x" * 100_000 + b"\n")
        await delivered.delivery.finish()
        (told,) = delivered.drain.batches
        assert told.lines.startswith(b"Error L10 (output buffer overflow): 1 messages dropped")
