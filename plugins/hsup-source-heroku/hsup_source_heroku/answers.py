"""The parts of the Platform API's answers that are read, of version 3 and its variant 3.sdk.

What is only shown may be null or missing, whatever the platform's schema says: a release
can run without it. What decides how it runs is required.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from hsup_source_heroku.errors import BrokenAnswer

_Answer = TypeVar("_Answer")

_SUCCEEDED = "succeeded"
IMAGE_ARTIFACT = "oci-image"
#: The platform has 255 at the most.
_MOST_DYNOS = 10_000
#: The platform's are UUIDs; one is put into the path of a request, or names a file.
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,128}\Z")]


class Named(msgspec.Struct, frozen=True):
    """Something that is known by its name."""

    name: str


class Identified(msgspec.Struct, frozen=True):
    """Something that is elsewhere."""

    id: str


class Artifact(msgspec.Struct, frozen=True):
    """What a release runs: `type` is `slug` or `oci-image`."""

    type: str
    id: str


class AppAnswer(msgspec.Struct, frozen=True):
    """`GET /apps/{app}`."""

    id: str
    stack: Named
    name: str | None = None
    web_url: str | None = None


class User(msgspec.Struct, frozen=True):
    """Somebody with an account."""

    email: str | None = None


class ReleaseAnswer(msgspec.Struct, frozen=True):
    """An element of `GET /apps/{app}/releases`."""

    id: _Id
    version: int
    status: str
    created_at: str | None = None
    description: str | None = None
    user: User | None = None
    app: Identified | None = None
    slug: Identified | None = None
    artifacts: tuple[Artifact, ...] | None = None
    oci_image: Identified | None = None

    @property
    def has_succeeded(self) -> bool:
        """Tell whether it may run."""
        return self.status == _SUCCEEDED

    @property
    def image_id(self) -> str | None:
        """Return the id of the container image that this is, None for a slug."""
        if self.oci_image is not None:
            return self.oci_image.id
        images = (one.id for one in self.artifacts or () if one.type == IMAGE_ARTIFACT)
        return next(images, None)


class Blob(msgspec.Struct, frozen=True):
    """Where a slug's archive can be had, for a while."""

    url: str


class SlugAnswer(msgspec.Struct, frozen=True):
    """`GET /apps/{app}/slugs/{id}`."""

    id: _Id
    blob: Blob
    process_types: dict[str, str]
    checksum: str | None = None
    commit: str | None = None
    commit_description: str | None = None
    stack: Named | None = None


class ImageProcess(msgspec.Struct, frozen=True):
    """A process type of a container image; without a command it runs the image's own."""

    command: str | None = None


class ImageAnswer(msgspec.Struct, frozen=True):
    """`GET /apps/{app}/oci-images/{id}`."""

    id: str
    image_repo: str
    digest: str
    process_types: dict[str, ImageProcess]
    commit: str | None = None
    commit_description: str | None = None
    stack: Named | None = None


class FormationAnswer(msgspec.Struct, frozen=True):
    """An element of `GET /apps/{app}/formation`."""

    type: str
    quantity: Annotated[int, msgspec.Meta(ge=0, le=_MOST_DYNOS)]
    dyno_size: Named | None = None
    size: str | None = None

    @property
    def size_name(self) -> str | None:
        """Return the name of the dynos' size."""
        return self.dyno_size.name if self.dyno_size is not None else self.size


class SizeAnswer(msgspec.Struct, frozen=True):
    """An element of `GET /dyno-sizes`; `memory` is in GB."""

    name: str | None = None
    memory: float | None = None


def decode(body: bytes, shape: type[_Answer], path: str) -> _Answer:
    """Return an answer. Raises BrokenAnswer with what is wrong, and where."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UnicodeDecodeError:  # which has the text in it, secrets and all
        raise BrokenAnswer(f"the answer to {path} is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokenAnswer(f"the answer to {path} is malformed: {error}") from error
