"""Tars and disk images, from this machine and from a server."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks import checksum
from hsup_driver_libcontainer.stacks.checksum import verify
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.stack import Stack
from hsup_driver_libcontainer.stacks.store import StackStore

COMPRESSORS = {
    None: (),
    "gzip": ("gzip",),
    "xz": ("xz", "-0"),
    "zstd": ("zstd", "-q"),
    "bzip2": ("bzip2",),
}

OBTAIN = """
import os, sys
from hsup.api import Settings
from hsup_driver_libcontainer.stacks.store import StackStore
StackStore(Settings(folder="/", environ=dict(os.environ))).obtain(sys.argv[1]).close()
"""


@pytest.fixture(autouse=True)
def _needs_root(need: Callable[..., None]) -> None:
    need()


@pytest.fixture
def tar_path(tmp_path: Path, root_tar: bytes) -> Path:
    path = tmp_path / "root.tar"
    path.write_bytes(root_tar)
    return path


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_root_tar_is_unpacked_however_it_is_compressed(
    store, need, tmp_path, root_tar, compressor
) -> None:
    if compressor:
        need(compressor)
        command = [*COMPRESSORS[compressor], "-c"]
        root_tar = subprocess.run(command, input=root_tar, capture_output=True, check=True).stdout
    # The name tells nothing: what it is shows in its content.
    (tmp_path / "file").write_bytes(root_tar)
    store.add(Entry("a", "1", str(tmp_path / "file")))

    with store.obtain("a") as stack:
        root = Path(stack.folder)
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


LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([member("../evil")], "Member name contains '..'"),
        ([member("a/../../evil")], "Member name contains '..'"),
        ([member("out", LINK, "VICTIM"), member("out/evil")], "Not a directory"),
        ([member("out", LINK, "../../../../.."), member("out/tmp/evil")], "Not a directory"),
        ([member("evil", HARD, "VICTIM/precious"), member("evil")], "Cannot hard link"),
        ([member("evil", HARD, "../../precious"), member("evil")], "Cannot hard link"),
        ([member("s", LINK, "VICTIM"), member("s", FOLDER), member("s/evil")], "Is a directory"),
        ([member("bin/bash", FOLDER), member("bin/sh")], "has no /bin/bash"),
        ([member("bin/bash", LINK, "bash"), member("bin/sh")], "has no /bin/bash"),
        ([member("bin/bash", LINK, "/../../../bin/busybox")], "has no /bin/bash"),
        ([], "neither a tar nor"),
    ],
)
def test_a_hostile_or_useless_tar_is_refused_and_leaves_nothing(
    store, stacks_dir, tmp_path, members, complaint
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


def test_devices_and_a_closed_root_folder_of_a_tar_do_not_stay(store, tar_path) -> None:
    with tarfile.open(tar_path, "a") as tar:
        tar.addfile(member("dev", FOLDER))
        device = member("dev/sda", tarfile.BLKTYPE)
        device.devmajor = 8
        tar.addfile(device)
        tar.addfile(member("./", FOLDER, mode=0o700))
    store.add(Entry("a", None, str(tar_path)))

    with store.obtain("a") as stack:
        root = Path(stack.folder)
    assert os.listdir(root / "dev") == []
    assert root.stat().st_mode & 0o777 == 0o755


def test_a_root_of_another_machine_is_refused(store, tmp_path, small_root, pack) -> None:
    root = tmp_path / "foreign"
    (root / "bin").mkdir(parents=True)
    program = bytearray((small_root / "usr/bin/busybox").read_bytes()[:4096])
    program[18:20] = (183 if os.uname().machine == "x86_64" else 62).to_bytes(2, "little")
    for shell in ("bash", "sh"):
        (root / "bin" / shell).write_bytes(program)
    (tmp_path / "foreign.tar").write_bytes(pack(root))

    with pytest.raises(
        DriverError, match=r'stack "a" is for \w+, but this machine is \w+; use its'
    ):
        store.add(Entry("a", None, str(tmp_path / "foreign.tar")))


@pytest.fixture
def ext4(need: Callable[..., None], tmp_path: Path, small_root: Path) -> Path:
    need("mkfs.ext4", "mount")
    path = tmp_path / "ext4.img"
    subprocess.run(["mkfs.ext4", "-q", "-d", small_root, path, "16M"], check=True)
    return path


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
    store, request, tmp_path, *, filesystem, compressor, wait_until
) -> None:
    path = request.getfixturevalue(filesystem)
    if compressor:
        subprocess.run([compressor, path], check=True)
        path = Path(f"{path}.gz")
    store.add(Entry("disk", "2", str(path)))

    with store.obtain("disk") as stack:
        assert stack.folder is None
        out, err = read_mounted(
            stack, tmp_path / "m", 'cat "$0/etc/kept" && ! touch "$0/new" && ! mknod "$0/d" c 1 3'
        )
    assert out == "first layer"
    assert "Read-only file system" in err
    wait_until(lambda: loops_of(stack.image) == b"")
    assert os.stat(stack.image).st_blocks * 512 < 8 << 20, "it has holes where it is empty"


def test_an_image_that_was_in_use_when_it_was_made_is_mounted(store, need, tmp_path, ext4) -> None:
    need("debugfs")
    dirty = ["debugfs", "-w", "-R", "feature needs_recovery", ext4]
    subprocess.run(dirty, check=True, capture_output=True)
    store.add(Entry("disk", None, str(ext4)))

    with store.obtain("disk") as stack:
        assert read_mounted(stack, tmp_path / "m", 'cat "$0/etc/kept"')[0] == "first layer"


def test_two_use_the_same_image_and_nothing_is_left_of_one_that_was_killed(
    store, tmp_path, ext4, wait_until
) -> None:
    store.add(Entry("disk", None, str(ext4)))
    with store.obtain("disk") as stack, store.obtain("disk") as same:
        (tmp_path / "m").mkdir()
        mount = stack.mount_command(str(tmp_path / "m"))
        command = ["unshare", "--mount", "sh", "-c", '"$@" && echo up && exec sleep 1000', "sh"]
        holder = subprocess.Popen([*command, *mount], stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == b"up\n"
            assert loops_of(stack.image) != b""
            assert read_mounted(same, tmp_path / "m2", 'cat "$0/etc/kept"')[0] == "first layer"
        finally:
            holder.kill()
            holder.communicate()
        wait_until(lambda: loops_of(stack.image) == b"")


def test_an_image_that_is_no_root_is_refused(store, need, stacks_dir, tmp_path) -> None:
    need("mkfs.ext4")
    path = tmp_path / "empty.img"
    subprocess.run(["mkfs.ext4", "-q", path, "4M"], check=True)

    with pytest.raises(DriverError, match='stack "disk" has no /bin/bash; '):
        store.add(Entry("disk", None, str(path)))
    assert os.listdir(stacks_dir / "fetching") == []


def test_a_broken_image_is_refused(store, stacks_dir, tmp_path, ext4) -> None:
    with ext4.open("r+b") as file:
        file.seek(1024)
        file.write(bytes(56))
    with pytest.raises(DriverError, match="cannot mount the disk image"):
        store.add(Entry("disk", None, str(ext4)))

    (tmp_path / "half.gz").write_bytes(subprocess.check_output(["gzip", "-c", ext4])[:-100])
    with pytest.raises(DriverError, match=r"cannot unpack .*half.gz: .*unexpected end of file"):
        store.add(Entry("disk", None, str(tmp_path / "half.gz")))
    assert os.listdir(stacks_dir / "fetching") == []


def test_a_full_disk_is_told_and_nothing_stays(settings, tar_path) -> None:
    """Run in a mount namespace with a store on a file system of two MiB, half full."""
    program = """
import os, sys
from hsup.api import Settings
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore
store = StackStore(Settings(folder="/", environ=dict(os.environ)))
try:
    store.add(Entry("a", None, sys.argv[1]))
finally:
    print(os.listdir(os.environ["HSUP_STACKS_DIR"] + "/fetching"))
"""
    script = (
        'mkdir "$HSUP_STACKS_DIR" && mount -t tmpfs -o size=2m none "$HSUP_STACKS_DIR" && '
        'head -c 1048576 /dev/zero > "$HSUP_STACKS_DIR/filler" && "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", program, tar_path],
        env=settings.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "[]\n"
    assert "No space left on device" in done.stderr.splitlines()[-1]


class Server(ThreadingHTTPServer):
    """Serves one file; the first answer stops half-way until `go_on`.

    `answers` are statuses that the next requests get instead.
    """

    daemon_threads = True

    def __init__(self, content: bytes, *, stops: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.ranges: list[int] = []
        self.answers: list[int] = []
        self.stops = stops
        self.stopped, self.go_on = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/root.tar"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def end(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.server.ranges.append(start)
        if self.path != "/root.tar":
            self.send_error(404)
            return
        if self.server.answers:
            self.send_error(self.server.answers.pop())
            return
        rest = self.server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", '"1"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-*/*")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.stops and not asked:
            self.wfile.write(rest[: len(rest) // 2])
            self.server.stopped.set()
            self.server.go_on.wait()
            return
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(content, **how):
        servers.append(Server(content, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_download_is_verified(store, stacks_dir, serve, root_tar) -> None:
    url = serve(root_tar).url
    store.add(Entry("a", None, url, sha256(root_tar)))
    store.obtain("a").close()
    store.add(Entry("old", None, url, f"md5:{hashlib.md5(root_tar).hexdigest()}"))

    wrong = sha256(b"something else")
    with pytest.raises(DriverError) as caught:
        store.add(Entry("b", None, url, wrong))

    assert f"{url} has the checksum {sha256(root_tar)}, not {wrong}" in str(caught.value)
    assert os.listdir(stacks_dir / "fetching") == []


@pytest.mark.parametrize("kind", ["tar_path", "ext4"])
def test_what_is_unpacked_is_what_was_verified(store, request, monkeypatch, kind) -> None:
    path = request.getfixturevalue(kind)
    content = path.read_bytes()

    def verify_and_change(*given: str) -> None:
        verify(*given)
        path.write_bytes(b"something else")

    monkeypatch.setattr(checksum, "verify", verify_and_change)
    store.add(Entry("a", None, str(path), sha256(content)))
    assert path.read_bytes() == b"something else"
    store.obtain("a").close()


def test_a_download_that_was_cut_off_goes_on_where_it_ended(store, serve, root_tar) -> None:
    server = serve(root_tar, stops=True)
    server.go_on.set()

    store.add(Entry("a", None, server.url, sha256(root_tar)))

    assert server.ranges == [0, len(root_tar) // 2]


def test_a_download_that_was_killed_is_not_taken_for_a_stack_and_goes_on(
    settings, stacks_dir, serve, root_tar, wait_until
) -> None:
    server = serve(root_tar, stops=True)
    manifest = f"- {{name: a, url: '{server.url}', checksum: '{sha256(root_tar)}'}}"
    (stacks_dir / "manifest.yml").write_text(manifest)
    program = subprocess.Popen(
        [sys.executable, "-c", OBTAIN, "a"], env=settings.environ, stderr=subprocess.DEVNULL
    )
    half = len(root_tar) // 2

    def received():
        partial = stacks_dir.glob("fetching/a@/download/*/archive")
        return sum(path.stat().st_size for path in partial)

    wait_until(lambda: received() > half // 2)
    program.kill()
    program.wait()
    there = received()
    assert not (stacks_dir / "installed").exists()

    store = StackStore(settings)
    assert store.sweep() == ()
    store.obtain("a").close()

    assert server.ranges == [0, there]
    assert os.listdir(stacks_dir / "fetching") == []


def test_a_server_without_the_file_is_told_at_once(store, serve) -> None:
    server = serve(b"")
    url = server.url.replace("root.tar", "none.tar")
    told = rf'cannot download stack "{url}": the server answered 404 Not Found'
    with pytest.raises(DriverError, match=told):
        store.add(Entry("a", None, url))
    assert server.ranges == [0]


def test_a_server_that_cannot_be_reached_is_told(store, monkeypatch, caplog) -> None:
    monkeypatch.setattr("hsup_driver_libcontainer.stacks.fetch.BACKOFF_SECONDS", 0.001)
    caplog.set_level(logging.DEBUG)
    told = r'cannot download stack "http://127.0.0.1:1/x": .*refused'
    with pytest.raises(DriverError, match=told) as caught:
        store.add(Entry("a", None, "http://me:secret@127.0.0.1:1/x?signature=secret"))
    assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(store, serve, root_tar, status) -> None:
    server = serve(root_tar)
    server.answers = [status]
    store.add(Entry("a", None, server.url))
    assert server.ranges == [0, 0]


def test_a_url_of_no_host_is_told(store) -> None:
    with pytest.raises(DriverError, match="the stack's URL has an invalid host"):
        store.add(Entry("a", None, "http://[oops/root.tar"))


def test_a_stack_from_elsewhere_takes_the_place_of_one_of_that_name(
    store, stacks_dir, tar_path, tmp_path
) -> None:
    def say(url):
        (stacks_dir / "manifest.yml").write_text(json.dumps([{"name": "a", "url": str(url)}]))

    say(tar_path)
    with store.obtain("a") as old:
        say(tar_path.rename(tmp_path / "moved.tar"))
        with store.obtain("a") as new:
            assert new.folder != old.folder
        assert Path(old.folder, "etc/kept").exists()
    store.sweep()
    assert os.listdir(stacks_dir / "installed") == ["a@+2"]


@pytest.fixture
def odd(tmp_path: Path, root_tar: bytes) -> Callable[[str], str]:
    """Return a function that makes the files that users and attackers give as stacks."""

    def make(kind: str) -> str:
        path = tmp_path / "odd"
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        elif kind == "sparse":
            with path.open("wb") as file:
                file.truncate(8 << 40)
        elif kind == "sparse image":
            with path.open("wb") as file:
                file.write(bytes(1024 + 56) + b"\x53\xef")
                file.truncate(8 << 40)
        elif kind == "cut off":
            path.write_bytes(root_tar[: len(root_tar) // 2])
        elif kind == "cut off gzip":
            path.write_bytes(gzip.compress(root_tar, 1)[:10_000])
        elif kind == "dots":
            path.write_bytes(subprocess.check_output(["tar", "-cC", str(tmp_path), "-f-", "./."]))
        else:
            path.write_bytes(kind.encode("latin-1"))
        return str(path)

    return make


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("fifo", "is neither a file nor a directory; use a tar"),
        ("socket", "is neither a file nor a directory; use a tar"),
        ("sparse", "has 8796093022208 bytes, more than the whole file system"),
        ("sparse image", "has 8796093022208 bytes, more than the whole file system"),
        ("", "is empty; use a tar"),
        ("PK\3\4 and so on", "is a zip archive, neither a tar nor"),
        ("<!DOCTYPE html>", "is an HTML page, neither a tar nor"),
        ("cut off", r"cannot unpack .*odd: tar: Unexpected EOF in archive; make or fetch it again"),
        ("cut off gzip", r"cannot unpack .*odd: .*[Uu]nexpected (EOF|end of file).*; make or"),
        ("dots", "has no /bin/bash"),
    ],
)
def test_what_is_no_root_is_told_at_once(store, stacks_dir, odd, kind, complaint) -> None:
    with pytest.raises(DriverError, match=complaint):
        store.add(Entry("a", None, odd(kind)))
    assert os.listdir(stacks_dir / "fetching") == []
    assert not (stacks_dir / "imported.json").exists()


@pytest.mark.parametrize("what", ["/dev/zero", "/proc/kcore", "/proc/kmsg", "fifo", "sparse"])
def test_what_has_no_end_is_not_read_for_its_checksum(store, odd, what) -> None:
    path = what if what.startswith("/") else odd(what)
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    with pytest.raises(DriverError, match=r"neither a file nor a directory|is empty|has \d+ bytes"):
        store.add(Entry("a", None, path, f"sha256:{'0' * 64}"))


def test_what_was_written_down_of_a_url_is_its_owners(store, stacks_dir, tar_path) -> None:
    server = Server(tar_path.read_bytes())
    try:
        url = server.url.replace("//", "//me:marker@")
        store.add(Entry("a", None, url))
    finally:
        server.end()
    kept = [path for path in stacks_dir.rglob("*") if path.is_file() and not path.is_symlink()]
    having = [path for path in kept if b"marker" in path.read_bytes()]
    assert {path.name for path in having} == {"stack.json", "imported.json"}
    assert {path.stat().st_mode & 0o777 for path in having} == {0o600}
