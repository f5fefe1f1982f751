"""An image that a dyno runs."""

from __future__ import annotations

from typing import NamedTuple


class Image(NamedTuple):
    """An image of the engine's.

    `variables` are the names that it sets in the environment. `is_own` tells that the
    release is this image, and nothing was added to it.
    """

    id: str
    variables: tuple[str, ...] = ()
    is_own: bool = False
