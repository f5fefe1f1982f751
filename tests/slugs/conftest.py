"""What the tests of slugs hand in: archives, a store, a web server with moods."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import threading
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.slugs import SlugStore


def member(name, content=None, **fields):
    """Make a TarInfo with its content: a file where there is some, else a folder."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.mode = 0o755 if content is None else 0o644
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def link(name, target, kind=tarfile.SYMTYPE):
    return member(name, b"", type=kind, linkname=target)


def tar(*members, form=tarfile.GNU_FORMAT):
    """Return an uncompressed archive; a size that is not the content's is written all the same."""
    parts = (
        info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)
        for info, content in members
    )
    return b"".join(parts) + bytes(1024)


def a_slug(text=b"web: ./serve\n"):
    """Return a small archive as the platform's are, compressed with gzip."""
    content = tar(member("./app"), member("./app/Procfile", text), link("./app/sh", "/bin/sh"))
    return gzip.compress(content, mtime=0)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def build():
    """Return the makers of archives: `build.tar(build.member("./app/x", b"…"))`."""

    class Build:
        pass

    Build.member, Build.link = staticmethod(member), staticmethod(link)
    Build.tar, Build.slug, Build.sha256 = map(staticmethod, (tar, a_slug, sha256))
    return Build


@pytest.fixture
def make_store(tmp_path):
    """Return a maker of stores on one folder: `make_store(HSUP_SLUGS_KEEP="1")`."""

    def make(**environ):
        folder = str(tmp_path / "slugs")
        settings = Settings(folder=str(tmp_path), environ={"HSUP_SLUGS_DIR": folder, **environ})
        return SlugStore(settings, backoff_seconds=0.001)

    return make


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def left_over(tmp_path):
    """Return what tells which folders are left of work that has ended."""

    def look():
        work = tmp_path / "slugs" / "work"
        return sorted(path.name for path in work.iterdir()) if work.exists() else []

    return look


class Server(ThreadingHTTPServer):
    """Serves `content` at every path; what it was asked is in `requests`.

    `answers` are statuses that the next requests get instead. `breaks_after`
    are the numbers of bytes after which the next answers are broken off;
    `stalls_after` is after how many all answers wait for `stalled`. A range
    starts `range_shift` bytes too late. `raw` are pieces that are sent at a path instead of any
    answer, before it waits for `stalled`.
    """

    daemon_threads = True
    # As many as come at once in a test wait for their turn.
    request_queue_size = 32

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.has_ranges = True
        self.has_etag = True
        self.answers = []
        self.breaks_after = []
        self.stalls_after = None
        self.range_shift = 0
        self.stalled = threading.Event()
        self.requests = []
        self.redirects = {}
        self.raw = {}

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def etag(self):
        return f'"{sha256(self.content)[:16]}"'


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        if self.path in server.raw:
            self.close_connection = True
            self.send_raw(server.raw[self.path])
            return None
        if self.path in server.redirects:
            return self.answer(302, {"Location": server.redirects[self.path]})
        if server.answers:
            return self.answer(server.answers.pop(0), {"Content-Length": "0"})
        if server.has_etag and self.headers["If-None-Match"] == server.etag:
            return self.answer(304, {})
        return self.serve()

    def send_raw(self, pieces):
        """Send pieces until they end, or the other side has had enough."""
        try:
            for piece in pieces:
                self.wfile.write(piece)
            self.server.stalled.wait()
        except OSError:
            pass

    def answer(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def serve(self):
        content, status, headers = self.server.content, 200, {}
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if wanted and self.server.has_ranges and condition == self.server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            start += self.server.range_shift
            if start >= len(content):
                self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        if self.server.has_etag:
            headers["ETag"] = self.server.etag
        self.answer(status, {**headers, "Content-Length": str(len(content))})
        if self.server.breaks_after:
            content = content[: self.server.breaks_after.pop(0)]
        if self.server.stalls_after:
            self.wfile.write(content[: self.server.stalls_after])
            self.server.stalled.wait()
        else:
            self.wfile.write(content)


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stalled.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server()) as running:
        running.content = a_slug()
        yield running


@pytest.fixture
def read():
    """Return a reader of an unpacked file."""
    return lambda unpacked, name: (Path(unpacked.folder) / name).read_bytes()


@pytest.fixture
def silent():
    """Return a progress that nobody sees."""
    return lambda _label, _length: nullcontext(lambda _: None)
