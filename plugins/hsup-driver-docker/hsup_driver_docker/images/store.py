"""The images of dynos: a slug on its stack, built once, and found by the next release and hsup.

The labels of an image say for which application, slug and stack it was built. Releases of an
application with the same slug share an image.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from hsup.errors import DriverError, UsageError
from hsup.launch import START_UP
from hsup.model import Author, Slug
from hsup.numerals import whole_number
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.images.stacks import DEFAULT_STACK, Stacks
from hsup_driver_docker.images.tree import unreadable, walk

if TYPE_CHECKING:
    from hsup.api import Settings
    from hsup.archives.limits import Limits
    from hsup_driver_docker.engine.client import Engine
    from hsup_driver_docker.images.sdk import Sdk

CACHE, KEEP = "DOCKER_IMAGE_CACHE", "DOCKER_IMAGES_KEEP"
_DEFAULT_KEEP = 3
_OFF = {"0", "false", "no", "off"}

_APP, _RELEASE = "hsup.image.app", "hsup.image.release"
_SLUG, _STACK, _FORMAT = "hsup.image.slug", "hsup.image.stack", "hsup.image.format"
_BASE = "hsup.image.base"
#: The labels that make the name of an image. That of the base is not among them, as an image on a
#: newer base replaces the older one under the same name.
_BUILT_OF = (_APP, _SLUG, _STACK, _FORMAT)
#: The length of the digest in the name of an image: 128 bits do not collide.
_DIGITS = 32

# hashlib takes 2 ms to import, and only the functions that look for an image need it.


class Wanted(NamedTuple):
    """What an image is built from; `author` wrote the release, and may not read every slug."""

    app: str
    slug: Slug | None
    stack: str | None
    author: Author | None = None


class Images:
    """The images of hsup on one engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Read the environment variables. Raises UsageError for an invalid one."""
        self._engine = engine
        self._settings = settings
        self._stacks = Stacks(settings.environ)
        self._uses_cache = settings.environ.get(CACHE, "").lower() not in _OFF
        self._keep = _read_keep(settings.environ)

    def obtain(self, wanted: Wanted, release: int, owner: Callable[[], str]) -> Image:
        """Return the image to run, after pulling or building it if needed; blocks.

        `owner` returns the owner of the container in which it is built. Raises DriverError.
        """
        slug = wanted.slug
        if slug is not None and slug.image is not None:
            return self._own(slug.image, wanted.author)
        labels = {_APP: wanted.app, _STACK: wanted.stack or DEFAULT_STACK, _FORMAT: _built_like()}
        stack = self._stacks.image(wanted.stack)
        if base := self._engine.image(stack):  # an image may outlive its base, which was removed
            labels[_BASE] = base["Id"]
        digest = _announced_digest(slug) if _may_read_all(wanted.author) else None
        if digest and self._uses_cache and (image := self._find({**labels, _SLUG: digest})):
            return image
        with self._unpacked(slug, wanted.author) as (directory, digest):
            labels[_SLUG] = digest
            image = self._find(labels) if self._uses_cache else None
            labels[_RELEASE] = f"v{release}"
            image = image or self._build(wanted, labels, directory, owner())
            return image._replace(digest=digest)

    def close(self) -> None:
        """Close the SDK's connections, if it was needed."""
        if "_sdk" in self.__dict__:
            self._sdk.close()

    def _own(self, name: str, author: Author | None) -> Image:
        properties = self._engine.image(name) or self._pulled(name)
        if not _may_read_all(author):
            _refuse_slugs(name, properties)
        return Image(properties["Id"], is_own=True)

    def _find(self, labels: Mapping[str, str]) -> Image | None:
        """Return the image whose name and labels are those that hsup gives it, None without one."""
        properties = self._engine.image(image_name(labels))
        if properties is None:
            return None
        config = properties["Config"]
        if not labels.items() <= (config["Labels"] or {}).items():
            return None
        return Image(properties["Id"], _variables(config.get("Env") or ()))

    def _build(
        self, wanted: Wanted, labels: Mapping[str, str], directory: str | None, owner: str
    ) -> Image:
        stack = self._stacks.image(wanted.stack)
        base = self._engine.image(stack) or self._pulled(stack)
        _refuse_volumes(stack, base)
        name = image_name(labels)
        older = self._engine.image(name)
        labels = {**labels, _BASE: base["Id"]}
        built = self._sdk.build(stack, base["Id"], directory, labels=labels, tag=name, owner=owner)
        if older is not None and (older["Config"]["Labels"] or {}).get(_APP) == wanted.app:
            self._sdk.remove_image(older["Id"])  # its name is that of the new one now
        self._collect(wanted.app, built)
        return Image(built, _variables(base["Config"].get("Env") or ()))

    def _pulled(self, name: str) -> Mapping[str, Any]:
        self._sdk.pull(name)
        properties = self._engine.image(name)
        if properties is None:
            text = f"image {name} disappeared after it was pulled"
            raise DriverError(text, hint="see whether docker image prune runs at the same time")
        return properties

    def _collect(self, app: str, built: str) -> None:
        """Remove images of an application, oldest first, until only as many are left as it keeps.

        Images that somebody else made from them, or named, are not counted or removed.
        """
        prefix = f"{_repository(app)}:"
        others = [
            one["Id"]
            for one in self._engine.images({_APP: app})
            if one["Id"] != built and _is_named(one["RepoTags"], prefix)
        ]
        for image in others[self._keep - 1 :]:
            self._sdk.remove_image(image)

    @contextmanager
    def _unpacked(
        self, slug: Slug | None, author: Author | None
    ) -> Iterator[tuple[str | None, str]]:
        """Yield the directory of a slug, and its digest."""
        if slug is None:
            yield None, "none"
            return
        directory = os.path.join(self._settings.directory, slug.location)
        if _may_read_all(author) and os.path.isdir(directory):
            with held(directory, slug.inode) as opened:
                yield opened, _read_digest(opened)
            return
        from hsup.slugs import SlugStore  # slow to import, and rarely needed

        store = SlugStore(self._settings)
        for leftover in store.sweep():
            _log(leftover)
        with store.unpack(slug, author=author) as unpacked:
            digest = unpacked.digest or _read_digest(unpacked.directory, store.limits)
            yield unpacked.directory, digest

    @cached_property
    def _sdk(self) -> Sdk:
        from hsup_driver_docker.images.sdk import Sdk  # slow to import, and rarely needed

        return Sdk(self._engine)


def _refuse_slugs(name: str, properties: Mapping[str, Any]) -> None:
    """Raise DriverError for an image that holds a slug, which the author may not read.

    An image that somebody else made from such an image has its labels, too.
    """
    if _APP in (properties["Config"].get("Labels") or {}):
        text = (
            f"image {name} has a slug in it, which the author of the release is not allowed to read"
        )
        raise DriverError(text, hint="name another image, or let root write the release")


def _refuse_volumes(stack: str, base: Mapping[str, Any]) -> None:
    """Raise DriverError for a stack with a volume at /app, which no image could fill."""
    for volume in base["Config"].get("Volumes") or ():
        if f"{volume.rstrip('/')}/".startswith("/app/"):
            text = f"image {stack} has a volume at {volume}, which cannot hold a slug"
            raise DriverError(
                text, hint="build it without VOLUME, or set DOCKER_STACKS to another image"
            )


def _may_read_all(author: Author | None) -> bool:
    return author is None or author.is_trusted


def _announced_digest(slug: Slug | None) -> str | None:
    """Return the digest in the checksum of a slug, None without a checksum."""
    digest = ((slug and slug.checksum) or "").lower().removeprefix("sha256:")
    return digest if digest and not digest.strip("0123456789abcdef") else None


@contextmanager
def held(path: str, inode: int | None) -> Iterator[str]:
    """Yield a path that always leads to a directory, wherever `path` leads by now.

    Raises DriverError if another directory than that of the inode has the path.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(error) from error
    try:
        if inode is not None and os.fstat(descriptor).st_ino != inode:
            text = f'slug "{path}" is no longer the directory that the release was read from'
            hint = "send SIGHUP to fetch the release again, or start hsup again"
            raise DriverError(text, hint=hint)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _read_digest(directory: str, limits: Limits | None = None) -> str:
    try:
        return directory_digest(directory, limits)
    except OSError as error:
        raise unreadable(error) from error


def directory_digest(directory: str, limits: Limits | None = None) -> str:
    """Return a digest of the metadata of all files of a directory.

    Raises DriverError if there are more of them, or more bytes, than the limits allow.
    """
    from hashlib import sha256

    digest = sha256()
    size = 0
    for files, entry in enumerate(walk(directory), 1):
        status = entry.status
        size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if limits is not None:
            _require_within(limits, files, size)
        parts: list[object] = [entry.path, status.st_mode, status.st_uid, status.st_gid]
        if not stat.S_ISDIR(status.st_mode):
            link = entry.target() if stat.S_ISLNK(status.st_mode) else ""
            parts += [link, status.st_size, status.st_mtime_ns]
        digest.update(repr(parts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _require_within(limits: Limits, files: int, size: int) -> None:
    """Raise DriverError for a directory that is larger than an archive may be.

    An image has the zeros of sparse files, too.
    """
    from hsup.archives.limits import MAX_FILES, MAX_SIZE

    if files > limits.files:
        text = f"the slug has more than {limits.files} files"
        raise DriverError(text, hint=f"raise {MAX_FILES} if you trust its author")
    if size > limits.size:
        text = f"the files of the slug have more than {limits.size} bytes"
        raise DriverError(text, hint=f"raise {MAX_SIZE} if you trust its author")


def _log(leftover: str) -> None:
    import logging  # slow to import, and rarely needed

    logging.getLogger(__name__).info("removed a leftover of a previous hsup: %s", leftover)


def _variables(environment: Iterable[str]) -> tuple[str, ...]:
    return tuple(one.partition("=")[0] for one in environment)


@cache
def _built_like() -> str:
    """Return the version of the way in which images are built."""
    from hashlib import sha256

    return f"2-{sha256(START_UP.encode()).hexdigest()}"


def image_name(labels: Mapping[str, str]) -> str:
    """Return the name of an image: its application, and a digest of what it is built from.

    An image on a newer base has the same name as the older one, and replaces it.
    """
    from hashlib import sha256

    parts = "\0".join(labels[one] for one in _BUILT_OF).encode("utf-8", "surrogateescape")
    return f"{_repository(labels[_APP])}:{sha256(parts).hexdigest()[:_DIGITS]}"


def _repository(app: str) -> str:
    """Return the repository of an application's images, in lower case, as Docker requires."""
    words = "".join(one if one.isascii() and one.isalnum() else " " for one in app.lower()).split()
    return f"hsup/{'-'.join(words) or 'app'}"


def _is_named(names: Sequence[str] | None, prefix: str) -> bool:
    """Tell whether an image has only the name that hsup gave it."""
    return [name.startswith(prefix) for name in names or ()] == [True]


def _read_keep(environ: Mapping[str, str]) -> int:
    text = environ.get(KEEP) or str(_DEFAULT_KEEP)
    number = whole_number(text)
    if not number:
        raise UsageError(f'{KEEP}: "{text}" must be a number, 1 or more')
    return number
