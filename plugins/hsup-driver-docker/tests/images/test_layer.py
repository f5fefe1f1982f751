from __future__ import annotations

import ctypes
import os
import resource
import socket
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.errors import DriverError
from hsup_driver_docker.images.layer import File, Layer, streamed
from hsup_driver_docker.images.tree import walk

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
PASSWD, GROUP = File("/etc/passwd", ""), File("/etc/group", "")


def members(directory: Any, advance: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Return the members of the layer of a directory, with their content."""
    layer = Layer(passwd=PASSWD, group=GROUP, directory=str(directory))
    found = {}
    with (
        streamed(layer, advance) as file,
        tarfile.open(fileobj=file, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            found[member.name] = (member, content.read() if content else None)
    return found


def exchange(one: Path, other: Path) -> None:
    """Exchange two files (man 2 renameat2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = (os.fsencode(one), os.fsencode(other))
    assert libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


@pytest.fixture
def slug(tmp_path: Path) -> Path:
    directory = tmp_path / "slug"
    directory.mkdir()
    return directory


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    for number in range(40):
        (directory / f"file{number}").write_bytes(b"root's")
    return directory


def test_files_are_the_dynos_with_their_modes_and_links(slug: Path) -> None:
    (slug / "bin").mkdir(mode=0o750)
    (slug / "bin/run").write_bytes(b"run")
    (slug / "bin/run").chmod(0o6755)
    os.link(slug / "bin/run", slug / "bin/same")
    (slug / "link").symlink_to("bin/run")
    os.mkfifo(slug / "pipe")
    found = members(slug)
    assert {name for name in found if name.startswith("app")} == {
        *("app", "app/bin", "app/bin/run", "app/bin/same", "app/link"),
    }
    run, content = found["app/bin/run"]
    assert (oct(run.mode), run.uid, run.gid, content) == ("0o755", 3000, 3000, b"run")
    assert found["app/bin/same"][0].linkname == "app/bin/run"
    assert found["app/link"][0].linkname == "bin/run"
    assert oct(found["app/bin"][0].mode) == "0o750"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_who_has_the_dynos_number_on_this_machine_gives_the_dyno_nothing(slug: Path) -> None:
    (slug / "private").touch(mode=0o640)
    os.chown(slug / "private", 3000, 3000)
    private, _ = members(slug)["app/private"]
    assert (private.uid, private.gid) == (65534, 65534)


def test_a_dyno_has_the_number_of_nobody_on_this_machine(
    slug: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accounts(uid: int) -> None:
        if uid not in {3000, 3001}:
            raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", accounts)
    (slug / "file").touch()
    found = members(slug)
    assert found["app/file"][0].uid == 3002
    assert found["etc/passwd"][1].startswith(b"dyno:x:3002:3002:")


def test_a_socket_is_left_out(slug: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(slug / "socket"))
        assert "app/socket" not in members(slug)


def test_directories_that_are_exchanged_with_links_bring_in_nothing(
    slug: Path, secrets: Path
) -> None:
    """They are exchanged in a loop during the copy, as an attacker would do."""
    directories, links = [], []
    for number in range(200):
        directories.append(slug / f"directory{number:03}")
        links.append(slug / f"link{number:03}")
        directories[-1].mkdir()
        (directories[-1] / "file0").write_bytes(b"own")
        links[-1].symlink_to(secrets if number % 2 else secrets / "file1")
    stopped = threading.Event()

    def attack() -> None:
        while not stopped.is_set():
            for pair in zip(directories, links, strict=True):
                exchange(*pair)

    attacker = threading.Thread(target=attack)
    attacker.start()
    copied = []
    try:
        for _ in range(20):
            try:
                copied.append(members(slug))
            except (DriverError, tarfile.TarError):
                pass  # something was replaced, which is told
    finally:
        stopped.set()
        attacker.join()
    assert not [
        name for found in copied for name, (_, content) in found.items() if content == b"root's"
    ]


def test_a_file_that_becomes_a_link_before_it_is_opened_is_told(slug: Path, secrets: Path) -> None:
    (slug / "file").write_bytes(b"own")
    (slug / "link").symlink_to(secrets / "file1")
    *_, entry, _ = walk(str(slug))
    descriptor = os.open(slug, os.O_PATH)
    try:
        exchange(slug / "file", slug / "link")
        with pytest.raises(OSError, match="it was replaced while it was read: '/file'"):
            entry._replace(parent=descriptor).open()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_file_that_becomes_shorter_while_it_is_copied_is_told(slug: Path, size: int) -> None:
    path = slug / "log"
    path.write_bytes(bytes(8 << 20))

    def shorten(_: object) -> None:
        os.truncate(path, size)

    layer = Layer(passwd=PASSWD, group=GROUP, directory=str(slug))
    with (
        pytest.raises(DriverError, match=r"cannot read the files of the slug: .*: /log"),
        streamed(layer, shorten) as file,
    ):
        file.read()


def test_of_a_file_that_becomes_longer_as_much_is_copied_as_its_header_says(slug: Path) -> None:
    path = slug / "log"
    path.write_bytes(b"x" * (8 << 20))

    def append(_: object) -> None:
        with path.open("ab") as file:
            file.write(b"y" * 4096)

    found = members(slug, append)
    member, content = found["app/log"]
    assert content == path.read_bytes()[: member.size]


def test_a_name_that_would_be_a_whiteout_is_told(slug: Path) -> None:
    (slug / "sub").mkdir()
    (slug / "sub/.wh.file").touch()
    with pytest.raises(DriverError, match=r'file whose name begins with "\.wh\.": /sub/\.wh\.file'):
        members(slug)


def test_directories_nested_without_end_are_told(slug: Path) -> None:
    here = os.open(slug, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(DriverError, match="directories are nested more than 200 deep: /a/a/a"):
        members(slug)


def test_descriptors_are_closed_whatever_happens(slug: Path, secrets: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in walk(str(secrets)):
        break
    assert stat.S_ISDIR(next(walk(str(slug))).status.st_mode)
    members(secrets)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("levels", [1, 2])
def test_a_directory_that_cannot_be_listed_is_not_left_open(slug: Path, levels: int) -> None:
    """A listing takes one more descriptor than the directory itself."""
    (slug / "bin").mkdir()
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + levels, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            list(walk(str(slug)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for descriptor in range(lowest, lowest + levels):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_nothing_stays_open_where_no_more_threads_may_be_had(
    slug: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(DriverError, match="the process limit is reached"):
        members(slug)
    assert os.listdir("/proc/self/fd") == before
