"""Stacks are fetched from this machine and from a server."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks import checksum
from hsup_driver_libcontainer.stacks.checksum import verify
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore

pytestmark = pytest.mark.usefixtures("as_root")

OBTAIN = """
import os, sys
from hsup.api import Settings
from hsup_driver_libcontainer.stacks.store import StackStore
StackStore(Settings(directory="/", environ=dict(os.environ))).obtain(sys.argv[1]).close()
"""


def test_a_full_disk_is_told_and_nothing_stays(settings: Settings, tar_path: Path) -> None:
    """Run in a mount namespace with a store on a file system of two MiB, half full."""
    program = """
import os, sys
from hsup.api import Settings
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.store import StackStore
store = StackStore(Settings(directory="/", environ=dict(os.environ)))
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

    def start(content: bytes, **how: Any) -> Server:
        servers.append(Server(content, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_download_is_verified(
    store: StackStore, stacks_dir: Path, serve: Callable[..., Server], root_tar: bytes
) -> None:
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
def test_what_is_unpacked_is_what_was_verified(
    store: StackStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = request.getfixturevalue(kind)
    content = path.read_bytes()

    def verify_and_change(*given: str) -> None:
        verify(*given)
        path.write_bytes(b"something else")

    monkeypatch.setattr(checksum, "verify", verify_and_change)
    store.add(Entry("a", None, str(path), sha256(content)))
    assert path.read_bytes() == b"something else"
    store.obtain("a").close()


def test_a_download_that_was_cut_off_goes_on_where_it_ended(
    store: StackStore, serve: Callable[..., Server], root_tar: bytes
) -> None:
    server = serve(root_tar, stops=True)
    server.go_on.set()

    store.add(Entry("a", None, server.url, sha256(root_tar)))

    assert server.ranges == [0, len(root_tar) // 2]


def test_a_download_that_was_killed_is_not_taken_for_a_stack_and_goes_on(
    settings: Settings,
    stacks_dir: Path,
    serve: Callable[..., Server],
    root_tar: bytes,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    server = serve(root_tar, stops=True)
    manifest = f"- {{name: a, url: '{server.url}', checksum: '{sha256(root_tar)}'}}"
    (stacks_dir / "manifest.yml").write_text(manifest)
    program = subprocess.Popen(
        [sys.executable, "-c", OBTAIN, "a"], env=settings.environ, stderr=subprocess.DEVNULL
    )
    half = len(root_tar) // 2

    def received() -> int:
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


def test_a_server_without_the_file_is_told_at_once(
    store: StackStore, serve: Callable[..., Server]
) -> None:
    server = serve(b"")
    url = server.url.replace("root.tar", "none.tar")
    told = rf'cannot download stack "{url}": the server answered 404 Not Found'
    with pytest.raises(DriverError, match=told):
        store.add(Entry("a", None, url))
    assert server.ranges == [0]


def test_a_server_that_cannot_be_reached_is_told(
    store: StackStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hsup_driver_libcontainer.stacks.fetch.BACKOFF_SECONDS", 0.001)
    caplog.set_level(logging.DEBUG)
    told = r'cannot download stack "http://127.0.0.1:1/x": .*refused'
    with pytest.raises(DriverError, match=told) as caught:
        store.add(Entry("a", None, "http://me:secret@127.0.0.1:1/x?signature=secret"))
    assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(
    store: StackStore, serve: Callable[..., Server], root_tar: bytes, status: int
) -> None:
    server = serve(root_tar)
    server.answers = [status]
    store.add(Entry("a", None, server.url))
    assert server.ranges == [0, 0]


def test_a_url_of_no_host_is_told(store: StackStore) -> None:
    with pytest.raises(DriverError, match="the stack's URL has an invalid host"):
        store.add(Entry("a", None, "http://[oops/root.tar"))


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
def test_what_is_no_root_is_told_at_once(
    store: StackStore, stacks_dir: Path, odd: Callable[[str], str], kind: str, complaint: str
) -> None:
    with pytest.raises(DriverError, match=complaint):
        store.add(Entry("a", None, odd(kind)))
    assert os.listdir(stacks_dir / "fetching") == []
    assert not (stacks_dir / "imported.json").exists()


@pytest.mark.parametrize("what", ["/dev/zero", "/proc/kcore", "/proc/kmsg", "fifo", "sparse"])
def test_what_has_no_end_is_not_read_for_its_checksum(
    store: StackStore, odd: Callable[[str], str], what: str
) -> None:
    path = what if what.startswith("/") else odd(what)
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    with pytest.raises(DriverError, match=r"neither a file nor a directory|is empty|has \d+ bytes"):
        store.add(Entry("a", None, path, f"sha256:{'0' * 64}"))


def test_what_was_written_down_of_a_url_is_its_owners(
    store: StackStore, stacks_dir: Path, tar_path: Path
) -> None:
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
