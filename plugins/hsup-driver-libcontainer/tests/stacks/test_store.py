"""Installed stacks: kept while they are used, listed, removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import DriverError, UsageError
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore

from .conftest import Registry


@pytest.fixture
def installed(
    store: StackStore, need: Callable[..., None], tmp_path: Path, root_tar: bytes
) -> StackStore:
    """Two versions of the stack "a"."""
    need()
    (tmp_path / "a.tar").write_bytes(root_tar)
    for version in ("1.9", "1.10"):
        store.add(Entry("a", version, str(tmp_path / "a.tar")))
    return store


def test_a_directory_is_used_where_it_is(
    store: StackStore, stacks_dir: Path, small_root: Path
) -> None:
    store.add(Entry("a", None, str(small_root)))

    with store.obtain("a") as stack:
        assert (stack.directory, stack.image) == (str(small_root), None)
    assert not (stacks_dir / "installed").exists()


def test_a_directory_that_was_imported_is_only_forgotten(
    store: StackStore, small_root: Path
) -> None:
    store.add(Entry("a", None, str(small_root)))
    assert store.remove("a") == ("a",)

    assert (small_root / "usr/bin/sh").exists()
    with pytest.raises(DriverError, match='stack "a" is not known'):
        store.obtain("a")


def test_a_directory_that_is_gone_is_told_and_can_be_forgotten(
    store: StackStore, tmp_path: Path, small_root: Path
) -> None:
    directory = tmp_path / "gone"
    shutil.copytree(small_root, directory, symlinks=True)
    store.add(Entry("a", None, str(directory)))
    shutil.rmtree(directory)

    with pytest.raises(DriverError, match=rf"{directory}: No such file or directory"):
        store.obtain("a")
    assert store.remove("a") == ("a",)


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b"])
def test_a_directory_that_overlays_cannot_name_is_refused(
    name: str, store: StackStore, tmp_path: Path, small_root: Path
) -> None:
    shutil.copytree(small_root, tmp_path / name, symlinks=True)
    with pytest.raises(
        DriverError, match=r"overlays cannot have .* in paths; rename the directory"
    ):
        store.add(Entry("a", None, str(tmp_path / name)))


def test_a_pull_that_fails_does_not_keep_the_stack_in_use(
    store: StackStore, registry: Registry, root_tar: bytes
) -> None:
    registry.publish(registry.layout.put_image(root_tar))
    store.obtain("small").close()
    registry.publish(registry.layout.put_image(b"no tar"))
    with pytest.raises(DriverError):
        store.pull("small")
    assert [one.is_in_use for one in store.list() if one.record] == [False]


def test_a_directory_without_bash_is_refused(store: StackStore, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(DriverError, match='stack "a" has no /bin/bash; use'):
        store.add(Entry("a", None, str(tmp_path)))


def test_a_directory_that_dynos_may_not_enter_is_refused(store: StackStore, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    expected = r'dynos cannot enter the root directory of stack "\w+"; run chmod 755'
    with pytest.raises(DriverError, match=expected):
        store.add(Entry("a", None, str(tmp_path)))


def test_an_installed_stack_is_obtained_without_what_fetching_needs(
    installed: StackStore, stacks_dir: Path
) -> None:
    program = (
        "import sys; from hsup.api import Settings;"
        "from hsup_driver_libcontainer.stacks.store import StackStore;"
        "stack = StackStore(Settings(directory='/', environ={'HSUP_STACKS_DIR': sys.argv[1]}))"
        ".obtain('a');"
        "print(stack.version, [name for name in ('yaml', 'subprocess', 'requests', 'shutil',"
        " 'hashlib', 'hsup_driver_libcontainer.stacks.fetch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, stacks_dir], capture_output=True, text=True, check=True
    )

    assert installed
    assert done.stdout == "1.10 []\n"


def test_a_stack_in_use_is_not_removed(installed: StackStore, settings: Settings) -> None:
    other = StackStore(settings)
    with installed.obtain("a:1.9"):
        with pytest.raises(DriverError) as caught:
            other.remove("a")
        assert str(caught.value) == (
            'stack "a" is in use; stop the hsup that runs dynos on it first'
        )
        assert {one.entry.version: one.is_in_use for one in other.list() if one.record} == {
            "1.9": True,
            "1.10": False,
        }
        assert other.remove("a:1.10") == ("a:1.10",)
    assert other.remove("a") == ("a:1.9",)


def test_a_stack_used_by_a_killed_process_can_be_removed(
    installed: StackStore, settings: Settings
) -> None:
    program = (
        "import os, sys; from hsup.api import Settings;"
        "from hsup_driver_libcontainer.stacks.store import StackStore;"
        "stack = StackStore(Settings(directory='/', environ=dict(os.environ))).obtain('a');"
        "print('up', flush=True); sys.stdin.read()"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", program],
        env=settings.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert user.stdout.readline() == b"up\n"
    with pytest.raises(DriverError, match="is in use"):
        installed.remove("a")
    user.kill()
    user.communicate()

    assert installed.remove("a") == ("a:1.10", "a:1.9")


def test_a_removed_stack_leaves_nothing(installed: StackStore, stacks_dir: Path) -> None:
    installed.remove("a")

    assert os.listdir(stacks_dir / "installed") == []
    assert os.listdir(stacks_dir / "fetching") == []
    assert json.loads((stacks_dir / "imported.json").read_text()) == []
    with pytest.raises(DriverError, match='stack "a" is not installed; run hsup stacks list'):
        installed.remove("a")


def test_importing_again_takes_what_is_there_now(
    installed: StackStore, tmp_path: Path, small_root: Path, pack: Callable[[Path], bytes]
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(small_root, changed, symlinks=True)
    (changed / "etc/kept").write_text("changed")
    (tmp_path / "a.tar").write_bytes(pack(changed))
    with installed.obtain("a:1.9") as old:
        assert not installed.pull("a:1.9")[1]
        installed.add(Entry("a", "1.9", str(tmp_path / "a.tar")))

        assert Path(str(old.directory), "etc/kept").read_text() == "first layer"
        with installed.obtain("a:1.9") as new:
            assert Path(str(new.directory), "etc/kept").read_text() == "changed"


def test_what_an_unlisted_stack_takes_is_shown(installed: StackStore, stacks_dir: Path) -> None:
    (stacks_dir / "imported.json").unlink()
    default, *others = installed.list()

    assert (default.entry.name, default.entry.primary, default.path) == ("heroku-24", True, None)
    assert {one.entry.version for one in others} == {"1.9", "1.10"}
    assert all(one.record.size > 100_000 for one in others)


def test_sweeping_takes_nothing_that_is_worked_with(
    installed: StackStore, stacks_dir: Path
) -> None:
    (stacks_dir / "fetching/left@1+3").mkdir()
    with installed.obtain("a:1.9"):
        assert installed.sweep() == ("stack left@1+3",)
        assert len(os.listdir(stacks_dir / "installed")) == 2


@pytest.mark.parametrize("directory", ["stacks", "/a:b", "/a,b", "/a\\b"])
def test_a_store_that_makes_no_sense_is_a_usage_error(settings: Settings, directory: str) -> None:
    with pytest.raises(UsageError, match="HSUP_STACKS_DIR must be an absolute path"):
        StackStore(settings._replace(environ={"HSUP_STACKS_DIR": directory}))


def test_who_may_not_write_is_told_what_to_do(
    need: Callable[..., None], settings: Settings, stacks_dir: Path
) -> None:
    program = (
        "import os, sys; from hsup.api import Settings;"
        "from hsup.errors import DriverError;"
        "from hsup_driver_libcontainer.stacks.manifest import Entry;"
        "from hsup_driver_libcontainer.stacks import fetch;"
        "from hsup_driver_libcontainer.stacks.store import StackStore\n"
        "os.chdir('/'); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: StackStore(Settings(directory='/', environ=dict(os.environ)))"
        ".add(Entry('a', None, '/etc/passwd'))\n"
        "except DriverError as error: print(error)"
    )
    need()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=settings.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{stacks_dir}" in done.stdout
    assert done.stdout.endswith("Permission denied; run hsup as root\n")


@pytest.mark.usefixtures("as_root")
def test_a_stack_from_elsewhere_takes_the_place_of_one_of_that_name(
    store: StackStore, stacks_dir: Path, tar_path: Path, tmp_path: Path
) -> None:
    def say(url: object) -> None:
        (stacks_dir / "manifest.yml").write_text(json.dumps([{"name": "a", "url": str(url)}]))

    say(tar_path)
    with store.obtain("a") as old:
        say(tar_path.rename(tmp_path / "moved.tar"))
        with store.obtain("a") as new:
            assert new.directory != old.directory
        assert Path(str(old.directory), "etc/kept").exists()
    store.sweep()
    assert os.listdir(stacks_dir / "installed") == ["a@+2"]
