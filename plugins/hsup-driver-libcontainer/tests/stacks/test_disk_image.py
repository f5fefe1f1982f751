"""Disk images are mounted, not unpacked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.stack import Stack
from hsup_driver_libcontainer.stacks.store import StackStore

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture
def squashfs(need: Callable[..., None], tmp_path: Path, small_root: Path) -> Path:
    need("mksquashfs", "mount")
    if "squashfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no squashfs")
    path = tmp_path / "squash.img"
    options = ["-quiet", "-no-progress", "-noappend", "-comp", "gzip"]
    subprocess.run(["mksquashfs", small_root, path, *options], check=True, capture_output=True)
    return path


def read_mounted(stack: Stack, target: Path, *command: str) -> tuple[str, str]:
    """Run a command in a mount namespace where the stack's image is mounted."""
    script = 'mkdir -p "$0" && "$@"'
    mount = ["unshare", "--mount", "sh", "-c", f"{script} && {command[0]}", str(target)]
    done = subprocess.run(
        [*mount, *stack.mount_command(str(target))], capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


def loops_of(image: Path) -> bytes:
    return subprocess.run(["losetup", "-j", image], capture_output=True, check=True).stdout


@pytest.mark.parametrize("filesystem", ["ext4", "squashfs"])
@pytest.mark.parametrize("compressor", ["gzip", None])
def test_a_disk_image_is_mounted_read_only(
    store: StackStore,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    *,
    filesystem: str,
    compressor: str | None,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    path = request.getfixturevalue(filesystem)
    if compressor:
        subprocess.run([compressor, path], check=True)
        path = Path(f"{path}.gz")
    store.add(Entry("disk", "2", str(path)))

    with store.obtain("disk") as stack:
        assert stack.directory is None
        out, err = read_mounted(
            stack, tmp_path / "m", 'cat "$0/etc/kept" && ! touch "$0/new" && ! mknod "$0/d" c 1 3'
        )
    assert out == "first layer"
    assert "Read-only file system" in err
    image = Path(str(stack.image))
    wait_until(lambda: loops_of(image) == b"")
    assert image.stat().st_blocks * 512 < 8 << 20, "it has holes where it is empty"


def test_an_image_that_was_in_use_when_it_was_made_is_mounted(
    store: StackStore, need: Callable[..., None], tmp_path: Path, ext4: Path
) -> None:
    need("debugfs")
    dirty = ["debugfs", "-w", "-R", "feature needs_recovery", str(ext4)]
    subprocess.run(dirty, check=True, capture_output=True)
    store.add(Entry("disk", None, str(ext4)))

    with store.obtain("disk") as stack:
        assert read_mounted(stack, tmp_path / "m", 'cat "$0/etc/kept"')[0] == "first layer"


def test_two_use_the_same_image_and_nothing_is_left_of_one_that_was_killed(
    store: StackStore,
    tmp_path: Path,
    ext4: Path,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    store.add(Entry("disk", None, str(ext4)))
    with store.obtain("disk") as stack, store.obtain("disk") as same:
        image = Path(str(stack.image))
        (tmp_path / "m").mkdir()
        mount = stack.mount_command(str(tmp_path / "m"))
        command = ["unshare", "--mount", "sh", "-c", '"$@" && echo up && exec sleep 1000', "sh"]
        holder = subprocess.Popen([*command, *mount], stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == b"up\n"
            assert loops_of(image) != b""
            assert read_mounted(same, tmp_path / "m2", 'cat "$0/etc/kept"')[0] == "first layer"
        finally:
            holder.kill()
            holder.communicate()
        wait_until(lambda: loops_of(image) == b"")


def test_an_image_that_is_no_root_is_refused(
    store: StackStore, need: Callable[..., None], stacks_dir: Path, tmp_path: Path
) -> None:
    need("mkfs.ext4")
    path = tmp_path / "empty.img"
    subprocess.run(["mkfs.ext4", "-q", path, "4M"], check=True)

    with pytest.raises(DriverError, match='stack "disk" has no /bin/bash; '):
        store.add(Entry("disk", None, str(path)))
    assert os.listdir(stacks_dir / "fetching") == []


def test_a_broken_image_is_refused(
    store: StackStore, stacks_dir: Path, tmp_path: Path, ext4: Path
) -> None:
    with ext4.open("r+b") as file:
        file.seek(1024)
        file.write(bytes(56))
    with pytest.raises(DriverError, match="cannot mount the disk image"):
        store.add(Entry("disk", None, str(ext4)))

    (tmp_path / "half.gz").write_bytes(subprocess.check_output(["gzip", "-c", ext4])[:-100])
    with pytest.raises(DriverError, match=r"cannot unpack .*half.gz: .*unexpected end of file"):
        store.add(Entry("disk", None, str(tmp_path / "half.gz")))
    assert os.listdir(stacks_dir / "fetching") == []
