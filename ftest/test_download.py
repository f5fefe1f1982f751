"""What is told of downloads while they last, and that nothing tells their secrets."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest import docker_engine
from ftest.program import Hsup, process

pytestmark = pytest.mark.containers_only("the simple driver runs what is in the current directory")

#: A password or a signature, of which no part is ever to be seen.
MARK = "m4rker"
FILES = {"hello": "#!/bin/sh\necho hello; env\n"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the first directory of the path says, whose name it is."""

    server: Server

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind in {"403", "500"}:
            self.send_error(int(kind))
        elif kind == "moved":
            self.send_response(302)
            here = f"me:{MARK}@127.0.0.1:{self.server.server_port}"
            self.send_header("Location", f"http://{here}/here/slug.tgz?signature={MARK}")
            self.end_headers()
        else:
            self._serve(slowly=kind == "slow")

    def _serve(self, *, slowly: bool) -> None:
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        step = len(content) // 8 + 1 if slowly else len(content)
        with contextlib.suppress(OSError):
            for start in range(0, len(content), step):
                self.wfile.write(content[start : start + step])
                time.sleep(0.5 if slowly else 0)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves one archive, with a password and a signature in its URLs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""

    def url(self, kind: str, host: str | None = None) -> str:
        """Return the URL of what is answered in a certain way."""
        host = host or f"127.0.0.1:{self.server_port}"
        return f"http://me:{MARK}@{host}/{kind}/slug.tgz?signature={MARK}"


@pytest.fixture
def server(hsup: Hsup) -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        running.content = hsup.slug("served.tgz", {**FILES, "own": hsup.token}).read_bytes()
        hsup.environ["no_proxy"] = "127.0.0.1"
        yield running
        running.shutdown()
        thread.join()


def kept(*directories: str) -> list[str]:
    """Return the files below directories that have the mark, and require them to be private."""
    found = []
    for directory in directories:
        for path in Path(directory).rglob("*"):
            assert MARK not in path.name
            if path.is_file() and not path.is_symlink() and MARK.encode() in path.read_bytes():
                assert path.stat().st_mode & 0o777 == 0o600, path
                found.append(path.name)
    return found


def require_untold(hsup: Hsup, text: str) -> None:
    """Require that nothing on this machine shows the mark, but to root and in private files."""
    assert MARK not in text
    for pid, line in hsup.processes().items():
        assert MARK not in line
        with contextlib.suppress(OSError):
            assert MARK.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    if hsup.driver == "docker":
        for kind, found in (
            ("container", docker_engine.docker("ps", "--all", "--quiet")),
            ("image", docker_engine.docker("images", "--quiet")),
        ):
            for one in found.split():
                with contextlib.suppress(subprocess.CalledProcessError):  # it has gone meanwhile
                    assert MARK not in docker_engine.docker("inspect", "--type", kind, one)


def release(hsup: Hsup, location: str, **more: object) -> None:
    hsup.release(Slug=location, Processes=[process("web", f"./hello; exec {hsup.sleep}")], **more)


@pytest.mark.parametrize("kind", ["here", "moved"])
@pytest.mark.parametrize("form", ["heroku", "json"])
def test_no_secret_of_a_url_is_told_of_a_slug_that_runs(
    hsup: Hsup, server: Server, kind: str, form: str
) -> None:
    release(hsup, server.url(kind))
    running = hsup.start("-v", "--log-format", form)
    running.wait_for("hello")
    hsup.sleepers(1)
    require_untold(hsup, running.said)
    for words in (["doctor"], ["doctor", "--json"], ["check", str(hsup.control / "loaded")]):
        require_untold(hsup, str(hsup.call(*words)))
    running.send(signal.SIGUSR1)
    running.wait_for("diagnostic|the source answered")
    assert running.stop() == 0
    require_untold(hsup, running.said)
    state = [hsup.environ[name] for name in hsup.environ if name.endswith("_DIR")]
    assert "loaded" in kept(str(hsup.control), *(one for one in state if os.path.isdir(one)))


@pytest.mark.parametrize(
    ("kind", "more", "text"),
    [
        ("403", {}, "the server answered 403 Forbidden"),
        ("here", {"SlugChecksum": f"SHA256:{'0' * 64}"}, "Error R17"),
        ("moved", {"SlugChecksum": f"SHA256:{'0' * 64}"}, "Error R17"),
        ("p/w", {}, "the slug's URL has an invalid host"),
        ("image", {}, "cannot unpack a container image as a slug|passwords to docker login"),
    ],
)
def test_no_secret_of_a_url_is_told_of_a_slug_that_cannot_be_had(
    hsup: Hsup, server: Server, kind: str, more: dict[str, str], text: str
) -> None:
    url = server.url(kind)
    if kind == "p/w":
        url = f"http://me:p/{MARK}@127.0.0.1/slug.tgz"
    elif kind == "image":
        url = f"docker://me:{MARK}@127.0.0.1:1/shop:1"
    for words in (["run", "true"], ["-v", "build"], ["start", "--log-format", "json"]):
        release(hsup, url, **more)
        done = hsup.call(*words)
        assert done.status == 1
        assert re.search(text, done.message + done.text)
        require_untold(hsup, str(done))
    assert kept(str(hsup.directory)) == ["loaded"]


@pytest.mark.parametrize("host", ["nowhere.invalid", "127.0.0.1:1"])
def test_no_secret_of_a_url_is_told_of_a_server_that_is_not_there(
    hsup: Hsup, host: str, server: Server
) -> None:
    release(hsup, server.url("here", host))
    running = hsup.start("-v")
    running.wait_for(f"Fetching the slug of v1 from {host}: .*, retrying")
    running.send(signal.SIGUSR1)
    running.wait_for("diagnostic|the source answered")
    running.stop()
    require_untold(hsup, running.said)


@pytest.mark.parametrize("words", [["run", "./hello"], ["build"]])
def test_how_far_a_slow_download_is_is_told_on_standard_error(
    hsup: Hsup, server: Server, words: list[str]
) -> None:
    server.content += bytes(4 << 20)  # which tar's end is followed by
    release(hsup, server.url("slow"))
    running = hsup.begin(*words)
    host = f"127.0.0.1:{server.server_port}"
    running.wait_for(rf"hsup: [Ff]etching the slug of v1 from {host} \(\d\.\d of \d\.\d MB\)")
    assert running.ended() == 0
    assert "etching" not in running.out
    require_untold(hsup, running.said)


@pytest.mark.containers_only("only libcontainer has stacks")
@pytest.mark.not_with("docker", "its stacks are images")
def test_how_far_a_slow_stack_is_is_told_on_standard_error(hsup: Hsup, server: Server) -> None:
    server.content = b"no archive".ljust(4 << 20)
    running = hsup.begin("stacks", "import", "mine", server.url("slow"))
    host = f"127.0.0.1:{server.server_port}"
    running.wait_for(rf"hsup: [Ff]etching stack slug\.tgz from {host} \(\d\.\d of \d\.\d MB\)")
    assert running.ended() == 1
    assert "slow/slug.tgz is neither a tar nor" in running.err
    assert MARK not in running.said


#: Gives hsup a file system of its own for slugs, of some MiB.
SMALL = (
    'mkdir -p "$HSUP_SLUGS_DIR" && mount -t tmpfs -o size=12m none "$HSUP_SLUGS_DIR" && exec "$@"'
)


@pytest.mark.parametrize("what", ["download", "unpack"])
def test_a_full_disk_takes_no_dyno_away_and_is_no_obstacle_later(
    hsup: Hsup, server: Server, what: str
) -> None:
    slugs = hsup.directory / "slugs"
    hsup.environ["HSUP_SLUGS_DIR"] = str(slugs)
    first = hsup.slug("first.tgz", {"hello": f"#!/bin/sh\necho first; exec {hsup.sleep}\n"})
    hsup.release(Slug=str(first), Processes=[process("web", "./hello")])
    running = hsup.begin("start", prefix=["unshare", "--mount", "sh", "-c", SMALL, "sh"])
    running.wait_for("first$")
    sleeping = hsup.sleepers(1)
    seen = Path(f"/proc/{running.child.pid}/root{slugs}")
    (seen / "filler").write_bytes(bytes(10 << 20))
    more = base64.b64encode(os.urandom(3 << 20)).decode() if what == "download" else "x" * (4 << 20)
    second = f"#!/bin/sh\necho second; exec {hsup.sleep}\n#{more}\n"
    path = hsup.slug("second.tgz", {"hello": second})
    server.content = path.read_bytes()
    location = server.url("here") if what == "download" else str(path)
    hsup.release(Version=2, Slug=location, Processes=[process("web", "./hello")])
    running.wait_for("still running v1: .*No space left on device; free some space")
    assert hsup.sleepers(1) == sleeping
    assert os.listdir(seen / "work") == []
    assert len(os.listdir(seen / "unpacked")) == 1
    (seen / "filler").unlink()
    running.send(signal.SIGHUP)
    running.wait_for("second$")
    assert running.stop() == 0
