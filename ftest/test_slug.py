"""A real application from its slug: where it comes from, and what it finds in /app."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import os
import shutil
import signal
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftest.program import Hsup, eventually, process, touched

pytestmark = pytest.mark.containers_only("the simple driver runs what is in the current directory")

FILES = {"hello": "#!/bin/sh\necho hello from the slug\n", "directory/data": "data\n"}


class Guestbook:
    """The example application, served from its slug."""

    def __init__(self, hsup: Hsup) -> None:
        self.running = hsup.start()
        self.running.wait_for("Booting worker", count=2)
        self._root = f"http://{hsup.place('web.1', 5000)}"

    def fetch(self, path: str, **form: str) -> str:
        """Return a page; send a form where one is given."""
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"{self._root}{path}", data, timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture
def guestbook(request: pytest.FixtureRequest, hsup: Hsup) -> Guestbook:
    """Release the example application; give it, started."""
    slug = request.config.getoption("--slug").absolute()
    hsup.release(Slug=str(slug), Processes=[process("web", "gunicorn guestbook:app")])
    return Guestbook(hsup)


def test_the_application_answers_at_the_address_of_its_dyno(guestbook: Guestbook) -> None:
    assert "served by web.1" in guestbook.fetch("/")
    assert "max-width" in guestbook.fetch("/static/guestbook.css")
    guestbook.running.wait_for(r'app\[web\.1\]: .*"GET / HTTP/1.1" 200')
    assert guestbook.running.stop() == 0


def test_the_application_keeps_what_it_writes_until_its_dyno_ends(
    guestbook: Guestbook, hsup: Hsup
) -> None:
    guestbook.fetch("/", name="Ada", said="hello")
    assert "Ada" in guestbook.fetch("/")
    assert guestbook.running.stop() == 0
    assert "Ada" not in Guestbook(hsup).fetch("/")


def test_the_script_of_the_buildpack_finds_how_many_workers_fit(guestbook: Guestbook) -> None:
    """Two of 256 MiB in a dyno of 512 MiB, where one processor would take three."""
    assert guestbook.running.stop() == 0
    assert guestbook.running.count("Booting worker") == 2


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.zst"])
def test_a_slug_may_be_compressed_in_any_way(hsup: Hsup, kind: str) -> None:
    slug = hsup.slug(f"slug.{kind}", FILES)
    hsup.release(Slug=str(slug), Processes=[process("one", "./hello")])
    assert hsup.call("run", "./hello && cat directory/data").text == "hello from the slug\ndata\n"


def test_a_slug_may_be_named_relative_to_the_directory_of_hsup(hsup: Hsup) -> None:
    hsup.slug("slug.tgz", FILES)
    hsup.release(Slug="slug.tgz", Processes=[process("one", "./hello")])
    assert "hello from the slug" in hsup.call("start", "--oneshot").text


def test_a_slug_may_be_a_file_url(hsup: Hsup) -> None:
    slug = hsup.slug("slug.tgz", FILES)
    hsup.release(Slug=slug.as_uri(), Processes=[process("one", "./hello")])
    assert "hello from the slug" in hsup.call("start", "--oneshot").text


def test_each_release_runs_the_code_that_its_slug_had_when_it_came(hsup: Hsup) -> None:
    """The same path has another archive each time, written just before, and no checksum tells."""

    def release(version: int, *more: dict[str, object]) -> Path:
        slug = hsup.slug("slug.tgz", {"code": f"code of {version}\n"})
        one = process("one", f"cat code; {hsup.born}")
        hsup.release(Version=version, Slug="slug.tgz", Processes=[one, *more])
        return slug

    with touched(release(1)):
        running = hsup.start()
        running.wait_for(r"one\.1\]: code of 1$")
        running.wait_for("born$")
    release(2, process("release", "cat code; exit 3"))
    running.wait_for("Release rejected, .*v1: ")
    assert running.count(r"release\.\d+\]: code of 2$") == 1
    os.kill(hsup.sleepers().pop(), signal.SIGKILL)
    running.wait_for("born$", count=2)
    assert running.count(r"one\.1\]: code of 1$") == 2
    release(3)
    running.wait_for(r"one\.1\]: code of 3$")
    assert running.count(r"one\.1\]: code of 2$") == 0
    assert running.stop() == 0


class Served:
    """A directory that is served over HTTP, as long as it is asked to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"))
    yield server
    server.close()


def test_a_downloaded_slug_is_used_where_the_network_is_down(hsup: Hsup, served: Served) -> None:
    shutil.move(hsup.slug("slug.tgz", {**FILES, "own": hsup.token}), served.directory)
    hsup.release(Slug=f"{served.url}/slug.tgz", Processes=[process("one", "./hello")])
    assert hsup.call("run", "./hello").text == "hello from the slug\n"
    served.close()
    done = hsup.call("run", "./hello", timeout=60)
    assert (done.text, done.status) == ("hello from the slug\n", 0)


class Dripping(http.server.BaseHTTPRequestHandler):
    """Gives a byte of a slug now and then, for as long as somebody takes it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.2)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dripping() -> Iterator[str]:
    """Return the URL of a slug that does not come to an end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/slug.tgz"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_newer_release_does_not_wait_for_the_slug_of_an_older_one(
    hsup: Hsup, dripping: str
) -> None:
    processes = [process("one", "./program")]
    for name in ("first", "third"):
        line = f"#!/bin/sh\necho {name}; exec {hsup.sleep}\n"
        hsup.slug(f"{name}.tgz", {"program": line})
    hsup.release(Version=1, Slug=str(hsup.directory / "first.tgz"), Processes=processes)
    running = hsup.start()
    running.wait_for("first$")
    hsup.release(Version=2, Slug=dripping, Processes=processes)
    running.wait_for(r"Fetching the slug of v2 from 127.0.0.1:\d+ \(0.0 of 1.0 MB\)")
    hsup.release(Version=3, Slug=str(hsup.directory / "third.tgz"), Processes=processes)
    running.wait_for(r"Gave up on v2 .*: v3 .*has arrived")
    running.wait_for("third$")
    assert running.count("rejected") == 0
    assert running.stop() == 0


def test_a_slug_that_is_not_there_is_named(hsup: Hsup, served: Served) -> None:
    for location in (f"{served.url}/missing.tgz", str(hsup.directory / "missing.tgz")):
        hsup.release(Slug=location, Processes=[process("one", "./hello")])
        done = hsup.call("run", "true")
        assert done.status == 1
        assert location in done.message
        assert "Traceback" not in done.message


def test_a_slug_of_another_checksum_is_refused(hsup: Hsup) -> None:
    slug = hsup.slug("slug.tgz", {**FILES, "own": hsup.token})
    actual = f"SHA256:{hashlib.sha256(slug.read_bytes()).hexdigest()}"
    expected = f"SHA256:{'0' * 64}"
    hsup.release(Slug=str(slug), SlugChecksum=expected, Processes=[process("one", "./hello")])
    done = hsup.call("run", "./hello")
    assert done.status == 1
    assert "Error R17 (Checksum error)" in done.message
    assert expected in done.message
    assert actual in done.message
    text = "Error R17 (Checksum error) -> Checksum does match expected value."
    line = f" heroku[supervisor]: {text} Expected: {expected} Actual: {actual}\n"
    assert line in hsup.call("start", "--oneshot").text
    hsup.release(Slug=str(slug), SlugChecksum=actual, Processes=[process("one", "./hello")])
    assert hsup.call("run", "./hello").status == 0


def test_what_is_no_slug_is_named(hsup: Hsup) -> None:
    (hsup.directory / "slug.tgz").write_text("no archive at all\n")
    hsup.release(Slug=str(hsup.directory / "slug.tgz"), Processes=[process("one", "./hello")])
    done = hsup.call("run", "true")
    assert done.status == 1
    assert "slug.tgz" in done.message
    assert "Traceback" not in done.message


def test_app_is_writable_private_and_owned_by_the_dynos_user(hsup: Hsup) -> None:
    hsup.files(FILES)
    line = (
        "stat -c '%U %n' . hello directory/data; echo more >> directory/data; rm hello; ls; id -u"
    )
    hsup.procfile(one=f"{line}; exec {hsup.sleep}")
    running = hsup.start("one=2")
    running.wait_for(r"app\[one\.\d\]: \d+$", count=2)
    assert running.count(r"app\[one\.\d\]: dyno (\.|hello|directory/data)$") == 6
    assert running.count("cannot|denied") == 0
    assert running.count(r"app\[one\.\d\]: hello$") == 0
    assert (hsup.directory / "directory/data").read_text() == "data\n"
    assert (hsup.directory / "hello").exists()


def test_nothing_that_a_dyno_wrote_is_there_for_the_next(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    places = "/app/x /tmp/x /var/tmp/x /dev/shm/x"
    made = hsup.call("run", f"touch {places} && ls {places}")
    assert sorted(made.text.split()) == sorted(places.split())
    assert hsup.call("run", f"ls {places}").out == b""
    assert not (hsup.directory / "x").exists()


def test_a_release_without_a_slug_has_an_empty_app(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "ls -A /app; touch /app/x && echo writable")])
    assert hsup.call("run", "ls -A /app; touch /app/x && echo writable").text == "writable\n"


def test_a_new_slug_replaces_the_dynos(hsup: Hsup) -> None:
    for version in ("first", "second"):
        line = f"#!/bin/sh\necho {version}; exec {hsup.sleep}\n"
        hsup.slug(f"{version}.tgz", {"program": line})
    processes = [process("one", "./program")]
    hsup.release(Slug=str(hsup.directory / "first.tgz"), Processes=processes)
    running = hsup.start()
    running.wait_for("first$")
    hsup.release(Slug=str(hsup.directory / "second.tgz"), Processes=processes)
    running.wait_for("second$")
    assert eventually(lambda: running.count("Process exited with status 143") == 1)


#: A user and a group of no machine.
BOB = 3_000_001


@pytest.fixture
def release_of_bob(hsup: Hsup) -> Callable[[object], None]:
    """Return what releases something as another user, who may enter the directory of the test."""
    for directory in (hsup.directory, *hsup.directory.parents[:2]):
        directory.chmod(0o755)

    def release(slug: object) -> None:
        hsup.release(Slug=str(slug), Processes=[process("one", "true")])
        for path in (hsup.control, hsup.control / "new"):
            os.chown(path, BOB, BOB)

    return release


@pytest.fixture
def directory_of_bob(hsup: Hsup) -> Path:
    """Return a directory of the same user's with a file of his and one of root's."""
    directory = hsup.directory / "bobs"
    directory.mkdir()
    (directory / "his").write_text("his\n")
    (directory / "roots").write_text("secret\n")
    (directory / "roots").chmod(0o600)
    for path in (directory, directory / "his"):
        os.chown(path, BOB, BOB)
    return directory


@pytest.mark.parametrize("slug", ["/", "/etc", "/root", "file:///root", "link", "roots.tgz"])
def test_the_author_of_a_release_sees_no_more_than_he_may_read(
    hsup: Hsup, release_of_bob: Callable[[object], None], slug: str
) -> None:
    (hsup.directory / "link").symlink_to("/root")
    hsup.slug("roots.tgz", FILES).chmod(0o600)
    release_of_bob(slug)
    result = hsup.call("run", "ls -a /app")
    assert b"author of the release, uid 3000001" in result.err
    assert result.status == 1


def test_the_author_of_a_release_may_name_his_own_directory(
    hsup: Hsup, release_of_bob: Callable[[object], None], directory_of_bob: Path
) -> None:
    release_of_bob(directory_of_bob)
    result = hsup.call("run", "cat his; touch new && echo writable; cat roots")
    assert (result.text, result.status) == ("his\nwritable\n", 1)
    assert b"roots: Permission denied" in result.err


def test_the_operator_allows_directories_to_all_authors(
    hsup: Hsup, release_of_bob: Callable[[object], None], directory_of_bob: Path
) -> None:
    os.chown(directory_of_bob, 0, 0)
    release_of_bob(directory_of_bob)
    assert b"author of the release" in hsup.call("run", "cat his").err
    hsup.environ["HSUP_SLUG_FOLDERS"] = str(hsup.directory)
    assert hsup.call("run", "cat his").text == "his\n"
