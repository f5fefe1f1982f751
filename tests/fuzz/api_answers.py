"""Answer a source of Heroku's with anything: it has a release, or says in its own words why not.

The first byte of an input chooses which of the API's answers the rest is sent for: as it is
where it begins with `HTTP/`, else as the body of a good answer. All others are good.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

from hsup.model import Release
from tests.fuzz.harness import fuzz, instrumented

with instrumented("hsup_source_heroku", "hsup.validation"):
    from hsup_source_heroku.budget import Budget
    from hsup_source_heroku.client import Client
    from hsup_source_heroku.drains import AppDrains
    from hsup_source_heroku.release_cache import ReleaseCache
    from hsup_source_heroku.releases import _fields, _lines
    from hsup_source_heroku.snapshot import Reader
    from hsup_source_heroku.source import HerokuSource

from hsup.errors import DriverError, InvalidRelease, SourceError
from hsup.validation import release_faults
from hsup_source_heroku.testing import TOKEN, PlatformApi, tiny_archive

BLOB = "/blob"
#: What the path of a request ends in, by the name of the answer.
PATHS = {
    "config": re.compile(r"/config-vars$"),
    "releases": re.compile(r"/releases$"),
    "formation": re.compile(r"/formation$"),
    "slug": re.compile(r"/slugs/"),
    "image": re.compile(r"/oci-images/"),
    "sizes": re.compile(r"^/dyno-sizes$"),
    "app": re.compile(r"^/apps/[^/]*$"),
    "feature": re.compile(r"/features/"),
    "drains": re.compile(r"/log-drains$"),
}
NAMES = tuple(PATHS)


def http(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def good_answers(has_image: bool) -> dict[str, bytes]:
    """Return the body of each answer of an application."""
    api = PlatformApi()
    app = api.create_app("shop")
    part = {"web": "serve $PORT", "worker": "work"}
    if has_image:
        app.image_release("registry.example/shop", part, config={"A": "two\nlines"})
    else:
        app.release(config={"A": "two\nlines"}, processes=part, archive=tiny_archive())
    app.resize("web", "dyno-2c-1gb")
    app.add_drain("https://logs.example/in", "logs")
    release = app.releases[0]
    paths = {
        "config": f"/apps/shop/releases/{release.id}/config-vars",
        "releases": "/apps/shop/releases",
        "formation": "/apps/shop/formation",
        "sizes": "/dyno-sizes",
        "app": "/apps/shop",
        "feature": "/apps/shop/features/log-runtime-metrics",
        "drains": "/apps/shop/log-drains",
    }
    if release.slug:
        paths["slug"] = f"/apps/shop/slugs/{release.slug.id}"
    if release.image:
        paths["image"] = f"/apps/shop/oci-images/{release.image.id}"
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "version=3.sdk"}
    answers = {name: api.answer("GET", path, headers) for name, path in paths.items()}
    return {name: answer.body for name, answer in answers.items() if answer}


SLUG, IMAGE = good_answers(has_image=False), good_answers(has_image=True)


class Server:
    """Sends whatever is in `answers`, one for each connection."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._blob = http(tiny_archive())
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection, suppress(OSError):
                connection.sendall(self._answer(connection.recv(1 << 16)))

    def _answer(self, request: bytes) -> bytes:
        path = request.partition(b" ")[2].partition(b" ")[0].decode("ascii")
        if path == BLOB:
            return self._blob
        name = next((name for name, form in PATHS.items() if form.search(path)), "")
        return self.answers.get(name, b"HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n")


class World:
    """One application, as it is asked for the first time and once more."""

    def __init__(self, directory: str) -> None:
        self.server = Server()
        self.directory = directory

    def execute(self, data: bytes) -> None:
        name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
        good = IMAGE if name == "image" else SLUG
        self.server.answers = {key: http(body, 'ETag: "1"') for key, body in good.items()}
        sent = data[1:]
        self.server.answers[name] = sent if sent.startswith(b"HTTP/") else http(sent, 'ETag: "1"')
        client = Client(self.server.url, TOKEN, Budget(), clock=lambda: 0.0)
        try:
            self._follow(client)
            if name == "releases":
                self._list(client)
        finally:
            client.close()
            shutil.rmtree(os.path.join(self.directory, "state"), ignore_errors=True)

    def _follow(self, client: Client) -> None:
        reader = Reader(client, "shop")

        def url_of(slug: str) -> str:
            reader.archive_url(slug)
            return self.server.url + BLOB  # whatever address was made up

        environ = {"HSUP_HEROKU_DIR": os.path.join(self.directory, "state")}
        kept = ReleaseCache(environ, client.url, "shop", url_of)
        source = HerokuSource(
            reader,
            client,
            kept,
            drains=AppDrains(client, "shop", kept),
            seconds=10.0,
            sleep=asyncio.sleep,
            clock=lambda: 0.0,
        )
        for _ in range(2):
            with suppress(SourceError, InvalidRelease, DriverError):
                fetched = source.fetch()
                assert not (fetched.rejected and fetched.release)
                if fetched.release is not None:
                    require_sound(fetched.release)
                    source.fetch_slug(fetched.release)
                    source.keep(fetched.release)
                    assert source.kept() == fetched.release

    def _list(self, client: Client) -> None:
        with suppress(SourceError):
            found = Reader(client, "shop").history(15)
            json.dumps([_fields(one) for one in found])
            assert len(_lines(found)) == len(found) + 1


def require_sound(release: Release) -> None:
    assert not [*release_faults(release)], release
    names = [release.app, release.stack or "", *release.config, *release.metadata]
    for one in release.processes:
        names += [one.name, one.size or ""]
    assert not any(set("\0\n\x1b") & set(name) for name in names), names


def seeds() -> Iterator[bytes]:
    for number, name in enumerate(NAMES):
        body = (IMAGE if name == "image" else SLUG)[name]
        choice = bytes([number])
        yield choice + body
        yield choice + http(body, 'ETag: "1"', "Content-Type: application/json")
        for bad in (b"null", b"[]", b"[null]", b"{}", b"[" * 1000, b'"\\ud800"', b"\xff", b""):
            yield choice + bad
        content = json.loads(body)
        one = content[0] if isinstance(content, list) else content
        texts = cycle(("\ud800", "a\0b", "\n\x1b[2J", "..", "", "x" * 300))
        for key in one:
            before = one[key]
            for value in (None, next(texts)):
                one[key] = value
                yield choice + json.dumps(content).encode()
            one[key] = before
    for status in ("304 Same", "302 Found", "401 No", "403 No", "404 None", "429 Wait", "503 Busy"):
        for header in ("Retry-After: 1e9", "Retry-After: Mon, 99 Foo 9999", "Location: //x"):
            head = f"HTTP/1.1 {status}\r\n{header}\r\nContent-Length: 2\r\n\r\n{{}}"
            yield b"\1" + head.encode()
    for header in (
        "Content-Length: -1",
        "Content-Encoding: gzip",
        "Transfer-Encoding: chunked",
        "Next-Range: version ]1..; max=100\r\nRateLimit-Remaining: " + "9" * 5000,
        "ETag: \xff\x01",
    ):
        yield b"\1HTTP/1.1 206 Part\r\n" + header.encode("latin-1") + b"\r\n\r\n[]"


def main() -> None:
    os.environ["no_proxy"] = "127.0.0.1"
    logging.disable()
    directory = tempfile.mkdtemp(prefix="hsup-fuzz-", dir="/dev/shm")
    # The fuzzer ends its process without a word.
    child = os.fork()
    if not child:
        fuzz(World(directory).execute, seeds(), rate=40)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(directory)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
