"""Tars are unpacked as they are, and whatever they want elsewhere is refused."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore

pytestmark = pytest.mark.usefixtures("as_root")

COMPRESSORS = {
    None: (),
    "gzip": ("gzip",),
    "xz": ("xz", "-0"),
    "zstd": ("zstd", "-q"),
    "bzip2": ("bzip2",),
}


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_root_tar_is_unpacked_however_it_is_compressed(
    store: StackStore,
    need: Callable[..., None],
    tmp_path: Path,
    root_tar: bytes,
    compressor: str | None,
) -> None:
    if compressor:
        need(compressor)
        command = [*COMPRESSORS[compressor], "-c"]
        root_tar = subprocess.run(command, input=root_tar, capture_output=True, check=True).stdout
    # The name tells nothing: what it is shows in its content.
    (tmp_path / "file").write_bytes(root_tar)
    store.add(Entry("a", "1", str(tmp_path / "file")))

    with store.obtain("a") as stack:
        root = Path(str(stack.directory))
    kept = (root / "etc/kept").stat()
    assert (kept.st_uid, kept.st_gid) == (12, 34)
    assert os.getxattr(root / "etc/kept", "user.colour") == b"blue"
    assert (root / "usr/bin/sh").samefile(root / "usr/bin/busybox")
    assert (stack.name, stack.version) == ("a", "1")


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o755
) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, link, mode
    return found


LINK, HARD, DIRECTORY = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([member("../evil")], "Member name contains '..'"),
        ([member("a/../../evil")], "Member name contains '..'"),
        ([member("out", LINK, "VICTIM"), member("out/evil")], "Not a directory"),
        ([member("out", LINK, "../../../../.."), member("out/tmp/evil")], "Not a directory"),
        ([member("evil", HARD, "VICTIM/precious"), member("evil")], "Cannot hard link"),
        ([member("evil", HARD, "../../precious"), member("evil")], "Cannot hard link"),
        # tar takes the directory for the link that it had put off if its inode number is the same.
        (
            [member("s", LINK, "VICTIM"), member("s", DIRECTORY), member("s/evil")],
            "Is a directory|has no /bin/bash",
        ),
        ([member("bin/bash", DIRECTORY), member("bin/sh")], "has no /bin/bash"),
        ([member("bin/bash", LINK, "bash"), member("bin/sh")], "has no /bin/bash"),
        ([member("bin/bash", LINK, "/../../../bin/busybox")], "has no /bin/bash"),
        ([], "neither a tar nor"),
    ],
)
def test_a_hostile_or_useless_tar_is_refused_and_leaves_nothing(
    store: StackStore,
    stacks_dir: Path,
    tmp_path: Path,
    members: list[tarfile.TarInfo],
    complaint: str,
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("mine")
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as tar:
        for one in members:
            one.linkname = one.linkname.replace("VICTIM", str(victim))
            one.size = 3 if one.isreg() else 0
            tar.addfile(one, io.BytesIO(b"bad"))

    with pytest.raises(DriverError) as caught:
        store.add(Entry("a", None, str(path)))

    assert re.search(complaint, str(caught.value))
    assert [one.name for one in victim.iterdir()] == ["precious"]
    assert (victim / "precious").read_text() == "mine"
    assert not list(tmp_path.rglob("evil"))
    assert os.listdir(stacks_dir / "fetching") == []
    assert not (stacks_dir / "installed").exists()
    assert not (stacks_dir / "imported.json").exists()


def test_devices_and_a_closed_root_directory_of_a_tar_do_not_stay(
    store: StackStore, tar_path: Path
) -> None:
    with tarfile.open(tar_path, "a") as tar:
        tar.addfile(member("dev", DIRECTORY))
        device = member("dev/sda", tarfile.BLKTYPE)
        device.devmajor = 8
        tar.addfile(device)
        tar.addfile(member("./", DIRECTORY, mode=0o700))
    store.add(Entry("a", None, str(tar_path)))

    with store.obtain("a") as stack:
        root = Path(str(stack.directory))
    assert os.listdir(root / "dev") == []
    assert root.stat().st_mode & 0o777 == 0o755
