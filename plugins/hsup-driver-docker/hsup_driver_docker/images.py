"""The images that dynos run: a stack with a slug on it, built once and found again.

An image is known by its labels, for which application, slug and stack it was built.
Another release of the application with the same slug has the same image.
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
from hsup_driver_docker.image import Image
from hsup_driver_docker.stacks import DEFAULT_STACK, Stacks
from hsup_driver_docker.tree import unreadable, walk

if TYPE_CHECKING:
    from hsup.api import Settings
    from hsup_driver_docker.engine import Engine
    from hsup_driver_docker.sdk import Sdk

CACHE, KEEP = "DOCKER_IMAGE_CACHE", "DOCKER_IMAGES_KEEP"
_DEFAULT_KEEP = 3
_OFF = {"0", "false", "no", "off"}

_APP, _RELEASE = "hsup.image.app", "hsup.image.release"
_SLUG, _STACK, _FORMAT = "hsup.image.slug", "hsup.image.stack", "hsup.image.format"
_BASE = "hsup.image.base"
#: What an image is built of; that of its base may be another one under the same name by now.
_BUILT_OF = (_APP, _SLUG, _STACK, _FORMAT)
#: Of the digest in the name of an image, as many as tell any two of them apart.
_DIGITS = 32

# hashlib takes 2 ms to import: it is, where an image is looked for.


class Wanted(NamedTuple):
    """What an image is built of; `author` is who has named it, and may not see all of it."""

    app: str
    slug: Slug | None
    stack: str | None
    author: Author | None = None


class Images:
    """The images of one engine that belong to hsup."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        """Read the variables. Raises UsageError for one that makes no sense."""
        self._engine = engine
        self._settings = settings
        self._stacks = Stacks(settings.environ)
        self._uses_cache = settings.environ.get(CACHE, "").lower() not in _OFF
        self._keep = _read_keep(settings.environ)

    def obtain(self, wanted: Wanted, release: int, owner: Callable[[], str]) -> Image:
        """Return the image to run, pulled or built where it is not there yet; blocks.

        `owner` is asked whose label a container has in which it is built. Raises DriverError.
        """
        slug = wanted.slug
        if slug is not None and slug.image is not None:
            return self._own(slug.image, wanted.author)
        labels = {_APP: wanted.app, _STACK: wanted.stack or DEFAULT_STACK, _FORMAT: _built_like()}
        stack = self._stacks.image(wanted.stack)
        if base := self._engine.image(stack):  # else it was removed, and what it became is not
            labels[_BASE] = base["Id"]
        digest = _announced_digest(slug) if _may_read_all(wanted.author) else None
        if digest and self._uses_cache and (found := self._find({**labels, _SLUG: digest})):
            return found
        with self._unpacked(slug, wanted.author) as (folder, digest):
            labels[_SLUG] = digest
            found = self._find(labels) if self._uses_cache else None
            labels[_RELEASE] = f"v{release}"
            return found or self._build(wanted, labels, folder, owner())

    def close(self) -> None:
        """Close the SDK's connections, if it was needed."""
        if "_sdk" in self.__dict__:
            self._sdk.close()

    def _own(self, name: str, author: Author | None) -> Image:
        found = self._engine.image(name) or self._pulled(name)
        if not _may_read_all(author):
            _refuse_slugs(name, found)
        return Image(found["Id"], is_own=True)

    def _find(self, labels: Mapping[str, str]) -> Image | None:
        """Return an image with these labels; others may have them too, under other names."""
        found = self._engine.image(image_name(labels))
        if found is None or not labels.items() <= (found["Config"]["Labels"] or {}).items():
            return None
        return Image(found["Id"], _variables(found["Config"].get("Env") or ()))

    def _build(
        self, wanted: Wanted, labels: Mapping[str, str], folder: str | None, owner: str
    ) -> Image:
        stack = self._stacks.image(wanted.stack)
        base = self._engine.image(stack) or self._pulled(stack)
        _refuse_volumes(stack, base)
        name = image_name(labels)
        before = self._engine.image(name)
        labels = {**labels, _BASE: base["Id"]}
        built = self._sdk.build(stack, base["Id"], folder, labels=labels, tag=name, owner=owner)
        if before is not None and (before["Config"]["Labels"] or {}).get(_APP) == wanted.app:
            self._sdk.remove_image(before["Id"])  # it has lost its name
        self._collect(wanted.app, built)
        return Image(built, _variables(base["Config"].get("Env") or ()))

    def _pulled(self, name: str) -> Mapping[str, Any]:
        self._sdk.pull(name)
        found = self._engine.image(name)
        if found is None:
            raise DriverError(f"image {name} disappeared after it was pulled")
        return found

    def _collect(self, app: str, built: str) -> None:
        """Remove what an application has more of than it may keep, the oldest first.

        What somebody else has made of such images, or named, is not ours.
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
        """Lend the folder of a slug, and what tells it from others."""
        if slug is None:
            yield None, "none"
            return
        folder = os.path.join(self._settings.folder, slug.location)
        if _may_read_all(author) and os.path.isdir(folder):
            yield folder, _read_digest(folder)
            return
        from hsup.slugs import SlugStore  # takes long, and is needed rarely

        store = SlugStore(self._settings)
        for leftover in store.sweep():
            _log(leftover)
        with store.unpack(slug, author=author) as unpacked:
            yield unpacked.folder, unpacked.digest or _read_digest(unpacked.folder)

    @cached_property
    def _sdk(self) -> Sdk:
        from hsup_driver_docker.sdk import Sdk  # takes long, and is needed rarely

        return Sdk(self._engine)


def _refuse_slugs(name: str, found: Mapping[str, Any]) -> None:
    """Raise DriverError for an image with a slug, which its author may not be allowed to read.

    What somebody else has made of such an image has its labels, too.
    """
    if _APP in (found["Config"].get("Labels") or {}):
        text = f"image {name} has a slug in it, which the author of the release may not read"
        raise DriverError(text, hint="name another image, or let root write the release")


def _refuse_volumes(stack: str, base: Mapping[str, Any]) -> None:
    """Raise DriverError for a stack in whose volume the slug would be lost."""
    for volume in base["Config"].get("Volumes") or ():
        if f"{volume.rstrip('/')}/".startswith("/app/"):
            text = f"image {stack} has a volume at {volume}, which cannot hold a slug"
            raise DriverError(
                text, hint="build it without VOLUME, or set DOCKER_STACKS to another image"
            )


def _may_read_all(author: Author | None) -> bool:
    return author is None or author.is_trusted


def _announced_digest(slug: Slug | None) -> str | None:
    """Return the digest that a release says its slug has, None where it says none."""
    digest = ((slug and slug.checksum) or "").lower().removeprefix("sha256:")
    return digest if digest and not digest.strip("0123456789abcdef") else None


def _read_digest(folder: str) -> str:
    try:
        return folder_digest(folder)
    except OSError as error:
        raise unreadable(error) from error


def folder_digest(folder: str) -> str:
    """Return what changes with any file of a folder, as far as its metadata tells."""
    from hashlib import sha256

    digest = sha256()
    for entry in walk(folder):
        status = entry.status
        told: list[object] = [entry.path, status.st_mode, status.st_uid, status.st_gid]
        if not stat.S_ISDIR(status.st_mode):
            link = entry.target() if stat.S_ISLNK(status.st_mode) else ""
            told += [link, status.st_size, status.st_mtime_ns]
        digest.update(repr(told).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _log(leftover: str) -> None:
    import logging  # takes long, and is needed rarely

    logging.getLogger(__name__).info("removed what a previous hsup left: %s", leftover)


def _variables(environment: Iterable[str]) -> tuple[str, ...]:
    return tuple(one.partition("=")[0] for one in environment)


@cache
def _built_like() -> str:
    """Return what changes with the way in which images are built."""
    from hashlib import sha256

    return f"2-{sha256(START_UP.encode()).hexdigest()}"


def image_name(labels: Mapping[str, str]) -> str:
    """Return what an image is called: its application, and the digest of what it is built of.

    An image of a newer base has the name of the older one, and so takes its place.
    """
    from hashlib import sha256

    told = "\0".join(labels[one] for one in _BUILT_OF).encode("utf-8", "surrogateescape")
    return f"{_repository(labels[_APP])}:{sha256(told).hexdigest()[:_DIGITS]}"


def _repository(app: str) -> str:
    """Return the name of an application's images, of which Docker takes lower case only."""
    words = "".join(one if one.isascii() and one.isalnum() else " " for one in app.lower()).split()
    return f"hsup/{'-'.join(words) or 'app'}"


def _is_named(names: Sequence[str] | None, prefix: str) -> bool:
    """Tell whether an image has one name, which hsup gave it."""
    return [name.startswith(prefix) for name in names or ()] == [True]


def _read_keep(environ: Mapping[str, str]) -> int:
    text = environ.get(KEEP) or str(_DEFAULT_KEEP)
    number = whole_number(text)
    if not number:
        raise UsageError(f'{KEEP}: "{text}" is not a number of images', hint="write 1 or more")
    return number
