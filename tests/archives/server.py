"""A web server that misbehaves when a test asks it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.archives.making import sha256


class Server(ThreadingHTTPServer):
    """Serves `content` at every path, and records requests in `requests`.

    `answers` are statuses that the next requests get instead. `breaks_after`
    are the numbers of bytes after which the next answers break off; after
    `stalls_after` bytes, every answer waits for `stalled`. Ranges start
    `range_shift` bytes too late. `raw` has the pieces that are sent for a path instead
    of an answer, before the server waits for `stalled`.
    """

    daemon_threads = True
    # Enough for all requests that a test makes at the same time.
    request_queue_size = 32

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.has_ranges = True
        self.has_etag = True
        self.answers: list[int] = []
        self.breaks_after: list[int] = []
        self.stalls_after: int | None = None
        self.range_shift = 0
        self.stalled = threading.Event()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.redirects: dict[str, str] = {}
        self.raw: dict[str, Iterable[bytes]] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def etag(self) -> str:
        return f'"{sha256(self.content)[:16]}"'


class Handler(BaseHTTPRequestHandler):
    """Answers as its server is configured."""

    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        if self.path in server.raw:
            self.close_connection = True
            self.send_raw(server.raw[self.path])
        elif self.path in server.redirects:
            self.answer(302, {"Location": server.redirects[self.path]})
        elif server.answers:
            self.answer(server.answers.pop(0), {"Content-Length": "0"})
        elif server.has_etag and self.headers["If-None-Match"] == server.etag:
            self.answer(304, {})
        else:
            self.serve()

    def send_raw(self, pieces: Iterable[bytes]) -> None:
        """Send pieces until they end, or the client closes the connection."""
        try:
            for piece in pieces:
                self.wfile.write(piece)
            self.server.stalled.wait()
        except OSError:
            pass

    def answer(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def serve(self) -> None:
        server = self.server
        content, status, headers = server.content, 200, {}
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        if wanted and server.has_ranges and condition == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            start += server.range_shift
            if start >= len(content):
                self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        if server.has_etag:
            headers["ETag"] = server.etag
        self.answer(status, {**headers, "Content-Length": str(len(content))})
        self.send(content)

    def send(self, content: bytes) -> None:
        """Send a body, or as much of it as the server is configured to send."""
        server = self.server
        if server.breaks_after:
            content = content[: server.breaks_after.pop(0)]
        if server.stalls_after:
            self.wfile.write(content[: server.stalls_after])
            server.stalled.wait()
        else:
            self.wfile.write(content)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server during the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stalled.set()
        server.shutdown()
        thread.join()
        server.server_close()


def url(server: Server, path: str = "/slug.tgz") -> str:
    """Return the URL of a path."""
    return f"{server.origin}{path}"


def refused_url() -> str:
    """Return a URL with a port that no server listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/slug.tgz?signature=secret"
