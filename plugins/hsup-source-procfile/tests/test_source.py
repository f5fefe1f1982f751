from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import SourceError
from hsup.model import Command, ProcessType, Release, Slug
from hsup_source_procfile import changes
from hsup_source_procfile.checking import check
from hsup_source_procfile.source import ProcfileSource

LONG_ENOUGH_SECONDS = 60


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "Procfile").write_text("web: ./serve\nworker: ./work\n")
    return directory


@pytest.fixture
def source(directory: Path) -> ProcfileSource:
    return ProcfileSource(Settings(directory=str(directory), environ={}))


def make_old(path: Path) -> None:
    os.utime(path, (0, 0))


def wait_until_old(directory: Path) -> None:
    """Wait until no file is young: nobody can set back when the kernel changed it."""
    youngest = max(path.stat().st_ctime for path in directory.iterdir())
    time.sleep(max(youngest + 0.15 - time.time(), 0))


def inode_of(directory: Path) -> int:
    return directory.stat().st_ino


def test_a_directory_with_only_a_procfile_is_a_release(
    directory: Path, source: ProcfileSource
) -> None:
    fetched = source.fetch()
    assert fetched.release == Release(
        app="shop",
        version=1,
        processes=(
            ProcessType(name="web", command=Command(words=("./serve",))),
            ProcessType(name="worker", command=Command(words=("./work",))),
        ),
        slug=Slug(location=str(directory), inode=inode_of(directory)),
    )
    assert fetched.rejected is None
    assert fetched.warnings == ()


def test_the_three_files_together_are_a_release(directory: Path, source: ProcfileSource) -> None:
    (directory / "Procfile").write_text("release: ./migrate\nweb: ./serve\nworker: ./work\n")
    (directory / ".env").write_text("A=1\n")
    formation = {
        "release": {"size": "performance-m"},
        "web": {"quantity": 2, "size": "eco"},
        "worker": {"quantity": 0},
    }
    app_json = {"name": "store", "formation": formation}
    (directory / "app.json").write_text(json.dumps(app_json))
    release = source.fetch().release
    assert release.app == "store"
    assert release.config == {"A": "1"}
    quantities = {process.name: process.quantity for process in release.processes}
    assert quantities == {"release": 0, "web": 2, "worker": 0}
    sizes = {process.name: process.size for process in release.processes}
    assert sizes == {"release": "performance-m", "web": "eco", "worker": None}


def test_a_quantity_of_the_release_phase_does_not_count(
    directory: Path, source: ProcfileSource
) -> None:
    (directory / "Procfile").write_text("release: ./migrate\n")
    (directory / "app.json").write_text('{"formation": {"release": {"quantity": 3}}}')
    assert source.fetch().release.process("release").quantity == 0


def test_the_name_that_the_user_gave_is_the_one_of_the_app(directory: Path) -> None:
    (directory / "app.json").write_text('{"name": "store"}')
    source = ProcfileSource(Settings(directory=str(directory), environ={}, app="mine"))
    assert source.fetch().release.app == "mine"


def test_the_version_counts_contents(directory: Path, source: ProcfileSource) -> None:
    assert source.fetch().release.version == 1
    assert source.fetch().release.version == 1
    (directory / ".env").write_text("A=1\n")
    assert source.fetch().release.version == 2
    (directory / "Procfile").write_text(
        "# a comment changes nothing\nweb: ./serve\nworker: ./work\n"
    )
    assert source.fetch().release.version == 2
    (directory / ".env").unlink()
    assert source.fetch().release.version == 3


def test_warnings_name_their_file_and_keep_nothing_from_running(
    directory: Path, source: ProcfileSource
) -> None:
    (directory / "Procfile").write_text("web: ./serve\nweb: ./serve\n")
    (directory / ".env").write_text("A\n")
    (directory / "app.json").write_text('{"formation": {"clock": {"quantity": 1}}}')
    fetched = source.fetch()
    assert fetched.release is not None
    assert fetched.warnings == (
        'Procfile line 2: "web" is also on line 1; this line takes precedence',
        '.env line 1: has no "=" and is ignored',
        'app.json, "quantity" of "clock": is ignored: the Procfile has no such process type',
    )


@pytest.mark.parametrize("line", ["web:./serve", "a_long_worker: ./work", f"{'w' * 64}: ./work"])
def test_what_other_platforms_would_do_is_told_by_check_alone(
    directory: Path, source: ProcfileSource, line: str
) -> None:
    (directory / "Procfile").write_text(f"{line}\n")
    assert source.fetch().warnings == ()
    checked = check(directory, Settings(directory=str(directory), environ={}))
    assert checked is not None
    assert [fault.is_warning for fault in checked.faults] == [True]


def test_a_faulty_first_procfile_is_no_release(directory: Path, source: ProcfileSource) -> None:
    (directory / "Procfile").write_text("web:\n")
    fetched = source.fetch()
    assert fetched.release is None
    assert str(fetched.rejected) == 'cannot read Procfile: line 1: "web" must have a command'


def test_a_faulty_edit_leaves_the_last_good_release_until_it_is_corrected(
    directory: Path, source: ProcfileSource
) -> None:
    good = source.fetch().release
    (directory / "Procfile").write_text("web: ./new\nworker\n")
    for _ in range(2):
        fetched = source.fetch()
        assert fetched.release == good
        assert str(fetched.rejected).startswith("cannot read Procfile: line 2: must be")
    (directory / "Procfile").write_text("web: ./new\n")
    fetched = source.fetch()
    assert fetched.rejected is None
    assert fetched.release.version == 2
    assert str(fetched.release.process("web").command) == "./new"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            ".env",
            "A=1\nB='s3cret\n",
            "cannot read .env: line 2: must be KEY=value, with every quote closed",
        ),
        (".env", "A=\0", "cannot read .env: line 1: must be text, got a NUL byte"),
        ("app.json", "{", "cannot read app.json: line 1, column 2: must be JSON: expecting"),
        (
            "app.json",
            '{"formation": {"web": {"quantity": "two"}}}',
            'cannot read app.json: "quantity" of "web": must be a whole number',
        ),
        ("Procfile", "#" * 2_000_000, "cannot read Procfile: must not be larger than 1 MiB"),
    ],
)
def test_a_rejection_names_the_file_at_fault(
    directory: Path, source: ProcfileSource, file: str, content: str, message: str
) -> None:
    (directory / file).write_text(content)
    assert str(source.fetch().rejected).startswith(message)


def test_of_several_files_the_port_that_takes_precedence_must_be_one(directory: Path) -> None:
    (directory / "a.env").write_text("PORT=http\n")
    (directory / "b.env").write_text("\nPORT=8080\n")
    a, b = str(directory / "a.env"), str(directory / "b.env")
    for files, told in (((a, b), None), ((b, a), "a.env: line 1"), ((a,), "a.env: line 1")):
        fetched = ProcfileSource(Settings(str(directory), {}, env_files=files)).fetch()
        problem = '"PORT" must be a number from 1 to 65535'
        assert str(fetched.rejected) == (f"cannot read {told}: {problem}" if told else "None")
    chosen = Settings(str(directory), {}, env_files=(a,), has_port=True)
    assert ProcfileSource(chosen).fetch().rejected is None


def test_a_rejection_has_the_faults_of_all_files_and_no_warnings(
    directory: Path, source: ProcfileSource
) -> None:
    (directory / "Procfile").write_text("web:./serve\nworker\n")
    (directory / ".env").write_text("=x\n")
    rejected = source.fetch().rejected
    places = [(fault.file, fault.place) for fault in rejected.faults]
    assert places == [("", "line 2"), (".env", "line 1")]


@pytest.mark.parametrize("file", ["Procfile", ".env", "app.json"])
def test_a_file_that_cannot_be_opened_is_a_source_error(
    directory: Path, source: ProcfileSource, file: str
) -> None:
    source.fetch()
    path = directory / file
    path.unlink(missing_ok=True)
    # A link to itself cannot be opened by anybody, root included.
    path.symlink_to(path)
    with pytest.raises(SourceError, match=f"cannot read .*/shop/{file}: "):
        source.fetch()


def test_a_deleted_procfile_is_a_source_error_and_may_come_back(
    directory: Path, source: ProcfileSource
) -> None:
    good = source.fetch().release
    text = (directory / "Procfile").read_text()
    (directory / "Procfile").unlink()
    with pytest.raises(SourceError, match=r"cannot read .*Procfile: No such file or directory"):
        source.fetch()
    (directory / "Procfile").write_text(text)
    assert source.fetch().release == good


@pytest.mark.parametrize("file", ["Procfile", ".env", "app.json"])
def test_a_fifo_in_place_of_a_file_is_rejected_and_the_last_release_goes_on(
    directory: Path, source: ProcfileSource, file: str
) -> None:
    good = source.fetch().release
    (directory / file).unlink(missing_ok=True)
    os.mkfifo(directory / file)
    fetched = source.fetch()
    assert fetched.release == good
    assert str(fetched.rejected) == f"cannot read {file}: must be a file, got a FIFO"


def test_a_virtual_environment_called_dot_env_is_no_config(
    directory: Path, source: ProcfileSource
) -> None:
    (directory / ".env").mkdir()
    assert source.fetch().release.config == {}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("Procfile", "web: ./other\n"),
        (".env", "A=1\n"),
        ("app.json", '{"formation": {"web": {"quantity": 3}}}'),
    ],
)
def test_an_edit_of_any_of_the_files_is_told_and_makes_a_new_release(
    directory: Path, source: ProcfileSource, file: str, content: str
) -> None:
    async def edit() -> tuple[Release | None, Release | None]:
        changes = source.changes()
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await anext(changes)
            first = source.fetch().release
            (directory / file).write_text(content)
            await anext(changes)
        await changes.aclose()
        return first, source.fetch().release

    first, second = asyncio.run(edit())
    assert (first.version, second.version) == (1, 2)
    assert first != second


def rewrite_unseen(path: Path) -> None:
    """Change a file, but neither its inode, nor its size, nor when it was last written."""
    before = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_older(path: Path) -> None:
    path.unlink()
    path.write_text("web: ./other\n")
    make_old(path)


@pytest.mark.parametrize("change", [rewrite_unseen, replace_by_older, Path.unlink])
def test_what_changes_before_the_files_are_watched_is_told(
    directory: Path, source: ProcfileSource, change: Callable[[Path], None]
) -> None:
    wait_until_old(directory)

    async def change_early() -> None:
        async with asyncio.timeout(LONG_ENOUGH_SECONDS), aclosing(source.changes()) as changes:
            await anext(changes)
            change(directory / "Procfile")
            await anext(changes)

    asyncio.run(change_early())


def test_files_that_do_not_change_are_asked_for_once(
    directory: Path, source: ProcfileSource
) -> None:
    wait_until_old(directory)

    async def ask() -> None:
        async with aclosing(source.changes()) as changes:
            await anext(changes)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(changes)

    asyncio.run(ask())


class UnreadableAtFirst(MetaPathFinder):
    """Has no descriptor left for the first three imports of what watches files."""

    left = 3

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "hsup.watch" and self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")


def test_files_are_looked_at_until_they_can_be_watched(
    directory: Path, source: ProcfileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    procfile = directory / "Procfile"
    monkeypatch.setattr(changes, "_POLL_SECONDS", 0.01)
    importing = UnreadableAtFirst()
    monkeypatch.setattr(sys, "meta_path", [importing, *sys.meta_path])
    monkeypatch.delitem(sys.modules, "hsup.watch", raising=False)

    async def change() -> None:
        async with asyncio.timeout(LONG_ENOUGH_SECONDS), aclosing(source.changes()) as told:
            await anext(told)
            for number in range(5):
                procfile.write_text(f"web: ./serve {number}\n")
                await anext(told)

    asyncio.run(change())
    assert importing.left == 0
    assert "hsup.watch" in sys.modules


def test_a_file_that_was_just_written_is_asked_for_twice(source: ProcfileSource) -> None:
    async def ask() -> None:
        async with asyncio.timeout(LONG_ENOUGH_SECONDS), aclosing(source.changes()) as changes:
            await anext(changes)
            await anext(changes)

    asyncio.run(ask())


def test_a_procfile_that_an_editor_replaces_is_told(
    directory: Path, source: ProcfileSource
) -> None:
    async def replace() -> None:
        changes = source.changes()
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await anext(changes)
            (directory / "Procfile~new").write_text("web: ./other\n")
            (directory / "Procfile~new").rename(directory / "Procfile")
            await anext(changes)
        await changes.aclose()

    asyncio.run(replace())
    assert str(source.fetch().release.process("web").command) == "./other"


def test_the_same_files_in_a_directory_made_again_are_a_new_release(
    directory: Path, source: ProcfileSource
) -> None:
    first = source.fetch().release
    assert first is not None
    for _ in range(3):  # an inode that is free again is given to the next directory
        procfile = (directory / "Procfile").read_text()
        shutil.rmtree(directory)
        directory.mkdir()
        (directory / "Procfile").write_text(procfile)
        last, first = first, source.fetch().release
        assert first is not None
        assert first.version == last.version + 1
        assert not first.differs_in_scale_only(last)
        assert first.slug.inode == inode_of(directory) != last.slug.inode


def times_open(directory: os.stat_result) -> int:
    """Return how many descriptors of this process refer to a directory, even a removed one."""
    with os.scandir("/proc/self/fd") as found:
        paths = [one.path for one in found]
    return sum(os.path.samestat(os.stat(path), directory) for path in paths if os.path.exists(path))


def test_the_directory_of_the_accepted_release_is_held_while_the_next_is_faulty(
    directory: Path, source: ProcfileSource
) -> None:
    source.fetch()
    accepted = directory.stat()
    shutil.rmtree(directory)
    directory.mkdir()
    (directory / "Procfile").write_text("web\n")
    for _ in range(3):
        assert source.fetch().rejected is not None
        assert (times_open(accepted), times_open(directory.stat())) == (1, 0)
    (directory / "Procfile").write_text("web: ./serve\n")
    for _ in range(3):
        assert source.fetch().release.slug.inode == inode_of(directory)
        assert (times_open(accepted), times_open(directory.stat())) == (0, 1)


def test_the_directory_of_the_kept_release_is_held_while_the_procfile_is_faulty(
    directory: Path, tmp_path: Path
) -> None:
    environ = {"HSUP_PROCFILE_DIR": str(tmp_path / "state")}
    before, source = (ProcfileSource(Settings(str(directory), environ)) for _ in range(2))
    release = before.fetch().release
    assert release
    before.keep(release)
    (directory / "Procfile").write_text("web\n")
    for _ in range(3):
        assert source.kept().slug.inode == inode_of(directory)
        assert source.fetch().release is None
        assert times_open(directory.stat()) == 1 + 1


def test_a_link_that_is_turned_is_told_and_leads_to_a_new_release(
    directory: Path, tmp_path: Path
) -> None:
    other, link = tmp_path / "other", tmp_path / "current"
    shutil.copytree(directory, other)
    link.symlink_to(directory)
    source = ProcfileSource(Settings(directory=str(link), environ={}))

    async def turn() -> tuple[Release | None, Release | None, Release | None]:
        changes = source.changes()
        async with asyncio.timeout(LONG_ENOUGH_SECONDS):
            await anext(changes)
            first = source.fetch().release
            (tmp_path / "next").symlink_to(other)
            (tmp_path / "next").rename(link)
            await anext(changes)
            second = source.fetch().release
            (other / "Procfile").write_text("web: ./third\n")
            await anext(changes)
        await changes.aclose()
        return first, second, source.fetch().release

    first, second, third = asyncio.run(turn())
    assert [one.slug.location for one in (first, second)] == [str(directory), str(other)]
    assert (second.version, str(third.process("web").command)) == (2, "./third")


def test_a_directory_that_is_gone_is_an_error(directory: Path, source: ProcfileSource) -> None:
    directory.rename(directory.with_name("moved"))
    with pytest.raises(SourceError, match=f"cannot read {directory}: No such file"):
        source.fetch()


class TestFilesThatTheUserNamed:
    def test_another_procfile_is_run_in_the_applications_directory(self, directory: Path) -> None:
        (directory / "Procfile.dev").write_text("web: ./watch\n")
        source = ProcfileSource(
            Settings(str(directory), environ={}, procfile=str(directory / "Procfile.dev"))
        )
        release = source.fetch().release
        assert release is not None
        assert release.slug == Slug(location=str(directory), inode=inode_of(directory))
        assert [str(one.command) for one in release.processes] == ["./watch"]

    def test_its_faults_are_told_with_its_name(self, directory: Path) -> None:
        (directory / "Procfile.dev").write_text("nonsense\n")
        named = str(directory / "Procfile.dev")
        rejected = ProcfileSource(Settings(str(directory), {}, procfile=named)).fetch().rejected
        assert "cannot read Procfile.dev: line 1" in str(rejected)

    def test_later_env_files_take_precedence_and_the_usual_one_is_not_read(
        self, directory: Path, tmp_path: Path
    ) -> None:
        (directory / ".env").write_text("A=usual\nD=usual\n")
        (directory / "one.env").write_text("A=one\nB=one\n")
        (tmp_path / "two.env").write_text("B=two\nC=two\nnonsense\n")
        files = (str(directory / "one.env"), str(tmp_path / "two.env"))
        fetched = ProcfileSource(Settings(str(directory), {}, env_files=files)).fetch()
        assert fetched.release is not None
        assert fetched.release.config == {"A": "one", "B": "two", "C": "two"}
        assert fetched.warnings == (f'{files[1]} line 3: has no "=" and is ignored',)

    def test_an_env_file_that_is_not_there_is_an_error(self, directory: Path) -> None:
        settings = Settings(str(directory), {}, env_files=(str(directory / "no.env"),))
        with pytest.raises(SourceError, match=r"cannot read .*/no.env: No such file"):
            ProcfileSource(settings).fetch()

    def test_references_are_replaced_if_that_is_asked_for(self, directory: Path) -> None:
        (directory / "one.env").write_text("A=1$HOME\n")
        (directory / "two.env").write_text("B=${A}/2\n")
        files = (str(directory / "one.env"), str(directory / "two.env"))
        settings = Settings(str(directory), {"HOME": "/h"}, env_files=files, expands_env=True)
        release = ProcfileSource(settings).fetch().release
        assert release is not None
        assert release.config == {"A": "1/h", "B": "1/h/2"}

    def test_each_of_them_is_watched(self, directory: Path, tmp_path: Path) -> None:
        (directory / "Procfile.dev").write_text("web: ./watch\n")
        (tmp_path / "two.env").write_text("A=1\n")
        settings = Settings(
            str(directory),
            {},
            procfile=str(directory / "Procfile.dev"),
            env_files=(str(tmp_path / "two.env"),),
        )

        async def edit() -> None:
            changes = ProcfileSource(settings).changes()
            async with asyncio.timeout(LONG_ENOUGH_SECONDS):
                await anext(changes)
                for path in (directory / "Procfile.dev", tmp_path / "two.env"):
                    path.write_text("web: x\n")
                    await anext(changes)
            await changes.aclose()

        asyncio.run(edit())

    def test_what_ran_is_kept_for_each_choice_of_files(
        self, directory: Path, tmp_path: Path
    ) -> None:
        (directory / "Procfile.dev").write_text("web: ./watch\n")
        settings = Settings(str(directory), {"HSUP_PROCFILE_DIR": str(tmp_path / "kept")})
        (directory / "dev.env").write_text("A=1\n")
        dev = settings._replace(procfile=str(directory / "Procfile.dev"))
        more = dev._replace(env_files=(str(directory / "dev.env"),))
        for one in (settings, dev, more):
            source = ProcfileSource(one)
            release = source.fetch().release
            assert release is not None
            source.keep(release)
        kept = [ProcfileSource(one).kept() for one in (settings, dev, more)]
        commands = [str(one and one.processes[0].command) for one in kept]
        assert commands == ["./serve", "./watch", "./watch"]
        assert [one and dict(one.config) for one in kept] == [{}, {}, {"A": "1"}]

    @pytest.mark.parametrize("file", ["Procfile.dev", "dev.env"])
    @pytest.mark.parametrize("instead", ["nothing", "a directory", "a link to itself"])
    def test_what_ran_is_not_run_without_a_file_that_has_to_be_there(
        self,
        directory: Path,
        tmp_path: Path,
        file: str,
        instead: str,
    ) -> None:
        (directory / "Procfile.dev").write_text("web: ./watch\n")
        (directory / "dev.env").write_text("A=1\n")
        settings = Settings(
            str(directory),
            {"HSUP_PROCFILE_DIR": str(tmp_path / "kept")},
            procfile=str(directory / "Procfile.dev"),
            env_files=(str(directory / "dev.env"),),
        )
        before, source = ProcfileSource(settings), ProcfileSource(settings)
        release = before.fetch().release
        assert release is not None
        before.keep(release)
        (directory / file).unlink()
        if instead == "a directory":
            (directory / file).mkdir()
        elif instead == "a link to itself":
            (directory / file).symlink_to(file)
        with pytest.raises(SourceError, match=f"cannot read .*/{file}: "):
            source.fetch()
        assert source.kept() is None
