"""What is in a spool after anything that may happen to hsup and its files."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsup.api import LogBatch, LogEvent
from hsup.drains import position, segments
from hsup.drains.spool import Damage, Spool
from hsup.testing import make_batch

MANY = 1 << 30


@pytest.fixture(autouse=True)
def closed_descriptors() -> Iterator[None]:
    """Close what a hsup that was killed had open: here it is a spool that is given up."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    for number in set(os.listdir("/proc/self/fd")) - before:
        with suppress(OSError):
            os.close(int(number))


def opened(directory: Path, most_bytes: int = MANY, segment_bytes: int | None = None) -> Spool:
    directory.mkdir(exist_ok=True)
    spool = Spool(str(directory), most_bytes)
    if segment_bytes is not None:
        spool.segment_bytes = segment_bytes
    return spool


def left(spool: Spool) -> list[LogBatch]:
    """Return all that a spool gives, read as its user reads it."""
    batches = []
    while spool.has_next():
        if (part := spool.to_load) is not None:
            spool.load(part, part.read())
        while (batch := spool.next()) is not None:
            batches.append(batch)
    return batches


def lines(batches: list[LogBatch]) -> list[bytes]:
    return [one.lines for one in batches]


def numbered(count: int, start: int = 0, size: int = 10) -> list[LogBatch]:
    return [make_batch(b"%0*d\n" % (size - 1, start + one), time=one) for one in range(count)]


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{segments.SUFFIX}"))


def kill(spool: Spool) -> None:
    """Forget a spool as SIGKILL does: nothing more is written."""
    assert spool is not None


EVENT = LogEvent("exited", "crashed", 137, "H10")


@pytest.mark.parametrize(
    "batch",
    [
        make_batch(b"one\ntwo\n", time=1_700_000_000_123_456_789),
        make_batch(b"\xff\x00no end", is_partial=True, dyno="web.1", stream="stderr"),
        make_batch(b"exited\n", source="hsup", event=EVENT),
        make_batch(b"x\n")._replace(app="shop ü", release=17),
        make_batch(b"x" * (3 << 20) + b"\n"),
    ],
)
def test_a_batch_is_the_same_for_the_next_hsup(tmp_path: Path, batch: LogBatch) -> None:
    opened(tmp_path).append([batch])
    assert left(opened(tmp_path)) == [batch]


def test_of_an_event_what_it_tells_is_left_out(tmp_path: Path) -> None:
    opened(tmp_path).append([make_batch(b"x\n", event=EVENT._replace(of=object()))])
    assert left(opened(tmp_path)) == [make_batch(b"x\n", event=EVENT)]


def test_what_is_acknowledged_is_removed_and_given_to_no_other(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    for batch in numbered(100):
        spool.append([batch])
    count = len(files(tmp_path))
    assert len(left(spool)) == 100
    spool.acknowledge(60)
    assert len(files(tmp_path)) < count / 2
    assert lines(left(opened(tmp_path))) == lines(numbered(40, 60))


def test_a_spool_that_is_empty_leaves_no_file(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(3))
    left(spool)
    spool.acknowledge(3)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_file_goes_if_there_is_no_room_and_its_lines_are_counted(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path, 10_000, 1000)
    for batch in numbered(1000):
        spool.append([batch])
    assert sum(one.stat().st_size for one in files(tmp_path)) <= 10_000
    dropped = spool.dropped()
    assert dropped is not None
    assert dropped.since == 0
    assert lines(left(spool)) == lines(numbered(1000 - dropped.line_count, dropped.line_count))
    assert spool.dropped() is None


def test_what_was_given_is_no_loss_when_its_file_goes(tmp_path: Path) -> None:
    spool = opened(tmp_path, 10_000, 1000)
    spool.append(numbered(5))
    assert len(left(spool)) == 5
    for batch in numbered(1000, 5):
        spool.append([batch])
    dropped = spool.dropped()
    assert dropped is not None
    given = left(spool)
    assert 5 + dropped.line_count + len(given) == 1005
    spool.acknowledge(5 + len(given))
    assert spool.kept_lines == 0


def test_half_a_record_at_the_end_is_cut_off_and_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(3))
    spool.append([make_batch(b"one\ntwo\nthree\n", time=7)])
    (path,) = files(tmp_path)
    os.truncate(path, path.stat().st_size - len(b"ee\n"))
    again = opened(tmp_path)
    assert lines(left(again)) == lines(numbered(3))
    assert again.dropped() == (3, 7)
    assert again.take_damages() == []
    again.acknowledge(3)
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_whole_header_is_one_that_was_just_made(tmp_path: Path) -> None:
    (tmp_path / "0000000001.spool").write_bytes(b"hsup sp")
    spool = opened(tmp_path)
    assert left(spool) == []
    assert (spool.dropped(), spool.take_damages()) == (None, [])


def test_a_file_that_can_neither_be_written_nor_removed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                spool.append(numbered(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(files(tmp_path)) == 1
    spool.append(numbered(3))
    assert lines(left(opened(tmp_path))) == lines(numbered(3))


def failing(_: str) -> None:
    raise PermissionError


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_damaged_file_is_put_aside_and_what_is_whole_is_given(
    is_sealed: bool, tmp_path: Path
) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(10, size=100))
    if is_sealed:
        spool.close()
    (path,) = files(tmp_path)
    damage(path, 400)
    again = opened(tmp_path)
    given = left(again)
    assert len(given) in {8, 9}
    again.acknowledge(len(given))
    (damaged,) = again.take_damages()
    assert damaged.line_count == 10 - len(given)
    assert Path(damaged.path).exists()
    assert damaged.path.endswith("-10.spool.damaged")
    assert again.dropped().line_count == damaged.line_count
    again.append(numbered(1))
    assert lines(left(again)) == lines(numbered(1))
    again.acknowledge(len(given) + 1)
    again.close()
    assert left(opened(tmp_path)) == []


def test_a_record_that_is_all_there_and_damaged_is_not_cut_off_silently(tmp_path: Path) -> None:
    opened(tmp_path).append(numbered(10))
    (path,) = files(tmp_path)
    damage(path, path.stat().st_size - 3)
    again = opened(tmp_path)
    assert len(left(again)) == 9
    assert [one.line_count for one in again.take_damages()] == [1]


def test_a_file_that_is_damaged_while_it_is_written_is_ended_and_another_begun(
    tmp_path: Path,
) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(10))
    damage(files(tmp_path)[0], 40)
    assert len(left(spool)) == 9
    assert [one.line_count for one in spool.take_damages()] == [1]
    spool.append(numbered(1))
    assert lines(left(spool)) == lines(numbered(1))
    assert spool.unread_lines == 0


def test_a_file_whose_beginning_is_damaged_is_lost_with_all_lines(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    for batch in numbered(100):
        spool.append([batch])
    spool.close()
    path = files(tmp_path)[1]
    count = int(path.stem.split("-")[1])
    damage(path, 3)
    again = opened(tmp_path)
    assert len(left(again)) == 100 - count
    assert again.take_damages() == [Damage(f"{path}.damaged", count)]


def test_a_file_that_is_gone_is_a_damage_and_no_crash(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    for batch in numbered(100):
        spool.append([batch])
    files(tmp_path)[0].unlink()
    given = left(spool)
    assert sum(one.line_count for one in spool.take_damages()) == 100 - len(given)
    assert 0 < len(given) < 100


def test_a_file_that_becomes_full_while_it_is_read_is_whole(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    spool.append(numbered(10))
    part = spool.to_load
    spool.append(numbered(90, 10))
    spool.append(numbered(1, 100))
    if part is not None:
        spool.load(part, part.read())
    assert lines(left(spool)) == lines(numbered(101))
    assert spool.take_damages() == []


def test_a_file_that_is_renamed_before_it_is_read_is_not_damaged(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1000)
    spool.append(numbered(90))
    spool.append(numbered(1, 90))
    part = spool.to_load
    assert part is not None
    moved = part._replace(path=str(tmp_path / "0000000001.spool"))
    spool.load(moved, moved.read())
    assert lines(left(spool)) == lines(numbered(91))
    assert spool.take_damages() == []


def test_files_that_were_put_aside_make_room_first(tmp_path: Path) -> None:
    tmp_path.joinpath("0000000001-9.spool.damaged").write_bytes(bytes(9000))
    spool = opened(tmp_path, 10_000, 1000)
    for batch in numbered(100):
        spool.append([batch])
    assert spool.dropped() is None
    assert len(left(spool)) == 100
    assert not tmp_path.joinpath("0000000001-9.spool.damaged").exists()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_position_that_is_half_written_is_the_one_before(slot: int, tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(10))
    left(spool)
    for count in range(1, 7 + slot):
        spool.acknowledge(count)
    path = tmp_path / position.NAME
    damage(path, (6 + slot) % 2 * 64 + 10)
    assert lines(left(opened(tmp_path))) == lines(numbered(10 - 5 - slot, 5 + slot))


def test_a_position_file_of_garbage_is_the_beginning(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(numbered(10))
    left(spool)
    spool.acknowledge(5)
    (tmp_path / position.NAME).write_bytes(b"\xff" * 200)
    assert len(left(opened(tmp_path))) == 10


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x5A
    path.write_bytes(content)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 30), st.integers(5, 400)),
        st.tuples(st.just("read"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("acknowledge"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("kill"), st.just(0), st.just(0)),
        st.tuples(st.just("close"), st.just(0), st.just(0)),
        st.tuples(st.just("tear"), st.integers(1, 300), st.just(0)),
    ),
    max_size=40,
)


class Model:
    """A spool, and what must be in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spool = opened(directory, segment_bytes=2000)
        self.appended = 0
        self.acknowledged = 0  # is the number of the first batch that may be given again
        self.given: list[int] = []  # by this spool, and not acknowledged
        self.last = b""
        self.acks = 0

    def append(self, count: int, size: int) -> None:
        batches = numbered(count, self.appended, size)
        self.spool.append(batches)
        self.appended += count

    def read(self, count: int, _: int) -> None:
        for _ in range(count):
            if (part := self.spool.to_load) is not None:
                self.spool.load(part, part.read())
            if (batch := self.spool.next()) is None:
                return
            number = int(batch.lines)
            expected = self.given[-1] + 1 if self.given else self.acknowledged
            assert number == expected
            self.given.append(number)

    def acknowledge(self, count: int, _: int) -> None:
        count = min(count, len(self.given))
        self.acks += count
        self.spool.acknowledge(self.acks)
        if count:
            self.acknowledged = self.given[count - 1] + 1
        del self.given[:count]

    def kill(self, *_: int) -> None:
        self._reopen()

    def close(self, *_: int) -> None:
        self.spool.close()
        self._reopen()

    def tear(self, size: int, _: int) -> None:
        """Kill hsup in the middle of a write."""
        before = {path: path.stat().st_size for path in files(self.directory)}
        self.spool.append([make_batch(b"%0399d\n" % 0)])
        path = files(self.directory)[-1]
        old = before.get(path, 16)
        os.truncate(path, old + min(size, path.stat().st_size - old - 1))
        self._reopen()
        assert self.spool.dropped().line_count == 1
        assert self.spool.take_damages() == []

    def _reopen(self) -> None:
        self.spool = opened(self.directory, segment_bytes=2000)
        self.given, self.acks = [], 0
        assert self.spool.unread_lines == self.appended - self.acknowledged

    def check(self) -> None:
        assert self.spool.kept_lines == self.appended - self.acknowledged
        assert self.spool.unread_lines == self.spool.kept_lines - len(self.given)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS)
def test_whatever_happens_all_that_is_not_acknowledged_is_given_once_more_in_order(
    actions: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = Model(tmp_path_factory.mktemp("spool"))
    for name, first, second in actions:
        act: Callable[[int, int], None] = getattr(model, name)
        act(first, second)
        model.check()
    model.kill()
    model.read(model.appended, 0)
    assert len(model.given) == model.appended - model.acknowledged
    model.acknowledge(len(model.given), 0)
    model.spool.close()
    assert list(model.directory.iterdir()) == []


@settings(max_examples=150, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=5),
    is_closed=st.booleans(),
    cut=st.one_of(st.just(0), st.integers(1, 500)),
)
def test_whatever_is_damaged_the_rest_is_given_in_order_and_all_is_counted(
    flips: list[tuple[int, int]],
    is_closed: bool,
    cut: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool = opened(directory, segment_bytes=2000)
    for batch in numbered(100, size=50):
        spool.append([batch])
    if is_closed:
        spool.close()
    paths = files(directory)
    for place, bits in flips:
        path = paths[place % len(paths)]
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= bits
        path.write_bytes(content)
    if cut:
        os.truncate(paths[0], max(0, paths[0].stat().st_size - cut))
    again = opened(directory)
    given = [int(one) for one in lines(left(again))]
    assert given == sorted(set(given))
    # Each damage costs one batch, or all of a file if its beginning is damaged.
    dropped = again.dropped()
    if is_closed:
        assert len(given) + (dropped.line_count if dropped else 0) == 100
    assert again.unread_lines == 0
    assert len(given) >= 100 - len(paths[0:1]) * 25 * (len(flips) + bool(cut))
    again.acknowledge(len(given))
    again.close()
    assert files(directory) == []


WRITER = """
import sys
from hsup.drains.spool import Spool
from hsup.testing import make_batch
spool = Spool(sys.argv[1], 1 << 30)
spool.segment_bytes = 100_000
number = acknowledged = 0
while True:
    spool.append([make_batch(b"%099d\\n" % one) for one in range(number, number + 50)])
    number += 50
    print(number, acknowledged, flush=True)
    while spool.has_next():
        if (part := spool.to_load) is not None:
            spool.load(part, part.read())
        while spool.next() is not None:
            pass
    acknowledged = max(0, number - 700)
    spool.acknowledge(acknowledged)
"""


@pytest.mark.parametrize("written", [1, 400])
def test_kill_9_in_the_middle_of_writing_loses_nothing_that_was_appended(
    written: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(written):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        last = writer.stdout.read().splitlines()
    spool = opened(tmp_path)
    numbers = [int(one) for one in lines(left(spool))]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert spool.take_damages() == []
    if last:
        appended, acknowledged = map(int, last[-1].split())
        assert numbers[-1] + 1 >= appended
        assert acknowledged <= numbers[0] <= appended
