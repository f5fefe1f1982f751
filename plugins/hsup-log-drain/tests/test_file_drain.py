from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from hsup import locks
from hsup.errors import DrainError, DrainRefused, DrainUnreachable
from hsup.log_drain import DrainURL
from hsup.testing import make_batch
from hsup_log_drain.file import drain as drain_module
from hsup_log_drain.file.drain import safe_name
from hsup_log_drain.hooks import hsup_register_log_drains

from .blocks import destination, in_loop, make_block
from .file_writing import STAMP, make_drain, numbered, numbers, open_files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@in_loop
async def test_lines_are_appended_as_heroku_logs_prints_them(path: Path) -> None:
    path.write_text("before\n")
    drain = hsup_register_log_drains()["file"](destination(DrainURL("file", path=str(path))))
    await drain.deliver(make_block(make_batch(b"a\nb\n"), make_batch(b"c\n", source="hsup")))
    await drain.deliver(make_block(make_batch(b"x" * 20_000 + b"\n")))
    await drain.close()
    assert path.read_text().split("\n") == [
        "before",
        f"{STAMP} app[web.1]: a",
        f"{STAMP} app[web.1]: b",
        f"{STAMP} hsup[web.1]: c",
        f"{STAMP} app[web.1]: {'x' * 20_000}",
        "",
    ]


@in_loop
async def test_a_line_in_pieces_is_joined_across_blocks(path: Path) -> None:
    drain = make_drain(path, format="plain")
    await drain.deliver(make_block(make_batch(b"a", is_partial=True)))
    await drain.deliver(make_block(make_batch(b"b\n")))
    await drain.deliver(make_block(make_batch(b"c", is_partial=True)))
    await drain.deliver(make_block(make_batch(b"x\n", dyno="web.2")))
    await drain.deliver(make_block(make_batch(b"d\n")))
    await drain.close()
    assert path.read_text() == "web.1 | ab\nweb.1 | c\nweb.2 | x\nweb.1 | d\n"


@in_loop
async def test_a_line_that_another_program_has_cut_ends_first(path: Path) -> None:
    path.write_text("half")
    drain = make_drain(path, format="raw")
    await drain.deliver(make_block(make_batch(b"a\n")))
    await drain.close()
    assert path.read_text() == "half\na\n"


@in_loop
async def test_lines_of_two_drains_are_not_glued_where_one_is_partial(path: Path) -> None:
    one, other = make_drain(path, format="raw"), make_drain(path, format="raw")
    await other.deliver(make_block(make_batch(b"first\n")))
    await one.deliver(make_block(make_batch(b"begun", is_partial=True)))
    await other.deliver(make_block(make_batch(b"other\n")))
    await one.deliver(make_block(make_batch(b"ended\n")))
    await one.close()
    await other.close()
    assert path.read_text() == "first\nbegun\nother\nended\n"


@in_loop
async def test_a_file_that_was_written_halfway_gets_no_empty_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("hal")
    pread, parts = os.pread, [b"f of ", b"a line\n"]

    def pread_and_append(descriptor: int, size: int, start: int) -> bytes:
        found = pread(descriptor, size, start)
        if parts:  # as another process does just then
            with path.open("ab") as file:
                file.write(parts.pop(0))
        return found

    monkeypatch.setattr(os, "pread", pread_and_append)
    drain = make_drain(path, format="raw")
    await drain.deliver(make_block(make_batch(b"a\n")))
    await drain.close()
    assert path.read_text() == "half of a line\na\n"


@in_loop
async def test_what_is_at_the_path_by_now_does_not_tell_how_a_file_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("a line\n")
    is_at = locks.is_at

    def replace(at: str, descriptor: int) -> bool:
        is_there = is_at(at, descriptor)
        path.rename(path.with_name("moved"))  # as another process does just then
        path.write_text("cut off")
        return is_there

    monkeypatch.setattr(locks, "is_at", replace)
    drain = make_drain(path, format="raw")
    await drain.deliver(make_block(make_batch(b"a\n")))
    monkeypatch.undo()
    await drain.close()
    assert path.with_name("moved").read_text() == "a line\na\n"


@in_loop
async def test_a_file_that_is_moved_or_removed_is_created_anew(path: Path) -> None:
    drain = make_drain(path, format="raw")
    await drain.deliver(make_block(make_batch(b"a", is_partial=True)))
    path.rename(path.with_name("moved"))
    await drain.deliver(make_block(make_batch(b"b\n")))
    assert path.read_text() == "b\n"
    path.unlink()
    await drain.deliver(make_block(make_batch(b"c\n")))
    await drain.close()
    assert (path.read_text(), path.with_name("moved").read_text()) == ("c\n", "a")


@in_loop
async def test_a_truncated_file_goes_on_at_its_new_end(path: Path) -> None:
    drain = make_drain(path, format="plain")
    await drain.deliver(make_block(make_batch(b"a\nb", is_partial=True)))
    os.truncate(path, 0)
    await drain.deliver(make_block(make_batch(b"c\n")))
    await drain.close()
    assert path.read_text() == "web.1 | c\n"


@in_loop
async def test_a_new_file_has_the_mode_that_was_asked_for(path: Path) -> None:
    for name, given, umask, wanted in [
        ("asked", {"mode": "0664"}, 0o077, 0o664),
        ("default", {}, 0o022, 0o640),
        ("masked", {}, 0o077, 0o600),
    ]:
        drain = make_drain(path.with_name(name), **given)
        before = os.umask(umask)
        try:
            await drain.deliver(make_block(make_batch(b"a\n")))
        finally:
            os.umask(before)
        await drain.close()
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == wanted


@in_loop
async def test_each_dyno_has_a_file_whose_name_is_safe(tmp_path: Path) -> None:
    drain = make_drain(tmp_path, per="dyno", format="raw")
    dynos = ["web.1", "../evil", "a/b", ".", "..", "", "naïve.1", "x" * 300]
    batches = [make_batch(f"{dyno}\n".encode(), dyno=dyno) for dyno in dynos]
    await drain.deliver(make_block(*batches))
    await drain.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "web.1.log": "web.1\n",
        "_._evil.log": "../evil\n",
        "a_b.log": "a/b\n",
        "_.log": ".\n\n",
        "_..log": "..\n",
        "na_ve.1.log": "naïve.1\n",
        f"{'x' * 200}.log": f"{'x' * 300}\n",
    }


@pytest.mark.parametrize("dyno", ["a/../../b", "\0", "\n", "..", ".hidden", "é" * 400])
def test_a_name_leads_to_no_other_directory(dyno: str) -> None:
    name = safe_name(dyno)
    assert name.isascii()
    assert not {*"/\0\n"} & {*name}
    assert not name.startswith(".")
    assert 1 <= len(name) <= 200


@in_loop
async def test_a_thousand_dynos_need_few_descriptors(tmp_path: Path) -> None:
    drain = make_drain(tmp_path, per="dyno", format="raw")
    names = [f"web.{number}" for number in range(1000)]
    for part in range(3):
        line = b"part %d\n" % part
        await drain.deliver(make_block(*(make_batch(line, dyno=name) for name in names)))
        opened = [target for _, target in open_files() if target.startswith(str(tmp_path))]
        assert len(opened) == 32
    await drain.close()
    assert not [target for _, target in open_files() if target.startswith(str(tmp_path))]
    for name in names:
        assert (tmp_path / f"{name}.log").read_text() == "part 0\npart 1\npart 2\n"


@in_loop
async def test_a_line_goes_on_in_a_file_that_was_closed_meanwhile(tmp_path: Path) -> None:
    drain = make_drain(tmp_path, per="dyno", format="plain")
    others = [make_batch(b"x\n", dyno=f"other.{number}") for number in range(100)]
    await drain.deliver(make_block(make_batch(b"a", is_partial=True)))
    await drain.deliver(make_block(*others))
    await drain.deliver(make_block(make_batch(b"b\n")))
    await drain.close()
    assert (tmp_path / "web.1.log").read_text() == "web.1 | ab\n"


@in_loop
async def test_no_descriptor_is_inherited(path: Path) -> None:
    drain = make_drain(path)
    await drain.deliver(make_block(make_batch(b"a\n")))
    descriptors = [number for number, target in open_files() if target == str(path)]
    assert descriptors
    assert all(fcntl.fcntl(one, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for one in descriptors)
    await drain.close()


@in_loop
async def test_what_cannot_be_opened_is_written_once_it_can(path: Path) -> None:
    drain = make_drain(path, format="raw")
    path.mkdir()
    block = make_block(make_batch(b"a\n"))
    with pytest.raises(DrainUnreachable) as raised:
        await drain.deliver(block)
    assert str(raised.value) == f'cannot write log file "{path}": Is a directory'
    path.rmdir()
    await drain.deliver(block)
    await drain.close()
    assert path.read_text() == "a\n"


@in_loop
async def test_dynos_lose_nothing_while_one_of_them_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "web.2.log").mkdir()
    drain = make_drain(tmp_path, per="dyno", format="raw")
    one, two = make_batch(b"a\nb\n"), make_batch(b"x\ny\n", dyno="web.2")
    block = make_block(one, two, one)
    for _ in range(2):
        with pytest.raises(DrainError) as raised:
            await drain.deliver(block)
        assert type(raised.value) is DrainError  # it is tried again
        assert raised.value.taken_lines == 2
    assert (tmp_path / "web.1.log").read_text() == "a\nb\na\nb\n"
    (tmp_path / "web.2.log").rmdir()
    # hsup leaves out what was taken.
    await drain.deliver(block._replace(batches=[two, one], line_count=4))
    await drain.close()
    assert (tmp_path / "web.1.log").read_text() == "a\nb\na\nb\n"
    assert (tmp_path / "web.2.log").read_text() == "x\ny\n"


@in_loop
async def test_a_dyno_without_a_file_delays_no_other_one_for_long(tmp_path: Path) -> None:
    (tmp_path / "web.2.log").mkdir()
    drain = make_drain(tmp_path, per="dyno", format="raw")
    batches = [make_batch(b"x\ny\n", dyno="web.2"), make_batch(b"a\n"), make_batch(b"b\n")]
    block = make_block(*batches)
    for _ in range(2):
        with pytest.raises(DrainError) as raised:
            await drain.deliver(block)
        assert (type(raised.value), raised.value.taken_lines) == (DrainError, 0)
    for one in (block, make_block(*batches)):  # the later one at once
        with pytest.raises(DrainRefused) as refused:
            await drain.deliver(one)
        assert refused.value.taken_lines == 2
    assert (tmp_path / "web.1.log").read_text() == "a\nb\na\nb\n"
    (tmp_path / "web.2.log").rmdir()
    await drain.deliver(make_block(*batches))
    assert (tmp_path / "web.2.log").read_text() == "x\ny\n"
    (tmp_path / "web.2.log").unlink()
    (tmp_path / "web.2.log").mkdir()
    with pytest.raises(DrainError) as raised:  # counted from the beginning
        await drain.deliver(make_block(*batches))
    assert type(raised.value) is DrainError
    await drain.close()


@in_loop
async def test_a_failure_of_all_files_is_not_counted_as_one_of_a_dyno(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web.2.log").mkdir()
    drain = make_drain(tmp_path, per="dyno", format="raw")
    block = make_block(make_batch(b"x\n", dyno="web.2"), make_batch(b"a\n"))

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    for _ in range(5):
        with pytest.raises(DrainUnreachable, match=r"/web\.1\.log\": No space left") as raised:
            await drain.deliver(block)
        assert raised.value.taken_lines == 0
    monkeypatch.undo()
    with pytest.raises(DrainRefused) as refused:
        await drain.deliver(block)
    assert refused.value.taken_lines == 1
    await drain.close()
    assert (tmp_path / "web.1.log").read_text() == "a\n"


@in_loop
async def test_a_link_is_followed_where_nobody_else_can_place_one(path: Path) -> None:
    real = path.with_name("real.log")
    real.touch()
    path.symlink_to(real)
    drain = make_drain(path, format="raw")
    await drain.deliver(make_block(make_batch(b"a\n")))
    assert real.read_text() == "a\n"
    await drain.close()
    path.parent.chmod(0o777)
    drain = make_drain(path, format="raw")
    with pytest.raises(DrainUnreachable, match="symbolic links"):
        await drain.deliver(make_block(make_batch(b"b\n")))
    await drain.close()
    assert real.read_text() == "a\n"


@in_loop
async def test_a_fifo_is_written_when_it_has_a_reader(path: Path) -> None:
    os.mkfifo(path)
    drain = make_drain(path, format="raw")
    lines = numbered(1, 50_000)  # more than a FIFO holds
    block = make_block(make_batch(lines))
    with pytest.raises(DrainUnreachable, match="No such device or address"):
        await drain.deliver(block)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    while True:
        try:
            await drain.deliver(block)
        except DrainUnreachable:
            await asyncio.sleep(0)
        else:
            break
    await drain.close()
    reader.join()
    assert read == [lines]


@in_loop
async def test_a_fifo_whose_reader_takes_nothing_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup_log_drain.file.log_file._FIFO_SECONDS", 0.01)
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    drain = make_drain(path, format="raw")
    lines = numbered(1, 50_000)
    block = make_block(make_batch(lines))
    with pytest.raises(DrainError, match="its reader takes nothing") as raised:
        await drain.deliver(block)
    held = os.read(reader, 1 << 20)
    assert raised.value.taken_lines == held.count(b"\n")
    while True:
        try:
            await drain.deliver(block)
        except DrainError:
            held += os.read(reader, 1 << 20)
        else:
            break
    held += os.read(reader, 1 << 20)
    os.close(reader)
    await drain.close()
    assert held == lines


@in_loop
async def test_a_file_system_that_hangs_blocks_nothing_and_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    write = os.write

    def hang(descriptor: int, data: memoryview) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
            may_go_on.wait()
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", hang)
    monkeypatch.setattr(drain_module, "_STUCK_SECONDS", 0.01)
    drain = make_drain(path, format="raw")
    first, second = make_block(make_batch(b"a\n")), make_block(make_batch(b"b\n"))
    for block in (first, first, second):
        with pytest.raises(DrainUnreachable, match="does not answer"):
            await drain.deliver(block)
    may_go_on.set()
    monkeypatch.setattr(drain_module, "_STUCK_SECONDS", 60)
    await drain.deliver(first)
    await drain.deliver(second)
    await drain.close()
    assert path.read_text() == "a\nb\n"


@in_loop
async def test_a_cancelled_block_is_written_once(path: Path) -> None:
    drain = make_drain(path, format="raw")
    for number in range(100):
        block = make_block(make_batch(numbered(number, number)))
        delivering = asyncio.create_task(drain.deliver(block))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        delivering.cancel()
        await asyncio.wait({delivering})
        await drain.deliver(block)
    await drain.close()
    assert path.read_bytes() == numbered(0, 99)


@in_loop
async def test_closing_needs_no_block(path: Path) -> None:
    drain = make_drain(path)
    await drain.close()
    await drain.close()
    assert not path.exists()


@in_loop
async def test_two_drains_write_whole_lines_to_one_file(path: Path) -> None:
    drains = [make_drain(path), make_drain(path)]
    for number in range(0, 1000, 10):
        blocks = [make_block(make_batch(numbered(number + k, number + k + 4))) for k in (0, 5)]
        pairs = zip(drains, blocks, strict=True)
        await asyncio.gather(*(drain.deliver(block) for drain, block in pairs))
    for drain in drains:
        await drain.close()
    assert sorted(numbers(path.read_text())) == [*range(1000)]
