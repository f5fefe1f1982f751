"""A destination with a spool, from lines of dynos to blocks."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import hsup.drains.destinations
import hsup.drains.spooling
from hsup.api import LogEvent, Settings
from hsup.drains.delivery import Kept
from hsup.drains.destinations import Destinations, Undelivered, wanted
from hsup.drains.spool import Spool
from hsup.drains.spool_directory import SpoolDirectory
from hsup.drains.spooling import SpoolReader
from hsup.errors import DrainRefused, DrainUnreachable, UsageError
from hsup.log_drain import Destination, DrainLimits, LogBlock
from hsup.model import Author, Drain
from hsup.output.backlog import Backlog
from hsup.testing import MemoryDrain, make_batch, make_release

AWAY = DrainUnreachable("cannot connect: Connection refused", retry_seconds=3600)


class StuckDrain(MemoryDrain):
    """Never takes lines of web.2."""

    async def deliver(self, block: LogBlock) -> None:
        if block.batches[0].dyno == "web.2":
            await asyncio.Event().wait()
        await super().deliver(block)


class StayingDrain(MemoryDrain):
    """Does not end until it may."""

    def __init__(self) -> None:
        super().__init__(DrainLimits(wait_seconds=0.0))
        self.is_ending = asyncio.Event()
        self.may_end = asyncio.Event()

    async def close(self) -> None:
        self.is_ending.set()
        await self.may_end.wait()


class SlowDisk:
    """Has one function of a spool wait until `go_on` is set; tells when it is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.is_busy = asyncio.Event()
        self.go_on = threading.Event()
        loop = asyncio.get_running_loop()
        do: Callable[[Spool], None] = getattr(Spool, name)

        def wait(spool: Spool) -> None:
            loop.call_soon_threadsafe(self.is_busy.set)
            self.go_on.wait()
            do(spool)

        monkeypatch.setattr(Spool, name, wait)


class Run:
    """One run of hsup with one drain, which is away at first if `is_away` is set."""

    def __init__(
        self,
        url: str | None = None,
        *,
        is_away: bool = False,
        directory: str = "/app",
        drain: MemoryDrain | None = None,
    ) -> None:
        self.drain = drain or MemoryDrain(DrainLimits(wait_seconds=0.0))
        if is_away:
            self.drain.errors.extend([AWAY] * 99)
        self.said: list[str] = []
        self._is_over = False
        self.backlog = Backlog()
        self.destinations = Destinations(
            [] if url is None else [wanted(url)],
            backlog=self.backlog,
            settings=Settings(directory=directory, environ={}),
            create=self._create,
            say=self._say,
        )

    async def finish(self, grace_seconds: float = 0.0) -> Sequence[Undelivered]:
        """End the run, unless it has ended."""
        if self._is_over:
            return ()
        self._is_over = True
        return await self.destinations.finish(grace_seconds)

    def _create(self, _: str, __: Destination) -> MemoryDrain:
        return self.drain

    def _say(self, text: str, _: LogEvent) -> None:
        self.said.append(text)

    def add(self, count: int, start: int = 0) -> None:
        for number in range(start, start + count):
            self.backlog.append(make_batch(b"%d\n" % number))

    def numbers(self) -> list[int]:
        return [int(one) for one in self.drain.lines().split()]


@asynccontextmanager
async def running(
    url: str | None = None,
    *,
    is_away: bool = False,
    directory: str = "/app",
    drain: MemoryDrain | None = None,
) -> AsyncIterator[Run]:
    run = Run(url, is_away=is_away, directory=directory, drain=drain)
    try:
        yield run
    finally:
        await run.finish()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"https://user:s3cret@logs.example/t0ken?spool={tmp_path / 'spool'}"


async def test_lines_are_delivered_in_order_and_leave_nothing(url: str, tmp_path: Path) -> None:
    async with running(url) as run:
        run.add(1000)
        assert await run.finish(5.0) == []
        assert run.numbers() == list(range(1000))
        assert run.said == []
    assert list((tmp_path / "spool").iterdir()) == []


async def test_what_a_destination_did_not_take_is_kept_and_delivered_first_by_the_next(
    url: str, tmp_path: Path
) -> None:
    async with running(url, is_away=True) as run:
        run.add(1000)
        await run.drain.until(lambda one: one.tried)
        kept = Kept(1000, str(tmp_path / "spool"))
        assert await run.finish(3600) == [Undelivered("drain https://logs.example", 0, kept)]
    async with running(url) as run:
        run.add(10, 1000)
        assert await run.finish(5.0) == []
        assert run.numbers() == list(range(1010))


async def test_what_a_drain_of_a_release_has_not_taken_is_kept_when_another_release_comes(
    url: str, tmp_path: Path
) -> None:
    named = Drain(url)
    release = make_release()._replace(author=Author(os.geteuid(), os.getegid()))
    async with running() as run:
        run.drain.errors.extend([AWAY] * 99)
        run.destinations.follow(release._replace(drains=(named,)), grace_seconds=3600)
        run.add(7)
        await run.drain.until(lambda one: one.tried)
        run.destinations.follow(release, grace_seconds=3600)
        while len(run.said) < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        await run.finish(3600)
        assert run.said == [
            "Warning: drain https://logs.example: cannot connect: Connection refused",
            f"drain https://logs.example: 7 lines are kept in {tmp_path}/spool for the next start",
        ]
    async with running() as run:
        run.destinations.follow(release._replace(drains=(named,)), grace_seconds=3600)
        await run.finish(5.0)
        assert run.numbers() == list(range(7))


async def test_a_disk_on_which_nothing_ends_keeps_lines_and_no_lock(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        disk = SlowDisk(patch, "sync")
        patch.setattr(hsup.drains.destinations, "_CLOSING_SECONDS", 0.01)
        async with running(url, is_away=True) as run:
            run.add(10)
            await run.drain.until(lambda one: one.tried)
            kept = Kept(10, str(tmp_path / "spool"))
            assert await run.finish() == [Undelivered("drain https://logs.example", 0, kept)]
            disk.go_on.set()
    async with running(url) as run:
        await run.finish(5.0)
        assert run.numbers() == list(range(10))


async def test_an_end_that_is_cut_short_on_a_slow_disk_keeps_lines(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        disk = SlowDisk(patch, "sync")
        async with running(url, is_away=True) as run:
            run.add(10)
            await run.drain.until(lambda one: one.tried)
            await cut_short(run, disk.is_busy)
            kept = Kept(10, str(tmp_path / "spool"))
            assert await run.finish() == [Undelivered("drain https://logs.example", 0, kept)]
            disk.go_on.set()
    async with running(url) as run:
        await run.finish(5.0)
        assert run.numbers() == list(range(10))


async def test_an_end_that_is_cut_short_while_a_drain_ends_can_be_repeated(url: str) -> None:
    drain = StayingDrain()
    async with running(url, drain=drain) as run:
        run.add(10)
        await cut_short(run, drain.is_ending)
        drain.may_end.set()
        assert await run.finish() == []
    assert run.numbers() == list(range(10))


async def cut_short(run: Run, when: asyncio.Event) -> None:
    """Begin to end a run, and stop that."""
    finishing = asyncio.create_task(run.destinations.finish(3600))
    await when.wait()
    finishing.cancel()
    await asyncio.wait([finishing])


async def test_what_is_refused_is_lost_though_there_is_a_spool(url: str) -> None:
    async with running(url) as run:
        run.drain.errors.append(DrainRefused("status 400"))
        run.add(1)
        ended = await run.finish(5.0)
        assert [(one.line_count, one.kept.line_count) for one in ended] == [(1, 0)]
        assert run.drain.batches[0].lines.startswith(b"Error L13: 1 messages lost since ")


async def test_no_name_in_the_spool_shows_a_secret_and_no_other_user_can_read_it(
    url: str, tmp_path: Path
) -> None:
    async with running(url, is_away=True) as run:
        run.add(1)
        await run.drain.until(lambda one: one.tried)
        found = [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]
        assert len(found) == 4  # and the directory, the position and a file
        assert not [one for one in found if "s3cret" in str(one) or "t0ken" in str(one)]
        assert {one.stat().st_mode & 0o077 for one in found} == {0}


@pytest.mark.parametrize(
    "others",
    [
        ("https://user:s3cret@logs.example/other", "/app"),
        ("https://user:s3cret@logs.example/t0ken", "/other"),
        ("https://user:other@logs.example/t0ken", "/app"),
    ],
)
async def test_drains_and_applications_share_nothing(
    url: str, others: tuple[str, str], tmp_path: Path
) -> None:
    async with running(url, is_away=True) as run:
        run.add(3)
        await run.drain.until(lambda one: one.tried)
    other, directory = others
    async with running(f"{other}?spool={tmp_path / 'spool'}", directory=directory) as run:
        assert await run.finish(5.0) == []
        assert run.numbers() == []


async def test_a_spool_is_the_same_with_another_size_and_buffer(url: str) -> None:
    async with running(url, is_away=True) as run:
        run.add(3)
        await run.drain.until(lambda one: one.tried)
    async with running(f"{url}&spool_size=2M&buffer=1M") as run:
        await run.finish(5.0)
        assert run.numbers() == [0, 1, 2]


async def test_two_at_once_have_directories_of_their_own_and_the_next_has_both(url: str) -> None:
    async with running(url, is_away=True) as first, running(url, is_away=True) as second:
        first.add(3)
        second.add(3, 3)
        await first.drain.until(lambda one: one.tried)
        await second.drain.until(lambda one: one.tried)
    async with running(url) as run:
        await run.finish(5.0)
        assert run.numbers() == [0, 1, 2, 3, 4, 5]


async def test_a_spool_that_is_too_small_drops_the_oldest_lines_and_says_how_many(
    url: str,
) -> None:
    async with running(f"{url}&spool_size=64K", is_away=True) as run:
        for start in range(0, 20_000, 1000):
            run.add(1000, start)
            await asyncio.sleep(0)
        await run.drain.until(lambda one: one.tried)
    async with running(url) as run:
        await run.finish(5.0)
        numbers = run.numbers()
        assert numbers == list(range(numbers[0], 20_000))
        assert numbers[0] > 10_000


async def test_what_is_delivered_twice_is_bounded_though_one_dyno_is_never_delivered(
    url: str,
) -> None:
    line = b"x" * 9_999 + b"\n"
    drain = StuckDrain(DrainLimits(wait_seconds=0.0, lanes=64))
    async with running(url, drain=drain) as run:
        run.backlog.append(make_batch(line, dyno="web.2"))
        for _ in range(1000):
            run.backlog.append(make_batch(line))
        await drain.until(lambda one: len(one.lines()) > 3_000_000)
        (ended,) = await run.finish(1.0)
        first = drain.lines()
    assert len(first) <= 4_200_000
    assert ended.kept.line_count == 1001
    async with running(url) as run:
        assert await run.finish(5.0) == []
        assert run.drain.lines() == line * 1001


async def test_lines_wait_for_a_slow_disk_and_whoever_waits_for_them_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hsup.drains.spooling, "_MOST_UNSYNCED", 0)
    disk = SlowDisk(monkeypatch, "sync_full")
    backlog = Backlog()
    directory = SpoolDirectory(str(tmp_path / "spool"), "x", host="x", most_bytes=4000)
    reader = SpoolReader(backlog.reader(1 << 20), directory, name="x", say=lambda _, __: None)
    for _ in range(2):
        backlog.append(make_batch(b"x" * 999 + b"\n"))
        await reader.ready()
        assert reader.next(1 << 20) is not None
    await disk.is_busy.wait()
    reading = asyncio.create_task(reader.ready())
    backlog.append(make_batch(b"last\n"))
    stirring = asyncio.create_task(reader.stirred())
    for _ in range(10):
        await asyncio.sleep(0)
    assert reader.pending_bytes
    assert not stirring.done()
    disk.go_on.set()
    await asyncio.gather(reading, stirring)
    assert reader.next(1 << 20) == make_batch(b"last\n")
    reader.close()


async def test_a_fault_in_spooling_is_said_and_lines_are_delivered_from_memory(
    url: str, tmp_path: Path
) -> None:
    async with running(url) as run:
        run.add(3)
        await run.drain.until(lambda one: one.lines().endswith(b"2\n"))
        no_text: Any = b"shop"
        run.backlog.append(make_batch(b"3\n")._replace(app=no_text))
        await run.drain.until(lambda one: one.lines().endswith(b"3\n"))
        run.add(3, 4)
        await run.drain.until(lambda one: one.lines().endswith(b"6\n"))
        text = f"drain https://logs.example uses its spool {tmp_path}/spool no more: TypeError"
        assert run.said == [f"Warning: {text}; keeping lines in memory"]
        assert await run.finish(5.0) == []
        assert run.numbers() == list(range(7))


async def test_a_damaged_file_is_put_aside_with_a_message(url: str, tmp_path: Path) -> None:
    async with running(url, is_away=True) as run:
        run.add(100)
        await run.drain.until(lambda one: one.tried)
    (path,) = (tmp_path / "spool").rglob("*.spool")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    async with running(url) as run:
        ended = await run.finish(5.0)
        assert len(run.numbers()) == 99
        text = "drain https://logs.example: 1 line is lost: a file of its spool is damaged"
        assert run.said == [f"Warning: {text}, and put aside as {path}.damaged"]
        assert Path(f"{path}.damaged").exists()
        assert ended[0].line_count == 1


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        (0o777, "others may write to the directory"),
        (None, "cannot use the directory"),
    ],
)
async def test_a_directory_that_cannot_be_used_is_bad_usage_without_secrets(
    mode: int | None, problem: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    if mode is None:
        spool.write_text("a file")
    else:
        spool.mkdir()
        spool.chmod(mode)
    with pytest.raises(UsageError) as raised:
        Run(f"https://user:s3cret@logs.example/t0ken?spool={spool}")
    assert str(raised.value).startswith(
        f'drain https://logs.example: parameter "spool": {problem} "{spool}"'
    )
    assert "; name one that " in str(raised.value)
    assert "s3cret" not in str(raised.value)


#: Fills a small disk while the destination is away, then lets it come back.
FULL_DISK = r"""
import asyncio, shutil, subprocess, sys
from pathlib import Path
from hsup.drains.spool import Spool
sys.path.insert(0, sys.argv[2])
from test_spooling import make_batch, running
directory = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", directory], check=True)
url = f"https://logs.example/?spool={directory}/spool&buffer=1M"

async def main():
    async with running(url) as run:
        run.drain.open.clear()
        for number in range(40_000):
            run.backlog.append(make_batch(b"%099d\n" % number))
            if number % 100 == 99:
                await asyncio.sleep(0)
        await run.drain.until(lambda one: one.tried)
        assert len(run.said) == 1
        (used,) = Path(directory, "spool").iterdir()
        shutil.copytree(used, sys.argv[3])
        assert Spool(sys.argv[3], 1 << 30).dropped() is None
        run.drain.open.set()
        await run.drain.until(lambda one: one.lines().endswith(b"39999\n"))
        while len(run.said) == 1:
            run.backlog.append(make_batch(b"40000\n"))
            await asyncio.sleep(0.1)
        ended = await run.finish(60)
        numbers = [one for one in run.numbers() if one < 40_000]
        told = [one for one in run.drain.batches if one.source == "heroku"]
        lost = sum(int(one.lines.split()[5]) for one in told)
        assert numbers == sorted(set(numbers))
        assert (lost, lost + len(numbers)) == (ended[0].line_count, 40_000)
        assert 10_000 < lost < 30_000
        print(*run.said, sep="\n")

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_on_a_full_disk_lines_are_kept_in_memory_and_the_oldest_there_are_counted(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    given = [str(disk), str(Path(__file__).parent), str(tmp_path / "copy")]
    # What is mounted goes with the namespace.
    command = ["unshare", "--mount", sys.executable, "-c", FULL_DISK, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    failed, recovered = done.stdout.splitlines()
    text = f"drain https://logs.example: cannot write to its spool {disk}/spool: "
    assert failed == f"Warning: {text}No space left on device; keeping lines in memory"
    assert recovered == f"drain https://logs.example writes to its spool {disk}/spool again"
