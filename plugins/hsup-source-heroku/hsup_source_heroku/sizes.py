"""Find the dyno size of hsup that is nearest to one of the platform."""

from __future__ import annotations

import logging
from operator import attrgetter

from hsup.sizes import DEFAULT_NAME, SIZES, known, named
from hsup_source_heroku.answers import SizeAnswer, decode
from hsup_source_heroku.client import Client

logger = logging.getLogger(__name__)

_PATH = "/dyno-sizes"
#: 512 MB are 0.5 GB on the platform.
_GB = 1 << 30


class Sizes:
    """The dyno sizes of the platform; the API is asked only for those that hsup lacks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._found: dict[str, str | None] = {}

    def name_of(self, size: str | None) -> str | None:
        """Return the name of hsup's size, None for the default one. Raises ApiError."""
        if size is None or known(size):
            return size
        if size not in self._found:
            self._found[size] = self._nearest(size)
        return self._found[size]

    def _nearest(self, size: str) -> str | None:
        """Return the smallest size of hsup with enough memory, or the largest one."""
        platform_sizes = decode(self._client.get(_PATH).body or b"", tuple[SizeAnswer, ...], _PATH)
        gigabytes = next((one.memory for one in platform_sizes if one.name == size), None)
        if gigabytes is None:
            logger.warning('the API does not list dyno size "%s"; using the default', size)
            return None
        sizes = [named(DEFAULT_NAME), *SIZES.values()]
        enough = [one for one in sizes if one.memory >= gigabytes * _GB]
        by_memory = attrgetter("memory")
        nearest = min(enough, key=by_memory) if enough else max(sizes, key=by_memory)
        text = 'hsup does not know dyno size "%s"; using the nearest one, "%s"'
        logger.warning(text, size, nearest.name)
        return nearest.name
