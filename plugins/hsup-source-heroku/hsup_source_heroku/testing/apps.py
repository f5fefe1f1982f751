"""The applications on the server, with their releases, slugs and images."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

IMAGE_STACK = "cnb"
DEFAULT_SIZE = "Standard-1X"


def identifier(*parts: object) -> str:
    """Return an id, the same one for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(one) for one in parts)))


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
    """An archive with its process types."""

    id: str
    processes: Mapping[str, str]
    archive: bytes
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """A container image with its process types."""

    id: str
    processes: Mapping[str, str | None]
    repository: str
    digest: str


@dataclass(frozen=True, slots=True)
class Drain:
    """A log drain, which `addon` has made if it is the name of one."""

    url: str
    token: str
    addon: str | None = None


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
    """An application. A release has all that is not given to it from the one before.

    `features` are the names of those that are turned on; they may be changed at any time.
    """

    def __init__(self, name: str, stack: str, lock: threading.RLock) -> None:
        self.id, self.name, self.stack = identifier("app", name), name, stack
        self.has_checksums = True
        self.releases: list[Release] = []
        self.features: set[str] = set()
        self.drains: list[Drain] = []
        self._lock = lock
        self._quantities = {"web": 1}
        self._sizes: dict[str, str] = {}

    @property
    def current(self) -> Release | None:
        """Return the newest release that has succeeded."""
        done = (one for one in reversed(self.releases) if one.status == "succeeded")
        return next(done, None)

    def quantity(self, process_type: str) -> int:
        """Return the quantity of a process type."""
        return self._quantities.get(process_type, 0)

    def size(self, process_type: str) -> str:
        """Return the dyno size of a process type."""
        return self._sizes.get(process_type, DEFAULT_SIZE)

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
        """Release a new slug; if only a config is given, change only the config."""
        with self._lock:
            before = self.releases[-1] if self.releases else None
            old, image = (before.slug, before.image) if before else (None, None)
            is_deploy = config is None or processes is not None or archive is not None
            if not slug:
                old = image = None
            elif is_deploy or not (old or image):
                old, image = self._new_slug(old, processes, archive), None
            return self._append(status, config, old, image, description)

    def image_release(
        self,
        image: str,
        processes: Mapping[str, str | None],
        *,
        status: str = "succeeded",
        config: Mapping[str, str] | None = None,
        description: str = "Deploy",
    ) -> Release:
        """Release a container image, `repository@sha256:…`; a missing digest is made up."""
        with self._lock:
            repository, _, digest = image.partition("@")
            digest = digest or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
            number = len(self.releases) + 1
            new = Image(identifier(self.id, "image", number), processes, repository, digest)
            return self._append(status, config, None, new, description)

    def scale(self, **quantities: int) -> None:
        """Change the quantity of a process type, without a release."""
        with self._lock:
            self._quantities.update(quantities)

    def resize(self, process_type: str, size: str) -> None:
        """Change the dyno size of a process type, without a release."""
        with self._lock:
            self._sizes[process_type] = size

    def add_drain(self, url: str, addon: str | None = None) -> Drain:
        """Add a log drain; it can be taken from `drains` again."""
        with self._lock:
            drain = Drain(url, f"d.{identifier(self.id, 'drain', url)}", addon)
            self.drains.append(drain)
            return drain

    def _new_slug(
        self, old: Slug | None, processes: Mapping[str, str] | None, archive: bytes | None
    ) -> Slug:
        if processes is None:
            processes = old.processes if old else {"web": "./ok"}
        number, content = len(self.releases) + 1, archive or tiny_archive()
        checksum = f"SHA256:{hashlib.sha256(content).hexdigest()}"
        return Slug(identifier(self.id, "slug", number), processes, content, checksum)

    def _append(
        self,
        status: str,
        config: Mapping[str, str] | None,
        slug: Slug | None,
        image: Image | None,
        description: str,
    ) -> Release:
        version = len(self.releases) + 1
        if config is None:
            config = self.releases[-1].config if self.releases else {}
        name = identifier(self.id, version)
        new = Release(name, version, status, dict(config), slug, image, description)
        self.releases.append(new)
        return new
