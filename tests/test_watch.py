from __future__ import annotations

import asyncio
import os
import resource
import shutil
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from hsup import watch
from hsup.watch import changes_of, directory_changes


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without delay where hsup polls, so that the tests need not wait."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.001)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "control"
    directory.mkdir()
    return directory


async def watched(directory: Path, names: Sequence[str] = ("new",)) -> AsyncGenerator[None, None]:
    """Return an iterator whose watch is set up."""
    changes = directory_changes(directory, names)
    await anext(changes)
    return changes


async def test_the_first_value_comes_when_the_watch_is_set_up(directory: Path) -> None:
    changes = await watched(directory)
    await changes.aclose()


async def test_a_file_that_is_written_and_closed_is_told(directory: Path) -> None:
    changes = await watched(directory)
    (directory / "new").write_text("{}")
    await anext(changes)
    await changes.aclose()


async def test_a_file_that_is_renamed_into_place_is_told(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "made").write_text("{}")
    changes = await watched(directory)
    (tmp_path / "made").rename(directory / "new")
    await anext(changes)
    await changes.aclose()


async def test_a_file_that_is_renamed_away_or_removed_is_told(directory: Path) -> None:
    (directory / "new").write_text("{}")
    (directory / "other").write_text("{}")
    changes = await watched(directory, ("new", "other"))
    (directory / "new").rename(directory / "old")
    await anext(changes)
    (directory / "other").unlink()
    await anext(changes)
    await changes.aclose()


async def test_a_change_between_two_questions_is_not_missed(directory: Path) -> None:
    changes = await watched(directory)
    (directory / "new").write_text("1")
    await anext(changes)
    (directory / "new").write_text("2")  # while nobody asks
    await anext(changes)
    await changes.aclose()


async def test_a_file_that_is_still_being_written_is_not_told(directory: Path) -> None:
    changes = await watched(directory)
    told = asyncio.ensure_future(anext(changes))
    with (directory / "new").open("w") as unfinished:
        unfinished.write("{")
        unfinished.flush()
        for _ in range(10):  # the kernel has told of it by now, if it does at all
            await asyncio.sleep(0)
        assert not told.done()
    await told
    await changes.aclose()


async def test_a_file_that_appears_is_told_where_that_is_asked_for(directory: Path) -> None:
    target = directory.parent / "made"
    target.write_text("{}")
    changes = directory_changes(directory, ("new",), while_open=True)
    await anext(changes)
    (directory / "new").hardlink_to(target)
    await anext(changes)
    await changes.aclose()


async def test_what_is_written_to_an_open_file_is_told_where_that_is_asked_for(
    directory: Path,
) -> None:
    changes = directory_changes(directory, ("new",), while_open=True)
    await anext(changes)
    with (directory / "new").open("w") as unfinished:
        await anext(changes)
        unfinished.write("{}")
        unfinished.flush()
        await anext(changes)
    await changes.aclose()


async def test_a_directory_is_polled_while_inotify_is_used_up_and_watched_afterwards(
    directory: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open("/", os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))  # EMFILE, as for inotify
    try:
        changes = await watched(directory)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (directory / "new").write_text("1")
    await anext(changes)
    (directory / "new").write_text("2 and more")
    await anext(changes)
    assert os.readlink(f"/proc/self/fd/{lowest_free}") == "anon_inode:inotify"
    await changes.aclose()


async def test_other_files_of_the_directory_are_not_told(directory: Path) -> None:
    changes = await watched(directory)
    told = asyncio.ensure_future(anext(changes))
    (directory / "other").write_text("")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not told.done()
    (directory / "new").write_text("")
    await told
    await changes.aclose()


async def test_a_directory_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "later"
    changes = await watched(directory)
    directory.mkdir()
    (directory / "new").write_text("{}")
    await anext(changes)
    await changes.aclose()


async def test_a_directory_that_is_removed_and_made_again_is_watched_again(directory: Path) -> None:
    changes = await watched(directory)
    shutil.rmtree(directory)
    directory.mkdir()
    (directory / "new").write_text("1")
    await anext(changes)
    (directory / "new").write_text("2 and more")
    await anext(changes)
    await changes.aclose()


async def test_a_file_system_that_reports_nothing_is_polled(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SLOW_POLL_SECONDS", 0.001)
    target = directory.parent / "elsewhere"
    target.write_text("1")
    (directory / "new").symlink_to(target)
    changes = await watched(directory)
    target.write_text("changed where inotify does not look")
    await anext(changes)
    await changes.aclose()


async def test_nothing_stays_open_when_the_watch_ends(directory: Path) -> None:
    before = os.listdir("/proc/self/fd")
    changes = await watched(directory)
    await changes.aclose()
    assert len(os.listdir("/proc/self/fd")) == len(before)


async def test_files_of_several_directories_are_watched(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    changes = changes_of([str(directory / "a"), str(other / "b"), str(directory / "c")])
    await anext(changes)
    for path in (directory / "a", other / "b", directory / "c"):
        path.write_text("1")
        await anext(changes)
    await changes.aclose()
