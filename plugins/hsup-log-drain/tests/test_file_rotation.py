from __future__ import annotations

import asyncio
import fcntl
import gzip
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hsup.log_drain import LogBlock
from hsup.testing import make_batch
from hsup_log_drain.file.rotation import rotate, tidy

from .blocks import in_loop, make_block
from .file_writing import make_drain, numbered, numbers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def files(path: Path) -> dict[str, bytes]:
    """Return what the log file and its rotated files have, uncompressed."""
    contents = {}
    for one in path.parent.iterdir():
        data = one.read_bytes()
        if one.suffix != ".new":
            contents[one.name] = gzip.decompress(data) if one.suffix == ".gz" else data
    return contents


def in_order(path: Path) -> bytes:
    """Return what is in all files of a log, the oldest lines first."""

    def age(name: str) -> int:
        found = re.search(r"\.log\.([0-9]+)", name)
        return int(found[1]) if found else 0

    found = files(path)
    return b"".join(found[name] for name in sorted(found, key=age, reverse=True))


def block(first: int, last: int) -> LogBlock:
    return make_block(make_batch(numbered(first, last)))


@in_loop
async def test_a_file_is_rotated_before_it_is_too_large(path: Path) -> None:
    drain = make_drain(path, format="raw", size="1K", keep="100")
    for number in range(0, 1000, 7):
        await drain.deliver(block(number, number + 6))
        await drain.tidied()
    await drain.close()
    found = files(path)
    assert all(name == "app.log" or name.endswith(".gz") for name in found)
    assert all(900 < len(found[name]) <= 1024 for name in found if name != "app.log")
    assert in_order(path) == numbered(0, 1000)


@in_loop
async def test_a_large_block_is_divided_between_lines(path: Path) -> None:
    drain = make_drain(path, format="raw", size="1K", keep="100", compress="none")
    await drain.deliver(block(1, 1000))
    await drain.close()
    found = files(path)
    assert len(found) == 9
    assert all(data.endswith(b"\n") and len(data) <= 1024 for data in found.values())
    assert in_order(path) == numbered(1, 1000)


@in_loop
async def test_a_line_is_whole_however_long_it_is(path: Path) -> None:
    drain = make_drain(path, format="raw", size="1K", keep="100", compress="none")
    parts = [b"a\n" * 300, b"b" * 600, b"b" * 600, b"b\nc\n", b"d" * 3000 + b"\n", b"e\n"]
    for part in parts:
        is_partial = not part.endswith(b"\n")
        await drain.deliver(make_block(make_batch(part, is_partial=is_partial)))
    await drain.close()
    found = files(path)
    assert in_order(path) == b"".join(parts)
    assert all(data.endswith(b"\n") for data in found.values())
    assert b"d" * 3000 + b"\n" in found.values()


@in_loop
async def test_only_the_newest_files_are_kept(path: Path) -> None:
    drain = make_drain(path, format="raw", size="1K", keep="2")
    await drain.deliver(block(1, 1000))
    await drain.tidied()
    await drain.close()
    assert {*files(path)} == {"app.log", "app.log.1.gz", "app.log.2.gz"}
    assert numbered(1, 1000).endswith(in_order(path))


@in_loop
async def test_a_file_is_rotated_once_its_first_line_is_old(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr("hsup_log_drain.file.log_file.birth_time", lambda _: 1e9)
    for later, wanted in [(0, 1), (3599, 1), (3600, 2), (7200, 2)]:
        now = 1e9 + later
        drain = make_drain(path, format="raw", age="1h", compress="none")
        await drain.deliver(make_block(make_batch(b"%d\n" % later)))
        await drain.close()  # as if hsup had started again
        assert len(files(path)) == min(wanted + (later == 7200), 3)
    assert in_order(path) == b"0\n3599\n3600\n7200\n"


def test_the_age_of_a_file_is_from_its_birth(tmp_path: Path) -> None:
    from hsup_log_drain.file.birth import birth_time

    path = tmp_path / "file"
    path.write_bytes(b"a")
    told = float(subprocess.check_output(["stat", "-c", "%.W", path]))
    os.utime(path, (0, 0))
    descriptor = os.open(path, os.O_RDONLY)
    assert birth_time(descriptor) == pytest.approx(told, abs=1e-6)
    os.close(descriptor)


@in_loop
async def test_a_file_that_cannot_be_renamed_grows(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.with_name("app.log.1").mkdir()
    path.with_name("app.log.1").joinpath("file").touch()
    drain = make_drain(path, format="raw", size="1K", keep="1")
    with caplog.at_level(logging.WARNING):
        await drain.deliver(block(1, 500))
        await drain.deliver(block(501, 1000))
    await drain.close()
    assert path.read_bytes() == numbered(1, 1000)
    assert [record.getMessage() for record in caplog.records if "rotate" in record.msg] == [
        f'cannot rotate log file "{path}": Is a directory'
    ]


@in_loop
async def test_a_locked_directory_delays_the_rotation(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    drain = make_drain(path, format="raw", size="1K", compress="none")
    await drain.deliver(block(1, 500))
    assert {*files(path)} == {"app.log"}
    os.close(descriptor)
    await drain.deliver(block(501, 510))
    await drain.close()
    assert {*files(path)} == {"app.log", "app.log.1"}
    assert in_order(path) == numbered(1, 510)


def test_a_gap_in_the_numbers_is_filled(path: Path) -> None:
    for number in (1, 3):
        path.with_name(f"app.log.{number}").write_text(f"{number}")
    path.write_text("0")
    descriptor = os.open(path, os.O_WRONLY)
    assert rotate(os.fspath(path), descriptor, keep=3)
    os.close(descriptor)
    assert files(path) == {"app.log.1": b"0", "app.log.2": b"1", "app.log.3": b"3"}


def test_a_file_is_rotated_by_one_of_two_hsups(path: Path) -> None:
    path.write_text("a")
    descriptor = os.open(path, os.O_WRONLY)
    for _ in range(2):
        assert rotate(os.fspath(path), descriptor, keep=3)
    os.close(descriptor)
    assert files(path) == {"app.log.1": b"a"}


def test_a_compressed_file_looks_like_its_original(path: Path) -> None:
    rotated = path.with_name("app.log.1")
    rotated.write_bytes(numbered(1, 100_000))
    rotated.chmod(0o604)
    os.utime(rotated, (1e9, 1e9))
    tidy(os.fspath(path), packs=True)
    packed = path.with_name("app.log.1.gz")
    assert (packed.stat().st_mode & 0o777, packed.stat().st_mtime) == (0o604, 1e9)
    assert gzip.decompress(packed.read_bytes()) == numbered(1, 100_000)
    assert subprocess.run(["gzip", "-t", packed], check=False).returncode == 0
    assert not rotated.exists()


def test_a_file_that_somebody_writes_to_is_not_compressed(path: Path) -> None:
    rotated = path.with_name("app.log.1")
    rotated.write_text("a\n")
    with rotated.open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        tidy(os.fspath(path), packs=True)
        assert {*files(path)} == {"app.log.1"}
    tidy(os.fspath(path), packs=True)
    assert files(path) == {"app.log.1.gz": b"a\n"}


def test_a_file_whose_number_changes_is_compressed_under_the_new_one(path: Path) -> None:
    path.with_name("app.log.1").write_text("old\n")
    path.write_text("new\n")
    asked = []

    def rotate_meanwhile() -> bool:
        asked.append(len(files(path)))
        if len(asked) == 2:  # it is being copied
            descriptor = os.open(path, os.O_WRONLY)
            rotate(os.fspath(path), descriptor, keep=5)
            os.close(descriptor)
        return False

    tidy(os.fspath(path), packs=True, is_unwanted=rotate_meanwhile)
    assert len(asked) == 2
    assert files(path) == {"app.log.1": b"new\n", "app.log.2.gz": b"old\n"}


def test_what_a_crash_leaves_of_a_compression_is_finished_or_removed(path: Path) -> None:
    rotated = path.with_name("app.log.1")
    rotated.write_text("a\n")
    half = path.with_name(f"app.log.1.gz.{rotated.stat().st_ino}.new")
    half.write_bytes(b"half")
    tidy(os.fspath(path), packs=True)
    assert files(path) == {"app.log.1.gz": b"a\n"}
    assert not half.exists()
    # A crash before the original was removed.
    rotated.write_text("a\n")
    moment = path.with_name("app.log.1.gz").stat().st_mtime_ns
    os.utime(rotated, ns=(moment, moment))
    tidy(os.fspath(path), packs=True)
    assert files(path) == {"app.log.1.gz": b"a\n"}


def test_two_different_files_of_one_number_are_both_kept(path: Path) -> None:
    path.with_name("app.log.1").write_text("other\n")
    path.with_name("app.log.1.gz").write_bytes(gzip.compress(b"a\n"))
    tidy(os.fspath(path), packs=True)
    assert files(path) == {"app.log.1": b"other\n", "app.log.1.gz": b"a\n"}


def test_no_half_file_is_left_where_compression_is_broken_off(path: Path) -> None:
    path.with_name("app.log.1").write_bytes(numbered(1, 100_000))
    answers = iter([False, True])
    tidy(os.fspath(path), packs=True, is_unwanted=lambda: next(answers))
    assert {*files(path)} == {"app.log.1"}


@in_loop
async def test_what_an_earlier_hsup_has_left_of_any_dyno_is_compressed(tmp_path: Path) -> None:
    for name in ("web.1.log.1", "run.1234.log.2", "other.txt.1"):
        (tmp_path / name).write_text("a\n")
    drain = make_drain(tmp_path, per="dyno", size="1M")
    await drain.deliver(block(1, 1))
    await drain.tidied()
    await drain.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        "web.1.log",
        "web.1.log.1.gz",
        "run.1234.log.2.gz",
        "other.txt.1",
    }


@in_loop
async def test_two_drains_that_rotate_one_file_lose_no_line(path: Path) -> None:
    drains = [make_drain(path, size="1K", keep="1000") for _ in range(2)]
    for number in range(0, 1000, 20):
        blocks = [block(number, number + 9), block(number + 10, number + 19)]
        pairs = zip(drains, blocks, strict=True)
        await asyncio.gather(*(drain.deliver(one) for drain, one in pairs))
    for drain in drains:
        await drain.tidied()
        await drain.close()
    found = [number for data in files(path).values() for number in numbers(data.decode())]
    assert sorted(found) == [*range(1000)]


#: Writes numbered lines until it is killed; says after each block how far it has got.
WRITER = """
import asyncio, sys
from hsup.api import LogBatch, Settings
from hsup.log_drain import Destination, DrainURL, LogBlock
from hsup_log_drain.file.drain import file_drain

async def main():
    url = DrainURL("file", path=sys.argv[1], parameters=(
        ("format", "raw"), ("size", "64K"), ("keep", "9999")))
    drain = file_drain(Destination(url, "d", Settings(directory="/", environ={})))
    number = int(sys.argv[2])
    while True:
        lines = b"".join(b"line %d\\n" % one for one in range(number, number + 1000))
        batch = LogBatch(0, "app", "web.1", "stdout", lines)
        await drain.deliver(LogBlock(str(number), [batch], 1000))
        number += 1000
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("blocks", [1, 7, 20, 33])
def test_a_kill_at_any_moment_loses_no_line_that_was_delivered(path: Path, blocks: int) -> None:
    first = 0
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(blocks):
                first = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            first = max([first, *map(int, writer.stdout.read().split())])
        # A block that was written, but not told, comes again; half a line ends first.
        leftover = [one for one in path.parent.iterdir() if one.name.endswith(".new")]
        assert len(leftover) <= 1
    tidy(os.fspath(path), packs=True)
    assert all(name == "app.log" or name.endswith(".gz") for name in files(path))
    found = {int(line.split()[1]) for line in in_order(path).decode().splitlines() if line}
    assert found >= {*range(first)}


@pytest.mark.skipif(not shutil.which("logrotate", path="/usr/sbin:/usr/bin"), reason="no logrotate")
@pytest.mark.parametrize("way", ["create 0640", "copytruncate", "nocreate"])
@in_loop
async def test_logrotate_needs_no_signal(tmp_path: Path, way: str) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "app.log"
    config = tmp_path / "logrotate.conf"
    config.write_text(f"{log} {{\n  rotate 9\n  {way}\n  compress\n}}\n")
    config.chmod(0o644)
    command = ["logrotate", "--force", "--state", str(tmp_path / "state"), str(config)]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    drain = make_drain(log, format="raw")
    for number in range(5):
        await drain.deliver(block(number, number))
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=environ, check=False
        )
        assert done.returncode == 0, done.stderr
    await drain.deliver(block(5, 5))
    await drain.close()
    found = files(log)
    assert found["app.log"] == numbered(5, 5)
    for number in range(5):
        assert found[f"app.log.{5 - number}.gz"] == numbered(number, number)
