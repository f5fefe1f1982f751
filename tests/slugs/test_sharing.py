"""Several hsups on one store, and what is left when one is killed."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hsup.locks import EXCLUSIVE_NOW, lock, unlock
from hsup.model import Slug
from hsup.slugs import SlugError

UNPACKS = """
import sys
from hsup.api import Settings
from hsup.model import Slug
from hsup.slugs import SlugStore
store = SlugStore(Settings(folder="/", environ={"HSUP_SLUGS_DIR": sys.argv[1]}))
with store.unpack(Slug(location=sys.argv[2])) as unpacked:
    print(unpacked.folder)
"""
PROCESSES = 8
KILLS = 25
UNPACK_SECONDS = 0.1


#: As the above, and goes on for ever when it has unpacked half of it.
UNPACKS_HALF = f"""
import time
import hsup.slugs.intake as intake
unpack = intake.unpack
def unpack_and_wait(*arguments, **options):
    unpack(*arguments, **options)
    time.sleep(600)
intake.unpack = unpack_and_wait
{UNPACKS}"""


def start(store, location, code=UNPACKS):
    command = [sys.executable, "-c", code, store.folder, location]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def many_files(build):
    """Return an archive that takes about UNPACK_SECONDS to unpack."""
    return build.tar(*(build.member(f"app/{n % 7}/{n}", b"x" * n) for n in range(800)))


@pytest.mark.parametrize("is_remote", [False, True])
def test_eight_at_once_download_and_unpack_once(is_remote, store, server, many_files, tmp_path):
    server.content = many_files
    (tmp_path / "slug.tar").write_bytes(many_files)
    location = f"{server.origin}/slug.tar" if is_remote else str(tmp_path / "slug.tar")
    running = [start(store, location) for _ in range(PROCESSES)]
    told = [one.communicate() for one in running]
    waiting = "waiting for another hsup, which is bringing in the same slug"
    assert {line for _, error in told for line in error.splitlines()} <= {waiting}
    assert len({folder for folder, _ in told}) == 1
    full = [headers for _, headers in server.requests if "If-None-Match" not in headers]
    assert len(full) == (1 if is_remote else 0)
    assert os.listdir(Path(store.folder) / "work") == []


def test_kills_at_random_moments_leave_no_half_slug(store, many_files, tmp_path, left_over):
    archive = tmp_path / "slug.tar"
    unpacked = Path(store.folder) / "unpacked"
    chance = random.Random(KILLS)
    left = 0
    for number in range(KILLS):
        # Another content each time, so that there is something to do.
        archive.write_bytes(many_files + bytes(number))
        process = start(store, str(archive))
        before = left_over()
        wait_until(lambda: left_over() != before or process.poll() is not None)  # noqa: B023
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, UNPACK_SECONDS))
        process.kill()
        process.communicate()
        left += bool(left_over())
        assert all(len(list(one.rglob("app/*/*"))) == 800 for one in unpacked.iterdir())
    assert left, "no kill came while there was something half done"
    store.unpack(Slug(location=str(archive))).close()
    archive.write_bytes(many_files + bytes(KILLS))
    store.unpack(Slug(location=str(archive))).close()
    assert left_over() == []


def test_a_download_that_was_killed_goes_on(store, server, build):
    server.content = build.slug(os.urandom(3_000_000))
    server.stalls_after = 1_000_000
    location = f"{server.origin}/slug.tgz"
    process = start(store, location)
    wait_until(lambda: received(store) >= 700_000)
    process.kill()
    process.communicate()
    server.stalled.set()
    server.stalls_after = None
    store.unpack(Slug(location=location)).close()
    rest = server.requests[-1][1]["Range"]
    assert int(rest.removeprefix("bytes=").removesuffix("-")) >= 700_000


def received(store):
    return sum(path.stat().st_size for path in Path(store.folder).glob("work/fetch-*/archive"))


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to be"
        time.sleep(0.005)


#: Unpacks a slug on a disk of its own, and says what the next boot finds after a power
#: cut: once the disk has been given the names of files, or once hsup was done with it.
POWER_CUT = """
import os, shutil, subprocess, sys
from hsup.api import Settings
from hsup.model import Slug
from hsup.slugs import SlugStore, disk as mark
disk, copy, folder, archive, is_early = sys.argv[1:]
run = lambda *words: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
run("truncate", "-s", "64M", disk)
run("mkfs.ext4", "-q", disk)
run("mount", "-o", "loop", disk, folder)
store = SlugStore(Settings(folder="/", environ={"HSUP_SLUGS_DIR": folder}))
store.unpack(Slug(location=archive))
if is_early:
    os.fsync(os.open(folder + "/unpacked", os.O_RDONLY))
else:
    store.sync()
shutil.copy(disk, copy)
run("mount", "-o", "loop", copy, folder)
mark.BOOT_ID = "/proc/sys/kernel/random/uuid"
digest, = os.listdir(folder + "/unpacked")
print(store.open(digest) is not None)
unpacked = store.unpack(Slug(location=archive))
print(open(unpacked.folder + "/Procfile").read(), end="")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="mkfs.ext4 is not installed")
@pytest.mark.parametrize("is_early", [True, False])
def test_a_power_cut_leaves_no_half_slug(is_early, build, tmp_path):
    (tmp_path / "slug.tgz").write_bytes(build.slug(b"web: ./serve\n"))
    (tmp_path / "store").mkdir()
    given = [tmp_path / name for name in ("disk", "copy", "store", "slug.tgz")]
    # What is mounted goes with the namespace.
    command = ["unshare", "--mount", sys.executable, "-c", POWER_CUT, *given, "1" * is_early]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == f"{not is_early}\nweb: ./serve\n", ended.stderr


@pytest.fixture
def slug(build, tmp_path):
    (tmp_path / "slug.tgz").write_bytes(build.slug())
    return Slug(location=str(tmp_path / "slug.tgz"))


def test_a_slug_is_used_before_it_is_on_the_disk(make_store, slug):
    store = make_store()
    unpacked = store.unpack(slug)
    mark = Path(unpacked.folder).parent / "synced"
    assert (store.has_unsynced, mark.exists()) == (True, False)
    store.sync()
    assert (store.has_unsynced, mark.exists()) == (False, True)
    another = make_store()
    another.unpack(slug).close()
    assert not another.has_unsynced


def test_a_slug_that_could_not_be_written_is_unpacked_again(store, slug, monkeypatch, caplog):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    unpacked = store.unpack(slug)
    folder = Path(unpacked.folder).parent
    with monkeypatch.context() as patch:
        patch.setattr("hsup.slugs.sync._sync_file_system", fail)
        store.sync()
    assert "Input/output error" in caplog.text
    unpacked.close()
    before = folder.stat().st_ino
    store.unpack(slug).close()
    assert folder.stat().st_ino != before
    store.sync()
    assert (folder / "synced").exists()


def test_what_another_boot_left_is_replaced_unless_it_is_in_use(make_store, slug, monkeypatch):
    user = make_store().unpack(slug)
    monkeypatch.setattr("hsup.slugs.disk.BOOT_ID", "/proc/sys/kernel/random/uuid")
    monkeypatch.setattr("hsup.slugs.intake._LOOKS", 2)
    before = Path(user.folder).stat().st_ino
    make_store().unpack(slug).close()
    assert Path(user.folder).stat().st_ino == before
    user.close()
    make_store().unpack(slug).close()
    assert Path(user.folder).stat().st_ino != before


@contextmanager
def small_file_system(path):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_full_disk_is_told_and_left_empty(is_remote, make_store, server, build, tmp_path):
    server.content = build.slug(os.urandom(2 << 20))
    (tmp_path / "slug.tgz").write_bytes(server.content)
    location = f"{server.origin}/slug.tgz" if is_remote else "slug.tgz"
    folder = tmp_path / "small"
    with small_file_system(folder):
        store = make_store(HSUP_SLUGS_DIR=str(folder))
        with pytest.raises(SlugError, match="No space left on device; free some space"):
            store.unpack(Slug(location=location))
        assert [path for path in folder.rglob("*") if path.parent != folder] == []


def test_the_half_of_a_slug_is_swept(store, many_files, tmp_path, left_over):
    (tmp_path / "slug.tar").write_bytes(many_files)
    assert store.sweep() == []
    process = start(store, str(tmp_path / "slug.tar"), UNPACKS_HALF)
    wait_until(lambda: any(Path(store.folder).glob("work/*/slug/app")))
    assert store.sweep() == []
    process.kill()
    process.communicate()
    assert [name.startswith("half of slug ") for name in store.sweep()] == [True]
    assert left_over() == []


def test_a_slug_that_cannot_be_written_yet_is_written_later(store, slug, monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    unpacked = store.unpack(slug)
    with monkeypatch.context() as patch:
        patch.setattr("hsup.slugs.sync.lock", fail)
        store.sync()
    assert "to the disk yet: Too many open files" in caplog.text
    store.sync()
    assert (Path(unpacked.folder).parent / "synced").exists()


@pytest.fixture
def stuck(monkeypatch):
    """Have no work folder removed."""

    def fail(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr("hsup.slugs.intake.shutil.rmtree", fail)


@pytest.mark.usefixtures("stuck")
def test_what_cannot_be_cleaned_up_is_not_kept_from_the_next_build(store, tmp_path, caplog):
    (tmp_path / "slug.tgz").write_bytes(b"<html>")
    with pytest.raises(SlugError, match="it is an HTML page"):
        store.unpack(Slug(location="slug.tgz"))
    (work,) = (Path(store.folder) / "work").iterdir()
    unlock(lock(str(work), EXCLUSIVE_NOW))
    assert f"cannot remove {work}: Too many open files" in caplog.text


@pytest.mark.usefixtures("stuck")
def test_a_slug_is_used_although_its_work_folder_stays(store, slug, read):
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")
