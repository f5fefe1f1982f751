"""The Platform API: its answers, its authentication, and its faults."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote, urlsplit

from hsup_source_heroku.testing.answers import Fault, Headers, HttpAnswer, error, in_json, not_found
from hsup_source_heroku.testing.apps import App
from hsup_source_heroku.testing.blobs import DIRECTORY, Blobs
from hsup_source_heroku.testing.bodies import (
    app_body,
    drain_body,
    feature_body,
    formation_body,
    image_body,
    release_body,
    sizes_body,
    slug_body,
)
from hsup_source_heroku.testing.faults import Faults
from hsup_source_heroku.testing.pages import page
from hsup_source_heroku.testing.schema import PublishedSchema
from hsup_source_heroku.testing.server import Server

TOKEN = "the-key"  # noqa: S105 - of the test server

_HOURLY_LIMIT = 4500
_BLOB_SECONDS = 3600.0
_IMAGES_VARIANT = "version=3.sdk"
_RATE_LIMITS = "/account/rate-limits"
_SCHEMA_VARIABLE = "HSUP_PLATFORM_API_SCHEMA"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request with its time and the status of its answer, 0 for no answer."""

    method: str
    path: str
    status: int
    time: float


class PlatformApi(Faults):
    """A server that answers as the platform does; use it as a context manager.

    `rate_limit` is how many requests the account has left; at 0, the answer is 429.
    Answers with a status of `without_etag` have no ETag. `watch` is called with each
    request once its answer is made and before it is sent.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.url = ""
        self.rate_limit = _HOURLY_LIMIT
        self.blob_seconds = _BLOB_SECONDS
        self.without_etag: set[int] = set()
        self.requests: list[SeenRequest] = []
        self.invalid: list[str] = []
        self.watch: Callable[[SeenRequest], object] | None = None
        self.apps: dict[str, App] = {}
        self.lock = threading.RLock()
        self._faults: list[tuple[Fault, str]] = []
        self._blobs = Blobs()
        self._port = 0
        self._server: Server | None = None
        path = os.environ.get(_SCHEMA_VARIABLE)
        self._schema = PublishedSchema(path) if path else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on the same port as before."""
        if self._server is None:
            self._server = Server(self._port, self.answer, self.invalid.append)
            self._port = self._server.server_port
            self.url = f"http://127.0.0.1:{self._port}"
            self._server.start()

    def stop(self) -> None:
        """Close all connections, and stop listening."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def create_app(self, name: str, stack: str = "heroku-24") -> App:
        """Return a new application, without a release."""
        with self.lock:
            self.apps[name] = App(name, stack, self.lock)
            return self.apps[name]

    def fail(self, fault: Fault, times: int = 1, path: str | None = None) -> None:
        """Answer the next requests whose path contains `path` with a fault."""
        with self.lock:
            self._faults += [(fault, path or "")] * times

    def heal(self) -> None:
        """Listen, and remove all faults."""
        with self.lock:
            self._faults.clear()
            self.watch = None
        self.start()

    def expire_blobs(self) -> None:
        """Let all URLs of archives expire."""
        with self.lock:
            self._blobs.expire()

    def answer(self, method: str, target: str, headers: Headers) -> HttpAnswer | None:
        """Return the answer to a request, None to close the connection."""
        arrival, path = time.monotonic(), urlsplit(target).path
        with self.lock:
            right = self._right_answer(method, target, path, headers)
            fault = self._take_fault(path)
        answer = right if fault is None else fault(right)
        seen = SeenRequest(method, path, answer.status if answer else 0, arrival)
        with self.lock:
            self.requests.append(seen)
        if self.watch is not None:
            self.watch(seen)
        return answer

    def _take_fault(self, path: str) -> Fault | None:
        for number, (fault, part) in enumerate(self._faults):
            if part in path:
                del self._faults[number]
                return fault
        return None

    def _right_answer(self, method: str, target: str, path: str, headers: Headers) -> HttpAnswer:
        if path.startswith(DIRECTORY):
            return self._blobs.answer(target, headers, self.blob_seconds)
        answer = self._limited(method, path, headers)
        more = {"Request-Id": str(uuid.uuid4()), "RateLimit-Remaining": str(self.rate_limit)}
        if answer.status not in self.without_etag:
            more["ETag"] = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
        if answer.status in {200, 206}:
            if self._schema:
                self.invalid += self._schema.problems(path, json.loads(answer.body))
            if "ETag" in more and headers.get("If-None-Match", "") == more["ETag"]:
                return HttpAnswer(304, headers=more)
        return replace(answer, headers={**answer.headers, **more})

    def _limited(self, method: str, path: str, headers: Headers) -> HttpAnswer:
        if headers.get("Authorization", "") != f"Bearer {self.token}":
            return error(401)
        if path == _RATE_LIMITS:  # not counted itself
            return in_json({"remaining": self.rate_limit})
        if self.rate_limit <= 0:
            return error(429)
        self.rate_limit -= 1
        return self._of_path(method, path, headers)

    def _of_path(self, method: str, path: str, headers: Headers) -> HttpAnswer:
        resource = "app"
        with suppress(LookupError):
            match [method, *(unquote(part) for part in path[1:].split("/"))]:
                case ["GET", "dyno-sizes"]:
                    return in_json(sizes_body())
                case ["GET", "apps", name, *rest]:
                    app = self.apps.get(name) or {one.id: one for one in self.apps.values()}[name]
                    resource = rest[0].rstrip("s").replace("-", " ") if rest else "app"
                    with_image = _IMAGES_VARIANT in headers.get("Accept", "")
                    if rest == ["releases"]:
                        wanted = headers.get("Range", "version ..")
                        return page(app, wanted, with_image=with_image)
                    return in_json(self._of_app(app, rest, with_image=with_image))
        return not_found(resource)

    def _of_app(self, app: App, rest: Sequence[str], *, with_image: bool) -> object:
        """Return the resource at a path below an application. Raises LookupError."""
        match rest:
            case []:
                return app_body(app)
            case ["formation" | "log-drains" | "features", *_]:
                return _changing(app, rest)
            case ["releases", wanted, *of]:
                return _of_release(app, wanted, of, with_image=with_image)
            case ["slugs", wanted]:
                slug = {one.slug.id: one.slug for one in app.releases if one.slug}[wanted]
                return slug_body(app, slug, self.url + self._blobs.sign(slug))
            case ["oci-images", wanted]:
                return _images(app, wanted)
        raise LookupError


def _changing(app: App, rest: Sequence[str]) -> object:
    """Return a resource that changes without a release. Raises LookupError."""
    match rest:
        case ["formation"]:
            return formation_body(app)
        case ["log-drains"]:
            return [drain_body(app, one) for one in app.drains]
        case ["features", name]:
            return feature_body(name, is_enabled=name in app.features)
    raise LookupError


def _of_release(app: App, wanted: str, rest: Sequence[str], *, with_image: bool) -> object:
    """Return the resource at a path below a release. Raises LookupError."""
    release = {key: one for one in app.releases for key in (one.id, str(one.version))}[wanted]
    match rest:
        case []:
            return release_body(app, release, with_image=with_image)
        case ["config-vars"]:
            return release.config
    raise LookupError


def _images(app: App, wanted: str) -> list[dict[str, object]]:
    """Return the images with an id or a digest, as a list. Raises LookupError."""
    images = [one.image for one in app.releases if one.image]
    matching = {one.id: one for one in images if wanted in {one.id, one.digest}}
    if not matching:
        raise LookupError
    return [image_body(app, one) for one in matching.values()]
