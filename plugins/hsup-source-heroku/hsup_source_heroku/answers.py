"""The fields that are read from answers of the Platform API, version 3 and variant 3.sdk.

Fields that are only shown may be null or missing, whatever the platform's schema says, as a release
can run without them. Fields that decide how it runs are required.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from hsup_source_heroku.errors import BrokenAnswer

_Answer = TypeVar("_Answer")

_SUCCEEDED = "succeeded"
IMAGE_ARTIFACT = "oci-image"
#: The platform allows 255.
_MOST_DYNOS = 10_000
#: UUIDs on the platform. They become parts of the paths of requests, and names of files.
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,128}\Z")]

#: `d.` and a UUID on the platform. They become headers, and words of syslog.
_Token = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,255}\Z")]


class Named(msgspec.Struct, frozen=True):
    """A reference by name."""

    name: str


class Identified(msgspec.Struct, frozen=True):
    """A reference by id."""

    id: str


class ArtifactAnswer(msgspec.Struct, frozen=True):
    """The code of a release: `type` is `slug` or `oci-image`."""

    type: str
    id: str


class AppAnswer(msgspec.Struct, frozen=True):
    """`GET /apps/{app}`."""

    id: str
    stack: Named
    name: str | None = None
    web_url: str | None = None


class User(msgspec.Struct, frozen=True):
    """A user of the platform."""

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
    artifacts: tuple[ArtifactAnswer, ...] | None = None
    oci_image: Identified | None = None

    @property
    def has_succeeded(self) -> bool:
        """Tell whether the release may run."""
        return self.status == _SUCCEEDED

    @property
    def image_id(self) -> str | None:
        """Return the id of the release's container image, None for a slug."""
        if self.oci_image is not None:
            return self.oci_image.id
        images = (one.id for one in self.artifacts or () if one.type == IMAGE_ARTIFACT)
        return next(images, None)


class Blob(msgspec.Struct, frozen=True):
    """The URL of a slug's archive, which expires."""

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
    """A process type of a container image; without a command, the image's own is run."""

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
        """Return the name of the size of the dynos."""
        return self.dyno_size.name if self.dyno_size is not None else self.size


class FeatureAnswer(msgspec.Struct, frozen=True):
    """`GET /apps/{app}/features/{name}`."""

    enabled: bool


class DrainAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An element of `GET /apps/{app}/log-drains`; without a URL, only its add-on knows it."""

    url: str | None = None
    token: _Token | None = None
    addon: Named | None = None


class SizeAnswer(msgspec.Struct, frozen=True):
    """An element of `GET /dyno-sizes`; `memory` is in GB."""

    name: str | None = None
    memory: float | None = None


def decode(body: bytes, shape: type[_Answer], path: str) -> _Answer:
    """Decode an answer. Raises BrokenAnswer with the fault and its place."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UnicodeDecodeError:  # the error contains the text, with its secrets
        raise BrokenAnswer(f"the answer to {path} is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokenAnswer(f"the answer to {path} is malformed: {error}") from error
