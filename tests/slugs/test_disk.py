from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.model import Slug
from hsup.slugs import SlugStore

#: Unpacks a slug on a disk of its own, and says what the next boot finds after a power
#: cut: once the disk has been given the names of files, or once hsup was done with it.
POWER_CUT = """
import os, shutil, subprocess, sys
from hsup.api import Settings
from hsup.model import Slug
from hsup.slugs import SlugStore, disk as mark
disk, copy, directory, archive, is_early = sys.argv[1:]
run = lambda *words: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
run("truncate", "-s", "64M", disk)
run("mkfs.ext4", "-q", disk)
run("mount", "-o", "loop", disk, directory)
store = SlugStore(Settings(directory="/", environ={"HSUP_SLUGS_DIR": directory}))
store.unpack(Slug(location=archive))
if is_early:
    os.fsync(os.open(directory + "/unpacked", os.O_RDONLY))
else:
    store.sync()
shutil.copy(disk, copy)
run("mount", "-o", "loop", copy, directory)
mark.BOOT_ID = "/proc/sys/kernel/random/uuid"
digest, = os.listdir(directory + "/unpacked")
print(store.open(digest) is not None)
unpacked = store.unpack(Slug(location=archive))
print(open(unpacked.directory + "/Procfile").read(), end="")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="mkfs.ext4 is not installed")
@pytest.mark.parametrize("is_early", [True, False])
def test_a_power_cut_leaves_no_half_slug(is_early: bool, build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "slug.tgz").write_bytes(build.slug(b"web: ./serve\n"))
    (tmp_path / "store").mkdir()
    given = [str(tmp_path / name) for name in ("disk", "copy", "store", "slug.tgz")]
    # What is mounted goes with the namespace.
    command = ["unshare", "--mount", sys.executable, "-c", POWER_CUT, *given, "1" * is_early]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout == f"{not is_early}\nweb: ./serve\n", ended.stderr


def test_a_slug_is_used_before_it_is_on_the_disk(
    make_store: Callable[..., SlugStore], slug: Slug
) -> None:
    store = make_store()
    unpacked = store.unpack(slug)
    mark = Path(unpacked.directory).parent / "synced"
    assert (store.has_unsynced, mark.exists()) == (True, False)
    store.sync()
    assert (store.has_unsynced, mark.exists()) == (False, True)
    another = make_store()
    another.unpack(slug).close()
    assert not another.has_unsynced


def test_what_another_boot_left_is_replaced_unless_it_is_in_use(
    make_store: Callable[..., SlugStore], slug: Slug, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_store().unpack(slug)
    monkeypatch.setattr("hsup.slugs.disk.BOOT_ID", "/proc/sys/kernel/random/uuid")
    monkeypatch.setattr("hsup.slugs.intake._LOOKS", 2)
    before = Path(user.directory).stat().st_ino
    make_store().unpack(slug).close()
    assert Path(user.directory).stat().st_ino == before
    user.close()
    make_store().unpack(slug).close()
    assert Path(user.directory).stat().st_ino != before
