"""The Platform API, version 3, to test against: a real server with its answers and its faults.

    with PlatformApi() as api:
        app = api.create_app("shop")
        app.release(config={"GREETING": "hello"})
        api.fail(api.status(503), times=2, path="/releases")

HSUP_PLATFORM_API_SCHEMA may name a copy of https://api.heroku.com/schema: then `api.invalid`
tells which answers are not as published.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import secrets
import socket
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "the-key"
HOURLY_LIMIT = 4500
PAGE_LENGTH, LONGEST_PAGE = 200, 1000
BLOB_SECONDS = 3600.0
IMAGE_STACK = "cnb"
IMAGES_VARIANT = "version=3.sdk"
#: What only that variant has, and the published schema has not.
VARIANT_FIELD = "oci_image"
RATE_LIMITS = "/account/rate-limits"
SCHEMA_VARIABLE = "HSUP_PLATFORM_API_SCHEMA"

FIRST_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - written with a Z
DEFAULT_SIZE = "Standard-1X"
#: Memory in GB, and the column compute.
SIZES = {
    "Eco": (0.5, 1),
    "Basic": (0.5, 1),
    DEFAULT_SIZE: (0.5, 1),
    "Standard-2X": (1, 2),
    "Performance-M": (2.5, 12),
    "Performance-L": (14, 46),
    "dyno-2c-1gb": (1, 2),
    "dyno-64c-1tb": (1024, 64),
}
MESSAGES = {
    401: ("unauthorized", "Invalid credentials provided."),
    403: ("forbidden", "You do not have access to that."),
    404: ("not_found", "Couldn't find that app."),
    416: ("bad_range", "Cannot read that range."),
    429: ("rate_limit", "Your account reached the API rate limit."),
    500: ("internal_server_error", "Internal server error."),
    503: ("service_unavailable", "The API is temporarily unavailable."),
}
RANGE = re.compile(r"version (?:(?P<exclusive>\]?)(?P<start>\d+))?\.\.(?P<options>;.*)?")
BLOB_RANGE = re.compile(r"bytes=(?P<start>\d+)-(?P<end>\d*)")


class Seen(NamedTuple):
    """A request, when it came, and what it was answered with; a status of 0 is no answer."""

    method: str
    path: str
    status: int
    time: float


class Answer(NamedTuple):
    """What is sent; of a body that is cut, only the first half.

    With a pause, one byte is sent after the other.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    is_cut: bool = False
    pause_seconds: float = 0.0


#: Makes of the right answer the wrong one, None for no answer at all.
Fault = Callable[[Answer], Answer | None]


def _json(content, status=200, headers=None) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def _error(status, headers=None) -> Answer:
    name, message = MESSAGES.get(status, ("error", f"Status {status}."))
    return _json({"id": name, "message": message}, status, headers)


def _id(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(one) for one in parts)))


def _named(kind: str, name: str) -> dict[str, str]:
    return {"id": _id(kind, name), "name": name}


def _moment(minutes: int) -> str:
    return f"{(FIRST_DAY + timedelta(minutes=minutes)).isoformat()}Z"


def _times(minutes: int) -> dict[str, str]:
    return {"created_at": _moment(minutes), "updated_at": _moment(minutes)}


def tiny_archive() -> bytes:
    """Return a slug with one program, ./app/ok."""
    program = b"#!/bin/sh\necho ok\n"
    with io.BytesIO() as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            member = tarfile.TarInfo("./app/ok")
            member.mode, member.size = 0o755, len(program)
            archive.addfile(member, io.BytesIO(program))
        return gzip.compress(stream.getvalue(), mtime=0)


@dataclass
class Slug:
    """An archive, and how to run it."""

    id: str
    processes: Mapping[str, str]
    archive: bytes
    checksum: str | None


class Image(NamedTuple):
    """A container image, and how to run it."""

    id: str
    processes: Mapping[str, str]
    repository: str
    digest: str


@dataclass
class Release:
    """A release; its `status` may be changed at any time."""

    id: str
    version: int
    status: str
    config: Mapping[str, str]
    slug: Slug | None
    image: Image | None
    description: str


class App:
    """An application. What is not given to a release is as in the one before."""

    def __init__(self, name: str, stack: str, lock: threading.RLock) -> None:
        self.id, self.name, self.stack = _id("app", name), name, stack
        self.has_checksums = True
        self.releases: list[Release] = []
        self._lock = lock
        self._quantities = {"web": 1}
        self._sizes: dict[str, str] = {}

    @property
    def current(self) -> Release | None:
        """Return the newest release that has succeeded."""
        done = (one for one in reversed(self.releases) if one.status == "succeeded")
        return next(done, None)

    def release(
        self,
        *,
        status: str = "succeeded",
        config: Mapping[str, str] | None = None,
        slug: bool | None = True,
        processes: Mapping[str, str] | None = None,
        archive: bytes | None = None,
        description: str = "Deploy",
    ) -> Release:
        """Deploy a new slug; where nothing but a config is given, change only the config."""
        with self._lock:
            before = self.releases[-1] if self.releases else None
            old, image = (before.slug, before.image) if before else (None, None)
            is_deploy = config is None or processes is not None or archive is not None
            if not slug:
                return self._append(status, config, None, None, description)
            if not is_deploy and (old or image):
                return self._append(status, config, old, image, description)
            if processes is None:
                processes = old.processes if old else {"web": "./ok"}
            number, content = len(self.releases) + 1, archive or tiny_archive()
            checksum = f"SHA256:{hashlib.sha256(content).hexdigest()}"
            new = Slug(_id(self.id, "slug", number), processes, content, checksum)
            return self._append(status, config, new, None, description)

    def image_release(
        self,
        image: str,
        processes: Mapping[str, str],
        *,
        status: str = "succeeded",
        config: Mapping[str, str] | None = None,
        description: str = "Deploy",
    ) -> Release:
        """Deploy a container image: `repository@sha256:…`, or a digest is made up."""
        with self._lock:
            repository, _, digest = image.partition("@")
            digest = digest or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
            number = len(self.releases) + 1
            new = Image(_id(self.id, "image", number), processes, repository, digest)
            return self._append(status, config, None, new, description)

    def scale(self, **quantities: int) -> None:
        """Change how many dynos there are, without a release."""
        with self._lock:
            self._quantities.update(quantities)

    def resize(self, process_type: str, size: str) -> None:
        """Change the size of dynos, without a release."""
        with self._lock:
            self._sizes[process_type] = size

    def _append(self, status, config, slug, image, description) -> Release:
        version = len(self.releases) + 1
        if config is None:
            config = self.releases[-1].config if self.releases else {}
        identifier = _id(self.id, version)
        new = Release(identifier, version, status, dict(config), slug, image, description)
        self.releases.append(new)
        return new

    def info(self):
        stack = _named("stack", self.stack)
        return {
            "id": self.id,
            "name": self.name,
            **_times(0),
            **dict.fromkeys(("archived_at", "internal_routing", "organization", "team", "space")),
            **dict.fromkeys(("buildpack_provided_description", "repo_size", "slug_size")),
            "acm": False,
            "build_stack": stack,
            "generation": _named("generation", "fir" if self.stack == IMAGE_STACK else "cedar"),
            "git_url": f"https://git.heroku.com/{self.name}.git",
            "maintenance": False,
            "owner": {"email": "owner@example.com", "id": _id("account")},
            "region": _named("region", "us"),
            "released_at": _moment(self.releases[-1].version) if self.releases else None,
            "stack": stack,
            "web_url": f"https://{self.name}.herokuapp.com/",
        }

    def release_info(self, release: Release, *, with_image: bool):
        slug, image = ({"id": one.id} if one else None for one in (release.slug, release.image))
        artifacts = [{"type": "slug", **slug}] if slug else []
        artifacts += [{"type": "oci-image", **image}] if image else []
        return {
            **_times(release.version),
            "id": release.id,
            "version": release.version,
            "status": release.status,
            "description": release.description,
            "current": release is self.current,
            "slug": slug,
            "artifacts": artifacts,
            "addon_plan_names": [],
            "app": {"id": self.id, "name": self.name},
            "user": {"email": "owner@example.com", "id": _id("account")},
            "output_stream_url": None,
            "eligible_for_rollback": bool(artifacts) and release.status == "succeeded",
            **({VARIANT_FIELD: image} if with_image else {}),
        }

    def slug_info(self, slug: Slug, url: str):
        return {
            **_times(0),
            "id": slug.id,
            "blob": {"method": "get", "url": url},
            **dict.fromkeys(("buildpack_provided_description", "commit_description", "deleted_at")),
            "checksum": slug.checksum if self.has_checksums else None,
            "commit": hashlib.sha1(slug.id.encode()).hexdigest(),
            "process_types": dict(slug.processes),
            "size": len(slug.archive),
            "stack": _named("stack", self.stack),
        }

    def image_info(self, image: Image):
        return {
            **_times(0),
            "id": image.id,
            "digest": image.digest,
            "image_repo": image.repository,
            "architecture": "amd64",
            "base_image_name": "heroku/heroku:24",
            "base_top_layer": image.digest,
            "buildpacks": [],
            "commit": hashlib.sha1(image.id.encode()).hexdigest(),
            "commit_description": "",
            "process_types": {
                name: {
                    "name": name,
                    "display_cmd": f"what {name} is shown as",
                    "command": command,
                    "working_dir": "/workspace",
                    "default": name == "web",
                }
                for name, command in image.processes.items()
            },
            "stack": _named("stack", self.stack),
            "deleted_at": None,
        }

    def formation(self):
        """Return the process types of the current release."""
        part = self.current and (self.current.slug or self.current.image)
        return [
            {
                **_times(0),
                "id": _id(self.id, "formation", name),
                "app": {"id": self.id, "name": self.name},
                "type": name,
                "command": command,
                "quantity": self._quantities.get(name, 0),
                "size": self._sizes.get(name, DEFAULT_SIZE),
                "dyno_size": _named("dyno-size", self._sizes.get(name, DEFAULT_SIZE)),
            }
            for name, command in (part.processes if part else {}).items()
        ]

    def page(self, wanted: str, *, with_image: bool) -> Answer:
        """Return the part of the releases that a Range header wants."""
        match = RANGE.fullmatch(wanted)
        if match is None:
            return _error(416)
        options = dict(re.findall(r"(max|order)=(\w+)", match["options"] or ""))
        order = options.get("order", "asc")
        length = min(int(options.get("max", PAGE_LENGTH)), LONGEST_PAGE)
        found = self.releases[:: -1 if order == "desc" else 1]
        if match["start"]:
            start, step = int(match["start"]), -1 if order == "desc" else 1
            first = start + step if match["exclusive"] else start
            found = [one for one in found if (one.version - first) * step >= 0]
        chosen, tail = found[:length], f"; max={length}, order={order}"
        headers = {"Accept-Ranges": "version"}
        if chosen:
            ends = f"{chosen[0].version}..{chosen[-1].version}"
            headers["Content-Range"] = f"version {ends}{tail}"
        has_more = len(found) > len(chosen) > 0
        if has_more:
            headers["Next-Range"] = f"version ]{chosen[-1].version}..{tail}"
        content = [self.release_info(one, with_image=with_image) for one in chosen]
        return _json(content, 206 if has_more else 200, headers)


def _sizes() -> list:
    return [
        {
            **_named("dyno-size", name),
            "architecture": "amd64",
            "compute": compute,
            "cost": None,
            "dedicated": name.startswith("Performance"),
            "generation": _named("generation", "cedar"),
            "memory": memory,
            "precise_dyno_units": 1,
            "private_space_only": False,
        }
        for name, (memory, compute) in SIZES.items()
    ]


class PlatformApi:
    """A server that answers as the platform does; use it as a context manager.

    `rate_limit` is what the account may still ask: it counts down, and at 0 there is 429.
    Answers with a status of `without_etag` have no ETag. `watch` is called with each
    request once its answer is made and before it is sent.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.url = ""
        self.rate_limit = HOURLY_LIMIT
        self.blob_seconds = BLOB_SECONDS
        self.without_etag: set[int] = set()
        self.requests: list[Seen] = []
        self.invalid: list[str] = []
        self.watch: Callable[[Seen], object] | None = None
        self.apps: dict[str, App] = {}
        self.lock = threading.RLock()
        self._faults: list[tuple[Fault, str]] = []
        self._signatures: dict[str, tuple[Slug, float]] = {}
        self._port = 0
        self._server: _Server | None = None
        path = os.environ.get(SCHEMA_VARIABLE)
        self._schema = PublishedSchema(path) if path else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = _Server(self._port, self)
            self._port = self._server.server_port
            self.url = f"http://127.0.0.1:{self._port}"
            self._server.start()

    def stop(self) -> None:
        """Be away: close the connections, and do not listen."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def create_app(self, name: str, stack: str = "heroku-24") -> App:
        """Return a new application, which has no release yet."""
        with self.lock:
            self.apps[name] = App(name, stack, self.lock)
            return self.apps[name]

    def fail(self, fault: Fault, times: int = 1, path: str | None = None) -> None:
        """Have a fault for the next requests, of those whose path contains `path`."""
        with self.lock:
            self._faults += [(fault, path or "")] * times

    def heal(self) -> None:
        """Listen, without faults."""
        with self.lock:
            self._faults.clear()
            self.watch = None
        self.start()

    def expire_blobs(self) -> None:
        """Let every signature that was given be too old."""
        with self.lock:
            self._signatures.clear()

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Return what a request is answered with, None for a connection that is closed."""
        arrival, path = time.monotonic(), urlsplit(target).path
        with self.lock:
            is_blob = path.startswith("/blobs/")
            answer: Answer | None
            answer = self._blob(target, headers) if is_blob else self._api(method, path, headers)
            fault = self._take_fault(path)
        if fault is not None:
            answer = fault(answer)
        seen = Seen(method, path, answer.status if answer else 0, arrival)
        with self.lock:
            self.requests.append(seen)
        if self.watch is not None:
            self.watch(seen)
        return answer

    @staticmethod
    def status(status: int, headers: Mapping[str, str] | None = None) -> Fault:
        """Answer with an error: `status(429, {"Retry-After": "7"})`."""
        return lambda _: _error(status, headers)

    @staticmethod
    def slow(seconds: float) -> Fault:
        """Answer late."""
        return lambda answer: time.sleep(seconds) or answer

    @staticmethod
    def broken_json() -> Fault:
        """Answer with something of which the last character is missing."""
        return lambda answer: answer._replace(body=answer.body[:-1])

    @staticmethod
    def nested() -> Fault:
        """Answer with an unknown key whose value is nested deeper than any parser goes."""
        deep = b'{"x": ' + b"[" * 200_000

        def nest(answer: Answer) -> Answer:
            return answer._replace(body=b"[" + deep if answer.body.startswith(b"[") else deep)

        return nest

    @staticmethod
    def cut() -> Fault:
        """Close the connection in the middle of the body."""
        return lambda answer: answer._replace(is_cut=True)

    @staticmethod
    def not_utf8() -> Fault:
        """Answer with a byte that is none of UTF-8's at the beginning of each value."""
        return lambda answer: answer._replace(body=answer.body.replace(b': "', b': "\xff'))

    @staticmethod
    def not_modified() -> Fault:
        """Answer with 304 to a request that was not whether it has changed."""
        return lambda answer: answer._replace(status=304, body=b"")

    @staticmethod
    def redirect() -> Fault:
        """Send the client back to where it came from."""
        return lambda answer: answer._replace(status=302, headers={"Location": "/schema"})

    @staticmethod
    def endless() -> Fault:
        """Answer with a page after which there is always another one."""
        more = {"Next-Range": "version ]1..; max=100, order=desc"}
        return lambda answer: answer._replace(status=206, headers={**answer.headers, **more})

    @staticmethod
    def drip(seconds: float) -> Fault:
        """Send a byte of the body at a time."""
        return lambda answer: answer._replace(pause_seconds=seconds)

    @staticmethod
    def hang_up() -> Fault:
        """Close the connection before any answer."""
        return lambda _: None

    def _take_fault(self, path: str) -> Fault | None:
        for number, (fault, part) in enumerate(self._faults):
            if part in path:
                del self._faults[number]
                return fault
        return None

    def _api(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        answer = self._limited(method, path, headers)
        more = {"Request-Id": str(uuid.uuid4()), "RateLimit-Remaining": str(self.rate_limit)}
        if answer.status not in self.without_etag:
            more["ETag"] = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
        if answer.status in {200, 206}:
            if self._schema:
                self.invalid += self._schema.problems(path, json.loads(answer.body))
            if "ETag" in more and headers.get("If-None-Match") == more["ETag"]:
                return Answer(304, headers=more)
        return answer._replace(headers={**answer.headers, **more})

    def _limited(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        if headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401)
        if path == RATE_LIMITS:  # asking for it costs nothing
            return _json({"remaining": self.rate_limit})
        if self.rate_limit <= 0:
            return _error(429)
        self.rate_limit -= 1
        resource = "app"
        with suppress(LookupError):
            match [method, *(unquote(part) for part in path[1:].split("/"))]:
                case ["GET", "dyno-sizes"]:
                    return _json(_sizes())
                case ["GET", "apps", name, *rest]:
                    app = self.apps.get(name) or {one.id: one for one in self.apps.values()}[name]
                    resource = rest[0].rstrip("s").replace("-", " ") if rest else "app"
                    return self._of_app(app, rest, headers)
        return _json({"id": "not_found", "message": f"Couldn't find that {resource}."}, 404)

    def _of_app(self, app: App, rest: list[str], headers: Mapping[str, str]) -> Answer:
        """Return the answer to a path below an application's. Raises LookupError."""
        with_image = IMAGES_VARIANT in headers.get("Accept", "")
        releases = {key: one for one in app.releases for key in (one.id, str(one.version))}
        slugs = {one.slug.id: one.slug for one in app.releases if one.slug}
        images = [one.image for one in app.releases if one.image]
        match rest:
            case []:
                content = app.info()
            case ["formation"]:
                content = app.formation()
            case ["releases"]:
                return app.page(headers.get("Range", "version .."), with_image=with_image)
            case ["releases", wanted]:
                content = app.release_info(releases[wanted], with_image=with_image)
            case ["releases", wanted, "config-vars"]:
                content = releases[wanted].config
            case ["slugs", wanted]:
                content = app.slug_info(slugs[wanted], self._sign(slugs[wanted]))
            case ["oci-images", wanted] if any(wanted in {one.id, one.digest} for one in images):
                # A list, as published; releases of one config after another share an image.
                found = {one.id: one for one in images if wanted in {one.id, one.digest}}
                content = [app.image_info(one) for one in found.values()]
            case _:
                raise LookupError
        return _json(content)

    def _sign(self, slug: Slug) -> str:
        signature = secrets.token_hex(8)
        self._signatures[signature] = (slug, time.monotonic())
        return f"{self.url}/blobs/{slug.id}?signature={signature}"

    def _blob(self, target: str, headers: Mapping[str, str]) -> Answer:
        signature = parse_qs(urlsplit(target).query).get("signature", [""])[0]
        slug, given = self._signatures.get(signature, (None, 0.0))
        is_good = slug is not None and urlsplit(target).path == f"/blobs/{slug.id}"
        if slug is None or not is_good or time.monotonic() > given + self.blob_seconds:
            text = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            return Answer(403, text, {"Content-Type": "application/xml"})
        etag, size = f'"{hashlib.md5(slug.archive).hexdigest()}"', len(slug.archive)
        more = {"ETag": etag, "Accept-Ranges": "bytes"}
        wanted = BLOB_RANGE.fullmatch(headers.get("Range", ""))
        if wanted is None or headers.get("If-Range", etag) != etag:
            return Answer(200, slug.archive, more)
        start, end = int(wanted["start"]), min(int(wanted["end"] or size), size - 1)
        if start > end:
            return Answer(416, headers={"Content-Range": f"bytes */{size}"})
        more["Content-Range"] = f"bytes {start}-{end}/{size}"
        return Answer(206, slug.archive[start : end + 1], more)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, port: int, api: PlatformApi) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.api = api
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # which a client may close
            self.api.invalid.append(repr(error))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.api.answer(self.command, self.path, self.headers)
        self.close_connection = self.close_connection or answer is None or answer.is_cut
        if answer is None:
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = answer.body[: len(answer.body) // 2] if answer.is_cut else answer.body
        size = 1 if answer.pause_seconds else len(body) or 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(answer.pause_seconds)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - named by the library


class PublishedSchema:
    """The schema that the platform publishes, as far as it tells what an answer is."""

    def __init__(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            document = _as_draft_4(json.load(file))
        self._definitions = document["definitions"]
        self._links = [
            (re.compile(re.sub(r"\{[^}]*\}", "[^/]+", link["href"])), link, name)
            for name, definition in self._definitions.items()
            for link in definition.get("links", ())
            if link["method"] == "GET"
        ]

    def problems(self, path: str, content: Any) -> list[str]:
        """Return what is wrong with an answer."""
        import jsonschema

        found = [(link, name) for href, link, name in self._links if href.fullmatch(path)]
        if not found:
            return [f"{path}: no such path is published"]
        link, name = found[0]
        target = link.get("targetSchema", {"$ref": f"#/definitions/{name}"})
        validator = jsonschema.Draft4Validator(
            {"allOf": [target], "definitions": self._definitions},
            format_checker=jsonschema.FormatChecker(),
        )
        for one in content if isinstance(content, list) else [content]:
            if name == "release":
                one.pop(VARIANT_FIELD, None)
        errors = validator.iter_errors(content)
        return [f"{path}: {error.json_path}: {error.message}" for error in errors]


def _as_draft_4(schema: Any) -> Any:
    """Return a hyper-schema without its own words: strict properties are all there, alone."""
    if isinstance(schema, list):
        return [_as_draft_4(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # A property may be called `id`; the word is a string.
    words = {"$schema", "example", *(["id"] if isinstance(schema.get("id"), str) else [])}
    made = {name: _as_draft_4(value) for name, value in schema.items() if name not in words}
    if made.get("strictProperties") is True and "properties" in made:
        made["additionalProperties"] = False
        made["required"] = sorted(made["properties"])
    return made
