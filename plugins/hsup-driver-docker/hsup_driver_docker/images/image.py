"""The image of a dyno."""

from __future__ import annotations

from typing import NamedTuple


class Image(NamedTuple):
    """An image on the engine.

    `variables` are the names of the environment variables that it sets. `is_own` is True if the
    slug of the release is this image, to which hsup adds nothing. `digest` is that of the archive
    with the slug, if it was looked at.
    """

    id: str
    variables: tuple[str, ...] = ()
    is_own: bool = False
    digest: str | None = None
