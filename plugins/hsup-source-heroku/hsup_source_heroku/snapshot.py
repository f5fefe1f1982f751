"""A consistent state of an application, put together from several answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from hsup.model import IMAGE_SCHEME, LOG_RUNTIME_METRICS
from hsup_source_heroku.answers import (
    AppAnswer,
    FeatureAnswer,
    FormationAnswer,
    ImageAnswer,
    ReleaseAnswer,
    SlugAnswer,
    decode,
)
from hsup_source_heroku.client import Answer, Client
from hsup_source_heroku.errors import ApiError, BrokenAnswer, NotFound, Unauthorized
from hsup_source_heroku.sizes import Sizes

logger = logging.getLogger(__name__)

#: Ranges of releases. Mostly, the first release is the newest one that has succeeded.
_NEWEST, _MORE = "version ..; max=1, order=desc", "version ..; max=100, order=desc"
#: The length of the longest page of the API.
_LONGEST_PAGE = 1000
#: How many pages of a hundred releases are searched for one that has succeeded.
_MOST_PAGES = 100
#: How many releases in a row may arrive while one is read.
_ATTEMPTS = 5
#: The variant of the API with container images.
_IMAGES = "3.sdk"


class Artifact(msgspec.Struct, frozen=True):
    """The slug or the container image of a release.

    `location` is `docker://` and the name of an image; None for a slug, as the URL of its
    archive expires.
    """

    id: str
    commands: dict[str, tuple[str, ...]]
    location: str | None = None
    checksum: str | None = None
    stack: str | None = None
    commit: str | None = None
    description: str | None = None


class Quantity(msgspec.Struct, frozen=True):
    """The wanted number of dynos of a process type, and their size."""

    quantity: int
    size: str | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A release with everything needed to run it; `part` is None if it has no code.

    `features` are those of `hsup.model.Release`.
    """

    app_id: str
    app: str
    release_id: str
    version: int
    created_at: str | None
    description: str | None
    config: dict[str, str]
    stack: str
    formation: dict[str, Quantity]
    part: Artifact | None = None
    web_url: str | None = None
    features: tuple[str, ...] = ()

    def is_newer_than(self, other: Snapshot) -> bool:
        """Tell whether this is a later release of the same application."""
        return self.app_id == other.app_id and self.version > other.version

    def has_seen(self, release: ReleaseAnswer) -> bool:
        """Tell whether a release is this one, or an earlier one."""
        if release.app is not None and release.app.id != self.app_id:
            return False
        return release.id == self.release_id or release.version < self.version

    @property
    def archived(self) -> Artifact | None:
        """Return the slug, None for a container image, or without code."""
        return None if self.part is None or self.part.location else self.part


class Reader:
    """Reads one application from the API."""

    def __init__(self, client: Client, app: str) -> None:
        self._client = client
        self._app = app
        self._path = f"/apps/{quote(app, safe='')}"
        self._releases = Answer()
        self._wanted = _NEWEST
        self._newest: ReleaseAnswer | None = None
        self._formation = Answer()
        self._quantities: Mapping[str, Quantity] = {}
        self._sizes = Sizes(client)
        self._features: tuple[str, ...] = ()
        self._fresh_urls: dict[str, str] = {}  # URLs by the ids of slugs; each is used once

    def newest(self) -> ReleaseAnswer | None:
        """Return the newest release that has succeeded, None if none has yet.

        Sends one request, which is mostly answered with 304. Raises ApiError.
        """
        path = f"{self._path}/releases"
        answer = self._ask_for_releases(path, self._wanted, self._releases.etag)
        if answer.body is None:
            return self._newest
        releases = self._releases_of(path, answer)
        newest = next((one for one in releases if one.has_succeeded), None)
        if newest is None and self._wanted == _NEWEST and answer.next_range:
            # An earlier release may still succeed before the newest one does.
            self._releases, self._wanted = Answer(), _MORE
            return self.newest()
        self._releases, self._newest = answer, newest or self._older(path, answer)
        if newest is not None and newest is releases[0] and self._wanted == _MORE:
            self._releases, self._wanted = Answer(), _NEWEST
        return self._newest

    def history(self, most: int) -> tuple[ReleaseAnswer, ...]:
        """Return the newest releases, whatever their status. Raises ApiError."""
        path = f"{self._path}/releases"
        releases: list[ReleaseAnswer] = []
        wanted: str | None = f"version ..; max={min(most, _LONGEST_PAGE)}, order=desc"
        while wanted and len(releases) < most:
            answer = self._ask_for_releases(path, wanted)
            page = self._releases_of(path, answer)
            if page and releases and page[0].version >= releases[-1].version:
                raise BrokenAnswer(f"the list of {path} has no end")
            releases += page
            wanted = answer.next_range if page else None
        return tuple(releases[:most])

    def quantities(self) -> Mapping[str, Quantity]:
        """Return the formation; sends one request, like `newest`. Raises ApiError."""
        path = f"{self._path}/formation"
        answer = self._client.get(path, etag=self._formation.etag)
        if answer.body is not None:
            formation = decode(answer.body, tuple[FormationAnswer, ...], path)
            name_of = self._sizes.name_of
            self._quantities = {
                one.type: Quantity(one.quantity, name_of(one.size_name)) for one in formation
            }
            self._formation = answer
        return self._quantities

    def take(self, release: ReleaseAnswer) -> Snapshot:
        """Read the application with a release, or with a newer one that arrived meanwhile.

        Config and code always belong to the same release: if another one arrives meanwhile,
        all is read again. Raises ApiError.
        """
        for _ in range(_ATTEMPTS):
            snapshot = self._read(release)
            newest = self.newest()
            if newest is None or newest.id == release.id:
                return snapshot
            release = newest
        text = f"releases of {self._path} change faster than they can be read"
        raise ApiError(text, hint="make releases less often")

    def archive_url(self, slug: str) -> str:
        """Return a URL of a slug's archive, which expires. Raises ApiError."""
        return self._fresh_urls.pop(slug, None) or self._slug(slug).blob.url

    def _ask_for_releases(self, path: str, wanted: str, etag: str | None = None) -> Answer:
        try:
            return self._client.get(path, etag=etag, wanted=wanted, variant=_IMAGES)
        except NotFound as error:
            raise Unauthorized(error.args[0], hint="check the name in --app or HSUP_APP") from error

    def _older(self, path: str, answer: Answer) -> ReleaseAnswer | None:
        """Search earlier pages for a release that has succeeded. Raises ApiError."""
        for _ in range(_MOST_PAGES):
            if not answer.next_range:
                return None
            answer = self._ask_for_releases(path, answer.next_range)
            for release in self._releases_of(path, answer):
                if release.has_succeeded:
                    return release
        raise BrokenAnswer(f"the list of {path} has no end")

    def _releases_of(self, path: str, answer: Answer) -> list[ReleaseAnswer]:
        """Return the releases of a page, newest first."""
        assert answer.body is not None
        releases = decode(answer.body, tuple[ReleaseAnswer, ...], path)
        return sorted(releases, key=lambda one: one.version, reverse=True)

    def _read(self, release: ReleaseAnswer) -> Snapshot:
        app = decode(self._body(self._path), AppAnswer, self._path)
        path = f"{self._path}/releases/{release.id}/config-vars"
        config = decode(self._body(path), dict[str, str | None], path)
        return Snapshot(
            app_id=app.id,
            app=app.name or self._app,
            release_id=release.id,
            version=release.version,
            created_at=release.created_at,
            description=release.description,
            config={name: value for name, value in config.items() if value is not None},
            stack=app.stack.name,
            formation=dict(self.quantities()),
            part=self._part(release),
            web_url=app.web_url,
            features=self._read_features(),
        )

    def _read_features(self) -> tuple[str, ...]:
        """Return the features that are turned on, the last known ones if they cannot be read."""
        path = f"{self._path}/features/{LOG_RUNTIME_METRICS}"
        try:
            feature = decode(self._body(path), FeatureAnswer, path)
        except ApiError as error:  # the release runs all the same
            logger.info("cannot read a feature of the application: %s", error)
        else:
            self._features = (LOG_RUNTIME_METRICS,) if feature.enabled else ()
        return self._features

    def _part(self, release: ReleaseAnswer) -> Artifact | None:
        if release.image_id is not None:
            return self._image(release.image_id)
        if release.slug is None:
            return None
        slug = self._slug(release.slug.id)
        self._fresh_urls = {slug.id: slug.blob.url}
        return Artifact(
            id=slug.id,
            commands=_lines(slug.process_types),
            checksum=slug.checksum,
            stack=slug.stack.name if slug.stack else None,
            commit=slug.commit,
            description=slug.commit_description,
        )

    def _image(self, image_id: str) -> Artifact:
        path = f"{self._path}/oci-images/{quote(image_id, safe='')}"
        images = decode(self._body(path, _IMAGES), tuple[ImageAnswer, ...], path)
        if not images:
            raise BrokenAnswer(f"the answer to {path} has no image")
        image = images[0]
        return Artifact(
            id=image.id,
            commands={
                name: (one.command,) if one.command else ()
                for name, one in image.process_types.items()
            },
            location=f"{IMAGE_SCHEME}{image.image_repo}@{image.digest}",
            stack=image.stack.name if image.stack else None,
            commit=image.commit,
            description=image.commit_description,
        )

    def _slug(self, slug: str) -> SlugAnswer:
        path = f"{self._path}/slugs/{quote(slug, safe='')}"
        return decode(self._body(path), SlugAnswer, path)

    def _body(self, path: str, variant: str = "3") -> bytes:
        body = self._client.get(path, variant=variant).body
        assert body is not None  # the request was not conditional
        return body


def _lines(commands: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return commands in the form of a release: each is a line for the shell."""
    return {name: (command,) for name, command in commands.items()}
